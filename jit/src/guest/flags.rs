//! Where the guest's flags are at a point of compiled code, and how to get them back.
//!
//! Copied instructions set the host's flags as they set the guest's. What the translator adds (checks, the budget) overwrites them. So
//! at each point the flags are in one or more of three places: the host's flags; the frame, where they were saved; or nowhere, but an
//! instruction that set all of them can be done again, since its registers still hold what they held (its *recipe*). Code that may leave
//! needs one of the last two; most often that is a recipe, and costs nothing unless it does leave.
#![forbid(unsafe_code)]

use super::frame::{FLAGS, SCRATCH, SCRATCH2};
use crate::code::x64::Assembler;
use dynasmrt::{DynasmApi, dynasm};
use iced_x86::{Code, Encoder, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, RflagsBits};

/// The six flags that arithmetic sets.
pub const ARITHMETIC: u32 =
    RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::AF | RflagsBits::CF | RflagsBits::PF;

/// How an instruction treats the arithmetic flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Neither reads nor writes.
    None,
    /// Reads, but does not write.
    Reads,
    /// Writes all, without regard to what they were.
    Writes,
    /// Writes some, or all under a condition: what they were shows.
    Changes,
}

/// What an instruction does to the flags.
pub fn effect(instruction: &Instruction) -> Effect {
    let reads = instruction.rflags_read() & ARITHMETIC != 0;
    let writes = instruction.rflags_modified() & ARITHMETIC;
    // A count of 0 leaves the flags alone.
    let counted = (0..instruction.op_count()).any(|n| instruction.op_register(n) == Register::CL)
        && matches!(
            instruction.mnemonic(),
            Mnemonic::Rol
                | Mnemonic::Ror
                | Mnemonic::Rcl
                | Mnemonic::Rcr
                | Mnemonic::Shl
                | Mnemonic::Sal
                | Mnemonic::Shr
                | Mnemonic::Sar
                | Mnemonic::Shld
                | Mnemonic::Shrd
        );
    match (reads, writes) {
        (false, 0) => Effect::None,
        (true, 0) => Effect::Reads,
        (false, ARITHMETIC) if !counted => Effect::Writes,
        _ => Effect::Changes,
    }
}

/// How to set the flags again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// The instruction that set all of them, on host registers.
    writer: Instruction,
    /// What takes the writer back, if it has changed its operand.
    undo: Option<Instruction>,
    /// INC or DEC behind it, which keeps the carry, and what takes that back.
    counter: Option<(Instruction, Instruction)>,
    /// The host registers that must not change.
    pub uses: u16,
}

/// Host registers that an instruction names, as bits; `None` if it does not consist of such registers and immediate numbers only.
fn plain_registers(instruction: &Instruction) -> Option<u16> {
    let mut bits = 0;
    for n in 0..instruction.op_count() {
        match instruction.op_kind(n) {
            OpKind::Register => {
                let register = instruction.op_register(n);
                let number = register.full_register().number() as u8;
                if !register.is_gpr() || number == SCRATCH || number == SCRATCH2 {
                    return None;
                }
                bits |= 1 << number;
            }
            OpKind::Memory => return None,
            _ => {}
        }
    }
    Some(bits)
}

/// The opcode that takes another back, for the forms with a general register first.
fn inverse(code: Code) -> Option<Code> {
    use Code::*;
    const PAIRS: &[(Code, Code)] = &[
        (Add_rm8_r8, Sub_rm8_r8),
        (Add_rm16_r16, Sub_rm16_r16),
        (Add_rm32_r32, Sub_rm32_r32),
        (Add_rm64_r64, Sub_rm64_r64),
        (Add_r8_rm8, Sub_r8_rm8),
        (Add_r16_rm16, Sub_r16_rm16),
        (Add_r32_rm32, Sub_r32_rm32),
        (Add_r64_rm64, Sub_r64_rm64),
        (Add_rm8_imm8, Sub_rm8_imm8),
        (Add_rm16_imm8, Sub_rm16_imm8),
        (Add_rm32_imm8, Sub_rm32_imm8),
        (Add_rm64_imm8, Sub_rm64_imm8),
        (Add_rm16_imm16, Sub_rm16_imm16),
        (Add_rm32_imm32, Sub_rm32_imm32),
        (Add_rm64_imm32, Sub_rm64_imm32),
        (Inc_rm8, Dec_rm8),
        (Inc_rm16, Dec_rm16),
        (Inc_rm32, Dec_rm32),
        (Inc_rm64, Dec_rm64),
    ];
    PAIRS.iter().find_map(|(a, b)| {
        if *a == code {
            Some(*b)
        } else if *b == code {
            Some(*a)
        } else {
            None
        }
    })
}

fn with_code(instruction: &Instruction, code: Code) -> Instruction {
    let mut other = *instruction;
    other.set_code(code);
    other
}

