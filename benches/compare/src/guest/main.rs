//! Runs the kernels of `benches/guest` on the processor itself, on perilune's guest machine, QEMU's TCG and Unicorn in turn, and compares
//! CPU times. The same bytes at the same addresses are executed everywhere.
//!
//! `cargo run --release -p perilune-compare --bin perilune-guest-compare -- [options]`:
//!
//! | option | meaning |
//! | --- | --- |
//! | `--kernels LIST` | which kernels, parted by commas; all of them by default |
//! | `--engines LIST` | of `native`, `perilune`, `interpreter` (perilune without its translator), `tcg` (qemu-system-x86_64 -accel tcg), `unicorn` (python3 with its package) |
//! | `--runs N` | rounds, 5 by default; in each, every engine runs every kernel once |
//! | `--seconds S` | CPU time that a run shall take, 1 by default: each engine gets as many rounds of a kernel as fill it |
//! | `--help` | show this list |
//!
//! A time is that of one round of the kernel: CPU time (user and system, children reaped), less that of a run of no rounds, over the number of rounds.
//! The table has ratios to the processor's time: that of minima and, in brackets, that of medians. All engines must come to
//! the same answer first. An engine that is not installed is left out, with the reason.

mod engine;
mod kernel;
mod report;

use engine::Engine;
use kernel::{Kernel, Workshop};
use perilune_compare::command;
use std::process::ExitCode;

/// What the command line asks for.
struct Options {
    kernels: Vec<String>,
    engines: Vec<String>,
    runs: usize,
    seconds: f64,
    help: bool,
}

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut found = Options {
        kernels: kernel::NAMES.map(String::from).to_vec(),
        engines: engine::NAMES.map(String::from).to_vec(),
        runs: 5,
        seconds: 1.0,
        help: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("kernels") => found.kernels = command::list(&parser.value()?.string()?),
            Long("engines") => found.engines = command::list(&parser.value()?.string()?),
            Long("runs") => found.runs = parser.value()?.parse::<usize>()?.max(1),
            Long("seconds") => found.seconds = parser.value()?.parse()?,
            Short('h') | Long("help") => found.help = true,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(found)
}

/// A kernel's measurements.
struct Row {
    /// Seconds a round takes on each engine, one for each run.
    times: Vec<Vec<f64>>,
    /// Guest instructions of a round, if perilune has counted them.
    instructions: Option<f64>,
}

fn run(options: &Options) -> Result<(), String> {
    if options.help {
        print!("{}", command::help(include_str!("main.rs")));
        return Ok(());
    }
    command::must_be_optimized()?;
    let mut engines = Vec::new();
    for name in &options.engines {
        let engine = Engine::named(name)?;
        match engine.missing() {
            None => engines.push(engine),
            Some(why) => println!("NOT RUN: {name}: {why}"),
        }
    }
    let workshop = Workshop::new()?;
    let mut table = Vec::new();
    println!("{}", report::head(&engines));
    for name in &options.kernels {
        let kernel = workshop.kernel(name)?;
        let row = measure(&kernel, &engines, options)?;
        println!("{}", report::row(name, &row));
        table.push((name.clone(), row));
    }
    println!("{}", report::summary(&engines, &table));
    Ok(())
}

/// How many rounds the answers are compared with.
const CHECKED: u32 = 777;

/// Measures a kernel on all engines in turn.
fn measure(kernel: &Kernel, engines: &[Engine], options: &Options) -> Result<Row, String> {
    let mut answers = Vec::new();
    let mut plans = Vec::new();
    for engine in engines {
        answers.push(engine.run(kernel, CHECKED)?.answer);
        plans.push(plan(kernel, engine, options.seconds)?);
    }
    if let Some(other) = answers.iter().position(|answer| *answer != answers[0]) {
        let (a, b) = (&engines[0].name, &engines[other].name);
        return Err(format!("{}: {a} answers {}, {b} {}", kernel.name, answers[0], answers[other]));
    }
    let mut times = vec![Vec::new(); engines.len()];
    for _ in 0..options.runs {
        for ((engine, plan), times) in engines.iter().zip(&plans).zip(&mut times) {
            let time = engine.run(kernel, plan.rounds)?.time - plan.start;
            times.push(time / f64::from(plan.rounds));
        }
    }
    let count = |rounds| engines.iter().find_map(|engine| engine.instructions(kernel, rounds));
    let instructions = count(CHECKED).zip(count(0)).map(|(all, start)| (all - start) / f64::from(CHECKED));
    Ok(Row { times, instructions })
}

/// How a kernel is run on an engine.
struct Plan {
    /// Seconds without any round.
    start: f64,
    /// Rounds of a run.
    rounds: u32,
}

/// Finds out how many rounds take `seconds`.
fn plan(kernel: &Kernel, engine: &Engine, seconds: f64) -> Result<Plan, String> {
    let mut start = f64::INFINITY;
    for _ in 0..3 {
        start = start.min(engine.run(kernel, 0)?.time);
    }
    let mut rounds = 1000u32;
    loop {
        let time = (engine.run(kernel, rounds)?.time - start).max(1e-4);
        let factor = (seconds / time).min(50.0);
        if time > 0.1 * seconds || rounds == u32::MAX {
            return Ok(Plan { start, rounds: (f64::from(rounds) * factor) as u32 });
        }
        rounds = (f64::from(rounds) * factor) as u32;
    }
}

fn main() -> ExitCode {
    command::end("guest-compare", options().map_err(|e| e.to_string()).and_then(|options| run(&options)))
}
