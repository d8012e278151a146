//! Random traces: long-lived values of all kinds, snapshots that list many of them, calls of all classes, loops, side traces.
//!
//! The instructions work on the Lua stack, where slots hold numbers, and on [`Memory`], which stands for objects.
#![forbid(unsafe_code)]

use std::cell::Cell;

use super::helpers;
use super::objects::Objects;
use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::{Field, Inst, Ir, Link, Op, Ref, Ty, Type};
use crate::lua::opt::Passes;
use crate::lua::opt::peel::{Inherited, peel};
use crate::lua::record::{Inheritance, Makers, inherit};
use crate::lua::snapshot::{ExitMode, Frame, FrameKind, Resume, SlotValue};

/// Slots of the Lua stack that traces use. Slot 0 counts iterations down; those up to `INTS` hold integers at first, the
/// others floats.
pub(super) const SLOTS: i16 = 24;
pub(super) const INTS: i16 = 16;

/// A slot with a table of three fields, an integer, a float, and anything.
pub(super) const TABLE_SLOT: i16 = SLOTS - 2;
/// A slot with a function that has an upvalue, an integer.
pub(super) const FUNCTION_SLOT: i16 = SLOTS - 3;
/// A slot with a table that has two elements, integers.
pub(super) const LIST_SLOT: i16 = SLOTS - 4;
/// Most fields of a table.
pub(super) const FIELDS: usize = 3;
/// Addresses that traces know: the shapes of tables with no field up to all of them; a prototype.
pub(super) type Known = [u64; FIELDS + 2];
/// Where the prototype is among these.
pub(super) const PROTO: usize = FIELDS + 1;

/// What traces take for objects, by index of words.
pub(super) type Memory = [Cell<u64>; 96];
/// A cell with an integer, and one with a float.
const CELLS: [usize; 2] = [0, 4];
/// Tables whose header fields are used.
const TABLES: [usize; 2] = [8, 20];
/// Eight integers, behind them the tags of eight elements: an array with one kind of element, and a mixed one.
const ARRAY: usize = 32;
const MIXED: usize = 44;
/// Values of 16 bytes: integers at even places, floats at odd ones.
const VALUES: usize = 56;
/// Bytes of a string.
const BYTES: usize = 76;
/// A function with the first of the cells as its upvalue.
pub(super) const FUNCTION: usize = 84;

/// What the memory holds before a run.
pub(super) fn fill(memory: &Memory) {
    memory.iter().enumerate().for_each(|(i, word)| word.set(i as u64 * 5));
    memory[CELLS[0] + 2].set(Type::Int.tag().into());
    memory[CELLS[1] + 1].set(f64::to_bits(0.75));
    memory[CELLS[1] + 2].set(Type::Float.tag().into());
    TABLES.iter().zip([8, 4]).for_each(|(table, len)| memory[table + 2].set(len));
    memory[MIXED + 8].set(u64::from_le_bytes([2, 3, 2, 2, 3, 2, 2, 2]));
    for n in 0..8 {
        memory[VALUES + 2 * n].set(if n % 2 == 0 { n as u64 } else { f64::to_bits(n as f64 / 3.0) });
        memory[VALUES + 2 * n + 1].set(if n % 2 == 0 { Type::Int.tag() } else { Type::Float.tag() }.into());
    }
    let words = FUNCTION + crate::lua::ir::field::FUNCTION_CELLS / 8;
    memory[words].set((&raw const memory[CELLS[0]]).expose_provenance() as u64);
}

/// xorshift64*
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(super) type Emitted<T = ()> = Result<T, BuildError>;

/// Emits a trace, as a recorder would.
pub(super) struct Generator<'a> {
    pub(super) random: Random,
    pub(super) b: Builder,
    memory: &'a Memory,
    slots: [Ref; SLOTS as usize],
    modified: [bool; SLOTS as usize],
    ints: Vec<Ref>,
    floats: Vec<Ref>,
    pointers: Vec<Ref>,
    pub(super) known: Known,
    pub(super) objects: Objects,
    pc: u32,
}

