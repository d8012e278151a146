//! Shapes: which named fields a table has, where they lie, and its metatable.
//!
//! Tables that got the same short-string keys in the same order, and the same metatable, share one shape, so that one
//! compare of pointers tells all of it to an inline cache or a trace. Adding a key or setting a metatable follows a
//! *transition* to another shape. Transitions are weak: a shape lives as long as a table, a cache or a descendant uses it.
//! Where a shape gets too many transitions, or too many fields, the table changes to *dictionary mode*: it takes the one
//! dictionary shape and keeps its named fields in its hash part.
//!
//! A lineage of shapes shares one growing list of keys; each sees the first `count` of them.
//!
//! Many programs make a metatable for each object, as in `setmetatable(object, { __index = Class })`. Such *twins*, metatables with
//! the same fields and values, lead to one shape, which tells what a look-up through it meets, but not which metatable it is. When
//! one of them is changed, the shapes of twins that there are by then are not trusted any more ([`Heap::trusts`]).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::heap::{Gc, Header, Heap, Kind, OutOfMemory};
use super::string::Str;
use super::table::{Table, flag};
use super::value::Value;

/// Most fields that a shape may have.
pub const MAX_FIELDS: u32 = 512;
/// Most fields that keys computed at run time may add before the table is taken for a map.
pub const MAX_COMPUTED_FIELDS: u32 = 32;
/// Most transitions of one shape to another metatable, and to keys computed at run time.
const MAX_TRANSITIONS: usize = 64;
/// Most transitions of one shape to keys that stand in the program, which are as many as somebody has written: the shape of empty
/// tables has hundreds in large programs.
const MAX_WRITTEN_TRANSITIONS: usize = 4096;
/// Up to this many keys are searched one by one.
const LINEAR: usize = 8;

const DICTIONARY: u8 = 1;

/// What has a key.
trait Keyed {
    fn key(&self) -> Gc<Str>;
}

impl Keyed for Gc<Str> {
    fn key(&self) -> Gc<Str> {
        *self
    }
}

/// The shape to take when this key is added.
type KeyTransition = (Gc<Str>, Gc<Shape>);

impl Keyed for KeyTransition {
    fn key(&self) -> Gc<Str> {
        self.0
    }
}

/// A list that is searched by key. An index of 0 is free, else it is an entry's number plus one.
struct KeyedList<T> {
    list: Vec<T>,
    index: Vec<u32>,
}

impl<T> Default for KeyedList<T> {
    fn default() -> KeyedList<T> {
        KeyedList { list: Vec::new(), index: Vec::new() }
    }
}

/// The keys of a lineage of shapes.
type Keys = KeyedList<Gc<Str>>;

impl<T: Keyed> KeyedList<T> {
    fn find(&self, key: Gc<Str>) -> Option<usize> {
        if self.index.is_empty() {
            return self.list.iter().position(|k| k.key() == key);
        }
        let mask = self.index.len() - 1;
        let mut i = key.hash() as usize & mask;
        loop {
            match self.index[i] {
                0 => return None,
                n if self.list[n as usize - 1].key() == key => return Some(n as usize - 1),
                _ => i = (i + 1) & mask,
            }
        }
    }

    fn push(&mut self, entry: T) {
        let key = entry.key();
        self.list.push(entry);
        let n = self.list.len();
        if n > LINEAR && n * 2 > self.index.len() {
            self.make_index();
        } else if n > LINEAR {
            self.enter(key, n - 1);
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let before = self.list.len();
        self.list.retain(&mut keep);
        if self.list.len() < before {
            self.make_index();
        }
    }

    /// Makes an index of all entries, if there are enough of them to need one.
    fn make_index(&mut self) {
        let n = self.list.len();
        self.index.clear();
        if n > LINEAR {
            self.index.resize((n * 4).next_power_of_two(), 0);
            for i in 0..n {
                self.enter(self.list[i].key(), i);
            }
        }
    }

    fn enter(&mut self, key: Gc<Str>, number: usize) {
        let mask = self.index.len() - 1;
        let mut i = key.hash() as usize & mask;
        while self.index[i] != 0 {
            i = (i + 1) & mask;
        }
        self.index[i] = number as u32 + 1;
    }
}

/// The shape to take when this metatable is set.
type MetaTransition = (Option<Gc<Table>>, Gc<Shape>);

/// Most fields of metatables that are taken for twins.
const MAX_TWIN_FIELDS: usize = 4;
/// A program that changes twins more often has no more of them.
const MAX_GENERATIONS: u32 = 16;

/// The shape to take when a metatable of this shape, with these values, is set. Both are only compared: where an object's place was
/// taken by another one, the last twin has gone, too.
struct TwinTransition {
    of: Gc<Shape>,
    values: Vec<Value>,
    to: Gc<Shape>,
}

impl TwinTransition {
    fn leads(&self, meta: Gc<Table>) -> bool {
        self.of == meta.shape() && self.values.iter().enumerate().all(|(i, v)| v.same(meta.slot(i)))
    }
}

/// A shape. The header's `flags` is 1 for the dictionary shape.
#[repr(C)]
pub struct Shape {
    header: Header,
    count: u32,
    meta: Option<Gc<Table>>,
    parent: Option<Gc<Shape>>,
    keys: Rc<RefCell<Keys>>,
    by_key: RefCell<KeyedList<KeyTransition>>,
    by_meta: RefCell<Vec<MetaTransition>>,
    by_twin: RefCell<Vec<TwinTransition>>,
    /// The shape of tables like these that are flagged.
    flagged: Cell<Option<Gc<Shape>>>,
    /// If the metatable is one of twins: the heap's generation of these when the shape was made; else 0.
    twins: u32,
}

impl Shape {
    pub(super) const COUNT_OFFSET: usize = std::mem::offset_of!(Shape, count);
    pub(super) const KEYS_OFFSET: usize = std::mem::offset_of!(Shape, keys);

