//! `debug` (manual §6.10): looking at frames, functions and variables from inside, and changing them.
//!
//! A level counts the frames of a coroutine from the innermost, which is that of the function called here if the
//! coroutine is the running one. Compiled code learns of every change of a running function's variables ([`exec::locals_changed`]).

#![forbid(unsafe_code)]

use std::ops::ControlFlow;

use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{Cell, Proto};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, MAX_NESTING, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::{HookSeen, Thread, frame_flag, hook};
use perilune_runtime::lua::value::Value;

use super::super::api::{
    Mode, arg_error, call_protected, check_any, check_c_int, check_function, check_int, check_string, error_text,
    is_given, is_none_or_nil, load, opt_c_int, opt_string, raw_set, set_natives, traceback as trace, type_error,
};
use super::super::error::{called_name, frame_at, frame_function, frame_line, frame_pc, frame_proto};
use super::super::exec;
use super::super::source::chunk_id;
use super::{give, give_bytes, give_vec, library, new_table, set};

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let table = new_table(st, 18)?;
    set_natives(
        st,
        table,
        &[
            ("debug", debug),
            ("gethook", gethook),
            ("getinfo", getinfo),
            ("getlocal", getlocal),
            ("getmetatable", getmetatable),
            ("getregistry", getregistry),
            ("getupvalue", getupvalue),
            ("getuservalue", getuservalue),
            ("setcstacklimit", setcstacklimit),
            ("sethook", sethook),
            ("setlocal", setlocal),
            ("setmetatable", setmetatable),
            ("setupvalue", setupvalue),
            ("setuservalue", setuservalue),
            ("traceback", traceback),
            ("upvalueid", upvalueid),
            ("upvaluejoin", upvaluejoin),
        ],
    )?;
    // What C code finds at fixed places of the registry.
    let (registry, main, globals) = (st.registry, Value::from(st.main), Value::from(st.globals));
    raw_set(st, registry, Value::integer(1), main)?;
    raw_set(st, registry, Value::integer(2), globals)?;
    // Where programs find the hooks of coroutines; the coroutines themselves know them, too.
    let hooks = new_table(st, 0)?;
    set(st, registry, HOOKS, Value::from(hooks))?;
    let meta = new_table(st, 1)?;
    set_text(st, meta, "__mode", b"k")?;
    hooks.set_metatable(&mut st.heap, Some(meta))?;
    Ok(table)
}

/// The coroutine that a call is about, and the number of arguments that say so.
fn thread_argument(st: &State, f: CallFrame) -> (Gc<Thread>, usize) {
    match st.arg(f, 0).as_thread() {
        Some(thread) => (thread, 1),
        None => (st.thread, 0),
    }
}

/// The frame at the level that an argument gives.
fn level_argument(st: &mut State, f: CallFrame, i: usize, thread: Gc<Thread>) -> Result<Option<usize>, Raised> {
    let level = check_c_int(st, f, i)?;
    Ok(usize::try_from(level).ok().and_then(|level| frame_at(thread, level)))
}

/// What a slot holds for the program.
fn content(value: Value) -> Value {
    value.as_cell().map_or(value, |cell| cell.get())
}

// ---- information

