//! The command `perilune`: what `lua` does, with the options of the compiler added.
//!
//! Errors go to stderr as `perilune: message` with a traceback, and make the exit status 1.
#![deny(unsafe_code)]

mod memory;
mod options;
mod profile;
pub mod signal;

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use perilune::{Bytes, Error, Function, Lua, Options, Result, Value, Values};

use options::{Invocation, JitOption, Request, Step};

const VERSION: &str = concat!("perilune ", env!("CARGO_PKG_VERSION"), " (Lua 5.4)");

/// The interval of the profiler's samples.
const SAMPLES: Duration = Duration::from_millis(1);

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    memory::keep();
    let args: Vec<Vec<u8>> = std::env::args_os().map(OsStringExt::into_vec).collect();
    let run = match options::parse(&args) {
        Ok(Request::Run(run)) => run,
        Ok(Request::Help) => {
            print(options::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Request::Version) => {
            print(&format!("{VERSION}\n"));
            return ExitCode::SUCCESS;
        }
        Ok(Request::GdbScript) => {
            print(include_str!("../gdb_script.py"));
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            complain(wrong.to_string().as_bytes());
            tell(options::USAGE.as_bytes());
            return ExitCode::FAILURE;
        }
    };
    let mut state = Options::new();
    for option in &run.jit {
        let (name, text, outcome) = match option {
            JitOption::Command(text) => ("j", text, state.jit_mode(text)),
            JitOption::Parameter(text) => ("O", text, state.jit_parameter(text)),
            JitOption::Gdb(text) => ("-gdb=", text, state.gdb(text)),
            JitOption::Perf(text) => ("-perf=", text, state.perf(text)),
        };
        if let Err(why) = outcome {
            complain(format!("-{name}{text}: {why}").as_bytes());
            tell(options::USAGE.as_bytes());
            return ExitCode::FAILURE;
        }
    }
    if run.ignore_environment {
        state = state.ignore_environment();
    }
    let lua = Lua::with_options(&state);
    signal::watch(lua.interrupt());
    let profiler = run.profile.as_ref().map(|_| lua.profile(SAMPLES));
    let outcome = execute(&lua, &args, &run);
    if let (Some(profiler), Some(path)) = (profiler, &run.profile) {
        let found = profiler.finish();
        if let Err(why) = profile::write(&found, Path::new(OsStr::from_bytes(path))) {
            complain(format!("cannot write {}: {why}", String::from_utf8_lossy(path)).as_bytes());
        }
        tell(format!("{}\n", found.summary()).as_bytes());
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            lua.flush();
            complain(&error.report());
            ExitCode::FAILURE
        }
    }
}

/// Everything that was asked for, in `lua`'s order.
fn execute(lua: &Lua, args: &[Vec<u8>], run: &Invocation) -> Result<()> {
    if run.show_version {
        print(&format!("{VERSION}\n"));
    }
    lua.open_guest()?;
    lua.globals().set("arg", argument_table(lua, args, run.script)?)?;
    if !run.ignore_environment {
        run_init(lua)?;
    }
    for step in &run.steps {
        match step {
            Step::Execute(code) => lua.load(code).name("=(command line)").exec()?,
            Step::Warnings => lua.set_warnings(true),
            Step::Require { global, module } => {
                let require: Function = lua.globals().get("require")?;
                let value: Value = require.call(Bytes(module.clone()))?;
                lua.globals().set(global.as_slice(), value)?;
            }
        }
    }
    if let Some(at) = run.script {
        let script = match args[at].as_slice() {
            b"-" if at == 0 || args[at - 1] != b"--" => lua.load_stdin()?,
            path => lua.load_file(OsStr::from_bytes(path))?,
        };
        script.call::<()>(script_arguments(lua)?)?;
    }
    let idle =
        run.script.is_none() && !run.show_version && !run.steps.iter().any(|step| matches!(step, Step::Execute(_)));
    let terminal = std::io::stdin().is_terminal();
    if run.interactive || idle && terminal {
        let compiling = cfg!(feature = "jit") && !off(&run.jit);
        crate::repl::run(lua, (!run.show_version).then_some(VERSION), compiling);
    } else if idle {
        lua.load_stdin()?.call::<()>(())?;
    }
    Ok(())
}

/// Is the compiler switched off?
fn off(options: &[JitOption]) -> bool {
    let modes = options.iter().rev().filter_map(|option| match option {
        JitOption::Command(mode) => Some(&mode[..]),
        JitOption::Parameter(_) | JitOption::Gdb(_) | JitOption::Perf(_) => None,
    });
    modes.clone().find(|mode| matches!(*mode, "on" | "off")) == Some("off")
}

/// The global `arg`: the script is number 0, what stands before it has negative numbers. Without a script the program's name
/// is number 0.
fn argument_table(lua: &Lua, args: &[Vec<u8>], script: Option<usize>) -> Result<perilune::Table> {
    let first = script.unwrap_or(0) as i64;
    lua.table_from((0_i64..).zip(args).map(|(i, arg)| (i - first, arg.as_slice())))
}

/// What the script finds in `...`: the elements of the global `arg`, which code before it may have changed.
fn script_arguments(lua: &Lua) -> Result<Values> {
    match lua.globals().get("arg")? {
        Value::Table(arg) => (1..=arg.len()?).map(|i| arg.raw_get(i)).collect::<Result<_>>().map(Values),
        _ => Err(Error::new("'arg' is not a table")),
    }
}

/// Runs what the environment asks for: code, or a file if an `@` stands before its name.
fn run_init(lua: &Lua) -> Result<()> {
    let init = |name: &'static str| Some((name, std::env::var_os(name)?.into_vec()));
    match init("LUA_INIT_5_4").or_else(|| init("LUA_INIT")) {
        None => Ok(()),
        Some((name, text)) => match text.split_first() {
            Some((b'@', path)) => lua.load_file(OsStr::from_bytes(path))?.call(()),
            _ => lua.load(&text).name(&format!("={name}")).exec(),
        },
    }
}

// ---- output; there is nobody to tell that it failed

/// Writes to stdout.
pub fn print(text: &str) {
    write(text.as_bytes());
}

/// Writes bytes to stdout.
pub fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes);
    let _ = out.flush();
}

/// Writes to stderr.
pub fn tell(text: &[u8]) {
    let _ = std::io::stderr().write_all(text);
}

fn complain(message: &[u8]) {
    tell(&[b"perilune: ", message, b"\n"].concat());
}
