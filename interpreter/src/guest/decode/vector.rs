//! Handlers for x87, MMX, SSE and SSE2.

use iced_x86::{Code, CpuidFeature, Instruction, Mnemonic, OpKind, Register};

use super::super::exec::{Handler, fpu, mark, vector};

/// A handler, its `select` and its `size`.
type Choice = (Handler, u16, u8);

/// The mandatory prefix (0 none, 1 66h, 2 F3h, 3 F2h) and where the opcode begins: behind all prefixes.
fn opcode(bytes: &[u8]) -> (u8, &[u8]) {
    let (mut prefix, mut operand_size) = (0, false);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            0x66 => operand_size = true,
            0xf3 => prefix = 2,
            0xf2 => prefix = 3,
            // Segments, address size, LOCK, and REX: outside of 64-bit code that is an instruction, and none of these follow.
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x67 | 0xf0 | 0x40..=0x4f => {}
            _ => break,
        }
        at += 1;
    }
    if prefix == 0 && operand_size {
        prefix = 1;
    }
    (prefix, &bytes[at..])
}

/// Whether all that the instruction needs of the processor is there.
fn supported(instruction: &Instruction) -> bool {
    use CpuidFeature as F;
    instruction.cpuid_features().iter().all(|feature| {
        matches!(
            feature,
            F::FPU | F::FPU287 | F::FPU387 | F::MMX | F::SSE | F::SSE2 | F::FXSR | F::CMOV | F::INTEL8086 | F::X64
        )
    })
}

/// Chooses what executes the instruction.
pub fn choose(instruction: &Instruction, bytes: &[u8]) -> Option<Choice> {
    use Mnemonic as M;
    if !supported(instruction) {
        return None;
    }
    let (prefix, rest) = opcode(bytes);
    match instruction.mnemonic() {
        M::Wait => return Some((fpu::wait, 0, 0)),
        M::Fxsave => return Some((fpu::fxsave, 0, 4)),
        M::Fxsave64 => return Some((fpu::fxsave, 0, 8)),
        M::Fxrstor => return Some((fpu::fxrstor, 0, 4)),
        M::Fxrstor64 => return Some((fpu::fxrstor, 0, 8)),
        M::Emms => return Some((vector::emms, 0, 0)),
        M::Ldmxcsr => return Some((vector::ldmxcsr, 0, 0)),
        M::Stmxcsr => return Some((vector::stmxcsr, 0, 0)),
        _ => {}
    }
    match rest {
        [opcode @ 0xd8..=0xdf, modrm, ..] => {
            let size = if is_short(instruction.code()) { 2 } else { 0 };
            Some((fpu::x87, u16::from(opcode - 0xd8) << 8 | u16::from(*modrm), size))
        }
        [0x0f, opcode, ..] => moves(instruction)
            .or_else(|| special(instruction, prefix))
            .or_else(|| computes(instruction, prefix, *opcode)),
        _ => None,
    }
}

/// The forms of the x87 environment with 14 bytes.
fn is_short(code: Code) -> bool {
    matches!(
        code,
        Code::Fldenv_m14byte
            | Code::Fnstenv_m14byte
            | Code::Fstenv_m14byte
            | Code::Frstor_m94byte
            | Code::Fnsave_m94byte
            | Code::Fsave_m94byte
    )
}

fn is_xmm(instruction: &Instruction, n: u32) -> bool {
    instruction.op_kind(n) == OpKind::Register && instruction.op_register(n).is_xmm()
}

