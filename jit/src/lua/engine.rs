//! What runs traces: machine code, or the IR evaluator in its place.

use std::collections::HashSet;
use std::rc::Rc;

use perilune_interpreter::lua::error::frame_proto;
use perilune_runtime::lua::heap::Roots;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::tier::Outcome;
use perilune_runtime::lua::value::Value;

use super::deopt::{
    Entered, Switch, clear_dead, note_tail_call, pop_frames, push_frames, restore, return_place, return_to_caller,
    set_pc, store_slots, switch,
};
use super::entry::{self, Left};
use super::eval;
use super::ir::{Ir, Link, Op, Ref, Type};
use super::machine::{Machine, MachineOptions, StressCounts};
use super::options::Options;
use super::record::Origin;
use super::snapshot::Snapshot;
use super::tier::{Jit, has_nesting};
use super::trace::Trace;
use crate::code::dump;
use crate::code::map::Writing;
use crate::code::publish::{PerfFormat, Telling};

/// The engine of a compiler.
pub struct Engine {
    /// Traces are evaluated.
    evaluate: bool,
    /// Made with the first trace.
    machine: Option<Box<Machine>>,
    /// What was compiled before a debugger came. It is not run any more, but the debugger's breakpoints lie in it, some of them where
    /// no other code stands for their lines yet.
    outdated: Option<Box<Machine>>,
    /// Exit stress: the guards that the evaluator has come to, and how many forced failures were handled. None if it is off.
    stress: Option<(HashSet<Guard>, usize)>,
    /// When debuggers are told.
    telling: Telling,
    perf: Option<PerfFormat>,
    /// Code counts how often it is run.
    counts: bool,
    /// Test mode: the seed by which registers are chosen.
    random_registers: u32,
    /// What the traces that the evaluator runs have in hand while the collector may work.
    kept: Vec<Vec<Value>>,
}

/// A guard: its trace and its place in the IR.
type Guard = (u32, usize);

impl Engine {
    /// The engine that the options ask for.
    pub fn new(options: &Options) -> Engine {
        let stress = options.exit_stress.then(Default::default);
        Engine {
            evaluate: options.evaluate,
            machine: None,
            outdated: None,
            stress,
            telling: options.telling,
            random_registers: options.registers,
            perf: options.perf,
            counts: options.page.is_some(),
            kept: Vec::new(),
        }
    }

    /// Exit stress: how many guards were reached and how many failed by force.
    pub fn stress_counts(&self) -> StressCounts {
        match (&self.machine, &self.stress) {
            (Some(machine), _) => machine.stress_counts(),
            (None, Some((reached, failed))) => {
                StressCounts { reached: reached.len(), failed: *failed, ..StressCounts::default() }
            }
            (None, None) => StressCounts::default(),
        }
    }

