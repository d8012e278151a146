//! The test suite of Lua 5.4.8 itself, which is not part of this project: `PERILUNE_LUA_TESTES=folder` names the folder with
//! its `all.lua`. Without it nothing is run, and that is said.
//!
//! The whole runs as its authors mean it for other implementations (`_U`), and each file runs alone (`_port`); both in a copy of
//! the folder, with the compiler off, on, and with everything hot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use perilune_oracle::finish;

const VARIABLE: &str = "PERILUNE_LUA_TESTES";
/// The ways to run a file; the last two need the compiler.
const ENGINES: &[(&str, &[&str])] = &[("off", &["-joff"]), ("on", &[]), ("hot", &["-Ohotloop=1", "-Ohotexit=1"])];
/// Run alone these do nothing sensible, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("all", "it is run whole"),
    ("big", "it yields to who runs it; the whole leaves it out, too"),
    ("heavy", "it fills the memory of the machine"),
    ("tracegc", "it is a module of the others"),
];
const LIMIT: Duration = Duration::from_secs(300);

/// Copies the folder's own files and folders of one level: the tests write into where they run.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs a script of the folder; answers what is wrong, if anything is.
fn run(folder: &Path, options: &[&str], settings: &str, script: &str, last: &str) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
    command.args(options).args(["-e", settings, script]).current_dir(folder);
    let outcome = finish(&mut command, LIMIT).unwrap();
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    if outcome.status == Ok(0) && stdout.contains(last) {
        return None;
    }
    let errors = String::from_utf8_lossy(&outcome.stderr);
    let errors = errors.trim_start_matches('.');
    Some(format!("{script} {options:?}: {:?}, {errors:.600}", outcome.status))
}

#[test]
fn the_official_tests_pass() {
    let Some(source) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        // Not even where all tools are required: the suite is neither ours nor in any package.
        println!("NOT RUN: {VARIABLE} names no folder with the test suite of Lua 5.4.8");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("official");
    let mut names: Vec<String> = std::fs::read_dir(&source)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".lua").map(str::to_string))
        .filter(|name| LEFT_OUT.iter().all(|(left_out, _)| left_out != name))
        .collect();
    names.sort();
    assert!(names.len() > 25, "the folder holds the test suite: {names:?}");
    let mut failures = Vec::new();
    let engines = if cfg!(feature = "jit") { ENGINES } else { &ENGINES[..1] };
    for (name, options) in engines {
        let _ = std::fs::remove_dir_all(&folder);
        copy(&source, &folder);
        let before = failures.len();
        failures.extend(run(&folder, options, "_U=true", "all.lua", "final OK"));
        for file in &names {
            failures.extend(run(&folder, options, "_port=true _nomsg=true", &format!("{file}.lua"), ""));
        }
        println!("{name}: {} of {} pass", names.len() + 1 - (failures.len() - before), names.len() + 1);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
