//! The array part: `capacity` payloads of 8 bytes, behind them `capacity` tags.
//!
//! While all elements have one tag the array is *uniform*: the header's `detail` is that tag and the tags in the
//! buffer are not kept up. The first element of another kind makes the array *mixed*: the tag area is filled in. It is
//! there already, so that never allocates.

use super::super::heap::{Gc, Heap, MAX_BUFFER_CELL, OutOfMemory, SIZES, class_of};
use super::super::value::{Value, tag};
use super::{Table, flag};

/// Most elements of an array part.
pub const MAX_ARRAY: usize = 1 << 30;
/// Bytes an element takes.
const ELEMENT: usize = 9;
/// For how many elements there is to be room when the first one is stored.
pub const FIRST: usize = 4;

/// How many elements a new buffer has room for that is to have room for so many: what a cell has to spare is used, too.
pub fn capacity_for(wanted: usize) -> usize {
    let size = wanted * ELEMENT;
    let size = if size <= MAX_BUFFER_CELL { SIZES[class_of(size)] as usize } else { size };
    size / ELEMENT
}

impl Gc<Table> {
    /// The array's kind: the tag of all elements, or [`tag::MIXED`].
    #[inline(always)]
    pub fn array_kind(self) -> u8 {
        self.header.detail.get()
    }

    /// Number of elements that there is room for.
    pub fn array_capacity(self) -> usize {
        self.capacity.get() as usize
    }

    #[inline(always)]
    fn payload_at(self, index: usize) -> *mut u64 {
        self.array.get().cast::<u64>().wrapping_add(index)
    }

    #[inline(always)]
    fn tag_at(self, index: usize) -> *mut u8 {
        self.array.get().wrapping_add(self.capacity.get() as usize * 8 + index)
    }

    /// The element at an index below the length, counted from 0.
    #[inline(always)]
    pub(super) fn element(self, index: usize) -> Value {
        debug_assert!(index < self.len.get() as usize);
        let kind = self.array_kind();
        // SAFETY: the index is below the length, which is not above the capacity; payload and tag are kept as a value.
        unsafe {
            let tag = if kind == tag::MIXED { *self.tag_at(index) } else { kind };
            Value::from_raw(tag, *self.payload_at(index))
        }
    }

    /// The value of an integer key if that lies in the array; it may be nil.
    #[inline(always)]
    pub fn get_in_array(self, i: i64) -> Option<Value> {
        let index = (i as u64).wrapping_sub(1);
        if index < u64::from(self.len.get()) { Some(self.element(index as usize)) } else { None }
    }

    /// Replaces an element of the array that is not nil by a value that is not nil, if that needs no more than a store.
    /// Answers whether it is done; the barrier is left to the caller then.
    #[inline(always)]
    pub fn set_in_array(self, i: i64, value: Value) -> bool {
        let index = (i as u64).wrapping_sub(1);
        if index >= u64::from(self.len.get()) {
            return false;
        }
        let index = index as usize;
        let kind = self.array_kind();
        if kind != value.tag() {
            // SAFETY: the index is below the length.
            if kind != tag::MIXED || value.is_nil() || unsafe { *self.tag_at(index) } == tag::NIL {
                return false;
            }
            // SAFETY: as above.
            unsafe { *self.tag_at(index) = value.tag() };
        }
        // SAFETY: the index is below the length; the tag is that of the value.
        unsafe { *self.payload_at(index) = value.payload() };
        true
    }

    /// Assigns to an integer key, without metamethods.
    #[inline]
    pub fn set_int(self, heap: &mut Heap, i: i64, value: Value) -> Result<(), OutOfMemory> {
        let index = (i as u64).wrapping_sub(1);
        let len = u64::from(self.len.get());
        if index < len {
            self.set_element(heap, index as usize, value);
            Ok(())
        } else if index == len && index < MAX_ARRAY as u64 {
            self.append(heap, value)
        } else {
            self.set_hashed(heap, Value::integer(i), value)
        }
    }

    /// Assigns values to the keys from `stored + 1` on, of a table constructor: nils between them become holes of the array.
    pub fn set_list(
        self,
        heap: &mut Heap,
        stored: usize,
        values: impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + Clone,
    ) -> Result<(), OutOfMemory> {
        let trailing = values.clone().rev().take_while(|v| v.is_nil()).count();
        let count = values.len() - trailing;
        let values = values.take(count);
        self.reserve_array(heap, stored + count)?;
        // Keys that stand in brackets before the values: the values replace them.
        let key = |i: usize| (stored + i) as i64 + 1;
        if !self.hash.get().is_null() {
            (0..count).for_each(|i| self.clear_hashed(Value::integer(key(i))));
        }
        for i in count..count + trailing {
            self.set_int(heap, key(i), Value::NIL)?;
        }
        let len = self.len.get() as usize;
        let has_holes = stored != len || values.clone().any(|v| v.is_nil());
        if has_holes && count > 0 && stored >= len {
            self.stretch(heap, stored + count)?;
            values.enumerate().for_each(|(i, value)| self.fill(stored + i, value));
            heap.barrier(self.header());
            return if self.hash.get().is_null() { Ok(()) } else { self.pull_from_hash(heap) };
        }
        for (i, value) in values.enumerate() {
            self.set_int(heap, key(i), value)?;
        }
        Ok(())
    }

