//! Control, debug and model-specific registers.

use perilune_runtime::guest::cpu::gpr::{RAX, RCX, RDX};
use perilune_runtime::guest::cpu::{Segment, attention, cr0, cr4, efer, seg};
use perilune_runtime::guest::device::lapic;
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::exit::{Detail, Reason};
use perilune_runtime::guest::machine::{Machine, canonical};
use perilune_runtime::guest::paging::PHYSICAL_BITS;

use super::operand::{get, gpr, set, set_gpr};
use super::segment::refresh;
use super::system::{leave, leave_with, privileged};
use super::{Done, Insn};

/// The bits of CR4 that exist.
const CR4: u64 = cr4::TSD
    | cr4::DE
    | cr4::PSE
    | cr4::PAE
    | cr4::MCE
    | cr4::PGE
    | cr4::PCE
    | cr4::OSFXSR
    | cr4::OSXMMEXCPT
    | cr4::UMIP
    | cr4::FSGSBASE
    | cr4::PCIDE
    | cr4::SMEP
    | cr4::SMAP;

/// Bits of CR0 that translations depend on.
const CR0_PAGING: u64 = cr0::PG | cr0::WP;
/// Bits of CR4 that translations depend on.
const CR4_PAGING: u64 = cr4::PSE | cr4::PAE | cr4::PGE | cr4::PCIDE | cr4::SMEP | cr4::SMAP;

const PROTECTION: super::Stop = super::Stop::Exception(Exception::PROTECTION);

fn require(condition: bool) -> Done {
    if condition { Ok(()) } else { Err(PROTECTION) }
}

/// MOV from a control register.
pub fn read_control(m: &mut Machine, i: &Insn) -> Done {
    privileged(m)?;
    let number = i.operands[1].register;
    leave_with(m, Reason::ReadControl, Detail::Register { number: number.into(), value: None })?;
    let value = match number {
        0 => m.cpu.cr0,
        2 => m.cpu.cr2,
        3 => m.cpu.cr3,
        4 => m.cpu.cr4,
        8 => u64::from(m.bus.devices.lapic.tpr) >> 4,
        _ => return Err(Exception::INVALID_OPCODE.into()),
    };
    set(m, i, 0, value)
}

/// MOV to a control register.
pub fn write_control(m: &mut Machine, i: &Insn) -> Done {
    privileged(m)?;
    let number = i.operands[0].register;
    let value = get(m, i, 1)?;
    leave_with(m, Reason::WriteControl, Detail::Register { number: number.into(), value: Some(value) })?;
    match number {
        0 => set_cr0(m, value),
        2 => {
            m.cpu.cr2 = value;
            Ok(())
        }
        3 => set_cr3(m, value),
        4 => set_cr4(m, value),
        8 => {
            require(value < 16)?;
            m.bus.devices.lapic.tpr = (value << 4) as u8;
            m.cpu.attention |= attention::INTERRUPT;
            Ok(())
        }
        _ => Err(Exception::INVALID_OPCODE.into()),
    }
}

/// Sets CR0 with the checks of the manual (APM volume 2, section 3.1.1), and starts and ends long mode.
pub fn set_cr0(m: &mut Machine, value: u64) -> Done {
    let has = |bit: u64| value & bit != 0;
    require(value >> 32 == 0 && (has(cr0::PE) || !has(cr0::PG)) && (has(cr0::CD) || !has(cr0::NW)))?;
    let (paging, paged) = (has(cr0::PG), m.cpu.cr0 & cr0::PG != 0);
    if paging && !paged && m.cpu.msr.efer & efer::LME != 0 {
        require(m.cpu.cr4 & cr4::PAE != 0 && !m.cpu.segments[seg::CS].has(Segment::LONG))?;
        m.cpu.msr.efer |= efer::LMA;
    } else if paged && !paging {
        require(!m.cpu.code64() && m.cpu.cr4 & cr4::PCIDE == 0)?;
        m.cpu.msr.efer &= !efer::LMA;
    }
    let known = cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
    let before = std::mem::replace(&mut m.cpu.cr0, value & known | cr0::ET);
    if (before ^ value) & CR0_PAGING != 0 {
        m.flush_tlb();
    }
    refresh(m);
    Ok(())
}

