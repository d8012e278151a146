//! Regressions of speed without a clock: instructions that the interpreter executes for each program, as callgrind counts
//! them, and the traces, IR instructions and bytes of machine code that the compiler makes of it, against a blessed file.
//!
//! Such counts repeat; they say nothing about branches and caches. A program's line is `name instructions traces ir bytes`.

use crate::measure::{Contestant, Program};
use perilune_oracle::root;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is counted, in the order of the file's columns.
const COLUMNS: [&str; 4] = ["instructions", "traces", "IR", "bytes"];
/// A count may be so much higher than the blessed one.
const MORE: [f64; 4] = [0.03, 0.10, 0.10, 0.10];
/// It may be so much lower: beyond that the blessed file is to be renewed, lest it hides what comes next.
const LESS: f64 = 0.20;
/// Differences up to this are of no interest: one trace more, some IR instructions.
const SLACK: [u64; 4] = [200_000, 1, 12, 400];

const HEAD: &str = "\
# What each program costs at its small size: instructions of the interpreter (callgrind, `-joff`), and what the compiler makes:
# traces, IR instructions, bytes of machine code. Renewed by `cargo run --release -p perilune-compare -- --counts --bless`.
# name instructions traces ir bytes
";

type Counts = [u64; 4];

fn file() -> PathBuf {
    root().join("benches/programs/counts.txt")
}

/// Counts all programs and compares with the blessed file, or renews that. Answers the report; an error has what is wrong.
pub fn run(programs: &[Program], bless: bool) -> Result<String, String> {
    let contestant = Contestant::named("perilune")?;
    let counts = count_all(&contestant, programs)?;
    let lines = programs.iter().zip(&counts);
    if bless {
        let mut text = HEAD.to_string();
        for (program, [instructions, traces, ir, bytes]) in lines {
            let _ = writeln!(text, "{} {instructions} {traces} {ir} {bytes}", program.name);
        }
        std::fs::write(file(), text).map_err(|e| format!("{}: {e}", file().display()))?;
        return Ok(format!("{} programs counted and blessed", programs.len()));
    }
    let text = std::fs::read_to_string(file()).map_err(|e| format!("{}: {e}", file().display()))?;
    let mut wrong = String::new();
    for (program, counts) in lines {
        match blessed(&text, &program.name) {
            Some(before) => differences(&program.name, &before, counts, &mut wrong),
            None => _ = writeln!(wrong, "{}: not in the blessed file", program.name),
        }
    }
    if wrong.is_empty() {
        return Ok(format!("{} programs cost what they did", programs.len()));
    }
    Err(format!("other counts than in {}; if that is meant: --counts --bless\n{wrong}", file().display()))
}

fn blessed(text: &str, name: &str) -> Option<Counts> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    let numbers: Vec<u64> = line.split(' ').skip(1).map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

/// Notes what is out of tolerance.
fn differences(name: &str, before: &Counts, now: &Counts, wrong: &mut String) {
    for (i, column) in COLUMNS.iter().enumerate() {
        let change = now[i] as f64 / before[i].max(1) as f64 - 1.0;
        if now[i].abs_diff(before[i]) > SLACK[i] && !(-LESS..=MORE[i]).contains(&change) {
            let _ = writeln!(wrong, "{name}: {} {column}, blessed {} ({:+.1} %)", now[i], before[i], change * 100.0);
        }
    }
}

/// Counts the programs, on each processor one at a time.
fn count_all(contestant: &Contestant, programs: &[Program]) -> Result<Vec<Counts>, String> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Err(String::new()); programs.len()]);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(program) = programs.get(i) else { break };
                    let counts = count(contestant, program);
                    results.lock().expect("no thread panics")[i] = counts;
                }
            });
        }
    });
    results.into_inner().expect("no thread panics").into_iter().collect()
}

fn count(contestant: &Contestant, program: &Program) -> Result<Counts, String> {
    let perilune = contestant.program();
    let mut interpreter = Command::new("valgrind");
    interpreter.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    interpreter.arg(perilune).arg("-joff").arg(program.script());
    let told = stderr_of(interpreter, &program.name)?;
    let instructions = told
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
        .ok_or_else(|| format!("{}: callgrind counted nothing:\n{told}", program.name))?;
    let mut compiler = Command::new(perilune);
    compiler.arg("-jv").arg(program.script());
    let [traces, ir, bytes] = trace_sizes(&stderr_of(compiler, &program.name)?);
    Ok([instructions, traces, ir, bytes])
}

/// Sums up what `-jv` tells: the number of traces, their IR instructions and bytes.
fn trace_sizes(told: &str) -> [u64; 3] {
    let mut sums = [0; 3];
    for line in told.lines().filter(|line| line.starts_with("trace ")) {
        // Bytes are told as those of the trace and of its exits: `360+60 bytes`.
        let number = |unit: &str| {
            let text = line.split([',', ':']).find_map(|part| part.trim().strip_suffix(unit))?;
            text.split('+').map(|n| n.parse::<u64>().ok()).sum::<Option<u64>>()
        };
        sums[0] += 1;
        sums[1] += number(" IR").unwrap_or(0);
        sums[2] += number(" bytes").unwrap_or(0);
    }
    sums
}

fn stderr_of(mut command: Command, name: &str) -> Result<String, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).env_remove("LUA_INIT").env_remove("LUA_INIT_5_4");
    let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(told) } else { Err(format!("{name} ends with {}:\n{told}", output.status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_summed_up() {
        let told = "trace 1 a.lua:8 loop: 2 bytecodes, 39 IR, 6 exits, 360+60 bytes, loop\n\
                    abort   a.lua:9 loop: protected call\n\
                    trace 2 a.lua:8 exit 1/3: 2 bytecodes, 15 IR, 3 exits, 248 bytes, -> trace 1\n";
        assert_eq!(trace_sizes(told), [2, 54, 668]);
    }

    #[test]
    fn counts_out_of_tolerance_are_told() {
        let told = |before, now| {
            let mut wrong = String::new();
            differences("x", &before, &now, &mut wrong);
            wrong
        };
        let base = [100_000_000, 10, 1000, 10_000];
        assert_eq!(told(base, base), "");
        assert_eq!(told(base, [102_000_000, 11, 1020, 10_200]), "");
        assert_eq!(
            told(base, [104_000_000, 10, 1000, 10_000]),
            "x: 104000000 instructions, blessed 100000000 (+4.0 %)\n"
        );
        assert_eq!(
            told(base, [75_000_000, 10, 1000, 10_000]),
            "x: 75000000 instructions, blessed 100000000 (-25.0 %)\n"
        );
        assert_eq!(told(base, [100_000_000, 13, 1000, 11_500]).lines().count(), 2);
        assert_eq!(blessed("# x 1\ny 1 2 3 4\nx 5 6 7 8\n", "x"), Some([5, 6, 7, 8]));
    }
}
