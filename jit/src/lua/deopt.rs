//! Deoptimization: from a snapshot and the values at an exit to the interpreter's frames.
//!
//! It cannot fail: the entry of a trace has made sure that the stack has room for the deepest snapshot. It allocates
//! nothing in the heap, collects nothing and raises nothing before the frames stand.

use perilune_interpreter::lua::call::nesting_of;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::thread::{Frame, FrameKind, frame_flag};
use perilune_runtime::lua::tier::Outcome;
use perilune_runtime::lua::value::Value;

use super::ir::{Ir, Ref};
use super::record::live::{Liveness, Registers};
use super::snapshot::{ExitMode, Snapshot};

/// Tells the 64 bits that an instruction's result had at the exit.
pub trait Values {
    /// The payload of an instruction's result.
    fn payload(&self, r: Ref) -> u64;
}

/// The frame that a trace was entered in.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    /// Its base: a slot of the running thread.
    pub base: u32,
    /// Number of frames up to it.
    pub depth: usize,
}

impl Entered {
    /// The top frame of the running thread.
    pub fn top(state: &State) -> Entered {
        let frames = state.thread.frames();
        Entered { base: frames.last().map_or(0, |f| f.base), depth: frames.len() }
    }

    fn slot(self, slot: i16) -> usize {
        (i64::from(self.base) + i64::from(slot)) as usize
    }
}

/// Writes the modified slots of a snapshot to the stack.
pub fn store_slots(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot, values: &dyn Values) {
    for s in ir.snapshots.slots(snapshot) {
        let payload = match ir.constant(s.value) {
            Some(c) => c.payload(),
            None => values.payload(s.value),
        };
        // SAFETY: the value is of its type: the trace has computed or checked it.
        let value = unsafe { Value::from_raw(ir.ty(s.value).tag(), payload) };
        state.set_slot(at.slot(s.slot), value);
    }
}

/// Makes the frames of a snapshot, whose slots have been stored: the inlined calls, and where each frame goes on.
pub fn push_frames(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot) {
    pop_frames(state, at);
    let thread = state.thread;
    let frames = thread.frames();
    for f in ir.snapshots.frames(snapshot) {
        set_pc(state, f.return_pc);
        let base = at.slot(f.base) as u32;
        let finish = if f.kind.is_meta() { frame_flag::FINISH } else { 0 };
        let tail = if f.kind.is_tail() { frame_flag::TAIL } else { 0 };
        let frame = Frame::new(FrameKind::Lua, std::ptr::null(), base, f.wanted.into(), finish | tail);
        state.nesting += nesting_of(frame.flags);
        frames.push(Frame { extra: f.varargs.into(), ..frame });
    }
    set_pc(state, snapshot.pc);
    if snapshot.mode != ExitMode::Open {
        state.set_top(at.slot(snapshot.top));
    }
}

/// Before a collection: empties the registers of the top frame, a Lua function's, that hold nothing any more when it goes on
/// at `pc`. What lay in them before the trace was entered must not be kept alive by that. `live` remembers which are not.
pub fn clear_dead(state: &mut State, pc: u32, live: &mut Option<Box<Registers>>) {
    let thread = state.thread;
    let Some(base) = thread.frames().last().map(|f| f.base as usize) else { return };
    let Some(proto) = thread.slot(base - 1).as_lua_function().map(|f| f.proto()) else { return };
    let registers = usize::from(proto.max_stack);
    let live = live
        .get_or_insert_with(|| Liveness::new(&proto.original_code(), registers, &proto.locals).at(pc as usize).into());
    for r in (0..registers).filter(|r| !live.contains(*r)) {
        state.set_slot(base + r, Value::NIL);
    }
    state.set_top(base + registers);
}

/// Takes the inlined frames away again.
pub fn pop_frames(state: &mut State, at: Entered) {
    let thread = state.thread;
    let frames = thread.frames();
    while frames.len() > at.depth {
        state.nesting -= frames.pop().map_or(0, |frame| nesting_of(frame.flags));
    }
}

/// Sets where the top frame, a Lua function's, goes on.
pub fn set_pc(state: &mut State, pc: u32) {
    let thread = state.thread;
    if let Some(frame) = thread.frames().last_mut()
        && let Some(f) = thread.slot(frame.base as usize - 1).as_lua_function()
    {
        frame.pc = f.proto().code_ptr().cast_const().wrapping_add(pc as usize);
    }
}

/// Rebuilds the frames, and says how the interpreter goes on.
pub fn restore(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot, values: &dyn Values) -> Outcome {
    store_slots(state, at, ir, snapshot, values);
    push_frames(state, at, ir, snapshot);
    match snapshot.mode {
        ExitMode::Reexecute | ExitMode::Continue | ExitMode::Open => Outcome::Continue,
        ExitMode::Raise => Outcome::Raised,
    }
}
