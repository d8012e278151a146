//! The hash part: open addressing, with nodes that are linked (Knuth, TAOCP 6.4, algorithm C). A key whose node is taken gets the
//! next free one, and the last node of the list that begins at its own leads there. So a search looks at one or two nodes, whether the
//! key is there or not, though keys lie side by side. A removed entry keeps its key, with the value nil, until the part is rebuilt,
//! so that a traversal may remove what it meets; the collector marks such keys dead.
//!
//! Where a key goes: its bits are rotated by as many places as all keys of the part have zeros at their lower end, so that multiples
//! of a power of two, addresses, and floats with few digits become small steps. Then eight neighbours lie side by side (four cache
//! lines), and the groups of eight go where the fractional parts of multiples of a number go whose continued fraction has small terms
//! only: as evenly as can be (Knuth, TAOCP 6.4, on multiplicative hashing). Each size of a part has a number of its own. Otherwise
//! the order of the nodes would be the same in tables of all sizes, and to copy a table key by key would fill the start of the
//! smaller one first, with ever longer runs.
//!
//! When the part is full it is rebuilt. Then, and when it holds as many keys as a full one of PUC Lua's, integer keys move to the
//! array where more than half of that would be in use (the largest power of two `n` such that more than `n/2` of the keys `1..n`
//! are present).

use super::super::heap::{Gc, Heap, MAX_BUFFER_CELL, OutOfMemory};
use super::super::string::Str;
use super::super::value::{Value, tag};
use super::{MAX_ARRAY, Table, array::release_buffer, flag};

/// An entry.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Node {
    /// The key's payload and tag lie as in a value; the tag is that of nil if the node was never used.
    payload: u64,
    tag: u8,
    /// How many nodes further the search goes on; 0: nowhere.
    next: i32,
    /// The value; nil if it was removed.
    pub value: Value,
}

impl Node {
    const FREE: Node = Node { payload: 0, tag: tag::NIL, next: 0, value: Value::NIL };

    /// The key; nil if the node was never used.
    #[inline(always)]
    pub fn key(&self) -> Value {
        // SAFETY: they were a key's.
        unsafe { Value::from_raw(self.tag, self.payload) }
    }

    fn set_key(&mut self, key: Value) {
        (self.payload, self.tag) = (key.payload(), key.tag());
    }

    #[inline(always)]
    fn is_free(&self) -> bool {
        self.tag == tag::NIL
    }
}

/// The head of a hash part; `mask + 1` nodes follow.
#[repr(C, align(16))]
pub struct HashPart {
    mask: u32,
    /// Nodes with a key, removed ones included.
    used: u32,
    /// What groups of keys are multiplied by.
    multiplier: u64,
    /// How far the product is shifted to the right to be the number of a group of nodes.
    shift: u8,
    /// How far keys are rotated to the right.
    rotation: u8,
}

const SMALLEST: usize = 4;

/// How far behind a mixed array's end a key may lie to become its last one at once. That the steps are short keeps programs cheap
/// that assign such a key and remove it again and again.
const CLOSE: i64 = 64;

/// Where a node's value lies; a place with nil if there is no node.
#[inline(always)]
fn place(node: Option<*mut Node>) -> *mut Value {
    // SAFETY: the node is there.
    node.map_or((&raw const ABSENT.0).cast_mut(), |node| unsafe { &raw mut (*node).value })
}

/// A nil that everybody may read and nobody writes.
struct Absent(Value);
// SAFETY: never written to.
unsafe impl Sync for Absent {}

static ABSENT: Absent = Absent(Value::NIL);

impl HashPart {
    pub(in crate::lua) const MASK_OFFSET: usize = std::mem::offset_of!(HashPart, mask);

    fn size(nodes: usize) -> usize {
        size_of::<HashPart>() + nodes * size_of::<Node>()
    }

    /// The head of a part of `nodes` nodes, a power of two, for keys whose bits are among `bits`.
    fn new(nodes: usize, bits: u64) -> HashPart {
        let log = nodes.trailing_zeros();
        HashPart {
            mask: nodes as u32 - 1,
            used: 0,
            multiplier: MULTIPLIERS[log as usize],
            shift: (64 + GROUP_BITS - log).min(63) as u8,
            rotation: (bits.trailing_zeros() & 63) as u8,
        }
    }

