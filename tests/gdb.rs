//! What gdb shows of a Lua program that runs compiled: its functions, files and lines among those of the program that runs it.

#![cfg(feature = "jit")]
#![forbid(unsafe_code)]

#[path = "../jit/tests/gdb/session.rs"]
mod session;

use session::{assert_frames, frames};

/// The script that gdb watches: line 4 is in a function that line 9, in a loop, calls.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/hot.lua");

/// Runs gdb's commands with the command line as the inferior, which runs the script. None if there is no gdb.
fn gdb(commands: &[&str]) -> Option<String> {
    let program = [env!("CARGO_BIN_EXE_perilune"), SCRIPT];
    session::is_there("a gdb session with a Lua program").then(|| session::gdb(&program, commands, |_| {}))
}

#[test]
fn a_backtrace_from_a_native_function_shows_compiled_lua_functions_and_reaches_main() {
    // The loop is compiled by then.
    let native = "break perilune_interpreter::lua::lib::os::getenv";
    let Some(transcript) = gdb(&[native, "ignore 1 149", "run", "bt", "up 3", "info symbol $pc", "kill"]) else {
        return;
    };
    let inlined = format!("look () at {SCRIPT}:4");
    let traced = format!("trace_1 () at {SCRIPT}:9");
    assert_frames(
        &transcript,
        &["os::getenv (", "call_native (", &inlined, &traced, "cli::main (", " main (", "_start ("],
    );
    let depth = |part: &str| frames(&transcript).iter().position(|frame| frame.contains(part));
    assert_eq!(depth(&inlined).map(|d| d + 1), depth(&traced), "neighbours:\n{transcript}");
    assert!(transcript.contains("  return os.getenv(name) or i"), "the line of the source is shown:\n{transcript}");
    assert!(transcript.contains("trace_1 + "), "the symbol is found by address:\n{transcript}");
}

#[test]
fn a_breakpoint_on_a_line_of_a_script_stops_in_compiled_code() {
    let stop = format!("break {SCRIPT}:9");
    let Some(transcript) = gdb(&[&stop, "run", "continue", "bt", "delete", "continue"]) else { return };
    // In the first iteration, which was peeled off, and in the loop.
    for stop in ["1.1", "1.2"] {
        let here = format!("Breakpoint {stop}, trace_1 () at {SCRIPT}:9");
        assert!(transcript.contains(&here), "{here} is missing in:\n{transcript}");
    }
    assert!(transcript.contains("  sum = sum + look(i)"), "{transcript}");
    assert_frames(&transcript, &["#0  trace_1 ()", "exec::run (", " main ("]);
    assert!(transcript.contains("\n20100\n") && transcript.contains("exited normally"), "{transcript}");
}
