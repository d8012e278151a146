//! x87 instructions, copied as they are: once the guest's x87 state is in the host's, until the code is left or a helper is called.
//!
//! A block makes sure of that at its first x87 instruction. Exceptions stay masked: a state that unmasks some is not loaded, and FLDCW looks
//! at what it loads; so nothing traps, and no instruction has one to wait for. What the state remembers of its last instruction is known
//! when the code is translated, but for the operand's address, which the frame has; exits have the rest ([`Last`]), and the frame gets it before the block leads on.

use super::super::block::Step;
use super::super::flags::{self, Flags};
use super::super::frame::{GUEST_RAX, TEMPORARY, X87, X87_DATA, X87_INSTRUCTION, X87_OPCODE};
use super::super::trampoline::X87_MASKS;
use super::copy::set_memory;
use super::memory::{Address, Place};
use super::{Cold, Last, SCRATCH, Translator, Why};
use crate::code::x64::{self, Condition};
use dynasmrt::{DynamicLabel, DynasmApi, dynasm};
use iced_x86::{Code, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

impl Translator<'_> {
    /// An x87 instruction.
    pub(super) fn x87(&mut self, step: &Step) {
        self.ready(step);
        let instruction = &step.instruction;
        let memory = self.access_of(instruction);
        let place = memory.map(|access| self.access(step, access));
        if flags::effect(instruction) == flags::Effect::Reads {
            self.restore_flags();
        }
        match (instruction.mnemonic(), place) {
            (Mnemonic::Fldcw, Some(place)) => self.load_control(step, place),
            (_, Some(place)) => {
                let mut copy = *instruction;
                set_memory(&mut copy, place);
                self.push_x87(&copy);
            }
            (_, None) => self.push_x87(instruction),
        }
        if instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::AX {
            self.held = None;
            dynasm!(self.buffer.asm; .arch x64; mov Rw(GUEST_RAX), ax);
        }
        if flags::effect(instruction) == flags::Effect::Writes {
            self.state.flags = Flags::HOST;
        }
        if let Some(opcode) = step.opcode {
            self.state.last = Some(Last { rip: step.rip(), opcode });
            if memory.is_some() {
                self.held = None;
                self.offset_in_segment(&Address { segment: None, ..Address::of(instruction) }, SCRATCH);
                dynasm!(self.buffer.asm; .arch x64; mov [rsp + X87_DATA], rax);
            }
        }
    }

    fn push_x87(&mut self, instruction: &Instruction) {
        let encoded = flags::push(&mut self.buffer.asm, &mut self.encoder, instruction);
        assert!(encoded, "{instruction:?} has no new registers but in its address");
    }

    /// Makes sure that the x87 state is in the host's.
    fn ready(&mut self, step: &Step) {
        if self.loaded {
            return;
        }
        self.exit_point(step);
        let (label, back) = (self.label(), self.label());
        let exit = self.exit(Why::X87, step.rip());
        dynasm!(self.buffer.asm; .arch x64; cmp DWORD [rsp + X87], 0);
        x64::jump_if(self.asm(), Condition::Equal, label);
        self.place(back);
        self.cold.push(Cold::Load { label, back, exit });
        self.held = None;
        self.loaded = true;
    }

    /// The rare part of [`Translator::ready`].
    pub(super) fn load_x87(&mut self, label: DynamicLabel, back: DynamicLabel, exit: DynamicLabel) {
        self.place(label);
        x64::call_to(&mut self.buffer.asm, self.trampoline.x87);
        x64::jump_if(self.asm(), Condition::Equal, back);
        x64::jump(self.asm(), exit);
    }

    /// FLDCW, if it masks all exceptions. The access was checked, so the flags are safe.
    fn load_control(&mut self, step: &Step, place: Place) {
        let exit = self.exit(Why::X87, step.rip());
        let operand = MemoryOperand::with_base(Register::R11);
        let mut load =
            Instruction::with2(Code::Movzx_r32_rm16, Register::R11D, operand).expect("a register and memory");
        set_memory(&mut load, place);
        self.push_x87(&load);
        dynasm!(self.buffer.asm; .arch x64; mov [rsp + TEMPORARY], r11d; not r11d; test r11d, X87_MASKS);
        x64::jump_if(self.asm(), Condition::NotEqual, exit);
        dynasm!(self.buffer.asm; .arch x64; fldcw WORD [rsp + TEMPORARY]);
    }

    /// Tells the frame of the last x87 instruction, before the block leads on. Keeps registers and flags.
    pub(super) fn tell_last(&mut self) {
        if let Some(Last { rip, opcode }) = self.state.last.take() {
            dynasm!(self.buffer.asm
                ; .arch x64
                ; mov DWORD [rsp + X87_OPCODE], i32::from(opcode)
                ; mov DWORD [rsp + X87_INSTRUCTION], rip as i32
                ; mov DWORD [rsp + X87_INSTRUCTION + 4], (rip >> 32) as i32
            );
        }
    }
}
