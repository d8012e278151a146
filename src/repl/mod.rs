//! The REPL: reads statements and expressions, runs them, shows the values of expressions.
//!
//! Without a terminal on both sides it does what C Lua's does, and nothing is written but what the program itself prints. On a
//! terminal there is more: an editor (`editor`), with colours (`highlight`, over `scan`) and completion (`complete`, over
//! `look`); values are shown with their contents (`pretty`), errors with their place (`explain`); local variables live on
//! in a session, and there are commands (`commands`, `doc`).
#![forbid(unsafe_code)]

mod commands;
#[cfg(feature = "repl")]
mod complete;
mod doc;
#[cfg(feature = "repl")]
mod editor;
mod explain;
#[cfg(feature = "repl")]
mod highlight;
mod input;
mod look;
mod pretty;
#[cfg(feature = "repl")]
mod scan;
mod style;

use std::cell::RefCell;
use std::collections::VecDeque;

use perilune::{Error, Lua, Result, Session, Value, Values};

use crate::cli::{print, signal, tell};
use input::{Input, Line};
use pretty::Printer;

/// How messages name what is typed.
const CHUNK: &str = "stdin";

/// Most results that get a name.
const MAX_RESULTS: usize = 100;

/// What comes after a statement.
pub enum Flow {
    /// The next one.
    Continue,
    /// The end.
    Leave,
}

/// What the REPL knows.
pub struct Repl<'a> {
    lua: &'a Lua,
    /// Both sides are a terminal.
    terminal: bool,
    colors: bool,
    /// The local variables so far; the editor looks at them too.
    session: &'a RefCell<Session<'a>>,
    /// The function `print` as it was at the beginning: results are printed by another, if there is one.
    print: Value,
    /// Columns of the terminal.
    width: usize,
    /// Results that have names now.
    kept: usize,
    /// Is hot code compiled?
    compiling: bool,
}

/// Runs until the input ends. On a terminal it begins with `greeting`.
pub fn run(lua: &Lua, greeting: Option<&str>, compiling: bool) {
    let session = RefCell::new(Session::new(lua));
    let mut input = Input::open(lua, &session);
    let terminal = input.is_terminal();
    if let Some(greeting) = greeting.filter(|_| terminal) {
        print(&format!("{greeting}  :help tells of commands, Ctrl-D leaves\n"));
    }
    let mut repl = Repl {
        lua,
        terminal,
        colors: terminal && style::wanted(),
        session: &session,
        print: lua.globals().raw_get("print").unwrap_or_default(),
        width: 80,
        kept: 0,
        compiling,
    };
    let mut waiting = VecDeque::new();
    while let Some(text) = repl.read(&mut input, &mut waiting) {
        signal::clear();
        repl.width = input.width();
        let outcome = match std::str::from_utf8(&text).ok().and_then(commands::written).filter(|_| terminal) {
            Some(command) => commands::run(&mut repl, command.trim_end()),
            None => repl.statement(&text).map(|()| Flow::Continue),
        };
        // Whatever was printed comes before a message or the next prompt, which the editor writes over its line.
        if terminal {
            lua.end_line();
        } else {
            lua.flush();
        }
        match outcome {
            Ok(Flow::Continue) => {}
            Ok(Flow::Leave) => return,
            Err(error) if terminal => tell(&explain::explain(&error, &String::from_utf8_lossy(&text), repl.colors)),
            Err(error) => tell(&[&error.report()[..], b"\n"].concat()),
        }
    }
    input.close();
}

