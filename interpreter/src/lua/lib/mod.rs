//! Lua's library (manual §6), one module for each of its parts.
//!
//! A function is `fn(&mut State, CallFrame)`: its arguments lie on the stack, counted from 0 here, its results are the
//! topmost values when it returns their number. Objects that it holds across a call of Lua code lie on the stack.

#![forbid(unsafe_code)]

mod base;
mod coroutine;
mod debug;
pub mod format;
mod io;
mod math;
mod os;
mod pack;
mod package;
pub mod pattern;
mod random;
mod set;
mod sort;
mod string;
mod table;
mod utf8;

use perilune_runtime::lua::function::{NativeFn, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::MAX_STACK;
use perilune_runtime::lua::value::Value;

pub use base::read_chunk;
pub use string::is_match_iterator;

use super::api::error;
use super::exec::{describe_frames, with_memory};

/// What the library keeps in the state.
struct Library {
    random: random::Generator,
    /// The pieces of the warning so far.
    warning: Vec<u8>,
    streams: io::Streams,
}

/// Makes a part of the library.
type Open = fn(&mut State) -> Result<Gc<Table>, Raised>;

/// Room for that many values on the stack.
fn check_room(st: &mut State, n: usize, message: &str) -> Result<(), Raised> {
    if st.top() + n > MAX_STACK {
        return Err(error(st, format_args!("stack overflow ({message})")));
    }
    st.check_stack(n)
}

fn library(st: &mut State) -> &mut Library {
    let library = st.library.as_mut().and_then(|l| l.downcast_mut());
    library.expect("the library's functions exist since it was opened")
}

/// Makes the whole library and its global names.
pub fn open_libraries(st: &mut State) -> Result<(), Raised> {
    describe_frames();
    let random = random::Generator::from_time();
    st.library = Some(Box::new(Library { random, warning: Vec::new(), streams: io::Streams::new() }));
    // As the program `lua` does; it shows in what `collectgarbage` answers.
    st.heap.set_generational(true);
    let loaded = new_table(st, 16)?;
    set(st, st.registry, "_LOADED", Value::from(loaded))?;
    base::open(st)?;
    set(st, loaded, "_G", Value::from(st.globals))?;
    let parts: [(&str, Open); 9] = [
        ("package", package::open),
        ("coroutine", coroutine::open),
        ("debug", debug::open),
        ("io", io::open),
        ("math", math::open),
        ("os", os::open),
        ("string", string::open),
        ("table", table::open),
        ("utf8", utf8::open),
    ];
    for (name, open) in parts {
        let part = Value::from(open(st)?);
        set(st, loaded, name, part)?;
        set(st, st.globals, name, part)?;
    }
    Ok(())
}

/// Writes out what the program has written so far: for the end of the process. Streams do so themselves when the state is
/// dropped.
pub fn flush_streams(st: &mut State) {
    if let Some(library) = st.library.as_mut().and_then(|l| l.downcast_mut::<Library>()) {
        library.streams.flush();
    }
}

/// As [`flush_streams`]; if the standard output is in the middle of a line, that line is ended.
pub fn end_line(st: &mut State) {
    let streams = &library(st).streams;
    if streams.is_in_line() {
        streams.end_line();
    }
    flush_streams(st);
}

/// The next line of the standard input with its end, from the buffer that `io.stdin` has; none at the end of the file.
pub fn input_line(st: &mut State) -> Option<Vec<u8>> {
    library(st).streams.input_line()
}

/// Does the buffer of the standard input hold something?
pub fn input_waits(st: &mut State) -> bool {
    library(st).streams.input_waits()
}

fn new_table(st: &mut State, named: usize) -> Result<Gc<Table>, Raised> {
    Ok(st.heap.table(named, 0)?)
}

fn set(st: &mut State, table: Gc<Table>, name: &str, value: Value) -> Result<(), Raised> {
    let key = st.string(name.as_bytes())?;
    Ok(table.set_str(&mut st.heap, key, value)?)
}

/// A function that captures a value.
fn closure(st: &mut State, function: NativeFn, value: Value) -> Result<Value, Raised> {
    Ok(Value::from(st.heap.native(function, Special::None, &[value])?))
}

/// A value that the running native function has captured.
fn captured(st: &State, f: CallFrame, index: usize) -> Value {
    let function = st.slot(f.base as usize - 1).as_native();
    function.filter(|n| index < n.count()).map_or(Value::NIL, |n| n.value(index))
}

/// Returns one value.
#[inline]
fn give(st: &mut State, value: Value) -> Result<u32, Raised> {
    st.push(value)?;
    Ok(1)
}

/// Returns a string made of these bytes.
#[inline]
fn give_bytes(st: &mut State, bytes: &[u8]) -> Result<u32, Raised> {
    let s = st.string(bytes)?;
    give(st, Value::from(s))
}

/// Sees to it that there is memory for so many bytes, by a collection if need be: what is in use must lie on the stack.
fn reserve(st: &mut State, bytes: usize) -> Result<(), Raised> {
    with_memory(st, |st| Ok(st.heap.reserve(bytes)?))
}

/// Returns a string that takes these bytes over.
fn give_vec(st: &mut State, bytes: Vec<u8>) -> Result<u32, Raised> {
    reserve(st, bytes.len())?;
    let s = st.heap.string_from_vec(bytes)?;
    give(st, Value::from(s))
}

/// An empty vector with room for `size` bytes, if there is memory for them.
fn buffer(st: &mut State, size: usize) -> Result<Vec<u8>, Raised> {
    reserve(st, size)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Raised)?;
    Ok(bytes)
}

/// Makes room in a vector that may get large.
#[inline]
fn grow(st: &State, bytes: &mut Vec<u8>, more: usize) -> Result<(), Raised> {
    if bytes.capacity() - bytes.len() >= more {
        return Ok(());
    }
    st.heap.reserve(bytes.len() + more)?;
    bytes.try_reserve(more).map_err(|_| Raised)
}

/// As [`grow`], by a collection if need be: what is in use must lie on the stack, but for one value.
#[inline]
fn grow_keeping(st: &mut State, value: Value, bytes: &mut Vec<u8>, more: usize) -> Result<(), Raised> {
    if grow(st, bytes, more).is_ok() {
        return Ok(());
    }
    st.push(value)?;
    reserve(st, bytes.len() + more)?;
    st.set_top(st.top() - 1);
    grow(st, bytes, more)
}

/// A position counted from the end if it is negative, as a distance from the start; 0 if it is before the start.
fn start_position(position: i64, len: usize) -> usize {
    match position {
        1.. => position as usize,
        0 => 1,
        _ => (len as i64).saturating_add(position).saturating_add(1).max(1) as usize,
    }
}

/// As [`start_position`], for the last byte of a range: at most `len`, and 0 before the start.
fn end_position(position: i64, len: usize) -> usize {
    if position > len as i64 {
        len
    } else if position >= 0 {
        position as usize
    } else {
        (len as i64).saturating_add(position).saturating_add(1).max(0) as usize
    }
}
