//! Memory as instructions see it: segment, then page, then RAM or a device.
//!
//! The fast path is a hit in the soft TLB. All else (a miss, an access across pages, a device, code that is written) takes the
//! slow one, which translates every page that it touches before it changes anything.

use perilune_runtime::guest::cpu::{Segment, cr0, flag, mode, seg};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::exit::{Detail, Exit, Reason};
use perilune_runtime::guest::machine::{Machine, canonical};
use perilune_runtime::guest::memory::page;
use perilune_runtime::guest::tlb::{Access, PAGE_MASK, PAGE_SIZE};

use super::Done;

/// The linear address of `size` bytes at `offset` in a segment.
#[inline]
pub fn linear(m: &Machine, segment: u8, offset: u64, size: u64, access: Access) -> Done<u64> {
    if m.cpu.code64() {
        return Ok(if segment >= seg::FS as u8 {
            offset.wrapping_add(m.cpu.segments[usize::from(segment)].base)
        } else {
            offset
        });
    }
    let writes_code = segment == seg::CS as u8 && access == Access::Write;
    if m.cpu.mode & mode::FLAT != 0 && segment < seg::FS as u8 && !writes_code && offset + size <= 1 << 32 {
        return Ok(offset);
    }
    segmented(m, segment, offset, size, access)
}

/// The linear address outside of 64-bit mode, with the checks of the segment (APM volume 2, section 4.12).
fn segmented(m: &Machine, number: u8, offset: u64, size: u64, access: Access) -> Done<u64> {
    let segment = &m.cpu.segments[usize::from(number)];
    let fault = if usize::from(number) == seg::SS { Exception::plain(vector::STACK) } else { Exception::PROTECTION };
    let last = offset.wrapping_add(size - 1);
    let code = segment.has(Segment::CODE);
    let within = if !code && segment.has(Segment::EXPAND_DOWN) {
        let top = if segment.has(Segment::BIG) { u64::from(u32::MAX) } else { 0xffff };
        offset > u64::from(segment.limit) && last <= top
    } else {
        last <= u64::from(segment.limit)
    };
    let real = m.cpu.mode & mode::REAL != 0;
    let allowed = real
        || segment.has(Segment::PRESENT)
            && match access {
                Access::Read => !code || segment.has(Segment::WRITABLE),
                Access::Write => !code && segment.has(Segment::WRITABLE),
                Access::Execute => code,
            };
    if within && allowed { Ok(segment.base.wrapping_add(offset) & 0xffff_ffff) } else { Err(fault.into()) }
}

/// The checks of the slow path: canonical, aligned where that is asked for.
fn check(m: &Machine, segment: u8, va: u64, size: u64) -> Done {
    if m.cpu.code64() && !(canonical(va) && canonical(va.wrapping_add(size - 1))) {
        let stack = usize::from(segment) == seg::SS;
        return Err(Exception::plain(if stack { vector::STACK } else { vector::PROTECTION }).into());
    }
    if m.cpu.cpl == 3
        && m.cpu.has(flag::AC)
        && m.cpu.cr0 & cr0::AM != 0
        && size.is_power_of_two()
        && size <= 8
        && !va.is_multiple_of(size)
    {
        return Err(Exception::plain(vector::ALIGNMENT).into());
    }
    Ok(())
}

/// Reads `N` bytes at `offset` of a segment.
#[inline]
pub fn read<const N: usize>(m: &mut Machine, segment: u8, offset: u64) -> Done<[u8; N]> {
    let va = linear(m, segment, offset, N as u64, Access::Read)?;
    if let Some(addend) = m.tlb.readable(va, N as u64)
        && let Some(bytes) = m.memory.read_host(va.wrapping_add(addend))
    {
        return Ok(bytes);
    }
    check(m, segment, va, N as u64)?;
    let mut bytes = [0; N];
    read_slow(m, va, &mut bytes, Access::Read)?;
    Ok(bytes)
}