fn getinfo(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (thread, first) = thread_argument(st, f);
    let options = opt_string(st, f, first + 1)?.map_or_else(|| b"flnSrtu".to_vec(), |s| s.c_string().to_vec());
    if options.first() == Some(&b'>') {
        return Err(arg_error(st, f, first + 1, "invalid option '>'"));
    }
    let about = st.arg(f, first);
    let (frame, function) = if about.is_function() {
        (None, about)
    } else {
        match level_argument(st, f, first, thread)? {
            Some(frame) => (Some(frame), frame_function(thread, frame)),
            None => return give(st, Value::NIL),
        }
    };
    if !options.iter().all(|c| b"SlnrutLf".contains(c)) {
        return Err(arg_error(st, f, first + 1, "invalid option"));
    }
    let table = new_table(st, 16)?;
    st.push(Value::from(table))?;
    for option in &options {
        let proto = function.as_lua_function().map(|f| f.proto());
        match option {
            b'S' => set_source(st, table, proto)?,
            b'l' => {
                let line = frame.and_then(|frame| frame_line(thread, thread.frames()[frame]));
                set(st, table, "currentline", Value::integer(line.map_or(-1, i64::from)))?;
            }
            b'n' => set_name(st, table, thread, frame)?,
            b'u' => set_counts(st, table, function, proto)?,
            b't' => {
                let is_tail = frame.is_some_and(|frame| thread.frames()[frame].flags & frame_flag::TAIL != 0);
                set(st, table, "istailcall", Value::boolean(is_tail))?;
            }
            b'r' => {
                let hooked = frame.map(|i| thread.frames()[i]).filter(|f| f.flags & frame_flag::HOOK != 0);
                let (first, count) = hooked.map_or((0, 0), |f| {
                    let (first, count) = thread.hook_transfer.get();
                    (if count == 0 { 0 } else { i64::from(first) - i64::from(f.base) + 1 }, count)
                });
                set(st, table, "ftransfer", Value::integer(first))?;
                set(st, table, "ntransfer", Value::integer(count.into()))?;
            }
            b'L' => set_active_lines(st, table, proto)?,
            _ => set(st, table, "func", function)?,
        }
    }
    Ok(1)
}

fn set_text(st: &mut State, table: Gc<Table>, name: &str, text: &[u8]) -> Result<(), Raised> {
    let text = Value::from(st.string(text)?);
    set(st, table, name, text)
}

fn set_source(st: &mut State, table: Gc<Table>, proto: Option<Gc<Proto>>) -> Result<(), Raised> {
    let (source, what, lines) = match &proto {
        Some(p) => {
            let what = if p.line_defined == 0 { "main" } else { "Lua" };
            (&p.source[..], what, (i64::from(p.line_defined), i64::from(p.last_line_defined)))
        }
        None => (&b"=[C]"[..], "C", (-1, -1)),
    };
    set_text(st, table, "source", source)?;
    set_text(st, table, "short_src", &chunk_id(source))?;
    set_text(st, table, "what", what.as_bytes())?;
    set(st, table, "linedefined", Value::integer(lines.0))?;
    set(st, table, "lastlinedefined", Value::integer(lines.1))
}

fn set_name(st: &mut State, table: Gc<Table>, thread: Gc<Thread>, frame: Option<usize>) -> Result<(), Raised> {
    match frame.and_then(|frame| called_name(thread, frame)) {
        Some((kind, name)) => {
            set_text(st, table, "name", &name)?;
            set_text(st, table, "namewhat", kind.as_bytes())
        }
        None => set_text(st, table, "namewhat", b""),
    }
}

fn set_counts(st: &mut State, table: Gc<Table>, function: Value, proto: Option<Gc<Proto>>) -> Result<(), Raised> {
    let (upvalues, parameters, is_vararg) = match &proto {
        Some(p) => (p.upvalues.len(), p.parameters, p.is_vararg),
        None => (function.as_native().map_or(0, |n| n.count()), 0, true),
    };
    set(st, table, "nups", Value::integer(upvalues as i64))?;
    set(st, table, "nparams", Value::integer(parameters.into()))?;
    set(st, table, "isvararg", Value::boolean(is_vararg))
}

fn set_active_lines(st: &mut State, table: Gc<Table>, proto: Option<Gc<Proto>>) -> Result<(), Raised> {
    let Some(proto) = proto else { return Ok(()) };
    let active = st.heap.table(0, 0)?;
    set(st, table, "activelines", Value::from(active))?;
    for pc in proto.body_start()..proto.lines.len() {
        let line = proto.line(pc);
        if line > 0 {
            raw_set(st, active, Value::integer(line.into()), Value::TRUE)?;
        }
    }
    Ok(())
}

fn traceback(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (thread, first) = thread_argument(st, f);
    let message = st.arg(f, first);
    if !message.is_nil() && !message.is_string() && !message.is_number() {
        return give(st, message);
    }
    let message = opt_string(st, f, first)?.map(|s| s.c_string().to_vec());
    let level = opt_c_int(st, f, first + 1, i32::from(thread == st.thread))?;
    let text = trace(st, thread, message.as_deref(), usize::try_from(level).unwrap_or(usize::MAX));
    give_vec(st, text)
}

// ---- local variables

