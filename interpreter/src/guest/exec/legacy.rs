//! What 64-bit code does not have: decimal adjustment, BOUND, segment loads with an offset.

use perilune_runtime::guest::cpu::flag::{AF, ARITHMETIC, CF};
use perilune_runtime::guest::cpu::gpr::RAX;
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::machine::Machine;

use super::operand::{effective, get, gpr, set, set_gpr, sign_extend};
use super::{Done, Insn, access, flags, segment};

/// DAA (`ADD`) and DAS. OF is cleared where it is undefined.
pub fn decimal<const ADD: bool>(m: &mut Machine, _: &Insn) -> Done {
    let old = gpr(m, RAX, 1);
    let (carry, adjust) = (m.cpu.has(CF), m.cpu.has(AF));
    let mut value = old;
    let mut result = 0;
    let change = |value: u64, by: u64| if ADD { value.wrapping_add(by) } else { value.wrapping_sub(by) };
    if old & 15 > 9 || adjust {
        let changed = change(value, 6);
        result |= AF;
        if carry || changed > 0xff {
            result |= CF;
        }
        value = changed & 0xff;
    }
    if old > 0x99 || carry {
        value = change(value, 0x60) & 0xff;
        result |= CF;
    }
    set_gpr(m, RAX, 1, value);
    flags::set(m, result | flags::of_result(value, 1));
    Ok(())
}

/// AAA (`ADD`) and AAS. The flags that they leave undefined stay as they are.
pub fn ascii<const ADD: bool>(m: &mut Machine, _: &Insn) -> Done {
    let old = gpr(m, RAX, 2);
    let adjust = old & 15 > 9 || m.cpu.has(AF);
    let by = if !adjust {
        0
    } else if ADD {
        0x106
    } else {
        0x106u64.wrapping_neg()
    };
    set_gpr(m, RAX, 2, old.wrapping_add(by) & 0xff0f);
    flags::set_some(m, AF | CF, if adjust { AF | CF } else { 0 });
    Ok(())
}

/// AAM.
pub fn aam(m: &mut Machine, i: &Insn) -> Done {
    let base = i.immediate & 0xff;
    if base == 0 {
        return Err(Exception::plain(vector::DIVIDE).into());
    }
    let value = gpr(m, RAX, 1);
    set_gpr(m, RAX, 2, ((value / base) << 8) | (value % base));
    flags::set_some(m, ARITHMETIC, flags::of_result(value % base, 1));
    Ok(())
}

/// AAD.
pub fn aad(m: &mut Machine, i: &Insn) -> Done {
    let value = gpr(m, RAX, 2);
    let result = (value >> 8).wrapping_mul(i.immediate & 0xff).wrapping_add(value) & 0xff;
    set_gpr(m, RAX, 2, result);
    flags::set_some(m, ARITHMETIC, flags::of_result(result, 1));
    Ok(())
}

/// SALC.
pub fn salc(m: &mut Machine, _: &Insn) -> Done {
    let value = if m.cpu.has(CF) { 0xff } else { 0 };
    set_gpr(m, RAX, 1, value);
    Ok(())
}

/// BOUND.
pub fn bound(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let index = sign_extend(get(m, i, 0)?, size) as i64;
    let offset = effective(m, i);
    let low = sign_extend(access::load(m, i.memory.segment, offset, size)?, size) as i64;
    let above = offset.wrapping_add(size.into()) & super::operand::mask(i.memory.size);
    let high = sign_extend(access::load(m, i.memory.segment, above, size)?, size) as i64;
    if index < low || index > high { Err(Exception::plain(vector::BOUND).into()) } else { Ok(()) }
}

/// LES, LDS, LSS, LFS, LGS (also in 64-bit code, the last three): `select` is the segment register.
pub fn load_pointer(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let offset = effective(m, i);
    let value = access::load(m, i.memory.segment, offset, size)?;
    let above = offset.wrapping_add(size.into()) & super::operand::mask(i.memory.size);
    let selector = access::load(m, i.memory.segment, above, 2)? as u16;
    segment::load_data(m, i.select.into(), selector)?;
    set(m, i, 0, value)
}
