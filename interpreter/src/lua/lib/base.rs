//! The basic functions (manual §6.1).

#![forbid(unsafe_code)]

use std::io::Read;

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{Special, goes_on_with};
use perilune_runtime::lua::number;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::{InvalidKey, SetError};
use perilune_runtime::lua::value::{Value, tag, type_name};

use super::super::api::{
    self, Bytes, Mode, arg_error, call_caught_late, check_any, check_int, check_option, check_string, check_table,
    error, is_given, is_none_or_nil, metafield, opt_c_int, opt_int, opt_string, plain_error, set_natives, special,
    to_string, type_error,
};
use super::super::exec;
use super::super::load::{SIGNATURE, is_allowed, is_hopeless};
use super::super::source::skip_prefix;
use super::os::reason;
use super::{closure, give, give_bytes, library, set};

pub(super) fn open(st: &mut State) -> Result<(), Raised> {
    let globals = st.globals;
    set_natives(
        st,
        globals,
        &[
            ("assert", assert),
            ("collectgarbage", collectgarbage),
            ("dofile", dofile),
            ("error", raise_error),
            ("getmetatable", getmetatable),
            ("load", load),
            ("loadfile", loadfile),
            ("print", print),
            ("rawequal", rawequal),
            ("rawget", rawget),
            ("rawlen", rawlen),
            ("rawset", rawset),
            ("select", select),
            ("setmetatable", setmetatable),
            ("tonumber", tonumber),
            ("tostring", tostring),
            ("warn", warn),
        ],
    )?;
    st.set_native(globals, "pcall", special, Special::Pcall)?;
    st.set_native(globals, "xpcall", special, Special::Xpcall)?;
    let next = Value::from(st.heap.native(next, Special::Next, &[])?);
    set(st, globals, "next", next)?;
    let pairs = closure(st, pairs, next)?;
    set(st, globals, "pairs", pairs)?;
    let step = Value::from(st.heap.native(ipairs_step, Special::IpairsNext, &[])?);
    let ipairs = closure(st, ipairs, step)?;
    set(st, globals, "ipairs", ipairs)?;
    let mut names = [Value::NIL; tag::THREAD as usize + 1];
    for (t, name) in (0..).zip(&mut names) {
        *name = Value::from(st.string(type_name(t).as_bytes())?);
    }
    let type_ = Value::from(st.heap.native(type_, Special::None, &names)?);
    set(st, globals, "type", type_)?;
    let version = Value::from(st.string(b"Lua 5.4")?);
    set(st, globals, "_VERSION", version)?;
    set(st, globals, "_G", Value::from(globals))
}

fn assert(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    if !check_any(st, f, 0)?.is_falsy() {
        return Ok(f.count);
    }
    if is_given(f, 1) {
        let message = st.arg(f, 1);
        return Err(with_position(st, message, 1));
    }
    Err(error(st, format_args!("assertion failed!")))
}

/// Raises a value; a string gets the position of a level in front.
fn with_position(st: &mut State, value: Value, level: i64) -> Raised {
    match value.as_string() {
        Some(message) if level > 0 => {
            let mut text = api::where_(st, level as usize);
            text.extend_from_slice(message.bytes());
            st.raise_text(&text)
        }
        _ => st.raise(value),
    }
}

fn raise_error(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let level = opt_c_int(st, f, 1, 1)?.into();
    let value = st.arg(f, 0);
    Err(with_position(st, value, level))
}

fn collectgarbage(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    const OPTIONS: [&str; 10] = [
        "collect",
        "stop",
        "restart",
        "count",
        "step",
        "setpause",
        "setstepmul",
        "isrunning",
        "generational",
        "incremental",
    ];
    let option = check_option(st, f, 0, Some("collect"), &OPTIONS)?;
    if st.in_finalizer {
        // The collector's work is not begun inside of it.
        return give(st, Value::NIL);
    }
    let result = match OPTIONS[option] {
        "collect" => {
            st.collect_all();
            run_finalizers(st);
            Value::integer(0)
        }
        "stop" | "restart" => {
            st.heap.set_running(OPTIONS[option] == "restart");
            Value::integer(0)
        }
        "count" => Value::float(st.heap.used() as f64 / 1024.0),
        "step" => {
            let kilobytes = opt_int(st, f, 1, 0)?.clamp(0, 1 << 40) as usize;
            let finished = st.collect_explicit_step(kilobytes * 1024);
            run_finalizers(st);
            Value::boolean(finished)
        }
        "setpause" => {
            let percent = opt_int(st, f, 1, 0)?;
            Value::integer(st.heap.set_pause(percent as i32).into())
        }
        "setstepmul" => {
            let percent = opt_int(st, f, 1, 0)?;
            Value::integer(st.heap.set_step_multiplier(percent as i32).into())
        }
        "isrunning" => Value::boolean(st.heap.is_running()),
        "generational" => {
            opt_int(st, f, 1, 0)?;
            opt_int(st, f, 2, 0)?;
            return set_mode(st, true);
        }
        _ => {
            let pause = opt_int(st, f, 1, 0)? as i32;
            let multiplier = opt_int(st, f, 2, 0)? as i32;
            opt_int(st, f, 3, 0)?;
            if pause != 0 {
                st.heap.set_pause(pause);
            }
            if multiplier != 0 {
                st.heap.set_step_multiplier(multiplier);
            }
            return set_mode(st, false);
        }
    };
    give(st, result)
}

