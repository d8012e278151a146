//! Traces as machine code: what is known of each, how they are compiled, linked to one another, and dropped.
//!
//! A snapshot may have several exits, each with the snapshot's values in other places. A side trace is compiled for the
//! one that was taken last; the others reach it through adapters that move the values.
//!
//! A trace that is dropped is unlinked at once: nothing leads to it any more. Its code and what is known of it stay while
//! it may still be on the native stack, under a call that it makes.

#[cfg(test)]
mod random;
mod stress;

use super::allocate::{
    self, AllocateError, Assigned, Features, Location, Move, Place, Point, Root, allocate, location_of,
};
use super::deopt::Entered;
use super::emit::thunks::{ThunkFunctions, Thunks};
use super::emit::{self, Layout, Site, Surroundings};
use super::entry;
use super::explain::{self, Gaps};
use super::ir::{Ir, Op, Ref};
use super::lines::{self, Lines};
use super::places::Places;
use super::record::live::Registers;
use super::returns::ReturnCache;
use super::trace::Trace;
use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::buffer::Code;
use crate::code::map::CodeSpace;
use crate::code::patch::Patch;
use crate::code::publish::{PerfFormat, Publisher, Telling};
use crate::code::trampoline::Stepper;
use dynasmrt::DynasmApi;
use perilune_runtime::lua::heap::Roots;
use perilune_runtime::lua::state::State;
use perilune_unwind::jitdump::GAP;
use perilune_unwind::lines::Function;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use stress::Guards;
pub use stress::StressCounts;

/// So many dropped traces are freed together: debuggers must be told.
const RECLAIM: usize = 64;

/// An exit of a trace.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Its snapshot's number.
    pub snapshot: usize,
    /// Where the values of the snapshot are; constants are left out.
    pub locations: Vec<(Ref, Location)>,
    /// Whether the frames of a full call stand when it is taken.
    pub synced: bool,
    /// Whether it is the collector's.
    pub collects: bool,
    /// What is live behind it, once that was asked for.
    pub live: Option<Box<Registers>>,
    /// The address of the instruction where its innermost frame goes on, once that was asked for.
    pub resume: Option<usize>,
    /// What it writes to the stack, once it has been taken; not if there are unbuilt objects.
    pub(super) stores: Option<Box<[entry::Store]>>,
    /// The jumps that lead to it, among those of the trace; none if it is no exit but a place where slots are stored.
    sites: Range<u32>,
    /// Its stub's address.
    stub: usize,
}

impl Exit {
    fn sites<'a>(&self, all: &'a [Site]) -> &'a [Site] {
        &all[self.sites.start as usize..self.sites.end as usize]
    }
}

/// The machine code of a trace.
#[derive(Debug)]
pub struct MachineTrace {
    /// What was compiled.
    pub ir: Rc<Ir>,
    /// The exits, by number.
    pub exits: Vec<Exit>,
    /// The jumps that lead to exits, by exit, with their addresses.
    sites: Vec<Site>,
    /// Where its code's parts lie.
    pub layout: Layout,
    /// Where its values are at each point of its code.
    pub places: Places,
    /// Spill slots in use.
    pub spill_slots: usize,
    /// The trace and the snapshot where it begins, if it is a side trace.
    parent: Option<(u32, usize)>,
    /// References that live across full calls, by the point of the `sync`.
    roots: Vec<(u16, Vec<Root>)>,
    code: Code,
    /// Code that moves values from the parent's other exits to where this side trace expects them.
    adapters: Vec<Code>,
    /// Side traces, with the snapshots where they begin.
    sides: Vec<(usize, u32)>,
    /// Traces that end by jumping to this one.
    incoming: Vec<u32>,
    /// The exit that was taken last.
    pub(super) last_exit: u16,
    /// It is unlinked, but may be running.
    dropped: bool,
    /// Its code counts: how often it was come to, and rounds of its loop.
    counts: Option<Box<[Cell<u64>; 2]>>,
    /// Test mode.
    stress: Option<Guards>,
}