    /// The machine code of all traces, if there is any.
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_deref()
    }

    /// Makes a trace fit to run.
    ///
    /// # Safety
    /// The state must be alive.
    pub unsafe fn compile(
        &mut self,
        state: *mut State,
        traces: &[Option<Box<Trace>>],
        number: u32,
    ) -> Result<(), String> {
        if self.evaluate {
            return Ok(());
        }
        let Some(trace) = traces.get(number as usize).and_then(Option::as_deref) else { return Ok(()) };
        let machine = self.make_machine()?;
        let parent = match trace.origin {
            Origin::Loop(_) | Origin::Entry | Origin::Return { .. } => None,
            Origin::Exit { parent, exit } => Some((parent, exit as usize)),
        };
        // SAFETY: the state is alive; what compiled code finds through it lies in a box of ours.
        let state = unsafe {
            (*state).compiled = (&raw mut **machine).cast();
            &*state
        };
        machine.compile(state, number, trace.ir.clone(), parent, trace.work_at_end()).map_err(|e| e.to_string())
    }

    fn make_machine(&mut self) -> Result<&mut Box<Machine>, String> {
        let machine = match self.machine.take() {
            Some(machine) => machine,
            None => {
                let (exit_stress, random_registers) = (self.stress.is_some(), self.random_registers);
                let (telling, perf, counts) = (self.telling, self.perf, self.counts);
                let options = MachineOptions {
                    exit_stress,
                    random_registers,
                    telling,
                    perf,
                    counts,
                    ..MachineOptions::default()
                };
                Machine::new(options).map_err(|e| e.to_string())?
            }
        };
        Ok(self.machine.insert(machine))
    }

    /// Makes sure that there is a debugging loop for a state, which is alive, if one is wanted. Answers whether there is.
    pub(super) fn prepare_lines(&mut self, state: *mut State) -> bool {
        let Ok(machine) = self.make_machine() else { return false };
        // SAFETY: the state is alive; what compiled code finds through it lies in a box of ours.
        unsafe { (*state).compiled = (&raw mut **machine).cast() };
        machine.lines.is_some()
    }

    /// Whether frames are shown to a debugger: then no trace begins behind a call, where nothing compiled would come to it.
    pub fn shows_frames(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.lines.is_some())
    }

    /// A prototype is gone, with its lines.
    pub fn forget_lines(&mut self, prototype: u32) {
        if let Some(machine) = &mut self.machine {
            // What gdb cannot be told stays as it is.
            let _ = machine.forget_lines(prototype);
        }
    }

    /// While the answer lives no trace may run: what is made meanwhile becomes executable together.
    pub fn writing(&self) -> Option<Writing> {
        self.machine.as_ref().map(|m| m.arena().writing())
    }

    /// Tells debuggers of traces that were compiled, and of their variables if that is wanted.
    pub fn announce<'a>(&mut self, traces: impl Iterator<Item = &'a Trace>, variables: bool) {
        if let Some(machine) = &mut self.machine {
            machine.announce(traces, variables);
        }
    }

    /// Tells debuggers of all traces once more, with their variables.
    pub fn announce_anew(&mut self, traces: &[Option<Box<Trace>>]) {
        if let Some(machine) = &mut self.machine {
            machine.announce_anew(traces.iter().flatten().map(|trace| &**trace));
        }
    }

    /// Whether somebody is there who wants to know of each trace at once.
    pub fn is_watched(&self) -> bool {
        self.machine.as_ref().is_some_and(|m| m.publisher.is_watched())
    }

    /// Whether debuggers are told of anything.
    pub fn tells(&self) -> bool {
        self.telling != Telling::Never && !self.evaluate
    }

    /// Whether traces are compiled for a debugger.
    pub fn is_debugged(&self) -> bool {
        self.telling == Telling::AtOnce
    }

    /// Whether a debugger has come that would be shown more if it had started the program. perf's file is not begun twice.
    pub fn is_outdated(&self) -> bool {
        self.telling.is_outdated() && self.perf.is_none() && !self.evaluate
    }

    /// Whether compiled code is running, below whoever asks.
    pub fn is_running(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.depth > 0)
    }

    /// Forgets all code, of which none is running; what is compiled from now on is compiled for a debugger.
    pub fn start_anew(&mut self, state: &mut State) {
        state.compiled = std::ptr::null_mut();
        self.outdated = self.machine.take();
        self.telling = Telling::AtOnce;
    }

    /// Leads an exit to a side trace.
    pub fn link(&mut self, parent: u32, exit: u32, side: u32) -> Result<(), String> {
        match &mut self.machine {
            Some(machine) => machine.link(parent, exit as usize, side).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// Drops a trace's machine code, and what leads to it.
    pub fn drop_trace(&mut self, number: u32) {
        if let Some(machine) = &mut self.machine {
            // Code whose protection cannot be changed stays as it is, and nothing enters it.
            let _ = machine.drop_trace(number);
        }
    }

    /// Whether a trace's number can be given away: no code of that number may be running.
    pub fn is_free(&self, number: u32) -> bool {
        self.machine.as_ref().is_none_or(|m| m.known(number).is_none())
    }

    /// Bytes of a trace's machine code.
    pub fn code_size(&self, number: u32) -> usize {
        self.machine.as_ref().and_then(|m| m.get(number)).map_or(0, |t| t.code().range().len())
    }

    /// How often a trace was come to, and rounds of its loop, if that is counted.
    pub fn counts(&self, number: u32) -> [u64; 2] {
        self.machine.as_ref().and_then(|m| m.known(number)).map_or([0; 2], |t| t.counts())
    }

    /// Bytes of the table that says where a trace's values are.
    pub fn places_size(&self, number: u32) -> usize {
        self.machine.as_ref().and_then(|m| m.get(number)).map_or(0, |t| t.places.size())
    }

    /// A trace's machine code as text.
    pub fn listing(&self, number: u32) -> String {
        let found = self.machine.as_ref().and_then(|m| Some((m, m.get(number)?)));
        let Some((machine, trace)) = found else { return String::new() };
        let (code, leave) = (trace.code(), machine.arena().trampoline().epilogue());
        let mut bytes = code.bytes();
        bytes.truncate(trace.layout.end);
        let mut out = String::new();
        for line in dump::disassemble(&bytes, code.start(), trace.names(leave)) {
            out.push_str(&format!("{:x}  {}\n", line.address, line.text));
        }
        out
    }

    /// What calls under way refer to.
    pub fn roots(&self, roots: &mut Roots) {
        if let Some(machine) = &self.machine {
            machine.roots(roots);
        }
        self.kept.iter().flatten().for_each(|value| roots.value(*value));
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> usize {
        self.machine.as_ref().map_or(0, |m| m.code_bytes())
    }

    /// Runs a trace and those it leads to, until one leaves to the interpreter, whose frames are rebuilt. None: there is
    /// no such trace.
    ///
    /// # Safety
    /// As for the entry of a trace.
    pub unsafe fn run(state: *mut State, number: u32, at: Entered) -> Option<Left> {
        // SAFETY: the caller's promise.
        unsafe {
            if (*Jit::of(state)).engine().evaluate { evaluate(state, number, at) } else { entry::enter(state, number) }
        }
    }
}

/// What the evaluator left.
struct Evaluated {
    result: eval::ExitResult,
    ir: *const Ir,
}

impl super::deopt::Values for Evaluated {
    fn payload(&self, r: Ref) -> u64 {
        // SAFETY: the trace whose IR this is lives as long as the exit is handled.
        self.result.values(unsafe { &*self.ir }).get(r)
    }
}

unsafe fn evaluate(state: *mut State, mut number: u32, mut at: Entered) -> Option<Left> {
    let mut parent: Option<Evaluated> = None;
    loop {
        // SAFETY: the entry's promise; traces are boxed and not dropped while they run.
        let (jit, ir) = unsafe {
            let jit = Jit::of(state);
            (jit, Rc::as_ptr(&(*jit).trace(number)?.ir))
        };
        // SAFETY: as above.
        let ir = unsafe { &*ir };
        let mut host = Host { state, at, number, forced: false };
        // SAFETY: as above.
        let values = parent.as_ref().map(|p| p.result.values(unsafe { &*p.ir }));
        // SAFETY: recorded for this state, and entered at its head.
        let result = unsafe { eval::run(ir, &mut host, values) };
        let exit = result.snapshot();
        let ended = matches!(result.exit, eval::Exit::End { .. });
        let collects = matches!(result.exit, eval::Exit::Guard { at, .. } if ir.insts[at].op == Op::Gcstep);
        let left = Evaluated { result, ir };
        if ended && ir.link.leads_on() {
            // SAFETY: the state and its compiler are alive, and the evaluator has returned.
            match unsafe { follow(&mut *state, &*jit, (number, at), ir, &left) } {
                Ok((next, base)) => (number, at, parent) = (next, base, None),
                Err(left) => return Some(left),
            }
            continue;
        }
        // SAFETY: the compiler is alive.
        let side = unsafe { (*jit).trace(number) }.and_then(|t| t.exits[exit].side);
        match side {
            Some(side) if !host.forced && !collects => {
                number = side;
                parent = Some(left);
            }
            _ => {
                // SAFETY: the compiler is alive, and nothing else uses it for this moment.
                if let Some((_, failed)) = unsafe { &mut (*jit).engine().stress } {
                    *failed += usize::from(host.forced);
                }
                // SAFETY: the state is alive, and the evaluator has returned.
                let state = unsafe { &mut *state };
                let outcome = restore(state, at, ir, ir.snapshots.get(exit), &left);
                if collects && state.heap.debt > 0 {
                    clear_dead(state, ir.snapshots.get(exit).pc, &mut None);
                    state.collect_step();
                }
                return Some(Left { trace: number, snapshot: exit, at, outcome, counts: !host.forced && !collects });
            }
        }
    }
}

/// Goes on where a trace leads to at its end: in another trace and frame, or in the interpreter.
fn follow(
    state: &mut State,
    jit: &Jit,
    (number, at): (u32, Entered),
    ir: &Ir,
    values: &Evaluated,
) -> Result<(u32, Entered), Left> {
    let exit = values.result.snapshot();
    let snapshot = ir.snapshots.get(exit);
    store_slots(state, at, ir, snapshot, values);
    state.work += jit.trace(number).map_or(0, |trace| trace.work_at_end().into());
    let left = |at, outcome, counts| Left { trace: number, snapshot: exit, at, outcome, counts };
    let (mut at, mut goes_on) = (at, true);
    match ir.link {
        Link::TailCall(_) => note_tail_call(state),
        Link::Trace(_) | Link::Switch { .. } if !ir.snapshots.frames(snapshot).is_empty() => {
            push_frames(state, at, ir, snapshot);
            at = Entered::top(state);
            goes_on = has_nesting(state);
        }
        _ => {}
    }
    let next = match ir.link {
        Link::Return { first, count } => {
            let next = return_place(state, count).and_then(|place| jit.return_trace(place));
            let Some(next) = next else { return Err(entry::leave_at_return(state, number, ir, first, count)) };
            return_to_caller(state, first, count);
            Some(next)
        }
        Link::Switch { register, arguments, wanted } if goes_on => {
            match switch(state, (register, arguments, wanted), snapshot.pc) {
                Switch::Declined => None,
                Switch::Done(place) => {
                    let next = place.and_then(|place| jit.return_trace(place));
                    Some(next.ok_or_else(|| left(Entered::top(state), Outcome::Continue, true))?)
                }
            }
        }
        link => link.target().filter(|next| goes_on && jit.trace(*next).is_some()),
    };
    match next {
        Some(next) => Ok((next, Entered::top(state))),
        None => {
            set_pc(state, snapshot.pc);
            Err(left(at, Outcome::Continue, false))
        }
    }
}

struct Host {
    state: *mut State,
    at: Entered,
    number: u32,
    forced: bool,
}

impl Host {
    #[expect(clippy::mut_from_ref, reason = "the state is behind a pointer; each borrow is for a moment")]
    fn state_mut(&self) -> &mut State {
        // SAFETY: the state is alive while a trace runs in it.
        unsafe { &mut *self.state }
    }
}

impl eval::Host for Host {
    fn state(&self) -> *mut () {
        self.state.cast()
    }

    fn base(&self) -> *mut u8 {
        self.state_mut().thread.stack().wrapping_add(self.at.base as usize).cast()
    }

    fn push_frames(&mut self, ir: &Ir, snapshot: &Snapshot, _values: &eval::Values<'_>) {
        push_frames(self.state_mut(), self.at, ir, snapshot);
    }

    fn pop_frames(&mut self) {
        pop_frames(self.state_mut(), self.at);
    }

    fn collection_due(&mut self, bytes: isize) -> bool {
        let heap = &mut self.state_mut().heap;
        heap.debt += bytes;
        heap.debt > 0
    }

    fn collect(&mut self) -> bool {
        let state = self.state_mut();
        let frame = state.thread.frames().last().copied();
        if let Some((frame, proto)) = frame.and_then(|f| frame_proto(state.thread, f).map(|p| (f, p))) {
            let pc = proto.index_of(frame.pc);
            clear_dead(state, pc as u32, &mut None);
        }
        state.collect_step();
        !state.heap.has_finalizers_due()
    }

    fn keep(&mut self, objects: Vec<(Type, u64)>) {
        // SAFETY: results of object types are live objects of their type.
        let value = |(ty, payload): (Type, u64)| unsafe { Value::from_raw(ty.tag(), payload) };
        // SAFETY: the compiler is alive, and nothing else uses it for this moment.
        unsafe { (*Jit::of(self.state)).engine().kept.push(objects.into_iter().map(value).collect()) };
    }

    fn release(&mut self) {
        // SAFETY: as above.
        unsafe { (*Jit::of(self.state)).engine().kept.pop() };
    }

    fn has_room(&self, slots: usize) -> bool {
        self.at.base as usize + slots <= self.state_mut().thread.size()
    }

    fn interrupted(&self) -> bool {
        self.state_mut().interrupt.load(std::sync::atomic::Ordering::Relaxed) != 0
    }

    fn barrier(&mut self, object: u64) {
        let header = std::ptr::with_exposed_provenance_mut(object as usize);
        self.state_mut().heap.barrier(header);
    }

    fn force(&mut self, at: usize) -> bool {
        // SAFETY: the compiler is alive, and nothing else uses it for this moment.
        let engine = unsafe { (*Jit::of(self.state)).engine() };
        self.forced = engine.stress.as_mut().is_some_and(|(reached, _)| reached.insert((self.number, at)));
        self.forced
    }
}
