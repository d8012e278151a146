//! Calls: how they begin, where their results go, and how an error finds who catches it.
//!
//! Everything here works on the frames of the state; nothing of it recurses on the native stack for Lua functions,
//! metamethods, `pcall` or coroutines. A call is *begun* ([`begin_call`]): a Lua function gets its frame, and the loop goes
//! on with it; a native one is executed. Its results are *delivered* ([`deliver`]) to whatever its caller is, which may in turn
//! end that caller's call.
//!
//! Only native functions that call back enter the loop anew ([`call`]); the frame they call has the flag `ENTRY`, and an
//! error that nobody catches above it is passed on as `Err`.

#![forbid(unsafe_code)]

mod nested;

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{LuaFunction, NativeFunction, Special, call_in_answer};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, MAX_NESTING, Raised, State};
use perilune_runtime::lua::thread::{EXTRA_STACK, Frame, FrameKind, MAX_STACK, NATIVE_STACK, frame_flag};
use perilune_runtime::lua::value::Value;

use super::error::{Place, arg_error, call_error, runtime_error, type_error};
use super::meta::metafield;
use super::{coroutine, exec};
pub use nested::{
    call, call_bare, call_caught_late, call_finalizer, call_handled, call_handler_nested, call_inner, call_plain,
    call_protected, call_value, close_nested, is_plain, pcall_plain,
};

/// What the loop does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Go on with the top frame.
    Go,
    /// Go on with the top frame in the recording loop.
    Record,
    /// The call that the loop was entered for has ended.
    Leave,
    /// It has ended with an error.
    Fail,
    /// For a debugger: the event in the state's `lines` is to be shown; if there is none, the frame that is on top.
    Show,
}

/// The outcome of a step of the machine.
pub type Step = Result<Flow, Raised>;

/// `detail` of a `pcall` frame that closes variables after an error.
const CLOSING: u16 = 1;
/// `detail` of a `pcall` frame that leaves errors to the handler of an `xpcall` further down, before it catches them.
const SEEN_BELOW: u16 = 2;
/// The flags of calls that count in the state's nesting.
const NESTED: u8 = frame_flag::FINISH | frame_flag::HANDLER;
/// What the handlers of an error at [`MAX_NESTING`] may nest to, as in PUC.
const MAX_HANDLER_NESTING: u32 = MAX_NESTING / 10 * 11;

/// The function of natives that the machine does itself; see [`Special`].
pub fn special(st: &mut State, _: CallFrame) -> Result<u32, Raised> {
    Err(runtime_error(st, format_args!("attempt to call a special function directly")))
}

// ---- stack

/// Makes sure that the running stack has `needed` slots in all.
#[inline]
pub fn ensure_stack(st: &mut State, needed: usize) -> Result<(), Raised> {
    if needed <= st.thread.size() { Ok(()) } else { grow_stack(st, needed) }
}

#[cold]
fn grow_stack(st: &mut State, needed: usize) -> Result<(), Raised> {
    let thread = st.thread;
    if needed <= MAX_STACK {
        return Ok(thread.resize(&mut st.heap, needed)?);
    }
    if thread.size() > MAX_STACK {
        let error = st.raise_text(b"error in error handling");
        st.handled = true;
        return Err(error);
    }
    thread.resize(&mut st.heap, MAX_STACK + EXTRA_STACK)?;
    Err(runtime_error(st, format_args!("stack overflow")))
}

/// The first slot that the top frame does not use. `top` counts for more where a Lua function has just left results there.
pub fn free_top(st: &State) -> usize {
    let frame = st.thread.frames().last();
    match frame.and_then(|f| super::error::frame_proto(st.thread, *f).map(|p| (f, p))) {
        Some((frame, proto)) => (frame.base as usize + usize::from(proto.max_stack)).max(st.top()),
        None => st.top(),
    }
}

/// A safepoint: collects garbage if it is time. What is alive must lie on the stack.
#[inline]
pub fn safepoint(st: &mut State) {
    if st.heap.debt > 0 {
        exec::collect(st);
    }
}

