//! Runs the programs of `benches/programs` under perilune and its peers in turn, and compares CPU times.
//!
//! `cargo run --release -p perilune-compare -- [options]`:
//!
//! | option | meaning |
//! | --- | --- |
//! | `--programs GLOB` | which programs (`*` stands for anything; several, parted by commas) |
//! | `--runs N` | rounds, 5 by default; in each, every contestant runs every program once |
//! | `--peers LIST` | of `puc`, `luajit`, `luajit-off`, `off` (perilune without its JIT), `perilune`; the first is what speeds relate to |
//! | `--small` | the programs' default sizes, some 10 ms each: what does the JIT cost a short run? |
//! | `--start` | starts of an empty script instead of programs |
//! | `--svg FILE` | a bar chart of the speeds |
//! | `--counts` | no clock: instructions of the interpreter and sizes of traces, compared with `benches/programs/counts.txt` |
//! | `--bless` | with `--counts`: write that file anew |
//! | `--help` | show this list |
//!
//! A shared machine is noisy: a *speed* is the ratio of two minima of CPU time (user and system, children reaped) from one
//! alternating run. Outputs are compared with the first peer's at every run. Where perilune runs with its JIT and without, a
//! bootstrap over the pairs of a round says whether the JIT makes a program slower: when the 95 % interval of the ratio of the times
//! lies wholly above 1.05.

mod chart;
mod counts;
mod measure;
mod report;

use measure::{Contestant, Program};
use perilune_compare::command;
use std::process::ExitCode;

/// What the command line asks for.
struct Options {
    programs: Vec<String>,
    runs: usize,
    peers: Vec<String>,
    small: bool,
    start: bool,
    svg: Option<String>,
    counts: bool,
    bless: bool,
    help: bool,
}

fn options() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut found = Options {
        programs: vec!["*".into()],
        runs: 5,
        peers: ["puc", "luajit", "off", "perilune"].map(String::from).to_vec(),
        small: false,
        start: false,
        svg: None,
        counts: false,
        bless: false,
        help: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("programs") => found.programs = command::list(&parser.value()?.string()?),
            Long("runs") => found.runs = parser.value()?.parse()?,
            Long("peers") => found.peers = command::list(&parser.value()?.string()?),
            Long("small") => found.small = true,
            Long("start") => found.start = true,
            Long("svg") => found.svg = Some(parser.value()?.string()?),
            Long("counts") => found.counts = true,
            Long("bless") => found.bless = true,
            Short('h') | Long("help") => found.help = true,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(found)
}

fn run(options: &Options) -> Result<(), String> {
    if options.help {
        print!("{}", command::help(include_str!("main.rs")));
        return Ok(());
    }
    command::must_be_optimized()?;
    if options.counts {
        println!("{}", counts::run(&measure::programs(&["*".into()])?, options.bless)?);
        return Ok(());
    }
    let contestants = options.peers.iter().map(|name| Contestant::named(name)).collect::<Result<Vec<_>, _>>()?;
    let programs = if options.start { vec![measure::empty()?] } else { measure::programs(&options.programs)? };
    if programs.is_empty() || contestants.is_empty() || options.runs == 0 {
        return Err("nothing to run".into());
    }
    let mut table = Vec::new();
    println!("{}", report::head(&contestants));
    for program in &programs {
        let row = measure::alternate(program, &contestants, options.runs, options.small || options.start)?;
        println!("{}", report::row(program, &row));
        table.push((program, row));
    }
    println!("{}", report::summary(&contestants, &table));
    if let Some(path) = &options.svg {
        std::fs::write(path, chart::svg(&contestants, &table)).map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(())
}

/// A program's measurements, one per contestant; `Err` is the reason why one was left out.
type Row = Vec<Result<Vec<f64>, String>>;
/// All measurements.
type Table<'p> = [(&'p Program, Row)];

fn main() -> ExitCode {
    command::end("compare", options().map_err(|e| e.to_string()).and_then(|options| run(&options)))
}
