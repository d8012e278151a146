//! Random traces as machine code and under the evaluator: both must leave through the same exits with the same stack, frames
//! and memory. Each guard is forced to fail once, so that each exit is taken; side traces begin at some of them. And loops with all
//! passes against the same loops without any.
//!
//! A run of the tests does the same each time. `PERILUNE_FUZZ_TRACES=1000000 PERILUNE_FUZZ_SEED=$RANDOM cargo test --release -p
//! perilune-jit --lib machine::random` is a longer one.

mod generate;
mod helpers;
mod objects;

use std::cell::Cell;
use std::fmt::Write;

use generate::{
    FIELDS, FUNCTION_SLOT, Generator, INTS, Known, LIST_SLOT, Memory, PROTO, Random, SLOTS, TABLE_SLOT, fill,
};

use crate::lua::deopt::{Entered, pop_frames};
use crate::lua::engine::Engine;
use crate::lua::ir::verify::verify;
use crate::lua::ir::{Const, Ir, Link};
use crate::lua::opt::{Passes, range};
use crate::lua::options::Options;

use crate::lua::record::{Inheritance, Origin, Pinned, Recorded};
use crate::lua::snapshot::ExitMode;
use crate::lua::tier::Jit;
use crate::lua::trace::{Ancestry, Trace};
use perilune_interpreter::lua::api::Mode;
use perilune_interpreter::lua::load::load;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::shape::Shape;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::{Frame, FrameKind};
use perilune_runtime::lua::tier::Outcome;
use perilune_runtime::lua::value::Value;

/// The base of the frame in which traces are entered.
const BASE: u32 = 40;
/// Times that the loop of a trace is gone through.
const ITERATIONS: i64 = 5;
/// The number of the root trace, and that of the side trace.
const ROOT: u32 = 1;

/// A state that runs traces one way.
struct World {
    state: Box<State>,
    proto: Gc<Proto>,
    /// The shapes of tables with no field up to all of them; a table below the frame keeps them alive.
    shapes: [Gc<Shape>; FIELDS + 1],
}

/// What a run has come to: where it left, the slots, the frames, the memory.
#[derive(PartialEq, Debug)]
struct End {
    left: (u32, usize, Outcome),
    stack: Vec<(u8, u64)>,
    frames: Vec<(u32, i32)>,
    memory: Vec<u64>,
}

impl World {
    fn new(options: &Options) -> World {
        let mut state = State::new();
        let environment = Value::NIL;
        let function = load(&mut state, b"local a, b, c", b"=test", Mode::Any, environment).unwrap();
        state.thread.resize(&mut state.heap, 2000).unwrap();
        state.set_slot(BASE as usize - 1, Value::from(function));
        let proto = function.proto();
        state.thread.frames().push(Frame::new(FrameKind::Lua, proto.code_ptr(), BASE, 0, 0));
        let mut shapes = [state.heap.root_shape(); FIELDS + 1];
        let table = new_table(&mut state, |n, table| shapes[n + 1] = table.shape());
        state.set_slot(BASE as usize - 2, Value::from(table));
        Jit::install(&mut state, options.clone());
        World { state, proto, shapes }
    }

    fn known(&self) -> Known {
        std::array::from_fn(|n| if n == PROTO { self.proto.address() } else { self.shapes[n].address() } as u64)
    }

    fn jit(&mut self) -> &mut Jit {
        Jit::find(&mut self.state).unwrap()
    }

    /// Makes a trace of an IR. False: it needs too many spill slots.
    fn add(&mut self, number: u32, ir: &Ir, known: &Known, origin: Origin) -> bool {
        let mut ir = ir.clone();
        for c in &mut ir.consts {
            if let Const::Ptr(address) = c
                && let Some(n) = known.iter().position(|known| known == address)
            {
                *c = Const::Ptr(self.known()[n]);
            }
        }
        let recorded = Recorded {
            ir,
            recorded: None,
            pinned: Pinned::default(),
            origin,
            proto: self.proto,
            pc: 0,
            depth: 0,
            length: 1,
            allocates: false,
            room: 0,
        };
        let trace = Box::new(Trace::new(number, ROOT, recorded, u32::MAX, Ancestry::default()));
        let state = &raw mut *self.state;
        let jit = self.jit();
        jit.insert(trace);
        // SAFETY: the state is alive.
        match unsafe { jit.engine.compile(state, &jit.traces, number) } {
            Ok(()) => {}
            Err(reason) => {
                assert_eq!(reason, "too many spills");
                jit.traces.pop();
                return false;
            }
        }
        if let Origin::Exit { parent, exit } = origin {
            jit.engine.link(parent, exit, number).unwrap();
            jit.trace_mut(parent).unwrap().exits[exit as usize].side = Some(number);
        }
        true
    }

