//! The recorder: follows the interpreter instruction by instruction and writes down what it does as IR.
//!
//! It is called before each instruction, with the operands still in their registers, and emits what the instruction will
//! do *for operands of these types and, where control depends on them, these values*: guards check all of that. It keeps,
//! for each slot of the Lua stack that the trace has touched, the reference to its value; slots are relative to the base
//! at the trace's entry, also in inlined calls.
//!
//! Before each instruction a snapshot says how the interpreter would execute it; it costs nothing unless a guard uses it.
//! So a guard may fail at any time, for whatever reason: the interpreter just goes on there.
//!
//! | file | what |
//! | --- | --- |
//! | `mod`, `slots` | slots, frames, snapshots, the start and the end of a recording |
//! | `inherit` | what a side trace begins with |
//! | `ops` | the instructions, one by one |
//! | `arith` | arithmetic and comparisons |
//! | `index`, `fields` | tables: reads, writes, lengths |
//! | `call`, `meta` | calls, returns, varargs; metamethods |
//! | `protect` | `pcall`, `xpcall`, and errors that end there |
//! | `concat` | concatenation |
//! | `close` | variables to be closed |
//! | `native`, `tables` | native functions that become instructions |
//! | `loops` | loops, and where traces end |
//! | `live` | which registers a snapshot must hold |

mod arith;
mod call;
mod close;
mod concat;
mod fields;
mod index;
pub mod inherit;
pub mod live;
mod loops;
mod meta;
pub mod native;
mod ops;
mod protect;
mod slots;
mod tables;

use std::cell::RefCell;
use std::rc::Rc;

use perilune_runtime::lua::bytecode as bc;
use perilune_runtime::lua::function::{LuaFunction, Proto};
use perilune_runtime::lua::heap::{Gc, Roots};
use perilune_runtime::lua::shape::Shape;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::thread::Thread;
use perilune_runtime::lua::value::Value;
use rustc_hash::FxHashMap;

use super::deopt::object_at;
use super::helpers::{H, HELPERS};
use super::ir::build::{BuildError, Builder};
use super::ir::{Ir, Link, Op as Ins, Ref, Type};
use super::opt::Passes;
use super::opt::peel::Inherited;
use super::prototypes::Prototypes;
use super::snapshot::{ExitMode, Frame, Resume, SlotValue};
pub use call::LOOP_TRIES;
pub use inherit::{Inheritance, Makers};
use live::{Liveness, Registers};
use native::Intrinsics;
use protect::CatchingCall;
use slots::{BELOW, Slots};

/// Most slots above the entry's base that a trace may use.
pub const MAX_SLOTS: usize = 1000;
/// Of these, what a list with an open number of values leaves for whoever takes it.
const RESERVE: usize = 40;
/// Most inlined calls inside one another.
pub const MAX_FRAMES: usize = 32;
/// Most inlined calls of one function inside one another.
const MAX_RECURSION: usize = 3;

/// Why a recording was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Abort {
    /// The IR cannot take it.
    Build(BuildError),
    /// What was met.
    Reason(&'static str),
    /// The instruction raises an error whose message the types of its operands tell, which have been checked.
    Fails(&'static str),
}

impl From<BuildError> for Abort {
    fn from(error: BuildError) -> Abort {
        Abort::Build(error)
    }
}

impl std::fmt::Display for Abort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Abort::Build(error) => error.fmt(f),
            Abort::Reason(text) | Abort::Fails(text) => f.write_str(text),
        }
    }
}

type Rec<T> = Result<T, Abort>;

/// What comes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Recording goes on.
    More,
    /// The trace is complete.
    Done,
}

/// What a trace's IR refers to beside its constants, and must stay alive.
#[derive(Clone, Default, Debug)]
pub struct Pinned {
    /// Shapes.
    pub shapes: Vec<Gc<Shape>>,
    /// Prototypes.
    pub protos: Vec<Gc<Proto>>,
}

