//! The soft TLB: what compiled code and the interpreter ask before they touch guest memory.
//!
//! Direct-mapped by virtual page. An entry has one *tag* for each kind of access: the page's address with the number of the
//! address space in the low twelve bits, or 0 when that access must take the slow path. So one compare answers everything at
//! once: the page is translated, in this address space, for this privilege, for this kind of access; it is RAM (or ROM,
//! for reads); for a write, the page is already known to be dirty, its D bit is set, and it holds no code that somebody has
//! decoded. An address that is not canonical never has an entry.
//!
//! To find the host address of an access of `N` bytes at `va`:
//!
//! ```text
//! entry = entries[(va >> 12) & (ENTRIES - 1)]
//! if ((va + N - 1) & !0xfff) | space == entry.read { host = va + entry.addend } else { slow path }
//! ```
//!
//! (The end of the access is compared, so that one that crosses into the next page takes the slow path.)
//!
//! A write's tag may have the bit [`HELD`] besides: the walk found that the page may be written, but it holds code, so each write has to be noted.
//!
//! *Address spaces*: a number (1 to 1022) stands for a PCID until that is flushed; then it gets a new number, and the old
//! entries are dead without anybody touching them. The lowest bit of the tag's low twelve says whether the entry was filled
//! for CPL 3. When numbers run out, all entries are cleared once. A switch of address space is a store to `space`.

/// Number of entries.
pub const ENTRIES: usize = 1024;

/// log2 of the size of a page.
pub const PAGE_SHIFT: u32 = 12;

/// Bytes of a page.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;

/// The bits of an address inside of its page.
pub const PAGE_MASK: u64 = PAGE_SIZE as u64 - 1;

/// The bit of a tag for writes that sends them to the slow path, which needs no walk.
const HELD: u64 = 0x800;

/// One entry. An all-zero entry matches nothing, since address space 0 is never in use.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C, align(32))]
pub struct Entry {
    /// Tag for reads.
    pub read: u64,
    /// Tag for writes.
    pub write: u64,
    /// Tag for instruction fetches.
    pub execute: u64,
    /// What is added to a virtual address to get the address in the host's memory.
    pub addend: u64,
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads data.
    Read,
    /// Writes data.
    Write,
    /// Fetches an instruction.
    Execute,
}

/// The soft TLB.
#[repr(C)]
pub struct Tlb {
    /// The current address space's bits of a tag: its number times 2, and 1 for CPL 3. 0 sends each access to the slow path.
    pub space: u64,
    padding: [u64; 3],
    /// The entries.
    pub entries: [Entry; ENTRIES],
    /// The number that stands for each PCID, or 0.
    numbers: [u16; 4096],
    /// The last number that was given out.
    last: u16,
    /// The virtual pages between which fragments of large pages may have entries: first, last.
    large: (u64, u64),
    /// How often all entries were cleared.
    pub clears: u64,
    /// How often an entry was filled.
    pub fills: u64,
    /// How often the translation of one page was forgotten: what is kept of translations elsewhere has to be forgotten too, as after a clear.
    pub invalidations: u64,
}

impl std::fmt::Debug for Tlb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tlb").field("space", &self.space).field("fills", &self.fills).finish_non_exhaustive()
    }
}

const NO_RANGE: (u64, u64) = (u64::MAX, 0);

impl Default for Tlb {
    fn default() -> Tlb {
        Tlb {
            space: 0,
            padding: [0; 3],
            entries: [Entry::default(); ENTRIES],
            numbers: [0; 4096],
            last: 0,
            large: NO_RANGE,
            clears: 0,
            fills: 0,
            invalidations: 0,
        }
    }
}

/// The index of an address's entry.
#[inline]
pub const fn index(va: u64) -> usize {
    (va >> PAGE_SHIFT) as usize & (ENTRIES - 1)
}

