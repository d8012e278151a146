//! Binary operations: which of an operation's forms (registers, constant, immediate operand) fits.
#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op};

use super::super::ast::{BinaryOp, Expr, ExprId};
use super::Compiler;
use super::emit::JumpList;
use super::operand::{Kind, Operand};

impl Compiler<'_> {
    /// Compiles `e op right`; `e` has been compiled.
    pub(super) fn binary(&mut self, op: BinaryOp, mut e: Operand, right: ExprId, line: u32) -> Operand {
        use BinaryOp::*;
        self.discharge(&mut e);
        match op {
            Concat => return self.concatenation(e, right, line),
            Eq | Ne => {
                if !e.is_numeral() {
                    self.rk(&mut e);
                }
            }
            Lt | Le | Gt | Ge => {
                if e.small_number().is_none() {
                    self.bring_to_any(&mut e);
                }
            }
            _ => {
                if !e.is_numeral() {
                    self.bring_to_any(&mut e);
                }
            }
        }
        let mut r = self.expr(right);
        self.discharge(&mut r);
        let pc = match op {
            Eq | Ne => return Kind::Comparison(self.equality(op == Eq, e, r)).into(),
            Lt | Le => return Kind::Comparison(self.order(op == Lt, e, r)).into(),
            Gt | Ge => return Kind::Comparison(self.order(op == Gt, r, e)).into(),
            Add | Mul => self.commutative(op, e, r),
            BAnd | BOr | BXor => self.bitwise(op, e, r),
            Shl | Shr => self.shift(op, e, r),
            _ => self.arithmetic(op, e, r, false),
        };
        self.fix_line(line);
        Kind::Pending(pc).into()
    }

    /// `R[?] := R[e] op operand`
    fn finish(&mut self, op: Op, e: &mut Operand, other: &Operand, operand: u32, k: bool) -> usize {
        let register = self.bring_to_any(e);
        self.free_operands(e, other);
        self.emit(bc::abc(op, 0, register, operand, k))
    }

    fn two_registers(&mut self, op: BinaryOp, mut e: Operand, mut r: Operand) -> usize {
        // The left operand is a register or a constant, so that it may come second.
        let operand = self.bring_to_any(&mut r);
        self.finish(register_form(op), &mut e, &r, operand, false)
    }

    fn arithmetic(&mut self, op: BinaryOp, mut e: Operand, mut r: Operand, swapped: bool) -> usize {
        if r.is_numeral()
            && let Some(form) = constant_form(op)
            && let Some(k) = self.as_constant(&mut r)
        {
            return self.finish(form, &mut e, &r, k, swapped);
        }
        if swapped { self.two_registers(op, r, e) } else { self.two_registers(op, e, r) }
    }

    fn commutative(&mut self, op: BinaryOp, e: Operand, r: Operand) -> usize {
        let swapped = e.is_numeral();
        let (mut e, r) = if swapped { (r, e) } else { (e, r) };
        if op == BinaryOp::Add
            && let Some(immediate) = r.small_int()
        {
            return self.finish(Op::AddI, &mut e, &r, immediate, swapped);
        }
        self.arithmetic(op, e, r, swapped)
    }

    fn bitwise(&mut self, op: BinaryOp, e: Operand, r: Operand) -> usize {
        let is_int = |e: &Operand| e.is_numeral() && matches!(e.kind, Kind::Int(_));
        if is_int(&e) {
            return self.arithmetic(op, r, e, true);
        }
        if is_int(&r) { self.arithmetic(op, e, r, false) } else { self.two_registers(op, e, r) }
    }

    fn shift(&mut self, op: BinaryOp, mut e: Operand, mut r: Operand) -> usize {
        if op == BinaryOp::Shl {
            if let Some(immediate) = e.small_int() {
                return self.finish(Op::ShlI, &mut r, &e, immediate, false);
            }
            // `a << 5` is `a >> -5`.
            let negated = match r.kind {
                Kind::Int(i) if r.small_int().is_some() => Operand::from(Kind::Int(-i)).small_int(),
                _ => None,
            };
            if let Some(immediate) = negated {
                return self.finish(Op::ShrI, &mut e, &r, immediate, true);
            }
        } else if let Some(immediate) = r.small_int() {
            return self.finish(Op::ShrI, &mut e, &r, immediate, false);
        }
        self.two_registers(op, e, r)
    }

    /// `e == r`, or `e ~= r`.
    fn equality(&mut self, equal: bool, e: Operand, r: Operand) -> JumpList {
        let swap = !matches!(e.kind, Kind::Register(_));
        let (mut e, mut r) = if swap { (r, e) } else { (e, r) };
        let a = self.bring_to_any(&mut e);
        let (op, b) = if let Some((immediate, _)) = r.small_number() {
            (Op::EqI, immediate)
        } else if let Some(k) = self.as_constant(&mut r) {
            (Op::EqK, k)
        } else {
            (Op::Eq, self.bring_to_any(&mut r))
        };
        self.free_operands(&e, &r);
        self.conditional_jump(bc::abc(op, a, b, 0, equal))
    }

    /// `e < r` (`strict`), or `e <= r`.
    fn order(&mut self, strict: bool, mut e: Operand, mut r: Operand) -> JumpList {
        let (op, a, b, float) = if let Some((immediate, float)) = r.small_number() {
            (if strict { Op::LtI } else { Op::LeI }, self.bring_to_any(&mut e), immediate, float)
        } else if let Some((immediate, float)) = e.small_number() {
            (if strict { Op::GtI } else { Op::GeI }, self.bring_to_any(&mut r), immediate, float)
        } else {
            let a = self.bring_to_any(&mut e);
            (if strict { Op::Lt } else { Op::Le }, a, self.bring_to_any(&mut r), false)
        };
        self.free_operands(&e, &r);
        self.conditional_jump(bc::abc(op, a, b, u32::from(float), true))
    }

    /// A chain of `..`, which is one instruction.
    fn concatenation(&mut self, mut e: Operand, mut right: ExprId, mut line: u32) -> Operand {
        let base = self.bring_to_next(&mut e);
        let mut count = 2;
        while let Expr::Binary(BinaryOp::Concat, next, rest) = self.ast.expr(right) {
            line = self.ast.line(right);
            let mut e = self.expr(next);
            self.bring_to_next(&mut e);
            count += 1;
            right = rest;
        }
        let mut last = self.expr(right);
        self.bring_to_next(&mut last);
        self.emit_abc(Op::Concat, base, count, 0);
        self.fix_line(line);
        self.free = base + 1;
        Kind::Register(base).into()
    }
}