/// An inlined call.
#[derive(Clone, Copy)]
struct Inlined {
    frame: Frame,
    proto: Gc<Proto>,
    /// The caller's.
    caller: Gc<Proto>,
    /// Where the results go in the caller: the slot of the called function, or of the `pcall` that calls it.
    call_slot: i16,
    /// The caller's registers that are live meanwhile.
    live: Registers,
}

/// A native call with an open list of results.
#[derive(Clone, Copy)]
struct OpenCall {
    /// The slot of the first one.
    to: i16,
    /// The helper's answer: one more than their number.
    answer: Ref,
}

/// A comparison whose native metamethod has been called.
#[derive(Clone, Copy)]
struct OpenCondition {
    /// The helper's answer.
    answer: Ref,
    /// The place of the instruction.
    at: u32,
    /// Where the outcome lies.
    register: usize,
}

/// Where a recording began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// At a loop's head; the back edge's place in the code.
    Loop(u32),
    /// At a function's entry.
    Entry,
    /// Behind a call, where the called function has returned to.
    Return {
        /// The place in the code.
        pc: u32,
        /// How many results there are, as [`ReturnPlace`](super::returns::ReturnPlace) has it.
        open: u32,
    },
    /// At an exit of a trace.
    Exit {
        /// The trace.
        parent: u32,
        /// Its exit.
        exit: u32,
    },
}

/// A finished recording.
pub struct Recorded {
    /// The IR, optimized.
    pub ir: Ir,
    /// The IR before the loop was peeled and dead code dropped.
    pub recorded: Option<Ir>,
    /// What it refers to.
    pub pinned: Pinned,
    /// Where it began.
    pub origin: Origin,
    /// The function in which it began.
    pub proto: Gc<Proto>,
    /// Where in the code of the innermost frame.
    pub pc: u32,
    /// Number of inlined frames there.
    pub depth: usize,
    /// Bytecode instructions recorded.
    pub length: u32,
    /// Whether it, or what leads to it, allocates.
    pub allocates: bool,
    /// Slots above the base that there are while it runs.
    pub room: usize,
}

/// A recording under way.
pub struct Recorder {
    state: *mut State,
    thread: Gc<Thread>,
    /// The coroutine that cannot yield.
    main: Gc<Thread>,
    b: Builder,
    intrinsics: Rc<Intrinsics>,
    origin: Origin,
    /// This trace's own number, which loops that cannot be peeled link to.
    number: u32,
    entry_proto: Gc<Proto>,
    entry_base: u32,
    entry_depth: usize,
    head: Option<u32>,
    /// The back edge of the loop at whose head it began.
    site: Option<u32>,
    /// What a loop in a side trace begins with.
    inherited: Inherited,
    /// Where it began: the place in the innermost frame's code, and the number of inlined frames.
    start: (u32, usize),
    slots: Slots,
    /// The slots of the last snapshot: room that is used again.
    taken: Vec<SlotValue>,
    /// That of the function at this address.
    liveness: Option<(usize, Rc<Liveness>)>,
    frames: Vec<Inlined>,
    base: i16,
    proto: Gc<Proto>,
    pc: u32,
    /// The first slot behind an open list of values.
    open_top: Option<i16>,
    /// It begins with an open list of results, from this slot on.
    open_list: Option<i16>,
    /// The native function that is executed now may raise an error, and what follows that is recorded.
    raises: bool,
    /// The current instruction, which is no call of a native function, raises an error.
    fails: bool,
    /// The native function that is executed now is called without frames, and no error of it can be recorded.
    bare: bool,
    /// The native function that is executed now, whose errors end in the trace.
    catching: Option<CatchingCall>,
    /// The handler of an error runs, until there are so many frames again.
    resumes_at: Option<usize>,
    /// A native call that leaves an open list of results, to be looked at when it has been executed.
    open_call: Option<OpenCall>,
    /// A comparison whose outcome is to be looked at when it has been executed.
    open_condition: Option<OpenCondition>,
    /// What the current instruction goes on with when the function that it is about to call returns, as [`Frame::pending`] has it.
    pending: u16,
    /// How many values the current instruction returns, if it has closed variables for that.
    returning: Option<usize>,
    back_edges: FxHashMap<(usize, u32), u32>,
    prototypes: Rc<RefCell<Prototypes>>,
    length: u32,
    max_length: u32,
    started: bool,
    /// Slots above the base that are there when the trace begins.
    room: usize,
    /// Slots above the base that frames take.
    needed: usize,
    /// Whether there is something for the collector to do since the last safepoint: this trace, or one that leads to
    /// where it begins, allocates.
    allocates: bool,
    /// The first instruction sees other values each time.
    varies: bool,
    /// For debuggers: the line and instruction that each frame came to last.
    lines: Option<Vec<(u32, u32)>>,
    /// The line of the first instruction has begun already.
    begun: bool,
    keep_recorded: bool,
    recorded: Option<Ir>,
    pinned: Pinned,
}

