//! Calls by Rust code: native functions that call back enter the loop anew.

#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::Word;
use perilune_runtime::lua::function::{LuaFunction, NativeFunction, Special, call_in_answer};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::thread::{Frame, FrameKind, NATIVE_STACK, frame_flag};
use perilune_runtime::lua::value::Value;

use super::super::error::{Place, call_error};
use super::super::exec;
use super::{
    CLOSING, Flow, MAX_HANDLER_NESTING, SEEN_BELOW, begin_call, check_nesting, drop_frame, ensure_stack, error_slot,
    free_top, insert_call_handler, leave_native, next_to_close, place_closer, place_results, push_lua,
};

/// Is it an ordinary function, which [`call_plain`] can call?
pub fn is_plain(native: Gc<NativeFunction>) -> bool {
    matches!(native.special(), Special::None | Special::Next | Special::IpairsNext)
}

/// Calls an ordinary native function; its results are the topmost values then.
pub fn call_plain(st: &mut State, native: Gc<NativeFunction>, func: usize) -> Result<usize, Raised> {
    let base = func + 1;
    ensure_stack(st, st.top() + NATIVE_STACK)?;
    st.thread.frames().push(Frame::new(FrameKind::Native, std::ptr::null(), base as u32, 0, 0));
    let args = CallFrame { base: base as u32, count: (st.top() - base) as u32 };
    if st.thread.is_hooked() {
        exec::native_begins(st)?;
    }
    let answer = native.function()(st, args)?;
    let n = match call_in_answer(answer) {
        None => answer as usize,
        Some((values, wanted)) => {
            let at = st.top() - values;
            call(st, values - 1, i32::from(wanted) - 1)?;
            st.top() - at
        }
    };
    leave_native(st, st.top() - n, n)?;
    Ok(n)
}

/// Calls an ordinary native function which lies below its arguments, up to the top, while no frames stand; `pc` is that of any
/// instruction of the top frame. The results are put where the function lies, as many as are wanted; answers how many there were. None: it
/// cannot do its work like that, or there is an error in it; nobody has seen anything of it, if it is one that has no effects before.
pub fn call_bare(st: &mut State, (func, wanted): (usize, i32), pc: *const Word) -> Option<usize> {
    let native = st.slot(func).as_native()?;
    let (base, thread) = (func + 1, st.thread);
    if st.top() + NATIVE_STACK > thread.size() {
        return None;
    }
    if let Some(frame) = thread.frames().last_mut() {
        frame.pc = pc;
    }
    thread.frames().push(Frame::new(FrameKind::Native, std::ptr::null(), base as u32, wanted, 0));
    st.bare = true;
    let answer = native.function()(st, CallFrame { base: base as u32, count: (st.top() - base) as u32 });
    st.bare = false;
    thread.frames().pop();
    match answer {
        Ok(answer) if call_in_answer(answer).is_none() => {
            place_results(st, func, wanted, st.top() - answer as usize, answer as usize);
            Some(answer as usize)
        }
        Ok(_) => None,
        Err(Raised) => {
            st.take_error();
            st.handled = false;
            None
        }
    }
}

/// Runs the loop inside of a native function.
fn nested(st: &mut State, f: impl FnOnce(&mut State) -> Result<(), Raised>) -> Result<(), Raised> {
    if st.bare {
        return Err(Raised);
    }
    let thread = st.thread;
    let nesting = st.nesting;
    thread.no_yield.set(thread.no_yield.get() + 1);
    let result = exec::unrecorded(st, f);
    thread.no_yield.set(thread.no_yield.get() - 1);
    st.nesting = nesting;
    result
}