    /// Enters the root trace on a fresh stack and memory. Answers how it ended, and whether that was by force.
    fn run(&mut self, memory: &Memory) -> (End, bool) {
        self.prepare(memory);
        self.enter(memory)
    }

    /// A fresh stack and memory.
    fn prepare(&mut self, memory: &Memory) {
        fill(memory);
        for slot in 0..SLOTS {
            let value = match slot {
                0 => Value::integer(ITERATIONS),
                TABLE_SLOT => Value::from(new_table(&mut self.state, |_, _| {})),
                LIST_SLOT => {
                    let list = self.state.heap.table(0, 2).unwrap();
                    (1..=2).for_each(|k| list.set_int(&mut self.state.heap, k, Value::integer(20 + k)).unwrap());
                    Value::from(list)
                }
                FUNCTION_SLOT => {
                    let cell = self.state.heap.cell(Value::integer(13)).unwrap();
                    Value::from(self.state.heap.lua_function(self.proto, [cell].into_iter()).unwrap())
                }
                _ if slot < INTS => Value::integer(i64::from(slot) * 0x1234_5678 - 7),
                _ => Value::float(f64::from(slot) / 4.0 - 5.0),
            };
            self.state.set_slot(BASE as usize + slot as usize, value);
        }
    }

    fn enter(&mut self, memory: &Memory) -> (End, bool) {
        let at = Entered::top(&self.state);
        // SAFETY: the frame is that of the traces' function, and the stack has room for all that they use.
        let left = unsafe { Engine::run(&raw mut *self.state, ROOT, at) }.unwrap();
        let mut stack = Stack::default();
        (0..SLOTS).for_each(|slot| stack.add(self.state.slot(BASE as usize + slot as usize)));
        let frames = self.state.thread.frames().iter().map(|f| (f.base, f.wanted)).collect();
        pop_frames(&mut self.state, at);
        let memory = memory.iter().map(|word| canonical(word.get())).collect();
        (End { left: (left.trace, left.snapshot, left.outcome), stack: stack.values, frames, memory }, !left.counts)
    }
}

/// A table with an integer, a float, and nil in its fields; `after` sees it with each field that is added.
fn new_table(state: &mut State, mut after: impl FnMut(usize, Gc<Table>)) -> Gc<Table> {
    let table = state.heap.table(FIELDS, 0).unwrap();
    for (n, value) in [Value::integer(11), Value::float(2.5), Value::NIL].into_iter().enumerate() {
        let key = state.heap.string(&[b'a' + n as u8]).unwrap();
        table.set_str(&mut state.heap, key, value).unwrap();
        after(n, table);
    }
    table
}

/// Values of a stack, and of the tables, cells and functions among them. What is the same object stays so.
#[derive(Default)]
struct Stack {
    values: Vec<(u8, u64)>,
    objects: Vec<u64>,
}

impl Stack {
    fn add(&mut self, value: Value) {
        if value.as_table().is_none() && value.as_lua_function().is_none() && value.as_cell().is_none() {
            return self.values.push((value.tag(), canonical(value.payload())));
        }
        let known = self.objects.iter().position(|object| *object == value.payload());
        self.values.push((value.tag(), known.unwrap_or(self.objects.len()) as u64));
        if known.is_some() {
            return;
        }
        self.objects.push(value.payload());
        if let Some(table) = value.as_table() {
            let count = table.shape().count();
            self.values.push((u8::from(table.metatable().is_some()), count as u64));
            (0..count).for_each(|n| self.add(table.slot(n)));
            self.values.push((table.array_kind(), table.length() as u64));
            (1..=table.length()).for_each(|k| self.add(table.get_int(k)));
        }
        if let Some(function) = value.as_lua_function() {
            self.values.push((0, function.cells().len() as u64));
            function.cells().iter().for_each(|cell| self.add(Value::from(*cell)));
        }
        if let Some(cell) = value.as_cell() {
            self.add(cell.get());
        }
    }
}

