//! Strings: byte arrays, not UTF-8. Short ones (up to 40 bytes) are interned, so that equality is a pointer comparison;
//! long ones are hashed when first needed. The bytes of a string that does not fit into a cell lie outside of the heap; strings that
//! grow by being appended to share them.

mod shared;

use std::cell::Cell;

use shared::Buffer;

use super::heap::{Gc, Header, Heap, Kind, MAX_CELL, OutOfMemory};

/// The longest string that is interned.
pub const MAX_SHORT: usize = 40;
/// The longest string there may be, so that lengths can be added without overflow.
pub const MAX_STRING: usize = isize::MAX as usize / 4;

/// Strings of at least this length share their bytes with what is appended to them. What is shorter is copied as fast.
const MIN_SHARED: usize = 512;

/// What the header's `detail` says: short, and interned.
const SHORT: u8 = 1;
/// Long, and made by appending to a long one. Nothing has been appended to it so far; if something is, it will be again.
const GROWING: u8 = 2;
/// Its bytes are those of a [`Buffer`].
const SHARED: u8 = 3;

const HASHED: u8 = 1;

/// A string. The header's `detail` says what it is besides long, if anything; its `extra` is the hash, valid if `flags` is 1.
#[repr(C)]
pub struct Str {
    pub(super) header: Header,
    len: usize,
    data: Cell<*const u8>,
}

const HEAD: usize = size_of::<Str>();

impl Str {
    /// Its bytes up to a zero, see [`c_string`].
    pub fn c_string(&self) -> &[u8] {
        c_string(self.bytes())
    }

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
        if self.header.detail.get() == SHARED {
            // SAFETY: the bytes are those of a buffer, and the string is dead.
            return unsafe { Buffer::of(self.data.get()).release() };
        }
        let slice = std::ptr::slice_from_raw_parts_mut(self.data.get().cast_mut(), self.len);
        // SAFETY: external bytes come from a leaked box, and the string is dead.
        drop(unsafe { Box::from_raw(slice) });
        self.len
    }
}

/// The bytes up to a zero. Names of files, options, modes and what goes into messages are strings of C in the reference
/// implementation: what follows a zero is not seen.
pub fn c_string(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|c| *c == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// The hash of a string's bytes. The same in each run, so that runs can be repeated.
#[inline]
pub fn hash(bytes: &[u8]) -> u32 {
    const M: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = bytes.len() as u64 ^ 0x51_7c_c1_b7_27_22_0a_95;
    // The last word is read from the end: where the length is no multiple of eight, some bytes count twice.
    let last = if let Some(last) = bytes.last_chunk::<8>() {
        for word in bytes[..bytes.len() - 1].as_chunks::<8>().0 {
            h = (h ^ u64::from_le_bytes(*word)).wrapping_mul(M).rotate_left(29);
        }
        u64::from_le_bytes(*last)
    } else if let (Some(a), Some(b)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*a)) << 32 | u64::from(u32::from_le_bytes(*b))
    } else if let [first, .., last] = bytes {
        u64::from(*first) << 16 | u64::from(bytes[bytes.len() / 2]) << 8 | u64::from(*last)
    } else {
        bytes.first().map_or(0, |only| u64::from(*only))
    };
    h = (h ^ last).wrapping_mul(M);
    (h ^ h >> 32) as u32
}

/// Are these short strings of the same length the same?
#[inline(always)]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    // A call of the C library's function takes longer than this. Words at both ends may overlap.
    let n = a.len();
    debug_assert_eq!(n, b.len());
    if n >= 8 {
        for (a, b) in std::iter::zip(a[..n - 1].as_chunks::<8>().0, b[..n - 1].as_chunks::<8>().0) {
            if u64::from_ne_bytes(*a) != u64::from_ne_bytes(*b) {
                return false;
            }
        }
        return a.last_chunk::<8>() == b.last_chunk::<8>();
    }
    if n >= 4 {
        return a.first_chunk::<4>() == b.first_chunk::<4>() && a.last_chunk::<4>() == b.last_chunk::<4>();
    }
    n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1])
}

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
        Entry(string.as_ptr().map_addr(|address| address | (hash as usize >> 16) << HASH_SHIFT))
    }

    /// May this be a string with this hash?
    #[inline(always)]
    fn may_be(self, hash: u32) -> bool {
        self.0.addr() >> HASH_SHIFT == hash as usize >> 16
    }

    /// The string, if there is one.
    #[inline(always)]
    fn string(self) -> Option<Gc<Str>> {
        let address = self.0.map_addr(|address| address & ((1 << HASH_SHIFT) - 1));
        // SAFETY: what is neither free nor gone is a string's address; dead strings are taken out before they are freed.
        (address.addr() > GONE.0.addr()).then(|| unsafe { Gc::from_raw(address) })
    }
}

