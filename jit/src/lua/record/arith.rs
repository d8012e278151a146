//! Arithmetic and comparisons.

use perilune_interpreter::lua::meta::{raw_less, raw_less_equal};
use perilune_interpreter::lua::names::operator_event;
use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::number;
use perilune_runtime::lua::value::Value;

use super::super::helpers::H;
use super::super::ir::{Op as Ins, Ref, Type};
use super::{Abort, Next, Rec, Recorder, truth};

/// Integers up to this size are floats, exactly.
const EXACT: i64 = 1 << 53;

impl Recorder {
    fn float(&mut self, r: Ref) -> Rec<Ref> {
        match self.ty(r) {
            Type::Float => Ok(r),
            Type::Int => Ok(self.b.i2f(r)?),
            _ => Err(Abort::Reason("arithmetic on something else than numbers")),
        }
    }

    fn integer(&mut self, r: Ref, actual: Value) -> Rec<Ref> {
        match self.ty(r) {
            Type::Int => Ok(r),
            Type::Float if number::float_to_int(actual.raw_float()).is_some() => Ok(self.b.f2i(r)?),
            _ => Err(Abort::Reason("bitwise operation on something else than integers")),
        }
    }

    /// An arithmetic instruction on two registers, or on a register and a constant; swapped if `k` says so.
    pub(super) fn op_arith(&mut self, w: Word, op: Op) -> Rec<Next> {
        let x = (self.get(bc::b(w))?, self.actual(bc::b(w)));
        let y = match op {
            Op::AddI | Op::ShrI | Op::ShlI => {
                let i = i64::from(bc::sc(w));
                (self.b.int(i), Value::integer(i))
            }
            Op::AddK
            | Op::SubK
            | Op::MulK
            | Op::ModK
            | Op::PowK
            | Op::DivK
            | Op::IDivK
            | Op::BAndK
            | Op::BOrK
            | Op::BXorK => {
                let value = self.proto.constant(bc::c(w));
                (self.value_constant(value)?, value)
            }
            _ => (self.get(bc::c(w))?, self.actual(bc::c(w))),
        };
        if !x.1.is_number() || !y.1.is_number() {
            return self.arith_meta(w, op, x, y);
        }
        let result = match op {
            Op::AddI | Op::AddK | Op::Add => self.simple(Ins::Add, x.0, y.0)?,
            Op::SubK | Op::Sub => self.simple(Ins::Sub, x.0, y.0)?,
            Op::MulK | Op::Mul => self.simple(Ins::Mul, x.0, y.0)?,
            Op::DivK | Op::Div => {
                let (a, b) = (self.float(x.0)?, self.float(y.0)?);
                self.b.binary(Ins::Div, a, b)?
            }
            Op::PowK | Op::Pow => self.power(x.0, y.0)?,
            Op::ModK | Op::Mod | Op::IDivK | Op::IDiv => {
                let modulo = matches!(op, Op::ModK | Op::Mod);
                self.divide(modulo, x.0, y)?
            }
            Op::BAndK | Op::BAnd => self.bitwise(Ins::Band, x, y)?,
            Op::BOrK | Op::BOr => self.bitwise(Ins::Bor, x, y)?,
            Op::BXorK | Op::BXor => self.bitwise(Ins::Bxor, x, y)?,
            Op::ShrI | Op::Shr => self.shift(x, y, false)?,
            Op::ShlI => self.shift(y, x, true)?,
            _ => self.shift(x, y, true)?,
        };
        self.set(bc::a(w), result);
        Ok(Next::More)
    }

