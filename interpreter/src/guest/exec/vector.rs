//! MMX, SSE and SSE2: moves and shuffles here, everything that computes on the host's units ([`native`]).

use perilune_runtime::guest::cpu::flag::ARITHMETIC;
use perilune_runtime::guest::cpu::{MXCSR_MASK, cr0, cr4, gpr::RDI, mode, seg};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::tlb::Access;

use super::operand::{effective, gpr, mask, set_gpr};
use super::{Done, Insn, Kind, access, flags, fpu, mark};
use crate::guest::native::{self, Operands, Vector};

/// SSE instructions need that CR0 and CR4 let them.
fn available(m: &Machine) -> Done {
    if m.cpu.mode & mode::SSE != 0 {
        return Ok(());
    }
    let undefined = m.cpu.cr0 & cr0::EM != 0 || m.cpu.cr4 & cr4::OSFXSR == 0;
    Err(Exception::plain(if undefined { vector::INVALID_OPCODE } else { vector::DEVICE }).into())
}

/// Checks what the instruction needs: MMX registers mean x87 too.
fn check(m: &Machine, i: &Insn) -> Done {
    if i.operands.iter().any(|operand| operand.kind == Kind::Mmx) {
        if m.cpu.cr0 & cr0::EM != 0 {
            return Err(Exception::INVALID_OPCODE.into());
        }
        fpu::available(m)?;
        fpu::wait_for_errors(m)?;
    }
    if i.operands.iter().any(|operand| operand.kind == Kind::Xmm) || i.has(mark::SSE) { available(m) } else { Ok(()) }
}

/// The address of a memory operand of 16 bytes, which has to be aligned unless the instruction says otherwise.
fn address(m: &Machine, i: &Insn, size: u8) -> Done<u64> {
    let offset = effective(m, i);
    if size == 16 && !i.has(mark::UNALIGNED) {
        let va = access::linear(m, i.memory.segment, offset, 16, Access::Read)?;
        if !va.is_multiple_of(16) {
            return Err(Exception::PROTECTION.into());
        }
    }
    Ok(offset)
}

/// Reads operand `n`, zero-extended.
fn get(m: &mut Machine, i: &Insn, n: usize) -> Done<u128> {
    let operand = i.operands[n];
    let number = usize::from(operand.register);
    Ok(match operand.kind {
        Kind::Xmm => m.cpu.fx.xmm[number],
        Kind::Mmx => {
            let st = m.cpu.fx.st[place(m, number)];
            u64::from_le_bytes(std::array::from_fn(|byte| st[byte])).into()
        }
        Kind::Gpr => gpr(m, number, operand.size).into(),
        Kind::Memory => {
            let offset = address(m, i, operand.size)?;
            if operand.size == 16 {
                u128::from_le_bytes(access::read(m, i.memory.segment, offset)?)
            } else {
                access::load(m, i.memory.segment, offset, operand.size)?.into()
            }
        }
        _ => i.immediate.into(),
    })
}