/// What a recording needs to begin.
pub struct Setup {
    /// The state.
    pub state: *mut State,
    /// The intrinsics.
    pub intrinsics: Rc<Intrinsics>,
    /// What is known of prototypes.
    pub prototypes: Rc<RefCell<Prototypes>>,
    /// The passes that are on.
    pub passes: Passes,
    /// Test mode: the kind of guard to leave out.
    pub omit: Option<(Ins, Type)>,
    /// The number that the trace will have.
    pub number: u32,
    /// Most bytecode instructions.
    pub max_length: u32,
    /// The parent trace, or one of its own, allocates.
    pub allocates: bool,
    /// Slots above the base that the parent trace has made sure of.
    pub room: usize,
    /// The recording begins where its parent does: there are other values there each time.
    pub varies: bool,
    /// The recording begins at the head of its parent's loop, and is to be that loop, with this back edge if it has one. It checks its
    /// indices itself.
    pub again: Option<Option<u32>>,
    /// Lines are marked for debuggers.
    pub lines: bool,
    /// The line with whose first instruction the recording begins has begun already.
    pub begun: bool,
    /// Keep the IR as it was recorded, for dumps.
    pub keep_recorded: bool,
}

impl Recorder {
    fn new(setup: Setup, origin: Origin, entry: (u32, usize, Gc<Proto>), pc: u32) -> Recorder {
        let (entry_base, entry_depth, proto) = entry;
        // SAFETY: the state is alive while it is recorded, and the borrow ends here.
        let (thread, main) = unsafe { ((*setup.state).thread, (*setup.state).main) };
        let passes = Passes { range: setup.passes.range && setup.again.is_none(), ..setup.passes };
        Recorder {
            state: setup.state,
            thread,
            main,
            b: Builder::new(HELPERS, passes).omitting(setup.omit),
            intrinsics: setup.intrinsics,
            origin,
            number: setup.number,
            entry_proto: proto,
            entry_base,
            entry_depth,
            head: None,
            site: None,
            inherited: Inherited::default(),
            start: (pc, 0),
            slots: Slots::new(),
            taken: Vec::new(),
            liveness: None,
            frames: Vec::new(),
            base: 0,
            proto,
            pc,
            open_top: None,
            open_list: None,
            raises: false,
            fails: false,
            bare: false,
            catching: None,
            resumes_at: None,
            open_call: None,
            open_condition: None,
            pending: 0,
            returning: None,
            back_edges: FxHashMap::default(),
            prototypes: setup.prototypes,
            length: 0,
            max_length: setup.max_length,
            started: false,
            // The frame in which it begins has room for its own registers.
            room: setup.room.max(usize::from(proto.max_stack) + 1),
            needed: 0,
            allocates: setup.allocates,
            varies: setup.varies,
            lines: setup.lines.then(Vec::new),
            begun: setup.begun,
            keep_recorded: setup.keep_recorded,
            recorded: None,
            pinned: Pinned { protos: vec![proto], ..Pinned::default() },
        }
    }

    /// Begins at a loop's head. `site` is its back edge; `entry` the base, the number of frames and the function.
    pub fn at_loop(setup: Setup, entry: (u32, usize, Gc<Proto>), site: u32, head: u32) -> Recorder {
        let mut r = Recorder::new(setup, Origin::Loop(site), entry, head);
        (r.head, r.site) = (Some(head), Some(site));
        r
    }

