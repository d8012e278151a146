//! Constant folding and algebraic simplification of one instruction whose operands are already in the builder.
//!
//! Integers wrap, so integer identities hold without conditions. Float identities hold for every bit pattern that a
//! program can tell apart: `x + 0.0` is not `x` (x may be -0.0), `x * 0.0` is not 0.0, `x - x` is not 0.0, and the
//! sign of a NaN is visible in print, so that `x * -1.0` is not `-x`.
#![forbid(unsafe_code)]

use crate::lua::ir::build::Builder;
use crate::lua::ir::{Const, Inst, Op, Ref, Type, Width};

/// What becomes of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// It stays.
    Keep,
    /// This one does the same; try again with it.
    Again(Inst),
    /// Its result is already there.
    Value(Ref),
    /// A guard that always holds.
    Holds,
    /// A guard that never holds.
    Fails,
}

/// Simplifies an instruction.
pub fn fold(b: &mut Builder, inst: Inst) -> Fold {
    if inst.op.is_compare() {
        return compare(b, inst);
    }
    match (inst.op, inst.base()) {
        (Op::I2f | Op::F2i, _) => convert(b, inst),
        (Op::Padd, _) => pointer(b, inst),
        (Op::Floor | Op::Ceil | Op::Sqrt, _) => float(b, inst),
        (op, Type::Int) if is_arith(op) => int(b, inst),
        (op, Type::Float) if is_arith(op) => float(b, inst),
        _ => Fold::Keep,
    }
}

fn is_arith(op: Op) -> bool {
    (Op::Add as u8..=Op::Sar as u8).contains(&(op as u8))
}

/// The result of an integer operation. `None` for a division by zero, which its guard has excluded.
pub fn eval_int(op: Op, a: i64, b: i64) -> Option<i64> {
    let count = (b & 63) as u32;
    Some(match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::Idiv | Op::Mod if b == 0 => return None,
        Op::Idiv => a.wrapping_div(b) - i64::from(a.wrapping_rem(b) != 0 && (a < 0) != (b < 0)),
        Op::Mod => {
            let r = a.wrapping_rem(b);
            if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
        }
        Op::Neg => a.wrapping_neg(),
        Op::Abs => a.wrapping_abs(),
        Op::Min => {
            if b < a {
                b
            } else {
                a
            }
        }
        Op::Max => {
            if a < b {
                b
            } else {
                a
            }
        }
        Op::Band => a & b,
        Op::Bor => a | b,
        Op::Bxor => a ^ b,
        Op::Bnot => !a,
        Op::Shl => a << count,
        Op::Shr => ((a as u64) >> count) as i64,
        Op::Sar => a >> count,
        _ => return None,
    })
}

/// The result of a float operation.
pub fn eval_float(op: Op, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Neg => -a,
        Op::Abs => a.abs(),
        Op::Min => {
            if b < a {
                b
            } else {
                a
            }
        }
        Op::Max => {
            if a < b {
                b
            } else {
                a
            }
        }
        Op::Sqrt => a.sqrt(),
        Op::Floor => a.floor(),
        Op::Ceil => a.ceil(),
        _ => return None,
    })
}

/// Whether a comparison of two payloads of this type holds.
pub fn eval_compare(op: Op, ty: Type, a: u64, b: u64) -> bool {
    if ty == Type::Float {
        let (a, b) = (f64::from_bits(a), f64::from_bits(b));
        let unordered = a.is_nan() || b.is_nan();
        return match op {
            Op::Eq => a == b,
            Op::Ne => a != b,
            Op::Lt => a < b,
            Op::Ge => a >= b,
            Op::Le => a <= b,
            Op::Gt => a > b,
            Op::Ult => unordered || a < b,
            Op::Uge => unordered || a >= b,
            Op::Ule => unordered || a <= b,
            _ => unordered || a > b,
        };
    }
    let (sa, sb) = (a as i64, b as i64);
    match op {
        Op::Eq => a == b,
        Op::Ne => a != b,
        Op::Lt => sa < sb,
        Op::Ge => sa >= sb,
        Op::Le => sa <= sb,
        Op::Gt => sa > sb,
        Op::Ult => a < b,
        Op::Uge => a >= b,
        Op::Ule => a <= b,
        _ => a > b,
    }
}

