//! Tables: three parts in one object.
//!
//! - the *array* ([`mod@array`]): payloads and tags apart, 9 bytes an element; while all elements have one tag the header says
//!   which;
//! - *named fields* ([`fields`]): slots whose places the table's [`Shape`] knows;
//! - the *hash* ([`mod@hash`]): all other keys, and the named fields of a table in dictionary mode.
//!
//! Invariants: the array's last element is not nil; the key behind the array's last is not in the hash, so that the
//! array's length is a border; a short string is a key in the shape or in the hash, never in both.
//!
//! A table in use as a metatable, or found through `__index`, is *flagged*. Its shape, which only flagged tables have,
//! says so, and a change of what can be found in it (a key added or removed, a `__` field changed, its metatable changed)
//! raises the heap's *epoch*, which inline caches that looked through it compare.

mod array;
mod fields;
mod hash;
mod next;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use super::event::Event;
use super::heap::{Gc, Header, Heap, Kind, OutOfMemory};
use super::shape::Shape;
use super::string::Str;
use super::value::{Value, tag};

pub use array::{FIRST, MAX_ARRAY, capacity_for};
pub use hash::{HashPart, Node};
pub use next::InvalidKey;

/// The header's flags of a table.
pub mod flag {
    /// In use as a metatable or found through `__index`.
    pub const FLAGGED: u8 = 1;
    /// Has weak values: its array is always mixed.
    pub const WEAK_VALUES: u8 = 2;
    /// Is on the list of objects with a finalizer.
    pub const FINALIZER: u8 = 4;
    /// Elements were taken away from the end of its array.
    pub const SHORTENED: u8 = 8;
    /// Its keys are names, computed at run time or not: they do not make it a map.
    pub const NAMES: u8 = 16;
    /// Its hash part lies outside of the heap. How large one is stands in the part itself, and a part inside of the heap may be
    /// gone before its dead table is.
    pub const HASH_OUTSIDE: u8 = 32;
    /// Is a metatable that others are taken for twins of.
    pub const TWIN: u8 = 64;
}

/// Where the bits of the events that a table lacks begin in its header's `extra`.
pub const ABSENT_SHIFT: u32 = 24;

/// Most slots inside of a table's own cell.
pub const MAX_INLINE: usize = 16;

/// A table. The header's `detail` is the array's kind; `extra` holds the number of slots (16 bits), how many of these
/// are inside of the table's cell (8 bits), and which of the first eight events the table is known to lack (8 bits).
#[repr(C)]
pub struct Table {
    pub(super) header: Header,
    pub(super) array: Cell<*mut u8>,
    pub(super) len: Cell<u32>,
    pub(super) capacity: Cell<u32>,
    pub(super) shape: Cell<Gc<Shape>>,
    pub(super) slots: Cell<*mut Value>,
    pub(super) hash: Cell<*mut HashPart>,
    pub(super) meta: Cell<Option<Gc<Table>>>,
}

/// Why a key cannot be assigned to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetError {
    /// The key is nil.
    NilKey,
    /// The key is not a number.
    NanKey,
    /// There is no memory for it.
    OutOfMemory,
}

impl From<OutOfMemory> for SetError {
    fn from(_: OutOfMemory) -> SetError {
        SetError::OutOfMemory
    }
}

impl Heap {
    /// An empty table with room for `named` fields and `elements` array elements.
    pub fn table(&mut self, named: usize, elements: usize) -> Result<Gc<Table>, OutOfMemory> {
        let inline = named.min(MAX_INLINE);
        let size = size_of::<Table>() + inline * size_of::<Value>();
        let cell = self.allocate(size)?.cast::<Table>();
        let header = Header::new(Kind::Table);
        header.extra.set((inline | inline << 16) as u32);
        // SAFETY: the cell has room for the table and its slots, which lie behind it; it is ours.
        let table = unsafe {
            let slots = cell.add(1).cast::<Value>();
            for i in 0..inline {
                slots.add(i).write(Value::NIL);
            }
            cell.write(Table {
                header,
                array: Cell::new(std::ptr::null_mut()),
                len: Cell::new(0),
                capacity: Cell::new(0),
                shape: Cell::new(self.root_shape()),
                slots: Cell::new(slots),
                hash: Cell::new(std::ptr::null_mut()),
                meta: Cell::new(None),
            });
            Gc::from_raw(cell)
        };
        if elements > 0 {
            table.reserve_array(self, elements)?;
        }
        Ok(table)
    }
}

