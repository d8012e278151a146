//! Numbers.
#![forbid(unsafe_code)]

use super::Emitter;
use crate::code::encode::{self, Group1, Mem, Opcode, Rm, Shift, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::{Assigned, Place, Reg};
use crate::lua::ir::{Inst, Op};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// `roundsd`: towards minus infinity, without the inexact exception.
const ROUND_DOWN: u8 = 9;
/// `roundsd`: towards plus infinity, without the inexact exception.
const ROUND_UP: u8 = 10;

impl Emitter<'_> {
    pub(super) fn float_arithmetic(&mut self, inst: &Inst, assigned: &Assigned) {
        let dst = Self::dst(assigned);
        let opcode = match inst.op {
            Op::Add => op::ADDSD,
            Op::Sub => op::SUBSD,
            Op::Mul => op::MULSD,
            Op::Div => op::DIVSD,
            Op::Min => op::MINSD,
            Op::Max => op::MAXSD,
            Op::Neg | Op::Abs => return self.sign(inst.op, dst, assigned.src[0]),
            Op::Sqrt => {
                self.break_dependency(dst, assigned.src[0]);
                let source = self.operand(assigned.src[0]);
                return encode::rm(self.asm, op::SQRTSD, dst.number(), source);
            }
            _ => return self.round(inst.op, dst, assigned.src[0]),
        };
        self.copy(Place::Reg(dst), assigned.src[0]);
        let second = self.operand(assigned.src[1]);
        encode::rm(self.asm, opcode, dst.number(), second);
    }

    /// These instructions keep the upper half of their result's register, and so wait for whoever wrote it last.
    fn break_dependency(&mut self, dst: Reg, source: Place) {
        if source != Place::Reg(dst) {
            encode::rm(self.asm, op::XORPS, dst.number(), Rm::Reg(dst.number()));
        }
    }

    /// Flips or clears the sign bit.
    fn sign(&mut self, operation: Op, dst: Reg, source: Place) {
        self.copy(Place::Reg(dst), source);
        let (opcode, mask) = match operation {
            Op::Neg => (op::XORPS, self.around.thunks.sign_mask),
            _ => (op::ANDPS, self.around.thunks.abs_mask),
        };
        encode::rm(self.asm, opcode, dst.number(), Rm::Address(mask));
    }

    fn round(&mut self, operation: Op, dst: Reg, source: Place) {
        let up = operation == Op::Ceil;
        if self.around.features.sse41 {
            self.break_dependency(dst, source);
            let source = self.operand(source);
            let mode = if up { ROUND_UP } else { ROUND_DOWN };
            return encode::rm_imm(self.asm, op::ROUNDSD, dst.number(), source, &[mode]);
        }
        let top = Rm::Mem(Mem::at(x64::STACK, 0));
        encode::rm(self.asm, op::LEA, x64::STACK, Rm::Mem(Mem::at(x64::STACK, -8)));
        encode::rm(self.asm, op::MOVSD_TO, Self::reg(source), top);
        let thunks = self.around.thunks;
        self.call_to(if up { thunks.ceil } else { thunks.floor });
        encode::rm(self.asm, op::MOVSD, dst.number(), top);
        encode::rm(self.asm, op::LEA, x64::STACK, Rm::Mem(Mem::at(x64::STACK, 8)));
    }

    pub(super) fn int_to_float(&mut self, assigned: &Assigned) {
        let dst = Self::dst(assigned);
        encode::rm(self.asm, op::XORPS, dst.number(), Rm::Reg(dst.number()));
        let source = self.operand(assigned.src[0]);
        encode::rm(self.asm, op::CVTSI2SD, dst.number(), source);
    }

    /// The conversion is exact if converting back gives the same; what does not fit becomes -2^63.
    pub(super) fn float_to_int(&mut self, inst: &Inst, assigned: &Assigned) {
        let (dst, temp) = (Self::dst(assigned).number(), assigned.vector_temp.number());
        let source = Self::reg(assigned.src[0]);
        encode::rm(self.asm, op::CVTTSD2SI, dst, Rm::Reg(source));
        if !inst.ty.is_guard() {
            return;
        }
        encode::rm(self.asm, op::XORPS, temp, Rm::Reg(temp));
        encode::rm(self.asm, op::CVTSI2SD, temp, Rm::Reg(dst));
        encode::rm(self.asm, op::UCOMISD, temp, Rm::Reg(source));
        self.exit_if(Condition::NotEqual, assigned.exit);
        self.exit_if_also(Condition::Parity, assigned.exit);
    }

    pub(super) fn int_arithmetic(&mut self, inst: &Inst, assigned: &Assigned) {
        let [first, second, _] = assigned.src;
        let dst = Self::dst(assigned);
        let number = dst.number();
        match inst.op {
            Op::Add => self.add(assigned),
            Op::Sub => self.sub(assigned),
            Op::Mul => self.mul(assigned),
            Op::Band => self.two_operands(assigned, Group1::And, op::AND),
            Op::Bor => self.two_operands(assigned, Group1::Or, op::OR),
            Op::Bxor => self.two_operands(assigned, Group1::Xor, op::XOR),
            Op::Neg => {
                self.copy(Place::Reg(dst), first);
                encode::neg(self.asm, number);
            }
            Op::Bnot => {
                self.copy(Place::Reg(dst), first);
                encode::not(self.asm, number);
            }
            Op::Abs => {
                self.copy(Place::Reg(dst), first);
                encode::neg(self.asm, number);
                encode::rm(self.asm, op::cmov(Condition::Sign), number, Rm::Reg(Self::reg(first)));
            }
            Op::Min | Op::Max => {
                self.copy(Place::Reg(dst), first);
                let other = Self::reg(second);
                let (a, b) = if inst.op == Op::Min { (other, number) } else { (number, other) };
                encode::rm(self.asm, op::CMP, a, Rm::Reg(b));
                encode::rm(self.asm, op::cmov(Condition::Less), number, Rm::Reg(other));
            }
            Op::Shl => self.shift(assigned, Shift::Shl),
            Op::Shr => self.shift(assigned, Shift::Shr),
            Op::Sar => self.shift(assigned, Shift::Sar),
            _ => self.divide(inst, assigned),
        }
    }

    /// Additions of integers, and of offsets to pointers.
    pub(super) fn add(&mut self, assigned: &Assigned) {
        let dst = Self::dst(assigned).number();
        let a = Self::reg(assigned.src[0]);
        if let Some(imm) = self.immediate(assigned.src[1]) {
            if a == dst {
                encode::group1(self.asm, Group1::Add, Rm::Reg(dst), imm);
            } else {
                encode::rm(self.asm, op::LEA, dst, Rm::Mem(Mem::at(a, imm)));
            }
            return;
        }
        let b = Self::reg(assigned.src[1]);
        if a == dst {
            encode::rm(self.asm, op::ADD, dst, Rm::Reg(b));
        } else if b == dst {
            encode::rm(self.asm, op::ADD, dst, Rm::Reg(a));
        } else {
            encode::rm(self.asm, op::LEA, dst, Rm::Mem(Mem::indexed(a, b, 0, 0)));
        }
    }

    fn sub(&mut self, assigned: &Assigned) {
        let dst = Self::dst(assigned);
        if let (Place::Reg(a), Some(imm)) = (assigned.src[0], self.immediate(assigned.src[1]))
            && a != dst
            && imm != i32::MIN
        {
            return encode::rm(self.asm, op::LEA, dst.number(), Rm::Mem(Mem::at(a.number(), -imm)));
        }
        self.two_operands(assigned, Group1::Sub, op::SUB);
    }

    fn mul(&mut self, assigned: &Assigned) {
        let dst = Self::dst(assigned);
        if let Some(imm) = self.immediate(assigned.src[1]) {
            let first = self.operand(assigned.src[0]);
            return encode::imul_imm(self.asm, dst.number(), first, imm);
        }
        self.copy(Place::Reg(dst), assigned.src[0]);
        let second = self.operand(assigned.src[1]);
        encode::rm(self.asm, op::IMUL, dst.number(), second);
    }

    fn two_operands(&mut self, assigned: &Assigned, with_imm: Group1, opcode: Opcode) {
        let dst = Self::dst(assigned);
        self.copy(Place::Reg(dst), assigned.src[0]);
        match self.immediate(assigned.src[1]) {
            Some(imm) => encode::group1(self.asm, with_imm, Rm::Reg(dst.number()), imm),
            None => {
                let second = self.operand(assigned.src[1]);
                encode::rm(self.asm, opcode, dst.number(), second);
            }
        }
    }

    fn shift(&mut self, assigned: &Assigned, shift: Shift) {
        let dst = Self::dst(assigned);
        let [first, count, _] = assigned.src;
        if let Place::Const(r) = count {
            self.copy(Place::Reg(dst), first);
            let count = self.payload(r) as u8 & 63;
            return encode::shift_imm(self.asm, shift, dst.number(), count);
        }
        if self.around.features.bmi2 {
            let (dst, first, count) = (dst.number(), Self::reg(first), Self::reg(count));
            return match shift {
                Shift::Shl => dynasm!(self.asm; .arch x64; shlx Rq(dst), Rq(first), Rq(count)),
                Shift::Shr => dynasm!(self.asm; .arch x64; shrx Rq(dst), Rq(first), Rq(count)),
                Shift::Sar => dynasm!(self.asm; .arch x64; sarx Rq(dst), Rq(first), Rq(count)),
            };
        }
        let temp = Place::Reg(assigned.temp);
        self.copy(temp, first);
        self.copy(Place::Reg(Reg(x64::ARGUMENTS[3])), count);
        encode::shift_cl(self.asm, shift, assigned.temp.number());
        self.copy(Place::Reg(dst), temp);
    }

    /// Floor division and its remainder. The divisor is not zero.
    fn divide(&mut self, inst: &Inst, assigned: &Assigned) {
        let dst = Self::dst(assigned);
        let quotient = inst.op == Op::Idiv;
        if let Place::Const(r) = assigned.src[1] {
            return self.divide_by_power(quotient, dst, assigned, self.payload(r));
        }
        let (rax, rdx) = (x64::RESULT, x64::ARGUMENTS[2]);
        let divisor = Self::reg(assigned.src[1]);
        let known = self.ir.int(inst.b);
        self.copy(Place::Reg(Reg(rax)), assigned.src[0]);
        let [small, done, minus_one, adjust] = [(); 4].map(|()| self.asm.new_dynamic_label());
        // Numbers of 32 bits without a sign are divided much faster.
        if known.is_none_or(|d| d >= 0 && d <= i64::from(u32::MAX)) {
            encode::rm(self.asm, op::MOV, rdx, Rm::Reg(rax));
            if known.is_none() {
                encode::rm(self.asm, op::OR, rdx, Rm::Reg(divisor));
            }
            encode::shift_imm(self.asm, Shift::Shr, rdx, 32);
            x64::jump_if(self.asm, Condition::Equal, small);
        }
        // The one division that overflows has the divisor -1.
        if known.is_none_or(|d| d == -1) {
            encode::group1(self.asm, Group1::Cmp, Rm::Reg(divisor), -1);
            x64::jump_if(self.asm, Condition::Equal, minus_one);
        }
        dynasm!(self.asm; .arch x64; cqo);
        encode::idiv(self.asm, divisor);
        // A remainder whose sign is not the divisor's is one divisor short of the floored one.
        encode::rm(self.asm, op::TEST, rdx, Rm::Reg(rdx));
        x64::jump_if(self.asm, Condition::Equal, done);
        encode::rm(self.asm, op::XOR, rdx, Rm::Reg(divisor));
        if quotient {
            x64::jump_if(self.asm, Condition::NoSign, done);
            encode::group1(self.asm, Group1::Sub, Rm::Reg(rax), 1);
            x64::jump(self.asm, done);
        } else {
            x64::jump_if(self.asm, Condition::Sign, adjust);
            encode::rm(self.asm, op::XOR, rdx, Rm::Reg(divisor));
            x64::jump(self.asm, done);
            self.asm.dynamic_label(adjust);
            encode::rm(self.asm, op::XOR, rdx, Rm::Reg(divisor));
            encode::rm(self.asm, op::ADD, rdx, Rm::Reg(divisor));
            x64::jump(self.asm, done);
        }
        self.asm.dynamic_label(minus_one);
        encode::neg(self.asm, rax);
        encode::mov_imm(self.asm, rdx, 0);
        x64::jump(self.asm, done);
        self.asm.dynamic_label(small);
        // The shift has left rdx zero.
        encode::div_dword(self.asm, divisor);
        self.asm.dynamic_label(done);
        self.copy(Place::Reg(dst), Place::Reg(Reg(if quotient { rax } else { rdx })));
    }

    fn divide_by_power(&mut self, quotient: bool, dst: Reg, assigned: &Assigned, divisor: u64) {
        self.copy(Place::Reg(dst), assigned.src[0]);
        if quotient {
            if divisor > 1 {
                encode::shift_imm(self.asm, Shift::Sar, dst.number(), divisor.trailing_zeros() as u8);
            }
            return;
        }
        match i32::try_from(divisor - 1) {
            Ok(mask) => encode::group1(self.asm, Group1::And, Rm::Reg(dst.number()), mask),
            Err(_) => {
                encode::mov_imm(self.asm, assigned.temp.number(), divisor - 1);
                encode::rm(self.asm, op::AND, dst.number(), Rm::Reg(assigned.temp.number()));
            }
        }
    }
}