/// The `n`th local variable that is alive at a place of a function: its name and register.
fn active_local(proto: Gc<Proto>, pc: usize, n: i64) -> Option<(Vec<u8>, usize)> {
    let alive = proto.locals.iter().filter(|l| l.start as usize <= pc && pc < l.end as usize);
    let local = alive.into_iter().nth(usize::try_from(n - 1).ok()?)?;
    Some((local.name.to_vec(), local.register.into()))
}

/// A variable of a frame by number: its name and slot. Negative numbers count extra arguments; temporaries come after the
/// named ones.
fn find_local(thread: Gc<Thread>, index: usize, n: i64) -> Option<(Vec<u8>, usize)> {
    let frame = thread.frames()[index];
    let base = frame.base as usize;
    let proto = frame_proto(thread, frame);
    if n < 0 {
        proto.filter(|p| p.is_vararg)?;
        let i = usize::try_from(n.checked_neg()? - 1).ok()?;
        let extra = frame.extra as usize;
        return (i < extra).then(|| (b"(vararg)".to_vec(), base - 1 - extra + i));
    }
    if let Some(proto) = proto
        && let Some((name, register)) = active_local(proto, frame_pc(proto, frame), n)
    {
        return Some((name, base + register));
    }
    let limit = match thread.frames().get(index + 1) {
        Some(above) => (above.base as usize).saturating_sub(1),
        None => thread.top.get() as usize,
    };
    let i = usize::try_from(n - 1).ok()?;
    let name = if proto.is_some() { &b"(temporary)"[..] } else { b"(C temporary)" };
    (i < limit.saturating_sub(base)).then(|| (name.to_vec(), base + i))
}

fn getlocal(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (thread, first) = thread_argument(st, f);
    let n = check_c_int(st, f, first + 1)?.into();
    let about = st.arg(f, first);
    if about.is_function() {
        // Of a function that does not run, the parameters are known.
        let name = about.as_lua_function().and_then(|f| active_local(f.proto(), 0, n));
        return match name {
            Some((name, _)) => give_vec(st, name),
            None => give(st, Value::NIL),
        };
    }
    let Some(frame) = level_argument(st, f, first, thread)? else {
        return Err(arg_error(st, f, first, "level out of range"));
    };
    match find_local(thread, frame, n) {
        Some((name, slot)) => {
            let value = content(thread.slot(slot));
            give_vec(st, name)?;
            st.push(value)?;
            Ok(2)
        }
        None => give(st, Value::NIL),
    }
}

fn setlocal(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (thread, first) = thread_argument(st, f);
    let level = level_argument(st, f, first, thread)?;
    let n = check_c_int(st, f, first + 1)?.into();
    let Some(frame) = level else { return Err(arg_error(st, f, first, "level out of range")) };
    let value = check_any(st, f, first + 2)?;
    let Some((name, slot)) = find_local(thread, frame, n) else { return give(st, Value::NIL) };
    let is_temporary = name[..] == b"(temporary)"[..] && !is_loop_state(thread, frame, slot);
    if name.first() == Some(&b'(') && name[..] != b"(vararg)"[..] && !is_temporary {
        // Loops' states and the arguments of native functions can be seen only: the machine relies on their types and on
        // their being alive.
        return give(st, Value::NIL);
    }
    exec::locals_changed(st);
    match thread.slot(slot).as_cell() {
        Some(cell) => cell.set(&mut st.heap, value),
        None => thread.set_slot(slot, value),
    }
    give_vec(st, name)
}

/// Does a slot hold part of the state of a numeric loop that is under way?
fn is_loop_state(thread: Gc<Thread>, frame: usize, slot: usize) -> bool {
    let frame = thread.frames()[frame];
    let Some(proto) = frame_proto(thread, frame) else { return false };
    let (code, now) = (proto.original_code(), frame_pc(proto, frame));
    let mut pc = 0;
    while pc < code.len() {
        let (word, op) = (code[pc], bc::op(code[pc]));
        let first = frame.base as usize + bc::a(word);
        if op == Op::ForPrep && (pc..=pc + bc::bx(word)).contains(&now) && (first..first + 3).contains(&slot) {
            return true;
        }
        pc += op.words();
    }
    false
}

// ---- upvalues