/// Sets CR3. Bit 63 keeps the translations of the PCID.
fn set_cr3(m: &mut Machine, value: u64) -> Done {
    let pcids = m.cpu.cr4 & cr4::PCIDE != 0;
    let keep = pcids && value >> 63 != 0;
    let value = if pcids { value & !(1 << 63) } else { value };
    require(!m.cpu.long() || value >> PHYSICAL_BITS == 0)?;
    m.cpu.cr3 = value;
    if keep {
        refresh(m);
        m.cpu.attention |= attention::LOOKUP;
    } else {
        let pcid = m.pcid();
        m.flush_pcid(pcid);
    }
    Ok(())
}

/// Sets CR4 with the checks of the manual (APM volume 2, section 3.1.3).
fn set_cr4(m: &mut Machine, value: u64) -> Done {
    let has = |bit: u64| value & bit != 0;
    require(value & !CR4 == 0)?;
    require(!m.cpu.long() || has(cr4::PAE))?;
    if has(cr4::PCIDE) && m.cpu.cr4 & cr4::PCIDE == 0 {
        require(m.cpu.long() && m.cpu.cr3 & 0xfff == 0)?;
    }
    let before = std::mem::replace(&mut m.cpu.cr4, value);
    if (before ^ value) & CR4_PAGING != 0 {
        m.flush_tlb();
    }
    refresh(m);
    Ok(())
}

/// CLTS.
pub fn clts(m: &mut Machine, _: &Insn) -> Done {
    privileged(m)?;
    leave_with(m, Reason::WriteControl, Detail::Register { number: 0, value: Some(m.cpu.cr0 & !cr0::TS) })?;
    m.cpu.cr0 &= !cr0::TS;
    refresh(m);
    Ok(())
}

/// SMSW: a register gets CR0 in full width, memory 16 bits.
pub fn smsw(m: &mut Machine, i: &Insn) -> Done {
    if m.cpu.cpl > 0 && m.cpu.cr4 & cr4::UMIP != 0 {
        return Err(PROTECTION);
    }
    leave(m, Reason::Smsw)?;
    let value = m.cpu.cr0;
    set(m, i, 0, value)
}

/// LMSW: sets MP, EM and TS, and may set PE.
pub fn lmsw(m: &mut Machine, i: &Insn) -> Done {
    privileged(m)?;
    let value = get(m, i, 0)?;
    let low = cr0::MP | cr0::EM | cr0::TS;
    let value = m.cpu.cr0 & !low | value & (low | cr0::PE);
    leave_with(m, Reason::WriteControl, Detail::Register { number: 0, value: Some(value) })?;
    set_cr0(m, value)
}

/// The register that a number of a debug register means: DR4 and DR5 are DR6 and DR7, unless CR4.DE is set.
fn debug_register(m: &Machine, number: u8) -> Done<usize> {
    match number {
        4 | 5 if m.cpu.cr4 & cr4::DE != 0 => Err(Exception::INVALID_OPCODE.into()),
        4 | 5 => Ok(usize::from(number) + 2),
        0..=7 => Ok(number.into()),
        _ => Err(Exception::INVALID_OPCODE.into()),
    }
}

/// DR7.GD: each access raises #DB.
fn general_detect(m: &mut Machine) -> Done {
    const GD: u64 = 1 << 13;
    if m.cpu.dr[7] & GD != 0 {
        m.cpu.dr[7] &= !GD;
        m.cpu.dr[6] |= GD;
        return Err(Exception::plain(vector::DEBUG).into());
    }
    Ok(())
}

/// MOV from a debug register.
pub fn read_debug(m: &mut Machine, i: &Insn) -> Done {
    let number = debug_register(m, i.operands[1].register)?;
    privileged(m)?;
    leave_with(m, Reason::ReadDebug, Detail::Register { number: number as u32, value: None })?;
    general_detect(m)?;
    let value = m.cpu.dr[number];
    set(m, i, 0, value)
}

/// MOV to a debug register. The breakpoints that they describe are not there.
pub fn write_debug(m: &mut Machine, i: &Insn) -> Done {
    let number = debug_register(m, i.operands[0].register)?;
    privileged(m)?;
    let value = get(m, i, 1)?;
    leave_with(m, Reason::WriteDebug, Detail::Register { number: number as u32, value: Some(value) })?;
    general_detect(m)?;
    m.cpu.dr[number] = match number {
        6 => {
            require(value >> 32 == 0)?;
            value & 0xe00f | 0xffff_0ff0
        }
        7 => {
            require(value >> 32 == 0)?;
            value & 0xffff_2fff | 0x400
        }
        _ => value,
    };
    Ok(())
}

