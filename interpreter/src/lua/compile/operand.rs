//! Operands: expressions on their way into a register.
//!
//! An operand says where a value is or how it comes about, so that whoever uses it can choose the instruction: a constant
//! that fits into one need not be loaded, an instruction that has no target yet gets the best one. Besides, it carries the
//! jumps that leave the expression early because it is true or false already.
#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op};

use super::super::symbol::Symbol;
use super::Compiler;
use super::emit::{JumpList, NO_JUMP};

/// Longest string that may be the key of an instruction with an inline cache.
const MAX_SHORT_STRING: usize = 40;

/// Where a value is or how it comes about.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Nil,
    True,
    False,
    Int(i64),
    Float(f64),
    Str(Symbol),
    /// A constant by its index.
    Constant(u32),
    /// In a register; a temporary if it lies above the variables.
    Register(u32),
    /// A variable in its register.
    Local(u32),
    /// A variable in the cell in a register.
    Cell(u32),
    Upvalue(u32),
    /// `R[table][R[key]]`
    Indexed {
        table: u32,
        key: u32,
    },
    /// `U[table][K[key]]`
    IndexedUpvalue {
        table: u32,
        key: u32,
    },
    /// `R[table][key]`
    IndexedInt {
        table: u32,
        key: u32,
    },
    /// `R[table][K[key]]`
    IndexedStr {
        table: u32,
        key: u32,
    },
    /// The jump of a comparison, taken if it is true.
    Comparison(JumpList),
    /// An instruction whose `A` is free to choose.
    Pending(usize),
    /// A call.
    Call(usize),
    /// The extra arguments.
    Vararg(usize),
}

/// A half-compiled expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Operand {
    pub(super) kind: Kind,
    /// Jumps that leave it because it is true.
    pub(super) if_true: JumpList,
    /// Jumps that leave it because it is false.
    pub(super) if_false: JumpList,
}

impl From<Kind> for Operand {
    fn from(kind: Kind) -> Self {
        Operand { kind, if_true: NO_JUMP, if_false: NO_JUMP }
    }
}

impl Operand {
    fn has_jumps(&self) -> bool {
        self.if_true != self.if_false
    }

    /// A number and nothing else.
    pub(super) fn is_numeral(&self) -> bool {
        !self.has_jumps() && matches!(self.kind, Kind::Int(_) | Kind::Float(_))
    }

    /// A constant that counts as true.
    pub(super) fn is_true(&self) -> bool {
        !self.has_jumps() && matches!(self.kind, Kind::True | Kind::Int(_) | Kind::Float(_) | Kind::Str(_))
    }

    pub(super) fn is_multiple(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::Vararg(_))
    }

    /// An integer that fits into `sB` or `sC`, encoded.
    pub(super) fn small_int(&self) -> Option<u32> {
        match self.kind {
            Kind::Int(i) if !self.has_jumps() => encode_small(i),
            _ => None,
        }
    }

    /// A number with an integer value that fits into `sB`, encoded, and whether it is a float.
    pub(super) fn small_number(&self) -> Option<(u32, bool)> {
        match self.kind {
            Kind::Float(f) if !self.has_jumps() => {
                Some((encode_small(perilune_runtime::lua::number::float_to_int(f)?)?, true))
            }
            _ => Some((self.small_int()?, false)),
        }
    }
}

fn encode_small(i: i64) -> Option<u32> {
    let n = i.checked_add(i64::from(bc::OFFSET_SC))?;
    u32::try_from(n).ok().filter(|&n| n <= bc::MAX_ABC)
}