    /// Begins at a function's entry. `entry` as for loops.
    pub fn at_entry(setup: Setup, entry: (u32, usize, Gc<Proto>)) -> Recorder {
        let head = call::entry_of(entry.2);
        let mut r = Recorder::new(setup, Origin::Entry, entry, head);
        r.head = Some(head);
        r
    }

    /// Begins behind a call: at `pc` of the frame that `entry` names, above which the callee's may still stand. `top` is where an
    /// open list of results ends, of which there are `open`.
    pub fn at_return(setup: Setup, entry: (u32, usize, Gc<Proto>), pc: u32, open: u32, top: Option<i16>) -> Recorder {
        let mut r = Recorder::new(setup, Origin::Return { pc, open }, entry, pc);
        r.head = top.is_none().then_some(pc);
        r.open_top = top;
        r
    }

    /// Begins at an exit: the frames stand as the snapshot says.
    pub fn at_exit(
        setup: Setup,
        parent: u32,
        exit: u32,
        entry: (u32, usize, Gc<Proto>),
        inlined: &[(Frame, Gc<Proto>)],
        inheritance: &Inheritance,
        resume: Resume,
    ) -> Rec<Recorder> {
        let (pc, again) = (resume.pc, setup.again);
        let mut r = Recorder::new(setup, Origin::Exit { parent, exit }, entry, pc);
        r.inherit(inheritance)?;
        if let Some(site) = again {
            (r.head, r.site) = (Some(pc), site);
            r.inherited.insts = r.b.ir().insts.len();
            let slots = &mut r.inherited.slots;
            r.slots.modified(-BELOW, MAX_SLOTS as i32, |slot, value| slots.push((slot, value)));
        }
        for (frame, proto) in inlined {
            let caller = r.proto;
            // The function lies below the extra arguments and the parameters, if there are any.
            let below = if frame.varargs > 0 { i16::from(proto.parameters) + frame.varargs as i16 + 1 } else { 0 };
            let function = r.slots.value(frame.base - 1);
            let frame = Frame { function, ..*frame };
            let call_slot = frame.base - 1 - below - frame.kind.function_at();
            let live = r.live_in_call(caller, frame);
            r.frames.push(Inlined { frame, proto: *proto, caller, call_slot, live });
            r.base = frame.base;
            r.proto = *proto;
            r.pinned.protos.push(*proto);
        }
        r.start.1 = inlined.len();
        if resume.mode == ExitMode::Open {
            r.open_list = Some(resume.top);
        } else if bc::takes_open_list(r.proto.word(pc as usize)) {
            r.open_top = Some(resume.top);
        }
        // The lines that are under way.
        let executed =
            |proto: Gc<Proto>, next: u32| next.checked_sub(1).map_or((0, 0), |at| (proto.line(at as usize), at));
        if let Some(lines) = &mut r.lines {
            lines.extend(r.frames.iter().map(|f| executed(f.caller, f.frame.return_pc)));
            lines.push(executed(r.proto, pc));
        }
        Ok(r)
    }

    /// The slots at the start of a side trace.
    fn inherit(&mut self, from: &Inheritance) -> Rec<()> {
        let root = self.state().heap.root_shape().address() as u64;
        self.allocates |= !from.objects.is_empty();
        let (shapes, protos) = (from.kinds(Type::Table), from.kinds(Type::Function));
        // SAFETY: the parent keeps its shapes and prototypes alive.
        self.pinned.shapes.extend(shapes.map(|at| unsafe { object_at(at) }));
        // SAFETY: as above.
        self.pinned.protos.extend(protos.map(|at| unsafe { object_at(at) }));
        let helpers = [H::TableBuilt, H::CellBuilt, H::ClosureBuilt, H::ArrayBuilt];
        let [table, cell, function, array] = helpers.map(H::number);
        let known = inherit::values(&mut self.b, from, Makers { table, cell, function, array, root })?;
        from.slots.iter().for_each(|(slot, i)| self.slots.set(*slot, known[&i.parent]));
        Ok(())
    }

