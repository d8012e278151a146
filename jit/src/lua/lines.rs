//! The debugging loop as machine code: a debugger that stops at lines, steps, and looks at callers and variables sees interpreted
//! code as it sees compiled code.
//!
//! *Stubs.* For each line that the interpreter comes to there is a stub: code that does nothing but to ask [`step`] what is next.
//! It is described as the function's code for that line, with the variables in the Lua stack. A breakpoint on the line is one in
//! the stub. `step` interprets the rest of the line, and answers with the stub of the next one, to which the code jumps; or with a
//! trace, which is entered in the same native frame, and asks `step` again when it is left. So the debugger's `next` goes from
//! line to line whether they are compiled or not.
//!
//! *Levels.* Each Lua frame has a native frame of its own, as far as possible: where the interpreter has called a Lua function,
//! the stub of the caller's line calls the trampoline's second entry, and where it has returned, that frame is left. Nothing
//! depends on it: what runs is always the top Lua frame, and a level whose Lua frame is gone is left when it comes on top. So
//! errors, coroutines, and traces that push several frames need no care here.
//!
//! ```text
//! stub:   nop                          <- the line begins here
//! again:  step(state, STUB) -> code, base
//!         base != 0: jmp code          the next line, a trace, or the way out
//!         call code; jmp again         a Lua function was called
//! ```
//!
//! Variables are found by way of two words in the native frame, which tell the coroutine and the place of the Lua frame in its stack:
//! that may move. What type a variable has is part of a stub's description, so that expressions on it work as in compiled code. There are several
//! stubs for a line whose variables have had several types.

use std::mem;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use perilune_interpreter::lua::error::frame_proto;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{State, activity};
use perilune_runtime::lua::thread::{FrameKind, Thread};
use perilune_runtime::lua::tier::{Event, Outcome, Shown, Stepper, Tier};
use perilune_runtime::lua::value::Value;
use rustc_hash::{FxHashMap, FxHashSet};

use super::entry;
use super::explain::{self, InterpretedLine, LEAD};
use super::machine::Machine;
use super::tier::{self, Jit};
use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::buffer::Code;
use crate::code::exit::spill_offset;
use crate::code::trampoline::{NESTED, Stepping, Target};
use crate::code::x64;

/// What stubs tell [`step`].
const STUB: u64 = NESTED - 1;
/// Bytes from where a stub's line begins to where it asks what is next.
const AGAIN: usize = 1;
/// Bytes of a stub at most.
const STUB_BOUND: usize = 64;
/// Most native frames: each takes some 4 KB. The frames of deeper calls are shown in the last one.
const MAX_LEVELS: usize = 200;
/// Most stubs for a line with other types; beyond them the types are left open.
const MAX_VARIANTS: usize = 8;

/// A Lua frame: the address of its coroutine, and the number of the coroutine's frames up to it.
type FramePlace = (usize, usize);

/// A native frame of the debugging loop.
#[derive(Debug)]
struct Level {
    /// The Lua frame that it was made for.
    own: FramePlace,
    /// The Lua frame whose lines it shows: its own, or one above if there are too many levels.
    shown: Shown,
    /// The trace that runs in it, and the number of full calls under way when that was entered.
    entered: Option<(u32, usize)>,
    /// How the interpreter goes on.
    left: Option<Outcome>,
    /// The code where it is, or comes back to.
    code: usize,
    /// Its rbp; 0: not known yet.
    frame: usize,
    /// Of the first level of an activation: the interpreter.
    interpreter: Option<Interpreter>,
}

/// The interpreter of an activation. It is called only while that lasts.
#[derive(Clone, Copy)]
struct Interpreter(*mut dyn FnMut(*mut State, Option<Outcome>) -> bool);

impl std::fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interpreter")
    }
}

/// What stubs differ by: the prototype's number, the line, whether the function begins there, the variables and their types.
type Key = (u32, u32, bool, Vec<(u16, u8)>);

/// The debugging loop of a state.
#[derive(Debug)]
pub(super) struct Lines {
    stubs: FxHashMap<Key, Code>,
    /// The prototypes, by number, whose lines debuggers know.
    laid_out: FxHashSet<u32>,
    /// Stubs of prototypes that are gone.
    dead: Vec<Code>,
    /// For what belongs to no line that could be described.
    plain: Code,
    levels: Vec<Level>,
    /// The activation is about to end.
    ended: bool,
    /// Before this instruction of the top frame, whose line has begun already, a trace was left.
    begun: usize,
}

