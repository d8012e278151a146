//! Making objects: in place while there are free cells of their size at hand.
#![forbid(unsafe_code)]

use super::{Cold, Emitter};
use crate::code::encode::{self, Mem, Rm, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::Assigned;
use crate::lua::entry::Refill;
use crate::lua::ir::{Failure, Inst, Made, Ref};
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

    /// Makes an object in one cell.
    pub(super) fn make(&mut self, inst: &Inst, made: Made, assigned: &Assigned) {
        match made {
            Made::Table { slots, shape } => self.make_table(inst, (slots, shape), assigned),
            Made::Cell => self.make_cell(inst, assigned),
            Made::Function { proto, upvalues } => self.make_function(inst, (proto, upvalues), assigned),
        }
    }

    /// Makes an empty table with slots in its own cell.
    fn make_table(&mut self, inst: &Inst, (slots, shape): (usize, Ref), assigned: &Assigned) {
        let cell = self.take_cell(inst, layout::TABLE_SIZE + slots * layout::VALUE_SIZE, assigned);
        let (temp, zero) = (assigned.temp.number(), assigned.vector_temp.number());
        let place = |offset: usize| Mem::at(cell, offset as i32);
        encode::mov_dword(self.asm, place(layout::HEADER_KIND), layout::NEW_TABLE);
        encode::mov_dword(self.asm, place(layout::HEADER_EXTRA), (slots | slots << 16) as i32);
        encode::mov_imm(self.asm, temp, self.payload(shape));
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(place(layout::TABLE_SHAPE)));
        encode::rm(self.asm, op::LEA, temp, Rm::Mem(place(layout::TABLE_SIZE)));
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(place(layout::TABLE_SLOTS)));
        encode::rm(self.asm, op::XORPS, zero, Rm::Reg(zero));
        let nils = (0..slots).map(|n| layout::TABLE_SIZE + n * layout::VALUE_SIZE);
        for at in [layout::TABLE_ARRAY, layout::TABLE_HASH].into_iter().chain(nils) {
            encode::rm(self.asm, op::MOVUPS_TO, zero, Rm::Mem(place(at)));
        }
    }

    /// Makes a cell that holds nil.
    fn make_cell(&mut self, inst: &Inst, assigned: &Assigned) {
        let cell = self.take_cell(inst, layout::CELL_SIZE, assigned);
        let zero = assigned.vector_temp.number();
        encode::mov_qword(self.asm, Mem::at(cell, layout::HEADER_KIND as i32), layout::NEW_CELL);
        encode::rm(self.asm, op::XORPS, zero, Rm::Reg(zero));
        encode::rm(self.asm, op::MOVUPS_TO, zero, Rm::Mem(Mem::at(cell, layout::CELL_VALUE as i32)));
    }

    /// Makes a function, whose cells the instructions that follow store.
    fn make_function(&mut self, inst: &Inst, (proto, upvalues): (Ref, usize), assigned: &Assigned) {
        let cell = self.take_cell(inst, layout::FUNCTION_CELLS + upvalues * 8, assigned);
        let temp = assigned.temp.number();
        let place = |offset: usize| Mem::at(cell, offset as i32);
        encode::mov_qword(self.asm, place(layout::HEADER_KIND), layout::NEW_FUNCTION);
        encode::mov_imm(self.asm, temp, self.payload(proto));
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(place(layout::FUNCTION_PROTO)));
        encode::mov_dword(self.asm, place(layout::FUNCTION_COUNT), upvalues as i32);
    }
}
