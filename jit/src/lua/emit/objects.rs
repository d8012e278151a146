//! Making objects: in place while there are free cells of their size at hand.
#![forbid(unsafe_code)]

use super::{Cold, Emitter};
use crate::code::encode::{self, Mem, Rm, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::Assigned;
use crate::lua::entry::Refill;
use crate::lua::ir::{Failure, Inst, SmallTable};
use dynasmrt::DynasmLabelApi;
use perilune_runtime::lua::heap::{SIZES, class_of};
use perilune_runtime::lua::layout;

impl Emitter<'_> {
    /// Takes a free cell for an object of so many bytes. The trace leaves if there is no memory for it and `inst` may fail.
    fn take_cell(&mut self, inst: &Inst, bytes: usize, assigned: &Assigned) -> u8 {
        let (cell, temp) = (Self::dst(assigned).number(), assigned.temp.number());
        let class = class_of(bytes);
        let run = (layout::STATE_RUNS + class * layout::RUN_SIZE) as i32;
        let (start, end) = (
            Mem::at(x64::CONTEXT, run + layout::RUN_START as i32),
            Mem::at(x64::CONTEXT, run + layout::RUN_END as i32),
        );
        let [here, back] = [(); 2].map(|()| self.asm.new_dynamic_label());
        let must_succeed = self.ir.helper(inst).failure == Failure::Never;
        encode::rm(self.asm, op::MOV, cell, Rm::Mem(start));
        encode::rm(self.asm, op::CMP, cell, Rm::Mem(end));
        x64::jump_if(self.asm, Condition::Equal, here);
        self.asm.dynamic_label(back);
        if !must_succeed {
            encode::rm(self.asm, op::TEST, cell, Rm::Reg(cell));
            self.exit_if(Condition::Equal, assigned.exit);
        }
        encode::rm(self.asm, op::LEA, temp, Rm::Mem(Mem::at(cell, SIZES[class] as i32)));
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(start));
        self.cold.push(Cold::Refill { request: Refill { class, must_succeed }.encode(), cell, here, back });
        cell
    }

    /// Makes an empty table with slots in its own cell.
    pub(super) fn small_table(&mut self, inst: &Inst, table: SmallTable, assigned: &Assigned) {
        let slots = layout::TABLE_SIZE + table.slots * layout::VALUE_SIZE;
        let cell = self.take_cell(inst, slots, assigned);
        let (temp, zero) = (assigned.temp.number(), assigned.vector_temp.number());
        let place = |offset: usize| Mem::at(cell, offset as i32);
        encode::mov_dword(self.asm, place(layout::HEADER_KIND), layout::NEW_TABLE);
        encode::mov_dword(self.asm, place(layout::HEADER_EXTRA), (table.slots | table.slots << 16) as i32);
        encode::mov_imm(self.asm, temp, self.payload(table.shape));
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(place(layout::TABLE_SHAPE)));
        encode::rm(self.asm, op::LEA, temp, Rm::Mem(place(layout::TABLE_SIZE)));
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(place(layout::TABLE_SLOTS)));
        encode::rm(self.asm, op::XORPS, zero, Rm::Reg(zero));
        let nils = (0..table.slots).map(|n| layout::TABLE_SIZE + n * layout::VALUE_SIZE);
        for at in [layout::TABLE_ARRAY, layout::TABLE_HASH].into_iter().chain(nils) {
            encode::rm(self.asm, op::MOVUPS_TO, zero, Rm::Mem(place(at)));
        }
    }
}
