//! PUSH, POP and what is made of them.

use perilune_runtime::guest::cpu::gpr::{RBP, RSP};
use perilune_runtime::guest::cpu::{flag, mode, seg};
use perilune_runtime::guest::exit::Reason;
use perilune_runtime::guest::machine::Machine;

use super::operand::{get, gpr, mask, set, set_gpr};
use super::{Done, Insn, access, segment, system};

const STACK: u8 = seg::SS as u8;

/// Bytes of the stack pointer.
#[inline]
pub fn width(m: &Machine) -> u8 {
    if m.cpu.code64() {
        8
    } else if m.cpu.mode & mode::STACK_32 != 0 {
        4
    } else {
        2
    }
}

/// Pushes a value.
#[inline]
pub fn push(m: &mut Machine, size: u8, value: u64) -> Done {
    let width = width(m);
    let top = m.cpu.gpr[RSP].wrapping_sub(size.into()) & mask(width);
    access::store(m, STACK, top, size, value)?;
    set_gpr(m, RSP, width, top);
    Ok(())
}

/// Reads the value `depth` bytes above the top of the stack.
#[inline]
pub fn peek(m: &mut Machine, size: u8, depth: u64) -> Done<u64> {
    let at = m.cpu.gpr[RSP].wrapping_add(depth) & mask(width(m));
    access::load(m, STACK, at, size)
}

/// Moves the stack pointer upwards.
#[inline]
pub fn release(m: &mut Machine, bytes: u64) {
    let width = width(m);
    let top = m.cpu.gpr[RSP].wrapping_add(bytes);
    set_gpr(m, RSP, width, top & mask(width));
}

/// PUSH of anything.
pub fn push_operand(m: &mut Machine, i: &Insn) -> Done {
    let value = get(m, i, 0)?;
    push(m, i.size, value)
}

/// POP into a general register or memory, whose address is computed with the new stack pointer.
pub fn pop_operand(m: &mut Machine, i: &Insn) -> Done {
    let value = peek(m, i.size, 0)?;
    let before = m.cpu.gpr[RSP];
    release(m, i.size.into());
    set(m, i, 0, value).inspect_err(|_| m.cpu.gpr[RSP] = before)
}

/// POP into a segment register.
pub fn pop_segment(m: &mut Machine, i: &Insn) -> Done {
    let selector = peek(m, i.size, 0)? as u16;
    let before = m.cpu.gpr[RSP];
    // The width of the stack may change by the load.
    release(m, i.size.into());
    segment::load_data(m, i.operands[0].register.into(), selector).inspect_err(|_| m.cpu.gpr[RSP] = before)
}

/// PUSHA.
pub fn pusha(m: &mut Machine, i: &Insn) -> Done {
    let width = width(m);
    let size = u64::from(i.size);
    let top = m.cpu.gpr[RSP].wrapping_sub(8 * size) & mask(width);
    // From RAX on, downwards. What was written before a fault stays, below a stack pointer that has not moved.
    for n in (0..8).rev() {
        let value = gpr(m, 7 - n as usize, i.size);
        access::store(m, STACK, top.wrapping_add(n * size) & mask(width), i.size, value)?;
    }
    set_gpr(m, RSP, width, top);
    Ok(())
}

/// POPA.
pub fn popa(m: &mut Machine, i: &Insn) -> Done {
    let mut values = [0; 8];
    for (n, value) in values.iter_mut().enumerate() {
        *value = peek(m, i.size, n as u64 * u64::from(i.size))?;
    }
    release(m, 8 * u64::from(i.size));
    for (n, value) in values.iter().enumerate() {
        if 7 - n != RSP {
            set_gpr(m, 7 - n, i.size, *value);
        }
    }
    Ok(())
}

/// ENTER.
pub fn enter(m: &mut Machine, i: &Insn) -> Done {
    let bytes = i.immediate & 0xffff;
    let level = i.immediate >> 32 & 31;
    let width = width(m);
    let (sp, bp) = (m.cpu.gpr[RSP], m.cpu.gpr[RBP]);
    let frame = sp.wrapping_sub(i.size.into()) & mask(width);
    let steps = |m: &mut Machine| -> Done {
        push(m, i.size, bp)?;
        for n in 1..level {
            let at = bp.wrapping_sub(n * u64::from(i.size)) & mask(width);
            let value = access::load(m, STACK, at, i.size)?;
            push(m, i.size, value)?;
        }
        if level > 0 {
            push(m, i.size, frame)?;
        }
        let top = m.cpu.gpr[RSP].wrapping_sub(bytes) & mask(width);
        // The new top has to be writable (APM volume 3).
        access::probe_write(m, STACK, top, 1)?;
        set_gpr(m, RSP, width, top);
        Ok(())
    };
    steps(m).inspect_err(|_| m.cpu.gpr[RSP] = sp)?;
    set_gpr(m, RBP, i.size, frame);
    Ok(())
}

/// LEAVE.
pub fn leave(m: &mut Machine, i: &Insn) -> Done {
    let width = width(m);
    let at = gpr(m, RBP, width);
    let value = access::load(m, STACK, at, i.size)?;
    set_gpr(m, RSP, width, at);
    release(m, i.size.into());
    set_gpr(m, RBP, i.size, value);
    Ok(())
}

/// PUSHF.
pub fn pushf(m: &mut Machine, i: &Insn) -> Done {
    system::leave(m, Reason::Pushf)?;
    let value = m.cpu.rflags & !(flag::VM | flag::RF);
    push(m, i.size, value)
}

/// POPF: which flags change depends on the privilege.
pub fn popf(m: &mut Machine, i: &Insn) -> Done {
    system::leave(m, Reason::Popf)?;
    let value = peek(m, i.size, 0)?;
    release(m, i.size.into());
    system::set_flags(m, value, i.size);
    Ok(())
}
