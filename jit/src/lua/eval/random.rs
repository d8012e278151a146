//! Random loop bodies: repeated as recorded, without any pass, and closed with all or some passes on. Both must leave
//! through the same exit with the same stack and memory.

use std::cell::Cell;

use super::tests::{Plain, erase};
use super::*;
use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::helper::{Access, Class};
use crate::lua::ir::verify::verify;
use crate::lua::ir::{Field, Ty};
use crate::lua::opt::Passes;
use crate::lua::opt::peel::{Inherited, peel};
use crate::lua::opt::range;
use crate::lua::snapshot::{ExitMode, Frame, FrameKind, Resume, SlotValue};

/// Iterations until the interrupt.
const ITERATIONS: u32 = 12;
/// Slots 0 to 2 hold integers, 3 and 4 floats; 5 is where results of the full call are found.
const SLOTS: i16 = 6;

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Memory that the body works on. Words 0 to 2 and 4 to 6 are cells with an integer and a float; 8 to 15 an array of
/// integers; 16 to 23 and 24 to 31 tables, whose lengths that array always has.
type Memory = [Cell<u64>; 40];

fn fresh_memory() -> Memory {
    let memory: Memory = std::array::from_fn(|i| Cell::new(i as u64 * 3));
    memory[2].set(Type::Int.tag().into());
    memory[5].set(f64::to_bits(0.75));
    memory[6].set(Type::Float.tag().into());
    memory[18].set(8);
    memory[26].set(5);
    memory
}

/// A body that does not count down begins with 3, 40 and 7.
fn fresh_host(seed: u64, counts: bool) -> Plain {
    let mut random = Random(seed ^ 0x5bd1_e995);
    let mut start = |usual: i64, others: &[i64]| {
        let other = random.pick(others);
        (Type::Int, (if counts && random.below(4) > 0 { other } else { usual }) as u64)
    };
    let index = start(3, &[0, 1, 2, 4, 5, 6, 7, 8, -1, i64::MAX - 2, i64::MIN + 1]);
    let count = start(40, &[0, 1, 2, 3, 4, 5, 6, 7, 8, -1, 1 << 31, (1 << 31) - 1, i64::MIN, i64::MAX]);
    let limit = start(7, &[0, 3, 4, 5, 6, 8, 9, -1, i64::MAX, i64::MIN]);
    let float = |f: f64| (Type::Float, f.to_bits());
    let mut host = Plain::new(&[index, count, limit, float(0.5), float(-2.0), (Type::Int, 11)]);
    host.set_interrupt_after(ITERATIONS);
    host
}

extern "C-unwind" fn scramble(state: *mut Plain, memory: *const Memory) -> u64 {
    // SAFETY: the evaluator hands on its host and the address of the test's memory.
    let (host, memory) = unsafe { (&mut *state, &*memory) };
    host.stack[7] = (host.stack[7].0.wrapping_mul(5).wrapping_add(host.stack[2].0), Type::Int.tag());
    memory[1].set(memory[1].get() ^ 0x55);
    memory[18].set(memory[18].get() & 0xff);
    0
}

extern "C-unwind" fn twice(_: *mut Plain, x: f64) -> f64 {
    x + x
}

fn helpers() -> &'static [Helper] {
    thread_local! {
        static TABLE: &'static [Helper] = Box::leak(Box::new([
            Helper {
                name: "scramble",
                args: &[Type::Ptr],
                result: Type::Void,
                class: Class::Full,
                access: Access::Writes(Alias::ALL),
                failure: Failure::Never,
                entry: erase(scramble as *const ()),
            },
            Helper {
                name: "twice",
                args: &[Type::Float],
                result: Type::Float,
                class: Class::Leaf,
                access: Access::Pure,
                failure: Failure::Never,
                entry: erase(twice as *const ()),
            },
        ]));
    }
    TABLE.with(|t| *t)
}