fn register_form(op: BinaryOp) -> Op {
    use BinaryOp as B;
    match op {
        B::Add => Op::Add,
        B::Sub => Op::Sub,
        B::Mul => Op::Mul,
        B::Mod => Op::Mod,
        B::Pow => Op::Pow,
        B::Div => Op::Div,
        B::IDiv => Op::IDiv,
        B::BAnd => Op::BAnd,
        B::BOr => Op::BOr,
        B::BXor => Op::BXor,
        B::Shl => Op::Shl,
        B::Shr => Op::Shr,
        B::Concat => Op::Concat,
        B::Eq | B::Ne => Op::Eq,
        B::Lt | B::Gt => Op::Lt,
        B::Le | B::Ge => Op::Le,
    }
}

/// The form with a constant on the right, where there is one.
fn constant_form(op: BinaryOp) -> Option<Op> {
    use BinaryOp as B;
    Some(match op {
        B::Add => Op::AddK,
        B::Sub => Op::SubK,
        B::Mul => Op::MulK,
        B::Mod => Op::ModK,
        B::Pow => Op::PowK,
        B::Div => Op::DivK,
        B::IDiv => Op::IDivK,
        B::BAnd => Op::BAndK,
        B::BOr => Op::BOrK,
        B::BXor => Op::BXorK,
        _ => return None,
    })
}