impl MachineTrace {
    /// Its code.
    pub fn code(&self) -> &Code {
        &self.code
    }
    /// Names of addresses that its code mentions, for dumps; `leave` is where code leaves for good.
    pub fn names(&self, leave: usize) -> impl FnMut(u64) -> Option<String> + use<> {
        let frames = entry::frame_helpers();
        let frames =
            [(frames.push, "push_frames"), (frames.leave, "return"), (frames.switch, "switch"), (leave, "leave")];
        let mut known: HashMap<u64, String> =
            frames.into_iter().map(|(address, name)| (address as u64, name.to_owned())).collect();
        known.extend(self.ir.helpers.iter().map(|helper| (helper.entry as usize as u64, helper.name.to_owned())));
        // Constants lie behind the code: addresses of functions, and numbers, which are shown as assemblers write them.
        let (start, bytes, words) = (self.code.start(), self.code.bytes(), self.layout.end.div_ceil(8)..);
        let word = |n: usize| Some(u64::from_le_bytes(*bytes.get(n * 8..)?.first_chunk()?));
        let constants = words.map_while(|n| Some((n, word(n)?)));
        let name = |bits: u64| known.get(&bits).cloned().unwrap_or_else(|| format!("={bits:#x}"));
        let constants: Vec<(u64, String)> = constants.map(|(n, bits)| ((start + n * 8) as u64, name(bits))).collect();
        known.extend(constants);
        let exits = self.exits.iter().filter(|e| !e.sites.is_empty());
        known.extend(exits.map(|exit| (exit.stub as u64, format!("exit_{}", exit.snapshot))));
        move |address| known.get(&address).cloned()
    }
    /// How often it was come to, and rounds of its loop, if that is counted.
    pub fn counts(&self) -> [u64; 2] {
        self.counts.as_ref().map_or([0; 2], |counts| [counts[0].get(), counts[1].get()])
    }
    pub(super) fn entry(&self) -> usize {
        self.code.start()
    }
    fn sites(&self, exit: &Exit) -> &[Site] {
        exit.sites(&self.sites)
    }
    pub(super) fn roots_at(&self, point: u16) -> &[Root] {
        self.roots.iter().find(|(at, _)| *at == point).map_or(&[], |(_, roots)| roots)
    }
    /// The exit of a snapshot for which a side trace is compiled.
    fn primary(&self, snapshot: usize) -> Option<&Exit> {
        let fits = |e: &&Exit| e.snapshot == snapshot && !e.sites.is_empty();
        let last = self.exits.get(self.last_exit as usize).filter(fits);
        last.or_else(|| self.exits.iter().find(fits))
    }
}

/// Why a trace cannot be compiled.
#[derive(Debug)]
pub enum CompileError {
    /// Registers could not be allocated.
    Allocate(AllocateError),
    /// The machine code could not be placed.
    Code(CodeError),
    /// The parent is not there, or has no such exit.
    NoParent,
    /// The trace that it should lead to is not there.
    NoTarget,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::Allocate(AllocateError::TooManySpills) => f.write_str("too many spills"),
            CompileError::Allocate(AllocateError::NotInherited(_)) => f.write_str("inherited value without a place"),
            CompileError::Code(CodeError::Full { .. }) => f.write_str("out of memory for machine code"),
            CompileError::Code(error) => write!(f, "{error}"),
            CompileError::NoParent => f.write_str("parent trace is gone"),
            CompileError::NoTarget => f.write_str("linked trace is gone"),
        }
    }
}

impl std::error::Error for CompileError {}

impl From<AllocateError> for CompileError {
    fn from(error: AllocateError) -> CompileError {
        CompileError::Allocate(error)
    }
}

impl From<CodeError> for CompileError {
    fn from(error: CodeError) -> CompileError {
        CompileError::Code(error)
    }
}

/// How traces are compiled.
#[derive(Clone, Copy, Debug)]
pub struct MachineOptions {
    /// Bytes of machine code at most.
    pub code_size: usize,
    /// What the processor can do.
    pub features: Features,
    /// Test mode: each guard fails once, when it is reached for the first time.
    pub exit_stress: bool,
    /// When debuggers are told.
    pub telling: Telling,
    /// Test mode, unless it is 0: registers are chosen at random, from this seed on.
    pub random_registers: u32,
    /// How perf is told.
    pub perf: Option<PerfFormat>,
    /// Code counts how often it is run.
    pub counts: bool,
}

