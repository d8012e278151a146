//! Named fields: a vector of slots whose places the shape knows. The first few lie in the table's own cell. A field
//! that is assigned nil keeps its slot.

use super::super::heap::{Gc, Heap, OutOfMemory};
use super::super::shape::{MAX_COMPUTED_FIELDS, Shape};
use super::super::string::Str;
use super::super::value::Value;
use super::{Table, array::release_buffer, flag};

impl Gc<Table> {
    /// The value in a slot below the shape's count.
    #[inline(always)]
    pub fn slot(self, slot: usize) -> Value {
        debug_assert!(slot < self.shape.get().count());
        // SAFETY: a table has a slot for each field of its shape.
        unsafe { *self.slots.get().add(slot) }
    }

    /// Where the slots begin. They move when the table grows.
    #[inline(always)]
    pub fn slots_ptr(self) -> *mut Value {
        self.slots.get()
    }

    /// Number of slots that there is room for.
    #[inline(always)]
    pub fn slot_capacity(self) -> usize {
        (self.header.extra.get() & 0xffff) as usize
    }

    fn inline_capacity(self) -> usize {
        (self.header.extra.get() >> 16 & 0xff) as usize
    }

    /// Writes to a slot below the shape's count. Not for flagged tables.
    #[inline(always)]
    pub fn set_slot(self, heap: &mut Heap, slot: usize, value: Value) {
        debug_assert!(slot < self.shape.get().count());
        // SAFETY: a table has a slot for each field of its shape.
        unsafe { *self.slots.get().add(slot) = value };
        if value.is_collectable() {
            heap.barrier(self.header());
        }
    }

    /// Adds the field that leads to the shape `to`, as an inline cache knows it. There must be room for its slot. The barrier is left to
    /// the caller, whatever the value is: the shape is a reference, too.
    #[inline(always)]
    pub fn add_slot(self, to: Gc<Shape>, value: Value) {
        let slot = to.count() - 1;
        debug_assert!(slot < self.slot_capacity());
        // SAFETY: the caller has seen that there is room.
        unsafe { *self.slots.get().add(slot) = value };
        self.shape.set(to);
    }

    /// Gives a table that was just made its shape, its metatable, and the values of its slots, for all of which it has room.
    pub fn assemble(self, shape: Gc<Shape>, meta: Option<Gc<Table>>, values: impl ExactSizeIterator<Item = Value>) {
        assert!(values.len() <= self.slot_capacity() && shape.count() <= self.slot_capacity());
        for (slot, value) in values.enumerate() {
            // SAFETY: there is room.
            unsafe { *self.slots.get().add(slot) = value };
        }
        self.shape.set(shape);
        self.meta.set(meta);
    }

    /// Assigns to a short string. `computed`: the key does not stand in the program.
    pub(super) fn set_short(
        self,
        heap: &mut Heap,
        key: Gc<Str>,
        value: Value,
        computed: bool,
    ) -> Result<(), OutOfMemory> {
        let shape = self.shape.get();
        if self.is_flagged() {
            self.note_change(heap, key, value);
        }
        if shape.is_dictionary() {
            return self.set_hashed(heap, Value::from(key), value);
        }
        if let Some(slot) = shape.find(key) {
            self.set_slot(heap, slot, value);
            return Ok(());
        }
        let is_nil = value.is_nil();
        if is_nil && (computed || !self.has_room_for_nil()) {
            return Ok(());
        }
        let full = computed && shape.count() >= MAX_COMPUTED_FIELDS as usize && !self.has_flag(flag::NAMES);
        let to = if full { None } else { heap.shape_with_key(shape, key, computed)? };
        let Some(to) = to else {
            if is_nil {
                return Ok(());
            }
            self.to_dictionary(heap)?;
            return self.set_hashed(heap, Value::from(key), value);
        };
        if to.count() > self.slot_capacity() {
            self.grow_slots(heap)?;
        }
        self.add_slot(to, value);
        heap.barrier(self.header());
        Ok(())
    }

