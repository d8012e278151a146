//! Sessions of `gdb --batch`, and what their transcripts show.

#![forbid(unsafe_code)]

use std::process::Command;

/// Whether there is a gdb. If there is none it is said that `what` is not run.
///
/// # Panics
/// If there is none where all tools are required.
pub fn is_there(what: &str) -> bool {
    let found = Command::new("gdb").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("NOT RUN: {what} (no gdb)");
        assert!(!std::env::var("PERILUNE_REQUIRE").is_ok_and(|value| value == "all"), "gdb is required");
    }
    found
}

/// Runs gdb's commands with a program as the inferior; `prepare` gives that its environment. Answers what gdb and the
/// program wrote.
pub fn gdb(program: &[&str], commands: &[&str], prepare: impl FnOnce(&mut Command)) -> String {
    gdb_on(&[&["--args"], program].concat(), commands, prepare)
}

/// As [`gdb`], with what stands at the end of gdb's own command line: a running process, a program and its core.
pub fn gdb_on(subject: &[&str], commands: &[&str], prepare: impl FnOnce(&mut Command)) -> String {
    let mut gdb = Command::new("timeout");
    gdb.args(["300", "gdb", "--nx", "--batch", "-ex", "set debuginfod enabled off", "-ex", "set pagination off"]);
    // Containers may not switch address randomization off, and need not.
    gdb.args(["-ex", "set disable-randomization off", "-ex", "set breakpoint pending on", "-ex", "set width 0"]);
    // In Rust frames gdb would look names up as Rust's. And whether a walk was right shows at its very end.
    gdb.args(["-ex", "set language c", "-ex", "set backtrace past-main on"]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.args(subject);
    prepare(&mut gdb);
    let output = gdb.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    text.into_owned()
}

/// The lines of the last backtrace in `transcript`.
pub fn frames(transcript: &str) -> Vec<&str> {
    transcript.lines().filter(|line| line.starts_with('#')).collect()
}

/// Checks that each of `expected` is in a frame of its own, in this order, with the innermost frame first.
#[track_caller]
pub fn assert_frames(transcript: &str, expected: &[&str]) {
    let mut found = frames(transcript).into_iter();
    for text in expected {
        assert!(found.any(|frame| frame.contains(text)), "{text} is missing, or in the wrong place, in:\n{transcript}");
    }
}