/// Which NaN comes out of an operation on two is nobody's promise.
fn canonical(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() { f64::NAN.to_bits() } else { bits }
}

/// Both ways to run traces.
struct Pair {
    evaluator: World,
    machine: World,
    memory: Box<Memory>,
    seed: u64,
    /// Runs that were compared.
    runs: usize,
    /// Side traces that go around by themselves.
    side_loops: usize,
    text: String,
}

impl Pair {
    fn new(seed: u64, random_registers: bool) -> Pair {
        let mut options = Options { exit_stress: true, ..Options::default() };
        options.registers = if random_registers { seed as u32 | 1 } else { 0 };
        // What exit stress says at the end is of no interest.
        options.output = Some(std::sync::Arc::new(std::fs::File::create("/dev/null").unwrap()));
        let evaluator = World::new(&Options { evaluate: true, ..options.clone() });
        let machine = World::new(&options);
        let memory = Box::new([const { Cell::new(0) }; size_of::<Memory>() / 8]);
        Pair { evaluator, machine, memory, seed, runs: 0, side_loops: 0, text: String::new() }
    }

    /// Makes a trace in both worlds.
    fn add(&mut self, number: u32, ir: &Ir, origin: Origin) -> bool {
        verify(ir).unwrap_or_else(|e| panic!("seed {}: {e} in\n{ir}", self.seed));
        let known = self.evaluator.known();
        let added = self.machine.add(number, ir, &known, origin) && self.evaluator.add(number, ir, &known, origin);
        if added {
            self.side_loops += usize::from(number != ROOT && ir.link == Link::Loop);
            let code = self.machine.jit().engine.listing(number);
            write!(self.text, "---- trace {number} {origin:?}\n{ir}\n{code}").unwrap();
        }
        added
    }

    /// Runs until no guard is forced any more. Answers the exits that were taken.
    fn run_out(&mut self) -> Vec<(u32, usize)> {
        let mut exits = Vec::new();
        loop {
            let (expected, forced) = self.evaluator.run(&self.memory);
            let (found, also) = self.machine.run(&self.memory);
            let same = (&expected, forced) == (&found, also);
            assert!(same, "seed {}:\n{expected:?} {forced}\n{found:?} {also}\n{}", self.seed, self.text);
            self.runs += 1;
            exits.push((expected.left.0, expected.left.1));
            if !forced {
                return exits;
            }
        }
    }
}

/// Compares the traces that a seed stands for. Answers how many runs were compared, none if there is no such trace, and how many side traces
/// are loops.
fn check(seed: u64, random_registers: bool) -> (usize, usize) {
    let mut pair = Pair::new(seed, random_registers);
    let memory = &raw const *pair.memory;
    // SAFETY: the box lives as long as the pair does, and its words are cells.
    let memory = unsafe { &*memory };
    let known = pair.evaluator.known();
    let Ok(ir) = Generator::new(seed, memory, known).root(ROOT) else { return (0, 0) };
    if !pair.add(ROOT, &ir, Origin::Loop(0)) {
        return (0, 0);
    }
    let exits = pair.run_out();
    let mut next = Generator::new(seed ^ 0xabcd_ef01, memory, known);
    let mut number = ROOT + 1;
    for round in 1..4 {
        let exit = exits[next.random.below(exits.len())].1;
        let trace = pair.evaluator.jit().trace(ROOT).unwrap();
        let snapshot = *ir.snapshots.get(exit);
        let is_place = snapshot.mode == ExitMode::Reexecute && ir.snapshots.frames(&snapshot).is_empty();
        let is_last = exit + 1 == ir.snapshots.len();
        if !is_place || is_last || trace.exits[exit].side.is_some() {
            continue;
        }
        let inherited = Inheritance::new(&ir, &snapshot);
        let origin = Origin::Exit { parent: ROOT, exit: exit as u32 };
        if let Ok(side) = next.side(&inherited, ROOT) {
            number += u32::from(pair.add(number, &side, origin));
        }
        pair.run_out();
        next = Generator::new(seed ^ (0x1_0000_0001 * round), memory, known);
    }
    // What the exits have found was what the evaluator had; and it was where debuggers are told that it is.
    let counts = pair.machine.jit().engine.stress_counts();
    assert_eq!(counts.values, counts.found, "seed {seed}:\n{}", pair.text);
    (pair.runs, pair.side_loops)
}

