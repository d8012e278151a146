//! Deoptimization: from a snapshot and the values at an exit to the interpreter's frames.
//!
//! It cannot fail: the entry of a trace has made sure that the stack has room for the deepest snapshot. It collects nothing
//! and raises nothing before the frames stand, and what it allocates, to build what the trace has left unbuilt, may exceed the
//! memory limit: the next allocation notices.

use perilune_interpreter::lua::call::{nesting_of, place_results};
use perilune_interpreter::lua::coroutine::{self, SwitchCall};
use perilune_interpreter::lua::error::frame_proto;
use perilune_interpreter::lua::exec::{self, function_below, function_slot};
use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::function::{Cell, LuaFunction, Proto};
use perilune_runtime::lua::heap::{Gc, Heap, OutOfMemory};
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::{Frame, FrameKind, frame_flag};
use perilune_runtime::lua::tier::Outcome;
use perilune_runtime::lua::value::Value;

use super::ir::{Ir, Ref};
use super::record::live::{Liveness, Registers};
use super::returns::{FIXED, ReturnPlace};
use super::snapshot::{ExitMode, Parts, Snapshot};

/// The number of results of `pairs`.
pub const PAIRS_RESULTS: u16 = 3;

/// Tells the 64 bits that an instruction's result had at the exit.
pub trait Values {
    /// The payload of an instruction's result.
    fn payload(&self, r: Ref) -> u64;
}

/// The frame that a trace was entered in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

    /// A slot of the trace.
    pub fn slot(self, slot: i16) -> usize {
        (i64::from(self.base) + i64::from(slot)) as usize
    }
}

/// Writes the modified slots of a snapshot to the stack.
pub fn store_slots(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot, values: &dyn Values) {
    for s in ir.snapshots.slots(snapshot) {
        state.set_slot(at.slot(s.slot), value_at(ir, s.value, values));
    }
}

/// Makes the frames of a snapshot, whose slots have been stored: the inlined calls, and where each frame goes on.
pub fn push_frames(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot) {
    push_frames_at(state, at, ir, snapshot, &mut None);
}

/// Does the same; `resume` remembers the address of the instruction where the innermost frame goes on, which is the same for
/// a snapshot each time.
pub fn push_frames_at(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot, resume: &mut Option<usize>) {
    pop_frames(state, at);
    let thread = state.thread;
    let frames = thread.frames();
    for f in ir.snapshots.frames(snapshot) {
        match f.return_address {
            0 => set_pc(state, f.return_pc),
            address => set_address(state, address),
        }
        if let Some(caller) = frames.last_mut() {
            caller.pending = f.pending.into();
        }
        let base = at.slot(f.base) as u32;
        let finish = if f.kind.is_meta() || f.kind.has_frame_below() { frame_flag::FINISH } else { 0 };
        let tail = if f.kind.is_tail() { frame_flag::TAIL } else { 0 };
        let mut wanted = f.wanted.into();
        if f.kind.has_frame_below() {
            let (kind, detail) = match (f.kind.is_protected(), f.kind.function_at()) {
                (false, _) => (FrameKind::Native, PAIRS_RESULTS + 1),
                (true, 1) => (FrameKind::Pcall, 0),
                (true, _) => (FrameKind::Xpcall, 0),
            };
            let own = function_below(thread, base, f.varargs.into()) as u32 - f.kind.function_at() as u32 + 1;
            frames.push(Frame { detail, ..Frame::new(kind, std::ptr::null(), own, wanted, 0) });
            wanted = -1;
        }
        let frame = Frame::new(FrameKind::Lua, std::ptr::null(), base, wanted, finish | tail);
        state.nesting += nesting_of(frame.flags);
        frames.push(Frame { extra: f.varargs.into(), ..frame });
    }
    match *resume {
        Some(address) => set_address(state, address),
        None => {
            set_pc(state, snapshot.pc);
            *resume = thread.frames().last().map(|frame| frame.pc.expose_provenance());
        }
    }
    if snapshot.mode != ExitMode::Open {
        state.set_top(at.slot(snapshot.top));
    }
}