impl Lines {
    /// One whose arena's stepper is [`step`].
    pub(super) fn new(arena: &Arena) -> Result<Lines, CodeError> {
        Ok(Lines {
            stubs: FxHashMap::default(),
            laid_out: FxHashSet::default(),
            dead: Vec::new(),
            plain: assemble_stub(arena, false)?,
            levels: Vec::new(),
            ended: false,
            begun: 0,
        })
    }

    /// Takes back the stubs of a prototype that is gone. Answers those that no native frame is in.
    pub(super) fn forget(&mut self, prototype: u32) -> Vec<Code> {
        self.laid_out.remove(&prototype);
        self.dead.extend(self.stubs.extract_if(|key, _| key.0 == prototype).map(|(_, code)| code));
        let levels = &self.levels;
        let is_in_use = |code: &mut Code| levels.iter().any(|level| code.range().contains(&level.code));
        self.dead.extract_if(.., |code| !is_in_use(code)).collect()
    }
}

/// A stub that begins with its line if a function begins there, else behind a byte that is never run.
fn assemble_stub(arena: &Arena, begins: bool) -> Result<Code, CodeError> {
    let ask = arena.trampoline().stepping().map_or(0, |stepping| stepping.ask);
    let mut buffer = arena.begin(STUB_BOUND)?;
    let asm = &mut buffer.asm;
    let (again, nest) = (asm.new_dynamic_label(), asm.new_dynamic_label());
    if !begins {
        dynasm!(asm; .arch x64; int3);
    }
    dynasm!(asm; .arch x64; nop);
    dynasm!(asm
        ; .arch x64
        ; =>again
        ; mov Rq(x64::ARGUMENTS[0]), Rq(x64::CONTEXT)
        ; mov Rq(x64::ARGUMENTS[1]), STUB as i32
        ; mov Rq(x64::ARGUMENTS[2]), Rq(x64::FRAME)
        ; call extern ask
        ; test Rq(x64::SECOND_RESULT), Rq(x64::SECOND_RESULT)
        ; jz =>nest
        ; mov Rq(x64::BASE), Rq(x64::SECOND_RESULT)
        ; jmp Rq(x64::RESULT)
        ; =>nest
        ; call Rq(x64::RESULT)
        ; jmp =>again
    );
    buffer.publish()
}

/// Ends an activation, also when a panic passes through.
struct Activation {
    machine: *mut Machine,
    levels: usize,
    depth: usize,
    syncs: usize,
}

impl Drop for Activation {
    fn drop(&mut self) {
        // SAFETY: the machine code lives until the activation ends, and nobody refers to it now.
        let machine = unsafe { &mut *self.machine };
        machine.depth = self.depth;
        machine.syncs.truncate(self.syncs);
        if let Some(lines) = &mut machine.lines {
            lines.levels.truncate(self.levels);
            lines.ended = false;
        }
    }
}

