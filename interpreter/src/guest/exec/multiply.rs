//! Multiplication and division. Flags that they leave undefined stay as they are.

use perilune_runtime::guest::cpu::flag::{CF, OF};
use perilune_runtime::guest::cpu::gpr::{RAX, RDX};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::machine::Machine;

use super::operand::{get, gpr, mask, set, set_gpr, sign_extend};
use super::{Done, Insn, flags};

/// Sets CF and OF when a product does not fit into its lower half.
fn overflowed(m: &mut Machine, yes: bool) {
    flags::set_some(m, CF | OF, if yes { CF | OF } else { 0 });
}

/// Writes a double-width value: to AX, or to the halves in rDX and rAX.
fn set_pair(m: &mut Machine, size: u8, low: u64, high: u64) {
    if size == 1 {
        set_gpr(m, RAX, 2, low & 0xff | (high & 0xff) << 8);
    } else {
        set_gpr(m, RAX, size, low);
        set_gpr(m, RDX, size, high);
    }
}

/// MUL.
pub fn mul(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let product = u128::from(get(m, i, 0)?) * u128::from(gpr(m, RAX, size));
    let high = (product >> (8 * size)) as u64;
    set_pair(m, size, product as u64, high);
    overflowed(m, high & mask(size) != 0);
    Ok(())
}

/// IMUL with one, two or three operands.
pub fn imul(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let signed = |value: u64, size: u8| i128::from(sign_extend(value, size) as i64);
    let one = i.operands[1].kind == super::Kind::None;
    let three = i.operands[2].kind != super::Kind::None;
    let (a, b) = if one {
        (get(m, i, 0)?, gpr(m, RAX, size))
    } else if three {
        (get(m, i, 1)?, get(m, i, 2)?)
    } else {
        (get(m, i, 1)?, get(m, i, 0)?)
    };
    let product = signed(a, size) * signed(b, size);
    let fits = product == signed(product as u64, size);
    if one {
        set_pair(m, size, product as u64, (product >> (8 * size)) as u64);
    } else {
        set(m, i, 0, product as u64)?;
    }
    overflowed(m, !fits);
    Ok(())
}

/// The double-width dividend.
fn dividend(m: &Machine, size: u8) -> u128 {
    if size == 1 {
        gpr(m, RAX, 2).into()
    } else {
        u128::from(gpr(m, RDX, size)) << (8 * size) | u128::from(gpr(m, RAX, size))
    }
}

const DIVIDE: Exception = Exception::plain(vector::DIVIDE);

/// DIV.
pub fn div(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let divisor = u128::from(get(m, i, 0)?);
    let dividend = dividend(m, size);
    let quotient = dividend.checked_div(divisor).ok_or(DIVIDE)?;
    if quotient > u128::from(mask(size)) {
        return Err(DIVIDE.into());
    }
    set_pair(m, size, quotient as u64, (dividend % divisor) as u64);
    Ok(())
}

/// IDIV.
pub fn idiv(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let divisor = i128::from(sign_extend(get(m, i, 0)?, size) as i64);
    let shift = 128 - 16 * u32::from(size);
    let dividend = (dividend(m, size) << shift) as i128 >> shift;
    let quotient = dividend.checked_div(divisor).ok_or(DIVIDE)?;
    if quotient != i128::from(sign_extend(quotient as u64, size) as i64) {
        return Err(DIVIDE.into());
    }
    set_pair(m, size, quotient as u64, (dividend % divisor) as u64);
    Ok(())
}