    /// The number of the node where a key belongs.
    #[inline(always)]
    fn home(&self, key: Value) -> usize {
        let hash = if key.tag() == tag::STRING {
            // SAFETY: the tag says string.
            unsafe { key.raw_gc::<Str>() }.hash() as usize
        } else {
            let bits = key.payload().rotate_right(self.rotation.into());
            let group = (bits >> GROUP_BITS).wrapping_mul(self.multiplier) >> (self.shift & 63);
            (group << GROUP_BITS | bits & ((1 << GROUP_BITS) - 1)) as usize
        };
        hash & self.mask as usize
    }
}

/// Eight neighbouring keys are a group.
const GROUP_BITS: u32 = 3;

/// For parts of 2^n nodes: 2^64 times a number between 0 and 1 whose continued fraction has terms 1 and 2 only, by chance.
static MULTIPLIERS: [u64; 32] = {
    // Of 400 that were tried this one had the shortest runs in grids, multiples, squares, floats and addresses.
    const SEED: u64 = 0xfad4_dc52_cb2f_a2af;
    let mut numbers = [0; 32];
    let mut log = 0;
    while log < 32 {
        let mut state = SEED.wrapping_mul(log + 1);
        let (mut numerator, mut denominator) = (0_u128, 1_u128);
        while denominator < 1 << 60 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let term = 1 + (state >> 63) as u128;
            (numerator, denominator) = (denominator, term * denominator + numerator);
        }
        numbers[log as usize] = ((numerator << 64) / denominator) as u64 | 1;
        log += 1;
    }
    numbers
};

/// The bits of a key that say where it belongs; none of a string, which has a hash.
fn hashed_bits(key: Value) -> u64 {
    if key.is_string() { 0 } else { key.payload() }
}

/// Is this node's key the one looked for? A dead key still is, by its address, so that a traversal can go on behind it.
/// `long`: the key is a long string, which equals others.
#[inline(always)]
fn matches(node: &Node, key: Value, long: bool) -> bool {
    if node.payload == key.payload() {
        return node.tag == key.tag() || (node.tag == tag::DEAD && key.is_collectable());
    }
    long && node.tag == tag::STRING && node.key().raw_equals(key)
}

impl Gc<Table> {
    #[inline(always)]
    fn nodes(self) -> *mut Node {
        // The nodes lie behind the head.
        self.hash.get().wrapping_add(1).cast()
    }

    /// Number of nodes of the hash part.
    pub(super) fn node_count(self) -> usize {
        let hash = self.hash.get();
        // SAFETY: a hash part that is there has a head.
        if hash.is_null() { 0 } else { unsafe { (*hash).mask as usize + 1 } }
    }

    /// A node by its number, which is below [`Self::node_count`].
    pub(super) fn node(self, i: usize) -> Node {
        debug_assert!(i < self.node_count());
        // SAFETY: there are `node_count` nodes.
        unsafe { *self.nodes().add(i) }
    }

    /// The node whose key is the one looked for, or else the last one of the list that would have it. There is a hash part.
    #[inline(always)]
    fn search(self, home: usize, is_key: impl Fn(&Node) -> bool) -> Result<*mut Node, *mut Node> {
        debug_assert!(home < self.node_count());
        // SAFETY: there are so many nodes, and links lead from node to node.
        unsafe {
            let mut node = self.nodes().add(home);
            loop {
                if is_key(&*node) {
                    return Ok(node);
                }
                let next = (*node).next;
                if next == 0 {
                    return Err(node);
                }
                node = node.offset(next as isize);
            }
        }
    }

    /// The node of a key, removed or not, or the last one of the list that would have it. There is a hash part.
    #[inline]
    fn find_node(self, key: Value) -> Result<*mut Node, *mut Node> {
        // SAFETY: there is a hash part.
        let home = unsafe { (*self.hash.get()).home(key) };
        let long = key.as_string().is_some_and(|s| !s.is_short());
        self.search(home, |node| matches(node, key, long))
    }

    /// The node of a short string, removed or not: its address is all there is to compare.
    #[inline(always)]
    fn find_short(self, key: Gc<Str>) -> Option<*mut Node> {
        let hash = self.hash.get();
        if hash.is_null() {
            return None;
        }
        debug_assert!(key.is_short());
        let address = key.address() as u64;
        // SAFETY: there is a hash part.
        let home = key.hash() as usize & unsafe { (*hash).mask } as usize;
        self.search(home, |node| node.payload == address && matches!(node.tag, tag::STRING | tag::DEAD)).ok()
    }

    /// The node of an integer, removed or not.
    #[inline(always)]
    fn find_integer(self, key: i64) -> Option<*mut Node> {
        let hash = self.hash.get();
        if hash.is_null() {
            return None;
        }
        // SAFETY: there is a hash part.
        let home = unsafe { (*hash).home(Value::integer(key)) };
        self.search(home, |node| node.payload == key as u64 && node.tag == tag::INTEGER).ok()
    }

