//! What perf reports of a Lua program that runs compiled: the script's functions and lines.

#![cfg(feature = "jit")]
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/busy.lua");

/// An empty folder for a test, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("perilune-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("perf").current_dir(folder).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "perf {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Whether perf can sample here. If it cannot it is said that `what` is not run.
fn is_there(what: &str) -> bool {
    let folder = Folder::new("probe");
    let record = ["record", "-q", "-e", "cpu-clock", "-o", "data", "true"];
    let works = Command::new("perf").current_dir(&folder.0).args(record).output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        println!("NOT RUN: {what} (no perf, or it may not sample)");
        assert!(!std::env::var("PERILUNE_REQUIRE").is_ok_and(|value| value == "all"), "perf is required");
    }
    works
}

#[test]
fn the_map_names_functions_and_lines() {
    if !is_there("perf with a map") {
        return;
    }
    let folder = Folder::new("map");
    let program = env!("CARGO_BIN_EXE_perilune");
    run(&folder.0, &["record", "-q", "-e", "cpu-clock", "-o", "data", program, "--perf=map", SCRIPT]);
    let report = run(&folder.0, &["report", "--stdio", "-i", "data", "-s", "sym"]);
    assert!(report.contains("trace_1 busy busy.lua:5"), "{report}");
}

#[test]
fn call_chains_pass_through_compiled_code() {
    if !is_there("perf with call chains") {
        return;
    }
    let folder = Folder::new("chains");
    let program = env!("CARGO_BIN_EXE_perilune");
    let record =
        ["record", "-q", "-k", "1", "-e", "cpu-clock", "--call-graph", "dwarf,16384", "-F", "199", "-o", "data"];
    run(&folder.0, &[&record[..], &[program, "--perf=jitdump", SCRIPT]].concat());
    run(&folder.0, &["inject", "-j", "-i", "data", "-o", "injected"]);
    let samples = run(&folder.0, &["script", "-i", "injected", "-F", "ip,sym", "--no-inline"]);
    let chains: Vec<&str> = samples.split("\n\n").filter(|chain| chain.contains("trace_1 busy busy.lua:5")).collect();
    let whole = chains.iter().filter(|chain| chain.contains("cli::main") && chain.contains("_start")).count();
    assert!(!chains.is_empty() && whole * 10 >= chains.len() * 9, "{whole} of {}:\n{samples}", chains.len());
}

#[test]
fn the_dump_has_lines() {
    if !is_there("perf with a dump") {
        return;
    }
    let folder = Folder::new("dump");
    let program = env!("CARGO_BIN_EXE_perilune");
    run(&folder.0, &["record", "-q", "-k", "1", "-e", "cpu-clock", "-o", "data", program, "--perf=jitdump", SCRIPT]);
    run(&folder.0, &["inject", "-j", "-i", "data", "-o", "injected"]);
    let report = run(&folder.0, &["report", "--stdio", "-i", "injected", "-s", "sym"]);
    assert!(report.contains("trace_1 busy busy.lua:5"), "{report}");
    let lines = run(&folder.0, &["report", "--stdio", "-i", "injected", "-s", "srcline"]);
    assert!(lines.contains("busy.lua:5"), "{lines}");
}