/// Writes operand `n`: all of a register, or the operand's size of memory.
fn set(m: &mut Machine, i: &Insn, n: usize, value: u128) -> Done {
    let operand = i.operands[n];
    let number = usize::from(operand.register);
    match operand.kind {
        Kind::Xmm => m.cpu.fx.xmm[number] = value,
        Kind::Mmx => set_mmx(m, number, value as u64),
        Kind::Gpr => set_gpr(m, number, operand.size.max(4), value as u64),
        Kind::Memory => {
            let offset = address(m, i, operand.size)?;
            if operand.size == 16 {
                access::write(m, i.memory.segment, offset, value.to_le_bytes())?;
            } else {
                access::store(m, i.memory.segment, offset, operand.size, value as u64)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Where MMX register `number` is: the x87 stack is kept from its top on, MMX registers do not move with it.
fn place(m: &Machine, number: usize) -> usize {
    number.wrapping_sub(usize::from(m.cpu.fx.status >> 11)) & 7
}

/// Makes the first register the top of the x87 stack.
fn reset_top(m: &mut Machine) {
    let top = usize::from(m.cpu.fx.status >> 11 & 7);
    m.cpu.fx.st.rotate_right(top);
    m.cpu.fx.status &= !0x3800;
}

/// Writes an MMX register: the upper bytes become ones.
fn set_mmx(m: &mut Machine, number: usize, value: u64) {
    let place = place(m, number);
    let st = &mut m.cpu.fx.st[place];
    st[..8].copy_from_slice(&value.to_le_bytes());
    st[8..10].fill(0xff);
}

/// Any MMX instruction makes all registers valid and the first one the top.
fn enter_mmx(m: &mut Machine, i: &Insn) {
    if i.operands.iter().any(|operand| operand.kind == Kind::Mmx) {
        m.cpu.fx.tag = 0xff;
        reset_top(m);
    }
}

/// Moves of a whole operand: loads zero-extend.
pub fn mov(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let value = get(m, i, 1)?;
    set(m, i, 0, value & narrow(i))?;
    enter_mmx(m, i);
    Ok(())
}

/// What a move takes of its source: MOVQ between registers takes the lower half.
fn narrow(i: &Insn) -> u128 {
    if i.size == 8 { u64::MAX.into() } else { u128::MAX }
}

/// MOVSS and MOVSD between registers: `size` bytes, the rest stays.
pub fn merge(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let low = u128::from(mask(i.size));
    let value = get(m, i, 1)?;
    let old = get(m, i, 0)?;
    set(m, i, 0, old & !low | value & low)
}

/// MOVLPS, MOVLPD, MOVHPS, MOVHPD, MOVHLPS, MOVLHPS: `select` bit 0 is the source's half, bit 1 the destination's.
pub fn half(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let value = get(m, i, 1)? >> if i.select & 1 != 0 { 64 } else { 0 } & u128::from(u64::MAX);
    if i.operands[0].kind == Kind::Memory {
        return set(m, i, 0, value);
    }
    let shift = if i.select & 2 != 0 { 64 } else { 0 };
    let old = get(m, i, 0)? & !(u128::from(u64::MAX) << shift);
    set(m, i, 0, old | value << shift)
}

/// Sets the first operand's words by selecting among words of `size` bits: two bits of the immediate for each of four.
fn select(source: u128, immediate: u64, size: u32) -> u128 {
    let word = |n: u64| source >> (size * (n & 3) as u32) & ((1 << size) - 1);
    (0..4u32).fold(0, |all, n| all | word(immediate >> (2 * n)) << (size * n))
}

/// PSHUFD, PSHUFLW, PSHUFHW, PSHUFW: `select` is the mandatory prefix.
pub fn shuffle(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let source = get(m, i, 1)?;
    let low = u128::from(u64::MAX);
    let value = match i.select {
        1 => select(source, i.immediate, 32),
        2 => source & low | select(source >> 64, i.immediate, 16) << 64,
        3 => source & !low | select(source, i.immediate, 16),
        _ => select(source, i.immediate, 16),
    };
    set(m, i, 0, value)?;
    enter_mmx(m, i);
    Ok(())
}

/// SHUFPS, and SHUFPD with `select` 1.
pub fn shuffle_two(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let source = get(m, i, 1)?;
    let first = get(m, i, 0)?;
    let value = if i.select == 1 {
        let half = |value: u128, n: u64| value >> if n & 1 != 0 { 64 } else { 0 } & u128::from(u64::MAX);
        half(first, i.immediate) | half(source, i.immediate >> 1) << 64
    } else {
        let low = u128::from(u64::MAX);
        select(first, i.immediate, 32) & low | select(source, i.immediate, 32) & !low
    };
    set(m, i, 0, value)
}

/// PSLLDQ (`LEFT`) and PSRLDQ.
pub fn shift_bytes<const LEFT: bool>(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let value = get(m, i, 0)?;
    let bits = 8 * (i.immediate as u32 & 0xff).min(16);
    let shifted = if LEFT { value.checked_shl(bits) } else { value.checked_shr(bits) };
    set(m, i, 0, shifted.unwrap_or(0))
}

/// PINSRW.
pub fn insert_word(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let value = get(m, i, 1)? & 0xffff;
    let words = if i.operands[0].kind == Kind::Mmx { 3 } else { 7 };
    let shift = 16 * (i.immediate & words) as u32;
    let old = get(m, i, 0)? & !(0xffff << shift);
    set(m, i, 0, old | value << shift)?;
    enter_mmx(m, i);
    Ok(())
}

/// PEXTRW.
pub fn extract_word(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let words = if i.operands[1].kind == Kind::Mmx { 3 } else { 7 };
    let value = get(m, i, 1)? >> (16 * (i.immediate & words) as u32) & 0xffff;
    set_gpr(m, i.operands[0].register.into(), i.operands[0].size, value as u64);
    enter_mmx(m, i);
    Ok(())
}

/// MASKMOVDQU, MASKMOVQ: the bytes of the first register whose bit 7 is set in the second, at rDI.
pub fn masked_store(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    // Operand 0 is the memory at rDI.
    let (value, selected) = (get(m, i, 1)?.to_le_bytes(), get(m, i, 2)?.to_le_bytes());
    let size = usize::from(i.operands[1].size);
    let offset = gpr(m, RDI, i.memory.size);
    let segment = if i.memory.segment >= seg::FS as u8 || !m.cpu.code64() { i.memory.segment } else { seg::DS as u8 };
    // As processors do, even if the store faults.
    enter_mmx(m, i);
    // The memory has to be writable even if no byte is selected.
    let mut bytes = [0; 16];
    access::read_bytes(m, segment, offset, &mut bytes[..size], Access::Write)?;
    for n in 0..size {
        if selected[n] & 0x80 != 0 {
            bytes[n] = value[n];
        }
    }
    access::write_bytes(m, segment, offset, &bytes[..size])?;
    Ok(())
}

/// EMMS.
pub fn emms(m: &mut Machine, _: &Insn) -> Done {
    if m.cpu.cr0 & cr0::EM != 0 {
        return Err(Exception::INVALID_OPCODE.into());
    }
    fpu::available(m)?;
    fpu::wait_for_errors(m)?;
    m.cpu.fx.tag = 0;
    reset_top(m);
    Ok(())
}

/// LDMXCSR.
pub fn ldmxcsr(m: &mut Machine, i: &Insn) -> Done {
    available(m)?;
    let offset = effective(m, i);
    let value = access::load(m, i.memory.segment, offset, 4)? as u32;
    if value & !MXCSR_MASK != 0 {
        return Err(Exception::PROTECTION.into());
    }
    m.cpu.fx.mxcsr = value;
    Ok(())
}

/// STMXCSR.
pub fn stmxcsr(m: &mut Machine, i: &Insn) -> Done {
    available(m)?;
    let offset = effective(m, i);
    let value = m.cpu.fx.mxcsr;
    access::store(m, i.memory.segment, offset, 4, value.into())
}

/// The bits of MXCSR that mask exceptions.
const MASKS: u32 = 0x1f80;
/// The bits of MXCSR that tell of exceptions.
const RAISED: u32 = 0x3f;
/// Those of them that are raised before the operation: invalid, denormal, division by zero.
const BEFORE: u32 = 7;

/// Underflow, as it was raised and as it is masked.
const UNDERFLOW: u32 = 1 << 4;
const UNDERFLOW_MASK: u32 = 1 << 11;
/// Tiny results become 0.
const FLUSH: u32 = 1 << 15;

/// All that computes: `select` is the mandatory prefix and the opcode. A shift by an immediate count is one by a register.
pub fn compute(m: &mut Machine, i: &Insn) -> Done {
    check(m, i)?;
    let which = Vector {
        prefix: (i.select >> 8) as u8,
        opcode: i.select as u8,
        wide: i.size == 8,
        predicate: i.immediate as u8 & 7,
    };
    let source = if i.operands[1].kind == Kind::Immediate { u128::from(i.immediate & 0xff) } else { get(m, i, 1)? };
    let first = if i.operands[0].kind == Kind::Gpr { 0 } else { get(m, i, 0)? };
    let guest = m.cpu.fx.mxcsr;
    // CVTPI2PS and CVTPI2PD take what would be an MMX register from memory.
    let from_integers = which.opcode == 0x2a && which.prefix < 2;
    let with_mmx = from_integers || i.operands.iter().any(|operand| operand.kind == Kind::Mmx);
    let run = |mxcsr: u32| {
        let mut operands = Operands { first, second: source, general: source as u64, mxcsr, flags: 0 };
        let mut pair = [first as u64, source as u64];
        if with_mmx {
            native::mmx(which, &mut operands, &mut pair);
        } else {
            native::sse(which, &mut operands);
        }
        (operands, pair)
    };
    let (operands, pair) = run(guest & !RAISED | MASKS);
    let mut raised = operands.mxcsr & RAISED;
    if guest & UNDERFLOW_MASK == 0 && raised & UNDERFLOW == 0 {
        // Where underflow is not masked, a tiny result raises it even if it is exact: flushing to zero tells.
        raised |= run(guest & !RAISED | MASKS | FLUSH).0.mxcsr & UNDERFLOW;
    }
    // The processor has turned to MMX when it raises an exception of the operation.
    enter_mmx(m, i);
    raise(m, raised)?;
    match i.operands[0].kind {
        Kind::Gpr => set_gpr(m, i.operands[0].register.into(), i.operands[0].size, operands.general),
        Kind::Mmx => set_mmx(m, i.operands[0].register.into(), pair[0]),
        _ if i.has(mark::FLAGS) => flags::set_some(m, ARITHMETIC, operands.flags),
        _ => set(m, i, 0, operands.first)?,
    }
    Ok(())
}

/// Notes exceptions in MXCSR, and raises #XM for those that are not masked.
fn raise(m: &mut Machine, raised: u32) -> Done {
    let mxcsr = m.cpu.fx.mxcsr;
    let unmasked = raised & !(mxcsr >> 7) & RAISED;
    // An exception of the operands prevents those of the result.
    let told = if unmasked & BEFORE != 0 { raised & BEFORE } else { raised };
    m.cpu.fx.mxcsr |= told;
    if unmasked == 0 {
        return Ok(());
    }
    let known = m.cpu.cr4 & cr4::OSXMMEXCPT != 0;
    Err(Exception::plain(if known { vector::SIMD } else { vector::INVALID_OPCODE }).into())
}