    /// The value of an integer that is not in the array.
    pub(super) fn get_integer_hashed(self, key: i64) -> Value {
        // SAFETY: the node is there.
        self.find_integer(key).map_or(Value::NIL, |node| unsafe { (*node).value })
    }

    /// Where the value of an integer lies that is not in the array; a place with nil if it is not in the table.
    #[inline]
    pub fn find_integer_hashed(self, key: i64) -> *mut Value {
        place(self.find_integer(key))
    }

    /// The value of a short string that is not in the shape.
    #[inline]
    pub(super) fn get_short_hashed(self, key: Gc<Str>) -> Value {
        // SAFETY: the node is there.
        self.find_short(key).map_or(Value::NIL, |node| unsafe { (*node).value })
    }

    /// Where the value of a string lies that is not in the shape; a place with nil if it is not in the table.
    #[inline]
    pub fn find_string_hashed(self, key: Gc<Str>) -> *mut Value {
        if !key.is_short() {
            return self.find_hashed(Value::from(key));
        }
        place(self.find_short(key))
    }

    /// The number of a key's node, removed or not.
    pub(super) fn node_of(self, key: Value) -> Option<usize> {
        // SAFETY: both are nodes of the part.
        self.find(key).map(|node| unsafe { node.offset_from(self.nodes()) } as usize)
    }

    /// A key's node, removed or not.
    #[inline]
    fn find(self, key: Value) -> Option<*mut Node> {
        if self.hash.get().is_null() { None } else { self.find_node(key).ok() }
    }

    /// How many nodes a search for a key looks at, for tests.
    #[cfg(test)]
    pub(super) fn probes(self, key: Value) -> usize {
        let count = std::cell::Cell::new(0);
        // SAFETY: there is a hash part.
        let home = unsafe { (*self.hash.get()).home(key) };
        let found = self.search(home, |node| {
            count.set(count.get() + 1);
            matches(node, key, false)
        });
        debug_assert!(found.is_ok());
        count.get()
    }

    /// The value of a key that is not in the array nor in the shape.
    pub(super) fn get_hashed(self, key: Value) -> Value {
        // SAFETY: the node is there.
        self.find(key).map_or(Value::NIL, |node| unsafe { (*node).value })
    }

    /// Is there a hash part?
    #[inline(always)]
    pub fn has_hash(self) -> bool {
        !self.hash.get().is_null()
    }

    /// Where the value of a key lies that is not in the array nor in the shape; a place with nil if it is not in the table.
    pub fn find_hashed(self, key: Value) -> *mut Value {
        place(self.find(key))
    }

    /// Where a key's node lies in the hash part: the part's mask, and the bytes from its start.
    pub fn hash_place(self, key: Value) -> Option<(u32, usize)> {
        let node = self.node_of(key)?;
        Some((self.node_count() as u32 - 1, HashPart::size(node)))
    }

    /// Assigns to a key that belongs in the hash.
    pub(super) fn set_hashed(self, heap: &mut Heap, key: Value, value: Value) -> Result<(), OutOfMemory> {
        let mut last = None;
        if self.has_hash() {
            match self.find_node(key) {
                Ok(node) => {
                    // SAFETY: the node is there. The key is written again since it may have been dead.
                    unsafe {
                        (*node).set_key(key);
                        (*node).value = value;
                    }
                    heap.barrier(self.header());
                    return Ok(());
                }
                Err(node) => last = Some(node),
            }
        }
        if value.is_nil() {
            return Ok(());
        }
        if let Some(i) = key.as_integer().filter(|i| self.may_stretch(*i)) {
            return self.stretch_to(heap, i as usize, value);
        }
        if self.is_full() || key.is_integer() && self.may_move() {
            self.rebuild(heap, key, value)?;
            // The key may belong in the array now, or behind its end.
            if key.is_integer() && (key.raw_integer() as u64).wrapping_sub(1) <= u64::from(self.len.get()) {
                return self.set_int(heap, key.raw_integer(), value);
            }
            last = None;
        }
        match last {
            Some(last) => self.link(last, key, value),
            None => self.insert(key, value),
        }
        heap.barrier(self.header());
        Ok(())
    }

