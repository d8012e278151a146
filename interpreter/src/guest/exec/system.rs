//! Privileged and sensitive instructions: VM exits, ports, interrupts, tables.
//!
//! Each of them calls [`leave`] first, which counts the exit and hands it to the monitor when that asked for it. What the
//! guest sees otherwise is a virtual processor, never the host's.

use perilune_runtime::guest::bus::Request;
use perilune_runtime::guest::cpu::gpr::{RAX, RCX, RDX};
use perilune_runtime::guest::cpu::{Activity, Segment, TableRegister, attention, cr4, flag, mode, seg};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::exit::{Detail, Exit, Reason};
use perilune_runtime::guest::machine::{Machine, canonical};

use super::operand::{effective, get, gpr, set_gpr};
use super::segment::refresh;
use super::{Done, Insn, Stop, access};
use crate::guest::fault;

/// The bits of rflags that exist.
pub const EXISTING_FLAGS: u64 = 0x3f_7fd7;

/// Counts an exit, and leaves the guest before the instruction when the monitor wants to be asked.
pub fn leave(m: &mut Machine, reason: Reason) -> Done {
    leave_with(m, reason, Detail::None)
}

/// Likewise, with something to tell.
pub fn leave_with(m: &mut Machine, reason: Reason, detail: Detail) -> Done {
    m.exits.count(reason);
    if m.intercepts.contains(reason) && !m.emulate.contains(reason) {
        m.request_exit(Exit { reason, detail });
        return Err(Stop::Exit);
    }
    Ok(())
}

/// Privileged instructions raise #GP at CPL 1 to 3.
pub fn privileged(m: &Machine) -> Done {
    if m.cpu.cpl == 0 { Ok(()) } else { Err(Exception::PROTECTION.into()) }
}

/// Checks the privilege and leaves.
fn leave_privileged(m: &mut Machine, reason: Reason) -> Done {
    privileged(m)?;
    leave(m, reason)
}

/// For instructions that protected mode has only: #UD in real mode; privileged if `only_supervisor`, else UMIP forbids them to users
/// where they store privileged state.
pub fn leave_protected(m: &mut Machine, reason: Reason, only_supervisor: bool) -> Done {
    if m.cpu.mode & mode::REAL != 0 {
        return Err(Exception::INVALID_OPCODE.into());
    }
    if only_supervisor {
        privileged(m)?;
    } else if reason == Reason::StoreTask {
        user_may_store(m)?;
    }
    leave(m, reason)
}

/// With UMIP, user code may not store privileged state.
fn user_may_store(m: &Machine) -> Done {
    if m.cpu.cpl > 0 && m.cpu.cr4 & cr4::UMIP != 0 { Err(Exception::PROTECTION.into()) } else { Ok(()) }
}

/// Sets the flags that POPF and IRET may change at the current privilege. `size` is that of the image.
pub fn set_flags(m: &mut Machine, value: u64, size: u8) {
    let mut may = flag::ARITHMETIC | flag::TF | flag::DF | flag::NT | flag::AC | flag::ID;
    if m.cpu.cpl == 0 {
        may |= flag::IOPL;
    }
    if m.cpu.cpl <= m.cpu.iopl() {
        may |= flag::IF;
    }
    if size == 2 {
        may &= 0xffff;
    }
    let before = m.cpu.rflags;
    m.cpu.rflags = (before & !may | value & may) & !flag::RF | flag::FIXED;
    if (before ^ m.cpu.rflags) & (flag::TF | flag::AC) != 0 {
        refresh(m);
    }
    if (before ^ m.cpu.rflags) & flag::IF != 0 {
        m.cpu.attention |= attention::INTERRUPT;
    }
}

/// CLI.
pub fn cli(m: &mut Machine, _: &Insn) -> Done {
    may_touch_if(m)?;
    leave(m, Reason::InterruptFlag)?;
    m.cpu.rflags &= !flag::IF;
    Ok(())
}

