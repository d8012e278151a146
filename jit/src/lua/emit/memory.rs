//! Loads, stores, and the write barrier.
#![forbid(unsafe_code)]

use super::{Cold, Emitter};
use crate::code::encode::{self, Mem, Rm, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::{Assigned, Place, Reg};
use crate::lua::ir::{Field, Inst, Op, Type, Width};
use dynasmrt::DynasmLabelApi;
use perilune_runtime::lua::layout;

const TAG: i32 = layout::VALUE_TAG as i32;
const SIZE: i32 = layout::VALUE_SIZE as i32;

impl Emitter<'_> {
    pub(super) fn memory(&mut self, inst: &Inst, assigned: &Assigned) {
        let [first, second, third] = assigned.src;
        match inst.op {
            Op::Sload => self.load_value(inst, assigned, Mem::at(x64::BASE, i32::from(inst.slot()) * SIZE)),
            Op::Vload => self.load_value(inst, assigned, Self::value(first, inst.b.0)),
            Op::Cload => self.load_value(inst, assigned, Self::cell(first)),
            Op::Vtag => self.load_byte(assigned, Self::value(first, inst.b.0).plus(TAG)),
            Op::Ctag => self.load_byte(assigned, Self::cell(first).plus(TAG)),
            Op::Vstore => self.store_value(inst, Self::value(first, inst.b.0), second),
            Op::Cstore => self.store_value(inst, Self::cell(first), second),
            Op::Fload => self.load_field(inst.field(), first, assigned),
            Op::Fstore => self.store_field(inst.field(), first, second),
            Op::Upval => {
                let disp = layout::FUNCTION_CELLS as i32 + 8 * i32::from(inst.b.0);
                self.load(assigned, Mem::at(Self::reg(first), disp));
            }
            Op::Ustore => {
                let disp = layout::FUNCTION_CELLS as i32 + 8 * i32::from(inst.b.0);
                self.store_payload(Mem::at(Self::reg(first), disp), second);
            }
            Op::Byte => {
                let place = match self.immediate(second) {
                    Some(disp) => Mem::at(Self::reg(first), disp),
                    None => Mem::indexed(Self::reg(first), Self::reg(second), 0, 0),
                };
                self.load_byte(assigned, place);
            }
            Op::Aload => {
                if third != Place::None {
                    let tag = self.tag_place(assigned);
                    encode::cmp_byte(self.asm, tag, inst.base().tag());
                    self.exit_if(Condition::NotEqual, assigned.exit);
                }
                let place = self.element(first, second);
                self.load(assigned, place);
            }
            Op::Astore => {
                let place = self.element(first, second);
                self.store_payload(place, third);
            }
            Op::Atag => {
                let place = self.tag_place(assigned);
                self.load_byte(assigned, place);
            }
            Op::Asettag => {
                let place = self.tag_place(assigned);
                encode::mov_byte(self.asm, place, inst.base().tag());
            }
            _ => self.barrier(Self::reg(first), assigned.temp.number()),
        }
    }

    /// Value `n` behind a pointer.
    fn value(ptr: Place, n: u16) -> Mem {
        Mem::at(Self::reg(ptr), i32::from(n) * SIZE)
    }

    fn cell(cell: Place) -> Mem {
        Mem::at(Self::reg(cell), layout::CELL_VALUE as i32)
    }

    /// Payload of an array's element.
    fn element(&self, array: Place, index: Place) -> Mem {
        let array = Self::reg(array);
        match index {
            Place::Const(r) => Mem::at(array, self.payload(r) as i32 * 8),
            index => Mem::indexed(array, Self::reg(index), 3, 0),
        }
    }

    /// Tag of an array's element: behind the payloads that there is room for.
    fn tag_place(&mut self, assigned: &Assigned) -> Mem {
        let [array, index, capacity] = assigned.src;
        let temp = assigned.temp.number();
        let end = self.element(array, capacity);
        match index {
            Place::Const(r) if end.index.is_none() => end.plus(self.payload(r) as i32),
            Place::Const(r) => {
                encode::rm(self.asm, op::LEA, temp, Rm::Mem(end));
                Mem::at(temp, self.payload(r) as i32)
            }
            index if end.index.is_none() => Mem { index: Some(Self::reg(index)), ..end },
            index => {
                encode::rm(self.asm, op::LEA, temp, Rm::Mem(end));
                Mem::indexed(temp, Self::reg(index), 0, 0)
            }
        }
    }

    fn load(&mut self, assigned: &Assigned, place: Mem) {
        if let Some(dst) = assigned.dst {
            let opcode = if dst.is_vector() { op::MOVSD } else { op::MOV };
            encode::rm(self.asm, opcode, dst.number(), Rm::Mem(place));
        }
    }

    fn load_byte(&mut self, assigned: &Assigned, place: Mem) {
        if let Some(dst) = assigned.dst {
            encode::rm(self.asm, op::MOVZX_BYTE.dword(), dst.number(), Rm::Mem(place));
        }
    }

    /// Checks the tag of a value if it is not known, and loads the payload.
    fn load_value(&mut self, inst: &Inst, assigned: &Assigned, place: Mem) {
        if inst.ty.is_guard() {
            encode::cmp_byte(self.asm, place.plus(TAG), inst.base().tag());
            self.exit_if(Condition::NotEqual, assigned.exit);
        }
        self.load(assigned, place);
    }

    fn load_field(&mut self, field: Field, object: Place, assigned: &Assigned) {
        let place = Mem::at(Self::reg(object), field.offset() as i32);
        match (field.width(), assigned.dst) {
            (Width::U8, _) => self.load_byte(assigned, place),
            (Width::U32, Some(dst)) => encode::rm(self.asm, op::MOV.dword(), dst.number(), Rm::Mem(place)),
            (Width::U32, None) => {}
            (Width::U64, _) => self.load(assigned, place),
        }
    }

    fn store_field(&mut self, field: Field, object: Place, value: Place) {
        let place = Mem::at(Self::reg(object), field.offset() as i32);
        match (field.width(), self.immediate(value)) {
            (Width::U8, Some(imm)) => encode::mov_byte(self.asm, place, imm as u8),
            (Width::U8, None) => encode::rm(self.asm, op::MOV_TO_BYTE, Self::reg(value), Rm::Mem(place)),
            (Width::U32, Some(imm)) => encode::mov_dword(self.asm, place, imm),
            (Width::U32, None) => encode::rm(self.asm, op::MOV_TO.dword(), Self::reg(value), Rm::Mem(place)),
            (Width::U64, _) => self.store_payload(place, value),
        }
    }

    fn store_payload(&mut self, place: Mem, value: Place) {
        match (value, self.immediate(value)) {
            (_, Some(imm)) => encode::mov_qword(self.asm, place, imm),
            (Place::Reg(reg), _) => self.store_reg(place, reg),
            _ => unreachable!("the allocation gives stored values registers"),
        }
    }

    pub(super) fn store_reg(&mut self, place: Mem, reg: Reg) {
        let opcode = if reg.is_vector() { op::MOVSD_TO } else { op::MOV_TO };
        encode::rm(self.asm, opcode, reg.number(), Rm::Mem(place));
    }

    fn store_value(&mut self, inst: &Inst, place: Mem, value: Place) {
        self.store_payload(place, value);
        if !inst.ty.is_notag() {
            self.store_tag(place, inst.base());
        }
    }

    pub(super) fn store_tag(&mut self, place: Mem, ty: Type) {
        encode::mov_byte(self.asm, place.plus(TAG), ty.tag());
    }

    /// Compares the object's color with that of objects which the collector has seen.
    fn barrier(&mut self, object: u8, temp: u8) {
        let [here, back] = [(); 2].map(|()| self.asm.new_dynamic_label());
        let color = Mem::at(object, layout::HEADER_COLOR as i32);
        encode::rm(self.asm, op::MOVZX_BYTE.dword(), temp, Rm::Mem(color));
        let seen = Mem::at(x64::CONTEXT, layout::STATE_BARRIER_COLOR as i32);
        encode::rm(self.asm, op::CMP_BYTE, temp, Rm::Mem(seen));
        x64::jump_if(self.asm, Condition::Equal, here);
        self.asm.dynamic_label(back);
        self.cold.push(Cold::Barrier { object, here, back });
    }
}
