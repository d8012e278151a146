//! Instructions that are copied: the same instruction with host registers in place of the guest's, and with its memory operand where
//! the check has found it. An operand that lies in the frame takes its turn in a scratch register.

use super::super::block::{Step, literal_form};
use super::super::flags::{self, Effect, Flags};
use super::super::frame::{self, GUEST_RAX, GUEST_RSP, HOST, SCRATCH, SCRATCH2, sized, spilled};
use super::memory::{Access, Address, Place, constant};
use super::{Translator, Why, bit};
use crate::code::encode::{self, Mem, Rm, op};
use crate::code::x64::{self, Condition};
use dynasmrt::{DynasmApi, dynasm};
use iced_x86::{Instruction, MemoryOperand, Mnemonic, OpAccess, OpKind, Register};

/// A copy, before it is encoded.
struct Copy {
    instruction: Instruction,
    memory: Option<Access>,
    /// Guest registers in the frame, the scratch registers that they get, and whether they are written.
    spilled: Vec<(u8, u8, bool)>,
}

impl Translator<'_> {
    /// Copies an instruction; `rax`: the guest's RAX is put into its own place meanwhile.
    pub(super) fn copy(&mut self, step: &Step, rax: bool) {
        if let Some(address) = step.literal {
            return self.copy_with_literal(step, address);
        }
        let Some(copy) = self.plan(&step.instruction, rax) else { return self.helper(step) };
        let mut instruction = copy.instruction;
        let effect = flags::effect(&instruction);
        let written = flags::written(&instruction, &mut self.factory) | if rax { bit(GUEST_RAX) } else { 0 };
        let mut place = copy.memory.map(|access| self.access(step, access));
        if matches!(effect, Effect::Reads | Effect::Changes) && !self.state.flags.host {
            place = place.map(|place| self.fold(place));
            self.restore_flags();
        }
        // INC and DEC can be taken back, and so can what only the flags that are about to be overwritten came from.
        let continues = self.state.flags.recipe.is_some_and(|recipe| recipe.then(&instruction).is_some());
        if effect != Effect::Writes && !continues {
            self.touch(written);
        }
        if rax || !copy.spilled.is_empty() {
            place = place.map(|place| self.fold(place));
        }
        if rax || !copy.spilled.is_empty() || self.held.is_some_and(|sum| sum.uses(written)) {
            self.held = None;
        }
        for (guest, scratch, _) in &copy.spilled {
            dynasm!(self.buffer.asm; .arch x64; mov Rq(*scratch), [rsp + spilled(*guest)]);
        }
        if rax {
            dynasm!(self.buffer.asm; .arch x64; mov rax, Rq(GUEST_RAX));
        }
        if let Some(place) = place {
            set_memory(&mut instruction, place);
        }
        let encoded = flags::push(&mut self.buffer.asm, &mut self.encoder, &instruction);
        assert!(encoded, "{instruction:?} was encoded before");
        for (guest, scratch, written) in &copy.spilled {
            if *written {
                dynasm!(self.buffer.asm; .arch x64; mov [rsp + spilled(*guest)], Rq(*scratch));
            }
        }
        if rax {
            dynasm!(self.buffer.asm; .arch x64; mov Rq(GUEST_RAX), rax);
        }
        self.state.flags.after(&instruction);
    }

    /// Copies an instruction whose immediate operand is read from memory.
    fn copy_with_literal(&mut self, step: &Step, address: u64) {
        let register = step.instruction.op0_register();
        let guest = register.full_register().number() as u8;
        let host = HOST[usize::from(guest)];
        self.held = None;
        let operand = MemoryOperand::with_base(frame::register64(SCRATCH2));
        let form = literal_form(&step.instruction).expect("it was found to have one");
        let named = sized(host.unwrap_or(SCRATCH), register);
        let instruction = Instruction::with2(form, named, operand).expect("a register and memory");
        if flags::effect(&instruction) != Effect::Writes {
            self.touch(host.map_or(0, bit));
        }
        if host.is_none() {
            self.load(guest, SCRATCH);
        }
        constant(&mut self.buffer.asm, SCRATCH2, address as i64);
        flags::push(&mut self.buffer.asm, &mut self.encoder, &instruction);
        if host.is_none() && instruction.mnemonic() != Mnemonic::Cmp {
            dynasm!(self.buffer.asm; .arch x64; mov [rsp + spilled(guest)], rax);
        }
        self.state.flags.after(&instruction);
    }

    /// How an instruction is copied, if it can be.
    fn plan(&mut self, instruction: &Instruction, rax: bool) -> Option<Copy> {
        let mut copy = *instruction;
        let memory = (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory);
        let mut scratch = [!rax, !memory];
        let mut spilled: Vec<(u8, u8, bool)> = Vec::new();
        for n in (0..instruction.op_count()).filter(|n| instruction.op_kind(*n) == OpKind::Register) {
            let register = instruction.op_register(n);
            if !register.is_gpr() {
                continue;
            }
            let guest = register.full_register().number() as u8;
            if matches!(register, Register::AH | Register::BH | Register::CH | Register::DH) || rax && guest == 0 {
                continue;
            }
            let host = match (HOST[usize::from(guest)], spilled.iter_mut().find(|(known, ..)| *known == guest)) {
                (Some(host), _) => host,
                (None, Some((_, host, _))) => *host,
                (None, None) => {
                    let free = scratch.iter().position(|free| *free)?;
                    scratch[free] = false;
                    let host = [SCRATCH, SCRATCH2][free];
                    spilled.push((guest, host, false));
                    host
                }
            };
            copy.set_op_register(n, sized(host, register));
        }
        let access = self.access_of(instruction);
        let widest = Place { index: Some(GUEST_RAX), displacement: i32::MAX };
        let place = if rax || !spilled.is_empty() { Place { index: None, displacement: 0 } } else { widest };
        if access.is_some() {
            set_memory(&mut copy, place);
        }
        // AH to BH exclude the registers that need a REX prefix.
        let encodable = self.encoder.encode(&copy, 0).is_ok();
        drop(self.encoder.take_buffer());
        let written = flags::written(&copy, &mut self.factory);
        for (_, host, writes) in &mut spilled {
            *writes = written & bit(*host) != 0;
        }
        encodable.then_some(Copy { instruction: copy, memory: access, spilled })
    }

    /// What an instruction's memory operand needs, if it has one.
    pub(super) fn access_of(&mut self, instruction: &Instruction) -> Option<Access> {
        (0..instruction.op_count()).find(|n| instruction.op_kind(*n) == OpKind::Memory)?;
        let size = instruction.memory_size().size() as u32;
        let reads = |access| matches!(access, OpAccess::Read | OpAccess::CondRead);
        let used = self.factory.info(instruction).used_memory();
        let write = !used.iter().all(|used| reads(used.access()));
        // All that has 16 bytes but the moves that say so (APM volume 1, section 4.6.5).
        let unaligned = matches!(instruction.mnemonic(), Mnemonic::Movups | Mnemonic::Movupd | Mnemonic::Movdqu);
        Some(Access { address: Address::of(instruction), size, write, aligned: size == 16 && !unaligned })
    }

    /// LEA.
    pub(super) fn address(&mut self, step: &Step) {
        let instruction = &step.instruction;
        let register = instruction.op0_register();
        let guest = register.full_register().number() as u8;
        let address = Address { segment: None, ..Address::of(instruction) };
        let host = HOST[usize::from(guest)];
        self.touch(host.map_or(0, bit));
        match (host, register.size()) {
            (Some(host), 8) => self.offset_in_segment(&address, host),
            (None, 8) => self.offset_in_segment(&address, SCRATCH),
            (host, size) => {
                self.offset_in_segment(&address, SCRATCH);
                match (host, size) {
                    (Some(host), 4) => dynasm!(self.buffer.asm; .arch x64; mov Rd(host), eax),
                    (Some(host), _) => dynasm!(self.buffer.asm; .arch x64; mov Rw(host), ax),
                    (None, 4) => dynasm!(self.buffer.asm; .arch x64; mov eax, eax),
                    (None, _) => dynasm!(self.buffer.asm; .arch x64; mov [rsp + spilled(guest)], ax),
                }
            }
        }
        if host.is_none() && register.size() >= 4 {
            dynasm!(self.buffer.asm; .arch x64; mov [rsp + spilled(guest)], rax);
        }
    }

    /// DIV and IDIV of 32 and 64 bits, where it is sure that they raise nothing. As by the interpreter, flags stay.
    pub(super) fn divide(&mut self, step: &Step) {
        let instruction = &step.instruction;
        let memory = instruction.op0_kind() == OpKind::Memory;
        let size = if memory { instruction.memory_size().size() } else { instruction.op0_register().size() };
        if size < 4 {
            return self.helper(step);
        }
        let wide = size == 8;
        self.exit_point(step);
        self.save_flags();
        let mov = if wide { op::MOV } else { op::MOV.dword() };
        if let Some(access) = self.access_of(instruction) {
            let place = self.access(step, access);
            encode::rm(&mut self.buffer.asm, mov, SCRATCH2, Rm::Mem(place.mem()));
        } else {
            self.load(instruction.op0_register().full_register().number() as u8, SCRATCH2);
        }
        // What follows works in rax.
        self.held = None;
        let exit = self.exit(Why::Divide, step.rip());
        let asm = &mut self.buffer.asm;
        match (instruction.mnemonic(), wide) {
            (Mnemonic::Div, true) => dynasm!(asm; .arch x64; cmp rdx, r11),
            (Mnemonic::Div, false) => dynasm!(asm; .arch x64; cmp edx, r11d),
            (_, true) => dynasm!(asm; .arch x64; mov rax, r10; sar rax, 63; cmp rax, rdx),
            (_, false) => dynasm!(asm; .arch x64; mov eax, r10d; sar eax, 31; cmp eax, edx),
        }
        if instruction.mnemonic() == Mnemonic::Div {
            // A quotient that fits; a divisor of 0 is not more than any dividend.
            x64::jump_if(asm, Condition::AboveOrEqual, exit);
            dynasm!(asm; .arch x64; mov rax, r10);
        } else {
            // The dividend is a sign-extended number, and the divisor neither 0 nor -1.
            x64::jump_if(asm, Condition::NotEqual, exit);
            match wide {
                true => dynasm!(asm; .arch x64; lea rax, [r11 + 1]; cmp rax, 1),
                false => dynasm!(asm; .arch x64; lea eax, [r11 + 1]; cmp eax, 1),
            }
            x64::jump_if(asm, Condition::BelowOrEqual, exit);
            dynasm!(asm; .arch x64; mov rax, r10);
        }
        match (instruction.mnemonic(), wide) {
            (Mnemonic::Div, true) => dynasm!(asm; .arch x64; div r11),
            (Mnemonic::Div, false) => dynasm!(asm; .arch x64; div r11d),
            (_, true) => dynasm!(asm; .arch x64; idiv r11),
            (_, false) => dynasm!(asm; .arch x64; idiv r11d),
        }
        dynasm!(asm; .arch x64; mov r10, rax);
        self.state.flags = Flags::SAVED;
    }

    /// Loads a guest register of 64 bits into a host register.
    pub(super) fn load(&mut self, guest: u8, to: u8) {
        match HOST[usize::from(guest)] {
            Some(host) => dynasm!(self.buffer.asm; .arch x64; mov Rq(to), Rq(host)),
            None => dynasm!(self.buffer.asm; .arch x64; mov Rq(to), [rsp + spilled(guest)]),
        }
    }

    /// The host register that has a guest register's 64 bits: its own, or rax after loading it.
    fn value(&mut self, guest: u8) -> u8 {
        HOST[usize::from(guest)].unwrap_or_else(|| {
            self.load(guest, SCRATCH);
            SCRATCH
        })
    }

    /// Moves the guest's stack pointer.
    pub(super) fn move_rsp(&mut self, bytes: i32) {
        self.touch(bit(GUEST_RSP));
        encode::rm(&mut self.buffer.asm, op::LEA, GUEST_RSP, Rm::Mem(Mem::at(GUEST_RSP, bytes)));
    }

    /// Checks a push of 64 bits. The answer is where it goes.
    pub(super) fn push_place(&mut self, step: &Step) -> Place {
        self.access(step, Access { address: Address::at(4, -8), size: 8, write: true, aligned: false })
    }

    /// PUSH.
    pub(super) fn push(&mut self, step: &Step) {
        let instruction = &step.instruction;
        match instruction.op0_kind() {
            OpKind::Register => {
                let guest = instruction.op0_register().number() as u8;
                let place = self.push_place(step);
                let value = self.value(guest);
                encode::rm(&mut self.buffer.asm, op::MOV_TO, value, Rm::Mem(place.mem()));
            }
            OpKind::Memory => {
                let Some(access) = self.access_of(instruction) else { return };
                let place = self.access(step, access);
                encode::rm(&mut self.buffer.asm, op::MOV, SCRATCH, Rm::Mem(place.mem()));
                self.held = None;
                dynasm!(self.buffer.asm; .arch x64; mov [rsp + frame::TEMPORARY], rax);
                let place = self.push_place(step);
                dynasm!(self.buffer.asm; .arch x64; mov rax, [rsp + frame::TEMPORARY]);
                encode::rm(&mut self.buffer.asm, op::MOV_TO, SCRATCH, Rm::Mem(place.mem()));
            }
            _ => {
                let place = self.push_place(step);
                constant(&mut self.buffer.asm, SCRATCH, instruction.immediate(0) as i64);
                encode::rm(&mut self.buffer.asm, op::MOV_TO, SCRATCH, Rm::Mem(place.mem()));
            }
        }
        self.move_rsp(-8);
    }

    /// POP into a register.
    pub(super) fn pop(&mut self, step: &Step) {
        let guest = step.instruction.op0_register().number() as u8;
        let access = Access { address: Address::at(4, 0), size: 8, write: false, aligned: false };
        let place = self.access(step, access);
        let host = HOST[usize::from(guest)];
        self.touch(host.map_or(0, bit));
        encode::rm(&mut self.buffer.asm, op::MOV, host.unwrap_or(SCRATCH), Rm::Mem(place.mem()));
        if host.is_none() {
            dynasm!(self.buffer.asm; .arch x64; mov [rsp + spilled(guest)], rax);
        }
        if host != Some(GUEST_RSP) {
            self.move_rsp(8);
        }
    }

    /// LEAVE.
    pub(super) fn leave_frame(&mut self, step: &Step) {
        const RBP: u8 = 5;
        let access = Access { address: Address::at(RBP, 0), size: 8, write: false, aligned: false };
        let place = self.access(step, access);
        self.touch(bit(RBP) | bit(GUEST_RSP));
        encode::rm(&mut self.buffer.asm, op::MOV, SCRATCH, Rm::Mem(place.mem()));
        dynasm!(self.buffer.asm; .arch x64; lea Rq(GUEST_RSP), [rbp + 8]; mov rbp, rax);
    }
}

/// Gives an instruction its operand in the host's memory.
pub(super) fn set_memory(instruction: &mut Instruction, place: Place) {
    instruction.set_segment_prefix(Register::None);
    instruction.set_memory_base(frame::register64(SCRATCH2));
    instruction.set_memory_index(place.index.map_or(Register::None, frame::register64));
    instruction.set_memory_index_scale(1);
    instruction.set_memory_displacement64(i64::from(place.displacement) as u64);
    instruction.set_memory_displ_size(u32::from(place.displacement != 0));
}