/// STI: interrupts are let in behind the next instruction.
pub fn sti(m: &mut Machine, _: &Insn) -> Done {
    may_touch_if(m)?;
    leave(m, Reason::InterruptFlag)?;
    if !m.cpu.has(flag::IF) {
        m.cpu.rflags |= flag::IF;
        m.cpu.shadow = true;
    }
    m.cpu.attention |= attention::INTERRUPT;
    Ok(())
}

fn may_touch_if(m: &Machine) -> Done {
    let real = m.cpu.mode & mode::REAL != 0;
    if real || m.cpu.cpl <= m.cpu.iopl() { Ok(()) } else { Err(Exception::PROTECTION.into()) }
}

/// HLT.
pub fn hlt(m: &mut Machine, _: &Insn) -> Done {
    leave_privileged(m, Reason::Hlt)?;
    m.cpu.activity = Activity::Halted;
    m.cpu.attention |= attention::INTERRUPT;
    Ok(())
}

/// INT n, INT3, INT1, INTO: `select` is the vector.
pub fn interrupt(m: &mut Machine, i: &Insn) -> Done {
    if i.select == u16::from(vector::OVERFLOW) && !m.cpu.has(flag::OF) && i.size == 0 {
        return Ok(());
    }
    leave_with(m, Reason::SoftwareInterrupt, Detail::Vector(i.select as u8))?;
    fault::software(m, i.select as u8)
}

/// PAUSE.
pub fn pause(m: &mut Machine, _: &Insn) -> Done {
    leave(m, Reason::Pause)
}

/// VMCALL, VMMCALL. Nobody answers a hypercall but a monitor that asked for it.
pub fn hypercall(m: &mut Machine, _: &Insn) -> Done {
    leave(m, Reason::Hypercall)?;
    Err(Exception::INVALID_OPCODE.into())
}

/// INVD, WBINVD: there is no cache.
pub fn cache_control(m: &mut Machine, _: &Insn) -> Done {
    leave_privileged(m, Reason::CacheControl)
}

/// RDTSC, and RDTSCP with `select` 1.
pub fn rdtsc(m: &mut Machine, i: &Insn) -> Done {
    if m.cpu.cr4 & cr4::TSD != 0 && m.cpu.cpl > 0 {
        return Err(Exception::PROTECTION.into());
    }
    leave(m, Reason::Rdtsc)?;
    let tsc = m.cpu.tsc();
    set_gpr(m, RAX, 4, tsc);
    set_gpr(m, RDX, 4, tsc >> 32);
    if i.select == 1 {
        let aux = m.cpu.msr.tsc_aux;
        set_gpr(m, RCX, 4, aux);
    }
    Ok(())
}

/// RDPMC: there are no counters.
pub fn rdpmc(m: &mut Machine, _: &Insn) -> Done {
    leave(m, Reason::Rdpmc)?;
    Err(Exception::PROTECTION.into())
}

/// SGDT, and SIDT with `select` 1.
pub fn store_table(m: &mut Machine, i: &Insn) -> Done {
    user_may_store(m)?;
    leave(m, Reason::StoreTable)?;
    let table = if i.select == 0 { m.cpu.gdtr } else { m.cpu.idtr };
    let offset = effective(m, i);
    let width = if m.cpu.code64() { 8 } else { 4 };
    access::probe_write(m, i.memory.segment, offset, 2 + u64::from(width))?;
    access::store(m, i.memory.segment, offset, 2, table.limit.into())?;
    access::store(m, i.memory.segment, offset.wrapping_add(2), width, table.base)
}

