//! Where Rust and compiled traces meet: entering a trace, its exits, and the functions that its code calls.
//!
//! While a trace runs nobody holds a reference to the state or the machine code; what compiled code calls gets the state's
//! address and finds its own through it.

use super::allocate::{Location, location_of};
use super::deopt::{self, Entered, Values};
use super::emit::{FrameHelpers, leave};
use super::ir::{Ir, Link, Ref};
use super::machine::{Machine, MachineTrace, Sync};
use super::snapshot::{SlotValue, Snapshot};
use crate::code::exit::{ExitState, spill_offset};
use crate::code::trampoline::Target;
use perilune_runtime::lua::heap::{Header, Roots};
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::tier::Outcome;
use perilune_runtime::lua::value::Value;

/// How compiled code was left. Stack and frames stand.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// The trace that was left.
    pub trace: u32,
    /// The snapshot through which it was left.
    pub snapshot: usize,
    /// The frame of the trace.
    pub at: Entered,
    /// `Continue` or `Raised`.
    pub outcome: Outcome,
    /// Whether it says anything about the program that this exit was taken: the collector's say nothing, nor do those
    /// that were forced.
    pub counts: bool,
}

/// The values of an exit of machine code.
struct Saved<'a> {
    /// Registers and spill slots.
    state: &'a ExitState,
    /// Which of these hold which values.
    locations: &'a [(Ref, Location)],
}

impl Values for Saved<'_> {
    fn payload(&self, r: Ref) -> u64 {
        read(self.state, place_of(self.locations, r))
    }
}

/// Where a value of its snapshot is, no constant, which an exit knows of all of them.
fn place_of(locations: &[(Ref, Location)], r: Ref) -> Location {
    location_of(locations, r).unwrap_or_else(|| unreachable!("an exit knows where all values of its snapshot are"))
}

/// What an exit writes to a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store {
    slot: i16,
    tag: u8,
    source: Source,
}

/// Where a payload comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Constant(u64),
    Location(Location),
}

/// All that an exit with these locations writes, found out when it is first taken: to look it up in the IR each time takes several
/// times as long as the writing.
fn stores(ir: &Ir, snapshot: &Snapshot, locations: &[(Ref, Location)]) -> Box<[Store]> {
    let source = |r: Ref| match ir.constant(r) {
        Some(c) => Source::Constant(c.payload()),
        None => Source::Location(place_of(locations, r)),
    };
    let store = |s: &SlotValue| Store { slot: s.slot, tag: ir.ty(s.value).tag(), source: source(s.value) };
    ir.snapshots.slots(snapshot).iter().map(store).collect()
}

/// What a place held at an exit.
fn read(state: &ExitState, location: Location) -> u64 {
    match location {
        Location::Register(reg) if reg.is_vector() => state.xmm[reg.number() as usize][0],
        Location::Register(reg) => state.general[reg.number() as usize],
        Location::Spill(slot) => state.spill(slot),
    }
}

/// Ends an activation, also when a panic passes through.
struct Activation {
    machine: *mut Machine,
    syncs: usize,
}

impl Activation {
    /// # Safety
    /// The machine code lives until the activation ends, and nobody refers to it now.
    unsafe fn begin(machine: *mut Machine) -> Activation {
        // SAFETY: the caller's promise.
        let known = unsafe { &mut *machine };
        known.depth += 1;
        Activation { machine, syncs: known.syncs.len() }
    }
}

impl Drop for Activation {
    fn drop(&mut self) {
        // SAFETY: promised at the beginning.
        let known = unsafe { &mut *self.machine };
        known.depth -= 1;
        known.syncs.truncate(self.syncs);
    }
}

/// Runs trace `number` in the top frame until it is left. None: there is no such trace.
///
/// # Safety
/// `state` is valid, its `compiled` points to a [`Machine`] that lives on, and nobody holds a reference to either. The top
/// frame's next instruction is where the trace starts, and the stack has room for all that its exits write.
pub unsafe fn enter(state: *mut State, number: u32) -> Option<Left> {
    // SAFETY: the caller's promise; these references end before the code is entered.
    let (base, machine, entry) = unsafe {
        let machine = (*state).compiled.cast::<Machine>();
        (base(&*state), machine, (*machine).get(number)?.entry())
    };
    // SAFETY: the caller's promise.
    let (trampoline, activation) = unsafe { ((*machine).arena.trampoline(), Activation::begin(machine)) };
    // SAFETY: the trace was compiled for this state, and lives while the activation does.
    let answer = unsafe { trampoline.enter(state.cast(), std::ptr::with_exposed_provenance_mut(base), entry) };
    drop(activation);
    // SAFETY: the code has ended; the caller's promise holds again.
    unsafe { left(state, answer) }
}