    /// A value as a constant.
    fn value_constant(&mut self, value: Value) -> Rec<Ref> {
        let ty = Type::from_tag(value.tag()).ok_or(Abort::Reason("internal value"))?;
        Ok(inherit::constant(&mut self.b, ty, value.payload()))
    }

    fn state(&mut self) -> &mut State {
        // SAFETY: the state is alive while it is recorded; the borrow ends before anything else uses it.
        unsafe { &mut *self.state }
    }

    // ---- slots

    /// The slot of a register.
    fn at(&self, register: usize) -> i16 {
        self.base + register as i16
    }

    /// What lies in a slot of the interpreter's stack now.
    fn actual_slot(&self, slot: i16) -> Value {
        self.thread.slot((i64::from(self.entry_base) + i64::from(slot)) as usize)
    }

    /// What lies in a register now.
    fn actual(&self, register: usize) -> Value {
        self.actual_slot(self.at(register))
    }

    /// The reference to a slot's value: loaded and checked if it was not touched before.
    fn get_slot(&mut self, slot: i16) -> Rec<Ref> {
        let known = self.slots.value(slot);
        if !known.is_none() {
            return Ok(known);
        }
        let ty = Type::from_tag(self.actual_slot(slot).tag()).ok_or(Abort::Reason("internal value in a register"))?;
        // Where a register holds a cell is settled when the function is compiled.
        let value = if ty == Type::Cell { self.b.sload_known(slot, ty)? } else { self.b.sload(slot, ty)? };
        self.slots.know(slot, value);
        Ok(value)
    }

    /// The reference to a register's value.
    fn get(&mut self, register: usize) -> Rec<Ref> {
        let slot = self.at(register);
        self.get_slot(slot)
    }

    fn set_slot(&mut self, slot: i16, value: Ref) {
        self.slots.set(slot, value);
    }

    /// Assigns to a register.
    fn set(&mut self, register: usize, value: Ref) {
        let slot = self.at(register);
        self.set_slot(slot, value);
    }

    /// Memory holds the slot, and nothing is known of it.
    fn forget_slot(&mut self, slot: i16) {
        self.slots.forget(slot);
    }

    fn ty(&self, r: Ref) -> Type {
        self.b.ty(r)
    }

    // ---- snapshots

    fn liveness(&mut self, proto: Gc<Proto>) -> &Liveness {
        let address = proto.address();
        if self.liveness.as_ref().is_none_or(|(of, _)| *of != address) {
            self.liveness = Some((address, self.prototypes.borrow_mut().of(proto).liveness(proto)));
        }
        let known = self.liveness.as_ref().map(|(_, liveness)| &**liveness);
        known.unwrap_or_else(|| unreachable!("it was put there"))
    }

    /// The caller's live registers while a called function runs.
    fn live_in_call(&mut self, caller: Gc<Proto>, frame: Frame) -> Registers {
        let (pc, live) = (frame.return_pc as usize, self.liveness(caller));
        // A metamethod's caller is in the middle of an instruction.
        if frame.kind.is_meta() { live.within(pc - 1, caller.word(pc - 1)) } else { live.at(pc) }
    }

    /// Takes a snapshot: the interpreter goes on at `pc` of the current function.
    fn snapshot(&mut self, mode: ExitMode, pc: u32) {
        let top = self.open_top.unwrap_or(self.base + i16::from(self.proto.max_stack));
        self.snapshot_with_top(mode, pc, top);
    }

    fn snapshot_with_top(&mut self, mode: ExitMode, pc: u32, top: i16) {
        let mut slots = std::mem::take(&mut self.taken);
        slots.clear();
        let (mut floor, mut base) = (-1, 0);
        for Inlined { frame, call_slot, live, .. } in &self.frames {
            self.collect(&mut slots, floor, i32::from(*call_slot), base, Some(live));
            self.collect(&mut slots, i32::from(*call_slot), frame.base.into(), base, None);
            (floor, base) = (frame.base.into(), frame.base);
        }
        let live = self.liveness(self.proto).at(pc as usize);
        let live = if self.open_top.is_some() { None } else { Some(&live) };
        self.collect(&mut slots, floor, top.into(), self.base, live);
        self.b.snapshot(Resume { mode, pc, top }, &slots, self.frames.iter().map(|f| f.frame));
        self.taken = slots;
    }

