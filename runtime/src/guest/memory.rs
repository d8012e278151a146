//! Guest-physical memory: one mapping, with a byte of facts about each page.
//!
//! The mapping covers the guest's physical addresses from 0 to the end of its RAM; RAM of more than 3 GiB goes on above 4 GiB, and
//! the hole in between is part of the mapping, but nobody touches it. So the host address of a guest-physical address
//! is always `base + address`, for compiled code too.
//!
//! Whoever writes (the processor, a device, the monitor) does so by [`Memory::write`], or through a TLB entry that only exists
//! after the page was made ready by [`Memory::prepare_write`]. So two things are always known:
//!
//! - *dirty pages*: which were written since the list was last taken, as a list, so that snapshots cost what was changed;
//! - *modified code*: a page in which instructions were decoded has a bit for each 64-byte line they lie in; a write that
//!   touches such a line is noted, to be had from [`Memory::next_modified`], and whoever keeps decoded or translated code drops
//!   what overlaps. *Literals* are the exception: immediate operands that a translator reads from memory each time, because
//!   the guest writes them again and again. Writing them modifies no code, as long as nobody else has decoded them.

use std::fmt;

use memmap2::{MmapMut, MmapOptions};

use super::tlb::{PAGE_SHIFT, PAGE_SIZE};

/// The end of RAM below 4 GiB; above it lie devices.
pub const HOLE_START: u64 = 0xc000_0000;
/// Where RAM goes on behind the hole.
pub const HOLE_END: u64 = 0x1_0000_0000;
/// The most RAM a machine may have.
pub const LIMIT: u64 = 1 << 40;

/// Facts about a page.
pub mod page {
    /// RAM.
    pub const RAM: u8 = 1;
    /// Can be read; writes are ignored.
    pub const ROM: u8 = 2;
    /// Written since the list of dirty pages was last taken; it is on the list.
    pub const DIRTY: u8 = 4;
    /// Holds instructions that somebody has decoded, or did not long ago.
    pub const CODE: u8 = 8;
    /// Three bits that count writes since the page last held such instructions.
    pub const WRITES: u8 = 7 << 5;
}

/// Bytes of a line, the unit in which code is tracked.
pub const LINE: usize = PAGE_SIZE / 64;

/// Why there is no memory.
#[derive(Debug)]
pub enum Error {
    /// The size is 0, not a multiple of the page size, or beyond [`LIMIT`].
    Size(u64),
    /// The host has no room.
    Host(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Size(size) => {
                write!(f, "guest memory of {size} bytes: must be a multiple of 4096, more than 0, at most {LIMIT}")
            }
            Error::Host(error) => write!(f, "the host has no room for the guest's memory: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Instructions that somebody had decoded were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Modified {
    /// The number of the guest-physical page.
    pub page: u32,
    /// The first and the last byte that were written, from the start of the page.
    pub bytes: (u16, u16),
}

/// Guest-physical memory.
pub struct Memory {
    map: MmapMut,
    /// Bytes of RAM.
    size: u64,
    /// One byte for each page of the mapping; see [`page`].
    pages: Vec<u8>,
    /// The lines of each page that hold decoded instructions.
    code: Vec<u64>,
    /// The pages with [`page::DIRTY`].
    dirty: Vec<u32>,
    modified: Vec<Modified>,
    /// Guest-physical addresses of literals, each on one page.
    literals: Vec<std::ops::Range<u64>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("size", &self.size).field("dirty", &self.dirty.len()).finish()
    }
}

impl Memory {
    /// `size` bytes of RAM, all zero.
    pub fn new(size: u64) -> Result<Memory, Error> {
        if size == 0 || size > LIMIT || !size.is_multiple_of(PAGE_SIZE as u64) {
            return Err(Error::Size(size));
        }
        let end = if size > HOLE_START { size - HOLE_START + HOLE_END } else { size };
        let length = usize::try_from(end).map_err(|_| Error::Size(size))?;
        let map = MmapOptions::new().len(length).no_reserve_swap().map_anon().map_err(Error::Host)?;
        let count = length / PAGE_SIZE;
        let mut pages = vec![page::RAM; count];
        if size > HOLE_START {
            pages[(HOLE_START as usize) / PAGE_SIZE..(HOLE_END as usize) / PAGE_SIZE].fill(0);
        }
        Ok(Memory {
            map,
            size,
            pages,
            code: vec![0; count],
            dirty: Vec::new(),
            modified: Vec::new(),
            literals: Vec::new(),
        })
    }