/// TEST of the first operand with itself: sets what AND, OR and XOR have set.
fn test_of_result(instruction: &Instruction) -> Option<Instruction> {
    let register = instruction.op_register(0);
    let code = match register.size() {
        8 => Code::Test_rm64_r64,
        4 => Code::Test_rm32_r32,
        2 => Code::Test_rm16_r16,
        _ => Code::Test_rm8_r8,
    };
    Instruction::with2(code, register, register).ok()
}

impl Recipe {
    /// The recipe of what an instruction on host registers has set, if it has one.
    pub fn of(instruction: &Instruction) -> Option<Recipe> {
        let uses = plain_registers(instruction)?;
        let same =
            instruction.op1_kind() == OpKind::Register && instruction.op0_register() == instruction.op1_register();
        let (writer, undo) = match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test => (*instruction, None),
            Mnemonic::And | Mnemonic::Or | Mnemonic::Xor => (test_of_result(instruction)?, None),
            // Different parts of one register are no different registers.
            Mnemonic::Add | Mnemonic::Sub
                if !same
                    && (uses.count_ones() == instruction.op_count() || instruction.op1_kind() != OpKind::Register) =>
            {
                (*instruction, Some(with_code(instruction, inverse(instruction.code())?)))
            }
            _ => return None,
        };
        Some(Recipe { writer, undo, counter: None, uses })
    }

    /// The recipe after an INC or DEC of host registers too.
    pub fn then(&self, instruction: &Instruction) -> Option<Recipe> {
        let uses = plain_registers(instruction)?;
        if self.counter.is_some() || !matches!(instruction.mnemonic(), Mnemonic::Inc | Mnemonic::Dec) {
            return None;
        }
        let undo = with_code(instruction, inverse(instruction.code())?);
        Some(Recipe { counter: Some((*instruction, undo)), uses: self.uses | uses, ..*self })
    }

    /// The instructions that set the flags again.
    fn instructions(&self) -> impl Iterator<Item = Instruction> {
        let undo_counter = self.counter.map(|(_, undo)| undo);
        let counter = self.counter.map(|(counter, _)| counter);
        [undo_counter, self.undo, Some(self.writer), counter].into_iter().flatten()
    }
}

/// Where the flags are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags {
    /// In the host's flags.
    pub host: bool,
    /// In the frame.
    pub saved: bool,
    /// They can be set again.
    pub recipe: Option<Recipe>,
}

impl Flags {
    /// In the host's flags only.
    pub const HOST: Flags = Flags { host: true, saved: false, recipe: None };
    /// In the frame only.
    pub const SAVED: Flags = Flags { host: false, saved: true, recipe: None };

    /// Whether they are safe from being overwritten.
    pub fn recoverable(&self) -> bool {
        self.saved || self.recipe.is_some()
    }

    /// Puts them into the host's flags. Overwrites rax if they come from the frame.
    pub fn restore(&mut self, asm: &mut Assembler, encoder: &mut Encoder) {
        if self.host {
            return;
        }
        match &self.recipe {
            Some(recipe) => {
                for instruction in recipe.instructions() {
                    let again = push(asm, encoder, &instruction);
                    assert!(again, "it was encoded before");
                }
            }
            // 1 + 7Fh overflows: the sum in AL gives OF, SAHF the rest.
            None => dynasm!(asm; .arch x64; mov eax, [rsp + FLAGS]; add al, 0x7f; sahf),
        }
        self.host = true;
    }

    /// Puts them into the frame. Overwrites rax.
    pub fn save(&mut self, asm: &mut Assembler, encoder: &mut Encoder) {
        if !self.saved {
            self.restore(asm, encoder);
            dynasm!(asm; .arch x64; lahf; seto al; mov [rsp + FLAGS], eax);
            self.saved = true;
        }
    }

    /// What an instruction that was copied, on host registers, does to them.
    pub fn after(&mut self, instruction: &Instruction) {
        match effect(instruction) {
            Effect::None | Effect::Reads => {}
            Effect::Writes => {
                *self = Flags { host: true, saved: false, recipe: Recipe::of(instruction) };
            }
            Effect::Changes => {
                let recipe = self.recipe.and_then(|recipe| recipe.then(instruction));
                *self = Flags { host: true, saved: false, recipe };
            }
        }
    }
}

/// Encodes an instruction; answers whether that is possible.
pub fn push(asm: &mut Assembler, encoder: &mut Encoder, instruction: &Instruction) -> bool {
    let encoded = encoder.encode(instruction, 0).is_ok();
    let bytes = encoder.take_buffer();
    if encoded {
        asm.extend(&bytes);
    }
    encoded
}

/// The host's general registers that an instruction writes, as bits.
pub fn written(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> u16 {
    let used = factory.info(instruction).used_registers();
    let writes = |access: OpAccess| {
        !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
    };
    let written = used.iter().filter(|used| used.register().is_gpr() && writes(used.access()));
    written.fold(0, |bits, used| bits | 1 << used.register().full_register().number())
}