impl Gc<Table> {
    /// The value of a key, without metamethods.
    #[inline]
    pub fn get(self, key: Value) -> Value {
        match key.tag() {
            tag::STRING => {
                // SAFETY: the tag says string.
                let s: Gc<Str> = unsafe { key.raw_gc() };
                if s.is_short() { self.get_short(s) } else { self.get_hashed(key) }
            }
            tag::INTEGER => self.get_int(key.raw_integer()),
            tag::NIL => Value::NIL,
            tag::FLOAT => match super::number::float_to_int(key.raw_float()) {
                Some(i) => self.get_int(i),
                None => self.get_hashed(key),
            },
            _ => self.get_hashed(key),
        }
    }

    /// The value of an integer key, without metamethods.
    #[inline(always)]
    pub fn get_int(self, i: i64) -> Value {
        let index = (i as u64).wrapping_sub(1);
        if index < u64::from(self.len.get()) {
            self.element(index as usize)
        } else if self.hash.get().is_null() {
            Value::NIL
        } else {
            self.get_integer_hashed(i)
        }
    }

    /// The value of a short string, without metamethods.
    #[inline]
    pub fn get_short(self, key: Gc<Str>) -> Value {
        let shape = self.shape.get();
        if shape.is_dictionary() {
            return self.get_short_hashed(key);
        }
        shape.find(key).map_or(Value::NIL, |slot| self.slot(slot))
    }

    /// The value of a string, without metamethods.
    pub fn get_str(self, key: Gc<Str>) -> Value {
        if key.is_short() { self.get_short(key) } else { self.get_hashed(Value::from(key)) }
    }

    /// Where the value of a string lies; a place with nil if it is not in the table.
    pub fn find_str(self, key: Gc<Str>) -> *mut Value {
        let shape = self.shape.get();
        if key.is_short()
            && !shape.is_dictionary()
            && let Some(slot) = shape.find(key)
        {
            return self.slots_ptr().wrapping_add(slot);
        }
        self.find_string_hashed(key)
    }

    /// Assigns to a key, without metamethods. The key counts as computed at run time.
    pub fn set(self, heap: &mut Heap, key: Value, value: Value) -> Result<(), SetError> {
        match key.tag() {
            tag::STRING => {
                // SAFETY: the tag says string.
                let s: Gc<Str> = unsafe { key.raw_gc() };
                if s.is_short() { self.set_short(heap, s, value, true)? } else { self.set_hashed(heap, key, value)? }
            }
            tag::INTEGER => self.set_int(heap, key.raw_integer(), value)?,
            tag::NIL => return Err(SetError::NilKey),
            tag::FLOAT => match super::number::float_to_int(key.raw_float()) {
                Some(i) => self.set_int(heap, i, value)?,
                None if key.raw_float().is_nan() => return Err(SetError::NanKey),
                None => self.set_hashed(heap, key, value)?,
            },
            _ => self.set_hashed(heap, key, value)?,
        }
        Ok(())
    }

    /// Assigns to a string key that stands in the program, without metamethods.
    pub fn set_str(self, heap: &mut Heap, key: Gc<Str>, value: Value) -> Result<(), OutOfMemory> {
        if key.is_short() {
            self.set_short(heap, key, value, false)
        } else {
            self.set_hashed(heap, Value::from(key), value)
        }
    }

    /// A border: `t[n] ~= nil and t[n+1] == nil` (manual 3.4.7).
    #[inline(always)]
    pub fn length(self) -> i64 {
        i64::from(self.len.get())
    }