/// Emits a body, as a recorder would.
struct Recorder<'a> {
    random: Random,
    b: Builder,
    memory: &'a Memory,
    slots: [Option<Ref>; SLOTS as usize],
    modified: [bool; SLOTS as usize],
    ints: Vec<Ref>,
    floats: Vec<Ref>,
    pc: u32,
    /// Slot 0 is the index of a numeric loop, slot 1 its count.
    counts: bool,
}

type Emitted = Result<(), BuildError>;

impl Recorder<'_> {
    fn word(&mut self, index: usize) -> Ref {
        let address = (&raw const self.memory[index]).expose_provenance() as u64;
        self.b.ptr(address)
    }

    fn object(&mut self, ty: Type, index: usize) -> Ref {
        let address = (&raw const self.memory[index]).expose_provenance() as u64;
        self.b.object(ty, address)
    }

    fn slot(&mut self, slot: i16) -> Result<Ref, BuildError> {
        if let Some(r) = self.slots[slot as usize] {
            return Ok(r);
        }
        let r = self.b.sload(slot, if (3..5).contains(&slot) { Type::Float } else { Type::Int })?;
        self.slots[slot as usize] = Some(r);
        Ok(r)
    }

    fn snapshot(&mut self, mode: ExitMode) {
        self.pc += 1;
        let slots: Vec<SlotValue> = (0..SLOTS)
            .filter(|&s| self.modified[s as usize])
            .filter_map(|slot| self.slots[slot as usize].map(|value| SlotValue { slot, value }))
            .collect();
        self.b.snapshot(Resume { mode, pc: self.pc, top: SLOTS }, &slots, std::iter::empty());
    }

    fn int(&mut self) -> Result<Ref, BuildError> {
        match self.random.below(5) {
            0 => {
                let k = self.random.pick(&[0, 1, -1, 2, 7, 8, 100, i64::MIN, i64::MAX]);
                Ok(self.b.int(k))
            }
            1 => {
                let slot = self.random.below(3) as i16;
                self.slot(slot)
            }
            _ if self.ints.is_empty() => self.slot(0),
            _ => Ok(self.random.pick(&self.ints)),
        }
    }

    fn float(&mut self) -> Result<Ref, BuildError> {
        match self.random.below(5) {
            0 => {
                let k = self.random.pick(&[0.0, -0.0, 1.0, 0.5, -3.0, f64::INFINITY]);
                Ok(self.b.float(k))
            }
            1 => {
                let slot = 3 + self.random.below(2) as i16;
                self.slot(slot)
            }
            _ if self.floats.is_empty() => self.slot(3),
            _ => Ok(self.random.pick(&self.floats)),
        }
    }

    fn index(&mut self) -> Result<Ref, BuildError> {
        let (x, seven) = (self.int()?, self.b.int(7));
        self.b.binary(Op::Band, x, seven)
    }

    fn assign(&mut self, slot: i16, value: Ref) {
        self.slots[slot as usize] = Some(value);
        self.modified[slot as usize] = true;
    }

    fn step(&mut self) -> Emitted {
        match self.random.below(16) {
            0..3 => self.int_arithmetic(),
            3..5 => self.float_arithmetic(),
            5 => {
                let of = if self.counts && self.random.below(8) > 0 { 1 } else { 3 };
                let (slot, value) = (2 - self.random.below(of) as i16, self.int()?);
                self.assign(slot, value);
                Ok(())
            }
            6..10 if self.counts => self.element(),
            6 => {
                let (slot, value) = (3 + self.random.below(2) as i16, self.float()?);
                self.assign(slot, value);
                Ok(())
            }
            7 => self.guard(),
            8 | 9 => self.cell(),
            10 | 11 => self.array(),
            12 | 13 => self.field(),
            14 => {
                let x = self.float()?;
                let r = self.b.call(1, &[x])?;
                self.floats.push(r);
                Ok(())
            }
            _ if self.random.below(4) == 0 => self.full_call(),
            _ => Ok(()),
        }
    }

    fn int_arithmetic(&mut self) -> Emitted {
        let ops = [Op::Add, Op::Sub, Op::Mul, Op::Band, Op::Bor, Op::Bxor, Op::Min, Op::Max, Op::Shl, Op::Mod];
        let op = self.random.pick(&ops);
        let (x, mut y) = (self.int()?, self.int()?);
        if matches!(op, Op::Shl | Op::Mod) {
            let k = self.random.pick(&[1, 3, 8, -8]);
            y = self.b.int(if op == Op::Shl { k & 31 } else { k });
        }
        let r = self.b.binary(op, x, y)?;
        self.ints.push(r);
        if self.random.below(4) == 0 {
            let f = self.b.i2f(r)?;
            self.floats.push(f);
        }
        Ok(())
    }

    fn float_arithmetic(&mut self) -> Emitted {
        let op = self.random.pick(&[Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Min, Op::Neg, Op::Abs]);
        let x = self.float()?;
        let r = match op {
            Op::Neg | Op::Abs => self.b.unary(op, x)?,
            _ => {
                let y = self.float()?;
                self.b.binary(op, x, y)?
            }
        };
        self.floats.push(r);
        Ok(())
    }

    fn guard(&mut self) -> Emitted {
        self.snapshot(ExitMode::Reexecute);
        if self.random.below(3) == 0 {
            let (x, y) = (self.float()?, self.float()?);
            let op = self.random.pick(&[Op::Lt, Op::Uge, Op::Ne, Op::Ule]);
            return self.b.guard(op, x, y).map(|_| ());
        }
        // Mostly holds.
        let (x, mask, k) = (self.int()?, self.b.int(63), self.random.below(64) as i64);
        let (masked, k) = (self.b.binary(Op::Band, x, mask)?, self.b.int(k));
        self.b.guard(Op::Ne, masked, k).map(|_| ())
    }

    fn cell(&mut self) -> Emitted {
        let int = self.random.below(2) == 0;
        let cell = self.object(Type::Cell, if int { 0 } else { 4 });
        let value = if int { self.int()? } else { self.float()? };
        if self.random.below(2) == 0 {
            return self.b.cstore(cell, value).map(|_| ());
        }
        self.snapshot(ExitMode::Reexecute);
        let r = self.b.cload(cell, if int { Type::Int } else { Type::Float })?;
        if int {
            self.ints.push(r);
        } else {
            self.floats.push(r);
        }
        Ok(())
    }

    fn array(&mut self) -> Emitted {
        let (array, index) = (self.word(8), self.index()?);
        self.load_or_store(array, index)
    }

    fn load_or_store(&mut self, array: Ref, index: Ref) -> Emitted {
        if self.random.below(2) == 0 {
            let value = self.int()?;
            return self.b.astore(array, index, value).map(|_| ());
        }
        let r = self.b.aload(array, index, Type::Int)?;
        self.ints.push(r);
        Ok(())
    }

    /// An element of a table at an index near the loop's own, checked to be there, behind another check of the index perhaps.
    fn element(&mut self) -> Emitted {
        self.snapshot(ExitMode::Reexecute);
        let (mut index, other) = (self.slot(0)?, self.slot(2)?);
        if self.random.below(6) == 0 {
            let (op, by) = self.random.pick(&[(Op::Mul, 2), (Op::Shl, 1), (Op::Mul, -1)]);
            let by = self.b.int(by);
            index = self.b.binary(op, index, by)?;
        }
        if self.random.below(8) == 0 {
            let op = self.random.pick(&[Op::Add, Op::Sub]);
            index = self.b.binary(op, index, other)?;
        }
        if self.random.below(3) == 0 {
            let (k, op) = (self.random.pick(&[0, 1, -1, 7]), self.random.pick(&[Op::Lt, Op::Le, Op::Gt, Op::Ge]));
            let (k, six) = (self.b.int(k), self.b.int(6));
            let limit = self.random.pick(&[other, six]);
            let near = self.b.binary(Op::Add, index, k)?;
            self.b.guard(op, near, limit)?;
        }
        let k = self.random.pick(&[0, -1, 1, -2, 5, i64::MAX]);
        let k = self.b.int(k);
        let index = self.b.binary(Op::Add, index, k)?;
        let table = self.random.pick(&[16, 24]);
        let table = self.object(Type::Table, table);
        let len = self.b.fload(table, Field::TableArrayLen)?;
        if self.random.below(2) == 0 {
            self.b.guard(Op::Ult, index, len)?;
        } else {
            self.b.guard(Op::Ugt, len, index)?;
        }
        let array = self.word(8);
        self.load_or_store(array, index)
    }

    /// The end of a round of a numeric loop.
    fn count_down(&mut self) -> Emitted {
        self.snapshot(ExitMode::Reexecute);
        let (index, count) = (self.slot(0)?, self.slot(1)?);
        let (zero, one) = (self.b.int(0), self.b.int(1));
        self.b.guard(Op::Ne, count, zero)?;
        let step = self.random.pick(&[1, 1, 1, -1, 2, -3, 1 << 40, 0]);
        let step = self.b.int(step);
        let (count, index) = (self.b.binary(Op::Sub, count, one)?, self.b.binary(Op::Add, index, step)?);
        self.assign(0, index);
        self.assign(1, count);
        Ok(())
    }

    fn field(&mut self) -> Emitted {
        let table = self.random.pick(&[16, 24]);
        let table = self.object(Type::Table, table);
        let field = self.random.pick(&[Field::TableArrayLen, Field::TableArrayCap]);
        if self.random.below(2) == 0 {
            // What fits into the field.
            let value = self.index()?;
            return self.b.fstore(table, field, value).map(|_| ());
        }
        let r = self.b.fload(table, field)?;
        self.ints.push(r);
        Ok(())
    }

    fn full_call(&mut self) -> Emitted {
        let frame = Frame {
            kind: FrameKind::Call,
            function: Ref::TRUE,
            return_pc: 1,
            base: 2,
            wanted: 1,
            return_address: 0,
            varargs: 0,
            pending: 0,
            proto: 0,
        };
        self.snapshot(ExitMode::Reexecute);
        let slots: Vec<SlotValue> = (0..SLOTS)
            .filter(|&s| self.modified[s as usize])
            .filter_map(|slot| self.slots[slot as usize].map(|value| SlotValue { slot, value }))
            .collect();
        let resume = Resume { mode: ExitMode::Reexecute, pc: self.pc, top: SLOTS };
        self.b.snapshot(resume, &slots, std::iter::once(frame));
        let memory = self.word(0);
        self.b.sync(5)?;
        self.b.call(0, &[memory])?;
        self.b.plain(Op::Unsync)?;
        self.modified = Default::default();
        self.slots[5] = None;
        self.snapshot(ExitMode::Continue);
        let r = self.slot(5)?;
        self.ints.push(r);
        Ok(())
    }

    /// One iteration: some steps, and a check for the interrupt at the end.
    fn body(&mut self) -> Emitted {
        self.snapshot(ExitMode::Reexecute);
        for _ in 0..4 + self.random.below(24) {
            self.step()?;
        }
        if self.counts {
            self.count_down()?;
        }
        self.snapshot(ExitMode::Reexecute);
        self.b.emit(Inst::new(Op::Interrupt, Ty::new(Type::Void), Ref::NONE, Ref::NONE, Ref::NONE))?;
        self.snapshot(ExitMode::Reexecute);
        Ok(())
    }
}

