//! Coroutines: to resume or yield is to let the loop go on with another thread's frames.
//!
//! A resumed coroutine's resumer has, as its top frame, that of the native function that resumed it (`coroutine.resume`,
//! or what `coroutine.wrap` made), whose results are what the coroutine yields or returns. A suspended one has the frame
//! of `coroutine.yield` on top, whose results are what it is resumed with. At the bottom of each lies a frame of kind
//! `Bottom`, where its function's results and errors arrive.

#![forbid(unsafe_code)]

use perilune_runtime::lua::function::{NativeFunction, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, MAX_NESTING, Raised, State};
use perilune_runtime::lua::thread::{Frame, FrameKind, MAX_STACK, NATIVE_STACK, Status, Thread};
use perilune_runtime::lua::value::Value;

use super::call::{Flow, Step, call_protected, deliver, ensure_stack, next_to_close, throw};
use super::error::{error, runtime_error, type_error, where_};
use super::meta::metafield;

/// A new coroutine that will call `function`.
pub fn create(st: &mut State, function: Value) -> Result<Gc<Thread>, Raised> {
    let thread = st.heap.thread()?;
    thread.set_slot(0, function);
    thread.top.set(1);
    Ok(thread)
}

/// What `coroutine.wrap` returns for a coroutine.
pub fn wrap(st: &mut State, thread: Gc<Thread>) -> Result<Gc<NativeFunction>, Raised> {
    Ok(st.heap.native(super::call::special, Special::Wrapped, &[Value::from(thread)])?)
}

/// The status as `coroutine.status` gives it.
pub fn status(thread: Gc<Thread>) -> &'static str {
    match thread.status.get() {
        Status::Suspended => "suspended",
        Status::Running => "running",
        Status::Normal => "normal",
        Status::Dead => "dead",
    }
}

/// Can the coroutine yield where it is?
pub fn is_yieldable(st: &State, thread: Gc<Thread>) -> bool {
    thread != st.main && thread.no_yield.get() == 0
}

/// How [`begin_resume`] goes on.
pub enum Resumed {
    /// The coroutine starts: its function in the first slot of its stack is to be called.
    Start,
    /// The step is done.
    Step(Flow),
}

/// Begins to execute `coroutine.resume` or a wrapped coroutine, whose frame is on top.
pub fn begin_resume(st: &mut State, native: Gc<NativeFunction>, args: CallFrame) -> Result<Resumed, Raised> {
    let wrapped = native.special() == Special::Wrapped;
    let co = if wrapped { native.value(0).as_thread() } else { st.arg(args, 0).as_thread() };
    let Some(co) = co else { return Err(type_error(st, args, 0, "thread")) };
    let first = args.base as usize + usize::from(!wrapped);
    let problem = match co.status.get() {
        Status::Suspended if st.nesting < MAX_NESTING => None,
        Status::Suspended => Some("C stack overflow"),
        Status::Dead => Some("cannot resume dead coroutine"),
        Status::Running | Status::Normal => Some("cannot resume non-suspended coroutine"),
    };
    if let Some(problem) = problem {
        if wrapped {
            return Err(error(st, format_args!("{problem}")));
        }
        let message = Value::from(st.string(problem.as_bytes())?);
        return give(st, Value::FALSE, &[message]).map(Resumed::Step);
    }
    let n = st.top() - first;
    let start = co.frames().is_empty();
    let at = co.top.get() as usize;
    co.resize(&mut st.heap, at + n + NATIVE_STACK)?;
    for i in 0..n {
        co.set_slot(at + i, st.slot(first + i));
    }
    co.top.set((at + n) as u32);
    switch_to(st, co);
    if start {
        co.frames().push(Frame::new(FrameKind::Bottom, std::ptr::null(), 0, -1, 0));
        return Ok(Resumed::Start);
    }
    if co.is_hooked() {
        // What has yielded returns now.
        super::exec::native_ends(st, (at, n))?;
    }
    let Some(frame) = co.frames().pop() else { return Ok(Resumed::Start) };
    deliver(st, frame.base as usize - 1, frame.wanted, frame.flags, at, n).map(Resumed::Step)
}

/// Executes `coroutine.yield`, whose frame is on top.
pub fn suspend(st: &mut State, args: CallFrame) -> Step {
    let co = st.thread;
    if co == st.main {
        return Err(runtime_error(st, format_args!("attempt to yield from outside a coroutine")));
    }
    if co.no_yield.get() > 0 {
        return Err(runtime_error(st, format_args!("attempt to yield across a C-call boundary")));
    }
    switch_back(st, Status::Suspended);
    let (base, count) = (args.base as usize, args.count as usize);
    co.top.set(args.base);
    hand_over(st, co, base, count)
}