// ---- beginning a call

/// Gives a Lua function its frame. The arguments lie behind the function, up to the top.
pub fn push_lua(st: &mut State, func: usize, f: Gc<LuaFunction>, wanted: i32, flags: u8) -> Result<(), Raised> {
    let proto = f.proto();
    let base = func + 1;
    ensure_stack(st, base + usize::from(proto.max_stack) + 1)?;
    if st.move_stacks {
        st.thread.move_stack();
    }
    for slot in st.top()..base + usize::from(proto.parameters) {
        st.set_slot(slot, Value::NIL);
    }
    let frame = Frame::new(FrameKind::Lua, proto.code_ptr(), base as u32, wanted, flags);
    st.thread.frames().push(frame);
    Ok(())
}

/// Puts the `__call` metamethod of what is not a function below it, as the function to be called.
#[cold]
pub fn insert_call_handler(st: &mut State, func: usize, place: Place) -> Result<(), Raised> {
    let callee = st.slot(func);
    let handler = metafield(st, callee, Event::Call);
    if handler.is_nil() {
        return Err(call_error(st, callee, place));
    }
    let top = st.top();
    ensure_stack(st, top + 1 + NATIVE_STACK)?;
    for slot in (func..top).rev() {
        st.set_slot(slot + 1, st.slot(slot));
    }
    st.set_slot(func, handler);
    st.set_top(top + 1);
    Ok(())
}

/// Begins the call of the value in the slot `func` with the arguments behind it, up to the top.
pub fn begin_call(st: &mut State, mut func: usize, mut wanted: i32, mut flags: u8) -> Step {
    let mut place = Place::Unknown;
    if flags == 0 {
        // What a call instruction calls lies in a register.
        place = exec::register_of(st, func);
    } else if flags & NESTED != 0 {
        check_nesting(st, flags)?;
    }
    loop {
        let callee = st.slot(func);
        if let Some(f) = callee.as_lua_function() {
            push_lua(st, func, f, wanted, flags)?;
            st.nesting += nesting_of(flags);
            return Ok(Flow::Go);
        }
        let Some(native) = callee.as_native() else {
            insert_call_handler(st, func, place)?;
            continue;
        };
        let base = func + 1;
        let count = st.top() - base;
        ensure_stack(st, st.top() + NATIVE_STACK)?;
        st.thread.frames().push(Frame::new(FrameKind::Native, std::ptr::null(), base as u32, wanted, flags));
        st.nesting += nesting_of(flags);
        let args = CallFrame { base: base as u32, count: count as u32 };
        if st.thread.is_hooked() {
            exec::native_begins(st)?;
        }
        match native.special() {
            Special::Pcall => {
                if count == 0 {
                    return Err(arg_error(st, args, 0, "value expected"));
                }
                set_top_kind(st, FrameKind::Pcall);
                func = base;
            }
            Special::Xpcall => {
                begin_xpcall(st, args)?;
                func = base + 1;
            }
            Special::Resume | Special::Wrapped => match coroutine::begin_resume(st, native, args)? {
                coroutine::Resumed::Start => func = 0,
                coroutine::Resumed::Step(flow) => return Ok(flow),
            },
            Special::Yield => return coroutine::suspend(st, args),
            _ => {
                if st.move_stacks {
                    st.thread.move_stack();
                }
                let answer = native.function()(st, args)?;
                let Some(call) = call_in_answer(answer) else {
                    return end_native(st, func, wanted, flags, answer as usize);
                };
                begin_call_in_answer(st, base, call);
                func = base;
            }
        }
        (wanted, flags) = (-1, frame_flag::FINISH);
        place = Place::Unknown;
        check_nesting(st, flags)?;
    }
}