/// Whether the body that a seed stands for counts down: two in three do.
fn counts(seed: u64) -> bool {
    !(seed >> 8).is_multiple_of(3)
}

/// Builds the body that a seed stands for.
fn record(seed: u64, memory: &Memory, passes: Passes) -> Result<Builder, BuildError> {
    let mut recorder = Recorder {
        random: Random(seed),
        b: Builder::new(helpers(), passes),
        memory,
        slots: [None; SLOTS as usize],
        modified: [false; SLOTS as usize],
        ints: vec![],
        floats: vec![],
        pc: 0,
        counts: counts(seed),
    };
    recorder.body()?;
    Ok(recorder.b)
}

/// How a run ended: the exit's pc, the stack, the memory.
type End = (u32, [(u64, u8); 16], Vec<u64>);

/// Runs an IR until a guard leaves, over and over if it does not loop by itself. Where its loop checks the range of its indices beforehand,
/// and they leave it, the plain body goes on.
fn run_out<'a>(mut ir: &'a Ir, plain: &'a Ir, memory: &Memory, seed: u64) -> End {
    for (word, fresh) in memory.iter().zip(fresh_memory()) {
        word.set(fresh.get());
    }
    let mut host = fresh_host(seed, counts(seed));
    loop {
        // SAFETY: the body works on the host's stack and on `memory`.
        let result = unsafe { run(ir, &mut host, None) };
        let snapshot = ir.snapshots.get(result.snapshot());
        // SAFETY: the slots are on the host's stack.
        unsafe { store_slots(ir, snapshot, &result.values(ir), (host.base(), i16::MIN)) };
        if range::exit(ir) == Some(result.snapshot()) {
            ir = plain;
        } else if let Exit::Guard { .. } = result.exit {
            assert!(host.frames_balance(), "frames");
            return (snapshot.pc, host.stack, memory.iter().map(Cell::get).collect());
        }
    }
}

