//! The table of all short strings, in which each is found by its bytes, so that there is only one of each.

use super::super::heap::Gc;
use super::Str;

/// A place among the interned strings: null if it is free, [`GONE`] if its string is gone, else the string's address with the
/// upper half of its hash in the upper 16 bits, which no address has.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(*mut Str);

const FREE: Entry = Entry(std::ptr::null_mut());
const GONE: Entry = Entry(std::ptr::without_provenance_mut(1));
const HASH_SHIFT: u32 = 48;

impl Entry {
    fn new(string: Gc<Str>, hash: u32) -> Entry {
        debug_assert!(string.as_ptr().addr() >> HASH_SHIFT == 0);
        Entry(string.as_ptr().map_addr(|address| address | Entry::mark(hash)))
    }

    /// What stands in the upper 16 bits for strings with this hash. It is not 0, as in free places and those of strings that are gone.
    #[inline(always)]
    fn mark(hash: u32) -> usize {
        (hash as usize >> 16 | 1) << HASH_SHIFT
    }

    /// The string, if there is one and it may have the hash that this mark is of.
    #[inline(always)]
    fn marked(self, mark: usize) -> Option<Gc<Str>> {
        let address = self.0.map_addr(|address| address ^ mark);
        // SAFETY: no mark is 0, so this is no free place; what has a mark is a string's address, and dead strings are taken out before
        // they are freed.
        (address.addr() >> HASH_SHIFT == 0).then(|| unsafe { Gc::from_raw(address) })
    }

    /// The string, if there is one.
    fn string(self) -> Option<Gc<Str>> {
        if self == FREE || self == GONE { None } else { self.marked(self.0.addr() >> HASH_SHIFT << HASH_SHIFT) }
    }
}

/// All short strings: open addressing with linear probing.
pub(in crate::lua) struct Interned {
    slots: Vec<Entry>,
    /// Slots that are not free.
    used: usize,
    /// Those of one byte, which are asked for most, once more.
    pub(super) single: Box<[Option<Gc<Str>>; 256]>,
}

const SMALLEST: usize = 512;

impl Interned {
    pub(in crate::lua) fn new() -> Interned {
        Interned { slots: vec![FREE; SMALLEST], used: 0, single: Box::new([None; 256]) }
    }

    /// The string with these bytes, whose hash this is, or the slot where it belongs.
    #[inline]
    pub(super) fn find(&self, hash: u32, is: impl Fn(Gc<Str>) -> bool) -> Result<Gc<Str>, usize> {
        let mask = self.slots.len() - 1;
        let (mark, mut i) = (Entry::mark(hash), hash as usize & mask);
        loop {
            let entry = self.slots[i];
            if entry == FREE {
                return Err(i);
            }
            if let Some(s) = entry.marked(mark)
                && is(s)
            {
                return Ok(s);
            }
            i = (i + 1) & mask;
        }
    }

    /// Enters a string in the free slot that [`Interned::find`] has told.
    pub(super) fn insert(&mut self, slot: usize, string: Gc<Str>) {
        self.slots[slot] = Entry::new(string, string.header.extra.get());
        self.used += 1;
        if self.used * 3 > self.slots.len() * 2 {
            self.resize(self.slots.len() * 2);
        }
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, vec![FREE; size]);
        let mask = size - 1;
        self.used = 0;
        for string in old.into_iter().filter_map(Entry::string) {
            let hash = string.header.extra.get();
            let mut i = hash as usize & mask;
            while self.slots[i] != FREE {
                i = (i + 1) & mask;
            }
            self.slots[i] = Entry::new(string, hash);
            self.used += 1;
        }
    }

    /// Forgets the strings that `keep` does not want.
    pub(in crate::lua) fn retain(&mut self, keep: impl Fn(Gc<Str>) -> bool) {
        self.single.iter_mut().for_each(|s| *s = s.filter(|s| keep(*s)));
        let (mut live, mut gone) = (0, 0);
        // Backwards: behind a free slot nothing needs to be remembered of a string that is gone.
        let mut behind = self.slots[0];
        for slot in self.slots.iter_mut().rev() {
            if *slot != FREE {
                if slot.string().is_some_and(&keep) {
                    live += 1;
                } else if behind == FREE {
                    *slot = FREE;
                } else {
                    *slot = GONE;
                    gone += 1;
                }
            }
            behind = *slot;
        }
        let most = std::mem::replace(&mut self.used, live + gone);
        let size = self.slots.len();
        // What was needed since the last time will be needed again.
        if most * 8 <= size && size > SMALLEST {
            self.resize(size / 2);
        } else if gone > live {
            self.resize(size);
        }
    }
}