    #[inline]
    fn set_element(self, heap: &mut Heap, index: usize, value: Value) {
        let kind = self.array_kind();
        if kind != value.tag() {
            if value.is_nil() {
                return self.set_element_nil(index);
            }
            if kind != tag::MIXED {
                self.make_mixed();
            }
            // SAFETY: the index is below the length.
            unsafe { *self.tag_at(index) = value.tag() };
        }
        // SAFETY: the index is below the length; the tag has been seen to.
        unsafe { *self.payload_at(index) = value.payload() };
        if value.is_collectable() {
            heap.barrier(self.header());
        }
    }

    /// Takes an element away: at the end that shortens the array, in the middle it makes it mixed.
    fn set_element_nil(self, index: usize) {
        let len = self.len.get() as usize;
        if index + 1 < len {
            self.make_mixed();
            // SAFETY: the index is below the length.
            unsafe {
                *self.tag_at(index) = tag::NIL;
                *self.payload_at(index) = 0;
            }
            return;
        }
        let mut len = index;
        // SAFETY: `len - 1` is below the old length.
        while len > 0 && self.array_kind() == tag::MIXED && unsafe { *self.tag_at(len - 1) } == tag::NIL {
            len -= 1;
        }
        self.len.set(len as u32);
        self.header.flags.set(self.header.flags.get() | flag::SHORTENED);
    }

    /// Fills in the tag area.
    pub(super) fn make_mixed(self) {
        let kind = self.array_kind();
        if kind != tag::MIXED {
            if self.len.get() > 0 {
                // SAFETY: the tag area is `capacity` bytes, and the length is not above that.
                unsafe { std::ptr::write_bytes(self.tag_at(0), kind, self.len.get() as usize) };
            }
            self.header.detail.set(tag::MIXED);
        }
    }

    /// Assigns to the key behind the last element.
    fn append(self, heap: &mut Heap, value: Value) -> Result<(), OutOfMemory> {
        if value.is_nil() {
            return Ok(());
        }
        if self.len.get() == self.capacity.get() {
            let wanted = (self.capacity.get() as usize * 2).clamp(FIRST, MAX_ARRAY);
            self.reserve_array(heap, wanted)?;
        }
        self.push_element(value);
        if value.is_collectable() {
            heap.barrier(self.header());
        }
        if !self.hash.get().is_null() {
            self.pull_from_hash(heap)?;
        }
        Ok(())
    }

    /// Appends a value if that needs no more than a store: there is room, the kind stays, and no keys wait in the hash. Answers
    /// whether it is done; the barrier is left to the caller then.
    #[inline(always)]
    pub fn push(self, value: Value) -> bool {
        let len = self.len.get() as usize;
        if len >= self.capacity.get() as usize || len == 0 || self.has_hash() || value.is_nil() {
            return false;
        }
        let kind = self.array_kind();
        if kind != value.tag() {
            if kind != tag::MIXED {
                return false;
            }
            // SAFETY: the length is below the capacity.
            unsafe { *self.tag_at(len) = value.tag() };
        }
        // SAFETY: as above.
        unsafe { *self.payload_at(len) = value.payload() };
        self.len.set(len as u32 + 1);
        true
    }

    /// Appends a value that is not nil; there is room for it.
    fn push_element(self, value: Value) {
        let len = self.len.get() as usize;
        if len == 0 && !self.has_flag(flag::WEAK_VALUES) {
            self.header.detail.set(value.tag());
        } else if self.array_kind() != value.tag() {
            self.make_mixed();
        }
        // SAFETY: the caller has made room.
        unsafe {
            *self.payload_at(len) = value.payload();
            if self.array_kind() == tag::MIXED {
                *self.tag_at(len) = value.tag();
            }
        }
        self.len.set(len as u32 + 1);
    }

    /// Moves the keys that follow the array's last one over from the hash.
    pub(super) fn pull_from_hash(self, heap: &mut Heap) -> Result<(), OutOfMemory> {
        loop {
            let key = Value::integer(self.length() + 1);
            let value = self.get_hashed(key);
            if value.is_nil() || self.len.get() as usize >= MAX_ARRAY {
                return Ok(());
            }
            if self.len.get() == self.capacity.get() {
                self.reserve_array(heap, (self.capacity.get() as usize * 2).clamp(FIRST, MAX_ARRAY))?;
            }
            self.clear_hashed(key);
            self.push_element(value);
        }
    }