/// The integer that a float equals, if it equals one.
pub fn exact_int(f: f64) -> Option<i64> {
    // 2^63 itself is out of range, -2^63 is not.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f);
    if fits && f.floor() == f { Some(f as i64) } else { None }
}

fn int(b: &mut Builder, inst: Inst) -> Fold {
    let ir = b.ir();
    let (x, y) = (ir.int(inst.a), ir.int(inst.b));
    let unary = inst.b.is_none();
    if let Some(x) = x
        && (unary || y.is_some())
    {
        return match eval_int(inst.op, x, y.unwrap_or(0)) {
            Some(r) => Fold::Value(b.int(r)),
            None => Fold::Keep,
        };
    }
    if inst.op.is_commutative() && inst.a < inst.b {
        return Fold::Again(Inst { a: inst.b, b: inst.a, ..inst });
    }
    if unary {
        return int_unary(b, inst);
    }
    if let Some(k) = y {
        return int_const(b, inst, k);
    }
    if inst.a == inst.b {
        return match inst.op {
            Op::Sub | Op::Bxor => Fold::Value(b.int(0)),
            Op::Band | Op::Bor | Op::Min | Op::Max => Fold::Value(inst.a),
            _ => Fold::Keep,
        };
    }
    match (inst.op, inst.b.is_inst().then(|| *b.ir().inst(inst.b))) {
        // x + -y
        (Op::Add, Some(Inst { op: Op::Neg, a, .. })) => Fold::Again(Inst { op: Op::Sub, b: a, ..inst }),
        // x - -y
        (Op::Sub, Some(Inst { op: Op::Neg, a, .. })) => Fold::Again(Inst { op: Op::Add, b: a, ..inst }),
        // 0 - x
        (Op::Sub, _) if x == Some(0) => Fold::Again(Inst { op: Op::Neg, a: inst.b, b: Ref::NONE, ..inst }),
        _ => Fold::Keep,
    }
}

fn int_unary(b: &Builder, inst: Inst) -> Fold {
    let inner = b.ir().inst(inst.a);
    match (inst.op, inner.op) {
        (Op::Neg, Op::Neg) | (Op::Bnot, Op::Bnot) => Fold::Value(inner.a),
        (Op::Neg, Op::Sub) => Fold::Again(Inst { op: Op::Sub, a: inner.b, b: inner.a, ..inst }),
        (Op::Abs, Op::Abs) => Fold::Value(inst.a),
        (Op::Abs, Op::Neg) => Fold::Again(Inst { a: inner.a, ..inst }),
        _ => Fold::Keep,
    }
}

/// An integer operation whose right operand is the constant `k`.
fn int_const(b: &mut Builder, inst: Inst, k: i64) -> Fold {
    let zero = |b: &mut Builder| Fold::Value(b.int(0));
    let with = |b: &mut Builder, op: Op, k: i64| Fold::Again(Inst { op, b: b.int(k), ..inst });
    let unary = |op: Op| Fold::Again(Inst { op, b: Ref::NONE, ..inst });
    match (inst.op, k) {
        (Op::Add | Op::Sub | Op::Bor | Op::Bxor | Op::Shl | Op::Shr | Op::Sar, 0)
        | (Op::Mul | Op::Idiv, 1)
        | (Op::Band, -1) => return Fold::Value(inst.a),
        (Op::Mul | Op::Band, 0) | (Op::Mod, 1 | -1) => return zero(b),
        (Op::Bor, -1) => return Fold::Value(inst.b),
        (Op::Bxor, -1) => return unary(Op::Bnot),
        (Op::Mul | Op::Idiv, -1) => return unary(Op::Neg),
        (Op::Sub, k) => return with(b, Op::Add, k.wrapping_neg()),
        (Op::Mul, k) if k > 0 && k & (k - 1) == 0 => return with(b, Op::Shl, k.trailing_zeros().into()),
        (Op::Idiv, k) if k > 0 && k & (k - 1) == 0 => return with(b, Op::Sar, k.trailing_zeros().into()),
        (Op::Mod, k) if k > 0 && k & (k - 1) == 0 => return with(b, Op::Band, k - 1),
        _ => {}
    }
    // Regrouping a value that the loop carries would carry another one beside it: i + 1 + 1 into i + 2.
    if !inst.a.is_inst() || b.may_be_carried(inst.a) {
        return Fold::Keep;
    }
    let inner = *b.ir().inst(inst.a);
    let Some(j) = b.ir().second_int(&inner) else { return Fold::Keep };
    let regroup = |b: &mut Builder, k: i64| Fold::Again(Inst { a: inner.a, b: b.int(k), ..inst });
    match (inst.op, inner.op) {
        (Op::Add, Op::Add) => regroup(b, j.wrapping_add(k)),
        (Op::Mul, Op::Mul) => regroup(b, j.wrapping_mul(k)),
        (Op::Band, Op::Band) => regroup(b, j & k),
        (Op::Bor, Op::Bor) => regroup(b, j | k),
        (Op::Bxor, Op::Bxor) => regroup(b, j ^ k),
        (Op::Shl, Op::Shl) | (Op::Shr, Op::Shr) if j + k > 63 => zero(b),
        (Op::Shl, Op::Shl) | (Op::Shr, Op::Shr) => regroup(b, j + k),
        (Op::Sar, Op::Sar) => regroup(b, (j + k).min(63)),
        _ => Fold::Keep,
    }
}

