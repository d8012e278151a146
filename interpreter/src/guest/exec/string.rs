//! String instructions.
//!
//! A repeated one works in *chunks*: it goes on until the count is used up, the condition fails, or the source or the
//! destination comes to the end of its page, and counts as one instruction each time; rip stays where it is until the
//! last chunk is done. So a step is short, and where chunks end depends on nothing but the registers.

use perilune_runtime::guest::cpu::gpr::{RAX, RCX, RDI, RDX, RSI};
use perilune_runtime::guest::cpu::{flag, mode, seg};
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::tlb::{Access, PAGE_MASK, PAGE_SIZE};

use super::operand::{gpr, mask, set_gpr};
use super::{Done, Insn, access, flags, mark, system};

/// MOVS.
pub const MOVS: u8 = 0;
/// CMPS.
pub const CMPS: u8 = 1;
/// STOS.
pub const STOS: u8 = 2;
/// LODS.
pub const LODS: u8 = 3;
/// SCAS.
pub const SCAS: u8 = 4;
/// INS.
pub const INS: u8 = 5;
/// OUTS.
pub const OUTS: u8 = 6;

const DESTINATION: u8 = seg::ES as u8;

const fn reads_source(op: u8) -> bool {
    matches!(op, MOVS | CMPS | LODS | OUTS)
}

const fn uses_destination(op: u8) -> bool {
    matches!(op, MOVS | CMPS | STOS | SCAS | INS)
}

/// Moves an index register by `bytes` in the direction of the string.
fn advance(m: &mut Machine, i: &Insn, register: usize, bytes: u64) {
    let size = i.memory.size;
    let bytes = if m.cpu.has(flag::DF) { bytes.wrapping_neg() } else { bytes };
    let moved = m.cpu.gpr[register].wrapping_add(bytes) & mask(size);
    set_gpr(m, register, size, moved);
}

/// One element, without the moves of the index registers.
#[inline(always)]
fn element<const OP: u8>(m: &mut Machine, i: &Insn) -> Done {
    let (source, destination) = (gpr(m, RSI, i.memory.size), gpr(m, RDI, i.memory.size));
    let size = i.size;
    match OP {
        MOVS => {
            let value = access::load(m, i.memory.segment, source, size)?;
            access::store(m, DESTINATION, destination, size, value)?;
        }
        CMPS => {
            // The destination comes first: that is the one which faults when both would.
            let b = access::load(m, DESTINATION, destination, size)?;
            let a = access::load(m, i.memory.segment, source, size)?;
            let (_, result) = flags::sub(a, b, 0, size);
            flags::set(m, result);
        }
        STOS => {
            let value = gpr(m, RAX, size);
            access::store(m, DESTINATION, destination, size, value)?;
        }
        LODS => {
            let value = access::load(m, i.memory.segment, source, size)?;
            set_gpr(m, RAX, size, value);
        }
        SCAS => {
            let b = access::load(m, DESTINATION, destination, size)?;
            let (_, result) = flags::sub(gpr(m, RAX, size), b, 0, size);
            flags::set(m, result);
        }
        INS => {
            let port = gpr(m, RDX, 2) as u16;
            system::check_port(m, port, size)?;
            access::probe_write(m, DESTINATION, destination, size.into())?;
            let value = system::port_in(m, port, size)?;
            access::store(m, DESTINATION, destination, size, value.into())?;
        }
        _ => {
            let port = gpr(m, RDX, 2) as u16;
            system::check_port(m, port, size)?;
            let value = access::load(m, i.memory.segment, source, size)?;
            system::port_out(m, port, size, value as u32)?;
        }
    }
    Ok(())
}

/// How many elements fit before the end of the page of an index register, in the direction of the string.
fn elements_left(m: &Machine, i: &Insn, register: usize) -> u64 {
    let at = gpr(m, register, i.memory.size) & PAGE_MASK;
    let size = u64::from(i.size);
    let left = if m.cpu.has(flag::DF) { at / size + 1 } else { (PAGE_SIZE as u64 - at) / size };
    left.max(1)
}

/// Copies or fills `count` elements at once, if both sides hit the TLB and an element-wise copy would do the same.
fn bulk<const OP: u8>(m: &mut Machine, i: &Insn, count: u64) -> Option<()> {
    if m.cpu.has(flag::DF) || count < 4 {
        return None;
    }
    let bytes = count * u64::from(i.size);
    let destination = access::linear(m, DESTINATION, gpr(m, RDI, i.memory.size), bytes, Access::Write).ok()?;
    let to = destination.wrapping_add(m.tlb.writable(destination, bytes)?);
    if OP == MOVS {
        let source = access::linear(m, i.memory.segment, gpr(m, RSI, i.memory.size), bytes, Access::Read).ok()?;
        let from = source.wrapping_add(m.tlb.readable(source, bytes)?);
        // A destination shortly behind its source repeats what was just written.
        if to > from && to < from + bytes {
            return None;
        }
        m.memory.copy_host(from, to, bytes as usize)?;
        advance(m, i, RSI, bytes);
    } else {
        let value = gpr(m, RAX, i.size).to_le_bytes();
        let slice = m.memory.host_slice_mut(to, bytes as usize)?;
        if i.size == 1 {
            slice.fill(value[0]);
        } else {
            for element in slice.chunks_exact_mut(i.size.into()) {
                element.copy_from_slice(&value[..i.size.into()]);
            }
        }
    }
    advance(m, i, RDI, bytes);
    Some(())
}

/// A string instruction, repeated or not.
pub fn string<const OP: u8>(m: &mut Machine, i: &Insn) -> Done {
    if !i.has(mark::REP | mark::REPNE) {
        element::<OP>(m, i)?;
        step::<OP>(m, i);
        return Ok(());
    }
    if OP == INS || OP == OUTS {
        // The right to the port is checked for a count of 0 too.
        let port = gpr(m, RDX, 2) as u16;
        system::check_port(m, port, i.size)?;
    }
    let width = i.memory.size;
    let count = gpr(m, RCX, width);
    if count == 0 {
        return Ok(());
    }
    let mut chunk = count;
    if m.cpu.mode & mode::STEP != 0 || OP == INS || OP == OUTS {
        chunk = 1;
    } else {
        if reads_source(OP) {
            chunk = chunk.min(elements_left(m, i, RSI));
        }
        if uses_destination(OP) {
            chunk = chunk.min(elements_left(m, i, RDI));
        }
    }
    let left = |m: &mut Machine, done: u64| set_gpr(m, RCX, width, count - done);
    if (OP == MOVS || OP == STOS) && bulk::<OP>(m, i, chunk).is_some() {
        left(m, chunk);
    } else {
        for n in 1..=chunk {
            element::<OP>(m, i)?;
            step::<OP>(m, i);
            left(m, n);
            let stop = match OP {
                CMPS | SCAS => flags::condition(m, 4) != i.has(mark::REP),
                _ => false,
            };
            if stop {
                return Ok(());
            }
        }
    }
    if gpr(m, RCX, width) != 0 {
        m.cpu.next_rip = m.cpu.rip;
    }
    Ok(())
}

fn step<const OP: u8>(m: &mut Machine, i: &Insn) {
    if reads_source(OP) {
        advance(m, i, RSI, i.size.into());
    }
    if uses_destination(OP) {
        advance(m, i, RDI, i.size.into());
    }
}