/// Calls the function below its `nargs` arguments on the stack's top; the results take their place. `wanted` is their
/// number, or -1: all. Errors are passed on; the callee cannot yield.
pub fn call(st: &mut State, nargs: usize, wanted: i32) -> Result<(), Raised> {
    let func = st.top() - nargs - 1;
    nested(st, |st| {
        check_nesting(st, 0)?;
        st.nesting += 1;
        while !st.slot(func).is_function() {
            insert_call_handler(st, func, Place::Unknown)?;
        }
        let callee = st.slot(func);
        if let Some(f) = callee.as_lua_function() {
            push_lua(st, func, f, wanted, frame_flag::ENTRY)?;
            return exec::run(st, Ok(Flow::Go));
        }
        let Some(native) = callee.as_native() else { return Err(call_error(st, callee, Place::Unknown)) };
        if !is_plain(native) {
            ensure_stack(st, st.top() + NATIVE_STACK)?;
            let step = begin_call(st, func, wanted, frame_flag::ENTRY);
            return exec::run(st, step);
        }
        let n = call_plain(st, native, func)?;
        let first = st.top() - n;
        place_results(st, func, wanted, first, n);
        if wanted >= 0 {
            st.set_top(func + wanted as usize);
        }
        Ok(())
    })
}

/// Calls Lua code that the running native function is written in, which to programs is that function still, for one result.
pub fn call_inner(st: &mut State, f: Gc<LuaFunction>, args: &[Value]) -> Result<Value, Raised> {
    let func = st.top();
    st.check_stack(1 + args.len())?;
    st.set_slot(func, Value::from(f));
    args.iter().enumerate().for_each(|(i, arg)| st.set_slot(func + 1 + i, *arg));
    st.set_top(func + 1 + args.len());
    nested(st, |st| {
        check_nesting(st, 0)?;
        st.nesting += 1;
        push_lua(st, func, f, 1, frame_flag::ENTRY | frame_flag::INNER)?;
        let step = exec::count_call(st, f);
        exec::run(st, step)
    })?;
    st.set_top(func);
    Ok(st.slot(func))
}

/// An error is on its way that ends at an `xpcall` with this handler, whose frame stands, as those above it do: calls the handler, as errors
/// in the loop have it called. What it makes of the error is on its way then.
pub fn call_handler_nested(st: &mut State, handler: Value) {
    let (top, mut failed) = (free_top(st), 0);
    while !st.handled && st.has_error() {
        let error = st.take_error();
        failed += 1;
        if st.nesting + failed >= MAX_HANDLER_NESTING || ensure_stack(st, top + 2 + NATIVE_STACK).is_err() {
            st.raise_text(b"error in error handling");
            st.handled = true;
            return;
        }
        st.set_slot(top, handler);
        st.set_slot(top + 1, error);
        st.set_top(top + 2);
        // If it fails, and is a Lua function, it has been called again for that.
        if call(st, 1, 1).is_ok() {
            st.raise(st.slot(top));
            st.handled = true;
        }
    }
}

/// An error ends at the topmost frame of a `pcall` or `xpcall`: closes the variables above it, after the frames are gone, as the loop has it
/// done. Answers what the error is then. None, and nothing was done: a closing metamethod could yield in the loop.
pub fn close_nested(st: &mut State, mut error: Value) -> Option<Value> {
    let thread = st.thread;
    let catches = |f: &Frame| matches!(f.kind, FrameKind::Pcall | FrameKind::Xpcall);
    let at = thread.frames().iter().rposition(catches)?;
    let frame = thread.frames()[at];
    let base = frame.base as usize;
    if thread.closing().last().is_none_or(|slot| (*slot as usize) < base) {
        return Some(error);
    }
    if thread != st.main && thread.no_yield.get() == 0 {
        return None;
    }
    while let Some(above) = thread.frames().last().copied().filter(|_| thread.frames().len() > at + 1) {
        drop_frame(st, above);
    }
    thread.frames()[at].detail = CLOSING;
    while let Some(slot) = next_to_close(st, base) {
        st.set_slot(error_slot(frame), error);
        if place_closer(st, slot, error, slot + 1).and_then(|_| call(st, 2, 0)).is_err() {
            error = st.take_error();
            st.handled = false;
        }
    }
    Some(error)
}