/// An upvalue of a function: its name and value. Those of native functions have no name.
fn upvalue(function: Value, n: i64) -> Option<(Vec<u8>, Value)> {
    let i = usize::try_from(n.checked_sub(1)?).ok()?;
    if let Some(f) = function.as_lua_function() {
        let cell = f.cells().get(i)?;
        let name = f.proto().upvalues.get(i).map_or_else(|| b"(no name)".to_vec(), |u| u.name.to_vec());
        return Some((name, cell.get()));
    }
    let native = function.as_native()?;
    (i < native.count()).then(|| (Vec::new(), native.value(i)))
}

fn getupvalue(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let n = check_c_int(st, f, 1)?.into();
    let function = check_function(st, f, 0)?;
    let Some((name, value)) = upvalue(function, n) else { return Ok(0) };
    give_vec(st, name)?;
    st.push(value)?;
    Ok(2)
}

fn setupvalue(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 2)?;
    let n = check_c_int(st, f, 1)?.into();
    let function = check_function(st, f, 0)?;
    let Some((name, _)) = upvalue(function, n) else { return Ok(0) };
    let i = (n - 1) as usize;
    if let Some(f) = function.as_lua_function() {
        f.cells()[i].set(&mut st.heap, value);
    } else if let Some(native) = function.as_native() {
        native.set_value(&mut st.heap, i, value);
    }
    give_vec(st, name)
}

/// What tells one upvalue from another.
fn upvalue_identity(function: Value, n: i64) -> Option<Value> {
    upvalue(function, n)?;
    let i = (n - 1) as usize;
    Some(match function.as_lua_function() {
        Some(f) => Value::light(f.cells()[i].address()),
        // Captured values are never shared: any address inside the function will do.
        None => Value::light(function.payload() as usize + 8 * (i + 1)),
    })
}

fn upvalueid(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let n = check_c_int(st, f, 1)?.into();
    let function = check_function(st, f, 0)?;
    give(st, upvalue_identity(function, n).unwrap_or(Value::NIL))
}

/// The cell that two arguments, a function and a number, name; none of a native function's.
fn cell_argument(st: &mut State, f: CallFrame, i: usize) -> Result<(Option<Gc<Cell>>, usize), Raised> {
    let n = check_c_int(st, f, i + 1)?.into();
    let function = check_function(st, f, i)?;
    if upvalue(function, n).is_none() {
        return Err(arg_error(st, f, i + 1, "invalid upvalue index"));
    }
    let n = (n - 1) as usize;
    Ok((function.as_lua_function().map(|f| f.cells()[n]), n))
}

fn upvaluejoin(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (_, n) = cell_argument(st, f, 0)?;
    let (from, _) = cell_argument(st, f, 2)?;
    let Some(function) = st.arg(f, 0).as_lua_function() else {
        return Err(arg_error(st, f, 0, "Lua function expected"));
    };
    let Some(from) = from else { return Err(arg_error(st, f, 2, "Lua function expected")) };
    function.set_cell(&mut st.heap, n, from);
    Ok(0)
}

// ---- metatables, user values, the registry

fn getmetatable(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 0)?;
    let metatable = st.metatable_of(value).map_or(Value::NIL, Value::from);
    give(st, metatable)
}

fn setmetatable(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = st.arg(f, 0);
    let metatable = st.arg(f, 1);
    if !is_given(f, 1) || !(metatable.is_nil() || metatable.is_table()) {
        return Err(type_error(st, f, 1, "nil or table"));
    }
    let metatable = metatable.as_table();
    let object = if let Some(table) = value.as_table() {
        table.set_metatable(&mut st.heap, metatable)?;
        Some(table.header())
    } else if let Some(userdata) = value.as_userdata() {
        userdata.set_metatable(&mut st.heap, metatable)?;
        Some(userdata.header())
    } else {
        st.set_type_metatable(value.tag(), metatable)?;
        None
    };
    if let (Some(object), Some(metatable)) = (object, metatable)
        && !metatable.event(&st.heap, Event::Gc).is_nil()
    {
        st.heap.add_finalizer(object);
    }
    give(st, value)
}

fn getregistry(st: &mut State, _: CallFrame) -> Result<u32, Raised> {
    let registry = Value::from(st.registry);
    give(st, registry)
}

