//! A finished trace: its IR, what it keeps alive, its exits and, if it was compiled, its code.

use std::rc::Rc;

use perilune_runtime::lua::bytecode::{self as bc, Op as Instruction};
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::{Gc, Header, Roots};
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::Value;

use super::allocate::prepare;
use super::deopt::Entered;
use super::gain::Gain;
use super::ir::{Ir, Link, Op};
use super::opt::range;
use super::record::{Origin, Pinned, Recorded};
use super::returns::ReturnPlace;
use super::snapshot::ExitMode;

/// Most traces for the values at one place.
const MAX_VARIANTS: u32 = 8;
/// Bytecode instructions that these may come to.
const MAX_VARIANTS_LENGTH: u32 = 1000;

/// An exit: one for each snapshot.
#[derive(Clone, Copy, Default, Debug)]
pub struct Exit {
    /// How often it was taken to the interpreter.
    pub count: u32,
    /// A recording is tried when the count comes to this; it grows with each failed one.
    pub threshold: u32,
    /// The side trace that goes on here.
    pub side: Option<u32>,
    /// Bytecode instructions executed in its tree from the head of the root trace to here, about: iterations of a loop are not counted
    /// but for [two](COUNTED_ROUNDS).
    pub work: u32,
    /// No side trace begins here: nobody knows which way it goes, or enough of them begin already.
    pub is_dead_end: bool,
    /// It is taken when all rounds of the loop that the trace is are done, if it counts them.
    pub is_end_of_loop: bool,
}

/// What a new trace has from the trace at whose exit it begins.
#[derive(Clone, Copy, Default, Debug)]
pub struct Ancestry {
    /// Bytecode instructions from the head of the root trace to where it begins.
    pub before: u32,
    /// How many traces in a row up to it each begin where their parent does: they expect other values there.
    pub variants: u32,
}

/// How many rounds of a loop [`Exit::work`] counts.
pub const COUNTED_ROUNDS: u32 = 2;

/// Where a loop counts rounds, while it counts integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counter {
    /// A numeric loop counts down, in this register, those that are left.
    Down(i16),
    /// `ipairs`, and `next` of a list, count up in the control variable, which is this register; the list is in the one before it.
    Up(i16),
}

fn counter(proto: Gc<Proto>, origin: Origin) -> Option<Counter> {
    let Origin::Loop(site) = origin else { return None };
    let w = proto.word(site as usize);
    let a = bc::a(w) as i16;
    match bc::op(w).original() {
        Instruction::ForLoop => Some(Counter::Down(a + 1)),
        Instruction::TForLoop => Some(Counter::Up(a + 2)),
        _ => None,
    }
}

/// A trace.
pub struct Trace {
    /// Its number, from 1.
    pub number: u32,
    /// Where it began.
    pub origin: Origin,
    /// The root of its tree; itself for a root trace.
    pub root: u32,
    /// Number of side traces in its tree, for a root trace.
    pub sides: u32,
    /// The function in whose frame it is entered.
    pub proto: Gc<Proto>,
    /// Its IR, prepared for the allocator.
    pub ir: Rc<Ir>,
    /// Its IR before the loop was peeled, for dumps.
    pub recorded: Option<Ir>,
    /// What it refers to beside its IR's constants.
    pub pinned: Pinned,
    /// Its exits, by snapshot.
    pub exits: Vec<Exit>,
    /// Bytecode instructions recorded.
    pub length: u32,
    /// Whether it, or what leads to it, allocates.
    pub allocates: bool,
    /// Slots above the base that there are while it runs.
    pub room: usize,
    /// Where it begins: the place in the innermost frame's code, and the number of inlined frames.
    pub start: (u32, usize),
    ancestry: Ancestry,
    /// The exit before the loop where the loop begins that checks its indices itself, if this one does not.
    range_exit: Option<usize>,
    counter: Option<Counter>,
    /// What entering it has brought lately, for a root trace.
    pub gain: Gain,
    /// Which returns lead to it, if it begins behind a call.
    pub behind: Option<ReturnPlace>,
}

