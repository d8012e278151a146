//! Comparisons and other checks that leave the trace.
#![forbid(unsafe_code)]

use super::{Emitter, Site};
use crate::code::encode::{self, Group1, Mem, Rm, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::{Assigned, Place};
use crate::lua::ir::{Inst, Op, Type};
use dynasmrt::DynasmLabelApi;
use perilune_runtime::lua::layout;

impl Emitter<'_> {
    /// Leaves through an exit if the condition holds.
    pub(super) fn exit_if(&mut self, condition: Condition, exit: u16) {
        if self.can_be_forced {
            self.note_reached(exit);
        }
        self.exit_if_also(condition, exit);
    }

    /// The second jump of a guard that has two.
    pub(super) fn exit_if_also(&mut self, condition: Condition, exit: u16) {
        let site = x64::jump_if(self.asm, condition, self.exits[exit as usize]);
        let can_be_forced = self.can_be_forced;
        self.layout.sites.push(Site { exit, offset: site, condition: Some(condition), can_be_forced });
    }

    /// Test mode: notes that the guard of an exit is reached. Keeps registers and flags.
    fn note_reached(&mut self, exit: u16) {
        if let Some(bytes) = self.around.reached {
            encode::push(self.asm, Rm::Reg(x64::RESULT));
            encode::mov_imm(self.asm, x64::RESULT, (bytes + exit as usize) as u64);
            encode::mov_byte(self.asm, Mem::at(x64::RESULT, 0), 1);
            encode::pop(self.asm, Rm::Reg(x64::RESULT));
        }
    }

    pub(super) fn compare(&mut self, inst: &Inst, assigned: &Assigned) {
        if inst.base() == Type::Float {
            return self.compare_floats(inst.op, assigned);
        }
        let [first, second, _] = assigned.src;
        match (first, self.immediate(second)) {
            (Place::Reg(reg), Some(0)) => {
                encode::rm(self.asm, op::TEST, reg.number(), Rm::Reg(reg.number()));
            }
            (_, Some(imm)) => {
                let first = self.operand(first);
                encode::group1(self.asm, Group1::Cmp, first, imm);
            }
            (_, None) => {
                let second = self.operand(second);
                encode::rm(self.asm, op::CMP, Self::reg(first), second);
            }
        }
        let holds = match inst.op {
            Op::Eq => Condition::Equal,
            Op::Ne => Condition::NotEqual,
            Op::Lt => Condition::Less,
            Op::Ge => Condition::GreaterOrEqual,
            Op::Le => Condition::LessOrEqual,
            Op::Gt => Condition::Greater,
            Op::Ult => Condition::Below,
            Op::Uge => Condition::AboveOrEqual,
            Op::Ule => Condition::BelowOrEqual,
            _ => Condition::Above,
        };
        self.exit_if(holds.inverse(), assigned.exit);
    }

    /// `ucomisd` sets the flags of an unsigned comparison, and all of carry, zero and parity if it is unordered. The
    /// operands are in the order in which one condition tells all.
    fn compare_floats(&mut self, operation: Op, assigned: &Assigned) {
        let second = self.operand(assigned.src[1]);
        encode::rm(self.asm, op::UCOMISD, Self::reg(assigned.src[0]), second);
        let exit = assigned.exit;
        match operation {
            Op::Lt | Op::Gt => self.exit_if(Condition::BelowOrEqual, exit),
            Op::Le | Op::Ge => self.exit_if(Condition::Below, exit),
            Op::Ult | Op::Ugt => self.exit_if(Condition::AboveOrEqual, exit),
            Op::Ule | Op::Uge => self.exit_if(Condition::Above, exit),
            Op::Eq => {
                self.exit_if(Condition::NotEqual, exit);
                self.exit_if_also(Condition::Parity, exit);
            }
            _ => {
                let unordered = self.asm.new_dynamic_label();
                x64::jump_if(self.asm, Condition::Parity, unordered);
                self.exit_if(Condition::Equal, exit);
                self.asm.dynamic_label(unordered);
            }
        }
    }

    pub(super) fn collection_check(&mut self, assigned: &Assigned) {
        let debt = Mem::at(x64::CONTEXT, layout::STATE_DEBT as i32);
        match self.ir.has_unbuilt() {
            true => encode::group1(self.asm, Group1::Add, Rm::Mem(debt), 1),
            false => encode::group1(self.asm, Group1::Cmp, Rm::Mem(debt), 0),
        }
        self.exit_if(Condition::Greater, assigned.exit);
    }

    /// Leaves when the stack ends less than so many slots above the base.
    pub(super) fn room_check(&mut self, inst: &Inst, assigned: &Assigned) {
        let temp = assigned.temp.number();
        let thread = Rm::Mem(Mem::at(x64::CONTEXT, layout::STATE_THREAD as i32));
        encode::rm(self.asm, op::MOV, temp, thread);
        let limit = Mem::at(temp, layout::THREAD_LIMIT as i32);
        encode::rm(self.asm, op::MOV, temp, Rm::Mem(limit));
        encode::rm(self.asm, op::SUB, temp, Rm::Reg(x64::BASE));
        let bytes = i32::from(inst.a.0) * layout::VALUE_SIZE as i32;
        encode::group1(self.asm, Group1::Cmp, Rm::Reg(temp), bytes);
        self.exit_if(Condition::Less, assigned.exit);
    }

    pub(super) fn interrupt_check(&mut self, assigned: &Assigned) {
        let temp = assigned.temp.number();
        let word = self.pooled(self.around.interrupt as u64);
        encode::rm(self.asm, op::MOV, temp, word);
        encode::group1_dword(self.asm, Group1::Cmp, Rm::Mem(Mem::at(temp, 0)), 0);
        self.exit_if(Condition::NotEqual, assigned.exit);
    }
}
