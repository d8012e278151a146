//! Images: what is put into a guest's memory before it starts, and how it starts.
//!
//! - *Multiboot 1* (Multiboot Specification 0.6.96): a header in the first 8 KiB, the rest an ELF32 or as the header's addresses say.
//!   Starts in 32-bit protected mode without paging.
//! - *ELF64*: its segments at their physical addresses. Starts in 64-bit mode, all of the first 512 GiB mapped as it is, the stack
//!   at the end of RAM below 3 GiB, rdi = bytes of RAM.
//! - *Flat*: bytes at an address. Starts there, in 16-bit real mode or in 64-bit mode as an ELF64 does.

use std::fmt;

use object::LittleEndian as Le;
use object::elf::{EM_386, EM_X86_64, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use super::cpu::{Segment, TableRegister, cr0, cr4, efer, gpr, seg};
use super::machine::Machine;
use super::memory::HOLE_START;
use super::tlb::PAGE_SIZE;

/// Why an image cannot be loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is no ELF, has no multiboot header, and nobody said that it is flat.
    Unknown,
    /// The ELF cannot be read.
    Elf(String),
    /// It is for another processor.
    Architecture(u16),
    /// The multiboot header wants something that is not there.
    Multiboot(&'static str),
    /// A part lies outside of RAM.
    NoRoom {
        /// The guest-physical address.
        address: u64,
        /// Bytes.
        length: u64,
    },
    /// There is nothing to load.
    Empty,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown => write!(
                f,
                "neither an ELF file nor one with a multiboot header in its first 8192 bytes; a flat image needs an address"
            ),
            Error::Elf(what) => write!(f, "the ELF file is damaged: {what}"),
            Error::Architecture(machine) => {
                write!(
                    f,
                    "the ELF file is for another processor (e_machine {machine}); x86-64, or i386 with multiboot, is wanted"
                )
            }
            Error::Multiboot(what) => write!(f, "multiboot: {what}"),
            Error::NoRoom { address, length } => {
                write!(f, "{length} bytes at {address:#x} do not fit into the guest's memory; give it more")
            }
            Error::Empty => write!(f, "the image has nothing to load"),
        }
    }
}

impl std::error::Error for Error {}

/// How a flat image starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// In 16-bit real mode, with CS = 0.
    Real,
    /// In 64-bit mode.
    Long,
}

const MAGIC: u32 = 0x1bad_b002;
/// What EAX holds when a multiboot image starts.
const LOADED: u64 = 0x2bad_b002;
const SEARCHED: usize = 8192;

/// Bits of the multiboot header's flags that the loader has to understand, and that it does.
const REQUIRED: u32 = 0xffff;
const UNDERSTOOD: u32 = 3;
const HAS_ADDRESSES: u32 = 1 << 16;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Loads an image of a kind that tells what it is, with a command line for kernels that want one.
pub fn load(m: &mut Machine, image: &[u8], command_line: &str) -> Result<(), Error> {
    if let Some(header) = multiboot_header(image) {
        return multiboot(m, image, header, command_line);
    }
    if image.starts_with(b"\x7fELF") {
        let entry = elf64(m, image)?;
        return start_long(m, entry);
    }
    Err(Error::Unknown)
}

/// Loads bytes at an address, and starts there.
pub fn load_flat(m: &mut Machine, image: &[u8], address: u64, start: Start) -> Result<(), Error> {
    if image.is_empty() {
        return Err(Error::Empty);
    }
    put(m, address, image, image.len() as u64)?;
    match start {
        Start::Long => start_long(m, address),
        Start::Real => {
            if address > 0xffff {
                return Err(Error::NoRoom { address, length: image.len() as u64 });
            }
            m.reset();
            m.cpu.rip = address;
            m.cpu.segments[seg::CS] = Segment { attributes: 0x9b, ..Segment::real(0) };
            m.refresh();
            Ok(())
        }
    }
}

/// Copies `bytes` to an address and clears what follows up to `length`.
fn put(m: &mut Machine, address: u64, bytes: &[u8], length: u64) -> Result<(), Error> {
    let no_room = Error::NoRoom { address, length };
    let Ok(size) = usize::try_from(length) else { return Err(no_room) };
    let Some(slice) = m.memory.slice_mut(address, size) else { return Err(no_room) };
    let filled = bytes.len().min(size);
    slice[..filled].copy_from_slice(&bytes[..filled]);
    slice[filled..].fill(0);
    m.note_modified();
    Ok(())
}