    /// Does a new key lie close behind the end of a mixed array, and in its buffer? PUC Lua's array takes such a key, too; to
    /// ask `rebuild` for each would count the whole array each time. (Programs that assign several elements at once
    /// assign the last one first.)
    fn may_stretch(self, key: i64) -> bool {
        let (len, capacity) = (i64::from(self.len.get()), i64::from(self.capacity.get()));
        len > 0 && self.array_kind() == tag::MIXED && len < key && key <= capacity.min(len + CLOSE)
    }

    /// Makes a key behind the end of a mixed array, which has room for it, its last one.
    fn stretch_to(self, heap: &mut Heap, key: usize, value: Value) -> Result<(), OutOfMemory> {
        let len = self.len.get() as usize;
        self.stretch(heap, key)?;
        self.fill(key - 1, value);
        if self.has_hash() {
            for waiting in len + 1..key {
                let waits = Value::integer(waiting as i64);
                self.fill(waiting - 1, self.get_hashed(waits));
                self.clear_hashed(waits);
            }
            self.pull_from_hash(heap)?;
        }
        heap.barrier(self.header());
        Ok(())
    }

    /// Gives a new key its node; there is a free one.
    fn insert(self, key: Value, value: Value) {
        let (Ok(last) | Err(last)) = self.find_node(key);
        self.link(last, key, value);
    }

    /// Gives a new key a node behind the last one of the list that would have it; there is a free one.
    #[inline]
    fn link(self, last: *mut Node, key: Value, value: Value) {
        // SAFETY: all are nodes of the part, which is not full.
        unsafe {
            let (part, nodes) = (&mut *self.hash.get(), self.nodes());
            let at = last.offset_from(nodes) as usize;
            let mut free = at;
            while !(*nodes.add(free)).is_free() {
                free = (free + 1) & part.mask as usize;
            }
            (*last).next = free as i32 - at as i32;
            let node = &mut *nodes.add(free);
            node.set_key(key);
            node.value = value;
            part.used += 1;
        }
    }

    /// Removes a key.
    pub(super) fn clear_hashed(self, key: Value) {
        if let Some(node) = self.find(key) {
            // SAFETY: the node is there.
            unsafe { (*node).value = Value::NIL };
        }
    }

    fn is_full(self) -> bool {
        let nodes = self.node_count();
        // SAFETY: a part with nodes has a head.
        nodes == 0 || unsafe { (*self.hash.get()).used as usize + 1 > nodes / 4 * 3 }
    }

    /// Is it time to look whether integer keys should move to the array? PUC Lua looks when its hash part, whose size is a power of
    /// two, is full. Programs can see that by `#` of lists with holes, and some rely on it.
    fn may_move(self) -> bool {
        // SAFETY: there is a part; else it would be full.
        let used = unsafe { (*self.hash.get()).used };
        used & used.wrapping_sub(1) == 0
    }

    /// Makes room for `extra` entries more.
    pub(super) fn reserve_hash(self, heap: &mut Heap, extra: usize) -> Result<(), OutOfMemory> {
        let live = (0..self.node_count()).filter(|i| !self.node(*i).value.is_nil()).count();
        self.resize(heap, live + extra, 0)
    }

    /// Moves integer keys to the array where that is dense enough, with `key`, which is new, and its value; rebuilds the part after
    /// that or if it is full.
    #[cold]
    fn rebuild(self, heap: &mut Heap, key: Value, value: Value) -> Result<(), OutOfMemory> {
        let mut live = 0;
        // bins[b]: present integer keys in 2^(b-1)+1 ..= 2^b
        let mut bins = [0usize; 32];
        let mut count = |key: Value| {
            let Some(i) = key.as_integer() else { return };
            if i >= 1 && i <= MAX_ARRAY as i64 {
                bins[(64 - (i as u64 - 1).leading_zeros()) as usize] += 1;
            }
        };
        for i in 0..self.node_count() {
            let node = self.node(i);
            if !node.value.is_nil() {
                live += 1;
                count(node.key());
            }
        }
        count(key);
        let mut from = 0;
        for (b, bin) in bins.iter_mut().enumerate() {
            let to = (1usize << b).min(self.len.get() as usize);
            if to > from {
                *bin += self.count_elements(from, to);
                from = to;
            }
        }
        let (mut sum, mut best) = (0, 0);
        for (b, bin) in bins.iter().enumerate().take(31) {
            sum += bin;
            if sum > (1 << b) / 2 {
                best = 1usize << b;
            }
        }
        let moves = best > self.len.get() as usize;
        if moves {
            live -= self.move_to_array(heap, best, key, value)?;
        }
        if moves || self.is_full() { self.resize(heap, live + 1, hashed_bits(key)) } else { Ok(()) }
    }

