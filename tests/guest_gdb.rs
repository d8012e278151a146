//! What gdb shows of a guest: translated blocks, by the names that the image has for their addresses.

#![cfg(feature = "jit")]
#![forbid(unsafe_code)]

#[path = "../jit/tests/gdb/session.rs"]
mod session;

use std::process::{Command, Stdio};

use session::{assert_frames, frames};

const VM: &str = env!("CARGO_BIN_EXE_perilune-vm");

/// Builds the image, with symbols or without. Answers its path.
fn image(name: &str, rounds: u32, symbols: bool) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = |ending: &str| folder.join(format!("gdb-{name}{ending}")).to_string_lossy().into_owned();
    let (object, linked) = (path(".o"), path(".elf"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/guest.S");
    let rounds = format!("-Wa,--defsym,ROUNDS={rounds}");
    let strip = if symbols { "-X" } else { "-s" };
    let run = |tool: &str, arguments: &[&str]| {
        let done = Command::new(tool).args(arguments).output().unwrap_or_else(|e| panic!("{tool} is needed: {e}"));
        assert!(done.status.success(), "{tool}: {}", String::from_utf8_lossy(&done.stderr));
    };
    run("cc", &["-c", "-m64", &rounds, source, "-o", &object]);
    run("ld", &["-z", "noexecstack", "-e", "main", "-Ttext", "0x200000", strip, &object, "-o", &linked]);
    linked
}

/// Where translated code calls the interpreter's handler of an instruction.
const STOP: &str = "break perilune_jit::guest::tier::help";

#[test]
fn blocks_are_frames_with_the_names_of_the_guest() {
    if !session::is_there("a gdb session with a guest") {
        return;
    }
    let image = image("named", 1000, true);
    let block = ["bt", "frame 2", "info symbol $pc", "disassemble"];
    let first = [&[STOP, "ignore 1 500", "run"][..], &block, &["set $first = $pc"]].concat();
    // The guest writes to the first function, and calls another one.
    let second = [&["ignore 1 1000", "continue"][..], &block, &["info symbol $first", "delete", "continue"]].concat();
    let told = session::gdb(&[VM, "--serial", "none", &image], &[first, second].concat(), |_| {});
    let at = told.find("continue").or(told.find("guest:fill")).unwrap_or_else(|| panic!("the second stop:\n{told}"));
    let (one, two) = told.split_at(at);
    assert_frames(
        one,
        &[
            "tier::help (",
            "perilune_guest_helper ()",
            "in guest:copy @0x200040 ()",
            "Engine::run (",
            " main (",
            "_start (",
        ],
    );
    for (part, name) in [(one, "guest:copy @0x200040"), (two, "guest:fill @0x200080")] {
        assert!(part.contains(&format!("{name} + ")), "the symbol is found by address:\n{told}");
        assert!(part.contains(&format!("assembler code for function {name}:")), "{told}");
        assert!(part.contains("<perilune_guest_helper>"), "the disassembly names the call:\n{told}");
    }
    assert!(two.contains("No symbol matches $first."), "code that was dropped has no name:\n{told}");
    assert!(two.contains("exited with code 01"), "the guest goes on to its end:\n{told}");
}

#[test]
fn blocks_without_symbols_have_addresses() {
    if !session::is_there("a gdb session with a guest without symbols") {
        return;
    }
    let image = image("nameless", 1000, false);
    let commands = [STOP, "ignore 1 500", "run", "bt", "kill"];
    let told = session::gdb(&[VM, "--serial", "none", &image], &commands, |_| {});
    assert_frames(&told, &["perilune_guest_helper ()", "in guest:0x200040 ()", " main ("]);
    let off = session::gdb(&[VM, "--gdb=off", "--serial", "none", &image], &commands, |_| {});
    assert_frames(&off, &["perilune_guest_helper ()", "in ?? ()", " main ("]);
}

#[test]
fn a_guest_that_runs_already_is_attached_to() {
    if !session::is_there("a gdb session with a guest that runs") {
        return;
    }
    let image = image("running", 4_000_000_000, true);
    let mut guest = Command::new(VM);
    let guest = guest.args(["--gdb", "--serial", "none", &image]).stdin(Stdio::null()).spawn();
    let mut guest = guest.expect("perilune-vm runs");
    let number = guest.id().to_string();
    let commands = [STOP, "ignore 1 500", "continue", "bt", "detach"];
    let told = session::gdb_on(&["-p", &number], &commands, |_| {});
    guest.kill().expect("it runs still");
    guest.wait().expect("it has ended");
    assert_frames(&told, &["perilune_guest_helper ()", "in guest:copy @0x200040 ()", " main ("]);
    assert!(frames(&told).len() > 5, "{told}");
}