    /// An arithmetic instruction that a metamethod does, with the operands in the order of the source.
    fn arith_meta(&mut self, w: Word, op: Op, x: (Ref, Value), mut y: (Ref, Value)) -> Rec<Next> {
        let event = operator_event(op, bc::k(w)).ok_or(Abort::Reason("no operator"))?;
        let swapped = match op {
            Op::ShlI => true,
            Op::AddI | Op::AddK | Op::MulK | Op::BAndK | Op::BOrK | Op::BXorK => bc::k(w),
            _ => false,
        };
        if op == Op::ShrI && bc::k(w) {
            // `x << n`, written as a shift to the right.
            let i = -i64::from(bc::sc(w));
            y = (self.b.int(i), Value::integer(i));
        }
        if swapped { self.binary_meta(event, y, x) } else { self.binary_meta(event, x, y) }
    }

    fn simple(&mut self, op: Ins, x: Ref, y: Ref) -> Rec<Ref> {
        if self.ty(x) == Type::Int && self.ty(y) == Type::Int {
            return Ok(self.b.binary(op, x, y)?);
        }
        let (a, b) = (self.float(x)?, self.float(y)?);
        Ok(self.b.binary(op, a, b)?)
    }

    fn power(&mut self, x: Ref, y: Ref) -> Rec<Ref> {
        let (a, b) = (self.float(x)?, self.float(y)?);
        // The square is exact either way: both are one multiplication, rounded once.
        if self.b.ir().float(b) == Some(2.0) {
            return Ok(self.b.binary(Ins::Mul, a, a)?);
        }
        self.call_helper(H::Pow, &[a, b])
    }

    fn divide(&mut self, modulo: bool, x: Ref, (y, actual): (Ref, Value)) -> Rec<Ref> {
        if self.ty(x) == Type::Int && self.ty(y) == Type::Int {
            let zero = self.b.int(0);
            if actual.raw_integer() == 0 {
                self.guard_value(y, zero)?;
                return Err(Abort::Fails("division by zero"));
            }
            self.b.guard(Ins::Ne, y, zero)?;
            return Ok(self.b.binary(if modulo { Ins::Mod } else { Ins::Idiv }, x, y)?);
        }
        let (a, b) = (self.float(x)?, self.float(y)?);
        if modulo {
            return self.call_helper(H::FloatMod, &[a, b]);
        }
        let quotient = self.b.binary(Ins::Div, a, b)?;
        Ok(self.b.unary(Ins::Floor, quotient)?)
    }

    fn bitwise(&mut self, op: Ins, x: (Ref, Value), y: (Ref, Value)) -> Rec<Ref> {
        let (a, b) = (self.integer(x.0, x.1)?, self.integer(y.0, y.1)?);
        Ok(self.b.binary(op, a, b)?)
    }

    fn shift(&mut self, x: (Ref, Value), y: (Ref, Value), left: bool) -> Rec<Ref> {
        let (a, b) = (self.integer(x.0, x.1)?, self.integer(y.0, y.1)?);
        if let Some(count) = self.b.ir().int(b) {
            let count = if left { count } else { count.checked_neg().unwrap_or(i64::MAX) };
            if count.unsigned_abs() >= 64 {
                return Ok(self.b.int(0));
            }
            let by = self.b.int(count.abs());
            return Ok(self.b.binary(if count >= 0 { Ins::Shl } else { Ins::Shr }, a, by)?);
        }
        let count = y.1.as_integer().or_else(|| number::float_to_int(y.1.raw_float())).unwrap_or(0);
        if (0..64).contains(&count) {
            let limit = self.b.int(64);
            self.b.guard(Ins::Ult, b, limit)?;
            return Ok(self.b.binary(if left { Ins::Shl } else { Ins::Shr }, a, b)?);
        }
        if left {
            return self.call_helper(H::ShiftLeft, &[a, b]);
        }
        let negated = self.b.unary(Ins::Neg, b)?;
        let smallest = self.b.int(i64::MIN);
        self.b.guard(Ins::Ne, b, smallest)?;
        self.call_helper(H::ShiftLeft, &[a, negated])
    }

