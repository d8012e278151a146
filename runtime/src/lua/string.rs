//! Strings: byte arrays, not UTF-8. Short ones (up to 40 bytes) are interned, so that equality is a pointer comparison;
//! long ones are hashed when first needed. The bytes of a string that does not fit into a cell lie outside of the heap; strings that
//! grow by being appended to share them.

mod interned;
mod shared;
mod short;
#[cfg(test)]
mod tests;

use std::cell::Cell;

pub(super) use interned::Interned;
use shared::Buffer;
use short::{Short, Tiny};

use super::heap::{GRANULE, Gc, Header, Heap, Kind, MAX_CELL, OutOfMemory};

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
// What is written in whole words behind the head stays in the cell.
const _: () = assert!(HEAD % GRANULE == 8 && GRANULE == 16);

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

/// The hash of a long string's bytes. The same in each run, so that runs can be repeated.
fn hash(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let h = words.iter().fold(bytes.len() as u64, |h, word| mix(h ^ u64::from_le_bytes(*word)));
    // Where the length is no multiple of eight, some bytes count twice.
    match bytes.last_chunk::<8>() {
        Some(last) if !rest.is_empty() => mix(h ^ u64::from_le_bytes(*last)) as u32,
        _ => h as u32,
    }
}

/// Both halves of a product in one word: each bit of it depends on all bits of `word`, while the lower half's only depend on lower ones.
#[inline(always)]
fn mix(word: u64) -> u64 {
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

/// Copies the bytes of a string that is not long by itself, which a call of the C library's function takes longer for.
///
/// # Safety
/// There is room for them at `to`.
#[inline(always)]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    let (from, len) = (bytes.as_ptr(), bytes.len());
    /// Copies what is as large as a `T`, at this offset.
    #[inline(always)]
    unsafe fn at<T>(from: *const u8, to: *mut u8, offset: usize) {
        // SAFETY: the caller's promise.
        unsafe { to.add(offset).cast::<T>().write_unaligned(from.add(offset).cast::<T>().read_unaligned()) }
    }
    // No loops, which the compiler would make calls of that function. What is copied at both ends may overlap.
    // SAFETY: all offsets lie within the bytes and the room for them.
    unsafe {
        if len > MAX_SHORT {
            std::ptr::copy_nonoverlapping(from, to, len);
        } else if len > 16 {
            at::<[u64; 2]>(from, to, 0);
            if len > 32 {
                at::<[u64; 2]>(from, to, 16);
            }
            at::<[u64; 2]>(from, to, len - 16);
        } else if len >= 8 {
            at::<u64>(from, to, 0);
            at::<u64>(from, to, len - 8);
        } else if len >= 4 {
            at::<u32>(from, to, 0);
            at::<u32>(from, to, len - 4);
        } else if len > 0 {
            at::<u8>(from, to, 0);
            at::<u8>(from, to, len / 2);
            at::<u8>(from, to, len - 1);
        }
    }
}

impl Heap {
    /// A string with these bytes.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        match bytes {
            [byte] => self.string_of_byte(*byte),
            _ if bytes.len() <= Tiny::MAX => self.string_of_few(bytes),
            _ => self.string_of_parts(&[bytes]),
        }
    }

    fn string_of_few(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        self.tiny_string(Tiny::new(bytes))
    }

    /// The string of this byte.
    #[inline]
    pub fn string_of_byte(&mut self, byte: u8) -> Result<Gc<Str>, OutOfMemory> {
        match self.interned.single[usize::from(byte)] {
            Some(s) => Ok(s),
            None => self.first_of_byte(byte),
        }
    }

    #[cold]
    fn first_of_byte(&mut self, byte: u8) -> Result<Gc<Str>, OutOfMemory> {
        let s = self.tiny_string(Tiny::new(&[byte]))?;
        self.interned.single[usize::from(byte)] = Some(s);
        Ok(s)
    }

    #[inline(always)]
    fn tiny_string(&mut self, tiny: Tiny) -> Result<Gc<Str>, OutOfMemory> {
        let hash = tiny.hash();
        match self.interned.find(hash, |s| tiny.is(s)) {
            Ok(s) => Ok(s),
            Err(slot) => self.new_tiny_string(tiny, hash, slot),
        }
    }

    fn short_string(&mut self, short: &Short) -> Result<Gc<Str>, OutOfMemory> {
        let hash = short.hash();
        match self.interned.find(hash, |s| short.is(s)) {
            Ok(s) => Ok(s),
            Err(slot) => self.new_short_string(short, hash, slot),
        }
    }

    #[inline(never)]
    fn new_tiny_string(&mut self, tiny: Tiny, hash: u32, slot: usize) -> Result<Gc<Str>, OutOfMemory> {
        let mut short = Short::EMPTY;
        short.push_tiny(tiny);
        self.new_short_string(&short, hash, slot)
    }

    fn new_short_string(&mut self, short: &Short, hash: u32, slot: usize) -> Result<Gc<Str>, OutOfMemory> {
        let (s, data) = self.string_cell(short.len())?;
        // SAFETY: cells are multiples of two words, and the head is an odd number of words: there is room for the last word.
        unsafe { short.write(data.cast()) };
        s.header.detail.set(SHORT);
        s.header.extra.set(hash);
        s.header.flags.set(HASHED);
        self.interned.insert(slot, s);
        Ok(s)
    }

    /// `a .. b .. c`: what appending to the first of these strings makes.
    #[inline]
    pub fn concat<const N: usize>(&mut self, parts: [Gc<Str>; N]) -> Result<Gc<Str>, OutOfMemory> {
        let len = parts.iter().fold(0usize, |len, part| len.saturating_add(part.len));
        if len <= Tiny::MAX {
            return self.tiny_string(parts[1..].iter().fold(Tiny::of(parts[0]), |all, part| all.then(Tiny::of(*part))));
        }
        if len <= MAX_SHORT {
            let mut short = Short::EMPTY;
            parts.iter().for_each(|part| short.push_string(*part));
            return self.short_string(&short);
        }
        self.append(parts[0], &parts.each_ref().map(|part| part.bytes()))
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
        if len <= Tiny::MAX {
            return self.tiny_string(parts.iter().fold(Tiny::new(b""), |all, part| all.then(Tiny::new(part))));
        }
        if len <= MAX_SHORT {
            let mut short = Short::EMPTY;
            parts.iter().for_each(|part| short.push(part));
            return self.short_string(&short);
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
