//! The roles of registers, named once, and the few instructions that all generators emit the same way.
//!
//! Numbers are the hardware's (Intel SDM, volume 2, table 2-2), as dynasm takes them in `Rq(n)` and `Rx(n)`; `ExitState` is
//! indexed by them too. Which registers survive a call follows the System V AMD64 ABI, figure 3.4.
#![forbid(unsafe_code)]

use dynasmrt::relocations::{Relocation, RelocationKind, RelocationSize};
use dynasmrt::x64::{Rq, X64Relocation};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler};

/// What machine code is assembled with.
pub type Assembler = VecAssembler<X64Relocation>;

/// Holds the pointer that the trampoline was given first: the owner of everything. Compiled code never changes it.
pub const CONTEXT: u8 = Rq::RBX as u8;
/// Holds the second one: the base of what compiled code works on. Compiled code may move it.
pub const BASE: u8 = Rq::R14 as u8;
/// The frame: spill slots and the exit state lie below it.
pub const FRAME: u8 = Rq::RBP as u8;
/// Fixed while compiled code runs.
pub const STACK: u8 = Rq::RSP as u8;

/// General registers without a role: an allocator may use them all. Those that survive calls come last.
pub const ALLOCATABLE: [u8; 12] = [
    Rq::RAX as u8,
    Rq::RCX as u8,
    Rq::RDX as u8,
    Rq::RSI as u8,
    Rq::RDI as u8,
    Rq::R8 as u8,
    Rq::R9 as u8,
    Rq::R10 as u8,
    Rq::R11 as u8,
    Rq::R12 as u8,
    Rq::R13 as u8,
    Rq::R15 as u8,
];
/// The general registers that a called function may change, as bits. All 16 XMM registers are of that kind too.
pub const CALLER_SAVED: u16 = 1 << Rq::RAX as u8
    | 1 << Rq::RCX as u8
    | 1 << Rq::RDX as u8
    | 1 << Rq::RSI as u8
    | 1 << Rq::RDI as u8
    | 1 << Rq::R8 as u8
    | 1 << Rq::R9 as u8
    | 1 << Rq::R10 as u8
    | 1 << Rq::R11 as u8;
/// Where a called function takes its integer and pointer arguments.
pub const ARGUMENTS: [u8; 6] = [Rq::RDI as u8, Rq::RSI as u8, Rq::RDX as u8, Rq::RCX as u8, Rq::R8 as u8, Rq::R9 as u8];
/// Where it leaves its result.
pub const RESULT: u8 = Rq::RAX as u8;
/// Where it leaves the second half of a result of two words.
pub const SECOND_RESULT: u8 = Rq::RDX as u8;

/// Names of the 64-bit general registers, by number.
pub const GENERAL_NAMES: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

/// A condition of `jcc`, `setcc` and `cmovcc`; the value is the low nibble of the opcode (SDM, volume 2, appendix B.1.4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the hardware's")]
pub enum Condition {
    Overflow = 0x0,
    NoOverflow = 0x1,
    Below = 0x2,
    AboveOrEqual = 0x3,
    Equal = 0x4,
    NotEqual = 0x5,
    BelowOrEqual = 0x6,
    Above = 0x7,
    Sign = 0x8,
    NoSign = 0x9,
    Parity = 0xa,
    NoParity = 0xb,
    Less = 0xc,
    GreaterOrEqual = 0xd,
    LessOrEqual = 0xe,
    Greater = 0xf,
}

impl Condition {
    /// The one that holds exactly when this one does not.
    pub fn inverse(self) -> Condition {
        use Condition::*;
        match self {
            Overflow => NoOverflow,
            NoOverflow => Overflow,
            Below => AboveOrEqual,
            AboveOrEqual => Below,
            Equal => NotEqual,
            NotEqual => Equal,
            BelowOrEqual => Above,
            Above => BelowOrEqual,
            Sign => NoSign,
            NoSign => Sign,
            Parity => NoParity,
            NoParity => Parity,
            Less => GreaterOrEqual,
            GreaterOrEqual => Less,
            LessOrEqual => Greater,
            Greater => LessOrEqual,
        }
    }
}

/// Bytes of a rel32 displacement.
pub const DISPLACEMENT: usize = 4;

/// `jcc rel32`: always the long form, so that it can be patched. Answers the offset of the displacement.
pub fn jump_if(asm: &mut Assembler, condition: Condition, target: DynamicLabel) -> usize {
    asm.push(0x0f);
    asm.push(0x80 | condition as u8);
    displacement(asm, target)
}

/// `jmp rel32`. Answers the offset of the displacement.
pub fn jump(asm: &mut Assembler, target: DynamicLabel) -> usize {
    asm.push(0xe9);
    displacement(asm, target)
}

/// `jmp rel32` to an address outside the buffer but inside the range of the arenas. Answers the offset of the displacement.
pub fn jump_to(asm: &mut Assembler, target: usize) -> usize {
    asm.push(0xe9);
    asm.push_u32(0);
    let kind = X64Relocation::from_size(RelocationKind::RelToAbs, RelocationSize::DWord);
    asm.value_relocation(target, DISPLACEMENT as u8, 0, kind);
    asm.offset().0 - DISPLACEMENT
}

/// `call rel32` to an address outside the buffer but inside the range of the arenas.
pub fn call_to(asm: &mut Assembler, target: usize) {
    asm.push(0xe8);
    asm.push_u32(0);
    let kind = X64Relocation::from_size(RelocationKind::RelToAbs, RelocationSize::DWord);
    asm.value_relocation(target, DISPLACEMENT as u8, 0, kind);
}

fn displacement(asm: &mut Assembler, target: DynamicLabel) -> usize {
    asm.push_u32(0);
    let kind = X64Relocation::from_size(RelocationKind::Relative, RelocationSize::DWord);
    asm.dynamic_relocation(target, 0, DISPLACEMENT as u8, 0, kind);
    asm.offset().0 - DISPLACEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_general_register_has_one_role() {
        let mut roles = vec![CONTEXT, BASE, FRAME, STACK];
        roles.extend(ALLOCATABLE);
        roles.sort_unstable();
        assert_eq!(roles, (0..16).collect::<Vec<u8>>());
    }

    #[test]
    fn inverse_flips_the_lowest_bit() {
        let mut asm = Assembler::new(0);
        let label = asm.new_dynamic_label();
        for condition in [Condition::Overflow, Condition::Less, Condition::Above, Condition::Parity] {
            assert_eq!(condition.inverse().inverse(), condition);
            assert_eq!(condition.inverse() as u8, condition as u8 ^ 1);
            jump_if(&mut asm, condition, label);
        }
        asm.dynamic_label(label);
        assert_eq!(asm.finalize().unwrap()[..6], [0x0f, 0x80, 18, 0, 0, 0]);
    }
}
