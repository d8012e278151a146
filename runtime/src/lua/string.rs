//! Strings: byte arrays, not UTF-8. Short ones (up to 40 bytes) are interned, so that equality is a pointer comparison;
//! long ones are hashed when first needed. The bytes of a string that does not fit into a cell lie outside of the heap.

use std::cell::Cell;

use super::heap::{Gc, Header, Heap, Kind, MAX_CELL, OutOfMemory};

/// The longest string that is interned.
pub const MAX_SHORT: usize = 40;
/// The longest string there may be, so that lengths can be added without overflow.
pub const MAX_STRING: usize = isize::MAX as usize / 4;

const SHORT: u8 = 1;
const HASHED: u8 = 1;

/// A string. The header's `detail` is 1 if it is short, its `extra` the hash, valid if `flags` is 1.
#[repr(C)]
pub struct Str {
    pub(super) header: Header,
    len: usize,
    data: Cell<*const u8>,
}

const HEAD: usize = size_of::<Str>();

impl Str {
    /// Its bytes.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `data` points to `len` bytes that live as long as the string.
        unsafe { std::slice::from_raw_parts(self.data.get(), self.len) }
    }

    /// Number of bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is it the empty string?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Is it interned?
    #[inline(always)]
    pub fn is_short(&self) -> bool {
        self.header.detail.get() == SHORT
    }

    /// Its hash.
    #[inline]
    pub fn hash(&self) -> u32 {
        if self.header.flags.get() != HASHED {
            self.header.extra.set(hash(self.bytes()));
            self.header.flags.set(HASHED);
        }
        self.header.extra.get()
    }

    /// For messages: the bytes as text, invalid UTF-8 replaced.
    pub fn to_lossy(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(super) const LEN_OFFSET: usize = std::mem::offset_of!(Str, len);
    pub(super) const DATA_OFFSET: usize = std::mem::offset_of!(Str, data);

    fn is_external(&self) -> bool {
        self.data.get().addr() != (&raw const *self).addr() + HEAD
    }

    /// Frees the bytes of a dead string that lie outside of the heap. Answers how many these were.
    pub(super) fn release(&self) -> usize {
        debug_assert!(self.is_external());
        let slice = std::ptr::slice_from_raw_parts_mut(self.data.get().cast_mut(), self.len);
        // SAFETY: external bytes come from a leaked box, and the string is dead.
        drop(unsafe { Box::from_raw(slice) });
        self.len
    }
}

/// The hash of a string's bytes. The same in each run, so that runs can be repeated.
#[inline]
pub fn hash(bytes: &[u8]) -> u32 {
    const M: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = bytes.len() as u64 ^ 0x51_7c_c1_b7_27_22_0a_95;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        h = (h ^ u64::from_le_bytes(*word)).wrapping_mul(M).rotate_left(29);
    }
    // What is left, read twice in part where it has no power of two bytes.
    let last = match (rest.first_chunk::<4>(), rest.last_chunk::<4>(), rest) {
        (Some(a), Some(b), _) => u64::from(u32::from_le_bytes(*a)) << 32 | u64::from(u32::from_le_bytes(*b)),
        (_, _, [first, .., last]) => u64::from(*first) << 16 | u64::from(rest[rest.len() / 2]) << 8 | u64::from(*last),
        (_, _, [only]) => u64::from(*only),
        _ => 0,
    };
    h = (h ^ last).wrapping_mul(M);
    (h ^ h >> 32) as u32
}

/// Are these short strings of the same length the same?
#[inline]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    // A call of the C library's function takes longer than this.
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    std::iter::zip(a, b).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && std::iter::zip(rest_a, rest_b).all(|(a, b)| a == b)
}

/// A place among the interned strings.
#[derive(Clone, Copy)]
struct Entry {
    string: Option<Gc<Str>>,
    hash: u32,
}

const FREE: Entry = Entry { string: None, hash: 0 };

/// All short strings. Open addressing; a slot is free or holds a string and its hash.
pub(super) struct Interned {
    slots: Vec<Entry>,
    count: usize,
}