    /// Whether a new field that is assigned nil gets a slot: there is one, and nobody else has to know. So objects of a class whose
    /// constructor mentions all fields, `{ key = k, left = nil, right = nil }`, have one shape, whichever of these are set later and
    /// in which order.
    #[inline(always)]
    pub fn has_room_for_nil(self) -> bool {
        self.shape.get().count() < self.slot_capacity() && !self.is_flagged()
    }

    /// What a flagged table's change means for those who looked through it.
    fn note_change(self, heap: &mut Heap, key: Gc<Str>, value: Value) {
        let old = self.get_short(key);
        if old.is_nil() != value.is_nil() || (key.bytes().starts_with(b"__") && !old.same(value)) {
            self.invalidate(heap);
        }
    }

    /// Makes room for one slot more, at least.
    pub fn grow_slots(self, heap: &mut Heap) -> Result<(), OutOfMemory> {
        let old = self.slot_capacity();
        let wanted = (old * 2).max(4);
        let buffer = heap.buffer(self.header(), wanted * size_of::<Value>())?.cast::<Value>();
        let count = self.shape.get().count();
        for i in 0..wanted {
            let value = if i < count { self.slot(i) } else { Value::NIL };
            // SAFETY: the buffer has room for `wanted` values.
            unsafe { buffer.add(i).write(value) };
        }
        self.drop_slots(heap);
        self.slots.set(buffer);
        self.header.extra.set(self.header.extra.get() & 0xffff_0000 | wanted as u32);
        Ok(())
    }

    fn drop_slots(self, heap: &mut Heap) {
        let (buffer, size) = self.slots_buffer();
        if !buffer.is_null() {
            // SAFETY: the buffer was made with this size and is given up by the callers.
            unsafe { heap.free_buffer(buffer, size) };
        }
    }

    /// The buffer of slots outside of the table's cell, if there is one, and its size.
    pub(in super::super) fn slots_buffer(self) -> (*mut u8, usize) {
        let capacity = self.slot_capacity();
        if capacity == self.inline_capacity() {
            (std::ptr::null_mut(), 0)
        } else {
            (self.slots.get().cast(), capacity * size_of::<Value>())
        }
    }

    /// Changes to dictionary mode.
    pub(super) fn to_dictionary(self, heap: &mut Heap) -> Result<(), OutOfMemory> {
        let shape = self.shape.get();
        let live = (0..shape.count()).filter(|i| !self.slot(*i).is_nil()).count();
        self.reserve_hash(heap, live + 1)?;
        self.shape.set(heap.dictionary_shape());
        for i in 0..shape.count() {
            // SAFETY: the slots are still there; the shape said how many.
            let value = unsafe { *self.slots.get().add(i) };
            if !value.is_nil() {
                self.set_hashed(heap, Value::from(shape.key(i)), value)?;
            }
        }
        if self.is_flagged() {
            self.distrust(heap);
        }
        Ok(())
    }

    /// Calls `f` on each field that is an object; where it answers false the field becomes nil.
    pub(in super::super) fn retain_fields(self, mut f: impl FnMut(Value) -> bool) {
        for i in 0..self.shape.get().count() {
            let value = self.slot(i);
            if value.is_collectable() && !f(value) {
                // SAFETY: a table has a slot for each field of its shape.
                unsafe { *self.slots.get().add(i) = Value::NIL };
            }
        }
    }

    /// The collector met it with weak values: its array must be mixed from now on.
    pub(in super::super) fn weaken_values(self) {
        self.set_flag(flag::WEAK_VALUES);
        self.make_mixed();
    }

    /// Says that its keys are names, such as those of globals, however they come in: it keeps a shape for longer.
    pub fn expect_names(self) {
        self.set_flag(flag::NAMES);
    }

    /// Is it on the list of objects with a finalizer?
    pub fn has_finalizer(self) -> bool {
        self.has_flag(flag::FINALIZER)
    }

    pub(super) fn release_slots(self) -> usize {
        let (buffer, size) = self.slots_buffer();
        release_buffer(buffer, size)
    }
}