    /// The metatable.
    #[inline(always)]
    pub fn metatable(self) -> Option<Gc<Table>> {
        self.meta.get()
    }

    /// The shape.
    #[inline(always)]
    pub fn shape(self) -> Gc<Shape> {
        self.shape.get()
    }

    /// Sets the metatable.
    pub fn set_metatable(self, heap: &mut Heap, meta: Option<Gc<Table>>) -> Result<(), OutOfMemory> {
        if let Some(meta) = meta {
            meta.set_flagged(heap)?;
        }
        if self.meta.get() == meta {
            return Ok(());
        }
        let shape = self.shape.get();
        if !shape.is_dictionary() {
            match heap.shape_with_meta(shape, meta)? {
                Some(to) => self.shape.set(to),
                None => self.to_dictionary(heap)?,
            }
        }
        if self.is_flagged() {
            self.distrust(heap);
        }
        self.meta.set(meta);
        heap.barrier(self.header());
        self.read_mode(heap);
        Ok(())
    }

    /// Reads the metatable's `__mode`: an array with weak values must be mixed.
    fn read_mode(self, heap: &Heap) {
        let Some(meta) = self.meta.get() else { return };
        let mode = meta.get_short(heap.names.event(Event::Mode));
        if mode.as_string().is_some_and(|s| s.bytes().contains(&b'v')) {
            self.weaken_values();
        }
    }

    /// The field of this metatable for an event; nil is cached in the header for the first eight.
    #[inline]
    pub fn event(self, heap: &Heap, event: Event) -> Value {
        if self.is_known_to_lack(event) {
            return Value::NIL;
        }
        let value = self.get_short(heap.names.event(event));
        if value.is_nil() && self.is_flagged() {
            let bit = u32::from(event.absent_bit().unwrap_or(0)) << ABSENT_SHIFT;
            self.header.extra.set(self.header.extra.get() | bit);
        }
        value
    }

    /// Has this metatable been asked for an event's field, and does it not have it? For the first eight events.
    #[inline(always)]
    pub fn is_known_to_lack(self, event: Event) -> bool {
        self.header.extra.get() & u32::from(event.absent_bit().unwrap_or(0)) << ABSENT_SHIFT != 0
    }

    /// Is it in use as a metatable, or found through `__index`?
    #[inline(always)]
    pub fn is_flagged(self) -> bool {
        self.header.flags.get() & flag::FLAGGED != 0
    }

    /// Flags the table: see the module's documentation.
    pub fn set_flagged(self, heap: &mut Heap) -> Result<(), OutOfMemory> {
        if !self.is_flagged() {
            if !self.shape.get().is_dictionary() {
                self.shape.set(heap.flagged_shape(self.shape.get())?);
                heap.barrier(self.header());
            }
            self.set_flag(flag::FLAGGED);
        }
        Ok(())
    }

    /// Sets a flag of [`flag`].
    pub(super) fn set_flag(self, flag: u8) {
        self.header.flags.set(self.header.flags.get() | flag);
    }

    /// Takes a flag of [`flag`] away.
    pub(super) fn clear_flag(self, flag: u8) {
        self.header.flags.set(self.header.flags.get() & !flag);
    }

    pub(super) fn has_flag(self, flag: u8) -> bool {
        self.header.flags.get() & flag != 0
    }

    /// A flagged table has changed: caches that looked through it, and what it was known to lack, do not hold any more.
    #[cold]
    fn invalidate(self, heap: &mut Heap) {
        self.header.extra.set(self.header.extra.get() & !(0xff << ABSENT_SHIFT));
        self.distrust(heap);
    }

    /// What was found through this flagged table may not hold any more; nor is it what its twins are.
    pub(super) fn distrust(self, heap: &mut Heap) {
        heap.raise_epoch();
        if self.has_flag(flag::TWIN) {
            heap.distrust_twins();
        }
    }

    /// Frees what a dead table owns. Answers how many bytes these were.
    pub(super) fn release(self) -> usize {
        self.release_array() + self.release_slots() + self.release_hash()
    }
}