    /// Adds the modified slots in a range, those that are live.
    fn collect(&self, slots: &mut Vec<SlotValue>, from: i32, to: i32, base: i16, live: Option<&Registers>) {
        self.slots.modified(from, to, |slot, value| {
            if slot < base || live.is_none_or(|live| live.contains((slot - base) as usize)) {
                slots.push(SlotValue { slot, value });
            }
        });
    }

    /// A snapshot to execute the current instruction again.
    fn snapshot_here(&mut self) {
        self.snapshot(ExitMode::Reexecute, self.pc);
    }

    // ---- the course of a recording

    /// Records the instruction that the interpreter is about to execute.
    pub fn step(&mut self, pc: *const u32) -> Rec<Next> {
        // SAFETY: the state is alive; only a field is read.
        if unsafe { (*self.state).thread } != self.thread {
            return Err(Abort::Reason("another coroutine"));
        }
        let depth = self.thread.frames().len();
        let Some(frame) = self.thread.frames().last().copied() else { return Err(Abort::Reason("no frame")) };
        if let Some(awaited) = self.resumes_at {
            if depth > awaited {
                return Ok(Next::More);
            }
            self.resumes_at = None;
        }
        if !self.started && depth == self.entry_depth + 1 && matches!(self.origin, Origin::Return { .. }) {
            // The return itself.
            return Ok(Next::More);
        }
        if depth != self.entry_depth + self.frames.iter().map(|f| f.frame.kind.frames()).sum::<usize>()
            || frame.base as i64 != i64::from(self.entry_base) + i64::from(self.base)
        {
            return Err(Abort::Reason("left the recorded frames"));
        }
        self.pc = self.proto.index_of(pc) as u32;
        (self.raises, self.bare) = (false, false);
        if self.fails {
            return Err(Abort::Reason("no error"));
        }
        if !self.started {
            if self.head.is_some_and(|head| head != self.pc) {
                // The back edge itself, which is on its way to the head.
                return Ok(Next::More);
            }
            self.start()?;
        } else {
            if let Some(call) = self.catching.take() {
                self.call_returned(call)?;
            }
            if let Some(open) = self.open_call.take() {
                self.open_results(open)?;
            }
            if let Some(open) = self.open_condition.take() {
                self.condition(open)?;
            }
            if self.frames.is_empty() && Some(self.pc) == self.head {
                return self.close_loop();
            }
            if self.has_left_loop() && !self.may_leave_loop() {
                return Err(Abort::Reason("left the loop"));
            }
        }
        self.length += 1;
        if self.length > self.max_length {
            return Err(Abort::Reason("trace too long"));
        }
        self.line()?;
        if can_leave(self.proto.word(self.pc as usize)) {
            self.snapshot_here();
        }
        match self.instruction() {
            Err(Abort::Fails(_)) if self.catches_failure() => {
                self.fails = true;
                Ok(Next::More)
            }
            answer => answer,
        }
    }

    /// Before the first instruction.
    fn start(&mut self) -> Rec<()> {
        self.started = true;
        let open = self.open_list.take();
        match open {
            None => self.snapshot_here(),
            Some(first) => self.snapshot_open(first),
        }
        self.b.plain(Ins::Room)?;
        if let Some(first) = open {
            self.begin_with_list(first)?;
        }
        self.begin_loop()
    }

    /// Marks the line that begins with this instruction, if one does. Coming back to the rest of a line from a call begins none;
    /// going back to its start does.
    fn line(&mut self) -> Rec<()> {
        if bc::op(self.proto.word(self.pc as usize)) == bc::Op::VarArgPrep {
            // It is part of the call.
            return Ok(());
        }
        let (depth, here) = (self.frames.len(), (self.proto.line(self.pc as usize), self.pc));
        let Some(lines) = &mut self.lines else { return Ok(()) };
        lines.truncate(depth + 1);
        lines.resize(depth + 1, (0, 0));
        let last = std::mem::replace(&mut lines[depth], here);
        if std::mem::take(&mut self.begun) {
            return Ok(());
        }
        if here.0 != 0 && (last.0 != here.0 || here.1 <= last.1) {
            self.snapshot_here();
            self.b.plain(Ins::Line)?;
        }
        Ok(())
    }