/// As [`begin_call`] of an ordinary native function by a call instruction. None: the call is over, nothing has to be looked at, and
/// the frame of the instruction is on top as before.
#[inline]
pub fn call_from_loop(st: &mut State, native: Gc<NativeFunction>, func: usize, wanted: i32) -> Option<Step> {
    if st.move_stacks || st.thread.is_hooked() {
        return Some(begin_call(st, func, wanted, 0));
    }
    let base = func + 1;
    if let Err(raised) = ensure_stack(st, st.top() + NATIVE_STACK) {
        return Some(Err(raised));
    }
    let args = CallFrame { base: base as u32, count: (st.top() - base) as u32 };
    st.thread.frames().push(Frame::new(FrameKind::Native, std::ptr::null(), base as u32, wanted, 0));
    let n = match native.function()(st, args) {
        Ok(answer) => match call_in_answer(answer) {
            None => answer as usize,
            Some(call) => {
                begin_call_in_answer(st, base, call);
                return Some(begin_call(st, base, -1, frame_flag::FINISH));
            }
        },
        Err(raised) => return Some(Err(raised)),
    };
    if st.thread.is_hooked() {
        return Some(end_native(st, func, wanted, 0, n));
    }
    st.thread.frames().pop();
    place_results(st, func, wanted, st.top() - n, n);
    if st.heap.debt > 0 {
        if wanted >= 0 {
            exec::collect_above(st, func + wanted as usize);
        }
        safepoint(st);
    }
    None
}

/// Before a call that counts in the nesting.
fn check_nesting(st: &mut State, flags: u8) -> Result<(), Raised> {
    if st.nesting + 1 < MAX_NESTING { Ok(()) } else { too_deep(st, flags) }
}

/// At the limit of the nesting. The handlers of its error may go a little deeper.
#[cold]
fn too_deep(st: &mut State, flags: u8) -> Result<(), Raised> {
    if st.nesting + 1 >= MAX_HANDLER_NESTING {
        let error = st.raise_text(b"error in error handling");
        st.handled = true;
        Err(error)
    } else if st.nesting + 1 == MAX_NESTING && flags & frame_flag::HANDLER == 0 {
        Err(runtime_error(st, format_args!("C stack overflow")))
    } else {
        Ok(())
    }
}

/// What a frame with these flags counts in the nesting.
#[inline]
pub fn nesting_of(flags: u8) -> u32 {
    u32::from(flags & NESTED != 0)
}

/// Delivers the results of a native function, whose frame is on top.
fn end_native(st: &mut State, func: usize, wanted: i32, flags: u8, n: usize) -> Step {
    leave_native(st, st.top() - n, n)?;
    let first = st.top() - n;
    let flow = deliver(st, func, wanted, flags, first, n)?;
    if flags == 0 && wanted >= 0 && st.heap.debt > 0 {
        // The caller's registers behind the results are free.
        exec::collect_above(st, func + wanted as usize);
    }
    safepoint(st);
    Ok(flow)
}

/// A native function goes on with a call: moves the function and its arguments to where its own arguments were. The frame
/// knows what is wanted of the results.
fn begin_call_in_answer(st: &mut State, base: usize, (values, wanted): (usize, u16)) {
    let first = st.top() - values;
    for i in 0..values {
        st.set_slot(base + i, st.slot(first + i));
    }
    st.set_top(base + values);
    if let Some(frame) = st.thread.frames().last_mut() {
        frame.detail = wanted;
    }
}

/// The call of a native function, whose frame is on top, is over.
fn leave_native(st: &mut State, first: usize, n: usize) -> Result<(), Raised> {
    if st.thread.is_hooked() {
        exec::native_ends(st, (first, n))?;
    }
    st.thread.frames().pop();
    Ok(())
}

