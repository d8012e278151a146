//! The examples run and say what they should.

use std::process::{Command, Output};

fn example(name: &str, args: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "-q", "--example", name]);
    if !cfg!(feature = "jit") {
        command.arg("--no-default-features");
    }
    let output = command.arg("--").args(args).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn run_script_runs_a_script() {
    let output = example("run_script", &["benches/programs/sieve.lua", "1"]);
    assert_eq!(text(&output.stdout), "6057 primes up to 60000, the last is 59999\n");
}

#[test]
fn embed_shows_values_errors_and_limits() {
    let said = text(&example("embed", &[]).stdout);
    for line in [
        "root(2) = 1.414213562373095",
        "the root of a negative number",
        "screen has 2000 cells",
        "500000500000",
        "limited: not enough memory",
        "and still: usable",
    ] {
        assert!(said.contains(line), "{line:?} is missing in {said}");
    }
}

#[test]
fn stages_shows_all_stages() {
    let output = example("stages", &[]);
    let (said, traced) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("FORLOOP") && said.contains("166833"), "{said}");
    if cfg!(feature = "jit") {
        for part in ["trace 1 stages:", "IR as recorded", "machine code", "snap "] {
            assert!(traced.contains(part), "{part:?} is missing in {traced}");
        }
    }
}

#[test]
fn a_backtrace_and_a_panic_cross_compiled_code() {
    let said = text(&example("backtrace", &[]).stdout);
    assert!(said.contains("backtrace::main") && said.contains("the destructor has run"), "{said}");
    assert!(said.contains("the panic was caught: true") && said.contains("1 + 1 is still 2"), "{said}");
}