impl Tlb {
    /// What has to be added to `va` to read `size` bytes there, if the entry says that they may be read.
    #[inline(always)]
    pub fn readable(&self, va: u64, size: u64) -> Option<u64> {
        let entry = &self.entries[index(va)];
        (entry.read == (va.wrapping_add(size - 1) & !PAGE_MASK | self.space)).then_some(entry.addend)
    }

    /// Likewise for writing.
    #[inline(always)]
    pub fn writable(&self, va: u64, size: u64) -> Option<u64> {
        let entry = &self.entries[index(va)];
        (entry.write == (va.wrapping_add(size - 1) & !PAGE_MASK | self.space)).then_some(entry.addend)
    }

    /// Likewise for writing to a page that holds code.
    pub fn held(&self, va: u64, size: u64) -> Option<u64> {
        let entry = &self.entries[index(va)];
        (entry.write == (va.wrapping_add(size - 1) & !PAGE_MASK | self.space | HELD)).then_some(entry.addend)
    }

    /// Likewise for fetching the instruction byte at `va`.
    #[inline(always)]
    pub fn executable(&self, va: u64) -> Option<u64> {
        let entry = &self.entries[index(va)];
        (entry.execute == (va & !PAGE_MASK | self.space)).then_some(entry.addend)
    }

    /// Makes `pcid` the current address space, for accesses of CPL 3 or not.
    pub fn select(&mut self, pcid: u16, user: bool) {
        let slot = usize::from(pcid & 0xfff);
        if self.numbers[slot] == 0 {
            if self.last == 0x3fe {
                self.clear();
            }
            self.last += 1;
            self.numbers[slot] = self.last;
        }
        self.space = u64::from(self.numbers[slot]) << 1 | u64::from(user);
    }

    /// Forgets the translations of `pcid`. The caller selects anew.
    pub fn flush(&mut self, pcid: u16) {
        self.numbers[usize::from(pcid & 0xfff)] = 0;
    }

    /// Forgets the translations of all address spaces. The caller selects anew.
    pub fn flush_all(&mut self) {
        self.numbers = [0; 4096];
    }

    /// Clears all entries, and gives out the numbers of address spaces from 1 on again.
    fn clear(&mut self) {
        self.entries = [Entry::default(); ENTRIES];
        self.numbers = [0; 4096];
        self.last = 0;
        self.large = NO_RANGE;
        self.clears += 1;
    }

    /// Forgets the translation of the page of `va` in all address spaces (INVLPG). The caller selects anew.
    pub fn invalidate(&mut self, va: u64) {
        self.invalidations += 1;
        let page = va >> PAGE_SHIFT;
        if (self.large.0..=self.large.1).contains(&page) {
            self.clear();
        } else {
            self.entries[index(va)] = Entry::default();
        }
    }

    /// Enters what is known about the page of `va` in the current address space: the tags of the accesses in `tags` are set, the
    /// others stay if they are about the same page. `large` tells of a page of more than 4 KiB.
    pub fn fill(&mut self, va: u64, addend: u64, tags: Tags, large: bool) {
        if self.space == 0 {
            return;
        }
        let tag = va & !PAGE_MASK | self.space;
        let entry = &mut self.entries[index(va)];
        let same = entry.addend == addend;
        let put = |old: &mut u64, wanted: bool, bits: u64| {
            if wanted {
                *old = tag | bits;
            } else if *old & !HELD != tag || !same {
                *old = 0;
            }
        };
        put(&mut entry.read, tags.read, 0);
        put(&mut entry.write, tags.write, if tags.held { HELD } else { 0 });
        put(&mut entry.execute, tags.execute, 0);
        entry.addend = addend;
        self.fills += 1;
        if large {
            let page = va >> PAGE_SHIFT;
            // A page of 1 GiB has 2^18 small ones; INVLPG may name any of them.
            self.large = (self.large.0.min(page & !0x3ffff), self.large.1.max(page | 0x3ffff));
        }
    }