    /// Bytes of RAM.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number of pages of the mapping, holes included.
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// The host address of guest-physical address 0.
    #[inline(always)]
    pub fn base(&self) -> u64 {
        self.map.as_ptr() as u64
    }

    /// The facts about the page of a guest-physical address: 0 where there is no memory.
    #[inline]
    pub fn facts(&self, address: u64) -> u8 {
        usize::try_from(address >> PAGE_SHIFT).ok().and_then(|page| self.pages.get(page)).copied().unwrap_or(0)
    }

    /// Sets or clears the facts `bits` of the page of a guest-physical address. The caller sees to the TLB.
    pub fn set_facts(&mut self, address: u64, bits: u8, set: bool) {
        if let Some(facts) = self.pages.get_mut((address >> PAGE_SHIFT) as usize) {
            *facts = if set { *facts | bits } else { *facts & !bits };
        }
    }

    /// Makes `length` bytes from `address` read-only; both are multiples of the page size. The caller sees to the TLB.
    pub fn make_rom(&mut self, address: u64, length: u64) {
        for at in (address..address + length).step_by(PAGE_SIZE) {
            self.set_facts(at, page::RAM, false);
            self.set_facts(at, page::ROM, true);
        }
    }

    /// Where `length` bytes at a guest-physical address lie in the mapping, if all of them are RAM or ROM.
    #[inline]
    fn range(&self, address: u64, length: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(address).ok()?;
        let end = start.checked_add(length)?;
        if end > self.map.len() {
            return None;
        }
        let (first, last) = (start / PAGE_SIZE, (end.max(start + 1) - 1) / PAGE_SIZE);
        let there = |facts: &u8| facts & (page::RAM | page::ROM) != 0;
        // Most ranges lie on one page.
        let all = if first == last {
            self.pages.get(first).is_some_and(there)
        } else {
            self.pages.get(first..=last)?.iter().all(there)
        };
        all.then_some(start..end)
    }

    /// `length` bytes at a guest-physical address, if all of them are RAM or ROM.
    #[inline]
    pub fn slice(&self, address: u64, length: usize) -> Option<&[u8]> {
        Some(&self.map[self.range(address, length)?])
    }

    /// Likewise, to be written: all pages count as written, and code in them as modified.
    pub fn slice_mut(&mut self, address: u64, length: usize) -> Option<&mut [u8]> {
        let range = self.range(address, length)?;
        self.touch(&range);
        Some(&mut self.map[range])
    }

    /// Reads `N` bytes at a guest-physical address, if all of them are RAM or ROM.
    #[inline]
    pub fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        self.slice(address, N)?.try_into().ok()
    }