fn set_mode(st: &mut State, generational: bool) -> Result<u32, Raised> {
    let was = st.heap.set_generational(generational);
    give_bytes(st, if was { b"generational" } else { b"incremental" })
}

fn run_finalizers(st: &mut State) {
    if st.heap.has_finalizers_due() && !st.in_finalizer {
        exec::run_finalizers(st);
    }
}

fn getmetatable(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 0)?;
    let Some(meta) = st.metatable_of(value) else { return give(st, Value::NIL) };
    let protected = meta.event(&st.heap, Event::Metatable);
    give(st, if protected.is_nil() { Value::from(meta) } else { protected })
}

fn setmetatable(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let table = check_table(st, f, 0)?;
    let meta = st.arg(f, 1);
    if !(meta.is_table() || meta.is_nil() && is_given(f, 1)) {
        return Err(type_error(st, f, 1, "nil or table"));
    }
    if !metafield(st, Value::from(table), Event::Metatable).is_nil() {
        return Err(error(st, format_args!("cannot change a protected metatable")));
    }
    let meta = meta.as_table();
    table.set_metatable(&mut st.heap, meta)?;
    if meta.is_some_and(|m| !m.event(&st.heap, Event::Gc).is_nil()) {
        st.heap.add_finalizer(table.header());
    }
    give(st, Value::from(table))
}

// ---- traversal

fn next(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let table = check_table(st, f, 0)?;
    match table.next(st.arg(f, 1)) {
        Ok(Some((key, value))) => {
            st.push(key)?;
            st.push(value)?;
            Ok(2)
        }
        Ok(None) => give(st, Value::NIL),
        Err(InvalidKey) => Err(plain_error(st, format_args!("invalid key to 'next'"))),
    }
}

fn pairs(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let object = check_any(st, f, 0)?;
    let handler = metafield(st, object, Event::Pairs);
    if handler.is_nil() {
        let next = super::captured(st, f, 0);
        st.push(next)?;
        st.push(object)?;
        st.push(Value::NIL)?;
    } else {
        st.push(handler)?;
        st.push(object)?;
        return Ok(goes_on_with(2, Some(3)));
    }
    Ok(3)
}

fn ipairs(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let object = check_any(st, f, 0)?;
    let step = super::captured(st, f, 0);
    st.push(step)?;
    st.push(object)?;
    st.push(Value::integer(0))?;
    Ok(3)
}

fn ipairs_step(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let i = check_int(st, f, 1)?.wrapping_add(1);
    let object = st.arg(f, 0);
    let mut value = match object.as_table() {
        Some(t) => t.get_int(i),
        None => Value::NIL,
    };
    if value.is_nil() && (!object.is_table() || object.as_table().is_some_and(|t| t.metatable().is_some())) {
        value = api::index(st, object, Value::integer(i))?;
    }
    if value.is_nil() {
        return give(st, Value::NIL);
    }
    st.push(Value::integer(i))?;
    st.push(value)?;
    Ok(2)
}

// ---- raw access

fn rawequal(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let a = check_any(st, f, 0)?;
    let b = check_any(st, f, 1)?;
    give(st, Value::boolean(a.raw_equals(b)))
}

fn rawget(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let table = check_table(st, f, 0)?;
    let key = check_any(st, f, 1)?;
    give(st, table.get(key))
}