    /// Sends the next write to each page to the slow path: what is known about dirty pages has changed.
    pub fn forget_writes(&mut self) {
        for entry in &mut self.entries {
            entry.write = 0;
        }
    }

    /// Sends writes to the page of host memory at `host` to the slow path.
    pub fn forget_host_page(&mut self, host: u64) {
        for entry in &mut self.entries {
            let tag = entry.read | entry.write | entry.execute;
            if tag != 0 && (tag & !PAGE_MASK).wrapping_add(entry.addend) == host {
                entry.write = 0;
            }
        }
    }
}

/// Which tags of an entry to set.
#[derive(Clone, Copy, Debug)]
pub struct Tags {
    /// For reads.
    pub read: bool,
    /// For writes.
    pub write: bool,
    /// Writes take the slow path all the same.
    pub held: bool,
    /// For instruction fetches.
    pub execute: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Tags = Tags { read: true, write: false, held: false, execute: false };

    #[test]
    fn an_access_across_the_page_end_misses() {
        let mut tlb = Tlb::default();
        tlb.select(0, false);
        tlb.fill(0x5000, 0x100, READ, false);
        assert_eq!(tlb.readable(0x5ff8, 8), Some(0x100));
        assert_eq!(tlb.readable(0x5ff9, 8), None);
        assert_eq!(tlb.writable(0x5000, 1), None);
        // The first byte of memory, and the last byte below it: the tag of an empty entry is no match for page 0.
        assert_eq!(tlb.readable(0, 1), None);
        assert_eq!(tlb.readable(u64::MAX, 2), None);
    }

    #[test]
    fn a_page_that_is_held_is_found_by_those_who_ask_for_it() {
        let mut tlb = Tlb::default();
        tlb.select(0, true);
        tlb.fill(0x5000, 0x100, Tags { write: true, held: true, ..READ }, false);
        assert_eq!((tlb.writable(0x5000, 4), tlb.held(0x5000, 4), tlb.held(0x5ffd, 4)), (None, Some(0x100), None));
        // What is learned of reads takes nothing back.
        tlb.fill(0x5000, 0x100, READ, false);
        assert_eq!(tlb.held(0x5000, 4), Some(0x100));
        tlb.select(0, false);
        assert_eq!(tlb.held(0x5000, 4), None);
        tlb.select(0, true);
        tlb.fill(0x5000, 0x100, Tags { write: true, ..READ }, false);
        assert_eq!((tlb.writable(0x5000, 4), tlb.held(0x5000, 4)), (Some(0x100), None));
    }

    #[test]
    fn address_spaces_and_privileges_are_apart() {
        let mut tlb = Tlb::default();
        tlb.select(1, false);
        tlb.fill(0x5000, 0, READ, false);
        tlb.select(2, false);
        assert_eq!(tlb.readable(0x5000, 1), None);
        tlb.select(1, true);
        assert_eq!(tlb.readable(0x5000, 1), None);
        tlb.select(1, false);
        assert_eq!(tlb.readable(0x5000, 1), Some(0));
        tlb.flush(1);
        tlb.select(1, false);
        assert_eq!(tlb.readable(0x5000, 1), None);
    }

    #[test]
    fn numbers_run_out_and_start_anew() {
        let mut tlb = Tlb::default();
        tlb.select(7, false);
        tlb.fill(0x5000, 0, READ, false);
        for _ in 0..5000 {
            tlb.flush(7);
            tlb.select(7, false);
            assert!(tlb.space != 0 && tlb.space < HELD);
            assert_eq!(tlb.readable(0x5000, 1), None);
        }
        assert!(tlb.clears > 0);
    }

    #[test]
    fn a_part_of_a_large_page_is_invalidated_by_any_address_in_it() {
        let mut tlb = Tlb::default();
        tlb.select(0, false);
        tlb.fill(0x20_5000, 0, READ, true);
        tlb.invalidate(0x20_0000);
        tlb.select(0, false);
        assert_eq!(tlb.readable(0x20_5000, 1), None);
    }
}