    /// Moves the integer keys up to `limit` to the array, and a new key with its value if it is one of them. Answers how many of
    /// the part's have moved.
    fn move_to_array(self, heap: &mut Heap, limit: usize, new: Value, value: Value) -> Result<usize, OutOfMemory> {
        let old_len = self.len.get() as usize;
        let place = |key: Value| {
            let i = key.as_integer()?;
            (i > old_len as i64 && i <= limit as i64).then_some(i as usize)
        };
        let inside = |node: &Node| place(node.key()).filter(|_| !node.value.is_nil());
        let last = (0..self.node_count()).filter_map(|i| inside(&self.node(i))).chain(place(new)).max();
        let Some(last) = last else { return Ok(0) };
        self.reserve_array(heap, limit)?;
        self.stretch(heap, last)?;
        if let Some(key) = place(new) {
            self.fill(key - 1, value);
        }
        let mut moved = 0;
        for i in 0..self.node_count() {
            let node = self.node(i);
            if let Some(key) = inside(&node) {
                self.fill(key - 1, node.value);
                // SAFETY: the node is there.
                unsafe { (*self.nodes().add(i)).value = Value::NIL };
                moved += 1;
            }
        }
        self.make_uniform_if_full();
        heap.barrier(self.header());
        self.pull_from_hash(heap)?;
        Ok(moved)
    }

    /// An array that was just moved over, without holes and of one kind, is uniform.
    fn make_uniform_if_full(self) {
        let len = self.len.get() as usize;
        let kind = self.element(len - 1).tag();
        if !self.has_flag(flag::WEAK_VALUES) && (0..len).all(|i| self.element(i).tag() == kind) {
            self.header.detail.set(kind);
        }
    }

    /// Gives the part room for `entries` and drops removed ones. `bits` are those of a key to come.
    fn resize(self, heap: &mut Heap, entries: usize, bits: u64) -> Result<(), OutOfMemory> {
        let nodes = (entries * 4 / 3 + 1).next_power_of_two().max(SMALLEST);
        if nodes > 1 << 30 {
            return Err(OutOfMemory);
        }
        let live = (0..self.node_count()).map(|i| self.node(i)).filter(|node| !node.value.is_nil());
        let bits = live.fold(bits, |bits, node| bits | hashed_bits(node.key()));
        let old = self.hash.get();
        let (old_nodes, old_count) = (self.nodes(), self.node_count());
        let part = heap.buffer(self.header(), HashPart::size(nodes))?.cast::<HashPart>();
        // SAFETY: the new buffer has room for the head and all nodes; the old one is read and then given up.
        unsafe {
            part.write(HashPart::new(nodes, bits));
            let first = part.add(1).cast::<Node>();
            for i in 0..nodes {
                first.add(i).write(Node::FREE);
            }
            self.hash.set(part);
            if HashPart::size(nodes) > MAX_BUFFER_CELL {
                self.set_flag(flag::HASH_OUTSIDE);
            } else {
                self.clear_flag(flag::HASH_OUTSIDE);
            }
            for i in 0..old_count {
                let node = *old_nodes.add(i);
                if !node.value.is_nil() {
                    self.insert(node.key(), node.value);
                }
            }
            if !old.is_null() {
                heap.free_buffer(old.cast(), HashPart::size(old_count));
            }
        }
        Ok(())
    }

    /// The buffer and its size, for the collector.
    pub(in super::super) fn hash_buffer(self) -> (*mut u8, usize) {
        let nodes = self.node_count();
        if nodes == 0 { (std::ptr::null_mut(), 0) } else { (self.hash.get().cast(), HashPart::size(nodes)) }
    }

    /// Calls `f` with each entry's key and value (removed entries excepted); where it answers false the entry is
    /// removed. Keys of removed entries become dead.
    pub(in super::super) fn retain_nodes(self, mut f: impl FnMut(Value, Value) -> bool) {
        for i in 0..self.node_count() {
            // SAFETY: the node is there.
            let node = unsafe { &mut *self.nodes().add(i) };
            if !node.value.is_nil() && !f(node.key(), node.value) {
                node.value = Value::NIL;
            }
            if node.value.is_nil() && node.key().is_collectable() {
                node.tag = tag::DEAD;
            }
        }
    }

    pub(super) fn release_hash(self) -> usize {
        if !self.has_flag(flag::HASH_OUTSIDE) {
            return 0;
        }
        let (buffer, size) = self.hash_buffer();
        release_buffer(buffer, size)
    }
}