/// Sets where the top frame, a Lua function's, goes on: at the instruction with this address.
pub fn set_address(state: &State, address: usize) {
    if let Some(frame) = state.thread.frames().last_mut() {
        frame.pc = std::ptr::with_exposed_provenance(address);
    }
}

/// Before a collection: empties the registers of the top frame, a Lua function's, that hold nothing any more when it goes on
/// at `pc`. What lay in them before the trace was entered must not be kept alive by that. `live` remembers which are not.
pub fn clear_dead(state: &mut State, pc: u32, live: &mut Option<Box<Registers>>) {
    let thread = state.thread;
    let Some(base) = thread.frames().last().map(|f| f.base as usize) else { return };
    let Some(proto) = thread.slot(base - 1).as_lua_function().map(|f| f.proto()) else { return };
    if bc::takes_open_list(proto.word(pc as usize)) {
        // It ends at the top.
        return;
    }
    let registers = usize::from(proto.max_stack);
    let live = live
        .get_or_insert_with(|| Liveness::new(&proto.original_code(), registers, &proto.locals).at(pc as usize).into());
    for r in (0..registers).filter(|r| !live.contains(*r)) {
        state.set_slot(base + r, Value::NIL);
    }
    state.set_top(base + registers);
}

/// Whether a snapshot's frames stand, and others above them.
fn has_frames_above(state: &State, at: Entered, ir: &Ir, snapshot: &Snapshot) -> bool {
    let inlined = ir.snapshots.frames(snapshot).iter().map(|f| 1 + usize::from(f.kind.has_frame_below()));
    state.thread.frames().len() > at.depth + inlined.sum::<usize>()
}