fn rawset(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let table = check_table(st, f, 0)?;
    let key = check_any(st, f, 1)?;
    let value = check_any(st, f, 2)?;
    match table.set(&mut st.heap, key, value) {
        Ok(()) => give(st, Value::from(table)),
        Err(SetError::NilKey) => Err(plain_error(st, format_args!("table index is nil"))),
        Err(SetError::NanKey) => Err(plain_error(st, format_args!("table index is NaN"))),
        Err(SetError::OutOfMemory) => Err(Raised),
    }
}

fn rawlen(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = st.arg(f, 0);
    let length = match (value.as_table(), value.as_string()) {
        (Some(t), _) => t.length(),
        (_, Some(s)) => s.len() as i64,
        _ => return Err(type_error(st, f, 0, "table or string")),
    };
    give(st, Value::integer(length))
}

fn select(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let count = i64::from(f.count);
    if st.arg(f, 0).as_string().is_some_and(|s| s.bytes().first() == Some(&b'#')) {
        return give(st, Value::integer(count - 1));
    }
    let n = check_int(st, f, 0)?;
    let first = if n < 0 { n.saturating_add(count) } else { n.min(count) };
    if first < 1 {
        return Err(arg_error(st, f, 0, "index out of range"));
    }
    // What is wanted lies on top already.
    Ok((count - first) as u32)
}

// ---- types and conversions

/// It has captured the types' names, by tag.
fn type_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 0)?;
    let name = super::captured(st, f, usize::from(value.tag()));
    give(st, name)
}

fn tostring(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 0)?;
    let s = to_string(st, value)?;
    give(st, Value::from(s))
}

fn tonumber(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    if is_none_or_nil(st, f, 1) {
        let value = check_any(st, f, 0)?;
        let number = match value.tag() {
            tag::INTEGER | tag::FLOAT => value,
            _ => api::to_number(value).map_or(Value::NIL, api::number_value),
        };
        return give(st, number);
    }
    let base = check_int(st, f, 1)?;
    let Some(text) = st.arg(f, 0).as_string() else { return Err(type_error(st, f, 0, "string")) };
    if !(2..=36).contains(&base) {
        return Err(arg_error(st, f, 1, "base out of range"));
    }
    give(st, integer_in_base(text.bytes(), base).map_or(Value::NIL, Value::integer))
}