fn multiboot_header(image: &[u8]) -> Option<usize> {
    (0..image.len().min(SEARCHED)).step_by(4).find(|at| {
        let field = |n: usize| word(image, at + 4 * n);
        match (field(0), field(1), field(2)) {
            (Some(MAGIC), Some(flags), Some(sum)) => MAGIC.wrapping_add(flags).wrapping_add(sum) == 0,
            _ => false,
        }
    })
}

fn multiboot(m: &mut Machine, image: &[u8], header: usize, command_line: &str) -> Result<(), Error> {
    let field = |n: usize| word(image, header + 4 * n).ok_or(Error::Multiboot("the header is cut off"));
    let flags = field(1)?;
    if flags & REQUIRED & !UNDERSTOOD != 0 {
        return Err(Error::Multiboot("the image needs something of the loader that it does not have (video mode)"));
    }
    let (entry, end) = if flags & HAS_ADDRESSES != 0 {
        let (at, start, data_end, clear_end) = (field(3)?, field(4)?, field(5)?, field(6)?);
        let skipped = at.checked_sub(start).and_then(|before| header.checked_sub(before as usize));
        let first = skipped.ok_or(Error::Multiboot("load_addr lies before the file"))?;
        let available = &image[first..];
        let size = if data_end == 0 { available.len() } else { data_end.saturating_sub(start) as usize };
        let bytes = available.get(..size).ok_or(Error::Multiboot("load_end_addr lies behind the file"))?;
        let end = u64::from(clear_end).max(u64::from(start) + size as u64);
        put(m, start.into(), bytes, end - u64::from(start))?;
        (u64::from(field(7)?), end)
    } else {
        elf32(m, image)?
    };
    let info = information(m, end, command_line)?;
    start_protected(m, entry, info);
    Ok(())
}

fn damaged(error: object::read::Error) -> Error {
    Error::Elf(error.to_string())
}

/// Loads the segments of an ELF file; answers the end of the highest.
fn segments<H: FileHeader<Endian = Le>>(m: &mut Machine, header: &H, image: &[u8]) -> Result<u64, Error> {
    let mut end = 0;
    for segment in header.program_headers(Le, image).map_err(damaged)? {
        let length: u64 = segment.p_memsz(Le).into();
        if segment.p_type(Le) != PT_LOAD || length == 0 {
            continue;
        }
        let bytes = segment.data(Le, image).map_err(|()| Error::Elf("a segment lies outside of the file".into()))?;
        let address: u64 = segment.p_paddr(Le).into();
        put(m, address, bytes, length)?;
        end = end.max(address + length);
    }
    if end == 0 { Err(Error::Empty) } else { Ok(end) }
}

fn elf32(m: &mut Machine, image: &[u8]) -> Result<(u64, u64), Error> {
    // A 64-bit ELF with a multiboot header is loaded by its physical addresses too, as QEMU and GRUB do not; say so.
    let header = FileHeader32::<Le>::parse(image).map_err(|_| {
        Error::Multiboot("an ELF32 file is wanted, or addresses in the header (objcopy -O elf32-i386 converts)")
    })?;
    header.endian().map_err(damaged)?;
    let machine = header.e_machine(Le);
    if machine != EM_386 {
        return Err(Error::Architecture(machine.0));
    }
    let end = segments(m, header, image)?;
    let virtual_entry = u64::from(header.e_entry(Le));
    // The entry is a virtual address; the image starts without paging.
    let mut entry = virtual_entry;
    for segment in header.program_headers(Le, image).map_err(damaged)? {
        let (start, size) = (u64::from(segment.p_vaddr(Le)), u64::from(segment.p_memsz(Le)));
        if segment.p_type(Le) == PT_LOAD && (start..start + size).contains(&virtual_entry) {
            entry = virtual_entry - start + u64::from(segment.p_paddr(Le));
        }
    }
    Ok((entry, end))
}