/// Takes the inlined frames away again.
pub fn pop_frames(state: &mut State, at: Entered) {
    let thread = state.thread;
    let frames = thread.frames();
    while frames.len() > at.depth {
        state.nesting -= frames.pop().map_or(0, |frame| nesting_of(frame.flags));
        if let Some(caller) = frames.last_mut() {
            caller.pending = 0;
        }
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

/// Where the top frame returns `count` results to, if its caller is a Lua function that has just called it.
pub fn return_place(state: &State, count: u16) -> Option<ReturnPlace> {
    let frames = state.thread.frames();
    let [.., caller, callee] = &**frames else { return None };
    if callee.flags & !frame_flag::TAIL != 0 || caller.kind != FrameKind::Lua {
        return None;
    }
    Some(ReturnPlace { address: caller.pc.addr(), open: if callee.wanted < 0 { count.into() } else { FIXED } })
}

/// Where the top frame, a Lua function's, goes on, if that is behind a call which has just been executed.
pub fn place_behind_call(state: &State) -> Option<ReturnPlace> {
    let frame = state.thread.frames().last().filter(|f| f.kind == FrameKind::Lua)?;
    // SAFETY: the pc of a frame that has made a call lies behind that instruction.
    let call = unsafe { *frame.pc.sub(1) };
    let open = match bc::op(call) {
        Op::Call if bc::c(call) == 0 => (state.top() - frame.base as usize - bc::a(call)) as u32,
        Op::Call | Op::TForCall => FIXED,
        _ => return None,
    };
    Some(ReturnPlace { address: frame.pc.addr(), open })
}

/// A frame that is a Lua function's, its function, and where in the code it goes on.
fn running(state: &State, depth: usize) -> Option<(Entered, Gc<Proto>, u32)> {
    let frame = *state.thread.frames().get(depth.checked_sub(1)?)?;
    let proto = frame_proto(state.thread, frame)?;
    let pc = proto.index_of(frame.pc);
    Some((Entered { base: frame.base, depth }, proto, pc as u32))
}

/// The top frame, if it is a Lua function's.
pub fn top(state: &State) -> Option<(Entered, Gc<Proto>, u32)> {
    running(state, state.thread.frames().len())
}

/// How a call went that was to switch coroutines.
#[derive(Clone, Copy, Debug)]
pub enum Switch {
    /// It was not executed: that is for the interpreter to do.
    Declined,
    /// It was executed; the top frame of the coroutine that runs now, a Lua function's, goes on behind a call.
    Done(Option<ReturnPlace>),
}

/// Executes the call in `register` of the top frame, at `pc`, of a native function that resumes a coroutine or yields, if that
/// does nothing else.
pub fn switch(state: &mut State, (register, arguments, wanted): (u8, u16, i16), pc: u32) -> Switch {
    let func = Entered::top(state).base as usize + usize::from(register);
    let call = SwitchCall { func, arguments: arguments.into(), wanted: wanted.into() };
    set_pc(state, pc + 1);
    if coroutine::switch(state, call) {
        return Switch::Done(place_behind_call(state));
    }
    decline_switch(state, (register, arguments), pc);
    Switch::Declined
}

/// Leaves such a call to the interpreter.
pub fn decline_switch(state: &mut State, (register, arguments): (u8, u16), pc: u32) {
    set_pc(state, pc);
    state.set_top(Entered::top(state).base as usize + usize::from(register) + 1 + usize::from(arguments));
}

/// The top frame's caller, if it is a Lua function.
pub fn caller(state: &State) -> Option<(Entered, Gc<Proto>, u32)> {
    running(state, state.thread.frames().len().checked_sub(1)?)
}

/// How many frames below the top one are looked at for another call of its function.
const NEAR: usize = 24;

/// Whether the function of the top frame has been called by itself, directly or by way of a few others.
pub fn recurs(state: &State, proto: Gc<Proto>) -> bool {
    let below = state.thread.frames().iter().rev().skip(1).take(NEAR);
    below.filter_map(|frame| frame_proto(state.thread, *frame)).any(|p| p == proto)
}

/// Whether the top frame is that of Lua code that a native function is written in.
pub fn is_inner(state: &State) -> bool {
    state.thread.frames().last().is_some_and(|frame| frame.flags & frame_flag::INNER != 0)
}

/// The top frame belongs to another function now, called by the one that it belonged to.
pub fn note_tail_call(state: &State) {
    if let Some(frame) = state.thread.frames().last_mut() {
        frame.flags |= frame_flag::TAIL;
    }
}

/// Executes a return of the `count` values from register `first` on, to a place that [`return_place`] has told.
pub fn return_to_caller(state: &mut State, first: u8, count: u16) {
    let to = function_slot(state);
    let Some(callee) = state.thread.frames().pop() else { return };
    place_results(state, to, callee.wanted, callee.base as usize + usize::from(first), count.into());
}

/// Before a return is executed by the interpreter: a list with an open number of values ends at the top.
pub fn set_results(state: &mut State, first: u8, count: u16) {
    let base = state.thread.frames().last().map_or(0, |f| f.base as usize);
    state.set_top(base + usize::from(first) + usize::from(count));
}

/// The values of an exit together with the objects that were built for it, by address.
struct WithBuilt<'a> {
    values: &'a dyn Values,
    built: Vec<(Ref, usize)>,
}

impl Values for WithBuilt<'_> {
    fn payload(&self, r: Ref) -> u64 {
        match self.built.iter().find(|(object, _)| *object == r) {
            Some((_, address)) => *address as u64,
            None => self.values.payload(r),
        }
    }
}

/// The payload of a value as it is at an exit.
fn payload_at(ir: &Ir, r: Ref, values: &dyn Values) -> u64 {
    ir.constant(r).map_or_else(|| values.payload(r), |c| c.payload())
}

/// A value as it is at an exit.
fn value_at(ir: &Ir, r: Ref, values: &dyn Values) -> Value {
    // SAFETY: the value is of its type: the trace has computed or checked it.
    unsafe { Value::from_raw(ir.ty(r).tag(), payload_at(ir, r, values)) }
}

/// An object of a trace.
///
/// # Safety
/// There must be one of this type at the address: a constant of the trace, which keeps it alive, a value of the trace, or one that was
/// built at an exit.
pub(super) unsafe fn object_at<T>(address: u64) -> Gc<T> {
    // SAFETY: the caller's promise.
    unsafe { Gc::from_raw(std::ptr::with_exposed_provenance_mut(address as usize)) }
}