    pub(super) fn op_unary(&mut self, w: Word, op: Op) -> Rec<Next> {
        let (x, actual) = (self.get(bc::b(w))?, self.actual(bc::b(w)));
        let result = match (op, self.ty(x)) {
            (Op::Unm, Type::Int | Type::Float) => self.b.unary(Ins::Neg, x)?,
            (Op::BNot, Type::Int | Type::Float) => {
                let x = self.integer(x, actual)?;
                self.b.unary(Ins::Bnot, x)?
            }
            (Op::Not, ty) => match truth(ty) {
                Some(is) => Self::bool_constant(!is),
                None => {
                    self.guard_value(x, Self::bool_constant(!actual.is_falsy()))?;
                    Self::bool_constant(actual.is_falsy())
                }
            },
            (Op::Unm, _) => return self.binary_meta(Event::Unm, (x, actual), (x, actual)),
            _ => return self.binary_meta(Event::BNot, (x, actual), (x, actual)),
        };
        self.set(bc::a(w), result);
        Ok(Next::More)
    }

    // ---- comparisons

    /// A comparison whose outcome decides whether to skip: emits the guard that it comes out the same.
    fn compare(&mut self, op: Ins, x: Ref, y: Ref, outcome: bool) -> Rec<Next> {
        let float = self.ty(x) == Type::Float;
        let guard = if outcome { op } else { op.negated(float) };
        self.b.guard(guard, x, y)?;
        Ok(Next::More)
    }

    /// Compares two numbers of different kinds, both as floats; the integer is guarded to be one exactly.
    fn compare_mixed(&mut self, op: Ins, x: (Ref, Value), y: (Ref, Value), outcome: bool) -> Rec<Next> {
        for (r, actual) in [x, y] {
            if let Some(i) = actual.as_integer() {
                // What is no float compares otherwise than the nearest one does.
                if i.unsigned_abs() > EXACT.unsigned_abs() {
                    return self.compare_exactly(op, x, y, outcome);
                }
                let (offset, limit) = (self.b.int(EXACT), self.b.int(2 * EXACT));
                let moved = self.b.binary(Ins::Add, r, offset)?;
                self.b.guard(Ins::Ule, moved, limit)?;
            }
        }
        let (a, b) = (self.float(x.0)?, self.float(y.0)?);
        self.compare(op, a, b, outcome)
    }

    /// Compares an integer of any size and a float, in either order.
    fn compare_exactly(&mut self, op: Ins, x: (Ref, Value), y: (Ref, Value), outcome: bool) -> Rec<Next> {
        let (op, i, f) = if x.1.is_integer() { (op, x.0, y.0) } else { (op.swapped(), y.0, x.0) };
        let order = self.call_helper(H::Order, &[i, f])?;
        // What is not a number comes out as 2.
        let (op, than) = match op {
            Ins::Gt => (Ins::Eq, 1),
            Ins::Ge => (Ins::Ult, 2),
            op => (op, 0),
        };
        let than = self.b.int(than);
        self.compare(op, order, than, outcome)
    }

    fn order(&mut self, op: Ins, x: (Ref, Value), y: (Ref, Value)) -> Rec<Next> {
        let (tx, ty) = (self.ty(x.0), self.ty(y.0));
        if tx == Type::String && ty == Type::String {
            let (Some(a), Some(b)) = (x.1.as_string(), y.1.as_string()) else {
                return Err(Abort::Reason("not strings"));
            };
            let ordering = a.bytes().cmp(b.bytes());
            let answer = self.call_helper(H::StringOrder, &[x.0, y.0])?;
            let zero = self.b.int(0);
            let outcome = if op == Ins::Lt { ordering.is_lt() } else { ordering.is_le() };
            return self.compare(op, answer, zero, outcome);
        }
        if !tx.is_number() || !ty.is_number() {
            return match op {
                Ins::Lt => self.binary_meta(Event::Lt, x, y),
                Ins::Le => self.binary_meta(Event::Le, x, y),
                // Only comparisons with a small number are these.
                Ins::Gt => self.binary_meta(Event::Lt, y, x),
                _ => self.binary_meta(Event::Le, y, x),
            };
        }
        let less = |a, b| raw_less(a, b) == Some(true);
        let at_most = |a, b| raw_less_equal(a, b) == Some(true);
        let outcome = match op {
            Ins::Lt => less(x.1, y.1),
            Ins::Le => at_most(x.1, y.1),
            Ins::Gt => less(y.1, x.1),
            _ => at_most(y.1, x.1),
        };
        if tx == ty {
            return self.compare(op, x.0, y.0, outcome);
        }
        self.compare_mixed(op, x, y, outcome)
    }