/// The running coroutine's function has returned.
pub fn returned(st: &mut State, first: usize, n: usize) -> Step {
    let co = st.thread;
    co.frames().clear();
    switch_back(st, Status::Dead);
    co.top.set(0);
    hand_over(st, co, first, n)
}

/// Nobody in the running coroutine has caught the error on its way.
pub fn failed(st: &mut State) -> Step {
    let co = st.thread;
    let has_value = st.has_error();
    let mut error = st.take_error();
    st.handled = false;
    co.error.set(error);
    co.failed.set(true);
    switch_back(st, Status::Dead);
    if !resumer_is_wrapped(st) {
        return give(st, Value::FALSE, &[error]);
    }
    if has_value {
        // The wrapped coroutine is closed, and its message gets the position of the call.
        error = close(st, co)?.unwrap_or(error);
        if let Some(message) = error.as_string() {
            let text = [&where_(st, 1)[..], message.bytes()].concat();
            error = Value::from(st.string(&text)?);
        }
    }
    st.raise(error);
    throw(st)
}

/// A Lua function's call of a native function that switches coroutines.
#[derive(Clone, Copy, Debug)]
pub struct SwitchCall {
    /// The slot of the native function.
    pub func: usize,
    /// The number of its arguments, which lie behind it.
    pub arguments: usize,
    /// How many results are wanted; -1: all.
    pub wanted: i32,
}

/// Executes a call of `coroutine.resume`, a wrapped coroutine or `coroutine.yield` that does nothing but hand over values to a
/// coroutine in which a Lua function goes on then. Answers whether it was one; if not, nothing was done.
pub fn switch(st: &mut State, call: SwitchCall) -> bool {
    let Some(native) = st.slot(call.func).as_native().filter(|_| !st.thread.is_hooked()) else { return false };
    match native.special() {
        Special::Yield => hand_to_resumer(st, call),
        Special::Wrapped => native.value(0).as_thread().is_some_and(|co| hand_to_suspended(st, call, 0, co)),
        Special::Resume if call.arguments > 0 => {
            st.slot(call.func + 1).as_thread().is_some_and(|co| hand_to_suspended(st, call, 1, co))
        }
        _ => false,
    }
}

/// The frame of the native function in which a coroutine that does not run waits, if a Lua function has called it.
fn waiting(co: Gc<Thread>) -> Option<Frame> {
    let frame = *co.frames().last()?;
    (frame.flags == 0 && frame.kind == FrameKind::Native && !co.is_hooked()).then_some(frame)
}

fn hand_to_suspended(st: &mut State, call: SwitchCall, skipped: usize, co: Gc<Thread>) -> bool {
    let n = call.arguments - skipped;
    let Some(frame) = waiting(co).filter(|_| co.status.get() == Status::Suspended) else { return false };
    let to = frame.base as usize - 1;
    if to + n + NATIVE_STACK > co.size() || st.nesting >= MAX_NESTING {
        return false;
    }
    let thread = st.thread;
    thread.frames().push(Frame::new(FrameKind::Native, std::ptr::null(), call.func as u32 + 1, call.wanted, 0));
    // What lies above is not alive meanwhile.
    thread.top.set((call.func + 1 + call.arguments) as u32);
    co.frames().pop();
    let first = call.func + 1 + skipped;
    place(co, to, frame.wanted, n, |i| thread.slot(first + i));
    switch_to(st, co);
    true
}

fn hand_to_resumer(st: &mut State, call: SwitchCall) -> bool {
    let co = st.thread;
    let resumer = co.resumer.get().filter(|_| co.no_yield.get() == 0);
    let Some((resumer, frame)) = resumer.and_then(|r| waiting(r).map(|frame| (r, frame))) else { return false };
    let to = frame.base as usize - 1;
    let wrapped = resumer.slot(to).as_native().is_some_and(|f| f.special() == Special::Wrapped);
    let lead = usize::from(!wrapped);
    let n = call.arguments + lead;
    if to + n + NATIVE_STACK > resumer.size() {
        return false;
    }
    let base = call.func + 1;
    co.frames().push(Frame::new(FrameKind::Native, std::ptr::null(), base as u32, call.wanted, 0));
    co.top.set(base as u32);
    switch_back(st, Status::Suspended);
    resumer.frames().pop();
    place(resumer, to, frame.wanted, n, |i| if i < lead { Value::TRUE } else { co.slot(base + i - lead) });
    true
}