/// Builds the unbuilt objects of a snapshot. Those that refer to one another may do so in any way, so all are made first.
fn build<'a>(state: &mut State, ir: &Ir, snapshot: &Snapshot, values: &'a dyn Values) -> WithBuilt<'a> {
    let snapshots = &ir.snapshots;
    let objects = || {
        let objects = snapshots.objects(snapshot).iter();
        objects.filter_map(|o| Some((o.object, Parts::new(ir, ir.ty(o.object), snapshots.parts(o))?)))
    };
    let make = |(object, parts)| (object, state.heap.overdraw(|heap| make(heap, ir, parts)));
    let values = WithBuilt { values, built: objects().map(make).collect() };
    for ((_, parts), (_, address)) in objects().zip(&values.built) {
        complete(ir, *address as u64, parts, &values);
    }
    values
}

/// Makes an object, which is to be completed. Answers its address.
fn make(heap: &mut Heap, ir: &Ir, parts: Parts<'_>) -> Result<usize, OutOfMemory> {
    Ok(match parts {
        Parts::Table(table) => {
            let capacity = ir.int(table.array[1]).unwrap_or(0);
            heap.table(table.slots.len(), capacity as usize)?.address()
        }
        Parts::Cell(_) => heap.cell(Value::NIL)?.address(),
        Parts::Function(function) => {
            let proto = ir.constant(function.proto).map_or(0, |c| c.payload());
            // SAFETY: a prototype that is a constant.
            heap.open_lua_function(unsafe { object_at(proto) }, function.cells.len())?.address()
        }
    })
}

/// Gives an object that was just made its parts.
fn complete(ir: &Ir, address: u64, parts: Parts<'_>, values: &dyn Values) {
    match parts {
        Parts::Table(parts) => {
            // SAFETY: a table that was built, a shape and perhaps a metatable that are constants.
            let (table, shape, meta) = unsafe {
                let [shape, meta] = [parts.shape, parts.meta].map(|r| payload_at(ir, r, values));
                let table: Gc<Table> = object_at(address);
                (table, object_at(shape), (meta != 0).then(|| object_at(meta)))
            };
            table.assemble(shape, meta, parts.slots.iter().map(|r| value_at(ir, *r, values)));
            let kind = ir.int(parts.array[0]).unwrap_or(0);
            table.assemble_array(kind as u8, parts.elements.iter().map(|r| value_at(ir, *r, values)));
        }
        Parts::Cell(value) => {
            // SAFETY: a cell that was built.
            let cell: Gc<Cell> = unsafe { object_at(address) };
            cell.init(value_at(ir, value, values));
        }
        Parts::Function(parts) => {
            // SAFETY: a function that was built, and cells that were built or are values of the trace.
            unsafe {
                let function: Gc<LuaFunction> = object_at(address);
                function.close(parts.cells.iter().map(|r| object_at(payload_at(ir, *r, values))));
            }
        }
    }
}

/// Rebuilds the frames, and says how the interpreter goes on.
pub fn restore(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot, values: &dyn Values) -> Outcome {
    if ir.snapshots.objects(snapshot).is_empty() {
        store_slots(state, at, ir, snapshot, values);
    } else {
        let values = build(state, ir, snapshot, values);
        store_slots(state, at, ir, snapshot, &values);
    }
    go_on(state, at, ir, snapshot, &mut None)
}

/// What is left of that once the slots are stored; `resume` as for [`push_frames_at`].
pub fn go_on(state: &mut State, at: Entered, ir: &Ir, snapshot: &Snapshot, resume: &mut Option<usize>) -> Outcome {
    if snapshot.mode == ExitMode::Raise && has_frames_above(state, at, ir, snapshot) {
        // The function that has raised the error: handlers want to see it.
        return Outcome::Raised;
    }
    push_frames_at(state, at, ir, snapshot, resume);
    match snapshot.mode {
        ExitMode::Reexecute | ExitMode::Continue | ExitMode::Open => Outcome::Continue,
        ExitMode::Finish => {
            let outcome = state.slot(at.slot(snapshot.top));
            // A comparison only goes on here or there.
            if exec::finish(state, outcome).is_ok() { Outcome::Continue } else { Outcome::Raised }
        }
        ExitMode::Raise => Outcome::Raised,
    }
}