impl Trace {
    /// From a recording.
    pub fn new(number: u32, root: u32, recorded: Recorded, hotexit: u32, ancestry: Ancestry) -> Trace {
        let behind = match recorded.origin {
            Origin::Return { pc, open } => {
                let address = recorded.proto.code_ptr().wrapping_add(pc as usize).addr();
                Some(ReturnPlace { address, open })
            }
            _ => None,
        };
        let range_exit = range::exit(&recorded.ir);
        let mut trace = Trace {
            behind,
            number,
            origin: recorded.origin,
            root,
            sides: 0,
            proto: recorded.proto,
            ir: Rc::new(prepare(recorded.ir)),
            recorded: recorded.recorded,
            pinned: recorded.pinned,
            exits: Vec::new(),
            length: recorded.length,
            allocates: recorded.allocates,
            room: recorded.room,
            start: (recorded.pc, recorded.depth),
            ancestry,
            range_exit,
            counter: counter(recorded.proto, recorded.origin),
            gain: Gain::default(),
        };
        trace.exits = trace.exits(hotexit);
        trace
    }

    fn exits(&self, hotexit: u32) -> Vec<Exit> {
        let snapshots = &self.ir.snapshots;
        let at = self.ir.loop_index();
        let exit = |number: usize| {
            let in_loop = at.is_some_and(|at| snapshots.get(number).at as usize > at);
            let rounds = if in_loop { COUNTED_ROUNDS } else { 1 };
            let part = (self.length * (number as u32 + 1)).div_ceil(snapshots.len() as u32);
            Exit {
                threshold: hotexit,
                work: self.ancestry.before + rounds * part,
                is_dead_end: self.is_dead_end(number),
                is_end_of_loop: self.is_end_of_loop(number),
                ..Exit::default()
            }
        };
        (0..snapshots.len()).map(exit).collect()
    }

    /// What a trace has from this one that begins at an exit.
    pub fn ancestry(&self, exit: usize) -> Ancestry {
        let variants = if self.is_variant(exit) { self.ancestry.variants + 1 } else { 0 };
        Ancestry { before: self.exits[exit].work, variants }
    }

    /// As [`Exit::work`], at its end.
    pub fn work_at_end(&self) -> u32 {
        self.ancestry.before + self.length
    }

    /// How far its loop has counted, where the frame that it is entered in says so.
    pub fn counted(&self, state: &State, at: Entered) -> Option<i64> {
        let (Counter::Down(register) | Counter::Up(register)) = self.counter?;
        state.slot(at.slot(register)).as_integer()
    }

    /// How far its loop has counted at its end. Side traces that begin there have no use for the counter.
    pub fn counted_at_end(&self, state: &State, at: Entered) -> Option<i64> {
        match self.counter? {
            Counter::Down(_) => Some(0),
            Counter::Up(register) => state.slot(at.slot(register - 1)).as_table().map(|list| list.length()),
        }
    }

    fn is_end_of_loop(&self, exit: usize) -> bool {
        let snapshot = self.ir.snapshots.get(exit);
        let end = match (self.counter, self.origin) {
            (Some(Counter::Down(_)), Origin::Loop(site)) => Some(site),
            // The call of the iterator.
            (Some(Counter::Up(_)), Origin::Loop(site)) => site.checked_sub(1),
            _ => None,
        };
        end == Some(snapshot.pc)
            && snapshot.mode == ExitMode::Reexecute
            && self.ir.snapshots.frames(snapshot).is_empty()
    }

    fn is_dead_end(&self, exit: usize) -> bool {
        let is_last = exit + 1 == self.ir.snapshots.len();
        is_last && matches!(self.ir.link, Link::Interpreter | Link::Return { .. } | Link::Switch { .. })
            || self.ir.snapshots.get(exit).mode == ExitMode::Finish
            || self.is_variant(exit) && self.is_last_variant()
    }