impl<'a> Generator<'a> {
    pub(super) fn new(seed: u64, memory: &'a Memory, known: Known) -> Generator<'a> {
        let mut random = Random(seed);
        // Instructions as they come, or fewer of them.
        let passes = if random.one_in(3) { Passes::ALL } else { Passes { dce: true, ..Passes::NONE } };
        Generator::with(random, memory, known, passes)
    }

    pub(super) fn with(random: Random, memory: &'a Memory, known: Known, passes: Passes) -> Generator<'a> {
        Generator {
            random,
            b: Builder::new(helpers::table(), passes),
            memory,
            slots: [Ref::NONE; SLOTS as usize],
            modified: [false; SLOTS as usize],
            ints: Vec::new(),
            floats: Vec::new(),
            pointers: Vec::new(),
            known,
            objects: Objects::default(),
            pc: 0,
        }
    }

    /// A root trace with this number.
    pub(super) fn root(mut self, number: u32) -> Emitted<Ir> {
        self.snapshot_here();
        self.body()?;
        match self.random.below(4) {
            0 | 1 => peel(&mut self.b, &Inherited::default())?,
            2 => self.b.set_link(Link::Trace(number)),
            _ => self.b.set_link(Link::Interpreter),
        }
        Ok(self.b.finish())
    }

    /// One iteration, which is closed to a loop or leads back to the interpreter.
    pub(super) fn iteration(mut self, closed: bool) -> Emitted<Ir> {
        self.snapshot_here();
        self.body()?;
        if closed {
            peel(&mut self.b, &Inherited::default())?;
        }
        Ok(self.b.finish())
    }

    /// A side trace that begins with these values, and may lead to its root, or go around by itself.
    pub(super) fn side(mut self, from: &Inheritance, root: u32) -> Emitted<Ir> {
        let makers = Makers {
            table: helpers::BUILT,
            cell: helpers::CELL_BUILT,
            function: helpers::FUNCTION_BUILT,
            array: helpers::ARRAY_BUILT,
            root: self.known[0],
        };
        let known = inherit::values(&mut self.b, from, makers)?;
        for (slot, i) in &from.slots {
            let value = known[&i.parent];
            self.assign(*slot, value);
            self.keep(value);
        }
        let slots = from.slots.iter().map(|(slot, i)| (*slot, known[&i.parent])).collect();
        let inherited = Inherited { insts: self.b.ir().insts.len(), slots };
        self.snapshot_here();
        self.body()?;
        if self.random.one_in(2) && peel(&mut self.b, &inherited).is_ok() {
            return Ok(self.b.finish());
        }
        let back = self.random.one_in(2);
        self.b.set_link(if back { Link::Trace(root) } else { Link::Interpreter });
        Ok(self.b.finish())
    }

    fn body(&mut self) -> Emitted {
        let steps = self.random.pick(&[8, 20, 50, 100]);
        for _ in 0..4 + self.random.below(steps) {
            self.step()?;
        }
        self.snapshot_here();
        let (count, one, zero) = (self.slot(0)?, self.b.int(1), self.b.int(0));
        let left = self.b.binary(Op::Sub, count, one)?;
        // As the recorder has it for numeric loops, or otherwise.
        match self.random.one_in(2) {
            true => self.b.guard(Op::Ne, count, zero)?,
            false => self.b.guard(Op::Gt, left, zero)?,
        };
        self.assign(0, left);
        self.snapshot_here();
        self.b.plain(Op::Interrupt)?;
        Ok(())
    }

    // ---- places

    fn address(&self, word: usize) -> u64 {
        (&raw const self.memory[word]).expose_provenance() as u64
    }

    fn word(&mut self, word: usize) -> Ref {
        let address = self.address(word);
        if !self.pointers.is_empty() && self.random.one_in(2) {
            // The same by way of a register.
            let (from, back) = (self.random.pick(&self.pointers), self.address(0));
            let offset = self.b.int(address.wrapping_sub(back) as i64);
            if let Ok(r) = self.b.op(Op::Padd, Type::Ptr, from, offset, Ref::NONE) {
                return r;
            }
        }
        self.b.ptr(address)
    }

    fn object(&mut self, ty: Type, word: usize) -> Ref {
        let address = self.address(word);
        self.b.object(ty, address)
    }

    pub(super) fn slot(&mut self, slot: i16) -> Emitted<Ref> {
        if self.slots[slot as usize].is_none() {
            let ty = match slot {
                TABLE_SLOT | LIST_SLOT => Type::Table,
                FUNCTION_SLOT => Type::Function,
                _ if slot < INTS => Type::Int,
                _ => Type::Float,
            };
            // It may leave: no store may lie between it and its snapshot.
            self.snapshot_here();
            self.slots[slot as usize] = self.b.sload(slot, ty)?;
        }
        Ok(self.slots[slot as usize])
    }

    pub(super) fn assign(&mut self, slot: i16, value: Ref) {
        self.slots[slot as usize] = value;
        self.modified[slot as usize] = true;
    }

    fn snapshot(&mut self, mode: ExitMode, frames: &[Frame]) {
        self.pc += 1;
        let all = 0..SLOTS;
        let slots: Vec<SlotValue> = all
            .filter(|&slot| self.modified[slot as usize])
            .map(|slot| SlotValue { slot, value: self.slots[slot as usize] })
            .collect();
        self.b.snapshot(Resume { mode, pc: self.pc, top: SLOTS }, &slots, frames.iter().copied());
    }

    /// A snapshot for guards.
    pub(super) fn snapshot_here(&mut self) {
        self.snapshot(ExitMode::Reexecute, &[]);
    }

    // ---- operands

    pub(super) fn int(&mut self) -> Emitted<Ref> {
        match self.random.below(8) {
            0 => {
                let k = self.random.pick(&[0, 1, -1, 2, 7, 8, 100, -4096, 1 << 31, 1 << 40, i64::MIN, i64::MAX]);
                Ok(self.b.int(k))
            }
            1 => {
                let slot = 1 + self.random.below(INTS as usize - 1) as i16;
                let r = self.slot(slot)?;
                if self.b.ty(r) == Type::Int { Ok(r) } else { self.int() }
            }
            _ if self.ints.is_empty() => Ok(self.b.int(3)),
            _ => Ok(self.random.pick(&self.ints)),
        }
    }

    pub(super) fn float(&mut self) -> Emitted<Ref> {
        match self.random.below(8) {
            0 => {
                let k = self.random.pick(&[0.0, -0.0, 1.0, 0.5, -3.0, 1e300, f64::INFINITY]);
                Ok(self.b.float(k))
            }
            1 => {
                let slot = INTS + self.random.below((SLOTS - INTS) as usize) as i16;
                let r = self.slot(slot)?;
                if self.b.ty(r) == Type::Float { Ok(r) } else { self.float() }
            }
            _ if self.floats.is_empty() => Ok(self.b.float(1.5)),
            _ => Ok(self.random.pick(&self.floats)),
        }
    }

    /// An index from 0 to 7.
    fn index(&mut self) -> Emitted<Ref> {
        if self.random.one_in(4) {
            let k = self.random.below(8);
            return Ok(self.b.int(k as i64));
        }
        let (x, seven) = (self.int()?, self.b.int(7));
        self.b.binary(Op::Band, x, seven)
    }

    pub(super) fn keep(&mut self, value: Ref) {
        match self.b.ty(value) {
            Type::Int => self.ints.push(value),
            Type::Float => self.floats.push(value),
            Type::Ptr => self.pointers.push(value),
            _ => {}
        }
    }

    // ---- instructions

    fn step(&mut self) -> Emitted {
        match self.random.below(36) {
            0..5 => self.int_arithmetic(),
            5..8 => self.float_arithmetic(),
            8..11 => self.assignment(),
            11..14 => self.guard(),
            14 => self.convert(),
            15 => self.cell(),
            16 => self.array(),
            17 => self.element(),
            18 => self.field(),
            19 | 20 => self.values(),
            21 | 22 => self.call(),
            24 | 25 => self.table(),
            26 | 27 => self.fields(),
            28 => self.new_cell(),
            29 => self.new_function(),
            30 | 31 => self.captured(),
            32 | 33 => self.list(),
            34 | 35 => self.elements(),
            _ if self.random.one_in(3) => self.full_call(),
            _ if self.random.one_in(3) => self.bare_call(),
            _ => self.pointer(),
        }
    }

    fn assignment(&mut self) -> Emitted {
        let slot = 1 + self.random.below(SLOTS as usize - 1) as i16;
        if [TABLE_SLOT, FUNCTION_SLOT, LIST_SLOT].contains(&slot) {
            return Ok(());
        }
        let value = match self.random.below(9) {
            0 => self.random.pick(&[Ref::NIL, Ref::FALSE, Ref::TRUE]),
            8 if let Some(object) = self.made() => object,
            1 if slot < INTS => self.float()?,
            2 if slot >= INTS => self.int()?,
            _ if slot < INTS => self.int()?,
            _ => self.float()?,
        };
        self.assign(slot, value);
        Ok(())
    }

    fn int_arithmetic(&mut self) -> Emitted {
        use Op::{Abs, Add, Band, Bnot, Bor, Bxor, Idiv, Max, Min, Mod, Mul, Neg, Sar, Shl, Shr, Sub};
        let op = self
            .random
            .pick(&[Add, Add, Add, Sub, Sub, Mul, Band, Bor, Bxor, Min, Max, Shl, Shr, Sar, Idiv, Mod, Neg, Bnot, Abs]);
        let (x, mut y) = (self.int()?, self.int()?);
        let r = match op {
            Neg | Bnot | Abs => self.b.unary(op, x)?,
            Shl | Shr | Sar => {
                let mask = self.b.int(63);
                y = self.b.binary(Band, y, mask)?;
                self.b.binary(op, x, y)?
            }
            Idiv | Mod => {
                if self.random.one_in(2) {
                    let k = self.random.pick(&[1, 2, 3, 8, -1, -8, 1 << 33, i64::MIN]);
                    y = self.b.int(k);
                } else {
                    let one = self.b.int(1);
                    y = self.b.binary(Bor, y, one)?;
                }
                self.b.binary(op, x, y)?
            }
            _ => self.b.binary(op, x, y)?,
        };
        self.keep(r);
        Ok(())
    }

    fn float_arithmetic(&mut self) -> Emitted {
        use Op::{Abs, Add, Ceil, Div, Floor, Max, Min, Mul, Neg, Sqrt, Sub};
        let op = self.random.pick(&[Add, Add, Sub, Mul, Div, Min, Max, Neg, Abs, Sqrt, Floor, Ceil]);
        let x = self.float()?;
        let r = match op {
            Neg | Abs | Sqrt | Floor | Ceil => self.b.unary(op, x)?,
            _ => {
                let y = self.float()?;
                self.b.binary(op, x, y)?
            }
        };
        self.keep(r);
        Ok(())
    }

    fn convert(&mut self) -> Emitted {
        if self.random.one_in(2) {
            let x = self.int()?;
            let r = self.b.i2f(x)?;
            self.keep(r);
            return Ok(());
        }
        self.snapshot_here();
        let x = self.float()?;
        let whole = if self.random.one_in(3) { x } else { self.b.unary(Op::Floor, x)? };
        let r = self.b.f2i(whole)?;
        self.keep(r);
        Ok(())
    }

    /// Guards that mostly hold.
    pub(super) fn guard(&mut self) -> Emitted {
        self.snapshot_here();
        if self.random.one_in(3) {
            let (x, y) = (self.float()?, self.float()?);
            let op = self.random.pick(&[Op::Lt, Op::Gt, Op::Uge, Op::Ne, Op::Ule, Op::Ugt, Op::Ult, Op::Ge, Op::Eq]);
            // What holds for many: with the opposite one in 16.
            let op = if self.random.one_in(4) { op } else { Op::Ne };
            return self.b.guard(op, x, y).map(|_| ());
        }
        let x = self.int()?;
        let (k, op) = (self.random.below(256) as i64, self.random.pick(&[Op::Ne, Op::Ult, Op::Ule, Op::Ge, Op::Lt]));
        let (mask, k) = (self.b.int(255), self.b.int(k));
        let low = self.b.binary(Op::Band, x, mask)?;
        let limit = self.b.int(255);
        let y = if self.random.one_in(8) { k } else { limit };
        self.b.guard(if y == limit { self.random.pick(&[Op::Ule, Op::Le]) } else { op }, low, y).map(|_| ())
    }

    fn cell(&mut self) -> Emitted {
        let int = self.random.one_in(2);
        let cell = match self.random.one_in(2) && int {
            true => {
                let function = self.object(Type::Function, FUNCTION);
                self.b.upval(function, 0)?
            }
            false => self.object(Type::Cell, CELLS[usize::from(!int)]),
        };
        if self.random.one_in(2) {
            let value = if int { self.int()? } else { self.float()? };
            return self.b.cstore(cell, value).map(|_| ());
        }
        self.snapshot_here();
        let r = if self.random.one_in(4) {
            self.b.op(Op::Ctag, Type::Int, cell, Ref::NONE, Ref::NONE)?
        } else {
            self.b.cload(cell, if int { Type::Int } else { Type::Float })?
        };
        self.keep(r);
        Ok(())
    }

    fn array(&mut self) -> Emitted {
        let (mixed, index) = (self.random.one_in(2), self.index()?);
        let (array, capacity) = (self.word(if mixed { MIXED } else { ARRAY }), self.b.int(8));
        match (mixed, self.random.below(3)) {
            (_, 0) => {
                let value = self.int()?;
                self.b.astore(array, index, value)?;
                if mixed {
                    self.b.asettag(array, index, capacity, Type::Int)?;
                }
            }
            (true, 1) => {
                let tag = self.b.op(Op::Atag, Type::Int, array, index, capacity)?;
                self.keep(tag);
            }
            (true, _) => {
                self.snapshot_here();
                let r = self.b.aload_mixed(array, index, capacity, Type::Int)?;
                self.keep(r);
            }
            (false, _) => {
                let r = self.b.aload(array, index, Type::Int)?;
                self.keep(r);
            }
        }
        Ok(())
    }

    /// An element at an index that goes up or down with the count, checked to be there.
    fn element(&mut self) -> Emitted {
        self.snapshot_here();
        let (count, k) = (self.slot(0)?, self.random.pick(&[0, 1, 5, 6, -1]));
        let k = self.b.int(k);
        let index = match self.random.one_in(2) {
            true => self.b.binary(Op::Add, count, k)?,
            false => self.b.binary(Op::Sub, k, count)?,
        };
        if self.random.one_in(3) {
            let limit = self.int()?;
            self.b.guard(Op::Le, index, limit)?;
        }
        let table = self.random.pick(&TABLES);
        let table = self.object(Type::Table, table);
        let len = self.b.fload(table, Field::TableArrayLen)?;
        self.b.guard(Op::Ult, index, len)?;
        let array = self.word(ARRAY);
        if self.random.one_in(2) {
            let value = self.int()?;
            return self.b.astore(array, index, value).map(|_| ());
        }
        let r = self.b.aload(array, index, Type::Int)?;
        self.keep(r);
        Ok(())
    }

    fn field(&mut self) -> Emitted {
        let table = self.random.pick(&TABLES);
        let table = self.object(Type::Table, table);
        let field = self.random.pick(&[Field::TableArrayLen, Field::TableArrayCap, Field::TableFlags]);
        if self.random.one_in(2) {
            // What fits into the field.
            let value = self.index()?;
            return self.b.fstore(table, field, value).map(|_| ());
        }
        let r = self.b.fload(table, field)?;
        self.keep(r);
        Ok(())
    }

    fn values(&mut self) -> Emitted {
        let (values, n) = (self.word(VALUES), self.random.below(8) as u16);
        let int = n.is_multiple_of(2);
        if self.random.one_in(2) {
            let value = if int { self.int()? } else { self.float()? };
            return self.b.vstore(values, n, value).map(|_| ());
        }
        self.snapshot_here();
        let r = if self.random.one_in(4) {
            self.b.op(Op::Vtag, Type::Int, values, Ref(n), Ref::NONE)?
        } else {
            self.b.vload(values, n, if int { Type::Int } else { Type::Float })?
        };
        self.keep(r);
        Ok(())
    }

    /// Pointers that live on, and bytes behind them. Each one points to the start of the memory.
    fn pointer(&mut self) -> Emitted {
        if self.pointers.len() < 4 {
            let start = self.address(0);
            let (start, x, zero) = (self.b.ptr(start), self.int()?, self.b.int(0));
            let nothing = self.b.binary(Op::Band, x, zero)?;
            let r = self.b.op(Op::Padd, Type::Ptr, start, nothing, Ref::NONE)?;
            self.keep(r);
        }
        let (bytes, index) = (self.word(BYTES), self.index()?);
        let r = self.b.op(Op::Byte, Type::Int, bytes, index, Ref::NONE)?;
        self.keep(r);
        Ok(())
    }

    fn call(&mut self) -> Emitted {
        let number = self.random.below(usize::from(helpers::FULL)) as u16;
        let helper = &helpers::table()[usize::from(number)];
        let mut args = Vec::new();
        for ty in helper.args {
            args.push(if *ty == Type::Float { self.float()? } else { self.int()? });
        }
        self.snapshot_here();
        let r = self.b.call(number, &args)?;
        if helper.result == Type::Int || helper.result == Type::Float {
            self.keep(r);
        }
        Ok(())
    }

    /// A call that may do anything: it changes slots and memory, and the stack moves.
    fn full_call(&mut self) -> Emitted {
        let function = Ref::TRUE;
        let frame = Frame {
            kind: FrameKind::Call,
            function,
            return_pc: 1,
            return_address: 0,
            base: 2,
            wanted: 1,
            varargs: 0,
            pending: 0,
            proto: 0,
        };
        let frames = [frame, Frame { base: 5, ..frame }];
        let count = self.random.below(3);
        self.snapshot(ExitMode::Raise, &frames[..count]);
        let memory = self.word(0);
        self.b.sync(SLOTS - 1)?;
        self.b.call(helpers::FULL, &[memory])?;
        self.b.plain(Op::Unsync)?;
        self.modified = [false; SLOTS as usize];
        self.written()
    }

    /// A call that changes the last slot, and the stack moves.
    fn bare_call(&mut self) -> Emitted {
        self.snapshot_here();
        self.b.args(SLOTS - 1)?;
        self.b.call(helpers::BARE, &[])?;
        self.b.plain(Op::Unsync)?;
        self.modified[SLOTS as usize - 1] = false;
        self.written()
    }

    /// A call has written the last slot.
    fn written(&mut self) -> Emitted {
        self.slots[SLOTS as usize - 1] = Ref::NONE;
        self.snapshot(ExitMode::Continue, &[]);
        let answer = self.b.emit(Inst::new(
            Op::Sload,
            Ty::guarded(Type::Float),
            Ref((SLOTS - 1) as u16),
            Ref::NONE,
            Ref::NONE,
        ))?;
        self.slots[SLOTS as usize - 1] = answer;
        self.keep(answer);
        Ok(())
    }
}
