//! What functions written in Rust use: their arguments checked and converted, operations that respect metamethods, calls.
//!
//! Arguments are counted from 0 here and from 1 in messages. A [`Gc`] stays valid until the next safepoint, and any
//! operation that may run Lua code (all that respect metamethods, and calls) contains safepoints: what must outlive one
//! has to lie on the stack.

#![forbid(unsafe_code)]

use std::fmt;

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::LuaFunction;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number::{self, Number};
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::table::{SetError, Table};
use perilune_runtime::lua::thread::Thread;
use perilune_runtime::lua::userdata::Userdata;
use perilune_runtime::lua::value::{Value, tag};

pub use super::call::{call, call_caught_late, call_handled, call_protected, special};
pub use super::error::{Bytes, arg_error, error, message_bytes, traceback, type_error, where_};
pub use super::meta::{
    arithmetic, compare_equal, concat, index, less_equal, less_than, metafield, object_length, set_index,
};

// ---- arguments

/// Was the argument given? nil counts as given.
pub fn is_given(f: CallFrame, i: usize) -> bool {
    i < f.count as usize
}

/// Is the argument absent or nil?
pub fn is_none_or_nil(st: &State, f: CallFrame, i: usize) -> bool {
    st.arg(f, i).is_nil()
}

/// Any argument, which must be given.
pub fn check_any(st: &mut State, f: CallFrame, i: usize) -> Result<Value, Raised> {
    if is_given(f, i) { Ok(st.arg(f, i)) } else { Err(arg_error(st, f, i, "value expected")) }
}

/// An integer; floats with an exact integer value and strings that look like such are converted.
#[inline]
pub fn check_int(st: &mut State, f: CallFrame, i: usize) -> Result<i64, Raised> {
    let value = st.arg(f, i);
    if value.is_integer() { Ok(value.raw_integer()) } else { check_int_slow(st, f, i) }
}

/// An integer that C Lua has as an `int`: of larger ones the lower bits count.
pub fn check_c_int(st: &mut State, f: CallFrame, i: usize) -> Result<i32, Raised> {
    Ok(check_int(st, f, i)? as i32)
}

/// As [`check_c_int`], with a default for what is absent or nil.
pub fn opt_c_int(st: &mut State, f: CallFrame, i: usize, default: i32) -> Result<i32, Raised> {
    if is_none_or_nil(st, f, i) { Ok(default) } else { check_c_int(st, f, i) }
}

#[cold]
fn check_int_slow(st: &mut State, f: CallFrame, i: usize) -> Result<i64, Raised> {
    let value = st.arg(f, i);
    if let Some(n) = to_int(value) {
        return Ok(n);
    }
    Err(if to_number(value).is_some() {
        arg_error(st, f, i, "number has no integer representation")
    } else {
        type_error(st, f, i, "number")
    })
}

/// A number as a float; strings that look like numbers are converted.
#[inline]
pub fn check_number(st: &mut State, f: CallFrame, i: usize) -> Result<f64, Raised> {
    let value = st.arg(f, i);
    if value.is_float() { Ok(value.raw_float()) } else { Ok(check_numeric(st, f, i)?.to_float()) }
}

/// A number of either kind; strings that look like numbers are converted.
pub fn check_numeric(st: &mut State, f: CallFrame, i: usize) -> Result<Number, Raised> {
    match to_number(st.arg(f, i)) {
        Some(n) => Ok(n),
        None => Err(type_error(st, f, i, "number")),
    }
}

/// A string; a number is converted, in its slot too.
#[inline]
pub fn check_string(st: &mut State, f: CallFrame, i: usize) -> Result<Gc<Str>, Raised> {
    match st.arg(f, i).as_string() {
        Some(s) => Ok(s),
        None => check_string_slow(st, f, i),
    }
}

#[cold]
fn check_string_slow(st: &mut State, f: CallFrame, i: usize) -> Result<Gc<Str>, Raised> {
    match number_of(st.arg(f, i)) {
        Some(n) => {
            let s = st.string(&number::to_text(n))?;
            st.set_slot(f.base as usize + i, Value::from(s));
            Ok(s)
        }
        None => Err(type_error(st, f, i, "string")),
    }
}