    /// Makes room for `wanted` elements in all.
    pub fn reserve_array(self, heap: &mut Heap, wanted: usize) -> Result<(), OutOfMemory> {
        let old = self.capacity.get() as usize;
        if wanted <= old {
            return Ok(());
        }
        if wanted > MAX_ARRAY {
            return Err(OutOfMemory);
        }
        let capacity = capacity_for(wanted);
        let len = self.len.get() as usize;
        let buffer = if old * ELEMENT > MAX_BUFFER_CELL {
            // SAFETY: the old buffer was made with this size and is not used any more. It grows, so that the tags' new place
            // is inside of it.
            unsafe {
                let buffer = heap.grow_buffer(self.array.get(), old * ELEMENT, capacity * ELEMENT)?;
                if self.array_kind() == tag::MIXED {
                    std::ptr::copy(buffer.add(old * 8), buffer.add(capacity * 8), len);
                }
                buffer
            }
        } else {
            let buffer = heap.buffer(self.header(), capacity * ELEMENT)?;
            if old > 0 {
                // SAFETY: both buffers have room for `len` elements; the old one is given up.
                unsafe {
                    std::ptr::copy_nonoverlapping(self.array.get(), buffer, len * 8);
                    if self.array_kind() == tag::MIXED {
                        std::ptr::copy_nonoverlapping(self.tag_at(0), buffer.add(capacity * 8), len);
                    }
                    heap.free_buffer(self.array.get(), old * ELEMENT);
                }
            }
            buffer
        };
        self.array.set(buffer);
        self.capacity.set(capacity as u32);
        Ok(())
    }

    /// A buffer for the array of this table, which was just made and has none, with room for [`capacity_for`] so many elements. It is the
    /// table's once it is stored there, with that capacity.
    pub fn array_buffer_for(self, heap: &mut Heap, wanted: usize) -> Result<*mut u8, OutOfMemory> {
        heap.buffer(self.header(), capacity_for(wanted) * ELEMENT)
    }

    /// Gives a table that was just made the elements of its array, for all of which it has room. All are of one kind, unless it is
    /// [`tag::MIXED`].
    pub fn assemble_array(self, kind: u8, values: impl ExactSizeIterator<Item = Value>) {
        assert!(values.len() <= self.capacity.get() as usize);
        self.len.set(values.len() as u32);
        self.header.detail.set(kind);
        for (index, value) in values.enumerate() {
            // SAFETY: there is room.
            unsafe {
                *self.payload_at(index) = value.payload();
                if kind == tag::MIXED {
                    *self.tag_at(index) = value.tag();
                }
            }
        }
    }

    /// Stretches the array to `len` elements, the new ones nil; there is no room needed in the hash for them. The caller
    /// fills in the last one.
    pub(super) fn stretch(self, heap: &mut Heap, len: usize) -> Result<(), OutOfMemory> {
        self.reserve_array(heap, len)?;
        let old = self.len.get() as usize;
        self.make_mixed();
        for i in old..len {
            // SAFETY: the buffer has room for `len` elements.
            unsafe {
                *self.tag_at(i) = tag::NIL;
                *self.payload_at(i) = 0;
            }
        }
        self.len.set(len as u32);
        Ok(())
    }

    /// Fills an element of a stretched array.
    pub(super) fn fill(self, index: usize, value: Value) {
        debug_assert!(index < self.len.get() as usize);
        // SAFETY: the index is below the length and the array is mixed.
        unsafe {
            *self.tag_at(index) = value.tag();
            *self.payload_at(index) = value.payload();
        }
    }

    /// How many of the elements `from..to` are not nil.
    pub(super) fn count_elements(self, from: usize, to: usize) -> usize {
        if self.array_kind() != tag::MIXED {
            return to - from;
        }
        // SAFETY: both are not above the length.
        (from..to).filter(|i| unsafe { *self.tag_at(*i) } != tag::NIL).count()
    }

    /// The buffer and its size, for the collector.
    pub(in super::super) fn array_buffer(self) -> (*mut u8, usize) {
        (self.array.get(), self.capacity.get() as usize * ELEMENT)
    }

    /// Calls `f` on each element that is an object; where it answers false the element becomes nil.
    pub(in super::super) fn retain_elements(self, mut f: impl FnMut(Value) -> bool) {
        let kind = self.array_kind();
        if kind != tag::MIXED && kind < tag::STRING {
            return;
        }
        for i in (0..self.len.get() as usize).rev() {
            let value = self.element(i);
            if value.is_collectable() && !f(value) {
                self.set_element_nil(i);
            }
        }
    }

    pub(super) fn release_array(self) -> usize {
        let (buffer, size) = self.array_buffer();
        release_buffer(buffer, size)
    }
}

/// Frees a buffer of a dead table if it lies outside of the heap. Answers its size then.
pub(super) fn release_buffer(buffer: *mut u8, size: usize) -> usize {
    if buffer.is_null() || size <= MAX_BUFFER_CELL {
        return 0;
    }
    // SAFETY: buffers of this size come from the system with this layout; the table is dead.
    unsafe { std::alloc::dealloc(buffer, std::alloc::Layout::from_size_align_unchecked(size, 16)) };
    size
}
