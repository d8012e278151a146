//! The arithmetic flags, and the conditions made of them.
//!
//! Flags that the manual leaves undefined are cleared, or left as they were; the comment at each family says which.

use perilune_runtime::guest::cpu::flag::{AF, ARITHMETIC, CF, OF, PF, SF, ZF};
use perilune_runtime::guest::machine::Machine;

use super::operand::{mask, sign_bit};

/// SF, ZF and PF of a result.
#[inline]
pub fn of_result(result: u64, size: u8) -> u64 {
    let result = result & mask(size);
    let mut flags = if (result as u8).count_ones() & 1 == 0 { PF } else { 0 };
    if result == 0 {
        flags |= ZF;
    }
    if result & sign_bit(size) != 0 {
        flags |= SF;
    }
    flags
}

/// `a + b + carry`: the result and its flags.
#[inline]
pub fn add(a: u64, b: u64, carry: u64, size: u8) -> (u64, u64) {
    let result = a.wrapping_add(b).wrapping_add(carry);
    // Bit n: the carry out of bit n.
    let carries = a & b | (a | b) & !result;
    (result & mask(size), of_result(result, size) | of_carries(carries, (a ^ result) & (b ^ result), size))
}

/// `a - b - borrow`: the result and its flags.
#[inline]
pub fn sub(a: u64, b: u64, borrow: u64, size: u8) -> (u64, u64) {
    let result = a.wrapping_sub(b).wrapping_sub(borrow);
    let borrows = !a & b | (!a | b) & result;
    (result & mask(size), of_result(result, size) | of_carries(borrows, (a ^ b) & (a ^ result), size))
}

#[inline]
fn of_carries(carries: u64, overflow: u64, size: u8) -> u64 {
    let sign = sign_bit(size);
    let mut flags = 0;
    if carries & sign != 0 {
        flags |= CF;
    }
    if carries & 8 != 0 {
        flags |= AF;
    }
    if overflow & sign != 0 {
        flags |= OF;
    }
    flags
}

/// Sets the arithmetic flags.
#[inline]
pub fn set(m: &mut Machine, flags: u64) {
    m.cpu.rflags = m.cpu.rflags & !ARITHMETIC | flags;
}

/// Sets those of the arithmetic flags that are in `which`.
#[inline]
pub fn set_some(m: &mut Machine, which: u64, flags: u64) {
    m.cpu.rflags = m.cpu.rflags & !which | flags & which;
}

/// The carry flag as a number.
#[inline]
pub fn carry(m: &Machine) -> u64 {
    m.cpu.rflags & CF
}

/// Whether the condition that instructions encode in four bits holds (APM volume 3, appendix A).
#[inline]
pub fn condition(m: &Machine, code: u16) -> bool {
    let flags = m.cpu.rflags;
    let has = |bits: u64| flags & bits != 0;
    let less = has(SF) != has(OF);
    let holds = match code >> 1 & 7 {
        0 => has(OF),
        1 => has(CF),
        2 => has(ZF),
        3 => has(CF | ZF),
        4 => has(SF),
        5 => has(PF),
        6 => less,
        _ => less || has(ZF),
    };
    holds != (code & 1 != 0)
}
