//! Errors and where they happened: positions, names of functions and variables in messages, tracebacks.

#![forbid(unsafe_code)]

use std::fmt::{self, Write};

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::string::c_string;
use perilune_runtime::lua::thread::{Frame, FrameKind, Thread, frame_flag};
use perilune_runtime::lua::value::{Value, tag};

use super::names;
use super::source::chunk_id;

/// Where a value that an operation cannot take comes from, as far as the instruction tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A register of the running function.
    Register(usize),
    /// An upvalue of the running function.
    Upvalue(usize),
    /// Anything else.
    Unknown,
}

// ---- frames

/// Does a frame count as a level? The bottoms of coroutines do not, nor do what catches the errors of finalizers and what native
/// functions are written in.
fn is_level(frame: &Frame) -> bool {
    frame.kind != FrameKind::Bottom && frame.flags & (frame_flag::FINALIZER | frame_flag::INNER) == 0
}

/// The frames that count as levels, innermost first.
pub fn levels(thread: Gc<Thread>) -> Vec<usize> {
    let frames = thread.frames();
    (0..frames.len()).rev().filter(|i| is_level(&frames[*i])).collect()
}

/// The frame at a level, 0 being the innermost.
pub fn frame_at(thread: Gc<Thread>, level: usize) -> Option<usize> {
    let frames = thread.frames();
    (0..frames.len()).rev().filter(|i| is_level(&frames[*i])).nth(level)
}

/// The prototype of a Lua function's frame.
pub fn frame_proto(thread: Gc<Thread>, frame: Frame) -> Option<Gc<Proto>> {
    match frame.kind {
        FrameKind::Lua => thread.slot(frame.base as usize - 1).as_lua_function().map(|f| f.proto()),
        _ => None,
    }
}

/// The index of the instruction in progress in a Lua function's frame.
pub fn frame_pc(proto: Gc<Proto>, frame: Frame) -> usize {
    let words = proto.index_of(frame.pc);
    words.saturating_sub(1)
}

/// The line that a Lua function's frame is at.
pub fn frame_line(thread: Gc<Thread>, frame: Frame) -> Option<u32> {
    let proto = frame_proto(thread, frame)?;
    Some(proto.line(frame_pc(proto, frame))).filter(|line| *line > 0)
}

/// `chunk:line: ` of a level of the running coroutine, or nothing if that is not a Lua function.
pub fn where_(st: &State, level: usize) -> Vec<u8> {
    let thread = st.thread;
    let Some(i) = frame_at(thread, level) else { return Vec::new() };
    let frame = thread.frames()[i];
    let Some(proto) = frame_proto(thread, frame) else { return Vec::new() };
    let mut text = chunk_id(&proto.source);
    match frame_line(thread, frame) {
        Some(line) => text.extend_from_slice(format!(":{line}: ").as_bytes()),
        // As PUC does it: its library leaves the position out, its core does not.
        None if level > 0 => text.clear(),
        None => text.extend_from_slice(b":-1: "),
    }
    text
}

// ---- raising

/// Bytes as a part of a formatted message: up to a zero, as C formats strings. Those that are not UTF-8 stand in it as
/// characters until [`message_bytes`] turns them back.
pub struct Bytes<'a>(pub &'a [u8]);

/// The character that stands for byte 0 in a message; those behind it for the others.
const ESCAPED: u32 = 0x10_ff00;

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |byte: u8| char::from_u32(ESCAPED + u32::from(byte)).unwrap_or_default();
        for chunk in c_string(self.0).utf8_chunks() {
            for c in chunk.valid().chars() {
                if u32::from(c) < ESCAPED {
                    f.write_char(c)?;
                } else {
                    c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| f.write_char(escape(byte)))?;
                }
            }
            chunk.invalid().iter().try_for_each(|byte| f.write_char(escape(*byte)))?;
        }
        Ok(())
    }
}