/// The number of the MSR that says where the local APIC is.
const APIC_BASE: u32 = 0x1b;
/// Its value: the address, and that this is the processor that starts.
const APIC_PLACE: u64 = lapic::BASE | 1 << 8;
/// The bit of it that switches the local APIC on.
const APIC_ENABLED: u64 = 1 << 11;

/// The performance counters that every AMD processor of this family has, and their events: they are there, and never count.
const COUNTERS_FIRST: u32 = 0xc001_0000;
const COUNTERS_LAST: u32 = 0xc001_0007;

/// RDMSR.
pub fn rdmsr(m: &mut Machine, _: &Insn) -> Done {
    privileged(m)?;
    let number = gpr(m, RCX, 4) as u32;
    leave_with(m, Reason::Rdmsr, Detail::Register { number, value: None })?;
    let msr = &m.cpu.msr;
    let value = match number {
        0x10 => m.cpu.tsc(),
        APIC_BASE => APIC_PLACE | if m.bus.devices.lapic.enabled() { APIC_ENABLED } else { 0 },
        0x174 => msr.sysenter_cs,
        0x175 => msr.sysenter_esp,
        0x176 => msr.sysenter_eip,
        0x277 => msr.pat,
        COUNTERS_FIRST..=COUNTERS_LAST => 0,
        0xc000_0080 => msr.efer,
        0xc000_0081 => msr.star,
        0xc000_0082 => msr.lstar,
        0xc000_0083 => msr.cstar,
        0xc000_0084 => msr.sfmask,
        0xc000_0100 => m.cpu.segments[seg::FS].base,
        0xc000_0101 => m.cpu.segments[seg::GS].base,
        0xc000_0102 => msr.kernel_gs_base,
        0xc000_0103 => msr.tsc_aux,
        _ => return Err(PROTECTION),
    };
    set_gpr(m, RAX, 4, value);
    set_gpr(m, RDX, 4, value >> 32);
    Ok(())
}

/// WRMSR.
pub fn wrmsr(m: &mut Machine, _: &Insn) -> Done {
    privileged(m)?;
    let number = gpr(m, RCX, 4) as u32;
    let value = gpr(m, RDX, 4) << 32 | gpr(m, RAX, 4);
    leave_with(m, Reason::Wrmsr, Detail::Register { number, value: Some(value) })?;
    let address = matches!(number, 0x175 | 0x176 | 0xc000_0082 | 0xc000_0083 | 0xc000_0100..=0xc000_0102);
    require(!address || canonical(value))?;
    let time = m.cpu.time();
    let msr = &mut m.cpu.msr;
    match number {
        0x10 => msr.tsc_offset = value.wrapping_sub(time),
        // It cannot be moved.
        APIC_BASE => {
            require(value & !APIC_ENABLED == APIC_PLACE)?;
            m.bus.devices.lapic.set_enabled(value & APIC_ENABLED != 0);
        }
        0x174 => msr.sysenter_cs = value,
        0x175 => msr.sysenter_esp = value,
        0x176 => msr.sysenter_eip = value,
        0x277 => {
            let kind = |n: u32| matches!(value >> (8 * n) & 0xff, 0 | 1 | 4..=7);
            require((0..8).all(kind))?;
            msr.pat = value;
        }
        COUNTERS_FIRST..=COUNTERS_LAST => {}
        0xc000_0080 => set_efer(m, value)?,
        0xc000_0081 => msr.star = value,
        0xc000_0082 => msr.lstar = value,
        0xc000_0083 => msr.cstar = value,
        0xc000_0084 => msr.sfmask = value & 0xffff_ffff,
        0xc000_0100 => m.cpu.segments[seg::FS].base = value,
        0xc000_0101 => m.cpu.segments[seg::GS].base = value,
        0xc000_0102 => msr.kernel_gs_base = value,
        0xc000_0103 => msr.tsc_aux = value & 0xffff_ffff,
        _ => return Err(PROTECTION),
    }
    Ok(())
}

fn set_efer(m: &mut Machine, value: u64) -> Done {
    let old = m.cpu.msr.efer;
    require(value & !(efer::SCE | efer::LME | efer::LMA | efer::NXE) == 0)?;
    // Long mode cannot be enabled or disabled while there is paging.
    require(m.cpu.cr0 & cr0::PG == 0 || (value ^ old) & efer::LME == 0)?;
    m.cpu.msr.efer = value & !efer::LMA | old & efer::LMA;
    if (value ^ old) & efer::NXE != 0 {
        m.flush_tlb();
    }
    refresh(m);
    Ok(())
}
