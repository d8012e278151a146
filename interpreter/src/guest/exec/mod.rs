//! What instructions do: one handler for each family, on decoded instructions.
//!
//! A handler either completes, or answers why it did not ([`Stop`]) and has had no effect on registers and flags that the guest
//! could see; so every fault is precise. `cpu.rip` stands at the instruction while its handler runs; `cpu.next_rip` is where it goes
//! on, which branches change.

pub mod access;
pub mod alu;
pub mod bits;
pub mod branch;
pub mod control;
pub mod cpuid;
pub mod data;
pub mod far;
pub mod flags;
pub mod fpu;
pub mod legacy;
pub mod multiply;
pub mod operand;
pub mod segment;
pub mod shift;
pub mod stack;
pub mod string;
pub mod system;
pub mod vector;

use perilune_runtime::guest::exception::Exception;
use perilune_runtime::guest::machine::Machine;

/// Why an instruction did not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It raised an exception.
    Exception(Exception),
    /// It left the guest: [`Machine::pending`] has the exit.
    Exit,
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Stop {
        Stop::Exception(exception)
    }
}

/// What an instruction answers.
pub type Done<T = ()> = Result<T, Stop>;

/// What executes a family of instructions.
pub type Handler = fn(&mut Machine, &Insn) -> Done;

/// The kinds of operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Kind {
    /// There is none.
    #[default]
    None,
    /// A general register.
    Gpr,
    /// AH, CH, DH or BH; the number is that of RAX to RBX.
    High,
    /// Memory.
    Memory,
    /// An immediate value, sign-extended.
    Immediate,
    /// A segment register.
    Segment,
    /// A control register.
    Control,
    /// A debug register.
    Debug,
    /// A register of SSE.
    Xmm,
    /// A register of MMX.
    Mmx,
    /// A register of the x87 stack.
    St,
}

/// An operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Operand {
    /// What it is.
    pub kind: Kind,
    /// The register's number.
    pub register: u8,
    /// Bytes.
    pub size: u8,
}

/// A register number in [`Memory`] that stands for no register.
pub const NO_REGISTER: u8 = 16;

/// The address of a memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// The displacement; for addresses relative to rip, the address itself.
    pub displacement: u64,
    /// The base register, or [`NO_REGISTER`].
    pub base: u8,
    /// The index register, or [`NO_REGISTER`].
    pub index: u8,
    /// log2 of the index's factor.
    pub scale: u8,
    /// The segment.
    pub segment: u8,
    /// Bytes of an address: 2, 4 or 8.
    pub size: u8,
}

/// Prefixes and other marks.
pub mod mark {
    /// REP, REPE.
    pub const REP: u8 = 1;
    /// REPNE.
    pub const REPNE: u8 = 1 << 1;
    /// LOCK.
    pub const LOCK: u8 = 1 << 2;
    /// Nothing behind it belongs to the same block.
    pub const LAST: u8 = 1 << 3;
    /// It sees to a single step itself: a software interrupt, SYSCALL, SYSRET.
    pub const STEPS: u8 = 1 << 4;
    /// A vector instruction: it sets flags, not its first operand. Shares its bit with [`NO_WAIT`].
    pub const FLAGS: u8 = 1 << 5;
    /// A vector instruction: a memory operand of 16 bytes need not be aligned. Shares its bit with [`STORES`].
    pub const UNALIGNED: u8 = 1 << 6;
    /// A vector instruction without SSE registers that needs SSE. Shares its bit with [`CONTROL`].
    pub const SSE: u8 = 1 << 7;
    /// An x87 instruction that does not raise pending exceptions.
    pub const NO_WAIT: u8 = 1 << 5;
    /// An x87 instruction that writes its memory operand.
    pub const STORES: u8 = 1 << 6;
    /// An x87 instruction that the pointers to the last instruction do not follow.
    pub const CONTROL: u8 = 1 << 7;
}

/// Where an immediate operand lies in an instruction's bytes, if the operand is all that depends on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Field {
    /// The offset of its first byte.
    pub at: u8,
    /// Bytes, negative if the operand is their value with its sign extended; 0 if there is none such.
    pub size: i8,
}

impl Field {
    fn end(self) -> usize {
        usize::from(self.at + self.size.unsigned_abs())
    }

    /// The operand in an instruction's bytes.
    pub fn read(self, bytes: &[u8]) -> u64 {
        let field = &bytes[self.at.into()..self.end()];
        let value = field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let above = 64 - 8 * field.len();
        if self.size < 0 { ((value << above) as i64 >> above) as u64 } else { value }
    }

    /// Whether instructions with these bytes differ in nothing else. They are of the same length.
    pub fn covers(self, old: &[u8], new: &[u8]) -> bool {
        let at = usize::from(self.at);
        self.size != 0 && old[..at] == new[..at] && old[self.end()..] == new[self.end()..]
    }
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    /// What executes it.
    pub handler: Handler,
    /// The immediate value, sign-extended; a branch's target; the second immediate of ENTER in bits 32 and up.
    pub immediate: u64,
    /// The memory operand.
    pub memory: Memory,
    /// The operands, in Intel's order.
    pub operands: [Operand; 3],
    /// Bytes.
    pub length: u8,
    /// The operand size in bytes.
    pub size: u8,
    /// Which of its family it is.
    pub select: u16,
    /// Bits of [`mark`].
    pub marks: u8,
    /// Where the immediate operand comes from.
    pub field: Field,
}

const _: () = assert!(size_of::<Insn>() == 48);

impl Insn {
    /// Whether one of the marks is set.
    #[inline]
    pub fn has(&self, marks: u8) -> bool {
        self.marks & marks != 0
    }
}

/// An instruction that is not there. There is one copy of it, since it is known by its address.
#[inline(never)]
pub fn undefined(_: &mut Machine, _: &Insn) -> Done {
    Err(Exception::INVALID_OPCODE.into())
}

/// NOP, prefetches, fences: nothing to do.
pub fn nothing(_: &mut Machine, _: &Insn) -> Done {
    Ok(())
}