/// All short strings: open addressing with linear probing.
pub(super) struct Interned {
    slots: Vec<Entry>,
    /// Slots that are not free.
    used: usize,
    /// Those of one byte, which are asked for most, once more.
    single: Box<[Option<Gc<Str>>; 256]>,
}

const SMALLEST: usize = 512;

impl Interned {
    pub(super) fn new() -> Interned {
        Interned { slots: vec![FREE; SMALLEST], used: 0, single: Box::new([None; 256]) }
    }

    /// The string with these bytes, or the slot where it belongs.
    #[inline]
    fn find(&self, hash: u32, bytes: &[u8]) -> Result<Gc<Str>, usize> {
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let entry = self.slots[i];
            if entry == FREE {
                return Err(i);
            }
            if entry.may_be(hash)
                && let Some(s) = entry.string()
                && s.len == bytes.len()
                && same_bytes(s.bytes(), bytes)
            {
                return Ok(s);
            }
            i = (i + 1) & mask;
        }
    }

    /// Enters a string in the free slot that [`Interned::find`] has told.
    fn insert(&mut self, slot: usize, string: Gc<Str>) {
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
    pub(super) fn retain(&mut self, keep: impl Fn(Gc<Str>) -> bool) {
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

/// Copies the bytes of a string that is not long by itself, which a call of the C library's function takes longer for.
///
/// # Safety
/// There is room for them at `to`.
#[inline(always)]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    let (from, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: all offsets lie within the bytes and the room for them; words are copied whole and may overlap.
    unsafe {
        if len > MAX_SHORT {
            std::ptr::copy_nonoverlapping(from, to, len);
        } else if len >= 8 {
            let word = |at| to.add(at).cast::<u64>().write_unaligned(from.add(at).cast::<u64>().read_unaligned());
            (0..len - 8).step_by(8).for_each(word);
            word(len - 8);
        } else if len >= 4 {
            let half = |at| to.add(at).cast::<u32>().write_unaligned(from.add(at).cast::<u32>().read_unaligned());
            half(0);
            half(len - 4);
        } else {
            (0..len).for_each(|at| to.add(at).write(from.add(at).read()));
        }
    }
}

impl Heap {
    /// A string with these bytes.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        match bytes {
            [byte] => self.string_of_byte(*byte),
            _ if bytes.len() <= MAX_SHORT => self.short_string(bytes),
            _ => self.string_of_parts(&[bytes]),
        }
    }

    /// The string of this byte.
    #[inline]
    pub fn string_of_byte(&mut self, byte: u8) -> Result<Gc<Str>, OutOfMemory> {
        match self.interned.single[usize::from(byte)] {
            Some(s) => Ok(s),
            None => {
                let s = self.short_string(&[byte])?;
                self.interned.single[usize::from(byte)] = Some(s);
                Ok(s)
            }
        }
    }

    fn short_string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        let hash = hash(bytes);
        match self.interned.find(hash, bytes) {
            Ok(s) => Ok(s),
            Err(slot) => {
                let (s, data) = self.string_cell(bytes.len())?;
                // SAFETY: the cell has room for them.
                unsafe { copy(bytes, data) };
                s.header.detail.set(SHORT);
                s.header.extra.set(hash);
                s.header.flags.set(HASHED);
                self.interned.insert(slot, s);
                Ok(s)
            }
        }
    }

    /// What appending to a string makes: the bytes of all parts, of which the first is that string.
    #[inline]
    pub fn append(&mut self, first: Gc<Str>, parts: &[&[u8]]) -> Result<Gc<Str>, OutOfMemory> {
        debug_assert!(std::ptr::eq(first.bytes(), parts[0]));
        if first.len < MIN_SHARED { self.string_of_parts(parts) } else { self.append_to_long(first, parts) }
    }

    #[inline(never)]
    fn append_to_long(&mut self, first: Gc<Str>, parts: &[&[u8]]) -> Result<Gc<Str>, OutOfMemory> {
        let more = parts[1..].iter().fold(0usize, |len, part| len.saturating_add(part.len()));
        let len = first.len.saturating_add(more);
        if len > MAX_STRING {
            return Err(OutOfMemory);
        }
        let kind = &first.header.detail;
        // SAFETY: the bytes are those of a buffer, which lives as long as the string.
        let buffer = (kind.get() == SHARED).then(|| unsafe { Buffer::of(first.data.get()) });
        let grows = match buffer {
            Some(buffer) => buffer.ends_with(first.len),
            None => kind.get() == GROWING,
        };
        if !grows || more > first.len {
            let s = self.string_of_parts(parts)?;
            s.header.detail.set(GROWING);
            return Ok(s);
        }
        if let Some(buffer) = buffer.filter(|buffer| buffer.has_room(more)) {
            let s = self.string_cell_of(len, buffer.data())?;
            buffer.share();
            // SAFETY: there is room.
            parts[1..].iter().for_each(|part| unsafe { buffer.push(part) });
            return Ok(s);
        }
        let s = self.string_of_new_buffer(len, parts)?;
        match buffer {
            Some(buffer) => buffer.outgrow(),
            None => kind.set(0),
        }
        Ok(s)
    }

    /// A string of this length in a buffer that has room for half as much again, if the limit allows that.
    fn string_of_new_buffer(&mut self, len: usize, parts: &[&[u8]]) -> Result<Gc<Str>, OutOfMemory> {
        let ample = len + len / 2;
        let capacity = if self.reserve(ample).is_ok() { ample } else { len };
        self.reserve(capacity)?;
        let buffer = Buffer::new(capacity).ok_or(OutOfMemory)?;
        let s = match self.string_cell_of(len, buffer.data()) {
            Ok(s) => s,
            Err(error) => {
                // SAFETY: the string that it was made for was not made.
                unsafe { buffer.release() };
                return Err(error);
            }
        };
        self.count_external(buffer.size() as isize);
        // SAFETY: there is room for all parts.
        parts.iter().for_each(|part| unsafe { buffer.push(part) });
        Ok(s)
    }

    /// A string with the first bytes of a buffer, which are still to be written.
    fn string_cell_of(&mut self, len: usize, data: *const u8) -> Result<Gc<Str>, OutOfMemory> {
        let s = self.string_head(len, data)?;
        s.header.detail.set(SHARED);
        Ok(s)
    }

    /// A string with the bytes of all parts, one behind the other.
    pub fn string_of_parts(&mut self, parts: &[&[u8]]) -> Result<Gc<Str>, OutOfMemory> {
        let len = parts.iter().fold(0usize, |len, part| len.saturating_add(part.len()));
        if len > MAX_STRING {
            return Err(OutOfMemory);
        }
        if len <= MAX_SHORT {
            let mut bytes = [0; MAX_SHORT];
            let mut at = 0;
            for part in parts {
                // SAFETY: the parts are no longer than the array in all.
                unsafe { copy(part, bytes.as_mut_ptr().add(at)) };
                at += part.len();
            }
            return self.short_string(&bytes[..len]);
        }
        if HEAD + len <= MAX_CELL {
            let (s, mut data) = self.string_cell(len)?;
            for part in parts {
                // SAFETY: the cell has room for all parts.
                unsafe {
                    copy(part, data);
                    data = data.add(part.len());
                }
            }
            return Ok(s);
        }
        self.reserve(len)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| OutOfMemory)?;
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        self.external_string(bytes.into_boxed_slice())
    }

    /// A string that takes over these bytes, if it is too long for a cell; else a copy.
    pub fn string_from_vec(&mut self, bytes: Vec<u8>) -> Result<Gc<Str>, OutOfMemory> {
        if HEAD + bytes.len() <= MAX_CELL {
            return self.string(&bytes);
        }
        self.reserve(bytes.len())?;
        self.external_string(bytes.into_boxed_slice())
    }

    /// A string whose bytes, in a cell, are still to be written: the pointer says where.
    #[inline]
    fn string_cell(&mut self, len: usize) -> Result<(Gc<Str>, *mut u8), OutOfMemory> {
        let cell = self.allocate(HEAD + len)?.cast::<Str>();
        // SAFETY: the cell is large enough for the head and the bytes, and ours.
        unsafe {
            let data = cell.cast::<u8>().add(HEAD);
            cell.write(Str { header: Header::new(Kind::String), len, data: Cell::new(data) });
            Ok((Gc::from_raw(cell), data))
        }
    }

    fn external_string(&mut self, bytes: Box<[u8]>) -> Result<Gc<Str>, OutOfMemory> {
        let len = bytes.len();
        let s = self.string_head(len, bytes.as_ptr())?;
        s.data.set(Box::into_raw(bytes).cast());
        self.count_external(len as isize);
        Ok(s)
    }

    /// A string whose bytes lie outside of the heap.
    fn string_head(&mut self, len: usize, data: *const u8) -> Result<Gc<Str>, OutOfMemory> {
        let cell = self.allocate(HEAD)?.cast::<Str>();
        // SAFETY: the cell is large enough for the head, and ours.
        let s = unsafe {
            cell.write(Str { header: Header::new(Kind::String), len, data: Cell::new(data) });
            Gc::from_raw(cell)
        };
        self.set_owns(s.header());
        Ok(s)
    }
}
