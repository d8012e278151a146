//! Calls of helpers, and what stands on the Lua stack around them.
#![forbid(unsafe_code)]

use super::Emitter;
use crate::code::encode::{self, Mem, Rm, Shift, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::{Assigned, END_TEMPS, Place, Reg, location_of};
use crate::lua::entry::full_call_at;
use crate::lua::ir::{Class, Failure, Inst, Type};
use perilune_runtime::lua::layout;

impl Emitter<'_> {
    /// Calls code of the arena.
    pub(super) fn call_to(&mut self, target: usize) {
        x64::call_to(self.asm, target);
    }

    /// Calls a Rust function, which may lie anywhere.
    pub(super) fn call_address(&mut self, address: usize) {
        let place = self.pooled(address as u64);
        encode::call(self.asm, place);
    }

    pub(super) fn call(&mut self, at: usize, inst: &Inst, assigned: &Assigned) {
        let helper = self.ir.helper(inst);
        let arguments = &self.allocation.arguments;
        if let Ok(index) = arguments.binary_search_by_key(&at, |(at, _)| *at) {
            self.moves(&arguments[index].1);
        }
        encode::rm(self.asm, op::MOV, x64::ARGUMENTS[0], Rm::Reg(x64::CONTEXT));
        if helper.class == Class::Full {
            // It makes the frames stand itself.
            let [site, frame] = [1, 2].map(|i| x64::ARGUMENTS[helper.args.len() + i]);
            encode::mov_imm(self.asm, site, full_call_at(self.around.number, self.synced));
            encode::rm(self.asm, op::MOV, frame, Rm::Reg(x64::FRAME));
        }
        self.call_address(helper.entry as usize);
        if helper.result == Type::Bool {
            encode::rm(self.asm, op::MOVZX_BYTE.dword(), x64::RESULT, Rm::Reg(x64::RESULT));
        }
        let failed = match helper.failure {
            _ if !inst.ty.is_guard() => None,
            Failure::Never => None,
            Failure::Zero | Failure::Caught => Some(Condition::Equal),
            Failure::NonZero => Some(Condition::NotEqual),
        };
        if let Some(condition) = failed {
            encode::rm(self.asm, op::TEST, x64::RESULT, Rm::Reg(x64::RESULT));
            self.exit_if(condition, assigned.exit);
        }
        if let Some(dst) = assigned.dst {
            let from = if dst.is_vector() { Reg::vector(0) } else { Reg(x64::RESULT) };
            self.copy(Place::Reg(dst), Place::Reg(from));
        }
    }

    /// Stores the slots of a point's snapshot in the Lua stack.
    pub(super) fn store_slots(&mut self, point: u16, temp: u8) {
        self.store_slots_from(i16::MIN, point, temp);
    }

    /// Stores those from one on.
    pub(super) fn store_slots_from(&mut self, first: i16, point: u16, temp: u8) {
        let point = &self.allocation.points[point as usize];
        if point.snapshot >= self.ir.snapshots.len() {
            return;
        }
        let snapshot = self.ir.snapshots.get(point.snapshot);
        for slot in self.ir.snapshots.slots(snapshot).iter().filter(|s| s.slot >= first) {
            let (slot, r) = (slot.slot, slot.value);
            let place = Mem::at(x64::BASE, i32::from(slot) * layout::VALUE_SIZE as i32);
            let location = location_of(&point.locations, r);
            self.store_located(place, r, location, temp);
        }
    }

    /// Before a full call: the stack shows what the program would see.
    pub(super) fn sync(&mut self, assigned: &Assigned) {
        self.store_slots(assigned.exit, assigned.temp.number());
        self.synced = assigned.exit;
    }

    /// After a full call: the stack may be elsewhere.
    pub(super) fn unsync(&mut self) {
        let (base, [thread, end, _]) = (x64::BASE, END_TEMPS);
        encode::rm(self.asm, op::MOV, thread, Rm::Mem(Mem::at(x64::CONTEXT, layout::STATE_THREAD as i32)));
        encode::rm(self.asm, op::MOV, end, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_END as i32)));
        let index = Mem::at(end, layout::FRAME_BASE as i32 - layout::FRAME_SIZE as i32);
        encode::rm(self.asm, op::MOV.dword(), base, Rm::Mem(index));
        encode::shift_imm(self.asm, Shift::Shl, base, layout::VALUE_SIZE.trailing_zeros() as u8);
        encode::rm(self.asm, op::ADD, base, Rm::Mem(Mem::at(thread, layout::THREAD_STACK as i32)));
    }

    pub(super) fn call_frames(&mut self, function: usize, point: u16) {
        encode::rm(self.asm, op::MOV, x64::ARGUMENTS[0], Rm::Reg(x64::CONTEXT));
        encode::mov_imm(self.asm, x64::ARGUMENTS[1], self.around.number.into());
        encode::mov_imm(self.asm, x64::ARGUMENTS[2], point.into());
        self.call_address(function);
    }
}