/// LGDT, and LIDT with `select` 1.
pub fn load_table(m: &mut Machine, i: &Insn) -> Done {
    leave_privileged(m, Reason::LoadTable)?;
    let offset = effective(m, i);
    let limit = access::load(m, i.memory.segment, offset, 2)? as u16;
    let base = if m.cpu.code64() {
        access::load(m, i.memory.segment, offset.wrapping_add(2), 8)?
    } else {
        let base = access::load(m, i.memory.segment, offset.wrapping_add(2), 4)?;
        if i.size == 2 { base & 0xff_ffff } else { base }
    };
    if m.cpu.code64() && !canonical(base) {
        return Err(Exception::PROTECTION.into());
    }
    let table = TableRegister { base, limit };
    if i.select == 0 {
        m.cpu.gdtr = table;
    } else {
        m.cpu.idtr = table;
    }
    Ok(())
}

/// INVLPG.
pub fn invlpg(m: &mut Machine, i: &Insn) -> Done {
    leave_privileged(m, Reason::Invlpg)?;
    let mut va = effective(m, i);
    if i.memory.segment >= seg::FS as u8 || !m.cpu.code64() {
        va = va.wrapping_add(m.cpu.segments[usize::from(i.memory.segment)].base);
    }
    m.flush_page(va);
    Ok(())
}

/// INVPCID (APM volume 3).
pub fn invpcid(m: &mut Machine, i: &Insn) -> Done {
    leave_privileged(m, Reason::Invlpg)?;
    let kind = gpr(m, i.operands[0].register.into(), if m.cpu.code64() { 8 } else { 4 });
    let offset = effective(m, i);
    let pcid = access::load(m, i.memory.segment, offset, 8)?;
    let va = access::load(m, i.memory.segment, offset.wrapping_add(8), 8)?;
    let without_pcids = m.cpu.cr4 & cr4::PCIDE == 0 && pcid != 0;
    if kind > 3 || kind < 2 && (pcid > 0xfff || without_pcids) || kind == 0 && !canonical(va) {
        return Err(Exception::PROTECTION.into());
    }
    match kind {
        0 => m.flush_page(va),
        1 => m.flush_pcid(pcid as u16),
        _ => m.flush_tlb(),
    }
    Ok(())
}

/// SWAPGS.
pub fn swapgs(m: &mut Machine, _: &Insn) -> Done {
    if !m.cpu.code64() {
        return Err(Exception::INVALID_OPCODE.into());
    }
    leave_privileged(m, Reason::Swapgs)?;
    std::mem::swap(&mut m.cpu.segments[seg::GS].base, &mut m.cpu.msr.kernel_gs_base);
    Ok(())
}

/// RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: `select` is 4 or 5, plus 8 to write.
pub fn segment_base(m: &mut Machine, i: &Insn) -> Done {
    if !m.cpu.code64() || m.cpu.cr4 & cr4::FSGSBASE == 0 {
        return Err(Exception::INVALID_OPCODE.into());
    }
    let segment = usize::from(i.select & 7);
    if i.select & 8 == 0 {
        let base = m.cpu.segments[segment].base;
        set_gpr(m, i.operands[0].register.into(), i.operands[0].size, base);
    } else {
        let base = get(m, i, 0)?;
        if !canonical(base) {
            return Err(Exception::PROTECTION.into());
        }
        m.cpu.segments[segment].base = base;
    }
    Ok(())
}

/// CLAC, and STAC with `select` 1.
pub fn access_flag(m: &mut Machine, i: &Insn) -> Done {
    if m.cpu.cpl != 0 {
        return Err(Exception::INVALID_OPCODE.into());
    }
    m.cpu.rflags = if i.select == 0 { m.cpu.rflags & !flag::AC } else { m.cpu.rflags | flag::AC };
    refresh(m);
    Ok(())
}