/// Executes a call of `pcall` with an ordinary native function, without entering the loop for it. `pcall` lies in slot `func`;
/// its results take that place, as many as are wanted, or all. Answers how many there are.
pub fn pcall_plain(st: &mut State, func: usize, wanted: i32) -> usize {
    let (thread, nesting, base) = (st.thread, st.nesting, func + 1);
    let depth = thread.frames().len();
    thread.frames().push(Frame::new(FrameKind::Pcall, std::ptr::null(), base as u32, wanted, 0));
    st.nesting += 1;
    let called = match st.slot(base).as_native() {
        Some(native) => call_plain(st, native, base),
        None => Err(call_error(st, st.slot(base), Place::Unknown)),
    };
    thread.frames().truncate(depth);
    st.nesting = nesting;
    let n = match called {
        Ok(n) => {
            let first = st.top() - n;
            st.set_slot(func, Value::TRUE);
            (0..n).for_each(|i| st.set_slot(base + i, st.slot(first + i)));
            n + 1
        }
        Err(Raised) => {
            let error = st.take_error();
            st.handled = false;
            st.set_slot(func, Value::FALSE);
            st.set_slot(base, error);
            2
        }
    };
    place_results(st, func, wanted, func, n);
    n
}

/// Calls a function for one result.
pub fn call_value(st: &mut State, function: Value, args: &[Value]) -> Result<Value, Raised> {
    let top = st.top();
    ensure_stack(st, top + 1 + args.len() + NATIVE_STACK)?;
    st.set_slot(top, function);
    for (i, arg) in args.iter().enumerate() {
        st.set_slot(top + 1 + i, *arg);
    }
    st.set_top(top + 1 + args.len());
    call(st, args.len(), 1)?;
    st.set_top(top);
    Ok(st.slot(top))
}

/// As [`call`], but catches errors: answers the error's value then. The stack is as it was below the function.
pub fn call_protected(st: &mut State, nargs: usize, wanted: i32) -> Result<Result<(), Value>, Raised> {
    call_caught(st, Value::NIL, (0, 0), nargs, wanted)
}

/// Calls a finalizer, whose object lies above it, as [`call_protected`] does, but to those who look it is called by the
/// running function.
pub fn call_finalizer(st: &mut State) -> Result<Result<(), Value>, Raised> {
    call_caught(st, Value::NIL, (0, frame_flag::FINALIZER), 1, 0)
}

/// As [`call_protected`], but the handler of an `xpcall` further down sees the error first: for functions of which Lua
/// programs know that they catch errors on their own, as `load` does those of its reader.
pub fn call_caught_late(st: &mut State, nargs: usize, wanted: i32) -> Result<Result<(), Value>, Raised> {
    call_caught(st, Value::NIL, (SEEN_BELOW, 0), nargs, wanted)
}

/// As [`call_protected`] with a function that sees each error while the stack still stands, as `xpcall`'s handler does
/// (nil: none). The results take the place of the function, or there are none after an error.
pub fn call_handled(st: &mut State, handler: Value, nargs: usize, wanted: i32) -> Result<Result<(), Value>, Raised> {
    call_caught(st, handler, (0, 0), nargs, wanted)
}

fn call_caught(
    st: &mut State,
    handler: Value,
    (detail, flags): (u16, u8),
    nargs: usize,
    wanted: i32,
) -> Result<Result<(), Value>, Raised> {
    let func = st.top() - nargs - 1;
    ensure_stack(st, st.top() + 1 + NATIVE_STACK)?;
    // The handler goes below the function, as in the frame of `xpcall`; the results come out where it was.
    for slot in (func..st.top()).rev() {
        st.set_slot(slot + 1, st.slot(slot));
    }
    st.set_top(st.top() + 1);
    st.set_slot(func, handler);
    nested(st, |st| {
        let kind = if handler.is_nil() { FrameKind::Pcall } else { FrameKind::Xpcall };
        let mut frame = Frame::new(kind, std::ptr::null(), func as u32 + 1, -1, frame_flag::ENTRY | flags);
        frame.detail = detail;
        st.thread.frames().push(frame);
        let step = begin_call(st, func + 1, -1, frame_flag::FINISH);
        exec::run(st, step)
    })?;
    let ok = !st.slot(func).is_falsy();
    let n = st.top() - func - 1;
    if !ok {
        let error = st.slot(func + 1);
        st.set_top(func);
        return Ok(Err(error));
    }
    place_results(st, func, wanted, func + 1, n);
    if wanted >= 0 {
        st.set_top(func + wanted as usize);
    }
    Ok(Ok(()))
}