    /// Writes to a guest-physical address. Bytes that would fall into ROM are not written; answers whether all of the range was
    /// RAM or ROM.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        let Some(range) = self.range(address, bytes.len()) else { return false };
        let mut at = 0;
        while at < bytes.len() {
            let start = range.start + at;
            let length = (PAGE_SIZE - start % PAGE_SIZE).min(bytes.len() - at);
            if self.pages[start / PAGE_SIZE] & page::ROM == 0 {
                self.touch(&(start..start + length));
                self.map[start..start + length].copy_from_slice(&bytes[at..at + length]);
            }
            at += length;
        }
        true
    }

    /// Writes without regard to ROM: for loading images and restoring snapshots. Answers whether there is such memory.
    pub fn load_image(&mut self, address: u64, bytes: &[u8]) -> bool {
        match self.slice_mut(address, bytes.len()) {
            Some(slice) => {
                slice.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// Notes that a range of the mapping is written.
    fn touch(&mut self, range: &std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        for page in range.start / PAGE_SIZE..=(range.end - 1) / PAGE_SIZE {
            self.prepare_write(page as u64 * PAGE_SIZE as u64);
            if self.code[page] != 0 {
                let start = range.start.max(page * PAGE_SIZE) % PAGE_SIZE;
                let end = (range.end.min((page + 1) * PAGE_SIZE) - 1) % PAGE_SIZE;
                let lines = self.code[page] & lines_between(start as u64, end as u64);
                if lines != 0 && !self.is_literal(range.start as u64, range.len() as u64) {
                    let bytes = (start as u16, end as u16);
                    self.modified.push(Modified { page: page as u32, bytes });
                }
            }
        }
    }

    /// Notes that the page of a guest-physical address becomes dirty. Answers whether it may be written through the TLB from now on:
    /// it is RAM, and holds no code.
    pub fn prepare_write(&mut self, address: u64) -> bool {
        let page = (address >> PAGE_SHIFT) as usize;
        let Some(facts) = self.pages.get_mut(page) else { return false };
        if *facts & page::DIRTY == 0 {
            *facts |= page::DIRTY;
            self.dirty.push(page as u32);
        }
        if *facts & page::CODE != 0 && self.code[page] == 0 {
            // Code that is written again and again is decoded again and again: the page stays one of code for some writes.
            let count = *facts & page::WRITES;
            let over = count == page::WRITES;
            *facts = if over { *facts & !(page::CODE | page::WRITES) } else { *facts + (1 << 5) };
        }
        *facts & (page::RAM | page::CODE) == page::RAM
    }

    /// Reads `N` bytes at a host address inside of the mapping, as a TLB entry gave it.
    #[inline(always)]
    pub fn read_host<const N: usize>(&self, host: u64) -> Option<[u8; N]> {
        let at = host.wrapping_sub(self.base()) as usize;
        self.map.get(at..at.wrapping_add(N))?.try_into().ok()
    }

    /// Writes `N` bytes at a host address inside of the mapping, as a TLB entry for writes gave it.
    #[inline(always)]
    pub fn write_host<const N: usize>(&mut self, host: u64, bytes: [u8; N]) -> Option<()> {
        let at = host.wrapping_sub(self.base()) as usize;
        self.map.get_mut(at..at.wrapping_add(N))?.copy_from_slice(&bytes);
        Some(())
    }

    /// `length` bytes at a host address inside of the mapping, as a TLB entry for writes gave it.
    pub fn host_slice_mut(&mut self, host: u64, length: usize) -> Option<&mut [u8]> {
        let at = host.wrapping_sub(self.base()) as usize;
        self.map.get_mut(at..at.wrapping_add(length))
    }

    /// Copies `length` bytes from one host address inside of the mapping to another, as TLB entries gave them, as if at once.
    pub fn copy_host(&mut self, from: u64, to: u64, length: usize) -> Option<()> {
        let base = self.base();
        let (from, to) = (from.wrapping_sub(base) as usize, to.wrapping_sub(base) as usize);
        let fits = |at: usize| at.checked_add(length).is_some_and(|end| end <= self.map.len());
        (fits(from) && fits(to)).then(|| self.map.copy_within(from..from + length, to))
    }

    /// Notes that instructions of a page were decoded, in the given lines. Answers whether it is the first time, so that TLB entries
    /// for writing to the page have to go.
    pub fn add_code(&mut self, page: u32, lines: u64) -> bool {
        self.forget_literals(page);
        let page = page as usize;
        let first = self.pages[page] & page::CODE == 0;
        self.pages[page] = self.pages[page] & !page::WRITES | page::CODE;
        self.code[page] |= lines;
        first
    }

    /// Sets which lines of a page hold decoded instructions.
    pub fn set_code(&mut self, page: u32, lines: u64) {
        self.code[page as usize] = lines;
    }

    /// The lines of a page that hold decoded instructions.
    pub fn code(&self, page: u32) -> u64 {
        self.code[page as usize]
    }

    /// Whether `length` bytes at a guest-physical address are a literal, or part of one.
    pub fn is_literal(&self, address: u64, length: u64) -> bool {
        self.literals.iter().any(|literal| literal.start <= address && address + length <= literal.end)
    }

    /// Whether there are literals.
    pub fn has_literals(&self) -> bool {
        !self.literals.is_empty()
    }

    /// Makes a literal: whoever has decoded these bytes reads them from memory.
    pub fn add_literal(&mut self, literal: std::ops::Range<u64>) {
        if !self.literals.contains(&literal) {
            self.literals.push(literal);
        }
    }

    /// Makes the literals of a page code again: somebody decodes there.
    fn forget_literals(&mut self, page: u32) {
        self.literals.retain(|literal| literal.start >> PAGE_SHIFT != page.into());
    }

    /// Whether code was modified.
    #[inline]
    pub fn has_modified(&self) -> bool {
        !self.modified.is_empty()
    }

    /// Takes what code was modified from the list, one write after the other, the last one first.
    pub fn next_modified(&mut self) -> Option<Modified> {
        self.modified.pop()
    }

    /// The pages that were written since the list was last taken, in the order of their first write.
    pub fn dirty(&self) -> &[u32] {
        &self.dirty
    }

    /// Takes the list of dirty pages. The caller makes the TLB forget its entries for writing.
    pub fn take_dirty(&mut self) -> Vec<u32> {
        for page in &self.dirty {
            self.pages[*page as usize] &= !page::DIRTY;
        }
        std::mem::take(&mut self.dirty)
    }
}

/// The lines of a page from one of its bytes to another, a bit each.
pub fn lines_between(first: u64, last: u64) -> u64 {
    let (first, last) = (first / LINE as u64, last / LINE as u64);
    u64::MAX >> (63 - (last - first)) << first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert!(matches!(Memory::new(0), Err(Error::Size(0))));
        assert!(matches!(Memory::new(4097), Err(Error::Size(4097))));
        assert!(matches!(Memory::new(LIMIT + 4096), Err(Error::Size(_))));
    }

    #[test]
    fn dirty_pages_are_listed_once() {
        let mut memory = Memory::new(0x10000).unwrap();
        assert!(memory.write(0x1ffe, &[1, 2, 3, 4]));
        assert!(memory.write(0x2000, &[1]));
        assert_eq!(memory.take_dirty(), [1, 2]);
        assert!(memory.dirty().is_empty());
        assert!(memory.write(0x2000, &[1]));
        assert_eq!(memory.dirty(), [2]);
    }

    #[test]
    fn the_end_and_the_hole_are_not_there() {
        let mut memory = Memory::new(0x10000).unwrap();
        assert!(memory.write(0xfffc, &[0; 4]));
        assert!(!memory.write(0xfffd, &[0; 4]));
        assert!(memory.slice(u64::MAX, 2).is_none());
        assert!(memory.read_host::<8>(memory.base() - 4).is_none());
        assert!(memory.read_host::<8>(memory.base() + 0xfffc).is_none());
        let memory = Memory::new(HOLE_START + 0x1000).unwrap();
        assert!(memory.slice(HOLE_START - 8, 8).is_some());
        assert!(memory.slice(HOLE_START - 8, 9).is_none());
        assert!(memory.slice(HOLE_END, 0x1000).is_some());
        assert!(memory.slice(HOLE_END, 0x1001).is_none());
    }

    #[test]
    fn rom_ignores_writes() {
        let mut memory = Memory::new(0x10000).unwrap();
        memory.load_image(0x1000, &[7; 0x1000]);
        memory.make_rom(0x1000, 0x1000);
        assert!(memory.write(0xffe, &[1, 1, 1, 1]));
        assert_eq!(memory.read(0xffe), Some([1, 1, 7, 7]));
        assert!(!memory.prepare_write(0x1000));
    }

    #[test]
    fn writes_to_lines_with_code_are_noted() {
        let mut memory = Memory::new(0x10000).unwrap();
        assert!(memory.add_code(3, 0b110));
        assert!(!memory.add_code(3, 0b110));
        assert!(!memory.prepare_write(0x3000));
        memory.write(0x3000, &[1; 64]);
        assert!(!memory.has_modified());
        memory.write(0x303f, &[1; 2]);
        memory.write(0x2ff0, &[1; 0x1000]);
        let expected = [Modified { page: 3, bytes: (0x3f, 0x40) }, Modified { page: 3, bytes: (0, 0xfef) }];
        assert_eq!(std::mem::take(&mut memory.modified), expected);
        memory.add_literal(0x3044..0x3048);
        memory.write(0x3044, &[1; 4]);
        assert!(!memory.has_modified());
        memory.write(0x3043, &[1; 4]);
        memory.forget_literals(3);
        memory.write(0x3044, &[1; 4]);
        assert_eq!(memory.modified.len(), 2);
        memory.set_code(3, 0);
        assert_eq!((0..9).map(|_| memory.prepare_write(0x3000)).filter(|free| *free).count(), 2);
    }
}