fn float(b: &mut Builder, inst: Inst) -> Fold {
    let ir = b.ir();
    let (x, y) = (ir.float(inst.a), ir.float(inst.b));
    let unary = inst.b.is_none();
    if let Some(x) = x
        && (unary || y.is_some())
    {
        return match eval_float(inst.op, x, y.unwrap_or(0.0)) {
            Some(r) => Fold::Value(b.float(r)),
            None => Fold::Keep,
        };
    }
    if unary && inst.a.is_inst() {
        let inner = ir.inst(inst.a);
        return match (inst.op, inner.op) {
            (Op::Neg, Op::Neg) => Fold::Value(inner.a),
            (Op::Abs, Op::Abs) => Fold::Value(inst.a),
            (Op::Abs, Op::Neg) => Fold::Again(Inst { a: inner.a, ..inst }),
            (Op::Floor | Op::Ceil, Op::Floor | Op::Ceil | Op::I2f) => Fold::Value(inst.a),
            _ => Fold::Keep,
        };
    }
    let Some(k) = y else { return Fold::Keep };
    let negative_zero = k == 0.0 && k.is_sign_negative();
    match inst.op {
        Op::Mul | Op::Div if k == 1.0 => Fold::Value(inst.a),
        Op::Add if negative_zero => Fold::Value(inst.a),
        Op::Sub if k == 0.0 && !negative_zero => Fold::Value(inst.a),
        // The reciprocal of a power of two is exact while it is a normal number.
        Op::Div if is_power_of_two(k) && is_power_of_two(1.0 / k) => {
            Fold::Again(Inst { op: Op::Mul, b: b.float(1.0 / k), ..inst })
        }
        _ => Fold::Keep,
    }
}

fn is_power_of_two(f: f64) -> bool {
    f.is_normal() && f.to_bits() & ((1 << 52) - 1) == 0
}

fn convert(b: &mut Builder, inst: Inst) -> Fold {
    match b.ir().constant(inst.a) {
        Some(Const::Int(i)) if inst.op == Op::I2f => Fold::Value(b.float(i as f64)),
        Some(Const::Float(f)) if inst.op == Op::F2i => match exact_int(f) {
            Some(i) => Fold::Value(b.int(i)),
            None => Fold::Fails,
        },
        _ => Fold::Keep,
    }
}

fn pointer(b: &mut Builder, inst: Inst) -> Fold {
    let Some(k) = b.ir().int(inst.b) else { return Fold::Keep };
    if let Some(Const::Ptr(p)) = b.ir().constant(inst.a) {
        return Fold::Value(b.ptr(p.wrapping_add(k as u64)));
    }
    if k == 0 && b.ty(inst.a) == Type::Ptr {
        return Fold::Value(inst.a);
    }
    if inst.a.is_inst()
        && !b.may_be_carried(inst.a)
        && let inner = *b.ir().inst(inst.a)
        && inner.op == Op::Padd
        && let Some(j) = b.ir().second_int(&inner)
    {
        return Fold::Again(Inst { a: inner.a, b: b.int(j.wrapping_add(k)), ..inst });
    }
    Fold::Keep
}