/// A table.
#[inline]
pub fn check_table(st: &mut State, f: CallFrame, i: usize) -> Result<Gc<Table>, Raised> {
    match st.arg(f, i).as_table() {
        Some(t) => Ok(t),
        None => Err(type_error(st, f, i, "table")),
    }
}

/// A function of either kind.
pub fn check_function(st: &mut State, f: CallFrame, i: usize) -> Result<Value, Raised> {
    let value = st.arg(f, i);
    if value.is_function() { Ok(value) } else { Err(type_error(st, f, i, "function")) }
}

/// A coroutine.
pub fn check_thread(st: &mut State, f: CallFrame, i: usize) -> Result<Gc<Thread>, Raised> {
    match st.arg(f, i).as_thread() {
        Some(t) => Ok(t),
        None => Err(type_error(st, f, i, "thread")),
    }
}

/// A userdata that holds a `T`; `name` is the type's name in messages.
pub fn check_userdata<T: 'static>(st: &mut State, f: CallFrame, i: usize, name: &str) -> Result<Gc<Userdata>, Raised> {
    match st.arg(f, i).as_userdata() {
        Some(u) if u.data.borrow().as_ref().is_some_and(|d| d.is::<T>()) => Ok(u),
        _ => Err(type_error(st, f, i, name)),
    }
}

/// An integer, or what stands in for an absent one.
pub fn opt_int(st: &mut State, f: CallFrame, i: usize, default: i64) -> Result<i64, Raised> {
    if is_none_or_nil(st, f, i) { Ok(default) } else { check_int(st, f, i) }
}

/// A float, or what stands in for an absent one.
pub fn opt_number(st: &mut State, f: CallFrame, i: usize, default: f64) -> Result<f64, Raised> {
    if is_none_or_nil(st, f, i) { Ok(default) } else { check_number(st, f, i) }
}

/// A string, if it is there.
pub fn opt_string(st: &mut State, f: CallFrame, i: usize) -> Result<Option<Gc<Str>>, Raised> {
    if is_none_or_nil(st, f, i) { Ok(None) } else { check_string(st, f, i).map(Some) }
}

/// One of these words; answers its place. An absent argument is the default.
pub fn check_option(
    st: &mut State,
    f: CallFrame,
    i: usize,
    default: Option<&str>,
    words: &[&str],
) -> Result<usize, Raised> {
    let word = match default {
        Some(d) if is_none_or_nil(st, f, i) => d.as_bytes().to_vec(),
        _ => check_string(st, f, i)?.c_string().to_vec(),
    };
    match words.iter().position(|w| w.as_bytes() == word) {
        Some(n) => Ok(n),
        None => Err(arg_error(st, f, i, &format!("invalid option '{}'", Bytes(&word)))),
    }
}

// ---- conversions

/// The number that a value is; strings are not converted.
#[inline]
pub fn number_of(value: Value) -> Option<Number> {
    match value.tag() {
        tag::INTEGER => Some(Number::Int(value.raw_integer())),
        tag::FLOAT => Some(Number::Float(value.raw_float())),
        _ => None,
    }
}

/// The number that a value is or that a string looks like.
pub fn to_number(value: Value) -> Option<Number> {
    match value.as_string() {
        Some(s) => number::parse(s.bytes()),
        None => number_of(value),
    }
}

/// The integer that a value is, has the value of, or, as a string, looks like.
pub fn to_int(value: Value) -> Option<i64> {
    to_number(value).and_then(Number::to_int)
}

/// A number as a value.
#[inline]
pub fn number_value(n: Number) -> Value {
    match n {
        Number::Int(i) => Value::integer(i),
        Number::Float(f) => Value::float(f),
    }
}

/// The bytes of a string, or a number's text.
pub fn to_bytes(value: Value) -> Option<Vec<u8>> {
    match value.as_string() {
        Some(s) => Some(s.bytes().to_vec()),
        None => number_of(value).map(number::to_text),
    }
}