/// The call of a `pcall` is over. Puts `ok` in front of its `n` results at `base`; answers where they are then.
fn leave_pcall(st: &mut State, base: usize, ok: Value, n: usize) -> Result<usize, Raised> {
    if !st.thread.is_hooked() {
        st.set_slot(base - 1, ok);
        st.thread.frames().pop();
        return Ok(base - 1);
    }
    // It catches no more: not the errors of hooks at its return. They see which function returns, so that keeps its slot.
    set_top_kind(st, FrameKind::Native);
    ensure_stack(st, base + n + 1 + NATIVE_STACK)?;
    for slot in (base..base + n).rev() {
        st.set_slot(slot + 1, st.slot(slot));
    }
    st.set_slot(base, ok);
    st.set_top(base + n + 1);
    leave_native(st, base, n + 1)?;
    Ok(base)
}

fn set_top_kind(st: &State, kind: FrameKind) {
    if let Some(frame) = st.thread.frames().last_mut() {
        frame.kind = kind;
    }
}

/// From `xpcall f h args` to `xpcall h f args`.
fn begin_xpcall(st: &mut State, args: CallFrame) -> Result<(), Raised> {
    let base = args.base as usize;
    let handler = st.arg(args, 1);
    if !handler.is_function() {
        return Err(type_error(st, args, 1, "function"));
    }
    st.set_slot(base + 1, st.slot(base));
    st.set_slot(base, handler);
    set_top_kind(st, FrameKind::Xpcall);
    Ok(())
}

// ---- results

/// Moves `n` values to `dst` and adds or drops some so that there are as many as wanted; all: the top is set behind them.
#[inline]
pub fn place_results(st: &mut State, dst: usize, wanted: i32, first: usize, n: usize) {
    if wanted == 1 {
        let value = if n > 0 { st.slot(first) } else { Value::NIL };
        return st.set_slot(dst, value);
    }
    let count = if wanted < 0 { n } else { wanted as usize };
    for i in 0..count {
        let value = if i < n { st.slot(first + i) } else { Value::NIL };
        st.set_slot(dst + i, value);
    }
    if wanted < 0 {
        st.set_top(dst + count);
    }
}

/// Hands over the `n` results at `first` of a call that has ended, whose frame is gone: `dst` is where its function was.
pub fn deliver(st: &mut State, mut dst: usize, mut wanted: i32, mut flags: u8, mut first: usize, mut n: usize) -> Step {
    loop {
        if flags & frame_flag::ENTRY != 0 {
            place_results(st, dst, wanted, first, n);
            if wanted >= 0 {
                st.set_top(dst + wanted as usize);
            }
            return Ok(Flow::Leave);
        }
        st.nesting -= nesting_of(flags);
        if flags & frame_flag::HANDLER != 0 {
            let thread = st.thread;
            thread.no_yield.set(thread.no_yield.get() - 1);
            let value = if n > 0 { st.slot(first) } else { Value::NIL };
            st.raise(value);
            st.handled = true;
            return throw(st);
        }
        if flags & frame_flag::FINISH == 0 {
            place_results(st, dst, wanted, first, n);
            return Ok(Flow::Go);
        }
        let Some(frame) = st.thread.frames().last().copied() else { return Ok(Flow::Leave) };
        let base = frame.base as usize;
        match frame.kind {
            FrameKind::Pcall | FrameKind::Xpcall if frame.detail == CLOSING => return close_after_error(st),
            FrameKind::Pcall | FrameKind::Xpcall => {
                place_results(st, base, -1, first, n);
                first = leave_pcall(st, base, Value::TRUE, n)?;
                (dst, wanted, flags, n) = (base - 1, frame.wanted, frame.flags, n + 1);
            }
            FrameKind::Bottom => return coroutine::returned(st, first, n),
            FrameKind::Native => {
                // It has gone on with this call.
                if frame.detail != 0 {
                    place_results(st, first, i32::from(frame.detail) - 1, first, n);
                    n = usize::from(frame.detail) - 1;
                }
                st.set_top(first + n);
                leave_native(st, first, n)?;
                (dst, wanted, flags) = (base - 1, frame.wanted, frame.flags);
            }
            FrameKind::Lua => {
                let value = if n > 0 { st.slot(first) } else { Value::NIL };
                return exec::finish(st, value);
            }
        }
    }
}

