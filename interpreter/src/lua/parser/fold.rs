//! Constant folding: operations on constants are computed while they are read.
//!
//! Left alone is whatever would raise an error (it has to do so when it runs), and float results that are 0 or NaN: -0.0
//! and 0.0 would be one constant, and NaN none.
#![forbid(unsafe_code)]

use perilune_runtime::lua::number::{self, Number};

use super::super::ast::{BinaryOp, Expr, UnaryOp};

fn operand(e: Expr) -> Option<Number> {
    match e {
        Expr::Int(i) => Some(Number::Int(i)),
        Expr::Float(f) => Some(Number::Float(f)),
        _ => None,
    }
}

fn result(n: Number) -> Option<Expr> {
    match n {
        Number::Int(i) => Some(Expr::Int(i)),
        Number::Float(f) if f == 0.0 || f.is_nan() => None,
        Number::Float(f) => Some(Expr::Float(f)),
    }
}

/// The constant that a unary operation gives, if it can be computed now.
pub(super) fn unary(op: UnaryOp, e: Expr) -> Option<Expr> {
    match (op, e) {
        (UnaryOp::Not, Expr::Nil | Expr::False) => Some(Expr::True),
        (UnaryOp::Not, e) if e.is_constant() => Some(Expr::False),
        (UnaryOp::Neg, Expr::Int(i)) => Some(Expr::Int(i.wrapping_neg())),
        (UnaryOp::Neg, Expr::Float(f)) => result(Number::Float(-f)),
        (UnaryOp::BNot, e) => Some(Expr::Int(!operand(e)?.to_int()?)),
        _ => None,
    }
}

/// The constant that a binary operation gives, if it can be computed now.
pub(super) fn binary(op: BinaryOp, a: Expr, b: Expr) -> Option<Expr> {
    let (a, b) = (operand(a)?, operand(b)?);
    let of_ints = |f: fn(i64, i64) -> i64| Some(Expr::Int(f(a.to_int()?, b.to_int()?)));
    let of_floats = |f: fn(f64, f64) -> f64| result(Number::Float(f(a.to_float(), b.to_float())));
    let of_either = |int: fn(i64, i64) -> i64, float: fn(f64, f64) -> f64| match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(Expr::Int(int(a, b))),
        _ => of_floats(float),
    };
    if matches!(op, BinaryOp::Div | BinaryOp::IDiv | BinaryOp::Mod) && b.to_float() == 0.0 {
        return None;
    }
    match op {
        BinaryOp::Add => of_either(i64::wrapping_add, |a, b| a + b),
        BinaryOp::Sub => of_either(i64::wrapping_sub, |a, b| a - b),
        BinaryOp::Mul => of_either(i64::wrapping_mul, |a, b| a * b),
        BinaryOp::IDiv => of_either(number::int_floor_div, number::float_floor_div),
        BinaryOp::Mod => of_either(number::int_mod, number::float_mod),
        BinaryOp::Div => of_floats(|a, b| a / b),
        BinaryOp::Pow => of_floats(number::float_pow),
        BinaryOp::BAnd => of_ints(|a, b| a & b),
        BinaryOp::BOr => of_ints(|a, b| a | b),
        BinaryOp::BXor => of_ints(|a, b| a ^ b),
        BinaryOp::Shl => of_ints(number::shift_left),
        BinaryOp::Shr => of_ints(number::shift_right),
        _ => None,
    }
}