/// Writes `N` bytes at `offset` of a segment.
#[inline]
pub fn write<const N: usize>(m: &mut Machine, segment: u8, offset: u64, bytes: [u8; N]) -> Done {
    let va = linear(m, segment, offset, N as u64, Access::Write)?;
    if let Some(addend) = m.tlb.writable(va, N as u64)
        && m.memory.write_host(va.wrapping_add(addend), bytes).is_some()
    {
        return Ok(());
    }
    check(m, segment, va, N as u64)?;
    write_slow(m, va, &bytes)
}

/// Reads what will be written by the same instruction: what forbids the write faults now.
#[inline]
pub fn read_for_write<const N: usize>(m: &mut Machine, segment: u8, offset: u64) -> Done<[u8; N]> {
    let va = linear(m, segment, offset, N as u64, Access::Write)?;
    if let Some(addend) = m.tlb.writable(va, N as u64)
        && let Some(bytes) = m.memory.read_host(va.wrapping_add(addend))
    {
        return Ok(bytes);
    }
    check(m, segment, va, N as u64)?;
    let mut bytes = [0; N];
    read_slow(m, va, &mut bytes, Access::Write)?;
    Ok(bytes)
}

/// Makes sure that `size` bytes at `offset` of a segment can be written.
pub fn probe_write(m: &mut Machine, segment: u8, offset: u64, size: u64) -> Done {
    let va = linear(m, segment, offset, size, Access::Write)?;
    check(m, segment, va, size)?;
    pages(m, va, size as usize, Access::Write)?;
    Ok(())
}

/// The physical addresses of the first byte, and of the first byte in the second page.
fn pages(m: &mut Machine, va: u64, length: usize, access: Access) -> Done<(u64, Option<u64>)> {
    let first = m.translate(va, access)?;
    let end = va.wrapping_add(length as u64 - 1);
    let end = if m.cpu.code64() { end } else { end & 0xffff_ffff };
    if (va ^ end) & !PAGE_MASK == 0 {
        return Ok((first, None));
    }
    Ok((first, Some(m.translate(end & !PAGE_MASK, access)?)))
}

/// How many of `length` bytes at `va` lie in its page.
fn room(va: u64, length: usize) -> usize {
    length.min(PAGE_SIZE - (va & PAGE_MASK) as usize)
}

#[cold]
fn read_slow(m: &mut Machine, va: u64, bytes: &mut [u8], access: Access) -> Done {
    let (first, second) = pages(m, va, bytes.len(), access)?;
    let (low, high) = bytes.split_at_mut(room(va, bytes.len()));
    read_physical(m, first, low)?;
    if let Some(second) = second {
        read_physical(m, second, high)?;
    }
    note(m, va, bytes, false);
    Ok(())
}

/// Reports an access to memory that is watched, behind the instruction.
fn note(m: &mut Machine, va: u64, bytes: &[u8], write: bool) {
    let end = va.wrapping_add(bytes.len() as u64);
    if m.watched.iter().any(|range| range.start < end && va < range.end) {
        let value = bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        m.exits.count(Reason::Watch);
        let detail = Detail::Access { address: va, size: bytes.len().min(255) as u8, value, write };
        m.request_exit(Exit { reason: Reason::Watch, detail });
    }
}

#[cold]
fn write_slow(m: &mut Machine, va: u64, bytes: &[u8]) -> Done {
    if let Some(addend) = m.tlb.held(va, bytes.len() as u64) {
        let physical = va.wrapping_add(addend).wrapping_sub(m.memory.base());
        // When it holds no code any more, the walk lets writes take the fast path.
        if m.memory.facts(physical) & page::CODE != 0 {
            return write_physical(m, physical, bytes);
        }
    }
    let (first, second) = pages(m, va, bytes.len(), Access::Write)?;
    let (low, high) = bytes.split_at(room(va, bytes.len()));
    write_physical(m, first, low)?;
    if let Some(second) = second {
        write_physical(m, second, high)?;
    }
    note(m, va, bytes, true);
    Ok(())
}

