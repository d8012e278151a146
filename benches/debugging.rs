//! What it costs that compiled code can be debugged, in a process with many traces: telling gdb of them, and panics that pass them.
//!
//! `cargo bench -p perilune --bench debugging [-- number of traces]`, 10,000 of them by default. No criterion: everything
//! happens once in a process's life.
#![forbid(unsafe_code)]

use perilune::{Function, Lua, Options};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Loops in a chunk. Each runs long enough to be worth its trace, or the compiler would become reluctant.
const LOOPS: usize = 100;
/// Panics that are timed, after the first one.
const PANICS: usize = 200;

fn main() {
    let count: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    #[cfg(feature = "jit")]
    {
        println!("{count} traces, each of a loop with a call that is compiled into it; processor time");
        for (gdb, what) in [("off", "untold"), ("batches", "by default"), ("", "with --gdb")] {
            println!("  {what}: {}", making(count, gdb));
        }
    }
    for traces in [0, count] {
        panics(traces);
    }
}

/// A state with so many traces, and how long it took to make them.
fn with_traces(count: usize, gdb: &str, report: Option<&str>) -> (Lua, f64) {
    let mut options = Options::new();
    #[cfg(feature = "jit")]
    {
        options.jit_parameter(&format!("maxtrace={}", count + 100)).expect("there is such a parameter");
        if gdb != "batches" {
            options.gdb(gdb).expect("there is such a mode");
        }
        if let Some(file) = report {
            options.jit_mode(&format!("v={file}")).expect("the file can be written");
        }
    }
    let _ = (&mut options, gdb, report);
    let lua = Lua::with_options(&options);
    let mut text = String::from("local function add(a, b) local c = a + b return c % 1000 end local s = 0\n");
    for n in 0..LOOPS {
        writeln!(text, "for i = 1, 10000 do\n  local x = i + {n}\n  s = add(s, x)\nend")
            .expect("writing to a string cannot fail");
    }
    let clock: Function = lua.eval("os.clock").expect("there is a clock");
    let time = || clock.call::<f64>(()).expect("the clock answers");
    let mut kept = Vec::new();
    let began = time();
    for n in 0..count.div_ceil(LOOPS) {
        let chunk = lua.load(&text).name(&format!("@/nowhere/chunk_{n}.lua")).into_function().expect("it compiles");
        chunk.call::<()>(()).expect("it runs");
        kept.push(chunk);
    }
    let took = time() - began;
    lua.globals().set("kept", kept).expect("there is room");
    (lua, took)
}

/// Makes so many traces. Answers how long that took, and how much of it the compiler says was for debuggers.
#[cfg(feature = "jit")]
fn making(count: usize, gdb: &str) -> String {
    let file = std::env::temp_dir().join(format!("perilune-debugging-{}", std::process::id()));
    let path = file.to_str().expect("a path of text");
    let (lua, took) = with_traces(count, gdb, Some(path));
    drop(lua);
    let text = std::fs::read_to_string(path).expect("it was written");
    let _ = std::fs::remove_file(path);
    let traces = text.lines().filter(|line| line.starts_with("trace ")).count();
    assert!(traces >= count, "only {traces} traces were made");
    let told = text.lines().next_back().filter(|line| line.starts_with("debuggers: "));
    format!("{traces} traces made in {:.0} ms; {}", took * 1e3, told.unwrap_or("debuggers: nothing"))
}

/// Times panics in a native function below compiled code.
fn panics(traces: usize) {
    let (lua, _) = with_traces(traces, "batches", None);
    std::panic::set_hook(Box::new(|_| {}));
    let boom = lua.function(|_, n: i64| {
        assert!(n < 100, "boom");
        Ok(n)
    });
    lua.globals().set("boom", boom.expect("there is room")).expect("there is room");
    let run: Function =
        lua.eval("function() local s = 0 for i = 1, 200 do s = s + boom(i) end return s end").expect("it compiles");
    let one = || {
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run.call::<i64>(())));
        assert!(outcome.is_err());
        began.elapsed().as_secs_f64() * 1e6
    };
    let first = one();
    let mut later: Vec<f64> = (0..PANICS).map(|_| one()).collect();
    later.sort_by(f64::total_cmp);
    let _ = std::panic::take_hook();
    println!(
        "a panic below compiled code, in a process with {traces} other traces: the first {first:.0} us, later ones {:.1} us at least, {:.1} us usually",
        later[0],
        later[PANICS / 2]
    );
}