/// Puts `n` values of another coroutine where a call wants them.
#[inline(always)]
fn place(thread: Gc<Thread>, to: usize, wanted: i32, n: usize, value: impl Fn(usize) -> Value) {
    let count = if wanted < 0 { n } else { wanted as usize };
    for i in 0..count {
        thread.set_slot(to + i, if i < n { value(i) } else { Value::NIL });
    }
    if wanted < 0 {
        thread.top.set((to + count) as u32);
    }
}

/// Lets a suspended coroutine run, resumed by the one that runs.
#[inline(always)]
fn switch_to(st: &mut State, co: Gc<Thread>) {
    st.thread.status.set(Status::Normal);
    co.status.set(Status::Running);
    co.resumer.set(Some(st.thread));
    st.thread = co;
    st.nesting += co.nesting.replace(st.nesting);
}

/// Lets the resumer of the running coroutine run.
fn switch_back(st: &mut State, status: Status) {
    let co = st.thread;
    co.status.set(status);
    if let Some(resumer) = co.resumer.take() {
        resumer.status.set(Status::Running);
        st.thread = resumer;
    }
    let below = co.nesting.get();
    co.nesting.set(st.nesting - below);
    st.nesting = below;
}

fn resumer_is_wrapped(st: &State) -> bool {
    let base = st.thread.frames().last().map_or(1, |f| f.base as usize);
    st.slot(base - 1).as_native().is_some_and(|f| f.special() == Special::Wrapped)
}

/// Results of the native function on top, which has resumed a coroutine: values of the coroutine's stack.
fn hand_over(st: &mut State, co: Gc<Thread>, first: usize, n: usize) -> Step {
    let wrapped = resumer_is_wrapped(st);
    let base = st.thread.frames().last().map_or(1, |f| f.base as usize);
    if base + n + NATIVE_STACK > MAX_STACK {
        const PROBLEM: &str = "too many results to resume";
        if wrapped {
            return Err(error(st, format_args!("{PROBLEM}")));
        }
        let message = Value::from(st.string(PROBLEM.as_bytes())?);
        return give(st, Value::FALSE, &[message]);
    }
    ensure_stack(st, base + n + NATIVE_STACK)?;
    let Some(frame) = st.thread.frames().pop() else { return Ok(Flow::Leave) };
    let mut at = base - 1;
    if !wrapped {
        st.set_slot(at, Value::TRUE);
        at += 1;
    }
    for i in 0..n {
        st.set_slot(at + i, co.slot(first + i));
    }
    deliver(st, base - 1, frame.wanted, frame.flags, base - 1, at + n + 1 - base)
}

/// As [`hand_over`], with given values.
fn give(st: &mut State, first: Value, rest: &[Value]) -> Step {
    let Some(frame) = st.thread.frames().pop() else { return Ok(Flow::Leave) };
    let base = frame.base as usize;
    ensure_stack(st, base + rest.len() + NATIVE_STACK)?;
    st.set_slot(base - 1, first);
    for (i, value) in rest.iter().enumerate() {
        st.set_slot(base + i, *value);
    }
    deliver(st, base - 1, frame.wanted, frame.flags, base - 1, rest.len() + 1)
}

/// Closes a suspended or dead coroutine, with its to-be-closed variables. Answers the error that it died of, or that
/// closing it raised.
pub fn close(st: &mut State, co: Gc<Thread>) -> Result<Option<Value>, Raised> {
    let mut error = co.failed.get().then(|| co.error.get());
    co.frames().clear();
    co.status.set(Status::Running);
    let caller = st.thread;
    caller.status.set(Status::Normal);
    co.resumer.set(Some(caller));
    st.thread = co;
    let result = close_variables(st, &mut error);
    st.thread = caller;
    caller.status.set(Status::Running);
    co.resumer.set(None);
    co.status.set(Status::Dead);
    co.failed.set(false);
    co.error.set(Value::NIL);
    co.frames().clear();
    co.closing().clear();
    co.top.set(0);
    result.map(|()| error)
}

fn close_variables(st: &mut State, error: &mut Option<Value>) -> Result<(), Raised> {
    while let Some(slot) = next_to_close(st, 0) {
        let mut value = st.slot(slot);
        if let Some(cell) = value.as_cell() {
            value = cell.get();
        }
        let handler = metafield(st, value, perilune_runtime::lua::event::Event::Close);
        st.set_top(slot + 1);
        st.push(error.unwrap_or(Value::NIL))?;
        for v in [handler, value, error.unwrap_or(Value::NIL)] {
            st.push(v)?;
        }
        if let Err(new) = call_protected(st, 2, 0)? {
            *error = Some(new);
        }
    }
    Ok(())
}