impl Default for MachineOptions {
    fn default() -> MachineOptions {
        MachineOptions {
            code_size: 64 << 20,
            features: Features::detect(),
            exit_stress: false,
            telling: Telling::detect(),
            random_registers: 0,
            perf: None,
            counts: false,
        }
    }
}

/// A full call that a trace is making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sync {
    pub(super) trace: u32,
    pub(super) point: u16,
    /// rbp of the trampoline's frame.
    pub(super) frame: usize,
    /// Where the trace was entered.
    pub(super) at: Entered,
}

/// The machine code of all traces of a state. Lies in a box to which [`State::compiled`] points while it lives.
#[derive(Debug)]
pub struct Machine {
    /// By number.
    traces: Vec<Option<Box<MachineTrace>>>,
    pub(super) arena: Arena,
    thunks: Thunks,
    /// Tells debuggers of code, and keeps dropped code while it may run.
    pub publisher: Publisher,
    options: MachineOptions,
    pub(super) syncs: Vec<Sync>,
    /// Entries into compiled code that have not ended.
    pub(super) depth: usize,
    /// How machine code was left last.
    pub(super) last: Option<entry::Left>,
    /// Where returns go on.
    pub(super) returns: ReturnCache,
    /// Traces that were dropped and are not yet freed.
    dropped: usize,
    /// Exit stress: what is known of the guards of traces that are gone.
    stress_of_dropped: StressCounts,
    /// Lines that debuggers are told nothing of but that they exist.
    gaps: Gaps,
    /// The debugging loop, for a debugger that is to see each line.
    pub(super) lines: Option<Box<Lines>>,
}

impl Machine {
    /// No traces, with room for code.
    pub fn new(options: MachineOptions) -> Result<Box<Machine>, CodeError> {
        let space = CodeSpace::reserve()?;
        let shows_lines = options.telling == Telling::AtOnce;
        let stepper = shows_lines.then_some(lines::step as Stepper);
        let arena = Arena::new(&space, options.code_size, entry::deoptimize, stepper)?;
        let lines = if shows_lines { Some(Box::new(Lines::new(&arena)?)) } else { None };
        let functions = ThunkFunctions {
            barrier: entry::barrier as *const () as usize,
            refill: entry::refill as *const () as usize,
            floor: entry::floor as *const () as usize,
            ceil: entry::ceil as *const () as usize,
        };
        let thunks = Thunks::new(&arena, functions)?;
        let mut publisher = Publisher::new(options.telling, explain::TYPES);
        if let Some(format) = options.perf {
            publisher.tell_perf(format, arena.frame())?;
        }
        Ok(Box::new(Machine {
            traces: Vec::new(),
            arena,
            thunks,
            publisher,
            options,
            syncs: Vec::new(),
            depth: 0,
            last: None,
            returns: ReturnCache::default(),
            dropped: 0,
            stress_of_dropped: StressCounts::default(),
            gaps: Gaps::default(),
            lines,
        }))
    }

    /// A trace that was not dropped.
    pub fn get(&self, number: u32) -> Option<&MachineTrace> {
        self.known(number).filter(|t| !t.dropped)
    }

    /// A trace that was not dropped, or may be running still.
    pub(super) fn known(&self, number: u32) -> Option<&MachineTrace> {
        self.traces.get(number as usize)?.as_deref()
    }

    pub(super) fn known_mut(&mut self, number: u32) -> Option<&mut MachineTrace> {
        self.traces.get_mut(number as usize)?.as_deref_mut()
    }

    /// Bytes of machine code in use.
    pub fn code_bytes(&self) -> usize {
        self.arena.used()
    }

