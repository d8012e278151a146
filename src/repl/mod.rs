//! The REPL: reads statements and expressions, runs them, prints the values of expressions.
//!
//! Without a terminal on both sides nothing is written but what the program itself prints.
#![forbid(unsafe_code)]

#[cfg(feature = "repl")]
mod editor;
mod input;

use perilune::{Error, Function, Lua, Value, Values};

use crate::cli::{signal, tell};
use input::{Input, Line};

/// Runs until the input ends.
pub fn run(lua: &Lua) {
    let mut input = Input::open();
    while let Some(statement) = read(lua, &mut input) {
        signal::clear();
        let outcome = statement.and_then(|function| evaluate(lua, &function));
        // Whatever was printed comes before a message or the next prompt.
        lua.flush();
        if let Err(error) = outcome {
            tell(&[&error.report()[..], b"\n"].concat());
        }
    }
    input.close();
}

fn evaluate(lua: &Lua, function: &Function) -> Result<(), Error> {
    let results: Values = function.call(())?;
    if !results.0.is_empty() {
        let print: Value = lua.globals().get("print")?;
        let printed = lua.call::<()>(&print, results);
        printed.map_err(|e| Error::new(format!("error calling 'print' ({e})")))?;
    }
    Ok(())
}

/// Reads lines until they are a whole statement, or wrong. None at the end of the input.
fn read(lua: &Lua, input: &mut Input) -> Option<Result<Function, Error>> {
    let mut text = loop {
        match input.read(lua, &prompt(lua, "_PROMPT", "> ")) {
            Line::Text(text) => break text,
            Line::Interrupted => {}
            Line::End => return None,
        }
    };
    // As in Lua 5.1: `=x` shows x.
    if text.first() == Some(&b'=') {
        text.splice(..1, *b"return ");
    }
    loop {
        let outcome = lua.load(&text).name("=stdin").into_expression();
        let incomplete = matches!(&outcome, Err(error) if error.message_bytes().ends_with(b"<eof>"));
        if incomplete {
            match input.read(lua, &prompt(lua, "_PROMPT2", ">> ")) {
                Line::Text(more) => {
                    text.push(b'\n');
                    text.extend_from_slice(&more);
                    continue;
                }
                Line::Interrupted => return read(lua, input),
                Line::End => {}
            }
        }
        input.remember(&text);
        return Some(outcome);
    }
}

/// A prompt, which a global of Lua's may replace.
fn prompt(lua: &Lua, global: &str, default: &str) -> String {
    let value = lua.globals().raw_get::<Value>(global).unwrap_or_default();
    match value.is_nil() {
        true => default.to_string(),
        false => lua.to_string(&value).map_or_else(|_| default.to_string(), |text| text.to_string_lossy()),
    }
}