/// How compiled code has left that was entered by [`enter`], or in the debugging loop, from what the trampoline answered. None: no
/// trace has run.
///
/// # Safety
/// As for [`enter`].
pub(super) unsafe fn left(state: *mut State, answer: u64) -> Option<Left> {
    let (how, number) = ((answer >> 32) as u32, answer as u32);
    // SAFETY: the caller's promise.
    let (known, machine) = unsafe { (&mut *state, &mut *(*state).compiled.cast::<Machine>()) };
    if how == leave::SWITCHED {
        let (at, snapshot) = (Entered::top(known), machine.known(number)?.ir.snapshots.len() - 1);
        return Some(Left { trace: number, snapshot, at, outcome: Outcome::Continue, counts: true });
    }
    if how == leave::RETURN {
        // The slots were stored, and the interpreter executes the return.
        let ir = &machine.known(number)?.ir;
        let Link::Return { first, count } = ir.link else { return None };
        return Some(leave_at_return(known, number, ir, first, count));
    }
    if how == leave::EXIT {
        let left = machine.last.take();
        if known.heap.debt > 0 {
            // The frames stand: this is a safepoint.
            known.collect_step();
        }
        return left;
    }
    // The slots were stored, but the trace that should go on is gone.
    let ir = &machine.known(number)?.ir;
    let at = Entered::top(known);
    let snapshot = ir.snapshots.len().checked_sub(1)?;
    deopt::set_pc(known, ir.snapshots.get(snapshot).pc);
    Some(Left { trace: number, snapshot, at, outcome: Outcome::Continue, counts: false })
}

/// At the end of a trace that returns, where the slots are stored and no other trace goes on: the interpreter executes the
/// return.
pub(super) fn leave_at_return(state: &mut State, number: u32, ir: &Ir, first: u8, count: u16) -> Left {
    let snapshot = ir.snapshots.len() - 1;
    deopt::set_pc(state, ir.snapshots.get(snapshot).pc);
    deopt::set_results(state, first, count);
    Left { trace: number, snapshot, at: Entered::top(state), outcome: Outcome::Continue, counts: true }
}

/// At the end of a trace that returns: executes the return if there is a trace for what the caller does next.
///
/// # Safety
/// Called by compiled code, which has stored the slots of its last snapshot.
pub(super) unsafe extern "C-unwind" fn return_to_caller(state: *mut State, first: u8, count: u16) -> Target {
    // SAFETY: compiled code's context is its state, whose tier is a `Jit`; nobody holds a reference while it runs.
    let (known, machine, jit) =
        unsafe { (&mut *state, &mut *(*state).compiled.cast::<Machine>(), &*super::tier::Jit::of(state)) };
    // In the debugging loop each frame is left to the interpreter, here and below: the debugger is to see it.
    let place = deopt::return_place(known, count).filter(|_| machine.lines.is_none());
    let found = place.and_then(|place| Some((place, machine.get(jit.return_trace(place)?)?.entry())));
    let Some((place, code)) = found else { return Target { code: 0, base: 0 } };
    machine.returns.insert(place, code);
    deopt::return_to_caller(known, first, count);
    Target { code, base: base(known) }
}

/// At the end of a trace that switches coroutines: executes the call, and finds the trace for what runs next.
///
/// # Safety
/// As for [`return_to_caller`].
pub(super) unsafe extern "C-unwind" fn switch(
    state: *mut State,
    register: u8,
    arguments: u16,
    wanted: i32,
    pc: u32,
) -> Target {
    // SAFETY: as above.
    let (known, machine, jit) =
        unsafe { (&mut *state, &mut *(*state).compiled.cast::<Machine>(), &*super::tier::Jit::of(state)) };
    if machine.lines.is_some() {
        deopt::decline_switch(known, (register, arguments), pc);
        return Target { code: 0, base: 0 };
    }
    let place = match deopt::switch(known, (register, arguments, wanted as i16), pc) {
        deopt::Switch::Declined => return Target { code: 0, base: 0 },
        deopt::Switch::Done(place) => place,
    };
    let Some(place) = place else { return Target { code: 0, base: leave::SWITCHED as usize } };
    if let Some(code) = machine.returns.get(place) {
        return Target { code, base: base(known) };
    }
    match jit.return_trace(place).and_then(|number| Some(machine.get(number)?.entry())) {
        Some(code) => {
            machine.returns.insert(place, code);
            Target { code, base: base(known) }
        }
        None => Target { code: 0, base: leave::SWITCHED as usize },
    }
}

