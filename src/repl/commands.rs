//! The REPL's own commands: lines that begin with a colon.
#![forbid(unsafe_code)]

use std::time::Instant;

use perilune::{Error, Function, Result, Value, Values};

use super::{Flow, Repl, doc, look};
use crate::cli::print;

/// The commands' names.
pub const NAMES: [&str; 9] = ["dis", "doc", "help", "ir", "jit", "load", "quit", "time", "trace"];

const HELP: &str = "\
:help             this
:time code        run it, and tell how long that took
:dis name|code    the bytecode of a function, or of code, and of those inside
:trace [code]     the traces there are, or each that is made while code runs
:ir n|code        the intermediate code of trace n, or of those that running code makes
:jit [on|off]     is hot code compiled? switch it
:doc name         what a function of the library does, or where another one is
:load file        run a file
:quit             leave (as Ctrl-D)

_ is the last result; of several, _1 is the first, _2 the second ...
Tab completes, Ctrl-R searches the history, Ctrl-C stops a program.
";

/// The command that a line is, without its colon. (A line that begins with two is a label.)
pub fn written(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix(':').filter(|rest| !rest.starts_with(':'))
}

/// Carries a command out.
pub fn run(repl: &mut Repl, command: &str) -> Result<Flow> {
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    match name {
        "help" | "h" | "?" => print(HELP),
        "quit" | "q" => return Ok(Flow::Leave),
        "time" if !rest.is_empty() => {
            let start = Instant::now();
            let outcome = repl.statement(rest.as_bytes());
            repl.lua.flush();
            print(&format!("took {:.3} s\n", start.elapsed().as_secs_f64()));
            outcome?;
        }
        "dis" if !rest.is_empty() => disassemble(repl, rest)?,
        "trace" => trace(repl, rest)?,
        "ir" if !rest.is_empty() => intermediate(repl, rest)?,
        "jit" => jit(repl, rest)?,
        "doc" if !rest.is_empty() => document(repl, rest)?,
        "load" if !rest.is_empty() => repl.lua.load_file(rest)?.call::<()>(())?,
        known if NAMES.contains(&known) => return Err(Error::new(format!(":{known} wants more; see :help"))),
        unknown => return Err(Error::new(format!("there is no command :{unknown}; see :help"))),
    }
    Ok(Flow::Continue)
}

fn disassemble(repl: &Repl, text: &str) -> Result<()> {
    let session = repl.session.borrow();
    let named = look::named(repl.lua, &session, text);
    let function = match named {
        Some(Value::Function(function)) => function,
        Some(_) | None => session.load(text, format!("={}", super::CHUNK))?.function().clone(),
    };
    match function.listing() {
        Some(listing) => print(&listing),
        None => print("a native function, which has no bytecode\n"),
    }
    Ok(())
}

fn trace(repl: &mut Repl, code: &str) -> Result<()> {
    if code.is_empty() {
        let traces = repl.lua.traces();
        traces.iter().for_each(|trace| print(&format!("{}\n", trace.summary)));
        if traces.is_empty() {
            print("there are no traces\n");
        }
        return Ok(());
    }
    repl.lua.set_jit_mode("v").map_err(Error::new)?;
    let outcome = repl.statement(code.as_bytes());
    // It has just been there.
    let _ = repl.lua.set_jit_mode("quiet");
    outcome
}

fn intermediate(repl: &mut Repl, text: &str) -> Result<()> {
    let number = text.parse::<u32>();
    let before = repl.lua.traces().last().map_or(0, |trace| trace.number);
    if number.is_err() {
        repl.statement(text.as_bytes())?;
        repl.lua.flush();
    }
    let wanted = |n: u32| number.as_ref().map_or(n > before, |number| n == *number);
    let traces: Vec<_> = repl.lua.traces().into_iter().filter(|trace| wanted(trace.number)).collect();
    for trace in &traces {
        print(&format!("{}\n{}", trace.summary, trace.ir));
    }
    match number {
        _ if !traces.is_empty() => {}
        Ok(number) => return Err(Error::new(format!("there is no trace {number}"))),
        Err(_) => print("no traces were made\n"),
    }
    Ok(())
}

fn jit(repl: &mut Repl, mode: &str) -> Result<()> {
    match mode {
        "" => {}
        "on" | "off" => {
            repl.lua.set_jit_mode(mode).map_err(Error::new)?;
            repl.compiling = mode == "on";
        }
        _ => return Err(Error::new(":jit takes on or off")),
    }
    let is = if repl.compiling { "is compiled" } else { "is not compiled" };
    print(&format!("hot code {is}; there are {} traces\n", repl.lua.traces().len()));
    Ok(())
}

fn document(repl: &Repl, name: &str) -> Result<()> {
    let value = look::named(repl.lua, &repl.session.borrow(), name);
    let written = name.replace(':', ".");
    if let Some(text) = doc::of(&written).or_else(|| doc::of(&format!("string.{written}"))) {
        print(&text);
        return Ok(());
    }
    let Some(value) = value else { return Err(Error::new(format!("'{name}' is nothing"))) };
    let Value::Function(function) = value else {
        print(&format!("a {}\n", value.type_name()));
        return Ok(());
    };
    print(&describe(repl, &function)?);
    Ok(())
}

/// A function of the user's: its parameters, and where it is.
fn describe(repl: &Repl, function: &Function) -> Result<String> {
    let code = "local f, info, name = ..., debug.getinfo, debug.getlocal
        local at, names = info(f, 'Su'), {}
        for i = 1, at.nparams do names[i] = name(f, i) end
        if at.isvararg then names[#names + 1] = '...' end
        return 'function (' .. table.concat(names, ', ') .. ')', at.short_src, at.linedefined";
    let (head, file, line) = repl.lua.load(code).into_function()?.call::<(String, String, i64)>(function)?;
    Ok(if line < 0 { "a native function\n".to_string() } else { format!("{head}\n  {file}:{line}\n") })
}

/// The names of what `Values` holds last: `_` and, if there are several, `_1`, `_2`, ...
pub fn keep_results(repl: &mut Repl, values: &Values) -> Result<()> {
    let globals = repl.lua.globals();
    globals.raw_set("_", values.0[0].clone())?;
    let several = values.0.len().max(repl.kept);
    for i in 0..several {
        globals.raw_set(format!("_{}", i + 1), values.0.get(i).cloned().unwrap_or_default())?;
    }
    repl.kept = values.0.len();
    Ok(())
}