fn moves(instruction: &Instruction) -> Option<Choice> {
    use Mnemonic as M;
    let registers = instruction.op_count() > 1 && is_xmm(instruction, 0) && is_xmm(instruction, 1);
    Some(match instruction.mnemonic() {
        M::Movaps
        | M::Movapd
        | M::Movdqa
        | M::Movups
        | M::Movupd
        | M::Movdqu
        | M::Movntps
        | M::Movntpd
        | M::Movntdq
        | M::Movntq => (vector::mov, 0, 16),
        M::Movss if registers => (vector::merge, 0, 4),
        M::Movsd if registers => (vector::merge, 0, 8),
        M::Movss | M::Movsd | M::Movd => (vector::mov, 0, 16),
        M::Movq | M::Movdq2q | M::Movq2dq => (vector::mov, 0, 8),
        M::Movlps | M::Movlpd => (vector::half, 0, 8),
        // To memory from the upper half, to the upper half from memory.
        M::Movhps | M::Movhpd => (vector::half, if is_xmm(instruction, 0) { 2 } else { 1 }, 8),
        M::Movhlps => (vector::half, 1, 8),
        M::Movlhps => (vector::half, 2, 8),
        M::Maskmovdqu | M::Maskmovq => (vector::masked_store, 0, 0),
        _ => return None,
    })
}

fn special(instruction: &Instruction, prefix: u8) -> Option<Choice> {
    use Mnemonic as M;
    Some(match instruction.mnemonic() {
        M::Pshufd | M::Pshuflw | M::Pshufhw | M::Pshufw => (vector::shuffle, prefix.into(), 0),
        M::Shufps => (vector::shuffle_two, 0, 0),
        M::Shufpd => (vector::shuffle_two, 1, 0),
        M::Pslldq => (vector::shift_bytes::<true>, 0, 0),
        M::Psrldq => (vector::shift_bytes::<false>, 0, 0),
        M::Pinsrw => (vector::insert_word, 0, 0),
        M::Pextrw => (vector::extract_word, 0, 0),
        _ => return None,
    })
}

/// What runs on the host. A shift by an immediate count has the opcode of the shift by a register.
fn computes(instruction: &Instruction, prefix: u8, opcode: u8) -> Option<Choice> {
    use Mnemonic as M;
    let shift = instruction.op_count() > 1 && instruction.op_kind(1) == OpKind::Immediate8;
    let opcode = match instruction.mnemonic() {
        M::Psrlw if shift => 0xd1,
        M::Psrld if shift => 0xd2,
        M::Psrlq if shift => 0xd3,
        M::Psraw if shift => 0xe1,
        M::Psrad if shift => 0xe2,
        M::Psllw if shift => 0xf1,
        M::Pslld if shift => 0xf2,
        M::Psllq if shift => 0xf3,
        _ => opcode,
    };
    let is_vector = |r: Register| r.is_xmm() || r.is_mm();
    let any = (0..instruction.op_count())
        .any(|n| instruction.op_kind(n) == OpKind::Register && is_vector(instruction.op_register(n)));
    let to_integer = matches!(instruction.mnemonic(), M::Cvtss2si | M::Cvtsd2si | M::Cvttss2si | M::Cvttsd2si);
    // The general register, source or destination, decides on the width of a conversion.
    let wide = (0..2).any(|n| instruction.op_kind(n) == OpKind::Register && instruction.op_register(n).is_gpr64())
        || matches!(instruction.code(), Code::Cvtsi2sd_xmm_rm64 | Code::Cvtsi2ss_xmm_rm64);
    (any || to_integer).then_some((
        vector::compute as Handler,
        u16::from(prefix) << 8 | u16::from(opcode),
        if wide { 8 } else { 0 },
    ))
}

/// The marks that these instructions have for themselves.
pub fn marks(instruction: &Instruction) -> u8 {
    use Mnemonic as M;
    match instruction.mnemonic() {
        M::Comiss | M::Comisd | M::Ucomiss | M::Ucomisd => mark::FLAGS,
        M::Movups | M::Movupd | M::Movdqu => mark::UNALIGNED,
        M::Cvtss2si | M::Cvtsd2si | M::Cvttss2si | M::Cvttsd2si => mark::SSE,
        M::Fninit | M::Fnclex | M::Fnstsw | M::Fnstcw | M::Fnstenv | M::Fnsave => {
            let stores = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Memory;
            mark::NO_WAIT | mark::CONTROL | if stores { mark::STORES } else { 0 }
        }
        M::Fst | M::Fstp | M::Fist | M::Fistp | M::Fbstp if instruction.op0_kind() == OpKind::Memory => mark::STORES,
        M::Fldcw | M::Fldenv | M::Frstor => mark::CONTROL,
        _ => 0,
    }
}
