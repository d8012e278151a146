//! Reading and writing operands.

use perilune_runtime::guest::machine::Machine;

use super::{Done, Insn, Kind, NO_REGISTER, Operand, access};

/// The bits of a value of `size` bytes.
#[inline]
pub const fn mask(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * size as u32)
}

/// The sign bit of a value of `size` bytes.
#[inline]
pub const fn sign_bit(size: u8) -> u64 {
    1 << (8 * size as u32 - 1)
}

/// Sign-extends a value of `size` bytes.
#[inline]
pub const fn sign_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * size as u32;
    ((value << shift) as i64 >> shift) as u64
}

/// A general register's low `size` bytes.
#[inline]
pub fn gpr(m: &Machine, register: usize, size: u8) -> u64 {
    m.cpu.gpr[register & 15] & mask(size)
}

/// Writes a general register: 4 bytes clear the upper half, 1 and 2 leave the rest as it is.
#[inline]
pub fn set_gpr(m: &mut Machine, register: usize, size: u8, value: u64) {
    let slot = &mut m.cpu.gpr[register & 15];
    *slot = match size {
        8 => value,
        4 => value & 0xffff_ffff,
        _ => *slot & !mask(size) | value & mask(size),
    };
}

/// The offset of the memory operand in its segment.
#[inline]
pub fn effective(m: &Machine, i: &Insn) -> u64 {
    let mut address = i.memory.displacement;
    if i.memory.base != NO_REGISTER {
        address = address.wrapping_add(m.cpu.gpr[usize::from(i.memory.base & 15)]);
    }
    if i.memory.index != NO_REGISTER {
        address = address.wrapping_add(m.cpu.gpr[usize::from(i.memory.index & 15)] << i.memory.scale);
    }
    if i.memory.size == 8 { address } else { address & mask(i.memory.size) }
}

/// Reads operand `n` as an integer.
#[inline]
pub fn get(m: &mut Machine, i: &Insn, n: usize) -> Done<u64> {
    let operand = i.operands[n];
    match operand.kind {
        Kind::Memory => {
            let offset = effective(m, i);
            access::load(m, i.memory.segment, offset, operand.size)
        }
        _ => Ok(get_register(m, i, operand)),
    }
}

/// Reads operand `n` of an instruction that is going to write it.
#[inline]
pub fn get_for_write(m: &mut Machine, i: &Insn, n: usize) -> Done<u64> {
    let operand = i.operands[n];
    match operand.kind {
        Kind::Memory => {
            let offset = effective(m, i);
            access::load_for_write(m, i.memory.segment, offset, operand.size)
        }
        _ => Ok(get_register(m, i, operand)),
    }
}

#[inline]
fn get_register(m: &Machine, i: &Insn, operand: Operand) -> u64 {
    match operand.kind {
        Kind::Gpr => gpr(m, usize::from(operand.register), operand.size),
        Kind::High => m.cpu.gpr[usize::from(operand.register & 3)] >> 8 & 0xff,
        Kind::Immediate => i.immediate & mask(operand.size),
        Kind::Segment => m.cpu.segments[usize::from(operand.register)].selector.into(),
        _ => 0,
    }
}

/// Writes operand `n`.
#[inline]
pub fn set(m: &mut Machine, i: &Insn, n: usize, value: u64) -> Done {
    let operand = i.operands[n];
    match operand.kind {
        Kind::Gpr => set_gpr(m, usize::from(operand.register), operand.size, value),
        Kind::High => {
            let slot = &mut m.cpu.gpr[usize::from(operand.register & 3)];
            *slot = *slot & !0xff00 | (value & 0xff) << 8;
        }
        Kind::Memory => {
            let offset = effective(m, i);
            access::store(m, i.memory.segment, offset, operand.size, value)?;
        }
        _ => {}
    }
    Ok(())
}
