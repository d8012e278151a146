//! Single bits, bit scans, byte order.

use perilune_runtime::guest::cpu::flag::{CF, ZF};
use perilune_runtime::guest::machine::Machine;

use super::operand::{effective, get, get_for_write, set, sign_extend};
use super::{Done, Insn, Kind, access, flags};

/// BT.
pub const TEST: u8 = 0;
/// BTS.
pub const SET: u8 = 1;
/// BTR.
pub const RESET: u8 = 2;
/// BTC.
pub const COMPLEMENT: u8 = 3;

/// BT, BTS, BTR, BTC. A bit number in a register reaches beyond a memory operand; an immediate one does not.
pub fn bit<const OP: u8>(m: &mut Machine, i: &Insn) -> Done {
    let size = i.operands[0].size;
    let bits = 8 * u64::from(size);
    let number = get(m, i, 1)?;
    let change = |value: u64| {
        let bit = 1 << (number % bits);
        match OP {
            SET => value | bit,
            RESET => value & !bit,
            COMPLEMENT => value ^ bit,
            _ => value,
        }
    };
    let value;
    if i.operands[0].kind == Kind::Memory {
        let mut offset = effective(m, i);
        if i.operands[1].kind != Kind::Immediate {
            let units = sign_extend(number, i.operands[1].size) as i64 >> bits.trailing_zeros();
            offset = offset.wrapping_add((units * i64::from(size)) as u64);
            if i.memory.size < 8 {
                offset &= super::operand::mask(i.memory.size);
            }
        }
        if OP == TEST {
            value = access::load(m, i.memory.segment, offset, size)?;
        } else {
            value = access::load_for_write(m, i.memory.segment, offset, size)?;
            access::store(m, i.memory.segment, offset, size, change(value))?;
        }
    } else {
        value = get(m, i, 0)?;
        if OP != TEST {
            set(m, i, 0, change(value))?;
        }
    }
    flags::set_some(m, CF, value >> (number % bits) & 1);
    Ok(())
}

/// BSF (`FORWARD`) and BSR. A source of 0 leaves the destination as it is (APM volume 3); flags but ZF stay as they are.
pub fn scan<const FORWARD: bool>(m: &mut Machine, i: &Insn) -> Done {
    let value = get(m, i, 1)?;
    if value == 0 {
        flags::set_some(m, ZF, ZF);
        return Ok(());
    }
    set(m, i, 0, u64::from(if FORWARD { value.trailing_zeros() } else { 63 - value.leading_zeros() }))?;
    flags::set_some(m, ZF, 0);
    Ok(())
}

/// BSWAP. With 16 bits, which is undefined, the register becomes 0.
pub fn bswap(m: &mut Machine, i: &Insn) -> Done {
    let value = get_for_write(m, i, 0)?;
    let swapped = match i.operands[0].size {
        8 => value.swap_bytes(),
        4 => u64::from((value as u32).swap_bytes()),
        _ => 0,
    };
    set(m, i, 0, swapped)
}