    /// The finished recording.
    pub fn finish(mut self) -> Recorded {
        let needed = self.needed.max(self.slots.highest());
        self.b.set_room(if needed > self.room { needed } else { 0 });
        Recorded {
            room: needed.max(self.room),
            ir: self.b.finish(),
            recorded: self.recorded,
            pinned: self.pinned,
            origin: self.origin,
            proto: self.entry_proto,
            pc: self.start.0,
            depth: self.start.1,
            length: self.length,
            allocates: self.allocates,
        }
    }

    /// What the recording refers to, for the collector.
    pub fn roots(&self, roots: &mut Roots) {
        super::trace::constants(self.b.ir(), roots);
        self.pinned.roots(roots);
    }

    /// Where it began.
    pub fn place(&self) -> (Gc<Proto>, Origin) {
        (self.entry_proto, self.origin)
    }

    /// Ends the trace here, back in the interpreter.
    fn leave(&mut self) -> Rec<Next> {
        self.snapshot_here();
        self.end(Link::Interpreter)
    }

    fn end(&mut self, link: Link) -> Rec<Next> {
        self.b.set_link(link);
        if self.keep_recorded {
            self.recorded = Some(self.b.ir().clone());
        }
        Ok(Next::Done)
    }

    /// The function of the current frame.
    fn function(&mut self) -> Rec<Ref> {
        let slot = self.base - 1;
        let known = self.slots.value(slot);
        if !known.is_none() {
            return Ok(known);
        }
        // A trace is entered from its own function only.
        let value = self.b.sload_known(slot, Type::Function)?;
        self.slots.know(slot, value);
        Ok(value)
    }

    /// Whether the current instruction is known to see other values each time.
    fn varies(&self) -> bool {
        self.varies && self.length == 1
    }

    fn actual_function(&self) -> Rec<Gc<LuaFunction>> {
        self.actual_slot(self.base - 1).as_lua_function().ok_or(Abort::Reason("no function"))
    }

    fn pin_shape(&mut self, shape: Gc<Shape>) -> Ref {
        self.pinned.shapes.push(shape);
        self.b.ptr(shape.address() as u64)
    }

    /// Calls a helper.
    fn call_helper(&mut self, helper: H, args: &[Ref]) -> Rec<Ref> {
        if HELPERS[helper as usize].class >= super::ir::Class::Allocating {
            self.allocates = true;
        }
        Ok(self.b.call(helper.number(), args)?)
    }

    /// A value as a helper takes it: payload and tag.
    fn with_tag(&mut self, value: Ref) -> [Ref; 2] {
        let ty = self.ty(value);
        let tag = self.b.int(ty.tag().into());
        [value, tag]
    }

    fn guard_value(&mut self, value: Ref, expected: Ref) -> Rec<()> {
        self.b.guard(Ins::Eq, value, expected)?;
        Ok(())
    }
}

/// Whether what is recorded of an instruction may need a snapshot. VARARGPREP uses that of the call: the interpreter takes all up to the
/// stack's top for arguments there.
fn can_leave(w: bc::Word) -> bool {
    use bc::Op;
    !matches!(
        bc::op(w),
        Op::LoadI
            | Op::LoadF
            | Op::LoadK
            | Op::LoadKX
            | Op::LoadFalse
            | Op::LFalseSkip
            | Op::LoadTrue
            | Op::LoadNil
            | Op::Jmp
            | Op::VarArgPrep
    )
}

/// Is the value's truth decided by its type?
fn truth(ty: Type) -> Option<bool> {
    match ty {
        Type::Nil => Some(false),
        Type::Bool => None,
        _ => Some(true),
    }
}
