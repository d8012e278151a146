//! Control transfers between segments and privilege levels: far JMP, CALL, RET; IRET; SYSCALL and SYSRET; SYSENTER and SYSEXIT.
//!
//! Call gates and task switches are not there: a selector of one raises #GP.

use perilune_runtime::guest::cpu::gpr::{RCX, RDX, RSP};
use perilune_runtime::guest::cpu::{Segment, attention, efer, flag, mode, seg};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::exit::Reason;
use perilune_runtime::guest::machine::{Machine, canonical};

use super::operand::{effective, mask, set_gpr};
use super::segment::{fault, refresh};
use super::{Done, Insn, access, segment, stack, system};
use crate::guest::fault::single_step;

/// A code segment that passed its checks, and where to go in it.
struct Target {
    segment: Segment,
    offset: u64,
}

/// Checks a code selector and an offset for a transfer that ends with privilege `cpl`; `returning` says which way the checks go.
fn code(m: &mut Machine, selector: u16, offset: u64, cpl: u8, returning: bool) -> Done<Target> {
    if selector & !3 == 0 {
        return Err(Exception::PROTECTION.into());
    }
    let mut found = segment::descriptor(m, selector, vector::PROTECTION)?;
    let rpl = (selector & 3) as u8;
    let conforming = found.has(Segment::EXPAND_DOWN);
    let privilege = match (conforming, returning) {
        (true, _) => found.dpl() <= cpl,
        (false, true) => found.dpl() == rpl,
        (false, false) => found.dpl() == cpl && rpl <= cpl,
    };
    let both = found.has(Segment::LONG) && found.has(Segment::BIG) && m.cpu.long();
    if !found.is_code() || both || !privilege {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    if !found.has(Segment::PRESENT) {
        return Err(fault(vector::NOT_PRESENT, selector).into());
    }
    segment::mark_accessed(m, &mut found)?;
    let segment = found.segment(selector & !3 | u16::from(cpl));
    let long = m.cpu.long() && segment.has(Segment::LONG);
    let fits = if long { canonical(offset) } else { offset <= u64::from(segment.limit) };
    if fits { Ok(Target { segment, offset }) } else { Err(Exception::PROTECTION.into()) }
}

fn enter(m: &mut Machine, target: &Target) {
    m.cpu.segments[seg::CS] = target.segment;
    m.cpu.next_rip = target.offset;
}

fn real_target(m: &mut Machine, selector: u16, offset: u64) -> Done {
    if offset > 0xffff {
        return Err(Exception::PROTECTION.into());
    }
    let cs = &mut m.cpu.segments[seg::CS];
    cs.selector = selector;
    cs.base = u64::from(selector) << 4;
    m.cpu.next_rip = offset;
    Ok(())
}

/// The selector and the offset of a far operand: immediate (the selector in bits 32 and up), or in memory.
fn pointer(m: &mut Machine, i: &Insn) -> Done<(u16, u64)> {
    if i.operands[0].kind == super::Kind::Immediate {
        return Ok((i.select, i.immediate));
    }
    let at = effective(m, i);
    let offset = access::load(m, i.memory.segment, at, i.size)?;
    let above = at.wrapping_add(i.size.into()) & mask(i.memory.size);
    Ok((access::load(m, i.memory.segment, above, 2)? as u16, offset))
}

/// Far JMP.
pub fn jmp(m: &mut Machine, i: &Insn) -> Done {
    let (selector, offset) = pointer(m, i)?;
    if m.cpu.mode & mode::REAL != 0 {
        real_target(m, selector, offset)?;
    } else {
        let cpl = m.cpu.cpl;
        let target = code(m, selector, offset, cpl, false)?;
        enter(m, &target);
    }
    refresh(m);
    Ok(())
}

/// Far CALL.
pub fn call(m: &mut Machine, i: &Insn) -> Done {
    let (selector, offset) = pointer(m, i)?;
    let (old, back) = (m.cpu.segments[seg::CS].selector, m.cpu.next_rip);
    let before = m.cpu.gpr[RSP];
    let real = m.cpu.mode & mode::REAL != 0;
    let cpl = m.cpu.cpl;
    let target = if real { None } else { Some(code(m, selector, offset, cpl, false)?) };
    let pushes = |m: &mut Machine| {
        stack::push(m, i.size, old.into())?;
        stack::push(m, i.size, back)
    };
    pushes(m).inspect_err(|_| m.cpu.gpr[RSP] = before)?;
    match target {
        Some(target) => enter(m, &target),
        None => real_target(m, selector, offset).inspect_err(|_| m.cpu.gpr[RSP] = before)?,
    }
    refresh(m);
    Ok(())
}

/// Far RET, with the number of bytes of arguments to release.
pub fn ret(m: &mut Machine, i: &Insn) -> Done {
    let size = u64::from(i.size);
    let extra = i.immediate & 0xffff;
    let offset = stack::peek(m, i.size, 0)?;
    let selector = stack::peek(m, i.size, size)? as u16;
    if m.cpu.mode & mode::REAL != 0 {
        real_target(m, selector, offset)?;
        stack::release(m, 2 * size + extra);
    } else {
        let rpl = (selector & 3) as u8;
        if rpl < m.cpu.cpl {
            return Err(fault(vector::PROTECTION, selector).into());
        }
        let target = code(m, selector, offset, rpl, true)?;
        if rpl == m.cpu.cpl {
            enter(m, &target);
            stack::release(m, 2 * size + extra);
        } else {
            let top = stack::peek(m, i.size, 2 * size + extra)?;
            let selector = stack::peek(m, i.size, 3 * size + extra)? as u16;
            outward(m, &target, selector, top, rpl)?;
            stack::release(m, extra);
        }
    }
    refresh(m);
    Ok(())
}

/// Enters a segment of less privilege, with another stack.
fn outward(m: &mut Machine, target: &Target, selector: u16, top: u64, cpl: u8) -> Done {
    let to_long = m.cpu.long() && target.segment.has(Segment::LONG);
    let ss = if selector & !3 == 0 && to_long && cpl < 3 && (selector & 3) as u8 == cpl {
        segment::null_stack(cpl)
    } else {
        segment::stack_segment(m, selector, cpl, vector::PROTECTION)?
    };
    enter(m, target);
    m.cpu.segments[seg::SS] = ss;
    m.cpu.cpl = cpl;
    m.cpu.update_mode();
    let width = stack::width(m);
    set_gpr(m, RSP, width, top);
    drop_privileged(m);
    Ok(())
}

/// Makes data segments that the current privilege may not use unusable, when returning to less privilege.
fn drop_privileged(m: &mut Machine) {
    let cpl = m.cpu.cpl;
    for register in [seg::ES, seg::DS, seg::FS, seg::GS] {
        let segment = &mut m.cpu.segments[register];
        let conforming = segment.has(Segment::CODE) && segment.has(Segment::EXPAND_DOWN);
        if !conforming && segment.dpl() < cpl {
            *segment = Segment { base: segment.base, ..Segment::default() };
        }
    }
}

/// IRET.
pub fn iret(m: &mut Machine, i: &Insn) -> Done {
    system::leave(m, Reason::Iret)?;
    let size = u64::from(i.size);
    let offset = stack::peek(m, i.size, 0)?;
    let selector = stack::peek(m, i.size, size)? as u16;
    let flags = stack::peek(m, i.size, 2 * size)?;
    if m.cpu.mode & mode::REAL != 0 {
        real_target(m, selector, offset)?;
        stack::release(m, 3 * size);
        system::set_flags(m, flags, i.size);
        if i.size == 4 {
            m.cpu.rflags = m.cpu.rflags & !flag::RF | flags & flag::RF;
        }
    } else {
        protected_iret(m, i, offset, selector, flags)?;
    }
    m.cpu.nmi_blocked = false;
    m.cpu.attention |= attention::INTERRUPT;
    refresh(m);
    Ok(())
}

fn protected_iret(m: &mut Machine, i: &Insn, offset: u64, selector: u16, flags: u64) -> Done {
    let size = u64::from(i.size);
    let cpl = m.cpu.cpl;
    // Nested tasks and virtual-8086 mode are not there.
    let virtual_8086 = i.size >= 4 && flags & flag::VM != 0 && !m.cpu.long();
    if m.cpu.has(flag::NT) || virtual_8086 {
        return Err(Exception::PROTECTION.into());
    }
    let rpl = (selector & 3) as u8;
    if rpl < cpl {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    let wide = m.cpu.code64();
    let target = code(m, selector, offset, rpl, true)?;
    if wide || rpl > cpl {
        let top = stack::peek(m, i.size, 3 * size)?;
        let stack_selector = stack::peek(m, i.size, 4 * size)? as u16;
        if rpl > cpl {
            outward(m, &target, stack_selector, top, rpl)?;
        } else {
            let to_long = target.segment.has(Segment::LONG);
            let ss = if stack_selector & !3 == 0 && to_long && rpl < 3 {
                segment::null_stack(rpl)
            } else {
                segment::stack_segment(m, stack_selector, rpl, vector::PROTECTION)?
            };
            enter(m, &target);
            m.cpu.segments[seg::SS] = ss;
            m.cpu.update_mode();
            let width = stack::width(m);
            set_gpr(m, RSP, width, top);
        }
    } else {
        enter(m, &target);
        stack::release(m, 3 * size);
    }
    // The flags are those that the privilege before the return may change.
    let after = std::mem::replace(&mut m.cpu.cpl, cpl);
    system::set_flags(m, flags, i.size);
    m.cpu.cpl = after;
    if i.size > 2 {
        m.cpu.rflags = m.cpu.rflags & !flag::RF | flags & flag::RF;
    }
    Ok(())
}

fn flat_code(selector: u16, cpl: u8, long: bool) -> Segment {
    let width = if long { Segment::LONG } else { Segment::BIG };
    Segment {
        selector: selector & !3 | u16::from(cpl),
        attributes: 0x9b | u16::from(cpl) << 5 | width | Segment::PAGES,
        limit: u32::MAX,
        base: 0,
    }
}

fn flat_stack(selector: u16, cpl: u8) -> Segment {
    Segment {
        selector: selector & !3 | u16::from(cpl),
        attributes: 0x93 | u16::from(cpl) << 5 | Segment::BIG | Segment::PAGES,
        limit: u32::MAX,
        base: 0,
    }
}

/// SYSCALL (APM volume 3).
pub fn syscall(m: &mut Machine, _: &Insn) -> Done {
    if m.cpu.msr.efer & efer::SCE == 0 || m.cpu.mode & mode::REAL != 0 {
        return Err(Exception::INVALID_OPCODE.into());
    }
    system::leave(m, Reason::Syscall)?;
    let selector = (m.cpu.msr.star >> 32) as u16 & !3;
    set_gpr(m, RCX, if m.cpu.long() { 8 } else { 4 }, m.cpu.next_rip);
    if m.cpu.long() {
        m.cpu.gpr[11] = m.cpu.rflags & !flag::RF;
        m.cpu.next_rip = if m.cpu.code64() { m.cpu.msr.lstar } else { m.cpu.msr.cstar };
        m.cpu.rflags = m.cpu.rflags & !(m.cpu.msr.sfmask | flag::RF) | flag::FIXED;
    } else {
        m.cpu.next_rip = m.cpu.msr.star & 0xffff_ffff;
        m.cpu.rflags &= !(flag::IF | flag::RF | flag::VM);
    }
    let long = m.cpu.long();
    m.cpu.cpl = 0;
    m.cpu.segments[seg::CS] = flat_code(selector, 0, long);
    m.cpu.segments[seg::SS] = flat_stack(selector.wrapping_add(8), 0);
    refresh(m);
    step_behind(m)
}

/// The single step of SYSCALL and SYSRET: unlike that of other instructions, it depends on TF as they have left it, so that a mask of
/// SYSCALL that clears TF keeps the trap from the kernel's first instruction, and SYSRET to code that is stepped traps at once.
fn step_behind(m: &mut Machine) -> Done {
    if !m.cpu.has(flag::TF) {
        return Ok(());
    }
    m.cpu.rip = m.cpu.next_rip;
    Err(single_step(m))
}

/// SYSRET (APM volume 3).
pub fn sysret(m: &mut Machine, i: &Insn) -> Done {
    if m.cpu.msr.efer & efer::SCE == 0 {
        return Err(Exception::INVALID_OPCODE.into());
    }
    if m.cpu.cpl != 0 || m.cpu.mode & mode::REAL != 0 {
        return Err(Exception::PROTECTION.into());
    }
    system::leave(m, Reason::Sysret)?;
    let selector = (m.cpu.msr.star >> 48) as u16;
    let wide = i.size == 8 && m.cpu.long();
    if wide {
        if !canonical(m.cpu.gpr[RCX]) {
            return Err(Exception::PROTECTION.into());
        }
        m.cpu.next_rip = m.cpu.gpr[RCX];
    } else {
        m.cpu.next_rip = m.cpu.gpr[RCX] & 0xffff_ffff;
    }
    if m.cpu.long() {
        let keep = flag::RF | flag::VM;
        m.cpu.rflags = m.cpu.gpr[11] & system::EXISTING_FLAGS & !keep | flag::FIXED;
    } else {
        m.cpu.rflags |= flag::IF;
    }
    m.cpu.cpl = 3;
    m.cpu.segments[seg::CS] = flat_code(selector.wrapping_add(if wide { 16 } else { 0 }), 3, wide);
    m.cpu.segments[seg::SS] = flat_stack(selector.wrapping_add(8), 3);
    m.cpu.attention |= attention::INTERRUPT;
    refresh(m);
    step_behind(m)
}

/// SYSENTER; as on AMD's processors, not in long mode.
pub fn sysenter(m: &mut Machine, _: &Insn) -> Done {
    if m.cpu.long() {
        return Err(Exception::INVALID_OPCODE.into());
    }
    let selector = m.cpu.msr.sysenter_cs as u16;
    if m.cpu.mode & mode::REAL != 0 || selector & !3 == 0 {
        return Err(Exception::PROTECTION.into());
    }
    system::leave(m, Reason::Syscall)?;
    m.cpu.rflags &= !(flag::IF | flag::RF | flag::VM);
    m.cpu.cpl = 0;
    m.cpu.segments[seg::CS] = flat_code(selector, 0, false);
    m.cpu.segments[seg::SS] = flat_stack(selector.wrapping_add(8), 0);
    m.cpu.gpr[RSP] = m.cpu.msr.sysenter_esp & 0xffff_ffff;
    m.cpu.next_rip = m.cpu.msr.sysenter_eip & 0xffff_ffff;
    refresh(m);
    Ok(())
}

/// SYSEXIT; as on AMD's processors, not in long mode.
pub fn sysexit(m: &mut Machine, _: &Insn) -> Done {
    if m.cpu.long() {
        return Err(Exception::INVALID_OPCODE.into());
    }
    let selector = m.cpu.msr.sysenter_cs as u16;
    if m.cpu.cpl != 0 || m.cpu.mode & mode::REAL != 0 || selector & !3 == 0 {
        return Err(Exception::PROTECTION.into());
    }
    system::leave(m, Reason::Sysret)?;
    m.cpu.cpl = 3;
    m.cpu.segments[seg::CS] = flat_code(selector.wrapping_add(16), 3, false);
    m.cpu.segments[seg::SS] = flat_stack(selector.wrapping_add(24), 3);
    m.cpu.gpr[RSP] = m.cpu.gpr[RCX] & 0xffff_ffff;
    m.cpu.next_rip = m.cpu.gpr[RDX] & 0xffff_ffff;
    refresh(m);
    Ok(())
}
