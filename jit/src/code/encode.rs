//! Encodes instructions of the common form: an opcode, a register, and a register or memory operand.
//!
//! `dynasm!` decides the size of a displacement when it is compiled, not when it is run; here each operand gets the
//! shortest form that holds it. Encodings are those of the Intel SDM, volume 2, chapter 2 (ModR/M, SIB, REX) and the
//! opcode tables of appendix A; an [`Opcode`] names prefix, map and byte.
#![forbid(unsafe_code)]

use super::x64::Assembler;
use dynasmrt::relocations::{Relocation, RelocationKind, RelocationSize};
use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

/// Memory at `base + index * 2^scale + disp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mem {
    /// Number of the base register.
    pub base: u8,
    /// Number of the index register, never rsp.
    pub index: Option<u8>,
    /// The power of two that the index is multiplied by, 0 to 3.
    pub scale: u8,
    /// The displacement.
    pub disp: i32,
}

impl Mem {
    /// Memory at a distance from a register.
    pub const fn at(base: u8, disp: i32) -> Mem {
        Mem { base, index: None, scale: 0, disp }
    }

    /// Memory at a distance from a scaled index.
    pub const fn indexed(base: u8, index: u8, scale: u8, disp: i32) -> Mem {
        Mem { base, index: Some(index), scale, disp }
    }

    /// The memory some bytes further on.
    #[must_use]
    pub const fn plus(self, bytes: i32) -> Mem {
        Mem { disp: self.disp + bytes, ..self }
    }
}

/// What the ModR/M byte names besides a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rm {
    /// A register.
    Reg(u8),
    /// Memory.
    Mem(Mem),
    /// Memory at a label of the code itself.
    Label(DynamicLabel),
    /// Memory at an address in reach of the code.
    Address(usize),
}

/// An instruction, but for its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opcode {
    /// Mandatory prefix, or 0.
    prefix: u8,
    /// Whether operands have 64 bits (REX.W).
    wide: bool,
    /// Bytes between prefix and opcode.
    map: &'static [u8],
    byte: u8,
    /// Whether the register operands are byte registers.
    bytes: bool,
}

const fn one(byte: u8) -> Opcode {
    Opcode { prefix: 0, wide: true, map: &[], byte, bytes: false }
}

const fn two(byte: u8) -> Opcode {
    Opcode { prefix: 0, wide: true, map: &[0x0f], byte, bytes: false }
}

const fn sse(prefix: u8, byte: u8) -> Opcode {
    Opcode { prefix, wide: false, map: &[0x0f], byte, bytes: false }
}

impl Opcode {
    /// The same with operands of 32 bits.
    #[must_use]
    pub const fn dword(self) -> Opcode {
        Opcode { wide: false, ..self }
    }

    const fn byte_sized(self) -> Opcode {
        Opcode { wide: false, bytes: true, ..self }
    }
}

/// The instructions, by their hardware names; 64-bit operands unless said otherwise.
#[expect(missing_docs, reason = "the names are the hardware's")]
pub mod op {
    use super::{Opcode, one, sse, two};

    pub const ADD: Opcode = one(0x03);
    pub const OR: Opcode = one(0x0b);
    pub const AND: Opcode = one(0x23);
    pub const SUB: Opcode = one(0x2b);
    pub const XOR: Opcode = one(0x33);
    pub const CMP: Opcode = one(0x3b);
    pub const TEST: Opcode = one(0x85);
    /// Load.
    pub const MOV: Opcode = one(0x8b);
    /// Store.
    pub const MOV_TO: Opcode = one(0x89);
    /// Store of a byte register.
    pub const MOV_TO_BYTE: Opcode = one(0x88).byte_sized();
    pub const LEA: Opcode = one(0x8d);
    pub const IMUL: Opcode = two(0xaf);
    pub const MOVZX_BYTE: Opcode = Opcode { bytes: true, ..two(0xb6) };
    /// Compares a byte register with memory.
    pub const CMP_BYTE: Opcode = one(0x3a).byte_sized();