fn compare(b: &mut Builder, inst: Inst) -> Fold {
    let ty = inst.base();
    let ir = b.ir();
    let known = |holds: bool| if holds { Fold::Holds } else { Fold::Fails };
    if let (Some(x), Some(y)) = (ir.constant(inst.a), ir.constant(inst.b)) {
        return known(eval_compare(inst.op, ty, x.payload(), y.payload()));
    }
    if inst.a < inst.b {
        return Fold::Again(Inst { op: inst.op.swapped(), a: inst.b, b: inst.a, ..inst });
    }
    if inst.a == inst.b {
        return match (inst.op, ty) {
            // These hold for everything but NaN, or for NaN only.
            (Op::Eq | Op::Le | Op::Ge | Op::Ne | Op::Ult | Op::Ugt, Type::Float) => Fold::Keep,
            (Op::Eq | Op::Le | Op::Ge | Op::Ule | Op::Uge, _) => Fold::Holds,
            _ => Fold::Fails,
        };
    }
    if ty == Type::Int {
        return match (range(b, inst.a, 4), range(b, inst.b, 4)) {
            (Some(x), Some(y)) => by_range(inst.op, x, y).map_or(Fold::Keep, known),
            _ => Fold::Keep,
        };
    }
    Fold::Keep
}

/// The bounds of an integer, where they follow from how it is made. Looks through at most `depth` instructions.
fn range(b: &Builder, r: Ref, depth: u32) -> Option<(i64, i64)> {
    let ir = b.ir();
    if let Some(k) = ir.int(r) {
        return Some((k, k));
    }
    if depth == 0 || !r.is_inst() {
        return Some((i64::MIN, i64::MAX));
    }
    let inst = ir.inst(r);
    let k = ir.second_int(inst);
    let bounds = match (inst.op, k) {
        (Op::Byte | Op::Atag | Op::Vtag | Op::Ctag, _) => (0, 255),
        (Op::Fload, _) => match inst.field().width() {
            Width::U8 => (0, 255),
            Width::U32 => (0, i64::from(u32::MAX)),
            Width::U64 => (i64::MIN, i64::MAX),
        },
        (Op::Band, Some(k)) if k >= 0 => (0, k),
        (Op::Mod, Some(k)) if k > 0 => (0, k - 1),
        (Op::Shr, Some(k)) if k > 0 => (0, (u64::MAX >> k) as i64),
        (Op::Add, Some(k)) => {
            let (low, high) = range(b, inst.a, depth - 1)?;
            match (low.checked_add(k), high.checked_add(k)) {
                (Some(low), Some(high)) => (low, high),
                _ => (i64::MIN, i64::MAX),
            }
        }
        _ => (i64::MIN, i64::MAX),
    };
    Some(bounds)
}

/// Whether a comparison holds for all (true) or for no (false) values within the bounds.
fn by_range(op: Op, (a0, a1): (i64, i64), (b0, b1): (i64, i64)) -> Option<bool> {
    let unsigned = matches!(op, Op::Ult | Op::Uge | Op::Ule | Op::Ugt);
    if unsigned && (a0 < 0 || b0 < 0) {
        return match (op, b1) {
            // Nothing is below zero.
            (Op::Ult, 0) if b0 == 0 => Some(false),
            (Op::Uge, 0) if b0 == 0 => Some(true),
            _ => None,
        };
    }
    let decide = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
    match op {
        Op::Lt | Op::Ult => decide(a1 < b0, a0 >= b1),
        Op::Ge | Op::Uge => decide(a0 >= b1, a1 < b0),
        Op::Le | Op::Ule => decide(a1 <= b0, a0 > b1),
        Op::Gt | Op::Ugt => decide(a0 > b1, a1 <= b0),
        Op::Eq => decide(false, a1 < b0 || b1 < a0),
        Op::Ne => decide(a1 < b0 || b1 < a0, false),
        _ => None,
    }
}