    /// Whether enough traces begin where this one does: what is different each time is left to the interpreter.
    fn is_last_variant(&self) -> bool {
        self.ancestry.variants >= MAX_VARIANTS || (self.ancestry.variants + 1) * self.length >= MAX_VARIANTS_LENGTH
    }

    /// Whether this loop begins once more at an exit, as one that checks its indices itself; and its back edge, if it has one.
    pub fn begins_again_at(&self, exit: usize) -> Option<Option<u32>> {
        let site = if let Origin::Loop(site) = self.origin { Some(site) } else { None };
        (self.range_exit == Some(exit)).then_some(site)
    }

    /// Whether a side trace at an exit would expect other values at the very place where this trace begins.
    pub fn is_variant(&self, exit: usize) -> bool {
        let snapshot = self.ir.snapshots.get(exit);
        self.range_exit != Some(exit) && (snapshot.pc, self.ir.snapshots.frames(snapshot).len()) == self.start
    }

    /// The function that a frame of a snapshot runs, and which instruction of its code: frame 0 is the one in which the
    /// trace is entered, the others are inlined.
    pub fn place(&self, snapshot: usize, frame: usize) -> (Gc<Proto>, usize) {
        let snapshots = &self.ir.snapshots;
        let Some(snapshot) = (snapshot < snapshots.len()).then(|| snapshots.get(snapshot)) else {
            return (self.proto, 0);
        };
        let frames = snapshots.frames(snapshot);
        let inlined = frame.checked_sub(1).and_then(|i| frames.get(i)).map(|f| f.proto);
        let proto = self.pinned.protos.iter().find(|p| Some(p.address()) == inlined);
        let pc = match frames.get(frame) {
            Some(callee) => callee.return_pc - 1,
            None if snapshot.mode == ExitMode::Reexecute => snapshot.pc,
            None => snapshot.pc.saturating_sub(1),
        };
        (proto.copied().unwrap_or(self.proto), pc as usize)
    }

    /// The place of a snapshot's innermost frame.
    pub fn innermost(&self, snapshot: usize) -> (Gc<Proto>, usize) {
        let snapshots = &self.ir.snapshots;
        let depth = if snapshot < snapshots.len() { snapshots.frames(snapshots.get(snapshot)).len() } else { 0 };
        self.place(snapshot, depth)
    }

    /// Whether the line that begins with the instruction of a snapshot has begun already when an exit leaves by it. Known only if the
    /// trace was made for a debugger.
    pub fn has_begun_line(&self, snapshot: usize) -> bool {
        let snapshots = &self.ir.snapshots;
        let mut before = self.ir.insts.iter().enumerate();
        let Some((at, _)) = before
            .rfind(|(at, inst)| inst.op == Op::Line && snapshots.for_inst(*at).is_some_and(|known| known <= snapshot))
        else {
            return false;
        };
        let place = |number: usize| (snapshots.get(number).pc, snapshots.frames(snapshots.get(number)).len());
        snapshots.for_inst(at).is_some_and(|line| snapshot < snapshots.len() && place(line) == place(snapshot))
    }

    /// The objects that it refers to.
    pub fn references(&self) -> Vec<*mut Header> {
        let mut roots = Roots::default();
        constants(&self.ir, &mut roots);
        self.pinned.roots(&mut roots);
        roots.into_objects()
    }
}

/// The objects that an IR's constants are.
pub fn constants(ir: &Ir, roots: &mut Roots) {
    for c in &ir.consts {
        if c.ty().is_object() {
            // SAFETY: constants of object types are live objects of that type.
            roots.value(unsafe { Value::from_raw(c.ty().tag(), c.payload()) });
        }
    }
}

impl Pinned {
    /// Keeps all of it.
    pub fn roots(&self, roots: &mut Roots) {
        self.shapes.iter().for_each(|s| roots.object(*s));
        self.protos.iter().for_each(|p| roots.object(*p));
    }
}
