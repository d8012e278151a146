//! The reserved range of addresses that holds all arenas of an owner, and its protection.
//!
//! The range is 2 GB long, so that a rel32 displacement reaches from everywhere to everywhere in it. Reserving costs
//! address space only. A page is inaccessible until code is first written to it or behind it, writable while `write` runs, and
//! readable and executable from then on; never writable and executable at once.
//!
//! Several writes may share one switch forth and back: what is written while a [`Writing`] lives stays writable until its end.
//!
//! The mapping is private and anonymous. Two views of one shared memory file would save the switching, but gdb cannot
//! insert a breakpoint into a shared read-only mapping.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::ptr;
use std::rc::Rc;

/// The reach of a signed 32-bit displacement.
pub const RESERVED: usize = 1 << 31;

/// The granularity of protection on x86-64.
pub const PAGE: usize = 4096;

/// What lies as near as this to what is written in a [`Writing`] becomes writable with it.
const NEAR: usize = 32 * PAGE;

/// A reserved range of addresses, cut into arenas from its start.
#[derive(Debug)]
pub struct CodeSpace {
    start: usize,
    length: usize,
    /// Where the next arena starts.
    next: Cell<usize>,
    /// The end of the pages that have been written.
    written: Cell<usize>,
    /// While a [`Writing`] lives: the pages that are writable.
    writable: RefCell<Option<Vec<Range<usize>>>>,
}

impl CodeSpace {
    /// Reserves the range.
    pub fn reserve() -> io::Result<Rc<CodeSpace>> {
        let length = RESERVED;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = start as usize;
        Ok(Rc::new(CodeSpace {
            start,
            length,
            next: Cell::new(start),
            written: Cell::new(start),
            writable: RefCell::new(None),
        }))
    }

    /// All addresses of the range.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.length
    }

    /// Cuts off a part for an arena, in whole pages; `None` if so much is not left. Parts are not given back.
    pub fn cut(&self, length: usize) -> Option<Range<usize>> {
        let length = length.checked_next_multiple_of(PAGE)?;
        let start = self.next.get();
        let end = start.checked_add(length).filter(|&end| end <= self.range().end)?;
        self.next.set(end);
        Some(start..end)
    }

    /// Pages that are written while the answer lives become executable at its end. Code of this space must not be run meanwhile.
    pub fn writing(self: &Rc<Self>) -> Writing {
        let outermost = self.writable.borrow().is_none();
        self.writable.borrow_mut().get_or_insert_default();
        Writing { space: Rc::clone(self), outermost }
    }

    /// Calls `write` with the bytes of `range`, which are writable meanwhile and executable afterwards, at the end of the
    /// [`Writing`] if there is one.
    ///
    /// No other thread may be running code of these pages; code of this thread that called its way to here is none.
    pub fn write<R>(&self, range: Range<usize>, write: impl FnOnce(&mut [u8]) -> R) -> io::Result<R> {
        assert!(self.start <= range.start && range.start <= range.end && range.end <= self.range().end);
        let mut pages = range.start & !(PAGE - 1)..range.end.next_multiple_of(PAGE);
        self.written.set(self.written.get().max(pages.end));
        let mut writable = self.writable.borrow_mut();
        let executable = match &mut *writable {
            Some(open) if open.iter().any(|known| known.start <= pages.start && pages.end <= known.end) => None,
            Some(open) => {
                // What else is written is near: a switch costs more than some pages.
                pages.start = pages.start.saturating_sub(NEAR).max(self.start);
                pages.end = (pages.end + NEAR).min(self.written.get());
                protect(&pages, libc::PROT_READ | libc::PROT_WRITE)?;
                open.push(pages);
                None
            }
            None => {
                protect(&pages, libc::PROT_READ | libc::PROT_WRITE)?;
                // Also when `write` panics.
                Some(Executable { pages })
            }
        };
        drop(writable);
        // SAFETY: the bytes lie in our own mapping and are readable and writable until `executable` is dropped, or the `Writing`. The space
        // belongs to one thread, and the only other references to these bytes are copies made by `read`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(range.start as *mut u8, range.len()) };
        let result = write(bytes);
        drop(executable);
        Ok(result)
    }

    /// A copy of the bytes of `range`, which must have been written before.
    pub(super) fn read(&self, range: Range<usize>) -> Vec<u8> {
        assert!(self.start <= range.start && range.start <= range.end && range.end <= self.range().end);
        // SAFETY: the bytes lie in our own mapping; whoever calls holds a published block, whose pages are readable. Nobody
        // writes meanwhile, for the space belongs to one thread.
        unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) }.to_vec()
    }
}

