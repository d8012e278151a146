//! From linear to guest-physical addresses: the walk of the page tables (APM volume 2, chapter 5).
//!
//! All forms: 4 levels in long mode (pages of 4 KiB, 2 MiB, 1 GiB), PAE and 2 levels in legacy mode, and no paging. A walk
//! checks what the access needs, and sets accessed and dirty bits only when the access is allowed.

use super::cpu::{Cpu, cr0, cr4, efer, flag};
use super::exception::page_fault;
use super::memory::Memory;
use super::tlb::Access;

/// Bits of a physical address. CPUID says the same.
pub const PHYSICAL_BITS: u32 = 40;

/// Bits of entries.
mod entry {
    pub const PRESENT: u64 = 1;
    pub const WRITABLE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    pub const ACCESSED: u64 = 1 << 5;
    pub const DIRTY: u64 = 1 << 6;
    pub const LARGE: u64 = 1 << 7;
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// The address in an entry that points to a table or a small page.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    /// Bits of the address that no physical address has.
    pub const TOO_FAR: u64 = ADDRESS & !((1 << super::PHYSICAL_BITS) - 1);
}

/// Where a page lies, and what else may be done with it by the same privilege, without another walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The guest-physical address that was asked for.
    pub physical: u64,
    /// It may be read.
    pub readable: bool,
    /// It may be written, and the dirty bit is set.
    pub writable: bool,
    /// Instructions may be fetched.
    pub executable: bool,
    /// The page is larger than 4 KiB.
    pub large: bool,
}

/// Who accesses, and whether it leaves a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accessor {
    /// With the rights of CPL 3.
    pub user: bool,
    /// An access of the processor itself (descriptors, task state), to which AC gives no rights.
    pub implicit: bool,
    /// Accessed and dirty bits are left alone: the monitor looks.
    pub silent: bool,
}

/// One level of a walk: the entry's address and its value.
#[derive(Clone, Copy, Default)]
struct Step {
    at: u64,
    value: u64,
    /// 64 bits, not 32.
    wide: bool,
    /// It has an accessed bit: all but the four entries at the top of PAE's tables.
    marks: bool,
}

/// What a walk found on its way to the page.
#[derive(Default)]
struct Path {
    steps: [Step; 4],
    count: usize,
    page: u64,
    shift: u32,
    rights: u64,
    no_execute: bool,
}

/// Translates the linear address `va`, or answers the error code of the page fault.
pub fn translate(cpu: &Cpu, memory: &mut Memory, va: u64, access: Access, by: Accessor) -> Result<Translation, u32> {
    if cpu.cr0 & cr0::PG == 0 {
        let physical = va & 0xffff_ffff;
        return Ok(Translation { physical, readable: true, writable: true, executable: true, large: false });
    }
    let fault = |bits: u32| {
        let fetch =
            access == Access::Execute && (cpu.msr.efer & efer::NXE != 0 && cpu.cr4 & cr4::PAE != 0 || smep(cpu));
        bits | if access == Access::Write { page_fault::WRITE } else { 0 }
            | if by.user { page_fault::USER } else { 0 }
            | if fetch { page_fault::FETCH } else { 0 }
    };
    let path = walk(cpu, memory, va).map_err(fault)?;
    let allowed = rights(cpu, &path, by);
    let ok = match access {
        Access::Read => allowed.readable,
        Access::Write => allowed.writable,
        Access::Execute => allowed.executable,
    };
    if !ok {
        return Err(fault(page_fault::PRESENT));
    }
    let mut leaf_dirty = path.steps[path.count - 1].value & entry::DIRTY != 0;
    if !by.silent {
        leaf_dirty |= access == Access::Write;
        mark(memory, &path, access == Access::Write);
    }
    let below = (1 << path.shift) - 1;
    Ok(Translation {
        physical: path.page & !below | va & below,
        writable: allowed.writable && leaf_dirty,
        large: path.shift > 12,
        ..allowed
    })
}

fn smep(cpu: &Cpu) -> bool {
    cpu.cr4 & cr4::SMEP != 0
}