/// Whether the current privilege may use a port: IOPL, else the permission map of the task (APM volume 2, section 12.2.4).
pub fn check_port(m: &mut Machine, port: u16, size: u8) -> Done {
    if m.cpu.mode & mode::REAL != 0 || m.cpu.cpl <= m.cpu.iopl() {
        return Ok(());
    }
    let tr = m.cpu.tr;
    let denied = Err(Exception::PROTECTION.into());
    if !tr.has(Segment::PRESENT) || tr.limit < 0x67 {
        return denied;
    }
    let map = u16::from_le_bytes(access::load_implicit(m, tr.base.wrapping_add(0x66))?);
    let at = u32::from(map) + u32::from(port / 8);
    if at + 1 > tr.limit {
        return denied;
    }
    let bits = u16::from_le_bytes(access::load_implicit(m, tr.base.wrapping_add(at.into()))?);
    let wanted = (1u16 << size) - 1;
    if bits >> (port & 7) & wanted == 0 { Ok(()) } else { denied }
}

/// Reads a port. The device may have raised an interrupt, or set a timer.
pub fn port_in(m: &mut Machine, port: u16, size: u8) -> Done<u32> {
    leave_with(m, Reason::PortIn, Detail::Port { port, size, value: 0 })?;
    let now = m.cpu.time();
    let value = m.bus.port_in(now, port, size);
    m.cpu.attention |= attention::INTERRUPT | attention::TIMER;
    Ok(value.unwrap_or(u32::MAX))
}

/// Writes a port.
pub fn port_out(m: &mut Machine, port: u16, size: u8, value: u32) -> Done {
    leave_with(m, Reason::PortOut, Detail::Port { port, size, value })?;
    let now = m.cpu.time();
    m.cpu.attention |= attention::INTERRUPT | attention::TIMER;
    match m.bus.port_out(now, port, size, value) {
        Request::None => {}
        Request::Reset => m.request_exit(Exit { reason: Reason::Reset, detail: Detail::None }),
        Request::Exit(value) => m.request_exit(Exit { reason: Reason::DebugExit, detail: Detail::Value(value) }),
    }
    Ok(())
}

/// The port of IN and OUT: an immediate byte, or DX.
fn port(m: &Machine, i: &Insn, n: usize) -> u16 {
    if i.operands[n].kind == super::Kind::Immediate { i.immediate as u16 & 0xff } else { gpr(m, RDX, 2) as u16 }
}

/// IN.
pub fn input(m: &mut Machine, i: &Insn) -> Done {
    let port = port(m, i, 1);
    let size = i.operands[0].size;
    check_port(m, port, size)?;
    let value = port_in(m, port, size)?;
    set_gpr(m, RAX, size, value.into());
    Ok(())
}

/// OUT.
pub fn output(m: &mut Machine, i: &Insn) -> Done {
    let port = port(m, i, 0);
    let size = i.operands[1].size;
    check_port(m, port, size)?;
    let value = gpr(m, RAX, size) as u32;
    port_out(m, port, size, value)
}

/// Reads from where neither RAM nor ROM is: a device's register of 32 bits, or nothing, which is all ones.
pub fn read_device(m: &mut Machine, address: u64, bytes: &mut [u8]) -> Done {
    bytes.fill(0xff);
    let now = m.cpu.time();
    if let Some(value) = m.bus.memory_in(now, address & !3) {
        let at = (address & 3) as usize;
        for (byte, value) in bytes.iter_mut().zip(&value.to_le_bytes()[at..]) {
            *byte = *value;
        }
        return Ok(());
    }
    leave_with(m, Reason::Mmio, Detail::Physical { address, size: bytes.len() as u8, value: None })
}

/// Writes to where neither RAM nor ROM is.
pub fn write_device(m: &mut Machine, address: u64, bytes: &[u8]) -> Done {
    let value = bytes.iter().take(8).rev().fold(0, |v, b| v << 8 | u64::from(*b));
    let now = m.cpu.time();
    if m.bus.memory_out(now, address & !3, value as u32) {
        m.cpu.attention |= attention::INTERRUPT | attention::TIMER;
        return Ok(());
    }
    leave_with(m, Reason::Mmio, Detail::Physical { address, size: bytes.len() as u8, value: Some(value) })
}