impl Compiler<'_> {
    /// A string constant that may be the key of an instruction with an inline cache.
    pub(super) fn short_key(&mut self, s: Symbol) -> Option<u32> {
        if self.chunk.symbols.text(s).len() > MAX_SHORT_STRING {
            return None;
        }
        let k = self.string_constant(s);
        if k <= bc::MAX_ABC { Some(k) } else { None }
    }

    /// `table[key]`; the table is in a register or, with a constant key, an upvalue.
    pub(super) fn indexed(&mut self, table: &mut Operand, key: &mut Operand) -> Operand {
        let field = match key.kind {
            Kind::Str(s) if !key.has_jumps() => self.short_key(s),
            _ => None,
        };
        if let Kind::Upvalue(table) = table.kind
            && let Some(key) = field
        {
            return Kind::IndexedUpvalue { table, key }.into();
        }
        let table = self.bring_to_any(table);
        if let Some(key) = field {
            return Kind::IndexedStr { table, key }.into();
        }
        if let Kind::Int(i @ 0..=255) = key.kind
            && !key.has_jumps()
        {
            return Kind::IndexedInt { table, key: i as u32 }.into();
        }
        let key = self.bring_to_any(key);
        Kind::Indexed { table, key }.into()
    }

    fn free_two(&mut self, a: u32, b: u32) {
        self.free_register(a.max(b));
        self.free_register(a.min(b));
    }

    /// Frees the register of an operand that has been used.
    pub(super) fn free_operand(&mut self, e: &Operand) {
        if let Kind::Register(r) = e.kind {
            self.free_register(r);
        }
    }

    /// Frees the registers of two operands, in the proper order.
    pub(super) fn free_operands(&mut self, a: &Operand, b: &Operand) {
        match (a.kind, b.kind) {
            (Kind::Register(a), Kind::Register(b)) => self.free_two(a, b),
            _ => {
                self.free_operand(a);
                self.free_operand(b);
            }
        }
    }

    /// A call or `...` gives `n` values, in the next registers for `...`; none: all there are.
    pub(super) fn set_results(&mut self, e: &Operand, n: Option<u32>) {
        let c = n.map_or(0, |n| n + 1);
        match e.kind {
            Kind::Call(pc) => self.set_c(pc, c),
            Kind::Vararg(pc) => {
                self.set_c(pc, c);
                let free = self.free;
                self.set_a(pc, free);
                self.reserve(1);
            }
            _ => {}
        }
    }

    /// A call or `...` gives one value.
    pub(super) fn set_one_result(&mut self, e: &mut Operand) {
        match e.kind {
            Kind::Call(pc) => e.kind = Kind::Register(bc::a(self.proto.code[pc]) as u32),
            Kind::Vararg(pc) => {
                self.set_c(pc, 2);
                e.kind = Kind::Pending(pc);
            }
            _ => {}
        }
    }

    /// The operand is no variable any more.
    pub(super) fn discharge(&mut self, e: &mut Operand) {
        let pc = match e.kind {
            Kind::Local(r) => {
                e.kind = Kind::Register(r);
                return;
            }
            Kind::Cell(r) => self.emit_abc(Op::GetCell, 0, r, 0),
            Kind::Upvalue(n) => self.emit_abc(Op::GetUpval, 0, n, 0),
            Kind::IndexedUpvalue { table, key } => self.emit_abc(Op::GetTabUp, 0, table, key),
            Kind::IndexedInt { table, key } => {
                self.free_register(table);
                self.emit_abc(Op::GetI, 0, table, key)
            }
            Kind::IndexedStr { table, key } => {
                self.free_register(table);
                self.emit_abc(Op::GetField, 0, table, key)
            }
            Kind::Indexed { table, key } => {
                self.free_two(table, key);
                self.emit_abc(Op::GetTable, 0, table, key)
            }
            Kind::Call(_) | Kind::Vararg(_) => return self.set_one_result(e),
            _ => return,
        };
        e.kind = Kind::Pending(pc);
    }

    fn load_into(&mut self, e: &mut Operand, register: u32) {
        self.discharge(e);
        match e.kind {
            Kind::Nil => self.emit_nil(register, 1),
            Kind::True => {
                self.emit_abc(Op::LoadTrue, register, 0, 0);
            }
            Kind::False => {
                self.emit_abc(Op::LoadFalse, register, 0, 0);
            }
            Kind::Int(i) => self.load_int(register, i),
            Kind::Float(f) => self.load_float(register, f),
            Kind::Str(s) => {
                let k = self.string_constant(s);
                self.emit_load_constant(register, k);
            }
            Kind::Constant(k) => {
                self.emit_load_constant(register, k);
            }
            Kind::Pending(pc) => self.set_a(pc, register),
            Kind::Register(r) if r != register => {
                self.emit_abc(Op::Move, register, r, 0);
            }
            _ => {}
        }
        if !matches!(e.kind, Kind::Comparison(_)) {
            e.kind = Kind::Register(register);
        }
    }

    /// `R[register] := i`
    pub(super) fn load_int(&mut self, register: u32, i: i64) {
        match i32::try_from(i) {
            Ok(small) if small.unsigned_abs() < bc::OFFSET_SBX as u32 => {
                self.emit(bc::asbx(Op::LoadI, register, small));
            }
            _ => {
                let k = self.int_constant(i);
                self.emit_load_constant(register, k);
            }
        }
    }

    fn load_float(&mut self, register: u32, f: f64) {
        let negative_zero = f == 0.0 && f.is_sign_negative();
        match perilune_runtime::lua::number::float_to_int(f) {
            Some(i) if i.unsigned_abs() < bc::OFFSET_SBX as u64 && !negative_zero => {
                self.emit(bc::asbx(Op::LoadF, register, i as i32));
            }
            _ => {
                let k = self.float_constant(f);
                self.emit_load_constant(register, k);
            }
        }
    }

    /// Brings the operand into this register.
    pub(super) fn bring_to(&mut self, e: &mut Operand, register: u32) {
        self.load_into(e, register);
        if let Kind::Comparison(jump) = e.kind {
            e.if_true = self.prepend(jump, e.if_true);
        }
        if e.has_jumps() {
            let (mut if_false, mut if_true) = (NO_JUMP, NO_JUMP);
            if self.needs_value(e.if_true) || self.needs_value(e.if_false) {
                let over = if matches!(e.kind, Kind::Comparison(_)) { NO_JUMP } else { self.jump() };
                self.here();
                if_false = self.emit_abc(Op::LFalseSkip, register, 0, 0);
                self.here();
                if_true = self.emit_abc(Op::LoadTrue, register, 0, 0);
                self.patch_here(over);
            }
            let end = self.here();
            self.patch_values(e.if_false, register, end, if_false);
            self.patch_values(e.if_true, register, end, if_true);
        }
        *e = Kind::Register(register).into();
    }

    /// Brings the operand into the next free register.
    pub(super) fn bring_to_next(&mut self, e: &mut Operand) -> u32 {
        self.discharge(e);
        self.free_operand(e);
        self.reserve(1);
        let register = self.free - 1;
        self.bring_to(e, register);
        register
    }

    /// Brings the operand into some register.
    pub(super) fn bring_to_any(&mut self, e: &mut Operand) -> u32 {
        self.discharge(e);
        if let Kind::Register(r) = e.kind {
            if !e.has_jumps() {
                return r;
            }
            if r >= self.var_level() {
                self.bring_to(e, r);
                return r;
            }
        }
        self.bring_to_next(e)
    }

    /// Brings the operand into a register, or leaves it an upvalue.
    pub(super) fn bring_to_any_or_upvalue(&mut self, e: &mut Operand) {
        if !matches!(e.kind, Kind::Upvalue(_)) || e.has_jumps() {
            self.bring_to_any(e);
        }
    }

    /// Brings the operand into a register, or makes it a constant.
    pub(super) fn bring_to_any_or_constant(&mut self, e: &mut Operand) {
        if e.has_jumps() || matches!(e.kind, Kind::Comparison(_)) {
            self.bring_to_any(e);
        } else {
            self.discharge(e);
        }
    }

    /// Makes a constant operand one by index, if the index fits into `B` or `C`.
    pub(super) fn as_constant(&mut self, e: &mut Operand) -> Option<u32> {
        if e.has_jumps() {
            return None;
        }
        let k = match e.kind {
            Kind::Nil => self.nil_constant(),
            Kind::True => self.boolean_constant(true),
            Kind::False => self.boolean_constant(false),
            Kind::Int(i) => self.int_constant(i),
            Kind::Float(f) => self.float_constant(f),
            Kind::Str(s) => self.string_constant(s),
            Kind::Constant(k) => k,
            _ => return None,
        };
        if k > bc::MAX_ABC {
            return None;
        }
        e.kind = Kind::Constant(k);
        Some(k)
    }

    /// Brings the operand into a register or makes it a constant; answers its number and whether it is one.
    pub(super) fn rk(&mut self, e: &mut Operand) -> (u32, bool) {
        match self.as_constant(e) {
            Some(k) => (k, true),
            None => (self.bring_to_any(e), false),
        }
    }

    /// `target := e`, the operand is used up.
    pub(super) fn store(&mut self, target: &Operand, e: &mut Operand) {
        match target.kind {
            Kind::Local(r) => {
                self.free_operand(e);
                self.bring_to(e, r);
                return;
            }
            Kind::Cell(r) => {
                let (b, k) = self.rk(e);
                self.emit(bc::abc(Op::SetCell, r, b, 0, k));
            }
            Kind::Upvalue(n) => {
                let r = self.bring_to_any(e);
                self.emit_abc(Op::SetUpval, r, n, 0);
            }
            Kind::IndexedUpvalue { table, key } => self.emit_store(Op::SetTabUp, table, key, e),
            Kind::IndexedInt { table, key } => self.emit_store(Op::SetI, table, key, e),
            Kind::IndexedStr { table, key } => self.emit_store(Op::SetField, table, key, e),
            Kind::Indexed { table, key } => self.emit_store(Op::SetTable, table, key, e),
            _ => {}
        }
        self.free_operand(e);
    }

    fn emit_store(&mut self, op: Op, table: u32, key: u32, e: &mut Operand) {
        let (c, k) = self.rk(e);
        self.emit(bc::abc(op, table, key, c, k));
    }

    // ---------------------------------------------------------------------------------------------------- conditions

    /// Jumps if the operand's truth is `condition`.
    fn jump_on(&mut self, e: &mut Operand, condition: bool) -> JumpList {
        if let Kind::Pending(pc) = e.kind {
            let word = self.proto.code[pc];
            if bc::op(word) == Op::Not && self.last == Some(pc) && self.last_target < self.pc() {
                self.remove_last();
                return self.conditional_jump(bc::abc(Op::Test, bc::b(word) as u32, 0, 0, !condition));
            }
        }
        let register = self.any_temporary(e);
        self.free_operand(e);
        self.emit_test_set(register, condition)
    }

    /// Brings the value, without its jumps, into some register.
    fn any_temporary(&mut self, e: &mut Operand) -> u32 {
        self.discharge(e);
        if let Kind::Register(r) = e.kind {
            return r;
        }
        self.reserve(1);
        let register = self.free - 1;
        self.load_into(e, register);
        register
    }

    /// What follows runs only if the operand is true.
    pub(super) fn go_if_true(&mut self, e: &mut Operand) {
        self.discharge(e);
        let jump = match e.kind {
            Kind::Comparison(jump) => {
                // Jumps where it is true: let it jump where it is false.
                self.proto.code[jump - 1] ^= 1 << 15;
                jump
            }
            Kind::Constant(_) | Kind::Float(_) | Kind::Int(_) | Kind::Str(_) | Kind::True => NO_JUMP,
            _ => self.jump_on(e, false),
        };
        e.if_false = self.prepend(jump, e.if_false);
        self.patch_tests_here(e.if_true);
        e.if_true = NO_JUMP;
    }

    /// What follows runs only if the operand is false.
    pub(super) fn go_if_false(&mut self, e: &mut Operand) {
        self.discharge(e);
        let jump = match e.kind {
            Kind::Comparison(jump) => jump,
            Kind::Nil | Kind::False => NO_JUMP,
            _ => self.jump_on(e, true),
        };
        e.if_true = self.prepend(jump, e.if_true);
        self.patch_tests_here(e.if_false);
        e.if_false = NO_JUMP;
    }

    /// `not e`
    pub(super) fn negate(&mut self, e: &mut Operand) {
        self.discharge(e);
        match e.kind {
            Kind::Nil | Kind::False => e.kind = Kind::True,
            Kind::Constant(_) | Kind::Float(_) | Kind::Int(_) | Kind::Str(_) | Kind::True => e.kind = Kind::False,
            Kind::Comparison(jump) => self.proto.code[jump - 1] ^= 1 << 15,
            _ => {
                let register = self.any_temporary(e);
                self.free_operand(e);
                e.kind = Kind::Pending(self.emit_abc(Op::Not, 0, register, 0));
            }
        }
        std::mem::swap(&mut e.if_true, &mut e.if_false);
        self.drop_values(e.if_true);
        self.drop_values(e.if_false);
    }
}