impl Drop for CodeSpace {
    fn drop(&mut self) {
        // SAFETY: our own mapping. Arenas, buffers and published code hold the space alive, so that nothing refers to it.
        unsafe { libc::munmap(self.start as *mut libc::c_void, self.length) };
    }
}

/// See [`CodeSpace::writing`].
#[derive(Debug)]
pub struct Writing {
    space: Rc<CodeSpace>,
    outermost: bool,
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.outermost {
            let open = self.space.writable.borrow_mut().take();
            let mut all: Vec<Executable> = Vec::new();
            for pages in open.into_iter().flatten() {
                match all.iter_mut().find(|known| known.pages.start <= pages.end && pages.start <= known.pages.end) {
                    Some(known) => {
                        known.pages = known.pages.start.min(pages.start)..known.pages.end.max(pages.end);
                    }
                    None => all.push(Executable { pages }),
                }
            }
        }
    }
}

/// Makes pages executable again when dropped.
struct Executable {
    pages: Range<usize>,
}

impl Drop for Executable {
    fn drop(&mut self) {
        // The pages were split off their neighbours when they became writable; joining them again needs no memory.
        protect(&self.pages, libc::PROT_READ | libc::PROT_EXEC).expect("pages that were executable can be so again");
    }
}

fn protect(pages: &Range<usize>, protection: libc::c_int) -> io::Result<()> {
    // SAFETY: only called with pages of a `CodeSpace`'s own mapping. Nothing in Rust's sight lies in them but the slice that
    // `write` makes, which lives while they are writable.
    match unsafe { libc::mprotect(pages.start as *mut libc::c_void, pages.len(), protection) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The protection of the page at `address`, as /proc/self/maps has it: "r-xp".
    fn protection(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let address_of = |text| usize::from_str_radix(text, 16).unwrap();
            if (address_of(start)..address_of(end)).contains(&address) {
                return rest[..4].to_string();
            }
        }
        panic!("{address:#x} is not mapped");
    }

    #[test]
    fn pages_are_never_writable_and_executable() {
        let space = CodeSpace::reserve().unwrap();
        let part = space.cut(3 * PAGE - 1).unwrap();
        assert_eq!(part.len(), 3 * PAGE);
        assert_eq!(protection(part.start), "---p");
        let middle = part.start + PAGE;
        let during = space
            .write(middle - 1..middle + 1, |bytes| {
                bytes.fill(0xc3);
                (protection(part.start), protection(middle), protection(middle + PAGE))
            })
            .unwrap();
        assert_eq!(during, ("rw-p".into(), "rw-p".into(), "---p".into()));
        assert_eq!(protection(part.start), "r-xp");
        assert_eq!(protection(middle), "r-xp");
        assert_eq!(protection(middle + PAGE), "---p");
        assert_eq!(space.read(middle - 2..middle + 2), [0, 0xc3, 0xc3, 0]);
    }

    #[test]
    fn several_writes_share_a_switch() {
        let space = CodeSpace::reserve().unwrap();
        let part = space.cut(5 * PAGE).unwrap();
        let fill = |from: usize, to: usize| space.write(part.start + from..part.start + to, |b| b.fill(0xc3)).unwrap();
        let protections = || [0, 1, 2, 3, 4].map(|page| protection(part.start + page * PAGE));
        {
            let _outer = space.writing();
            fill(0, 8);
            {
                let _inner = space.writing();
                fill(PAGE - 1, PAGE + 1);
            }
            fill(3 * PAGE, 3 * PAGE + 1);
            fill(16, 32);
            assert_eq!(protections(), ["rw-p", "rw-p", "rw-p", "rw-p", "---p"]);
        }
        assert_eq!(protections(), ["r-xp", "r-xp", "r-xp", "r-xp", "---p"]);
        fill(0, 1);
        assert_eq!(protections(), ["r-xp", "r-xp", "r-xp", "r-xp", "---p"]);
    }

    #[test]
    fn pages_are_executable_after_a_panic() {
        let space = CodeSpace::reserve().unwrap();
        let part = space.cut(PAGE).unwrap();
        let write = || space.write(part.clone(), |_| panic!("while writing"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err());
        assert_eq!(protection(part.start), "r-xp");
    }

    #[test]
    fn the_range_is_cut_to_its_end_and_no_further() {
        let space = CodeSpace::reserve().unwrap();
        assert!(space.cut(RESERVED + 1).is_none());
        assert!(space.cut(usize::MAX).is_none());
        let first = space.cut(RESERVED - PAGE).unwrap();
        assert_eq!(space.cut(1).unwrap(), first.end..first.end + PAGE);
        assert!(space.cut(1).is_none());
    }
}
