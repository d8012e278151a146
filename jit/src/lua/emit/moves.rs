//! Moves between registers and spill slots. They leave the flags alone.
#![forbid(unsafe_code)]

use crate::code::encode::{self, Mem, Rm, op};
use crate::code::exit::spill_offset;
use crate::code::x64::{self, Assembler};
use crate::lua::allocate::moves::Step;
use crate::lua::allocate::{Place, Reg};

/// A spill slot's memory.
pub(super) fn spill(slot: u16) -> Rm {
    Rm::Mem(Mem::at(x64::FRAME, spill_offset(slot)))
}

/// Copies between registers and spill slots.
pub(super) fn copy(asm: &mut Assembler, to: Place, from: Place) {
    match (to, from) {
        (Place::Reg(to), Place::Reg(from)) if to == from => {}
        (Place::Reg(to), Place::Reg(from)) => {
            let opcode = if to.is_vector() { op::MOVAPS } else { op::MOV };
            encode::rm(asm, opcode, to.number(), Rm::Reg(from.number()));
        }
        (Place::Reg(to), Place::Spill(slot)) => load(asm, to, spill(slot)),
        (Place::Spill(slot), Place::Reg(from)) => store(asm, spill(slot), from),
        (Place::Spill(to), Place::Spill(from)) => {
            encode::push(asm, spill(from));
            encode::pop(asm, spill(to));
        }
        _ => unreachable!("moves lead from values to registers and spill slots"),
    }
}

fn load(asm: &mut Assembler, to: Reg, from: Rm) {
    let opcode = if to.is_vector() { op::MOVSD } else { op::MOV };
    encode::rm(asm, opcode, to.number(), from);
}

fn store(asm: &mut Assembler, to: Rm, from: Reg) {
    let opcode = if from.is_vector() { op::MOVSD_TO } else { op::MOV_TO };
    encode::rm(asm, opcode, from.number(), to);
}

/// A step of moves that happen all at once.
pub(super) fn step(asm: &mut Assembler, step: Step) {
    let top = Rm::Mem(Mem::at(x64::STACK, 0));
    match step {
        Step::Move(m) => copy(asm, m.to, m.from),
        Step::Save(Place::Reg(reg)) => {
            encode::rm(asm, op::LEA, x64::STACK, Rm::Mem(Mem::at(x64::STACK, -8)));
            store(asm, top, reg);
        }
        Step::Restore(Place::Reg(reg)) => {
            load(asm, reg, top);
            encode::rm(asm, op::LEA, x64::STACK, Rm::Mem(Mem::at(x64::STACK, 8)));
        }
        Step::Save(Place::Spill(slot)) => encode::push(asm, spill(slot)),
        Step::Restore(Place::Spill(slot)) => encode::pop(asm, spill(slot)),
        Step::Save(_) | Step::Restore(_) => unreachable!("only registers and spill slots are overwritten"),
    }
}