/// Runs Lua code line by line until the interpreter says that it has ended.
///
/// # Safety
/// `state` is valid, its `compiled` points to a [`Machine`] with lines that lives on, and nobody holds a reference to either.
pub(super) unsafe fn run(state: *mut State, interpreter: Stepper<'_>) {
    // SAFETY: the caller's promise; these references end before code is entered.
    let (trampoline, target, activation) = unsafe {
        let pointer = (*state).compiled.cast::<Machine>();
        let machine = &mut *pointer;
        let (depth, syncs) = (machine.depth, machine.syncs.len());
        let Some(lines) = &mut machine.lines else { return };
        let activation = Activation { machine: pointer, levels: lines.levels.len(), depth, syncs };
        let interpreter: *mut (dyn FnMut(*mut State, Option<Outcome>) -> bool + '_) = interpreter;
        // Not called any more when the activation has ended.
        let interpreter = Interpreter(mem::transmute::<
            *mut (dyn FnMut(*mut State, Option<Outcome>) -> bool + '_),
            *mut (dyn FnMut(*mut State, Option<Outcome>) -> bool + 'static),
        >(interpreter));
        // A panic may have left one.
        (*state).lines.event = None;
        lines.push(&*state, top(&*state), Some(interpreter));
        (machine.arena.trampoline(), here(state), activation)
    };
    // SAFETY: the code is a stub of this arena, made for this state.
    unsafe { trampoline.enter(state.cast(), std::ptr::with_exposed_provenance_mut(target.base), target.code) };
    drop(activation);
}

/// What compiled code asks when it has left: where to go on.
///
/// # Safety
/// Called by code that was entered by [`run`].
pub(super) unsafe extern "C-unwind" fn step(context: *mut u8, answer: u64, frame: usize) -> Target {
    let state = context.cast::<State>();
    // SAFETY: compiled code's context is its state, whose tier is a `Jit`; nobody holds a reference while it runs.
    unsafe {
        machine_of(state).1.level().frame = frame;
        match answer {
            STUB => return advance(state, true).unwrap_or_else(|| here(state)),
            NESTED if is_on_top(state) => {
                if let Some(target) = advance(state, false) {
                    return target;
                }
            }
            NESTED => {}
            answer => leave_trace(state, answer),
        }
        here(state)
    }
}

/// # Safety
/// The state is valid, its tier is a `Jit`, and nobody holds a reference to it, here and in the functions below.
unsafe fn machine_of<'a>(state: *mut State) -> (&'a mut Machine, &'a mut Lines) {
    // SAFETY: the caller's promise. The two are used for moments: nothing runs while they are.
    unsafe {
        let machine = &mut *(*state).compiled.cast::<Machine>();
        let lines: *mut Lines = match &mut machine.lines {
            Some(lines) => &raw mut **lines,
            None => unreachable!("the debugging loop has its stubs"),
        };
        (machine, &mut *lines)
    }
}

fn top(state: &State) -> FramePlace {
    (state.thread.address(), state.thread.frames().len())
}

/// The coroutine of a frame that stands.
fn thread_of(state: &State, place: FramePlace) -> Option<Gc<Thread>> {
    let mut threads = std::iter::successors(Some(state.thread), |thread| thread.resumer.get());
    threads.find(|thread| thread.address() == place.0).filter(|thread| thread.frames().len() >= place.1)
}

/// The lowest frame of a Lua function that stands above another frame.
fn next_above(state: &State, place: FramePlace) -> Option<FramePlace> {
    let lua = |thread: Gc<Thread>, above: usize| {
        let at = thread.frames().iter().skip(above).position(|f| f.kind == FrameKind::Lua)?;
        Some((thread.address(), above + at + 1))
    };
    let mut above: Option<Gc<Thread>> = None;
    for thread in std::iter::successors(Some(state.thread), |thread| thread.resumer.get()) {
        if thread.address() == place.0 {
            return lua(thread, place.1).or_else(|| lua(above?, 0));
        }
        above = Some(thread);
    }
    None
}

impl Lines {
    fn push(&mut self, state: &State, own: FramePlace, interpreter: Option<Interpreter>) {
        let shown = self.show(state, own);
        self.levels.push(Level { own, shown, entered: None, left: None, code: 0, frame: 0, interpreter });
    }

    /// A frame that is shown from now on.
    fn show(&self, state: &State, place: FramePlace) -> Shown {
        let mut shown = Shown { thread: place.0, depth: place.1, last: std::ptr::null(), told: std::ptr::null() };
        let frame = thread_of(state, place).and_then(|thread| Some((thread, *thread.frames().get(place.1 - 1)?)));
        let Some((thread, frame)) = frame else { return shown };
        let is_fresh = frame_proto(thread, frame).is_none_or(|proto| proto.code_ptr().cast_const() == frame.pc);
        if !is_fresh {
            // The instruction that was executed last, as far as one can tell.
            shown.last = frame.pc.wrapping_sub(1);
        }
        if place == top(state) && self.begun == frame.pc.addr() {
            shown.told = frame.pc;
        }
        shown
    }

    fn level(&mut self) -> &mut Level {
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn interpreter(&self) -> Option<Interpreter> {
        self.levels.iter().rev().find_map(|level| level.interpreter)
    }
}

/// Whether the last level shows the frame that runs.
///
/// # Safety
/// As for [`machine_of`].
unsafe fn is_on_top(state: *mut State) -> bool {
    // SAFETY: the caller's promise.
    let (known, (_, lines)) = unsafe { (&*state, machine_of(state)) };
    let shown = lines.level().shown;
    (shown.thread, shown.depth) == top(known)
}

/// Interprets until something is to be shown. Only stubs make calls; none: the stub of the line is to ask again, and to make one.
///
/// # Safety
/// As for [`machine_of`].
unsafe fn advance(state: *mut State, makes_calls: bool) -> Option<Target> {
    loop {
        // SAFETY: the caller's promise; the references end before the interpreter runs.
        let (interpreter, left) = unsafe {
            let (known, (machine, lines)) = (&mut *state, machine_of(state));
            let leave = Target { code: machine.arena.trampoline().epilogue(), base: entry::base(known) };
            let (own, is_first) = (lines.level().own, lines.level().interpreter.is_some());
            if lines.ended {
                lines.levels.pop();
                return Some(leave);
            }
            let is_gone = thread_of(known, own).is_none();
            if is_gone && !is_first {
                lines.levels.pop();
                return Some(leave);
            }
            if is_gone {
                lines.level().own = top(known);
            }
            // An error in a trace is the interpreter's to handle before anything else is done.
            let raised = lines.level().left == Some(Outcome::Raised);
            match (next_above(known, lines.level().own), machine.arena.trampoline().stepping()) {
                (Some(above), Some(Stepping { nest, .. })) if !raised && lines.levels.len() < MAX_LEVELS => {
                    if !makes_calls {
                        return None;
                    }
                    if lines.level().left.take() == Some(Outcome::Record) {
                        // It would begin when that frame is gone.
                        (*Jit::of(state)).abort(known, "left in a frame that is shown first");
                    }
                    lines.push(known, above, None);
                    return Some(Target { code: nest, base: 0 });
                }
                _ => {}
            }
            let shown = lines.level().shown;
            if (shown.thread, shown.depth) != top(known) {
                lines.level().shown = lines.show(known, top(known));
            }
            if let Some(target) = arrive(state) {
                return Some(target);
            }
            lines.begun = 0;
            known.lines.shown = lines.level().shown;
            (lines.interpreter(), lines.level().left.take())
        };
        // SAFETY: the activation has not ended.
        let goes_on = interpreter.is_some_and(|interpreter| unsafe { (*interpreter.0)(state, left) });
        // SAFETY: the caller's promise, again.
        unsafe {
            let (known, (_, lines)) = (&mut *state, machine_of(state));
            lines.level().shown = known.lines.shown;
            lines.ended = !goes_on;
        }
    }
}

/// What was to be done when the top frame is shown.
///
/// # Safety
/// As for [`machine_of`].
unsafe fn arrive(state: *mut State) -> Option<Target> {
    // SAFETY: the caller's promise.
    let (event, (machine, lines)) = unsafe { ((*state).lines.event.take()?, machine_of(state)) };
    match event {
        // SAFETY: as above.
        Event::Line => Some(unsafe { stub(state, 0) }),
        Event::Enter(number) => {
            // SAFETY: as above; what may move the stack is done before the base is taken.
            unsafe {
                if machine.get(number).is_none() || !tier::may_enter(state, number) {
                    return None;
                }
            }
            let code = machine.get(number)?.entry();
            machine.depth += 1;
            lines.level().entered = Some((number, machine.syncs.len()));
            lines.level().code = code;
            // SAFETY: as above.
            let known = unsafe { &mut *state };
            known.begin(activity::COMPILED);
            Some(Target { code, base: entry::base(known) })
        }
    }
}

/// Where the last level is within its line.
///
/// # Safety
/// As for [`machine_of`].
unsafe fn here(state: *mut State) -> Target {
    // SAFETY: the caller's promise.
    unsafe { stub(state, AGAIN) }
}

/// The trace in the last level was left with this answer.
///
/// # Safety
/// As for [`machine_of`].
unsafe fn leave_trace(state: *mut State, answer: u64) {
    // SAFETY: the caller's promise; no reference lives through a call that takes the state.
    unsafe {
        let entered = {
            let (machine, lines) = machine_of(state);
            let entered = lines.level().entered.take();
            if let Some((_, syncs)) = entered {
                machine.depth -= 1;
                machine.syncs.truncate(syncs);
            }
            entered
        };
        let left = entry::left(state, answer);
        (*state).begin(activity::INTERPRETER);
        let outcome = match (left, entered) {
            (Some(left), Some((number, _))) => tier::after(state, number, None, left),
            _ => Outcome::Continue,
        };
        let of = |left: entry::Left| Some((&*Jit::of(state)).trace(left.trace)?.has_begun_line(left.snapshot));
        let begun = left.and_then(of).unwrap_or(false);
        let (known, (_, lines)) = (&*state, machine_of(state));
        let frame = known.thread.frames().last().map_or(0, |frame| frame.pc.addr());
        lines.begun = if begun { frame } else { 0 };
        lines.level().left = Some(outcome);
        let shown = lines.level().shown;
        lines.level().shown = lines.show(known, (shown.thread, shown.depth));
    }
}

/// The stub of the line that the last level shows, from an offset on.
///
/// # Safety
/// As for [`machine_of`].
unsafe fn stub(state: *mut State, offset: usize) -> Target {
    // SAFETY: the caller's promise.
    let (known, (machine, lines)) = unsafe { (&*state, machine_of(state)) };
    let shown = lines.level().shown;
    let place = (shown.thread, shown.depth);
    let thread = thread_of(known, place).unwrap_or(known.thread);
    let frame = thread.frames().get(place.1.wrapping_sub(1)).copied();
    let found = frame.and_then(|frame| Some((frame, frame_proto(thread, frame)?)));
    let (base, code) = match found {
        None => (0, None),
        Some((frame, proto)) => {
            let pc = proto.index_of(frame.pc);
            // What a call was made by is in progress; so is what the debugger has been told of, once the interpreter has said so.
            let goes_on = place == top(known) && (shown.told.is_null() || shown.told == frame.pc);
            let pc = if goes_on { pc } else { pc.saturating_sub(1) };
            let base = thread.stack().wrapping_add(frame.base as usize);
            // SAFETY: the state's tier is a `Jit`, which nobody uses at this moment.
            let jit = unsafe { &*Jit::of(state) };
            let code = find_stub(jit, machine, lines, (proto, pc.min(proto.code_len() - 1)), |register| {
                thread.slot(frame.base as usize + register).tag()
            });
            (base.expose_provenance(), code)
        }
    };
    let code = code.unwrap_or(lines.plain.start() + LEAD) + offset;
    lines.level().code = code;
    if lines.level().frame != 0 {
        let words = [thread.address(), frame.map_or(0, |frame| frame.base as usize) * size_of::<Value>()];
        for (slot, word) in explain::BASE_SLOTS.into_iter().zip(words) {
            let place = lines.level().frame.wrapping_add_signed(spill_offset(slot) as isize);
            // SAFETY: the slot lies in the level's native frame, and no trace is using it.
            unsafe { *std::ptr::with_exposed_provenance_mut::<usize>(place) = word };
        }
    }
    Target { code, base: base.max(1) }
}

/// Tells debuggers of all lines of a function, and of those inside of it, before any of it has been run: of each by a byte that is never
/// run. Else they would take a breakpoint on one for one on the next line that they know.
fn lay_out(jit: &Jit, machine: &mut Machine, lines: &mut Lines, proto: Gc<Proto>) {
    let mut found: Vec<(Gc<Proto>, Vec<u32>)> = Vec::new();
    let mut work = vec![proto];
    while let Some(proto) = work.pop() {
        let number = jit.watch(proto);
        if lines.laid_out.insert(number) {
            let mut own: Vec<u32> = (proto.body_start()..proto.code_len()).map(|pc| proto.line(pc)).collect();
            own.retain(|line| *line > 0);
            own.sort_unstable();
            own.dedup();
            found.push((proto, own));
            work.extend(&proto.functions);
        }
    }
    let mut functions = Vec::new();
    for (proto, own) in found.into_iter().filter(|(_, own)| !own.is_empty()) {
        // Each has code of its own, so that it goes when its prototype does.
        let Ok(code) = explain::never_run(&machine.arena, own.len()) else { break };
        functions.push(explain::lines_to_come(proto, &own, code.start(), &mut machine.publisher));
        lines.stubs.insert((jit.watch(proto), u32::MAX, false, Vec::new()), code);
    }
    // What cannot be described is not known.
    let _ = machine.publisher.announce_again(functions);
}

/// Where the line begins in the stub for an instruction and the types of the variables there.
fn find_stub(
    jit: &Jit,
    machine: &mut Machine,
    lines: &mut Lines,
    (proto, pc): (Gc<Proto>, usize),
    tag: impl Fn(usize) -> u8,
) -> Option<usize> {
    // What sees to arguments belongs to no line.
    let pc = pc.max(proto.body_start());
    let (line, begins) = (proto.line(pc), pc == proto.body_start());
    let mut key: Key = (jit.watch(proto), line, begins, explain::interpreted_variables(proto, pc, tag));
    let lead = if begins { 0 } else { LEAD };
    if let Some(code) = lines.stubs.get(&key) {
        return Some(code.start() + lead);
    }
    let variants = lines.stubs.keys().filter(|known| (known.0, known.1, known.2) == (key.0, key.1, key.2)).count();
    if variants >= MAX_VARIANTS {
        explain::leave_types_open(&mut key.3);
        if let Some(code) = lines.stubs.get(&key) {
            return Some(code.start() + lead);
        }
    }
    lay_out(jit, machine, lines, proto);
    let code = assemble_stub(&machine.arena, begins).ok()?;
    let described = InterpretedLine { proto, line, begins, variables: &key.3, code: code.range() };
    let function = explain::interpreted(described, &mut machine.publisher);
    // A line that cannot be described runs all the same.
    let _ = machine.publisher.announce_again(vec![function]);
    let start = code.start() + lead;
    lines.stubs.insert(key, code);
    Some(start)
}