    /// Where the list of keys lies behind the pointer to them.
    pub(super) fn keys_offset() -> usize {
        super::debugger::behind_rc(&Rc::<RefCell<Keys>>::default(), |keys| &raw const keys.list)
    }

    /// Number of fields.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Is the metatable of its tables one of many with the same fields and values? Then the shape does not tell which one it is.
    #[inline(always)]
    pub fn is_of_twins(&self) -> bool {
        self.twins != 0
    }

    /// Is it the dictionary shape?
    #[inline(always)]
    pub fn is_dictionary(&self) -> bool {
        self.header.flags.get() == DICTIONARY
    }

    /// The slot of a short-string key.
    #[inline]
    pub fn find(&self, key: Gc<Str>) -> Option<usize> {
        self.keys.borrow().find(key).filter(|i| *i < self.count())
    }

    /// The key of a slot below `count`.
    pub fn key(&self, slot: usize) -> Gc<Str> {
        self.keys.borrow().list[slot]
    }

    /// What the collector must mark: a descendant leaves the older keys to its ancestors.
    pub(super) fn for_each_reference(&self, mut key: impl FnMut(Gc<Str>)) -> (Option<Gc<Shape>>, Option<Gc<Table>>) {
        let first = self.parent.map_or(0, |p| p.count());
        self.keys.borrow().list[first..self.count()].iter().for_each(|k| key(*k));
        (self.parent, self.meta)
    }

    /// Frees what a dead shape owns.
    ///
    /// # Safety
    /// The shape is dead and not released yet.
    pub(super) unsafe fn release(shape: *mut Shape) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::drop_in_place(shape) };
    }
}

/// All shapes of a heap.
pub(super) struct Shapes {
    roots: Option<(Gc<Shape>, Gc<Shape>)>,
    all: Vec<Gc<Shape>>,
}

impl Shapes {
    pub(super) fn empty() -> Shapes {
        Shapes { roots: None, all: Vec::new() }
    }

    pub(super) fn new(heap: &mut Heap) -> Result<Shapes, OutOfMemory> {
        let keys = Rc::new(RefCell::new(Keys::default()));
        let root = heap.new_shape(0, None, None, keys.clone(), 0)?;
        let dictionary = heap.new_shape(0, None, None, keys, 0)?;
        dictionary.header.flags.set(DICTIONARY);
        let all = std::mem::take(&mut heap.shapes.all);
        Ok(Shapes { roots: Some((root, dictionary)), all })
    }

    pub(super) fn roots(&self) -> Option<(Gc<Shape>, Gc<Shape>)> {
        self.roots
    }

    /// Forgets dead shapes and the transitions to them.
    pub(super) fn retain(&mut self, alive: impl Fn(*mut Header) -> bool) {
        self.all.retain(|shape| {
            let keep = alive(shape.header());
            if keep {
                shape.by_key.borrow_mut().retain(|(_, s)| alive(s.header()));
                shape.by_meta.borrow_mut().retain(|(_, s)| alive(s.header()));
                shape.by_twin.borrow_mut().retain(|twins| alive(twins.of.header()) && alive(twins.to.header()));
                shape.flagged.set(shape.flagged.get().filter(|s| alive(s.header())));
            }
            keep
        });
    }
}

impl Heap {
    fn new_shape(
        &mut self,
        count: u32,
        meta: Option<Gc<Table>>,
        parent: Option<Gc<Shape>>,
        keys: Rc<RefCell<Keys>>,
        twins: u32,
    ) -> Result<Gc<Shape>, OutOfMemory> {
        let cell = self.allocate(size_of::<Shape>())?.cast::<Shape>();
        let header = Header::new(Kind::Shape);
        let (by_key, by_meta, by_twin) = (RefCell::default(), RefCell::default(), RefCell::default());
        let flagged = Cell::new(None);
        // SAFETY: the cell is large enough, and ours.
        let shape = unsafe {
            cell.write(Shape { header, count, meta, parent, keys, by_key, by_meta, by_twin, flagged, twins });
            Gc::from_raw(cell)
        };
        self.set_owns(shape.header());
        self.shapes.all.push(shape);
        Ok(shape)
    }