/// The addresses of the functions here that move between frames.
pub(super) fn frame_helpers() -> FrameHelpers {
    FrameHelpers {
        push: push_frames as *const () as usize,
        leave: return_to_caller as *const () as usize,
        switch: switch as *const () as usize,
    }
}

/// What exits of compiled code call: restores stack and frames.
///
/// # Safety
/// Called by the saver of an arena whose code was entered by [`enter`].
pub(super) unsafe extern "C-unwind" fn deoptimize(saved: &mut ExitState, context: *mut u8) -> u64 {
    let state = context.cast::<State>();
    // SAFETY: compiled code's context is its state, and nobody holds a reference while it runs.
    let (state, machine) = unsafe { (&mut *state, &mut *(*state).compiled.cast::<Machine>()) };
    let (number, exit) = (saved.owner(), saved.number() as u16);
    let forced = machine.release_guard(number, exit);
    if forced {
        machine.check_places(number, exit, |location| read(saved, location));
    }
    let sync = machine.syncs.last().map(|sync| sync.at);
    let Some(trace) = machine.known_mut(number) else { return leave::NOWHERE };
    trace.last_exit = exit;
    let exit = &mut trace.exits[exit as usize];
    let at = sync.filter(|_| exit.synced).unwrap_or_else(|| Entered::top(state));
    let (ir, snapshot) = (&trace.ir, trace.ir.snapshots.get(exit.snapshot));
    let outcome = if ir.snapshots.objects(snapshot).is_empty() {
        for store in exit.stores.get_or_insert_with(|| stores(ir, snapshot, &exit.locations)) {
            let payload = match store.source {
                Source::Constant(payload) => payload,
                Source::Location(location) => read(saved, location),
            };
            // SAFETY: the value is of its type: the trace has computed or checked it.
            state.set_slot(at.slot(store.slot), unsafe { Value::from_raw(store.tag, payload) });
        }
        deopt::go_on(state, at, ir, snapshot, &mut exit.resume)
    } else {
        deopt::restore(state, at, ir, snapshot, &Saved { state: saved, locations: &exit.locations })
    };
    if exit.collects {
        deopt::clear_dead(state, snapshot.pc, &mut exit.live);
    }
    let left = Left { trace: number, snapshot: exit.snapshot, at, outcome, counts: !forced && !exit.collects };
    if exit.synced {
        machine.syncs.pop();
    }
    machine.last = Some(left);
    u64::from(leave::EXIT) << 32
}

/// A place in a trace where a full call is made, as one word: the trace's number, and the point at which the slots were stored.
pub(super) fn full_call_at(number: u32, point: u16) -> u64 {
    u64::from(number) << 16 | u64::from(point)
}

/// What a helper does that compiled code calls as a full one: `call`, while the frames stand. It answers 0 if it has failed; then the
/// exit takes the frames away. `site` and `frame` are what such helpers get as their last arguments: the place of the call, and rbp;
/// a place of 0: the frames stand already.
///
/// # Safety
/// Called by a helper, with what compiled code has passed to it: the slots of the point's snapshot are stored.
#[inline]
pub(super) unsafe fn full_call(
    state: &mut State,
    (site, frame): (u64, usize),
    call: impl FnOnce(&mut State) -> i64,
) -> i64 {
    if site == 0 {
        return call(state);
    }
    // SAFETY: the caller's promise.
    unsafe { begin_full_call(state, site, frame) };
    let answer = call(state);
    if answer != 0 {
        // SAFETY: the call that has begun ends.
        unsafe { end_full_call(state) };
    }
    answer
}

/// # Safety
/// As for [`full_call`].
#[inline]
unsafe fn begin_full_call(state: &mut State, site: u64, frame: usize) {
    // SAFETY: compiled code's context is its state; nobody holds a reference to the machine code while it runs.
    let machine = unsafe { &mut *state.compiled.cast::<Machine>() };
    let (number, point) = ((site >> 16) as u32, site as u16);
    let at = Entered::top(state);
    if let Some(trace) = machine.known_mut(number) {
        let (exit, snapshots) = (&trace.exits[usize::from(point)], &trace.ir.snapshots);
        match exit.resume {
            // No function is inlined here, and the call itself says where its arguments end.
            Some(address) if snapshots.frames(snapshots.get(exit.snapshot)).is_empty() => {
                deopt::set_address(state, address);
            }
            _ => stand(state, trace, at, point.into()),
        }
    }
    machine.syncs.push(Sync { trace: number, point, frame, at });
}