    /// The arena with the code.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Compiles a trace under a number that is not in use. A side trace names its parent and the snapshot where it
    /// begins; nothing leads to it until it is linked. `state` is the one that will run it; only addresses are taken
    /// from it. The IR must be [prepared](allocate::prepare). `work`: see [`Surroundings::work`].
    pub fn compile(
        &mut self,
        state: &State,
        number: u32,
        ir: Rc<Ir>,
        parent: Option<(u32, usize)>,
        work: u32,
    ) -> Result<(), CompileError> {
        let from = match parent {
            None => None,
            Some((trace, snapshot)) => {
                let exit = self.get(trace).and_then(|t| t.primary(snapshot));
                Some(exit.ok_or(CompileError::NoParent)?)
            }
        };
        let options = allocate::Options {
            inherited: from.map_or(&[], |exit| &exit.locations),
            separate_exits: self.options.exit_stress,
            features: self.options.features,
            random: u64::from(self.options.random_registers).wrapping_mul(0x9e37_79b9 * (u64::from(number) + 1)),
        };
        let allocation = allocate(&ir, options)?;
        let target = self.target(&ir, number)?;
        let mut stress = self.options.exit_stress.then(|| Guards::new(allocation.points.len()));
        let counts: Option<Box<[Cell<u64>; 2]>> = self.options.counts.then(Box::default);
        let gap = if self.options.perf == Some(PerfFormat::JitDump) { GAP } else { 0 };
        let mut buffer = self.arena.begin(emit::bound(&ir, &allocation, stress.is_some()) + gap)?;
        let around = Surroundings {
            trampoline: &self.arena.trampoline(),
            thunks: &self.thunks,
            number,
            work,
            interrupt: state.interrupt.as_ptr() as usize,
            // A trace may lead to its own start.
            link: target.or((ir.link.target() == Some(number)).then(|| buffer.start())),
            frames: entry::frame_helpers(),
            returns: self.returns.address(),
            features: self.options.features,
            shows_frames: self.lines.is_some(),
            reached: stress.as_ref().map(Guards::reached),
            counts: counts.as_ref().map(|counts| counts.as_ptr() as usize),
        };
        let layout = emit::emit(&mut buffer.asm, &ir, &allocation, around);
        (0..gap).for_each(|_| buffer.asm.push(0xcc));
        let code = buffer.publish()?;
        let places = Places::encode(&ir, &allocation, options);
        let (exits, sites) = Machine::exits(&ir, &allocation.insts, allocation.points, &layout, &code);
        if let Some(guards) = &mut stress {
            guards.force(&self.arena, &sites)?;
        }
        let trace = Box::new(MachineTrace {
            exits,
            sites,
            roots: allocation.roots.into_iter().map(|(at, r)| (allocation.insts[at].exit, r)).collect(),
            spill_slots: allocation.spill_slots,
            last_exit: 0,
            places,
            layout,
            ir,
            parent,
            code,
            adapters: Vec::new(),
            sides: Vec::new(),
            incoming: Vec::new(),
            dropped: false,
            counts,
            stress,
        });
        self.insert(number, trace);
        Ok(())
    }

    /// Where the code begins of another trace that one leads to.
    fn target(&self, ir: &Ir, number: u32) -> Result<Option<usize>, CompileError> {
        match ir.link.target() {
            Some(target) if target != number => {
                self.get(target).map(|trace| Some(trace.entry())).ok_or(CompileError::NoTarget)
            }
            _ => Ok(None),
        }
    }

