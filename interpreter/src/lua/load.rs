//! From the text of a chunk to a function that can be called.

#![forbid(unsafe_code)]

use perilune_runtime::lua::function::{Cell, LuaFunction};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::prototype::Prototype;
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::value::Value;

use super::api::Mode;

/// What a binary chunk begins with.
pub const SIGNATURE: u8 = b'\x1b';

/// A binary chunk's name in messages.
fn binary_name(name: &[u8]) -> &[u8] {
    match name {
        [b'@' | b'=', rest @ ..] => rest,
        [SIGNATURE, ..] => b"binary string",
        _ => name,
    }
}

/// A compiled chunk as a function whose first upvalue, `_ENV` if it is a chunk's, is `env`; others are nil.
pub fn close_over(st: &mut State, prototype: &Prototype, env: Value) -> Result<Gc<LuaFunction>, Raised> {
    let proto = st.load_prototype(prototype)?;
    let mut cells = Vec::with_capacity(prototype.upvalues.len());
    for i in 0..prototype.upvalues.len() {
        cells.push(st.heap.cell(if i == 0 { env } else { Value::NIL })?);
    }
    Ok(st.heap.lua_function(proto, cells.into_iter())?)
}

/// A compiled chunk of a session as a function with this `_ENV`, and with these cells for what it shares.
pub fn close_over_session(
    st: &mut State,
    prototype: &Prototype,
    env: Value,
    shared: impl Iterator<Item = Option<Gc<Cell>>>,
) -> Result<Gc<LuaFunction>, Raised> {
    let proto = st.load_prototype(prototype)?;
    let mut cells = vec![st.heap.cell(env)?];
    for cell in shared {
        cells.push(match cell {
            Some(cell) => cell,
            None => st.heap.cell(Value::NIL)?,
        });
    }
    Ok(st.heap.lua_function(proto, cells.into_iter())?)
}

/// Does the mode allow a chunk that begins like this?
pub fn is_allowed(text: &[u8], mode: Mode) -> bool {
    let binary = text.first() == Some(&SIGNATURE);
    match mode {
        Mode::Any => true,
        Mode::Text => !binary,
        Mode::Binary => binary,
    }
}

/// Is this the beginning of no program at all? Asked of texts that come in pieces. False if in doubt.
pub fn is_hopeless(text: &[u8]) -> bool {
    if text.first() == Some(&SIGNATURE) {
        return false;
    }
    // What the text's end has to do with it changes with what follows.
    let problem = |next: &[u8]| super::parser::parse(&[text, next].concat(), b"=").err().map(|e| e.message);
    let (one, other) = (problem(b"\n"), problem(b"1"));
    let ends = |message: &[u8]| {
        message.ends_with(b"<eof>") || message.ends_with(b"<eof>'") || message.windows(6).any(|w| w == b" goto ")
    };
    one.is_some_and(|message| !ends(&message) && Some(message) == other)
}

/// See [`super::api::load`].
pub fn load(st: &mut State, text: &[u8], name: &[u8], mode: Mode, env: Value) -> Result<Gc<LuaFunction>, Raised> {
    let binary = text.first() == Some(&SIGNATURE);
    if !is_allowed(text, mode) {
        let kind = if binary { "binary" } else { "text" };
        let mode = match mode {
            Mode::Any => "bt",
            Mode::Text => "t",
            Mode::Binary => "b",
        };
        let message = format!("attempt to load a {kind} chunk (mode is '{mode}')");
        return Err(st.raise_text(message.as_bytes()));
    }
    if binary {
        return match super::binary::read(text) {
            Ok(prototype) => close_over(st, &prototype, env),
            Err(why) => {
                Err(st.raise_text(&[binary_name(name), format!(": bad binary format ({why})").as_bytes()].concat()))
            }
        };
    }
    match super::compile::compile(text, name) {
        Ok(prototype) => close_over(st, &prototype, env),
        Err(problem) => Err(st.raise_text(&problem.message)),
    }
}
