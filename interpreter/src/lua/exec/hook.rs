//! Hooks (manual §4.7): a function of the program's that is called at calls, returns, new lines, and every so many
//! instructions.
//!
//! While a coroutine has a hook its code runs in the loop's second instance, which asks [`before`] at each instruction;
//! nothing compiled is entered there. Calls and returns of Lua functions are told from the instructions: a call by the
//! first one of a function right after one that calls or leaves, a return by the instruction that is about to do it. The
//! hook's own code runs without hooks.

#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::thread::{NATIVE_STACK, frame_flag, hook};
use perilune_runtime::lua::value::Value;

use super::super::call::{call, ensure_stack, free_top};
use super::super::error::frame_proto;

/// The hooks that are due before the instruction at `pc` of the top frame, whose saved pc this is.
pub(super) fn before(st: &mut State, pc: *const Word) -> Result<(), Raised> {
    let thread = st.thread;
    let depth = thread.frames().len() as u32;
    let Some(frame) = thread.frames().last().copied() else { return Ok(()) };
    let Some(proto) = frame_proto(thread, frame).filter(|_| frame.flags & frame_flag::INNER == 0) else {
        return Ok(());
    };
    let at = proto.index_of(pc);
    let op = bc::op(proto.word(at));
    let first = proto.body_start();
    let mut seen = thread.hook_seen.get();
    let fresh = at == first && (seen.left || depth > seen.depth);
    let last = match fresh {
        true => first,
        false if depth != seen.depth => at.saturating_sub(1),
        false => seen.at as usize,
    };
    seen.left = matches!(op, Op::VarArgPrep | Op::TailCall | Op::Return | Op::Return0 | Op::Return1);
    (seen.depth, seen.at) = (depth, at as u32);
    thread.hook_seen.set(seen);
    if fresh && wanted(st, hook::CALL) {
        let event = if frame.flags & frame_flag::TAIL != 0 { "tail call" } else { "call" };
        run(st, Some(pc), event, None, (frame.base as usize, proto.parameters.into()))?;
    }
    if wanted(st, hook::COUNT) {
        let left = thread.hook_left.get().saturating_sub(1);
        thread.hook_left.set(if left == 0 { thread.hook_count.get() } else { left });
        if left == 0 {
            run(st, Some(pc), "count", None, (0, 0))?;
        }
    }
    if wanted(st, hook::LINE) && at >= first && (at <= last || proto.line(at) != proto.line(last)) {
        run(st, Some(pc), "line", Some(proto.line(at)).filter(|line| *line > 0), (0, 0))?;
    }
    // One that closes variables first says itself when it has done so.
    let closes = op == Op::Return && bc::k(proto.word(at));
    if wanted(st, hook::RETURN) && matches!(op, Op::Return | Op::Return0 | Op::Return1) && !closes {
        let word = proto.word(at);
        let first = frame.base as usize + bc::a(word);
        let count = match op {
            Op::Return0 => 0,
            Op::Return1 => 1,
            _ if bc::b(word) == 0 => st.top() - first,
            _ => bc::b(word) - 1,
        };
        run(st, Some(pc), "return", None, (first, count))?;
    }
    Ok(())
}

/// The function of the top frame, which has closed its variables, returns the values below the top.
#[cold]
pub(super) fn returns(st: &mut State, results: (usize, usize)) -> Result<(), Raised> {
    let Some(frame) = st.thread.frames().last().copied() else { return Ok(()) };
    // The instruction is still in progress.
    let pc = frame.pc.wrapping_sub(1);
    if wanted(st, hook::RETURN) { run(st, Some(pc), "return", None, results) } else { Ok(()) }
}

fn wanted(st: &State, event: u8) -> bool {
    st.thread.is_hooked() && st.thread.hook_mask.get() & event != 0
}

/// A native function, whose frame is on top, is about to run.
#[cold]
pub fn native_begins(st: &mut State) -> Result<(), Raised> {
    let Some(frame) = st.thread.frames().last().copied() else { return Ok(()) };
    let base = frame.base as usize;
    if wanted(st, hook::CALL) { run(st, None, "call", None, (base, st.top() - base)) } else { Ok(()) }
}

/// A native function, whose frame is still on top, has left so many results from a slot on.
#[cold]
pub fn native_ends(st: &mut State, results: (usize, usize)) -> Result<(), Raised> {
    if wanted(st, hook::RETURN) { run(st, None, "return", None, results) } else { Ok(()) }
}

/// Calls the hook. `pc`: the instruction that the top frame, a Lua function's, is about to execute. `transfer`: the first of
/// the slots with what is handed over by a call or a return, and how many there are.
fn run(
    st: &mut State,
    pc: Option<*const Word>,
    event: &str,
    line: Option<u32>,
    transfer: (usize, usize),
) -> Result<(), Raised> {
    let thread = st.thread;
    let (top, free, index) = (st.top(), free_top(st), thread.frames().len() - 1);
    ensure_stack(st, free + 3 + NATIVE_STACK)?;
    let event = Value::from(st.string(event.as_bytes())?);
    st.set_slot(free, thread.hook.get());
    st.set_slot(free + 1, event);
    st.set_slot(free + 2, line.map_or(Value::NIL, |line| Value::integer(line.into())));
    st.set_top(free + 3);
    let frame = &mut thread.frames()[index];
    frame.flags |= frame_flag::HOOK;
    if let Some(pc) = pc {
        // To those who look, the instruction is in progress.
        frame.pc = pc.wrapping_add(1);
    }
    thread.hook_running.set(true);
    thread.hook_transfer.set((transfer.0 as u32, transfer.1 as u32));
    let result = call(st, 2, 0);
    thread.hook_running.set(false);
    let frame = &mut thread.frames()[index];
    frame.flags &= !frame_flag::HOOK;
    if result.is_ok() {
        if let Some(pc) = pc {
            frame.pc = pc;
        }
        st.set_top(top);
    }
    result
}