impl Interned {
    pub(super) fn new() -> Interned {
        Interned { slots: vec![FREE; 512], count: 0 }
    }

    /// The string with these bytes, or the slot where it belongs.
    fn find(&self, hash: u32, bytes: &[u8]) -> Result<Gc<Str>, usize> {
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let entry = self.slots[i];
            let Some(s) = entry.string else { return Err(i) };
            if entry.hash == hash && s.len == bytes.len() && same_bytes(s.bytes(), bytes) {
                return Ok(s);
            }
            i = (i + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, string: Gc<Str>) {
        self.slots[slot] = Entry { string: Some(string), hash: string.header.extra.get() };
        self.count += 1;
        if self.count * 3 > self.slots.len() * 2 {
            self.rebuild(self.slots.len() * 2, |_| true);
        }
    }

    fn rebuild(&mut self, size: usize, keep: impl Fn(Gc<Str>) -> bool) {
        let old = std::mem::replace(&mut self.slots, vec![FREE; size]);
        let mask = size - 1;
        self.count = 0;
        for entry in old.into_iter().filter(|entry| entry.string.is_some_and(&keep)) {
            let mut i = entry.hash as usize & mask;
            while self.slots[i].string.is_some() {
                i = (i + 1) & mask;
            }
            self.slots[i] = entry;
            self.count += 1;
        }
    }

    /// Forgets the strings that `keep` does not want.
    pub(super) fn retain(&mut self, keep: impl Fn(Gc<Str>) -> bool) {
        self.rebuild(self.slots.len(), keep);
        let wanted = (self.count * 2).next_power_of_two().max(512);
        if wanted * 2 <= self.slots.len() {
            self.rebuild(wanted, |_| true);
        }
    }
}

impl Heap {
    /// A string with these bytes.
    pub fn string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        if bytes.len() <= MAX_SHORT {
            let hash = hash(bytes);
            return match self.interned.find(hash, bytes) {
                Ok(s) => Ok(s),
                Err(slot) => {
                    let s = self.string_cell(bytes)?;
                    s.header.detail.set(SHORT);
                    s.header.extra.set(hash);
                    s.header.flags.set(HASHED);
                    self.interned.insert(slot, s);
                    Ok(s)
                }
            };
        }
        if HEAD + bytes.len() <= MAX_CELL {
            return self.string_cell(bytes);
        }
        self.reserve(bytes.len())?;
        self.external_string(bytes.to_vec().into_boxed_slice())
    }

    /// A string that takes over these bytes, if it is too long for a cell; else a copy.
    pub fn string_from_vec(&mut self, bytes: Vec<u8>) -> Result<Gc<Str>, OutOfMemory> {
        if HEAD + bytes.len() <= MAX_CELL {
            return self.string(&bytes);
        }
        self.reserve(bytes.len())?;
        self.external_string(bytes.into_boxed_slice())
    }

    fn string_cell(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        let cell = self.allocate(HEAD + bytes.len())?.cast::<Str>();
        // SAFETY: the cell is large enough for the head and the bytes, and ours.
        unsafe {
            let data = cell.cast::<u8>().add(HEAD);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
            cell.write(Str { header: Header::new(Kind::String), len: bytes.len(), data: Cell::new(data) });
            Ok(Gc::from_raw(cell))
        }
    }

    fn external_string(&mut self, bytes: Box<[u8]>) -> Result<Gc<Str>, OutOfMemory> {
        let cell = self.allocate(HEAD)?.cast::<Str>();
        let len = bytes.len();
        let data = Box::into_raw(bytes).cast::<u8>().cast_const();
        // SAFETY: the cell is large enough for the head, and ours.
        let s = unsafe {
            cell.write(Str { header: Header::new(Kind::String), len, data: Cell::new(data) });
            Gc::from_raw(cell)
        };
        self.set_owns(s.header());
        self.count_external(len as isize);
        Ok(s)
    }
}