/// Follows the entries down to the page; answers the error bits of what is missing or malformed.
fn walk(cpu: &Cpu, memory: &Memory, va: u64) -> Result<Path, u32> {
    let pae = cpu.cr4 & cr4::PAE != 0;
    let long = cpu.long();
    let nxe = cpu.msr.efer & efer::NXE != 0;
    let (mut level, bits) = if long {
        (4, 9)
    } else if pae {
        (3, 9)
    } else {
        (2, 10)
    };
    let mut table = if long {
        cpu.cr3 & entry::ADDRESS
    } else if pae {
        cpu.cr3 & 0xffff_ffe0
    } else {
        cpu.cr3 & 0xffff_f000
    };
    let mut path = Path { rights: entry::WRITABLE | entry::USER, ..Path::default() };
    loop {
        let shift = 12 + bits * (level - 1);
        let index = va >> shift & ((1 << bits) - 1);
        let pdpte = !long && level == 3;
        let step = Step { marks: !pdpte, ..read_entry(memory, table, index, pae || long) };
        path.steps[path.count] = step;
        path.count += 1;
        let value = step.value;
        if value & entry::PRESENT == 0 {
            return Err(0);
        }
        let leaf = level == 1
            || value & entry::LARGE != 0
                && match level {
                    2 => pae || long || cpu.cr4 & cr4::PSE != 0,
                    3 => long,
                    _ => false,
                };
        // The bit for reserved bits always comes with the one for present: entries that are not present are not looked at (SDM volume 3,
        // section 4.7). QEMU answers 8 alone.
        if (pae || long) && reserved(value, level, leaf, long, nxe) {
            return Err(page_fault::PRESENT | page_fault::RESERVED);
        }
        if !pdpte {
            path.rights &= value;
            path.no_execute |= pae && nxe && value & entry::NO_EXECUTE != 0;
        }
        if leaf {
            path.shift = shift;
            path.page = match (pae || long, level) {
                (true, _) => value & entry::ADDRESS & !((1 << shift) - 1),
                // PSE: bits 13 to 20 of a large entry are bits 32 to 39 of the address.
                (false, 2) => value & 0xffc0_0000 | (value >> 13 & 0xff) << 32,
                (false, _) => value & 0xffff_f000,
            };
            return Ok(path);
        }
        table = value & if pae || long { entry::ADDRESS } else { 0xffff_f000 };
        level -= 1;
    }
}

/// Reads entry `index` of a table. Where there is no memory all bits are set, as on a bus that nobody drives.
fn read_entry(memory: &Memory, table: u64, index: u64, wide: bool) -> Step {
    if wide {
        let at = table + index * 8;
        Step { at, value: memory.read(at).map_or(u64::MAX, u64::from_le_bytes), wide, marks: true }
    } else {
        let at = table + index * 4;
        Step {
            at,
            value: memory.read(at).map_or(u64::from(u32::MAX), |b| u32::from_le_bytes(b).into()),
            wide,
            marks: true,
        }
    }
}

/// Whether a reserved bit of a 64-bit entry is set.
fn reserved(value: u64, level: u32, leaf: bool, long: bool, nxe: bool) -> bool {
    let mut bits = entry::TOO_FAR;
    if !nxe || !long && level == 3 {
        bits |= entry::NO_EXECUTE;
    }
    if !long {
        bits |= 0x7ff0_0000_0000_0000;
    }
    match (level, leaf) {
        (4, _) => bits |= entry::LARGE,
        (3, true) => bits |= 0x3fff_e000,
        (2, true) => bits |= 0x001f_e000,
        (3, false) if !long => bits |= 0x1e6,
        _ => {}
    }
    value & bits != 0
}

/// What may be done with the page (APM volume 2, section 5.6).
fn rights(cpu: &Cpu, path: &Path, by: Accessor) -> Translation {
    let user_page = path.rights & entry::USER != 0;
    let write = path.rights & entry::WRITABLE != 0;
    let (readable, writable, executable) = if by.user {
        (user_page, user_page && write, user_page && !path.no_execute)
    } else {
        let barred = user_page && cpu.cr4 & cr4::SMAP != 0 && (by.implicit || cpu.rflags & flag::AC == 0);
        let writable = write || cpu.cr0 & cr0::WP == 0;
        (!barred, !barred && writable, !(path.no_execute || user_page && smep(cpu)))
    };
    Translation { physical: 0, readable, writable, executable, large: false }
}

/// Sets the accessed bits of the path, and the dirty bit of its leaf.
fn mark(memory: &mut Memory, path: &Path, dirty: bool) {
    for (i, step) in path.steps[..path.count].iter().enumerate() {
        let leaf = i + 1 == path.count;
        if !step.marks {
            continue;
        }
        let value = step.value | entry::ACCESSED | if leaf && dirty { entry::DIRTY } else { 0 };
        if value != step.value {
            if step.wide {
                memory.write(step.at, &value.to_le_bytes());
            } else {
                memory.write(step.at, &(value as u32).to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