/// What `tostring` makes of a value, `__tostring` and `__name` respected.
pub fn to_string(st: &mut State, value: Value) -> Result<Gc<Str>, Raised> {
    if let Some(s) = value.as_string() {
        return Ok(s);
    }
    let handler = metafield(st, value, Event::ToString);
    if !handler.is_nil() {
        let result = super::call::call_value(st, handler, &[value])?;
        return match result.as_string() {
            Some(s) => Ok(s),
            None if result.is_number() => Ok(st.string(&to_bytes(result).unwrap_or_default())?),
            None => Err(error(st, format_args!("'__tostring' must return a string"))),
        };
    }
    let text = match value.tag() {
        tag::NIL => b"nil".to_vec(),
        tag::BOOLEAN => if value.payload() != 0 { b"true" } else { &b"false"[..] }.to_vec(),
        tag::INTEGER | tag::FLOAT => to_bytes(value).unwrap_or_default(),
        _ => {
            let mut text = match metafield(st, value, Event::Name).as_string() {
                Some(name) => name.c_string().to_vec(),
                None => value.type_name().as_bytes().to_vec(),
            };
            text.extend_from_slice(format!(": {:#x}", value.payload()).as_bytes());
            text
        }
    };
    st.string(&text)
}

// ---- tables and other objects

/// A named field, `__index` respected.
pub fn get_field(st: &mut State, object: Value, name: &str) -> Result<Value, Raised> {
    let key = st.string(name.as_bytes())?;
    index(st, object, Value::from(key))
}

/// Sets a named field, `__newindex` respected.
pub fn set_field(st: &mut State, object: Value, name: &str, value: Value) -> Result<(), Raised> {
    let key = st.string(name.as_bytes())?;
    set_index(st, object, Value::from(key), value)
}

/// Assigns to a key of a table without metamethods.
pub fn raw_set(st: &mut State, table: Gc<Table>, key: Value, value: Value) -> Result<(), Raised> {
    match table.set(&mut st.heap, key, value) {
        Ok(()) => Ok(()),
        Err(SetError::NilKey) => Err(error(st, format_args!("table index is nil"))),
        Err(SetError::NanKey) => Err(error(st, format_args!("table index is NaN"))),
        Err(SetError::OutOfMemory) => Err(Raised),
    }
}

/// The result of `#`, which must be an integer (as `luaL_len`).
pub fn length(st: &mut State, object: Value) -> Result<i64, Raised> {
    let n = object_length(st, object)?;
    match to_int(n) {
        Some(n) => Ok(n),
        None => Err(error(st, format_args!("object length is not an integer"))),
    }
}

// ---- loading

/// What `load` accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Text and binary chunks.
    Any,
    /// Text only.
    Text,
    /// Binary chunks only.
    Binary,
}

/// Compiles a chunk. A syntax error is raised as its message. The chunk's first upvalue, `_ENV`, is `env`.
pub fn load(st: &mut State, text: &[u8], chunk_name: &[u8], mode: Mode, env: Value) -> Result<Gc<LuaFunction>, Raised> {
    super::load::load(st, text, chunk_name, mode, env)
}

/// The message of an error's value as text for Rust code: strings and numbers as they are, `__tostring` respected.
pub fn error_text(st: &mut State, value: Value) -> Vec<u8> {
    if let Some(text) = to_bytes(value) {
        return text;
    }
    if !metafield(st, value, Event::ToString).is_nil() {
        return match to_string(st, value) {
            Ok(s) => s.bytes().to_vec(),
            Err(Raised) => {
                st.take_error();
                b"error in __tostring".to_vec()
            }
        };
    }
    format!("(error object is a {} value)", value.type_name()).into_bytes()
}

/// Sets functions as fields of a table.
pub fn set_natives(
    st: &mut State,
    table: Gc<Table>,
    functions: &[(&str, perilune_runtime::lua::function::NativeFn)],
) -> Result<(), Raised> {
    for (name, function) in functions {
        st.set_native(table, name, *function, perilune_runtime::lua::function::Special::None)?;
    }
    Ok(())
}

/// An error with a message as it stands, without a position.
pub fn plain_error(st: &mut State, message: fmt::Arguments<'_>) -> Raised {
    st.raise_text(&message_bytes(&message.to_string()))
}