impl Repl<'_> {
    /// Reads lines until they are a whole statement, or wrong. None at the end of the input.
    fn read(&self, input: &mut Input, waiting: &mut VecDeque<Vec<u8>>) -> Option<Vec<u8>> {
        'statement: loop {
            let mut text = match self.line(input, waiting, b"", "_PROMPT", "> ") {
                Line::Text(text) => text,
                Line::Interrupted => continue,
                Line::End => return None,
            };
            // As in Lua 5.1: `=x` shows x.
            if text.first() == Some(&b'=') {
                text.splice(..1, *b"return ");
            }
            if self.terminal && text.starts_with(b":") {
                input.remember(&text);
                return Some(text);
            }
            loop {
                match self.check(&text) {
                    Some(problem) if problem.message_bytes().ends_with(b"<eof>") => {}
                    // Pasted lines that are several statements: one after the other, as if they were typed.
                    Some(_) if text.contains(&b'\n') && waiting.is_empty() && self.begins_whole(&text) => {
                        let text = text.trim_ascii_end();
                        waiting.extend(text.split(|c| *c == b'\n').map(<[u8]>::to_vec));
                        continue 'statement;
                    }
                    _ => break,
                }
                match self.line(input, waiting, &text, "_PROMPT2", ">> ") {
                    Line::Text(more) => {
                        text.push(b'\n');
                        text.extend_from_slice(&more);
                    }
                    Line::Interrupted => continue 'statement,
                    Line::End => break,
                }
            }
            input.remember(&text);
            return Some(text);
        }
    }

    fn line(
        &self,
        input: &mut Input,
        waiting: &mut VecDeque<Vec<u8>>,
        before: &[u8],
        global: &str,
        default: &str,
    ) -> Line {
        let prompt = self.prompt(global, default);
        match waiting.pop_front() {
            Some(line) => {
                let shown = String::from_utf8_lossy(&line).into_owned();
                print(&format!("{prompt}{shown}\n"));
                Line::Text(line)
            }
            None => input.read(self.lua, &prompt, before),
        }
    }

    /// What is wrong with the text as a statement or expression.
    fn check(&self, text: &[u8]) -> Option<Error> {
        match self.terminal {
            true => self.session.borrow().load(text, format!("={CHUNK}")).err(),
            false => self.lua.load(text).name(&format!("={CHUNK}")).into_expression().err(),
        }
    }

    /// Is some of the first lines a statement or expression by itself?
    fn begins_whole(&self, text: &[u8]) -> bool {
        let ends = (0..text.len()).filter(|at| text[*at] == b'\n');
        ends.into_iter().any(|end| self.check(&text[..end]).is_none())
    }

    /// Runs a statement, or shows the values of an expression.
    fn statement(&mut self, text: &[u8]) -> Result<()> {
        let name = format!("={CHUNK}");
        if !self.terminal {
            let results: Values = self.lua.load(text).name(&name).into_expression()?.call(())?;
            return if results.0.is_empty() { Ok(()) } else { self.print_with(&self.global_print()?, results) };
        }
        let entry = self.session.borrow().load(text, &name)?;
        let results = {
            // While it runs nobody else looks at the variables.
            let mut session = self.session.borrow_mut();
            session.run(entry)?
        };
        if results.0.is_empty() {
            return Ok(());
        }
        if results.0.len() <= MAX_RESULTS {
            commands::keep_results(self, &results)?;
        }
        let print_now = self.global_print()?;
        if print_now != self.print {
            return self.print_with(&print_now, results);
        }
        let text = Printer::new(self.lua, self.colors, self.width).results(&results.0)?;
        self.lua.end_line();
        crate::cli::write(&text);
        Ok(())
    }

    fn global_print(&self) -> Result<Value> {
        self.lua.globals().get("print")
    }

    fn print_with(&self, print: &Value, results: Values) -> Result<()> {
        let printed = self.lua.call::<()>(print, results);
        printed.map_err(|e| Error::new(format!("error calling 'print' ({e})")))
    }

    /// A prompt, which a global of Lua's may replace.
    fn prompt(&self, global: &str, default: &str) -> String {
        let value = self.lua.globals().raw_get::<Value>(global).unwrap_or_default();
        match value.is_nil() {
            true => default.to_string(),
            false => self.lua.to_string(&value).map_or_else(|_| default.to_string(), |text| text.to_string_lossy()),
        }
    }
}
