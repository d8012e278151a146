//! ADD to CMP, TEST, INC, DEC, NEG, NOT.

use perilune_runtime::guest::cpu::flag::{ARITHMETIC, CF, ZF};
use perilune_runtime::guest::machine::Machine;

use super::operand::{get, get_for_write, set};
use super::{Done, Insn, flags};

/// ADD.
pub const ADD: u8 = 0;
/// OR.
pub const OR: u8 = 1;
/// ADC.
pub const ADC: u8 = 2;
/// SBB.
pub const SBB: u8 = 3;
/// AND.
pub const AND: u8 = 4;
/// SUB.
pub const SUB: u8 = 5;
/// XOR.
pub const XOR: u8 = 6;
/// CMP.
pub const CMP: u8 = 7;

/// The result and the flags of an operation on two values. AND, OR and XOR clear AF, which is undefined.
#[inline(always)]
fn compute<const OP: u8>(m: &Machine, a: u64, b: u64, size: u8) -> (u64, u64) {
    let logic = |result: u64| (result, flags::of_result(result, size));
    match OP {
        ADD => flags::add(a, b, 0, size),
        OR => logic(a | b),
        ADC => flags::add(a, b, flags::carry(m), size),
        SBB => flags::sub(a, b, flags::carry(m), size),
        AND => logic(a & b),
        SUB | CMP => flags::sub(a, b, 0, size),
        _ => logic(a ^ b),
    }
}

/// The eight operations of two operands.
pub fn binary<const OP: u8>(m: &mut Machine, i: &Insn) -> Done {
    let b = get(m, i, 1)?;
    let a = if OP == CMP { get(m, i, 0)? } else { get_for_write(m, i, 0)? };
    let (result, flags) = compute::<OP>(m, a, b, i.operands[0].size);
    if OP != CMP {
        set(m, i, 0, result)?;
    }
    flags::set(m, flags);
    Ok(())
}

/// TEST.
pub fn test(m: &mut Machine, i: &Insn) -> Done {
    let result = get(m, i, 0)? & get(m, i, 1)?;
    flags::set(m, flags::of_result(result, i.operands[0].size));
    Ok(())
}

/// INC.
pub fn inc(m: &mut Machine, i: &Insn) -> Done {
    let (result, flags) = flags::add(get_for_write(m, i, 0)?, 1, 0, i.operands[0].size);
    set(m, i, 0, result)?;
    flags::set_some(m, ARITHMETIC & !CF, flags);
    Ok(())
}

/// DEC.
pub fn dec(m: &mut Machine, i: &Insn) -> Done {
    let (result, flags) = flags::sub(get_for_write(m, i, 0)?, 1, 0, i.operands[0].size);
    set(m, i, 0, result)?;
    flags::set_some(m, ARITHMETIC & !CF, flags);
    Ok(())
}

/// NEG.
pub fn neg(m: &mut Machine, i: &Insn) -> Done {
    let (result, flags) = flags::sub(0, get_for_write(m, i, 0)?, 0, i.operands[0].size);
    set(m, i, 0, result)?;
    flags::set(m, flags);
    Ok(())
}

/// NOT.
pub fn not(m: &mut Machine, i: &Insn) -> Done {
    let value = get_for_write(m, i, 0)?;
    set(m, i, 0, !value)
}

/// XADD.
pub fn xadd(m: &mut Machine, i: &Insn) -> Done {
    let a = get_for_write(m, i, 0)?;
    let b = get(m, i, 1)?;
    let (result, flags) = flags::add(a, b, 0, i.operands[0].size);
    if i.operands[0].kind == super::Kind::Memory {
        set(m, i, 0, result)?;
        set(m, i, 1, a)?;
    } else {
        // With the same register twice the sum stays.
        set(m, i, 1, a)?;
        set(m, i, 0, result)?;
    }
    flags::set(m, flags);
    Ok(())
}

/// CMPXCHG.
pub fn cmpxchg(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let old = get_for_write(m, i, 0)?;
    let accumulator = super::operand::gpr(m, 0, size);
    let (_, flags) = flags::sub(accumulator, old, 0, size);
    if accumulator == old {
        let new = get(m, i, 1)?;
        set(m, i, 0, new)?;
    } else {
        // The operand is written in any case (APM volume 3): a page that cannot be written faults.
        if i.operands[0].kind == super::Kind::Memory {
            set(m, i, 0, old)?;
        }
        super::operand::set_gpr(m, 0, size, old);
    }
    flags::set(m, flags);
    Ok(())
}

/// CMPXCHG8B and CMPXCHG16B: halves of 4 or 8 bytes.
pub fn cmpxchg_pair(m: &mut Machine, i: &Insn) -> Done {
    use super::access::{load_for_write, probe_write, store};
    use perilune_runtime::guest::cpu::gpr::{RAX, RBX, RCX, RDX};

    let half = i.operands[0].size / 2;
    let offset = super::operand::effective(m, i);
    let segment = i.memory.segment;
    if half == 8
        && !super::access::linear(m, segment, offset, 16, perilune_runtime::guest::tlb::Access::Write)?
            .is_multiple_of(16)
    {
        return Err(perilune_runtime::guest::exception::Exception::PROTECTION.into());
    }
    probe_write(m, segment, offset, u64::from(half) * 2)?;
    let low = load_for_write(m, segment, offset, half)?;
    let high = load_for_write(m, segment, offset.wrapping_add(half.into()), half)?;
    let register = |m: &Machine, number: usize| super::operand::gpr(m, number, half);
    let equal = low == register(m, RAX) && high == register(m, RDX);
    let (new_low, new_high) = if equal { (register(m, RBX), register(m, RCX)) } else { (low, high) };
    store(m, segment, offset, half, new_low)?;
    store(m, segment, offset.wrapping_add(half.into()), half, new_high)?;
    if !equal {
        super::operand::set_gpr(m, RAX, half, low);
        super::operand::set_gpr(m, RDX, half, high);
    }
    flags::set_some(m, ZF, if equal { ZF } else { 0 });
    Ok(())
}