/// An integer in a base from 2 to 36, with spaces around; it wraps around.
fn integer_in_base(text: &[u8], base: i64) -> Option<i64> {
    let mut text = text;
    while let [c, rest @ ..] = text
        && number::is_space(*c)
    {
        text = rest;
    }
    while let [rest @ .., c] = text
        && number::is_space(*c)
    {
        text = rest;
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n = 0i64;
    for c in digits {
        let digit = char::from(*c).to_digit(base as u32)?;
        n = n.wrapping_mul(base).wrapping_add(i64::from(digit));
    }
    Some(if negative { n.wrapping_neg() } else { n })
}

// ---- output

fn print(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    for i in 0..f.count as usize {
        if i > 0 {
            library(st).streams.print(b"\t");
        }
        let value = st.arg(f, i);
        let s = to_string(st, value)?;
        library(st).streams.print(s.bytes());
    }
    library(st).streams.end_line();
    Ok(0)
}

fn warn(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    check_string(st, f, 0)?;
    for i in 1..f.count as usize {
        check_string(st, f, i)?;
    }
    if f.count == 1 {
        match check_string(st, f, 0)?.bytes() {
            b"@on" => st.warnings = true,
            b"@off" => st.warnings = false,
            [b'@', ..] => {}
            message => exec::warn(st, message),
        }
        return Ok(0);
    }
    let mut message = std::mem::take(&mut library(st).warning);
    for i in 0..f.count as usize {
        message.extend_from_slice(check_string(st, f, i)?.bytes());
    }
    exec::warn(st, &message);
    message.clear();
    library(st).warning = message;
    Ok(0)
}

// ---- chunks

/// The mode that an argument gives; what is neither text nor binary is refused by name.
fn mode_argument(st: &mut State, f: CallFrame, i: usize) -> Result<Result<Mode, String>, Raised> {
    let Some(mode) = opt_string(st, f, i)? else { return Ok(Ok(Mode::Any)) };
    let (text, binary) = (mode.c_string().contains(&b't'), mode.c_string().contains(&b'b'));
    Ok(match (text, binary) {
        (true, true) => Ok(Mode::Any),
        (true, false) => Ok(Mode::Text),
        (false, true) => Ok(Mode::Binary),
        (false, false) => Err(Bytes(mode.bytes()).to_string()),
    })
}

/// Loads a chunk for `load` and `loadfile`: the function, or nil and a message. The environment is that argument, if it
/// is given.
fn load_text(
    st: &mut State,
    f: CallFrame,
    text: &[u8],
    name: &[u8],
    mode: Result<Mode, String>,
    env: usize,
) -> Result<u32, Raised> {
    let env = if is_given(f, env) { st.arg(f, env) } else { Value::from(st.globals) };
    let loaded = match mode {
        Ok(mode) => api::load(st, text, name, mode, env),
        Err(mode) => {
            let kind = if text.first() == Some(&SIGNATURE) { "binary" } else { "text" };
            Err(plain_error(st, format_args!("attempt to load a {kind} chunk (mode is '{mode}')")))
        }
    };
    match loaded {
        Ok(function) => give(st, Value::from(function)),
        Err(Raised) => fail_with_error(st),
    }
}

/// Returns nil and the error on its way.
fn fail_with_error(st: &mut State) -> Result<u32, Raised> {
    let message = st.take_error();
    st.push(Value::NIL)?;
    st.push(message)?;
    Ok(2)
}

fn load(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let chunk = st.arg(f, 0);
    let mode = mode_argument(st, f, 2)?;
    if chunk.is_string() || chunk.is_number() {
        let text = check_string(st, f, 0)?;
        let name = opt_string(st, f, 1)?.unwrap_or(text);
        return load_text(st, f, text.bytes(), name.c_string(), mode, 3);
    }
    let name = opt_string(st, f, 1)?.map_or_else(|| b"=(load)".to_vec(), |s| s.c_string().to_vec());
    if !chunk.is_function() {
        return Err(type_error(st, f, 0, "function"));
    }
    let mut text = Vec::new();
    // A reader need not come to an end by itself: long texts are looked at in between.
    let mut look_at = 1;
    loop {
        if text.len() >= look_at {
            if !mode.as_ref().is_ok_and(|mode| is_allowed(&text, *mode)) || look_at > 1 && is_hopeless(&text) {
                break;
            }
            look_at = (text.len() * 2).max(1 << 16);
        }
        st.push(chunk)?;
        if let Err(error) = call_caught_late(st, 0, 1)? {
            st.push(Value::NIL)?;
            st.push(error)?;
            return Ok(2);
        }
        let piece = st.slot(st.top() - 1);
        st.set_top(st.top() - 1);
        match api::to_bytes(piece) {
            Some(piece) if !piece.is_empty() => {
                super::grow(st, &mut text, piece.len())?;
                text.extend_from_slice(&piece);
            }
            Some(_) => break,
            None if piece.is_nil() => break,
            None => {
                error(st, format_args!("reader function must return a string"));
                return fail_with_error(st);
            }
        }
    }
    load_text(st, f, &text, &name, mode, 3)
}

/// The text of a file (none: of the standard input) that holds a chunk, without a first line that begins with `#`, and
/// the chunk's name. The message says what could not be done.
pub fn read_chunk(st: &mut State, path: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let (text, name) = match path {
        None => {
            let text = library(st).streams.input_rest();
            (text.map_err(|e| format!("cannot read stdin: {}", reason(&e)).into_bytes())?, b"=stdin".to_vec())
        }
        Some(path) => {
            let failed = |what: &[u8], e| [what, path, b": ", reason(&e).as_bytes()].concat();
            let mut file =
                std::fs::File::open(std::ffi::OsStr::from_bytes(path)).map_err(|e| failed(b"cannot open ", e))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text).map_err(|e| failed(b"cannot read ", e))?;
            (text, [b"@", path].concat())
        }
    };
    let skipped = text.len() - skip_prefix(&text).len();
    Ok((if skipped == 0 { text } else { text[skipped..].to_vec() }, name))
}

fn loadfile(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let path = opt_string(st, f, 0)?;
    let mode = mode_argument(st, f, 1)?;
    match read_chunk(st, path.as_ref().map(|p| p.c_string())) {
        Ok((text, name)) => load_text(st, f, &text, &name, mode, 2),
        Err(message) => {
            st.raise_text(&message);
            fail_with_error(st)
        }
    }
}

fn dofile(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let path = opt_string(st, f, 0)?;
    let (text, name) = match read_chunk(st, path.as_ref().map(|p| p.c_string())) {
        Ok(chunk) => chunk,
        Err(message) => return Err(st.raise_text(&message)),
    };
    let env = Value::from(st.globals);
    let function = api::load(st, &text, &name, Mode::Any, env)?;
    st.push(Value::from(function))?;
    Ok(goes_on_with(1, None))
}