/// Whether the body of a seed becomes a loop. Panics if it behaves unlike the plain one. Counts loops whose range is checked beforehand.
fn check_seed(seed: u64, passes: Passes, ranges: &Cell<usize>) -> bool {
    let memory = fresh_memory();
    let Ok(plain) = record(seed, &memory, Passes::NONE) else { return false };
    let Ok(mut optimized) = record(seed, &memory, passes) else { return false };
    if passes.peel && peel(&mut optimized, &Inherited::default()).is_err() {
        return false;
    }
    let (plain, optimized) = (plain.finish(), optimized.finish());
    for ir in [&plain, &optimized] {
        verify(ir).unwrap_or_else(|e| panic!("seed {seed}: {e} in\n{ir}"));
    }
    ranges.set(ranges.get() + usize::from(range::exit(&optimized).is_some()));
    let (expected, found) = (run_out(&plain, &plain, &memory, seed), run_out(&optimized, &plain, &memory, seed));
    assert!(expected == found, "seed {seed}: {expected:?}\n{found:?}\nplain:\n{plain}\noptimized:\n{optimized}");
    true
}

/// How many of these seeds' bodies become loops, and for how many of them ranges are checked beforehand.
fn check_seeds(seeds: std::ops::RangeInclusive<u64>, passes: Passes) -> (usize, usize) {
    let ranges = Cell::new(0);
    let run = seeds.filter(|seed| check_seed(seed * 0x9e37_79b9, passes, &ranges)).count();
    (run, ranges.get())
}

#[test]
fn random_loops_end_alike_with_all_passes() {
    let (run, ranges) = check_seeds(1..=3000, Passes::ALL);
    assert!(
        run > 2000 && ranges > 500,
        "only {run} bodies became loops, {ranges} with their ranges checked beforehand"
    );
}

#[test]
fn random_loops_end_alike_with_each_pass_alone() {
    for name in Passes::NAMES {
        let mut passes = Passes::NONE;
        if let Some(on) = passes.by_name(name) {
            *on = true;
        }
        let (run, _) = check_seeds(1..=400, passes);
        assert!(run > 250, "{name}: only {run}");
        let mut without = Passes::ALL;
        if let Some(on) = without.by_name(name) {
            *on = false;
        }
        let (run, ranges) = check_seeds(1..=400, without);
        // Without forwarding a length is another value each time.
        let checked = ["range", "loop", "fwd"].contains(&name) || ranges > 15;
        assert!(run > 250 && checked, "without {name}: only {run}, {ranges}");
    }
}