/// # Safety
/// A full call has begun.
#[inline]
unsafe fn end_full_call(state: &mut State) {
    // SAFETY: as above.
    let machine = unsafe { &mut *state.compiled.cast::<Machine>() };
    if let Some(sync) = machine.syncs.pop()
        && state.thread.frames().len() > sync.at.depth
    {
        deopt::pop_frames(state, sync.at);
    }
}

fn stand(state: &mut State, trace: &mut MachineTrace, at: Entered, point: u32) {
    let place = &mut trace.exits[point as usize];
    deopt::push_frames_at(state, at, &trace.ir, trace.ir.snapshots.get(place.snapshot), &mut place.resume);
}

/// At the end of a trace that goes on in another frame: pushes the frames for good. Answers where the base is now, or 0 if no
/// other trace is to be entered there: the calls are nested too deeply, or a debugger is to see the new frame.
///
/// # Safety
/// Called by compiled code, which has stored the slots of this point's snapshot.
pub(super) unsafe extern "C-unwind" fn push_frames(state: *mut State, number: u32, point: u32) -> usize {
    // SAFETY: compiled code's context is its state, and nobody holds a reference while it runs.
    let (state, machine) = unsafe { (&mut *state, &mut *(*state).compiled.cast::<Machine>()) };
    if let Some(trace) = machine.known_mut(number) {
        let at = Entered::top(state);
        stand(state, trace, at, point);
    }
    if super::tier::has_nesting(state) && machine.lines.is_none() { base(state) } else { 0 }
}

/// The address of the top frame's first register.
pub(super) fn base(state: &State) -> usize {
    let thread = state.thread;
    let base = thread.frames().last().map_or(0, |f| f.base);
    thread.stack().wrapping_add(base as usize).expose_provenance()
}

/// Tells the collector what a full call's trace keeps in spill slots.
///
/// # Safety
/// The call is under way.
pub(super) unsafe fn sync_roots(machine: &Machine, sync: &Sync, roots: &mut Roots) {
    let Some(trace) = machine.known(sync.trace) else { return };
    for root in trace.roots_at(sync.point) {
        let address = sync.frame.wrapping_add_signed(spill_offset(root.slot) as isize);
        // SAFETY: the slot lies in the trampoline's frame, and holds a live object of this type.
        unsafe {
            let payload = *std::ptr::with_exposed_provenance::<u64>(address);
            roots.value(Value::from_raw(root.ty.tag(), payload));
        }
    }
}

/// The write barrier's slow path.
///
/// # Safety
/// Called by compiled code; `word` points to the address of a live object.
pub(super) unsafe extern "C-unwind" fn barrier(state: *mut State, word: *const u64) {
    // SAFETY: the caller's promise.
    unsafe {
        let object = std::ptr::with_exposed_provenance_mut::<Header>(*word as usize);
        (*state).heap.barrier(object);
    }
}

/// A request of compiled code for free cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refill {
    /// The class of their size.
    pub class: usize,
    /// The memory limit does not hold: where the request is made nothing may fail.
    pub must_succeed: bool,
}

impl Refill {
    /// As a word.
    pub fn encode(self) -> i32 {
        (self.class << 1 | usize::from(self.must_succeed)) as i32
    }

    fn decode(word: u64) -> Refill {
        Refill { class: (word >> 1) as usize, must_succeed: word & 1 != 0 }
    }
}

/// Finds free cells of a class that has none at hand. Leaves the address of the first one, or 0 if there is no memory.
///
/// # Safety
/// Called by compiled code; `word` points to a [`Refill`].
pub(super) unsafe extern "C-unwind" fn refill(state: *mut State, word: *mut u64) {
    // SAFETY: the caller's promise.
    let (heap, word) = unsafe { (&mut (*state).heap, &mut *word) };
    let Refill { class, must_succeed } = Refill::decode(*word);
    let found = if must_succeed { Ok(heap.overdraw(|heap| heap.next_cell(class))) } else { heap.next_cell(class) };
    *word = found.map_or(0, |cell| cell.expose_provenance() as u64);
}

/// Rounds down, for processors without an instruction for it.
///
/// # Safety
/// `word` points to a double.
pub(super) unsafe extern "C-unwind" fn floor(_: *mut State, word: *mut f64) {
    // SAFETY: the caller's promise.
    unsafe { *word = (*word).floor() };
}

/// Rounds up.
///
/// # Safety
/// `word` points to a double.
pub(super) unsafe extern "C-unwind" fn ceil(_: *mut State, word: *mut f64) {
    // SAFETY: the caller's promise.
    unsafe { *word = (*word).ceil() };
}