// ---- errors

/// Handles all errors of a step.
#[inline(always)]
pub fn settle(st: &mut State, step: Step) -> Flow {
    match step {
        Ok(flow) => flow,
        Err(Raised) => settle_error(st),
    }
}

#[cold]
#[inline(never)]
fn settle_error(st: &mut State) -> Flow {
    loop {
        if let Ok(flow) = throw(st) {
            return flow;
        }
    }
}

/// Finds who catches the error on its way and goes on there. `Err`: another error was raised meanwhile.
#[cold]
pub fn throw(st: &mut State) -> Step {
    exec::record_error(st);
    if !st.handled
        && st.has_error()
        && let Some(flow) = call_handler(st)
    {
        return Ok(flow);
    }
    let stops = |f: &&Frame| {
        f.flags & frame_flag::ENTRY != 0 || matches!(f.kind, FrameKind::Pcall | FrameKind::Xpcall | FrameKind::Bottom)
    };
    if st.thread.frames().iter().rev().find(stops).is_some_and(|f| f.kind == FrameKind::Bottom) {
        // The coroutine dies with its frames standing, for those who want to see where.
        return coroutine::failed(st);
    }
    while let Some(frame) = st.thread.frames().last().copied() {
        match frame.kind {
            FrameKind::Pcall | FrameKind::Xpcall => return catch(st, frame),
            FrameKind::Bottom => return coroutine::failed(st),
            FrameKind::Lua | FrameKind::Native => {}
        }
        drop_frame(st, frame);
        if frame.flags & frame_flag::ENTRY != 0 {
            break;
        }
    }
    Ok(Flow::Fail)
}

/// Takes the topmost frame away, whose call has failed.
fn drop_frame(st: &mut State, frame: Frame) {
    st.thread.frames().pop();
    st.nesting -= nesting_of(frame.flags);
    if frame.flags & frame_flag::HANDLER != 0 {
        st.thread.no_yield.set(st.thread.no_yield.get() - 1);
    }
}

/// Lets the nearest `xpcall`'s handler see the error, while the stack stands. Answers the flow if the handler runs in the
/// loop; afterwards, or otherwise, the error on its way is what it made of it.
fn call_handler(st: &mut State) -> Option<Flow> {
    let thread = st.thread;
    let frames = thread.frames();
    let catches = |f: &&Frame| matches!(f.kind, FrameKind::Pcall | FrameKind::Xpcall);
    let catcher = frames.iter().rev().find(|f| catches(f) && f.detail != SEEN_BELOW)?;
    // What Rust code makes of an error is for its own eyes.
    let passed_on = catcher.flags & frame_flag::ENTRY == 0 || frames.iter().rev().find(catches)?.detail != SEEN_BELOW;
    if catcher.kind != FrameKind::Xpcall || !passed_on {
        return None;
    }
    // A call from Rust has it in the place of the called function, `xpcall` behind itself.
    let called_from_rust = catcher.flags & frame_flag::ENTRY != 0;
    let handler = thread.slot(catcher.base as usize - usize::from(called_from_rust));
    let mut failed = 0;
    let top = free_top(st);
    loop {
        let error = st.take_error();
        failed += 1;
        if st.nesting + failed >= MAX_HANDLER_NESTING || ensure_stack(st, top + 2 + NATIVE_STACK).is_err() {
            st.raise_text(b"error in error handling");
            st.handled = true;
            return None;
        }
        st.set_slot(top, handler);
        st.set_slot(top + 1, error);
        st.set_top(top + 2);
        thread.no_yield.set(thread.no_yield.get() + 1);
        let depth = thread.frames().len();
        let plain = handler.as_native().filter(|f| is_plain(*f));
        let result = match plain {
            None => begin_call(st, top, 1, frame_flag::HANDLER).map(Some),
            Some(native) => call_plain(st, native, top).map(|n| {
                let value = if n > 0 { st.slot(st.top() - n) } else { Value::NIL };
                st.raise(value);
                st.handled = true;
                None
            }),
        };
        match result {
            Ok(Some(flow)) => return Some(flow),
            Ok(None) => {
                thread.no_yield.set(thread.no_yield.get() - 1);
                return None;
            }
            // The frame of a handler that has failed may stand; whoever takes it away counts.
            Err(Raised) if thread.frames().get(depth).is_some_and(|f| f.flags & frame_flag::HANDLER != 0) => {}
            Err(Raised) => thread.no_yield.set(thread.no_yield.get() - 1),
        }
        if st.handled || !st.has_error() {
            return None;
        }
    }
}