    /// The shape of a table without named fields and without a metatable.
    #[inline(always)]
    pub fn root_shape(&self) -> Gc<Shape> {
        self.shapes.roots.expect("set when the heap is made").0
    }

    /// The shape of tables in dictionary mode.
    #[inline(always)]
    pub fn dictionary_shape(&self) -> Gc<Shape> {
        self.shapes.roots.expect("set when the heap is made").1
    }

    /// The shape with one key more; none if there are too many already. `key` is short and not in the shape. `computed`: it does
    /// not stand in the program.
    pub fn shape_with_key(
        &mut self,
        from: Gc<Shape>,
        key: Gc<Str>,
        computed: bool,
    ) -> Result<Option<Gc<Shape>>, OutOfMemory> {
        let known = from.by_key.borrow();
        if let Some(at) = known.find(key) {
            return Ok(Some(known.list[at].1));
        }
        let limit = if computed { MAX_TRANSITIONS } else { MAX_WRITTEN_TRANSITIONS };
        if from.count >= MAX_FIELDS || known.list.len() >= limit {
            return Ok(None);
        }
        drop(known);
        let tip = from.keys.borrow().list.len() == from.count();
        let keys = if tip { from.keys.clone() } else { copy_keys(from) };
        keys.borrow_mut().push(key);
        let to = self.new_shape(from.count + 1, from.meta, Some(from), keys, from.twins)?;
        from.by_key.borrow_mut().push((key, to));
        Ok(Some(to))
    }

    /// The shape with another metatable; none if too many were made from this one.
    pub fn shape_with_meta(
        &mut self,
        from: Gc<Shape>,
        meta: Option<Gc<Table>>,
    ) -> Result<Option<Gc<Shape>>, OutOfMemory> {
        if let Some((_, to)) = from.by_meta.borrow().iter().find(|(m, _)| *m == meta) {
            return Ok(Some(*to));
        }
        if let Some(meta) = meta
            && let Some(to) = self.shape_of_twins(from, meta)?
        {
            return Ok(Some(to));
        }
        if from.by_meta.borrow().len() >= MAX_TRANSITIONS {
            return Ok(None);
        }
        let to = self.new_shape(from.count, meta, Some(from), from.keys.clone(), 0)?;
        from.by_meta.borrow_mut().push((meta, to));
        Ok(Some(to))
    }

    /// The shape for a metatable that has a twin which was set before.
    fn shape_of_twins(&mut self, from: Gc<Shape>, meta: Gc<Table>) -> Result<Option<Gc<Shape>>, OutOfMemory> {
        let of = meta.shape();
        let has_none = of.is_dictionary() || of.count() > MAX_TWIN_FIELDS || meta.metatable().is_some();
        if has_none || self.twins > MAX_GENERATIONS {
            return Ok(None);
        }
        let known = from.by_twin.borrow().iter().find(|t| t.leads(meta)).map(|t| t.to);
        if let Some(to) = known.filter(|to| self.trusts(*to)) {
            meta.set_flag(flag::TWIN);
            return Ok(Some(to));
        }
        let mut new = TwinTransition { of, values: (0..of.count()).map(|i| meta.slot(i)).collect(), to: from };
        let has_twin = |(other, _): &MetaTransition| other.is_some_and(|other| new.leads(other));
        if known.is_none() && !from.by_meta.borrow().iter().any(has_twin) {
            return Ok(None);
        }
        let mut twins = from.by_twin.borrow_mut();
        twins.retain(|t| self.trusts(t.to));
        if twins.len() >= MAX_TRANSITIONS {
            return Ok(None);
        }
        let to = self.new_shape(from.count, None, Some(from), from.keys.clone(), self.twins)?;
        new.to = to;
        twins.push(new);
        meta.set_flag(flag::TWIN);
        Ok(Some(to))
    }

    /// Whether what was found through a metatable of a table of this shape holds for the others: their metatables are twins still.
    #[inline]
    pub fn trusts(&self, shape: Gc<Shape>) -> bool {
        shape.twins == 0 || shape.twins == self.twins
    }

    /// The shape of flagged tables that were of this shape before.
    pub(super) fn flagged_shape(&mut self, from: Gc<Shape>) -> Result<Gc<Shape>, OutOfMemory> {
        if let Some(to) = from.flagged.get() {
            return Ok(to);
        }
        let to = self.new_shape(from.count, from.meta, Some(from), from.keys.clone(), from.twins)?;
        from.flagged.set(Some(to));
        Ok(to)
    }
}

fn copy_keys(from: Gc<Shape>) -> Rc<RefCell<Keys>> {
    let mut keys = Keys::default();
    from.keys.borrow().list[..from.count()].iter().for_each(|k| keys.push(*k));
    Rc::new(RefCell::new(keys))
}
