//! Shifts and rotations.
//!
//! OF is defined for a count of 1 only; for others it is computed by the same rule. AF is cleared by shifts where it is undefined.

use perilune_runtime::guest::cpu::flag::{ARITHMETIC, CF, OF};
use perilune_runtime::guest::machine::Machine;

use super::operand::{get, get_for_write, gpr, mask, set, sign_bit, sign_extend};
use super::{Done, Insn, flags};

/// ROL.
pub const ROL: u8 = 0;
/// ROR.
pub const ROR: u8 = 1;
/// RCL.
pub const RCL: u8 = 2;
/// RCR.
pub const RCR: u8 = 3;
/// SHL.
pub const SHL: u8 = 4;
/// SHR.
pub const SHR: u8 = 5;
/// SAR.
pub const SAR: u8 = 7;

fn bit(value: bool, bit: u64) -> u64 {
    if value { bit } else { 0 }
}

/// A shift's result, and CF and OF.
fn shifted<const OP: u8>(value: u64, count: u32, size: u8) -> (u64, u64) {
    let sign = sign_bit(size);
    let wide = match OP {
        // Bit 8 * size of the wide value is the carry of a shift to the left; a shift to the right has it in bit 63.
        SHL => u128::from(value) << count,
        SHR => (u128::from(value) << 64) >> count,
        _ => (i128::from(sign_extend(value, size) as i64) << 64 >> count) as u128,
    };
    if OP == SHL {
        let result = wide as u64 & mask(size);
        let carry = wide >> (8 * u32::from(size)) & 1 != 0;
        (result, bit(carry, CF) | bit(carry != (result & sign != 0), OF))
    } else {
        let result = (wide >> 64) as u64 & mask(size);
        let overflow = OP == SHR && value & sign != 0;
        (result, bit(wide >> 63 & 1 != 0, CF) | bit(overflow, OF))
    }
}

/// A rotation's result, and CF and OF. `count` is not 0; RCL and RCR go through `carry`.
fn rotated<const OP: u8>(value: u64, carry: u64, count: u32, size: u8) -> (u64, u64) {
    let bits = 8 * u32::from(size);
    let sign = sign_bit(size);
    let through = OP == RCL || OP == RCR;
    let width = if through { bits + 1 } else { bits };
    let count = count % width;
    let all = u128::from(value) | if through { u128::from(carry) << bits } else { 0 };
    let left = if OP == ROL || OP == RCL { count } else { (width - count) % width };
    let turned = (all << left | all >> (width - left)) & ((1 << width) - 1);
    let result = turned as u64 & mask(size);
    let carry = match OP {
        ROL => result & 1 != 0,
        ROR => result & sign != 0,
        _ => turned >> bits & 1 != 0,
    };
    let top = result & sign != 0;
    let overflow = if OP == ROL || OP == RCL { top != carry } else { top != (result & sign >> 1 != 0) };
    (result, bit(carry, CF) | bit(overflow, OF))
}

/// The seven operations with a count.
pub fn shift<const OP: u8>(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let count = get(m, i, 1)? as u32 & if size == 8 { 63 } else { 31 };
    let value = get_for_write(m, i, 0)?;
    if count == 0 {
        return set(m, i, 0, value);
    }
    if OP >= SHL {
        let (result, carries) = shifted::<OP>(value, count, size);
        set(m, i, 0, result)?;
        flags::set(m, carries | flags::of_result(result, size));
    } else {
        let (result, carries) = rotated::<OP>(value, flags::carry(m), count, size);
        set(m, i, 0, result)?;
        let unturned = (OP == RCL || OP == RCR) && count.is_multiple_of(8 * u32::from(size) + 1);
        flags::set_some(m, if unturned { 0 } else { CF | OF }, carries);
    }
    Ok(())
}

/// SHLD (`LEFT`) and SHRD.
pub fn double<const LEFT: bool>(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let bits = 8 * u32::from(size);
    let count = match i.operands[2].kind {
        super::Kind::Immediate => i.immediate as u32,
        _ => gpr(m, 1, 1) as u32,
    } & if size == 8 { 63 } else { 31 };
    let low = get_for_write(m, i, 0)?;
    let fill = get(m, i, 1)?;
    if count == 0 {
        return set(m, i, 0, low);
    }
    // A count beyond the size (16 bits only) is undefined: shift in the first operand behind the second.
    let (low_wide, fill_wide) = (u128::from(low), u128::from(fill));
    let (result, carry) = if LEFT {
        let all = if size == 2 { low_wide << 32 | fill_wide << 16 | low_wide } else { low_wide << bits | fill_wide };
        let base = if size == 2 { 32 } else { bits };
        let moved = all >> (base - count.min(base));
        (moved as u64, (moved >> bits) as u64 & 1)
    } else {
        let all = if size == 2 { low_wide << 32 | fill_wide << 16 | low_wide } else { fill_wide << bits | low_wide };
        ((all >> count) as u64, (all >> (count - 1)) as u64 & 1)
    };
    let result = result & mask(size);
    set(m, i, 0, result)?;
    let overflow = (low ^ result) & sign_bit(size) != 0;
    flags::set_some(m, ARITHMETIC, bit(carry != 0, CF) | bit(overflow, OF) | flags::of_result(result, size));
    Ok(())
}