/// The error ends at this frame, the topmost after those above it are gone.
fn catch(st: &mut State, frame: Frame) -> Step {
    let thread = st.thread;
    let error = st.take_error();
    st.handled = false;
    let at = error_slot(frame);
    st.set_slot(at, error);
    if let Some(top) = thread.frames().last_mut() {
        top.detail = CLOSING;
    }
    st.set_top(at + 1);
    if thread.size() > MAX_STACK {
        let live = thread.closing().last().map_or(0, |slot| *slot as usize).max(at) + NATIVE_STACK;
        if live < MAX_STACK {
            thread.shrink(&mut st.heap, MAX_STACK);
        }
    }
    close_after_error(st)
}

/// Where the error that ends at a frame waits until variables are closed: in place of the function that was called. The
/// handler of `xpcall` stays where it is, for further errors.
fn error_slot(frame: Frame) -> usize {
    let has_handler = frame.kind == FrameKind::Xpcall && frame.flags & frame_flag::ENTRY == 0;
    frame.base as usize + usize::from(has_handler)
}

/// Closes the variables above the topmost frame, a `pcall`'s, and then returns false and the error from it.
fn close_after_error(st: &mut State) -> Step {
    let Some(frame) = st.thread.frames().last().copied() else { return Ok(Flow::Leave) };
    let base = frame.base as usize;
    while let Some(slot) = next_to_close(st, base) {
        let error = st.slot(error_slot(frame));
        if let Some(flow) = call_closer(st, slot, error, slot + 1)? {
            return Ok(flow);
        }
    }
    st.set_slot(base, st.slot(error_slot(frame)));
    let first = leave_pcall(st, base, Value::FALSE, 1)?;
    deliver(st, base - 1, frame.wanted, frame.flags, first, 2)
}

/// Takes the last variable to be closed at or above a slot off the list.
pub fn next_to_close(st: &State, level: usize) -> Option<usize> {
    let closing = st.thread.closing();
    match closing.last() {
        Some(slot) if *slot as usize >= level => closing.pop().map(|slot| slot as usize),
        _ => None,
    }
}

/// Calls the `__close` of the variable in a slot; `at` is the first free slot. Answers the flow if the loop must go on with
/// it.
pub fn call_closer(st: &mut State, slot: usize, error: Value, at: usize) -> Result<Option<Flow>, Raised> {
    let handler = place_closer(st, slot, error, at)?;
    match handler.as_native().filter(|f| is_plain(*f)) {
        Some(native) => {
            call_plain(st, native, at)?;
            Ok(None)
        }
        None => begin_call(st, at, 0, frame_flag::FINISH).map(Some),
    }
}

/// Puts the `__close` of the variable in a slot, which it answers, and its arguments on the stack from `at` on.
fn place_closer(st: &mut State, slot: usize, error: Value, at: usize) -> Result<Value, Raised> {
    let mut value = st.slot(slot);
    if let Some(cell) = value.as_cell() {
        value = cell.get();
    }
    let handler = metafield(st, value, Event::Close);
    ensure_stack(st, at + 3 + NATIVE_STACK)?;
    // If the value has lost its metamethod, the call of nil raises the error that is due.
    st.set_slot(at, handler);
    st.set_slot(at + 1, value);
    st.set_slot(at + 2, error);
    st.set_top(at + 3);
    Ok(handler)
}