fn elf64(m: &mut Machine, image: &[u8]) -> Result<u64, Error> {
    let class = image.get(4).copied();
    if class != Some(2) {
        return Err(Error::Elf("a 32-bit file without a multiboot header".into()));
    }
    let header = FileHeader64::<Le>::parse(image).map_err(damaged)?;
    header.endian().map_err(damaged)?;
    let machine = header.e_machine(Le);
    if machine != EM_X86_64 {
        return Err(Error::Architecture(machine.0));
    }
    segments(m, header, image)?;
    Ok(header.e_entry(Le))
}

/// Builds the multiboot information behind the image; answers its address.
fn information(m: &mut Machine, end: u64, command_line: &str) -> Result<u64, Error> {
    let size = m.memory.size();
    let info = end.next_multiple_of(PAGE_SIZE as u64);
    let (map, text) = (info + 0x80, info + 0x100);
    let name = b"perilune\0";
    let mut bytes = vec![0; 0x100];
    let mut set = |at: usize, value: u64| bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
    // Memory sizes, command line, memory map, the loader's name.
    set(0, 1 | 1 << 2 | 1 << 6 | 1 << 9);
    set(4, 640);
    set(8, (size.min(HOLE_START).saturating_sub(1 << 20)) >> 10);
    set(16, text + name.len() as u64);
    set(64, text);
    let mut regions = vec![(0, 0x9_fc00), (0x10_0000, size.min(HOLE_START).saturating_sub(0x10_0000))];
    if size > HOLE_START {
        regions.push((super::memory::HOLE_END, size - HOLE_START));
    }
    set(44, regions.len() as u64 * 24);
    set(48, map);
    for (n, (start, length)) in regions.into_iter().enumerate() {
        let at = 0x80 + n * 24;
        set(at, 20);
        set(at + 4, start);
        set(at + 8, start >> 32);
        set(at + 12, length);
        set(at + 16, length >> 32);
        set(at + 20, 1);
    }
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(command_line.as_bytes());
    bytes.push(0);
    put(m, info, &bytes, bytes.len() as u64)?;
    Ok(info)
}

fn flat(selector: u16, attributes: u16) -> Segment {
    Segment { selector, attributes, limit: u32::MAX, base: 0 }
}

/// The state in which a multiboot image starts (specification, section 3.2).
fn start_protected(m: &mut Machine, entry: u64, info: u64) {
    m.reset();
    let cpu = &mut m.cpu;
    cpu.cr0 = cr0::PE | cr0::ET;
    cpu.segments = [flat(0x10, 0xc93); 6];
    cpu.segments[seg::CS] = flat(8, 0xc9b);
    cpu.rip = entry & 0xffff_ffff;
    cpu.gpr[gpr::RAX] = LOADED;
    cpu.gpr[gpr::RBX] = info;
    m.refresh();
}

/// Bytes for the page tables and descriptors of [`start_long`], at the end of RAM below 3 GiB.
const RESERVED: u64 = 3 * PAGE_SIZE as u64;

/// Starts at `entry` in 64-bit mode, with pages of 1 GiB for the first 512 GiB, and a table of descriptors.
fn start_long(m: &mut Machine, entry: u64) -> Result<(), Error> {
    let ram = m.memory.size();
    let low = ram.min(HOLE_START);
    let tables = low.checked_sub(RESERVED).ok_or(Error::NoRoom { address: 0, length: RESERVED })?;
    let (pointers, descriptors) = (tables + 0x1000, tables + 0x2000);
    put(m, tables, &(pointers | 7).to_le_bytes(), 0x1000)?;
    let entries: Vec<u8> = (0..512u64).flat_map(|n| (n << 30 | 0x87).to_le_bytes()).collect();
    put(m, pointers, &entries, 0x1000)?;
    let table = [0u64, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
    put(m, descriptors, &table.map(u64::to_le_bytes).concat(), 0x1000)?;
    m.reset();
    let cpu = &mut m.cpu;
    cpu.msr.efer = efer::LME | efer::LMA | efer::SCE | efer::NXE;
    cpu.cr3 = tables;
    cpu.cr4 = cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::OSXMMEXCPT;
    cpu.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::NE | cr0::MP | cr0::ET;
    cpu.gdtr = TableRegister { base: descriptors, limit: 23 };
    cpu.segments = [flat(0x10, 0xc93); 6];
    cpu.segments[seg::CS] = flat(8, 0xa9b);
    cpu.rip = entry;
    cpu.gpr[gpr::RSP] = tables;
    cpu.gpr[gpr::RDI] = ram;
    m.refresh();
    Ok(())
}