    pub(super) fn op_order(&mut self, w: Word, op: Op) -> Rec<Next> {
        let x = (self.get(bc::a(w))?, self.actual(bc::a(w)));
        let y = match op {
            Op::Lt | Op::Le => (self.get(bc::b(w))?, self.actual(bc::b(w))),
            // A metamethod gets the number as it was written.
            _ if bc::c(w) != 0 && !x.1.is_number() => {
                let f = f64::from(bc::sb(w));
                (self.b.float(f), Value::float(f))
            }
            _ => {
                let i = i64::from(bc::sb(w));
                (self.b.int(i), Value::integer(i))
            }
        };
        let ins = match op {
            Op::Lt | Op::LtI => Ins::Lt,
            Op::Le | Op::LeI => Ins::Le,
            Op::GtI => Ins::Gt,
            _ => Ins::Ge,
        };
        self.order(ins, x, y)
    }

    pub(super) fn op_equal(&mut self, w: Word, op: Op) -> Rec<Next> {
        let x = (self.get(bc::a(w))?, self.actual(bc::a(w)));
        let y = match op {
            Op::Eq => (self.get(bc::b(w))?, self.actual(bc::b(w))),
            Op::EqI => {
                let i = i64::from(bc::sb(w));
                (self.b.int(i), Value::integer(i))
            }
            _ => {
                let value = self.proto.constant(bc::b(w));
                (self.value_constant(value)?, value)
            }
        };
        let outcome = x.1.raw_equals(y.1);
        let (tx, ty) = (self.ty(x.0), self.ty(y.0));
        if tx != ty {
            if tx.is_number() && ty.is_number() {
                return self.compare_mixed(Ins::Eq, x, y, outcome);
            }
            // Settled by the types.
            return Ok(Next::More);
        }
        match tx {
            Type::Nil => Ok(Next::More),
            Type::String => {
                let short = |v: Value| v.as_string().is_some_and(|s| s.is_short());
                let constant = (x.0.is_const() && short(x.1)) || (y.0.is_const() && short(y.1));
                if constant || (outcome && x.1.same(y.1)) {
                    return self.compare(Ins::Eq, x.0, y.0, outcome);
                }
                let answer = self.call_helper(H::StringEqual, &[x.0, y.0])?;
                let one = self.b.int(1);
                self.compare(Ins::Eq, answer, one, outcome)
            }
            Type::Table | Type::Userdata if !outcome => {
                self.compare(Ins::Eq, x.0, y.0, false)?;
                // A metamethod might call them equal.
                for (r, v) in [x, y] {
                    if let Some(handler) = self.handler(r, v, Event::Eq)? {
                        return self.call_meta(handler, &[x.0, y.0]);
                    }
                }
                Ok(Next::More)
            }
            _ => self.compare(Ins::Eq, x.0, y.0, outcome),
        }
    }

    pub(super) fn op_test(&mut self, w: Word, register: usize) -> Rec<Next> {
        let x = self.get(register)?;
        if truth(self.ty(x)).is_none() {
            let actual = !self.actual(register).is_falsy();
            self.guard_value(x, Self::bool_constant(actual))?;
        }
        if bc::op(w) == Op::TestSet {
            let skips = self.actual(register).is_falsy() == bc::k(w);
            if !skips {
                self.set(bc::a(w), x);
            }
        }
        Ok(Next::More)
    }
}