/// A seed's iteration without any pass, entered by the evaluator over and over, against the loop that all passes make of it, as machine
/// code: both leave for the same instruction with the same stack and memory. Answers whether the range of indices is checked before
/// the loop; none: there is no such loop.
fn check_passes(seed: u64) -> Option<bool> {
    let options = Options {
        output: Some(std::sync::Arc::new(std::fs::File::create("/dev/null").unwrap())),
        ..Options::default()
    };
    let mut plain = World::new(&Options { evaluate: true, ..options.clone() });
    let mut machine = World::new(&options);
    let memory: Box<Memory> = Box::new([const { Cell::new(0) }; size_of::<Memory>() / 8]);
    let generator = |world: &World, passes| Generator::with(Random(seed), &memory, world.known(), passes);
    let Ok(iteration) = generator(&plain, Passes::NONE).iteration(false) else { return None };
    let Ok(closed) = generator(&machine, Passes::ALL).iteration(true) else { return None };
    for ir in [&iteration, &closed] {
        verify(ir).unwrap_or_else(|e| panic!("seed {seed}: {e} in\n{ir}"));
    }
    let own = [plain.known(), machine.known()];
    if !plain.add(ROOT, &iteration, &own[0], Origin::Loop(0)) || !machine.add(ROOT, &closed, &own[1], Origin::Loop(0)) {
        return None;
    }
    let place = |ir: &Ir, mut end: End| {
        end.left.1 = ir.snapshots.get(end.left.1).pc as usize;
        end
    };
    let end = machine.run(&memory).0;
    // Left before the loop, whose indices will not all be in range.
    let is_before = range::exit(&closed) == Some(end.left.1);
    let found = place(&closed, end);
    plain.prepare(&memory);
    let expected = loop {
        let (end, _) = plain.enter(&memory);
        if is_before || end.left.1 + 1 < iteration.snapshots.len() {
            break place(&iteration, end);
        }
    };
    assert!(expected == found, "seed {seed}:\n{expected:?}\n{found:?}\n{iteration}\n{closed}");
    Some(range::exit(&closed).is_some())
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn check_many(random_registers: bool) {
    let count = number("PERILUNE_FUZZ_TRACES", 400);
    let first = number("PERILUNE_FUZZ_SEED", 1);
    let runs: Vec<(usize, usize)> =
        (first..first + count).map(|seed| check(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), random_registers)).collect();
    let (all, loops) = runs.iter().fold((0, 0), |(all, loops), (runs, sides)| (all + runs, loops + sides));
    let traces = runs.iter().filter(|(runs, _)| *runs > 0).count();
    let enough = 2 * traces > runs.len() && all > 10 * traces && 20 * loops > traces;
    assert!(enough, "{traces} traces of {count} seeds, {all} runs, {loops} side traces that are loops");
}

#[test]
fn passes_leave_random_loops_what_they_do() {
    let count = number("PERILUNE_FUZZ_TRACES", 4000);
    let first = number("PERILUNE_FUZZ_SEED", 1);
    let seeds = (first..first + count).map(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let loops: Vec<bool> = seeds.filter_map(check_passes).collect();
    let (all, ranges) = (loops.len() as u64, loops.iter().filter(|range| **range).count() as u64);
    assert!(2 * all > count && 20 * ranges > all, "{all} loops of {count} seeds, {ranges} with their ranges checked");
}

#[test]
fn machine_code_does_what_the_evaluator_does() {
    check_many(false);
}

#[test]
fn machine_code_with_registers_by_chance_does_what_the_evaluator_does() {
    check_many(true);
}
