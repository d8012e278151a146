//! Guard mutation: with each kind of guard left out of all traces in turn, at least one program must go wrong. A kind that
//! nothing misses is one that is not needed, or not tested.

#![cfg(feature = "jit")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use std::time::Duration;

use perilune_oracle::{Case, cases, run};

/// Kinds that cannot be missed, with the reason.
const EXEMPT: &[(&str, &str)] = &[
    ("interrupt.void", "nobody interrupts these programs; the tests of the command line do"),
    ("gcstep.void", "without it nothing is collected: that wants more memory, no other result"),
    ("call.cell", MEMORY),
    ("call.function", MEMORY),
    ("call.ptr", MEMORY),
    ("call.string", MEMORY),
    ("call.table", MEMORY),
];

const MEMORY: &str = "such calls fail for want of memory only; the tests of the embedding limit it";

/// A program that a missing guard sends into an endless loop has gone wrong, too.
const LIMIT: Duration = Duration::from_secs(20);

const HOT: &[&str] = &["-Ohotloop=3", "-Ohotexit=2"];

/// The programs: first the small ones that were written for guards, and for compiled code.
fn programs() -> Vec<Case> {
    let mut programs: Vec<Case> = cases().into_iter().filter(|c| c.blessed().is_ok()).collect();
    programs.sort_by_key(|c| (!c.name.contains("guards"), !c.name.contains("jit")));
    programs
}

/// The kinds of guards in the traces of a program.
fn kinds(case: &Case) -> BTreeSet<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_perilune")).args(HOT).arg("-Oguards").arg(&case.script).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let kind = |line: &str| Some(line.strip_prefix("guard ")?.split_once(' ')?.0.to_string());
    text.lines().filter_map(kind).collect()
}

#[test]
fn every_kind_of_guard_is_missed_by_some_program() {
    let programs: Vec<(Case, BTreeSet<String>)> = programs()
        .into_iter()
        .map(|c| {
            let k = kinds(&c);
            (c, k)
        })
        .collect();
    let all: BTreeSet<&String> = programs.iter().flat_map(|(_, k)| k).collect();
    assert!(all.len() > 10, "traces have guards: {all:?}");
    let mut unmissed = Vec::new();
    for kind in all {
        if EXEMPT.iter().any(|(name, _)| name == kind) {
            continue;
        }
        let omit = format!("-Oomit={kind}");
        let goes_wrong = |(case, kinds): &(Case, BTreeSet<String>)| {
            let options: Vec<&str> = HOT.iter().copied().chain([omit.as_str()]).collect();
            kinds.contains(kind)
                && match run(Path::new(env!("CARGO_BIN_EXE_perilune")), &options, case, LIMIT) {
                    Ok(outcome) => Some(outcome.transcript()) != case.blessed().ok(),
                    Err(_) => true,
                }
        };
        if !programs.iter().any(goes_wrong) {
            unmissed.push(kind);
        }
    }
    assert!(unmissed.is_empty(), "left out, and nothing went wrong: {unmissed:?}");
}