    pub const MOVSD: Opcode = sse(0xf2, 0x10);
    /// Store.
    pub const MOVSD_TO: Opcode = sse(0xf2, 0x11);
    pub const MOVAPS: Opcode = sse(0, 0x28);
    /// Stores sixteen bytes anywhere.
    pub const MOVUPS_TO: Opcode = sse(0, 0x11);
    pub const ADDSD: Opcode = sse(0xf2, 0x58);
    pub const MULSD: Opcode = sse(0xf2, 0x59);
    pub const SUBSD: Opcode = sse(0xf2, 0x5c);
    pub const MINSD: Opcode = sse(0xf2, 0x5d);
    pub const DIVSD: Opcode = sse(0xf2, 0x5e);
    pub const MAXSD: Opcode = sse(0xf2, 0x5f);
    pub const SQRTSD: Opcode = sse(0xf2, 0x51);
    pub const ANDPS: Opcode = sse(0, 0x54);
    pub const XORPS: Opcode = sse(0, 0x57);
    pub const UCOMISD: Opcode = sse(0x66, 0x2e);
    /// From a 64-bit integer.
    pub const CVTSI2SD: Opcode = Opcode { wide: true, ..sse(0xf2, 0x2a) };
    /// To a 64-bit integer, truncating.
    pub const CVTTSD2SI: Opcode = Opcode { wide: true, ..sse(0xf2, 0x2c) };
    /// From a general register.
    pub const MOVQ_IN: Opcode = Opcode { wide: true, ..sse(0x66, 0x6e) };
    /// To a general register.
    pub const MOVQ_OUT: Opcode = Opcode { wide: true, ..sse(0x66, 0x7e) };
    /// SSE 4.1; takes an immediate byte.
    pub const ROUNDSD: Opcode = Opcode { map: &[0x0f, 0x3a], ..sse(0x66, 0x0b) };

    /// `cmovcc` with this condition.
    pub const fn cmov(condition: super::super::x64::Condition) -> Opcode {
        two(0x40 | condition as u8)
    }
}