/// A formatted message with its [`Bytes`] as they were.
pub fn message_bytes(message: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    for c in message.chars() {
        match u32::from(c).checked_sub(ESCAPED) {
            Some(byte) => bytes.push(byte as u8),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// An error raised by a native function, with the position of its caller.
#[cold]
pub fn error(st: &mut State, message: fmt::Arguments<'_>) -> Raised {
    error_at(st, 1, &message_bytes(&message.to_string()))
}

/// An error raised by the machine, with the position of the running function.
#[cold]
pub fn runtime_error(st: &mut State, message: fmt::Arguments<'_>) -> Raised {
    error_at(st, 0, &message_bytes(&message.to_string()))
}

/// As [`runtime_error`]; the message need not be UTF-8.
#[cold]
pub fn error_at(st: &mut State, level: usize, message: &[u8]) -> Raised {
    let mut text = where_(st, level);
    text.extend_from_slice(message);
    st.raise_text(&text)
}

/// "bad argument #i to 'f' (message)"; `i` counts from 0.
#[cold]
pub fn arg_error(st: &mut State, _f: CallFrame, i: usize, message: &str) -> Raised {
    let thread = st.thread;
    let mut number = i + 1;
    let name = match frame_at(thread, 0) {
        Some(frame) => {
            let called = called_name(thread, frame);
            if let Some(("method", name)) = &called {
                number -= 1;
                if number == 0 {
                    let mut text = b"calling '".to_vec();
                    text.extend_from_slice(name);
                    text.extend_from_slice(&message_bytes(&format!("' on bad self ({message})")));
                    return error_at(st, 1, &text);
                }
            }
            let function = frame_function(thread, frame);
            called.map(|(_, name)| name).or_else(|| library_name(st, function))
        }
        None => None,
    };
    let mut text = format!("bad argument #{number} to '").into_bytes();
    text.extend_from_slice(name.as_deref().unwrap_or(b"?"));
    text.extend_from_slice(&message_bytes(&format!("' ({message})")));
    error_at(st, 1, &text)
}

/// "bad argument #i to 'f' (expected expected, got ...)"; `i` counts from 0.
#[cold]
pub fn type_error(st: &mut State, f: CallFrame, i: usize, expected: &str) -> Raised {
    let value = st.arg(f, i);
    let got = if i >= f.count as usize {
        "no value".to_string()
    } else if let Some(name) = super::meta::metafield(st, value, Event::Name).as_string() {
        Bytes(name.bytes()).to_string()
    } else if value.tag() == tag::LIGHT {
        "light userdata".to_string()
    } else {
        value.type_name().to_string()
    };
    arg_error(st, f, i, &format!("{expected} expected, got {got}"))
}

/// The name of a value's type in messages: `__name` of tables and userdata counts, up to a zero.
pub fn type_name_of(st: &State, value: Value) -> Vec<u8> {
    if matches!(value.tag(), tag::TABLE | tag::USERDATA)
        && let Some(meta) = st.metatable_of(value)
        && let Some(name) = meta.get_short(st.heap.names.event(Event::Name)).as_string()
    {
        return name.c_string().to_vec();
    }
    value.type_name().as_bytes().to_vec()
}

/// "attempt to (do) a (type) value (variable)".
#[cold]
pub fn operand_error(st: &mut State, value: Value, place: Place, what: &str) -> Raised {
    let mut text = format!("attempt to {what} a ").into_bytes();
    text.extend_from_slice(&type_name_of(st, value));
    text.extend_from_slice(b" value");
    text.extend_from_slice(&describe(variable(st.thread, place)));
    error_at(st, 0, &text)
}

/// The error of an operand that is a number but no integer.
#[cold]
pub fn no_integer_error(st: &mut State, place: Place) -> Raised {
    let name = describe(variable(st.thread, place));
    let text = [b"number", &name[..], b" has no integer representation"].concat();
    error_at(st, 0, &text)
}

/// The error of calling what cannot be called.
#[cold]
pub fn call_error(st: &mut State, value: Value, place: Place) -> Raised {
    let thread = st.thread;
    let from_call = thread.frames().len().checked_sub(1).and_then(|i| name_from_call(thread, i));
    let described = describe(from_call.or_else(|| variable(thread, place)));
    let mut text = b"attempt to call a ".to_vec();
    text.extend_from_slice(&type_name_of(st, value));
    text.extend_from_slice(b" value");
    text.extend_from_slice(&described);
    error_at(st, 0, &text)
}

/// "attempt to compare ...".
#[cold]
pub fn compare_error(st: &mut State, a: Value, b: Value) -> Raised {
    let (a, b) = (type_name_of(st, a), type_name_of(st, b));
    let (a, b) = (Bytes(&a), Bytes(&b));
    if a.0 == b.0 {
        runtime_error(st, format_args!("attempt to compare two {a} values"))
    } else {
        runtime_error(st, format_args!("attempt to compare {a} with {b}"))
    }
}

// ---- names

/// A kind of name (`local`, `global`, `method` ...) and the name.
pub type Named = Option<(&'static str, Vec<u8>)>;

fn describe(name: Named) -> Vec<u8> {
    match name {
        Some((kind, name)) => [b" (", kind.as_bytes(), b" '", c_string(&name), b"')"].concat(),
        None => Vec::new(),
    }
}

/// The name of the variable, field or constant that the running function's instruction took a value from.
fn variable(thread: Gc<Thread>, place: Place) -> Named {
    let frame = *thread.frames().last().filter(|frame| is_level(frame))?;
    let proto = frame_proto(thread, frame)?;
    let name = match place {
        Place::Register(register) => names::object_name(&*proto, frame_pc(proto, frame), register),
        Place::Upvalue(index) => names::upvalue_name(&*proto, index),
        Place::Unknown => None,
    };
    name.map(|(kind, name)| (kind, name.to_vec()))
}

/// The name of the local variable in a register of the running function.
pub fn local_name(st: &State, register: usize) -> Vec<u8> {
    let name = st.thread.frames().last().and_then(|frame| {
        let proto = frame_proto(st.thread, *frame)?;
        // The variable's life begins behind the instruction.
        Some(names::local_name(&*proto, frame_pc(proto, *frame) + 1, register)?.name.to_vec())
    });
    name.unwrap_or_else(|| b"?".to_vec())
}

/// What the instruction in progress in a frame calls its callee.
fn name_from_call(thread: Gc<Thread>, frame: usize) -> Named {
    let frame = thread.frames()[frame];
    if frame.flags & frame_flag::HOOK != 0 {
        return Some(("hook", b"?".to_vec()));
    }
    if frame.flags & frame_flag::FINALIZER != 0 {
        return Some(("metamethod", b"__gc".to_vec()));
    }
    let proto = frame_proto(thread, frame).filter(|_| is_level(&frame))?;
    let pc = frame_pc(proto, frame);
    if divides_integers(thread, frame, proto.word(pc)) {
        // By zero: this is the handler of that error.
        return None;
    }
    names::call_name(&*proto, pc).map(|(kind, name)| (kind, name.to_vec()))
}

/// Whether an instruction divides two integers, which no metamethod does.
fn divides_integers(thread: Gc<Thread>, frame: Frame, word: Word) -> bool {
    let is_integer = |register: usize| thread.slot(frame.base as usize + register).as_integer().is_some();
    match bc::op(word) {
        Op::IDiv | Op::Mod => is_integer(bc::b(word)) && is_integer(bc::c(word)),
        // The constant is a number.
        Op::IDivK | Op::ModK => is_integer(bc::b(word)),
        _ => false,
    }
}

/// What a frame's caller calls it.
pub fn called_name(thread: Gc<Thread>, frame: usize) -> Named {
    if thread.frames()[frame].flags & frame_flag::TAIL != 0 {
        return None;
    }
    name_from_call(thread, frame.checked_sub(1)?)
}

/// A frame's function.
pub fn frame_function(thread: Gc<Thread>, frame: usize) -> Value {
    let frame = thread.frames()[frame];
    match frame.base.checked_sub(1) {
        Some(slot) => thread.slot(slot as usize),
        None => Value::NIL,
    }
}

/// The name under which a library (a table in the registry's `_LOADED`) offers a value: `print`, `string.format`.
pub fn library_name(st: &mut State, value: Value) -> Option<Vec<u8>> {
    let key = st.heap.string(b"_LOADED").ok()?;
    let loaded = st.registry.get_str(key).as_table()?;
    let mut at = Value::NIL;
    while let Ok(Some((name, library))) = loaded.next(at) {
        at = name;
        let (Some(name), Some(library)) = (name.as_string(), library.as_table()) else { continue };
        let mut inner = Value::NIL;
        while let Ok(Some((field, candidate))) = library.next(inner) {
            inner = field;
            if let Some(field) = field.as_string()
                && candidate.raw_equals(value)
            {
                return Some(match name.bytes() {
                    b"_G" => field.bytes().to_vec(),
                    name => [name, b".", field.bytes()].concat(),
                });
            }
        }
    }
    None
}

// ---- tracebacks

/// Levels shown of a long traceback: the innermost, and the outermost.
const SHOWN: (usize, usize) = (10, 11);

/// A traceback of a coroutine from a level on, below a message if there is one.
pub fn traceback(st: &mut State, thread: Gc<Thread>, message: Option<&[u8]>, level: usize) -> Vec<u8> {
    let mut text = message.map(|m| [m, b"\n"].concat()).unwrap_or_default();
    text.extend_from_slice(b"stack traceback:");
    let levels = levels(thread);
    let shown = levels.get(level..).unwrap_or_default();
    let skip = (shown.len() > SHOWN.0 + SHOWN.1 + 1).then(|| SHOWN.0..shown.len() - SHOWN.1);
    for (n, frame) in shown.iter().enumerate() {
        if let Some(skip) = &skip {
            if n == skip.start {
                text.extend_from_slice(format!("\n\t...\t(skipping {} levels)", skip.len() - 1).as_bytes());
            }
            if skip.contains(&n) {
                continue;
            }
        }
        trace_level(st, thread, *frame, &mut text);
    }
    text
}

fn trace_level(st: &mut State, thread: Gc<Thread>, index: usize, text: &mut Vec<u8>) {
    let frame = thread.frames()[index];
    let proto = frame_proto(thread, frame);
    text.extend_from_slice(b"\n\t");
    match proto {
        Some(proto) => text.extend_from_slice(&chunk_id(&proto.source)),
        None => text.extend_from_slice(b"[C]"),
    }
    if let Some(line) = frame_line(thread, frame) {
        text.extend_from_slice(format!(":{line}").as_bytes());
    }
    text.extend_from_slice(b": in ");
    let function = frame_function(thread, index);
    let library = match frame.kind {
        // Rust code that calls protected is not a function with a name.
        FrameKind::Pcall | FrameKind::Xpcall if frame.flags & frame_flag::ENTRY != 0 => None,
        _ => library_name(st, function),
    };
    if let Some(name) = library {
        text.extend_from_slice(&[b"function '", &name[..], b"'"].concat());
    } else if let Some((kind, name)) = called_name(thread, index) {
        text.extend_from_slice(&[kind.as_bytes(), b" '", &name[..], b"'"].concat());
    } else {
        match proto {
            Some(proto) if proto.line_defined == 0 => text.extend_from_slice(b"main chunk"),
            Some(proto) => {
                text.extend_from_slice(b"function <");
                text.extend_from_slice(&chunk_id(&proto.source));
                text.extend_from_slice(format!(":{}>", proto.line_defined).as_bytes());
            }
            None => text.extend_from_slice(b"?"),
        }
    }
    if frame.flags & frame_flag::TAIL != 0 {
        text.extend_from_slice(b"\n\t(...tail calls...)");
    }
}