    /// Tells debuggers of traces that were compiled, and of their variables if that is wanted.
    pub fn announce<'a>(&mut self, traces: impl Iterator<Item = &'a Trace>, variables: bool) {
        let functions = self.describe(traces, variables);
        self.fill_gaps(functions.iter().map(|(_, function)| function));
        let Machine { traces: known, publisher, .. } = self;
        let code = |number: u32| known.get(number as usize)?.as_deref().map(MachineTrace::code);
        let functions = functions.into_iter().filter_map(|(number, f)| Some((f, code(number)?))).collect();
        // A trace that cannot be described runs all the same.
        let _ = publisher.announce(functions);
    }

    /// Tells debuggers of all traces once more, with their variables.
    pub fn announce_anew<'a>(&mut self, traces: impl Iterator<Item = &'a Trace>) {
        let _outdated = (self.publisher.start_anew(), std::mem::take(&mut self.gaps));
        let functions: Vec<Function> = self.describe(traces, true).into_iter().map(|(_, function)| function).collect();
        self.fill_gaps(functions.iter());
        let _ = self.publisher.announce_again(functions);
    }

    /// Sees to it that nobody takes a line for one of those of these functions.
    fn fill_gaps<'a>(&mut self, functions: impl Iterator<Item = &'a Function>) {
        if self.publisher.tells_in_advance() {
            let gaps = self.gaps.fill(functions, &self.arena, &self.publisher);
            self.publisher.announce_with_next(gaps);
        }
    }

    fn describe<'a>(&mut self, traces: impl Iterator<Item = &'a Trace>, variables: bool) -> Vec<(u32, Function)> {
        let Machine { traces: known, publisher, options, .. } = self;
        if !publisher.is_wanted() {
            return Vec::new();
        }
        let describe = |trace: &Trace| {
            let code = known.get(trace.number as usize)?.as_deref().filter(|code| !code.dropped)?;
            let features = variables.then_some(options.features);
            Some((trace.number, explain::function(trace, code, features, publisher)))
        };
        traces.filter_map(describe).collect()
    }

    fn insert(&mut self, number: u32, trace: Box<MachineTrace>) {
        if let Some(target) = trace.ir.link.target()
            && target != number
            && let Some(target) = self.known_mut(target)
        {
            target.incoming.push(number);
        }
        let index = number as usize;
        if self.traces.len() <= index {
            self.traces.resize_with(index + 1, || None);
        }
        self.traces[index] = Some(trace);
    }

    fn exits(ir: &Ir, insts: &[Assigned], points: Vec<Point>, layout: &Layout, code: &Code) -> (Vec<Exit>, Vec<Site>) {
        let start = code.start();
        let exit = |(point, stub): (Point, &u32)| Exit {
            snapshot: point.snapshot,
            locations: point.locations,
            synced: point.synced,
            collects: false,
            live: None,
            resume: None,
            stores: None,
            stub: start + *stub as usize,
            sites: 0..0,
        };
        let mut exits: Vec<Exit> = points.into_iter().zip(&layout.stubs).map(exit).collect();
        let mut sites: Vec<Site> =
            layout.sites.iter().map(|site| Site { offset: start + site.offset, ..*site }).collect();
        sites.sort_by_key(|site| site.exit);
        let mut next = 0;
        for group in sites.chunk_by(|a, b| a.exit == b.exit) {
            let first = next;
            next += group.len() as u32;
            exits[group[0].exit as usize].sites = first..next;
        }
        for (_, assigned) in ir.insts.iter().zip(insts).filter(|(inst, _)| inst.op == Op::Gcstep) {
            exits[assigned.exit as usize].collects = true;
        }
        (exits, sites)
    }

    /// Leads all exits of a snapshot to the side trace that was compiled for it.
    pub fn link(&mut self, parent: u32, snapshot: usize, side: u32) -> Result<(), CompileError> {
        let entry = self.get(side).ok_or(CompileError::NoTarget)?.entry();
        let from = self.get(parent).ok_or(CompileError::NoParent)?;
        let primary = from.primary(snapshot).ok_or(CompileError::NoParent)?;
        let mut adapters = Vec::new();
        let mut targets = Vec::new();
        for (number, exit) in from.exits.iter().enumerate().filter(|(_, e)| e.snapshot == snapshot && !e.collects) {
            // Under a full call the frames stand, and only the deoptimizer takes them away.
            if exit.synced || exit.sites.is_empty() {
                continue;
            }
            let target = if exit.locations == primary.locations {
                entry
            } else {
                let adapter = self.adapter(exit, primary, entry)?;
                let start = adapter.start();
                adapters.push(adapter);
                start
            };
            targets.push((number, target));
        }
        self.turn(parent, targets)?;
        if let Some(side) = self.known_mut(side) {
            side.adapters = adapters;
        }
        if let Some(parent) = self.known_mut(parent) {
            parent.sides.push((snapshot, side));
        }
        Ok(())
    }

    /// Leads exits of a trace elsewhere.
    fn turn(&mut self, number: u32, targets: Vec<(usize, usize)>) -> Result<(), CodeError> {
        let Some(trace) = self.known_mut(number) else { return Ok(()) };
        let mut patches = Vec::new();
        for (exit, target) in targets {
            let from = &trace.exits[exit];
            let later = Some(target).filter(|target| *target != from.stub);
            if !trace.stress.as_mut().is_some_and(|guards| guards.postpone(exit, later)) {
                patches.extend(from.sites(&trace.sites).iter().map(|site| Patch { site: site.offset, target }));
            }
        }
        self.arena.patch(&patches)
    }

    fn adapter(&self, from: &Exit, to: &Exit, target: usize) -> Result<Code, CodeError> {
        let place = |exit: &Exit, r: Ref| location_of(&exit.locations, r).map_or(Place::None, Place::from);
        let moves: Vec<Move> =
            to.locations.iter().map(|(r, location)| Move { to: (*location).into(), from: place(from, *r) }).collect();
        let mut buffer = self.arena.begin(64 + moves.len() * 32)?;
        emit::adapter(&mut buffer.asm, &moves, target);
        buffer.publish()
    }

    /// Drops a trace and the side traces that begin in it, and theirs. Nothing leads to them any more.
    pub fn drop_trace(&mut self, number: u32) -> Result<(), CodeError> {
        self.returns.clear();
        let mut work = vec![number];
        while let Some(number) = work.pop() {
            let Some(trace) = self.known_mut(number).filter(|t| !t.dropped) else { continue };
            trace.dropped = true;
            let (parent, link) = (trace.parent, trace.ir.link);
            let incoming = std::mem::take(&mut trace.incoming);
            work.extend(trace.sides.drain(..).map(|(_, side)| side));
            let mut patches = Vec::new();
            if let Some((from, snapshot)) = parent
                && let Some(parent) = self.known_mut(from)
            {
                parent.sides.retain(|(_, side)| *side != number);
                let exits = parent.exits.iter().enumerate().filter(|(_, e)| e.snapshot == snapshot);
                let stubs = exits.map(|(exit, e)| (exit, e.stub)).collect();
                self.turn(from, stubs)?;
            }
            for from in incoming {
                if let Some(from) = self.known(from)
                    && let Some((site, leave)) = from.layout.link
                {
                    patches.push(Patch { site: from.entry() + site, target: from.entry() + leave });
                }
            }
            if let Some(next) = link.target()
                && let Some(next) = self.known_mut(next)
            {
                next.incoming.retain(|from| *from != number);
            }
            self.arena.patch(&patches)?;
            self.dropped += 1;
        }
        if self.dropped < RECLAIM { Ok(()) } else { self.reclaim() }
    }

    /// A prototype is gone: takes back the stubs of its lines.
    pub fn forget_lines(&mut self, prototype: u32) -> Result<(), CodeError> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let stubs = lines.forget(prototype);
        if stubs.is_empty() {
            return Ok(());
        }
        stubs.into_iter().for_each(|code| self.publisher.retire(code));
        self.publisher.reclaim().map(|_| ())
    }

    /// Frees what was dropped, if nobody can be in it.
    fn reclaim(&mut self) -> Result<(), CodeError> {
        if self.depth > 0 {
            return Ok(());
        }
        self.dropped = 0;
        for place in &mut self.traces {
            if let Some(trace) = place.take_if(|t| t.dropped) {
                self.stress_of_dropped += trace.stress.as_ref().map(Guards::counts).unwrap_or_default();
                trace.adapters.into_iter().for_each(|code| self.publisher.retire(code));
                self.publisher.retire(trace.code);
            }
        }
        self.publisher.reclaim()?;
        Ok(())
    }

    /// What full calls that are under way keep in spill slots.
    pub fn roots(&self, roots: &mut Roots) {
        for sync in &self.syncs {
            // SAFETY: the trampoline's frame is on the native stack until the call ends.
            unsafe { entry::sync_roots(self, sync, roots) };
        }
    }
}