/// Reads physical memory inside of one page, RAM or device.
fn read_physical(m: &mut Machine, address: u64, bytes: &mut [u8]) -> Done {
    match m.memory.slice(address, bytes.len()) {
        Some(slice) => bytes.copy_from_slice(slice),
        None => super::system::read_device(m, address, bytes)?,
    }
    Ok(())
}

/// Writes physical memory inside of one page, RAM or device.
fn write_physical(m: &mut Machine, address: u64, bytes: &[u8]) -> Done {
    if !m.write_physical(address, bytes) {
        super::system::write_device(m, address, bytes)?;
    }
    Ok(())
}

/// Reads any number of bytes at `offset` of a segment, up to a page; `access` says whether they are going to be written.
pub fn read_bytes(m: &mut Machine, segment: u8, offset: u64, bytes: &mut [u8], access: Access) -> Done {
    let va = linear(m, segment, offset, bytes.len() as u64, access)?;
    check(m, segment, va, bytes.len() as u64)?;
    read_slow(m, va, bytes, access)
}

/// Writes any number of bytes at `offset` of a segment, up to a page.
pub fn write_bytes(m: &mut Machine, segment: u8, offset: u64, bytes: &[u8]) -> Done {
    let va = linear(m, segment, offset, bytes.len() as u64, Access::Write)?;
    check(m, segment, va, bytes.len() as u64)?;
    write_slow(m, va, bytes)
}

/// Reads a value of 1, 2, 4 or 8 bytes.
#[inline]
pub fn load(m: &mut Machine, segment: u8, offset: u64, size: u8) -> Done<u64> {
    Ok(match size {
        8 => u64::from_le_bytes(read(m, segment, offset)?),
        4 => u32::from_le_bytes(read(m, segment, offset)?).into(),
        2 => u16::from_le_bytes(read(m, segment, offset)?).into(),
        _ => read::<1>(m, segment, offset)?[0].into(),
    })
}

/// Reads a value that will be written by the same instruction.
#[inline]
pub fn load_for_write(m: &mut Machine, segment: u8, offset: u64, size: u8) -> Done<u64> {
    Ok(match size {
        8 => u64::from_le_bytes(read_for_write(m, segment, offset)?),
        4 => u32::from_le_bytes(read_for_write(m, segment, offset)?).into(),
        2 => u16::from_le_bytes(read_for_write(m, segment, offset)?).into(),
        _ => read_for_write::<1>(m, segment, offset)?[0].into(),
    })
}

/// Writes a value of 1, 2, 4 or 8 bytes.
#[inline]
pub fn store(m: &mut Machine, segment: u8, offset: u64, size: u8, value: u64) -> Done {
    match size {
        8 => write(m, segment, offset, value.to_le_bytes()),
        4 => write(m, segment, offset, (value as u32).to_le_bytes()),
        2 => write(m, segment, offset, (value as u16).to_le_bytes()),
        _ => write(m, segment, offset, [value as u8]),
    }
}

/// Reads a value at a linear address with the rights of the supervisor: descriptors, task state.
pub fn load_implicit<const N: usize>(m: &mut Machine, va: u64) -> Done<[u8; N]> {
    let mut bytes = [0; N];
    let low = room(va, N);
    let first = m.translate_implicit(va, Access::Read)?;
    read_physical(m, first, &mut bytes[..low])?;
    if low < N {
        let second = m.translate_implicit(va.wrapping_add(low as u64), Access::Read)?;
        read_physical(m, second, &mut bytes[low..])?;
    }
    Ok(bytes)
}

/// Writes one byte at a linear address with the rights of the supervisor.
pub fn store_implicit(m: &mut Machine, va: u64, byte: u8) -> Done {
    let address = m.translate_implicit(va, Access::Write)?;
    write_physical(m, address, &[byte])
}