/// The number of a user value, counted from 1; 0: none.
fn user_value_number(st: &mut State, f: CallFrame, i: usize) -> Result<usize, Raised> {
    Ok(usize::try_from(opt_c_int(st, f, i, 1)?).unwrap_or(0))
}

fn getuservalue(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let n = user_value_number(st, f, 1)?;
    let Some(userdata) = st.arg(f, 0).as_userdata() else { return give(st, Value::NIL) };
    match userdata.user_value(n) {
        Some(value) => {
            st.push(value)?;
            st.push(Value::TRUE)?;
            Ok(2)
        }
        None => give(st, Value::NIL),
    }
}

fn setuservalue(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let n = user_value_number(st, f, 2)?;
    let Some(userdata) = st.arg(f, 0).as_userdata() else { return Err(type_error(st, f, 0, "userdata")) };
    let value = check_any(st, f, 1)?;
    let found = userdata.set_user_value(&mut st.heap, n, value);
    give(st, if found { Value::from(userdata) } else { Value::NIL })
}

fn setcstacklimit(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    check_int(st, f, 0)?;
    // The limit is fixed; older programs want to hear it.
    give(st, Value::integer(MAX_NESTING.into()))
}

// ---- a prompt

/// Runs lines of the standard input until one says `cont`.
fn debug(st: &mut State, _: CallFrame) -> Result<u32, Raised> {
    while let ControlFlow::Continue(line) = prompt(st) {
        let env = Value::from(st.globals);
        let outcome = match load(st, &line, b"=(debug command)", Mode::Any, env) {
            Ok(function) => {
                st.push(Value::from(function))?;
                call_protected(st, 0, 0)?
            }
            Err(Raised) => Err(st.take_error()),
        };
        if let Err(error) = outcome {
            let text = error_text(st, error);
            library(st).streams.complain(&[&text[..], b"\n"].concat());
        }
    }
    Ok(0)
}

fn prompt(st: &mut State) -> ControlFlow<(), Vec<u8>> {
    let streams = &library(st).streams;
    streams.complain(b"lua_debug> ");
    match streams.input_line() {
        Some(line) if line != b"cont\n" => ControlFlow::Continue(line),
        _ => ControlFlow::Break(()),
    }
}

// ---- hooks

/// The name of the table of hooks in the registry.
const HOOKS: &str = "_HOOKKEY";

/// The letters of a mask.
const LETTERS: [(u8, u8); 3] = [(b'c', hook::CALL), (b'r', hook::RETURN), (b'l', hook::LINE)];

fn sethook(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (thread, first) = thread_argument(st, f);
    let (mut function, mut mask, mut count) = (Value::NIL, 0, 0);
    if !is_none_or_nil(st, f, first) {
        let letters = check_string(st, f, first + 1)?;
        function = check_function(st, f, first)?;
        count = u32::try_from(opt_c_int(st, f, first + 2, 0)?).unwrap_or(0);
        for (letter, bit) in LETTERS {
            if letters.c_string().contains(&letter) {
                mask |= bit;
            }
        }
        if count > 0 {
            mask |= hook::COUNT;
        }
    }
    if mask != 0 {
        exec::abandon_recording(st, "hook");
    }
    thread.hook.set(if mask == 0 { Value::NIL } else { function });
    thread.hook_mask.set(mask);
    thread.hook_count.set(count);
    thread.hook_left.set(count);
    // A coroutine that has not started has not missed anything.
    let depth = if thread.frames().is_empty() && thread != st.main { 0 } else { u32::MAX };
    thread.hook_seen.set(HookSeen { depth, at: 0, left: false });
    st.heap.barrier(thread.header());
    let key = Value::from(st.string(HOOKS.as_bytes())?);
    if let Some(hooks) = st.registry.get(key).as_table() {
        raw_set(st, hooks, Value::from(thread), thread.hook.get())?;
    }
    Ok(0)
}

fn gethook(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (thread, _) = thread_argument(st, f);
    let mask = thread.hook_mask.get();
    if mask == 0 {
        return give(st, Value::NIL);
    }
    st.push(thread.hook.get())?;
    let letters: Vec<u8> = LETTERS.iter().filter(|(_, bit)| mask & bit != 0).map(|(letter, _)| *letter).collect();
    give_bytes(st, &letters)?;
    st.push(Value::integer(thread.hook_count.get().into()))?;
    Ok(3)
}
