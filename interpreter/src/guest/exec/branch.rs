//! Near jumps, calls and returns; loops.

use perilune_runtime::guest::cpu::gpr::{RCX, RSP};
use perilune_runtime::guest::cpu::seg::SS;
use perilune_runtime::guest::exception::Exception;
use perilune_runtime::guest::machine::{Machine, canonical};

use super::operand::{get, gpr, mask, set_gpr};
use super::{Done, Insn, access, flags, stack};

/// Goes on at `target`: canonical in 64-bit mode, inside of the segment elsewhere.
#[inline]
pub fn go(m: &mut Machine, target: u64, size: u8) -> Done {
    check_target(m, target & mask(size))?;
    m.cpu.next_rip = target & mask(size);
    Ok(())
}

#[inline]
fn check_target(m: &Machine, target: u64) -> Done {
    let fits = if m.cpu.code64() {
        canonical(target)
    } else {
        target <= u64::from(m.cpu.segments[perilune_runtime::guest::cpu::seg::CS].limit)
    };
    if fits { Ok(()) } else { Err(Exception::PROTECTION.into()) }
}

/// JMP to an immediate target.
pub fn jmp(m: &mut Machine, i: &Insn) -> Done {
    go(m, i.immediate, i.size)
}

/// JMP to a register's or memory's value.
pub fn jmp_indirect(m: &mut Machine, i: &Insn) -> Done {
    let target = get(m, i, 0)?;
    go(m, target, i.size)
}

/// Jcc.
pub fn jcc(m: &mut Machine, i: &Insn) -> Done {
    if flags::condition(m, i.select) { go(m, i.immediate, i.size) } else { Ok(()) }
}

fn call_to(m: &mut Machine, target: u64, size: u8) -> Done {
    // A stack that cannot be written comes before a target that does not exist, and neither leaves a mark.
    let width = stack::width(m);
    let top = m.cpu.gpr[RSP].wrapping_sub(size.into()) & mask(width);
    let (next, target) = (m.cpu.next_rip, target & mask(size));
    if check_target(m, target).is_err() {
        access::probe_write(m, SS as u8, top, size.into())?;
        return Err(Exception::PROTECTION.into());
    }
    stack::push(m, size, next)?;
    m.cpu.next_rip = target;
    Ok(())
}

/// CALL of an immediate target.
pub fn call(m: &mut Machine, i: &Insn) -> Done {
    call_to(m, i.immediate, i.size)
}

/// CALL of a register's or memory's value.
pub fn call_indirect(m: &mut Machine, i: &Insn) -> Done {
    let target = get(m, i, 0)?;
    call_to(m, target, i.size)
}

/// RET, with the number of bytes of arguments to release.
pub fn ret(m: &mut Machine, i: &Insn) -> Done {
    let target = stack::peek(m, i.size, 0)?;
    go(m, target, i.size)?;
    stack::release(m, u64::from(i.size) + (i.immediate & 0xffff));
    Ok(())
}

/// LOOPNE, LOOPE, LOOP, JrCXZ, by `select` as in the opcode's low bits. The counter has the size of an address.
pub fn looping(m: &mut Machine, i: &Insn) -> Done {
    let size = i.memory.size;
    let zero = flags::condition(m, 4);
    let count = if i.select == 3 { gpr(m, RCX, size) } else { gpr(m, RCX, size).wrapping_sub(1) & mask(size) };
    let taken = match i.select {
        0 => count != 0 && !zero,
        1 => count != 0 && zero,
        2 => count != 0,
        _ => count == 0,
    };
    if taken {
        go(m, i.immediate, i.size)?;
    }
    if i.select != 3 {
        set_gpr(m, RCX, size, count);
    }
    Ok(())
}