/// Operations on an operand and an immediate: the number in the ModR/M byte's register field of opcode 81.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the hardware's")]
pub enum Group1 {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts: the number in the register field of opcode C1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the hardware's")]
pub enum Shift {
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// Emits `opcode reg, rm`; for stores and `MOVQ_OUT`, `opcode rm, reg`.
pub fn rm(asm: &mut Assembler, opcode: Opcode, reg: u8, rm: Rm) {
    rm_imm(asm, opcode, reg, rm, &[]);
}

/// Emits `opcode reg, rm` followed by immediate bytes.
pub fn rm_imm(asm: &mut Assembler, opcode: Opcode, reg: u8, operand: Rm, imm: &[u8]) {
    if opcode.prefix != 0 {
        asm.push(opcode.prefix);
    }
    let (index, base) = match operand {
        Rm::Reg(r) => (0, r),
        Rm::Mem(m) => (m.index.unwrap_or(0), m.base),
        Rm::Label(_) | Rm::Address(_) => (0, 0),
    };
    let mut rex = 0x40 | u8::from(opcode.wide) << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
    if rex == 0x40 {
        // Byte registers 4 to 7 are sil, dil and so on only with a REX prefix.
        let low_byte = opcode.bytes && (reg >= 4 || matches!(operand, Rm::Reg(4..)));
        rex = if low_byte { 0x40 } else { 0 };
    }
    if rex != 0 {
        asm.push(rex);
    }
    for &byte in opcode.map {
        asm.push(byte);
    }
    asm.push(opcode.byte);
    let reg = (reg & 7) << 3;
    match operand {
        Rm::Reg(r) => asm.push(0xc0 | reg | r & 7),
        Rm::Mem(m) => memory(asm, reg, m),
        Rm::Label(label) => {
            asm.push(0x05 | reg);
            asm.push_u32(0);
            for &byte in imm {
                asm.push(byte);
            }
            let kind = X64Relocation::from_size(RelocationKind::Relative, RelocationSize::DWord);
            let behind = imm.len() as u8;
            return asm.dynamic_relocation(label, 0, 4 + behind, 0, kind);
        }
        Rm::Address(address) => {
            asm.push(0x05 | reg);
            asm.push_u32(0);
            for &byte in imm {
                asm.push(byte);
            }
            let kind = X64Relocation::from_size(RelocationKind::RelToAbs, RelocationSize::DWord);
            return asm.value_relocation(address, 4 + imm.len() as u8, 0, kind);
        }
    }
    for &byte in imm {
        asm.push(byte);
    }
}

/// ModR/M, SIB and displacement of a memory operand. SDM, volume 2, tables 2-2 and 2-3: rsp and r12 as a base need a SIB
/// byte, rbp and r13 a displacement.
fn memory(asm: &mut Assembler, reg: u8, m: Mem) {
    let (mode, wide) = match i8::try_from(m.disp) {
        Ok(0) if m.base & 7 != 5 => (0x00, None),
        Ok(short) => (0x40, Some(Ok(short))),
        Err(_) => (0x80, Some(Err(m.disp))),
    };
    match m.index {
        None if m.base & 7 != 4 => asm.push(mode | reg | m.base & 7),
        index => {
            asm.push(mode | reg | 4);
            let index = index.map_or(4, |i| i & 7);
            asm.push(m.scale << 6 | index << 3 | m.base & 7);
        }
    }
    match wide {
        None => {}
        Some(Ok(short)) => asm.push_i8(short),
        Some(Err(long)) => asm.push_i32(long),
    }
}

/// Emits `op rm, imm`.
pub fn group1(asm: &mut Assembler, op: Group1, operand: Rm, imm: i32) {
    match i8::try_from(imm) {
        Ok(short) => rm_imm(asm, one(0x83), op as u8, operand, &[short as u8]),
        Err(_) => rm_imm(asm, one(0x81), op as u8, operand, &imm.to_le_bytes()),
    }
}

/// Emits `op dword rm, imm`.
pub fn group1_dword(asm: &mut Assembler, op: Group1, operand: Rm, imm: i32) {
    match i8::try_from(imm) {
        Ok(short) => rm_imm(asm, one(0x83).dword(), op as u8, operand, &[short as u8]),
        Err(_) => rm_imm(asm, one(0x81).dword(), op as u8, operand, &imm.to_le_bytes()),
    }
}

/// Emits `cmp byte rm, imm`.
pub fn cmp_byte(asm: &mut Assembler, operand: Mem, imm: u8) {
    rm_imm(asm, one(0x80).byte_sized(), Group1::Cmp as u8, Rm::Mem(operand), &[imm]);
}

/// Emits `mov byte rm, imm`.
pub fn mov_byte(asm: &mut Assembler, operand: Mem, imm: u8) {
    rm_imm(asm, one(0xc6).byte_sized(), 0, Rm::Mem(operand), &[imm]);
}

/// Emits `test dword rm, imm`.
pub fn test_dword(asm: &mut Assembler, operand: Mem, imm: i32) {
    rm_imm(asm, one(0xf7).dword(), 0, Rm::Mem(operand), &imm.to_le_bytes());
}

/// Emits `mov dword rm, imm`.
pub fn mov_dword(asm: &mut Assembler, operand: Mem, imm: i32) {
    rm_imm(asm, one(0xc7).dword(), 0, Rm::Mem(operand), &imm.to_le_bytes());
}

/// Emits `mov qword rm, imm`; the immediate is extended with its sign.
pub fn mov_qword(asm: &mut Assembler, operand: Mem, imm: i32) {
    rm_imm(asm, one(0xc7), 0, Rm::Mem(operand), &imm.to_le_bytes());
}

/// Emits the shortest move of a constant to a general register. Leaves the flags alone.
pub fn mov_imm(asm: &mut Assembler, reg: u8, value: u64) {
    if let Ok(low) = u32::try_from(value) {
        if reg >= 8 {
            asm.push(0x41);
        }
        asm.push(0xb8 | reg & 7);
        asm.push_u32(low);
    } else if let Ok(low) = i32::try_from(value as i64) {
        rm_imm(asm, one(0xc7), 0, Rm::Reg(reg), &low.to_le_bytes());
    } else {
        asm.push(0x48 | reg >> 3);
        asm.push(0xb8 | reg & 7);
        asm.push_i64(value as i64);
    }
}

/// Emits a shift by a constant.
pub fn shift_imm(asm: &mut Assembler, op: Shift, reg: u8, count: u8) {
    rm_imm(asm, one(0xc1), op as u8, Rm::Reg(reg), &[count]);
}

/// Emits a shift by cl.
pub fn shift_cl(asm: &mut Assembler, op: Shift, reg: u8) {
    rm(asm, one(0xd3), op as u8, Rm::Reg(reg));
}

/// Emits `imul reg, rm, imm`.
pub fn imul_imm(asm: &mut Assembler, reg: u8, operand: Rm, imm: i32) {
    match i8::try_from(imm) {
        Ok(short) => rm_imm(asm, one(0x6b), reg, operand, &[short as u8]),
        Err(_) => rm_imm(asm, one(0x69), reg, operand, &imm.to_le_bytes()),
    }
}

/// Emits `neg reg`.
pub fn neg(asm: &mut Assembler, reg: u8) {
    rm(asm, one(0xf7), 3, Rm::Reg(reg));
}

/// Emits `not reg`.
pub fn not(asm: &mut Assembler, reg: u8) {
    rm(asm, one(0xf7), 2, Rm::Reg(reg));
}

/// Emits `idiv reg`: rdx:rax by a register.
pub fn idiv(asm: &mut Assembler, reg: u8) {
    rm(asm, one(0xf7), 7, Rm::Reg(reg));
}

/// Emits `div reg` on 32 bits: edx:eax by a register.
pub fn div_dword(asm: &mut Assembler, reg: u8) {
    rm(asm, one(0xf7).dword(), 6, Rm::Reg(reg));
}

/// Emits `xchg a, b`.
pub fn xchg(asm: &mut Assembler, a: u8, b: u8) {
    rm(asm, one(0x87), a, Rm::Reg(b));
}

/// Emits `push qword rm`.
pub fn push(asm: &mut Assembler, operand: Rm) {
    match operand {
        Rm::Reg(register) => with_register(asm, 0x50, register),
        memory => rm(asm, one(0xff).dword(), 6, memory),
    }
}

/// Emits `push imm32`, sign-extended.
pub fn push_imm(asm: &mut Assembler, imm: i32) {
    asm.push(0x68);
    asm.push_i32(imm);
}

/// Emits `pop qword rm`.
pub fn pop(asm: &mut Assembler, operand: Rm) {
    match operand {
        Rm::Reg(register) => with_register(asm, 0x58, register),
        memory => rm(asm, one(0x8f).dword(), 0, memory),
    }
}

/// An instruction without a ModR/M byte, whose opcode names a register in its low bits.
fn with_register(asm: &mut Assembler, opcode: u8, register: u8) {
    if register >= 8 {
        asm.push(0x41);
    }
    asm.push(opcode | register & 7);
}

/// Emits `call rm`.
pub fn call(asm: &mut Assembler, target: Rm) {
    rm(asm, one(0xff).dword(), 2, target);
}

/// `jmp target`, to an address in a register or in memory.
pub fn jump(asm: &mut Assembler, target: Rm) {
    rm(asm, one(0xff).dword(), 4, target);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::dump::disassemble;
    use crate::code::x64::Condition;

    fn text(emit: impl FnOnce(&mut Assembler)) -> String {
        let mut asm = Assembler::new(0x1000);
        emit(&mut asm);
        let bytes = asm.finalize().unwrap();
        let lines: Vec<_> = disassemble(&bytes, 0x1000, |_| None).into_iter().map(|l| l.text).collect();
        lines.join("; ")
    }

    #[test]
    fn every_base_index_and_displacement() {
        let names = crate::code::x64::GENERAL_NAMES;
        for base in 0..16u8 {
            for disp in [0, 1, -128, 127, 128, -1000] {
                let sign = if disp < 0 { "-" } else { "+" };
                let offset = if disp == 0 { String::new() } else { format!("{sign}{:#x}", i32::abs(disp)) };
                let plain = text(|asm| rm(asm, op::MOV, 9, Rm::Mem(Mem::at(base, disp))));
                let expected = format!("mov r9, [{}{offset}]", names[base as usize]);
                assert_eq!(plain.replace("+1]", "+0x1]"), expected);
                for index in (0..16u8).filter(|&i| i != 4) {
                    let found = text(|asm| rm(asm, op::ADDSD, 12, Rm::Mem(Mem::indexed(base, index, 3, disp))));
                    let expected =
                        format!("addsd xmm12, [{}+{}*8{offset}]", names[base as usize], names[index as usize]);
                    assert_eq!(found.replace("+1]", "+0x1]"), expected);
                }
            }
        }
    }

    #[test]
    fn instructions_of_all_forms() {
        let m = Rm::Mem(Mem::at(3, 8));
        type Emit<'a> = &'a dyn Fn(&mut Assembler);
        let cases: &[(&str, Emit<'_>)] = &[
            ("mov [rbx+8], r10", &|a| rm(a, op::MOV_TO, 10, m)),
            ("mov [rbx+8], sil", &|a| rm(a, op::MOV_TO_BYTE, 6, m)),
            ("mov [rbx+8], al", &|a| rm(a, op::MOV_TO_BYTE, 0, m)),
            ("movzx rdi, byte [rbx+8]", &|a| rm(a, op::MOVZX_BYTE, 7, m)),
            ("movzx rdi, sil", &|a| rm(a, op::MOVZX_BYTE, 7, Rm::Reg(6))),
            ("mov eax, [rbx+8]", &|a| rm(a, op::MOV.dword(), 0, m)),
            ("movsd xmm9, [rbx+8]", &|a| rm(a, op::MOVSD, 9, m)),
            ("movsd [rbx+8], xmm1", &|a| rm(a, op::MOVSD_TO, 1, m)),
            ("movaps xmm1, xmm15", &|a| rm(a, op::MOVAPS, 1, Rm::Reg(15))),
            ("ucomisd xmm1, xmm2", &|a| rm(a, op::UCOMISD, 1, Rm::Reg(2))),
            ("cvtsi2sd xmm8, r9", &|a| rm(a, op::CVTSI2SD, 8, Rm::Reg(9))),
            ("cvttsd2si r9, xmm8", &|a| rm(a, op::CVTTSD2SI, 9, Rm::Reg(8))),
            ("movq xmm3, r11", &|a| rm(a, op::MOVQ_IN, 3, Rm::Reg(11))),
            ("movq r11, xmm3", &|a| rm(a, op::MOVQ_OUT, 3, Rm::Reg(11))),
            ("roundsd xmm9, xmm2, 9", &|a| rm_imm(a, op::ROUNDSD, 9, Rm::Reg(2), &[9])),
            ("cmovl rax, r8", &|a| rm(a, op::cmov(Condition::Less), 0, Rm::Reg(8))),
            ("imul r8, rax", &|a| rm(a, op::IMUL, 8, Rm::Reg(0))),
            ("imul r8, rax, 0x3e8", &|a| imul_imm(a, 8, Rm::Reg(0), 1000)),
            ("add r8, 0x3e8", &|a| group1(a, Group1::Add, Rm::Reg(8), 1000)),
            ("cmp qword [rbx+8], 0", &|a| group1(a, Group1::Cmp, m, 0)),
            ("cmp dword [rbx+8], 0", &|a| group1_dword(a, Group1::Cmp, m, 0)),
            ("cmp byte [rbx+8], 3", &|a| cmp_byte(a, Mem::at(3, 8), 3)),
            ("mov byte [rbx+8], 3", &|a| mov_byte(a, Mem::at(3, 8), 3)),
            ("mov dword [rbx+8], 3", &|a| mov_dword(a, Mem::at(3, 8), 3)),
            ("mov qword [rbx+8], 3", &|a| mov_qword(a, Mem::at(3, 8), 3)),
            ("mov r10d, 5", &|a| mov_imm(a, 10, 5)),
            ("mov r10, 0xfffffffffffffffb", &|a| mov_imm(a, 10, -5i64 as u64)),
            ("mov r10, 0x123456789", &|a| mov_imm(a, 10, 0x1_2345_6789)),
            ("sar r10, 5", &|a| shift_imm(a, Shift::Sar, 10, 5)),
            ("shl rax, cl", &|a| shift_cl(a, Shift::Shl, 0)),
            ("neg r10; not rax", &|a| {
                neg(a, 10);
                not(a, 0);
            }),
            ("idiv r9; div ecx", &|a| {
                idiv(a, 9);
                div_dword(a, 1);
            }),
            ("xchg r9, rax", &|a| xchg(a, 0, 9)),
            ("push qword [rbx+8]; pop qword [rbx+8]", &|a| {
                push(a, m);
                pop(a, m);
            }),
            ("push r9; pop r9; call r9", &|a| {
                push(a, Rm::Reg(9));
                pop(a, Rm::Reg(9));
                call(a, Rm::Reg(9));
            }),
            ("cmp rax, [0x1007]", &|a| rm(a, op::CMP, 0, Rm::Address(0x1007))),
            ("lea r9, [rbx+8]", &|a| rm(a, op::LEA, 9, m)),
        ];
        for (expected, emit) in cases {
            let found = text(emit).replace(" ptr", "");
            assert_eq!(found, *expected);
        }
    }
}
