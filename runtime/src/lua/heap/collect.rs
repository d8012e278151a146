//! The collector: incremental mark and sweep.
//!
//! A cycle goes: *mark* from the roots, in steps; the *atomic* phase, in one go (threads, objects that were changed since
//! they were scanned, weak tables, finalizers, dead strings and shapes); *sweep*, in steps, block by block; *pause* until
//! the heap has grown by a factor.
//!
//! Objects made during a mark are not marked; they are found through the roots or through the container they were
//! stored in, which the barrier puts back on the list. A scanned object has the cycle's color, of which there are two in
//! turn, so that none is left over from the cycle before.

use super::super::event::Event;
use super::super::function::{Cell, LuaFunction, NativeFunction, Proto};
use super::super::shape::Shape;
use super::super::string::Str;
use super::super::table::{Table, flag};
use super::super::thread::{Spare, Thread};
use super::super::userdata::Userdata;
use super::super::value::{Value, tag};
use super::block::{Block, SIZES};
use super::object::{Gc, Header, Kind};
use super::{Heap, MAX_BUFFER_CELL};

/// A barrier color that no object has.
pub const NO_BARRIER: u8 = 3;
/// The debt that a new heap starts with, and the least that a cycle ends with: no cycle begins before so many bytes have been allocated.
/// Each marks the library, which is as much as some 100 KB of a program's own; what is allocated between two is to stay in the
/// processor's second cache.
pub const FIRST_CYCLE: isize = -(768 * 1024);
/// Bytes allocated between two steps of a cycle.
const STEP: isize = 64 * 1024;
/// What a step that the program asks for counts in the generational mode: enough for a cycle of a heap of some megabytes.
const GENERATIONAL_STEP: usize = 4 * 1024 * 1024;

/// What a state wants to be kept.
#[derive(Default)]
pub struct Roots {
    objects: Vec<*mut Header>,
}

impl Roots {
    /// Keeps a value.
    pub fn value(&mut self, value: Value) {
        if value.is_collectable() {
            self.objects.push(std::ptr::with_exposed_provenance_mut(value.payload() as usize));
        }
    }

    /// The objects that are kept.
    pub fn into_objects(self) -> Vec<*mut Header> {
        self.objects
    }

    /// Keeps an object.
    pub fn object<T>(&mut self, object: Gc<T>) {
        self.objects.push(object.header());
    }
}

/// What is weak in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeakKind {
    /// Its keys: an ephemeron table.
    Keys,
    /// Its values.
    Values,
    /// Both.
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    #[default]
    Pause,
    Mark,
    Sweep,
}

#[derive(Default)]
pub(super) struct Collector {
    phase: Phase,
    stopped: bool,
    generational: bool,
    pause: Percent<200>,
    step_multiplier: Percent<100>,
    /// The color that scanned objects get: 1 or 2.
    color: u8,
    gray: Vec<*mut Header>,
    /// Scanned objects that have changed, and threads.
    gray_again: Vec<*mut Header>,
    weak: Vec<(Gc<Table>, WeakKind)>,
    /// Objects with a finalizer, oldest first.
    finalizable: Vec<*mut Header>,
    /// Dead objects whose finalizers are due, the next one last.
    pending: Vec<*mut Header>,
    sweep_class: usize,
}

/// A parameter in percent, kept as PUC Lua keeps it: in a byte, divided by four, which programs see when they read it back.
struct Percent<const AT_FIRST: i32>(u8);

impl<const AT_FIRST: i32> Default for Percent<AT_FIRST> {
    fn default() -> Self {
        Self((AT_FIRST / 4) as u8)
    }
}

impl<const AT_FIRST: i32> Percent<AT_FIRST> {
    fn get(&self) -> i32 {
        i32::from(self.0) * 4
    }

    fn replace(&mut self, percent: i32) -> i32 {
        i32::from(std::mem::replace(&mut self.0, (percent / 4) as u8)) * 4
    }
}

/// Frees what a dead object owns. Answers how many bytes of buffers these were. `dead` gets the numbers of prototypes
/// that a tier watches, and `spare` what coroutines leave.
pub(super) fn release(object: *mut Header, dead: &mut Vec<u32>, spare: &mut Spare) -> usize {
    // SAFETY: the sweep calls this once, with a dead object of the heap that owns memory.
    unsafe {
        match (*object).kind {
            Kind::String => Gc::<Str>::from_raw(object.cast()).release(),
            Kind::Table => Gc::<Table>::from_raw(object.cast()).release(),
            Kind::Thread => Gc::<Thread>::from_raw(object.cast()).release(spare) + drop_object::<Thread>(object),
            Kind::Userdata => drop_object::<Userdata>(object),
            Kind::Proto => {
                let watched = (*object.cast::<Proto>()).watched.get();
                dead.extend((watched != 0).then_some(watched));
                drop_object::<Proto>(object)
            }
            Kind::Shape => {
                Shape::release(object.cast());
                0
            }
            Kind::LuaFunction | Kind::NativeFunction | Kind::Cell => 0,
        }
    }
}

/// Drops a dead object in its place.
///
/// # Safety
/// The object is a dead `T` and was not dropped before.
unsafe fn drop_object<T>(object: *mut Header) -> usize {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::drop_in_place(object.cast::<T>()) };
    0
}

fn is_marked(object: *mut Header) -> bool {
    let (block, bit) = Block::of(object.cast());
    // SAFETY: objects lie in blocks.
    unsafe { (*block).is_marked(bit) }
}

/// Is it an object that will be swept? Strings are values: they are never taken out of weak tables.
fn is_dead(value: Value) -> bool {
    value.is_collectable() && value.tag() != tag::STRING && !is_marked(object_of(value))
}

fn object_of(value: Value) -> *mut Header {
    std::ptr::with_exposed_provenance_mut(value.payload() as usize)
}

impl Heap {
    // ---- what others tell the collector

    #[cold]
    #[inline(never)]
    pub(super) fn barrier_slow(&mut self, container: *mut Header) {
        // SAFETY: the container is a live object.
        unsafe { (*container).color.set(0) };
        self.collector.gray_again.push(container);
    }

    /// A buffer made while marking belongs to an object that may have been scanned already.
    #[inline]
    pub(super) fn mark_new_buffer(&mut self, buffer: *mut u8) {
        if self.collector.phase == Phase::Mark {
            mark_cell(buffer);
        }
    }

    /// Says that an object has a finalizer.
    #[expect(clippy::not_unsafe_ptr_arg_deref, reason = "headers come from `Gc`, which is alive by contract")]
    pub fn add_finalizer(&mut self, object: *mut Header) {
        // SAFETY: the object is alive.
        let flags = unsafe { &(*object).flags };
        if flags.get() & flag::FINALIZER == 0 {
            flags.set(flags.get() | flag::FINALIZER);
            self.collector.finalizable.push(object);
        }
    }

    /// The next dead object whose finalizer is to be called. It is alive again.
    pub fn next_finalizer(&mut self) -> Option<Value> {
        let object = self.collector.pending.pop()?;
        // SAFETY: pending objects are kept alive; only tables and userdata have finalizers.
        unsafe {
            (*object).flags.set((*object).flags.get() & !flag::FINALIZER);
            Some(match (*object).kind {
                Kind::Table => Value::from(Gc::<Table>::from_raw(object.cast())),
                _ => Value::from(Gc::<Userdata>::from_raw(object.cast())),
            })
        }
    }

    /// Are there finalizers to be called?
    #[inline]
    pub fn has_finalizers_due(&self) -> bool {
        !self.collector.pending.is_empty()
    }

    /// Takes all objects with a finalizer for dead: for the end of the state.
    pub fn finalize_all(&mut self) {
        let mut all = std::mem::take(&mut self.collector.finalizable);
        all.append(&mut self.collector.pending);
        self.collector.pending = all;
    }

    /// Stops or restarts collecting by itself. Answers whether it was running.
    pub fn set_running(&mut self, running: bool) -> bool {
        let was = !std::mem::replace(&mut self.collector.stopped, !running);
        if running {
            self.debt = 0;
        }
        was
    }

    /// Does the heap collect by itself?
    pub fn is_running(&self) -> bool {
        !self.collector.stopped
    }

    /// Sets the generational or the incremental mode; answers whether it was generational.
    pub fn set_generational(&mut self, on: bool) -> bool {
        std::mem::replace(&mut self.collector.generational, on)
    }

    /// Sets the pause (percent of the live heap at which a cycle starts); answers the old one.
    pub fn set_pause(&mut self, percent: i32) -> i32 {
        self.collector.pause.replace(percent)
    }

    /// Sets the speed of a step (percent of what is allocated meanwhile); answers the old one.
    pub fn set_step_multiplier(&mut self, percent: i32) -> i32 {
        self.collector.step_multiplier.replace(percent)
    }

    // ---- the cycle

    /// Does a piece of work; for safepoints with a positive debt. `roots` tells what is in use. Answers whether a cycle was
    /// finished.
    #[cold]
    #[inline(never)]
    pub fn step(&mut self, roots: &dyn Fn(&mut Roots)) -> bool {
        if self.collector.stopped {
            self.debt = -STEP;
            return false;
        }
        if self.stress {
            self.full(roots);
            self.debt = 1;
            return true;
        }
        if self.room() < self.used() / 2 {
            // The limit is near: what is dead must be found before it is reached.
            self.full(roots);
            return true;
        }
        let multiplier = self.collector.step_multiplier.get() as usize;
        let work = (STEP as usize + self.debt.max(0) as usize) * (multiplier + 200) / 100;
        let finished = self.work(roots, work);
        if finished {
            self.set_pause_debt();
        } else {
            self.debt = -STEP;
        }
        finished
    }

    /// One step asked for by the program, of `bytes` allocated (0: a basic one). Answers whether a cycle was finished.
    pub fn explicit_step(&mut self, roots: &dyn Fn(&mut Roots), bytes: usize) -> bool {
        // In the generational mode programs expect a step to find what has died since the last one.
        let basic = if self.collector.generational { GENERATIONAL_STEP } else { STEP as usize };
        let finished = self.work(roots, bytes.max(basic).saturating_mul(4));
        if finished {
            self.set_pause_debt();
        }
        finished
    }

    /// A whole cycle.
    pub fn full(&mut self, roots: &dyn Fn(&mut Roots)) {
        if self.collector.phase != Phase::Pause {
            while !self.work(roots, usize::MAX) {}
        }
        while !self.work(roots, usize::MAX) {}
        self.set_pause_debt();
    }

    fn set_pause_debt(&mut self) {
        let pause = self.collector.pause.get();
        let live = self.used();
        let more = (live as f64 * (f64::from(pause) / 100.0 - 1.0)).clamp(-(FIRST_CYCLE as f64), 1e15);
        let room = isize::try_from(self.room() / 2).unwrap_or(isize::MAX);
        self.debt = -(more as isize).min(room.max(STEP / 4));
    }

    /// Does up to `budget` bytes of work. Answers whether a cycle was finished.
    fn work(&mut self, roots: &dyn Fn(&mut Roots), budget: usize) -> bool {
        let mut left = budget;
        loop {
            match self.collector.phase {
                Phase::Pause => self.start_mark(roots),
                Phase::Mark => {
                    left = left.saturating_sub(self.mark_some(left));
                    if self.collector.gray.is_empty() {
                        self.atomic(roots);
                        self.start_sweep();
                    }
                }
                Phase::Sweep => {
                    if self.sweep_some(&mut left) {
                        self.collector.phase = Phase::Pause;
                        return true;
                    }
                }
            }
            if left == 0 {
                return false;
            }
        }
    }

    // ---- mark

    fn start_mark(&mut self, roots: &dyn Fn(&mut Roots)) {
        let c = &mut self.collector;
        c.color = if c.color == 1 { 2 } else { 1 };
        c.phase = Phase::Mark;
        self.barrier_color = self.collector.color;
        self.mark_roots(roots);
    }

    fn mark_roots(&mut self, roots: &dyn Fn(&mut Roots)) {
        let mut found = Roots::default();
        roots(&mut found);
        for object in found.objects {
            self.mark(object);
        }
        for i in 0..self.names.all().len() {
            self.mark(self.names.all()[i].header());
        }
        if let Some((root, dictionary)) = self.shapes.roots() {
            self.mark(root.header());
            self.mark(dictionary.header());
        }
        for i in 0..self.collector.pending.len() {
            self.mark(self.collector.pending[i]);
        }
    }

    fn mark(&mut self, object: *mut Header) {
        let (block, bit) = Block::of(object.cast());
        // SAFETY: objects lie in blocks.
        let old = unsafe { (*block).mark(bit) };
        // SAFETY: a reachable object is alive.
        if !old && unsafe { (*object).kind } != Kind::String {
            self.collector.gray.push(object);
        }
    }

    fn mark_value(&mut self, value: Value) {
        if value.is_collectable() {
            self.mark(object_of(value));
        }
    }

    fn mark_some(&mut self, budget: usize) -> usize {
        let mut done = 0;
        while done < budget {
            let Some(object) = self.collector.gray.pop() else { break };
            done += self.scan(object);
        }
        done
    }

    /// Marks what an object refers to. Answers how much work that was, in bytes.
    fn scan(&mut self, object: *mut Header) -> usize {
        // SAFETY: objects on the list are alive and of their kind.
        unsafe {
            (*object).color.set(self.collector.color);
            match (*object).kind {
                Kind::String => 0,
                Kind::Table => self.scan_table(Gc::from_raw(object.cast())),
                Kind::LuaFunction => {
                    let f: Gc<LuaFunction> = Gc::from_raw(object.cast());
                    self.mark(f.proto().header());
                    f.cells().iter().for_each(|c| self.mark(c.header()));
                    32 + 8 * f.cells().len()
                }
                Kind::NativeFunction => {
                    let f: Gc<NativeFunction> = Gc::from_raw(object.cast());
                    (0..f.count()).for_each(|i| self.mark_value(f.value(i)));
                    48
                }
                Kind::Cell => {
                    self.mark_value(Gc::<Cell>::from_raw(object.cast()).get());
                    32
                }
                Kind::Userdata => {
                    let u: Gc<Userdata> = Gc::from_raw(object.cast());
                    if let Some(meta) = u.metatable() {
                        self.mark(meta.header());
                    }
                    u.values.borrow().iter().for_each(|v| self.mark_value(*v));
                    64
                }
                Kind::Thread => {
                    let t: Gc<Thread> = Gc::from_raw(object.cast());
                    self.collector.gray_again.push(object);
                    self.scan_thread(t)
                }
                Kind::Proto => {
                    let p: Gc<Proto> = Gc::from_raw(object.cast());
                    p.for_each_reference(&mut |r| self.mark(r));
                    256
                }
                Kind::Shape => {
                    let s: Gc<Shape> = Gc::from_raw(object.cast());
                    let (parent, meta) = s.for_each_reference(|k| self.mark(k.header()));
                    parent.iter().for_each(|p| self.mark(p.header()));
                    meta.iter().for_each(|m| self.mark(m.header()));
                    64
                }
            }
        }
    }

    fn scan_thread(&mut self, thread: Gc<Thread>) -> usize {
        let live = thread.live_top();
        for i in 0..live {
            self.mark_value(thread.slot(i));
        }
        thread.for_each_reference(&mut |r| self.mark(r));
        live * 16 + 128
    }

    fn weak_kind(&self, table: Gc<Table>) -> Option<WeakKind> {
        let meta = table.metatable()?;
        let mode = meta.event(self, Event::Mode).as_string()?;
        match (mode.bytes().contains(&b'k'), mode.bytes().contains(&b'v')) {
            (true, true) => Some(WeakKind::Both),
            (true, false) => Some(WeakKind::Keys),
            (false, true) => Some(WeakKind::Values),
            _ => None,
        }
    }

    fn scan_table(&mut self, table: Gc<Table>) -> usize {
        self.mark(table.shape().header());
        if let Some(meta) = table.metatable() {
            self.mark(meta.header());
        }
        let mut size = 64;
        for (buffer, bytes) in [table.array_buffer(), table.slots_buffer(), table.hash_buffer()] {
            if !buffer.is_null() && bytes <= MAX_BUFFER_CELL {
                mark_cell(buffer);
            }
            size += bytes;
        }
        let weak = self.weak_kind(table);
        match weak {
            None => {
                self.mark_array_and_fields(table);
                table.retain_nodes(|k, v| {
                    self.mark_value(k);
                    self.mark_value(v);
                    true
                });
            }
            Some(kind) => {
                if kind == WeakKind::Keys {
                    self.mark_array_and_fields(table);
                    self.mark_ephemerons(table);
                } else {
                    table.weaken_values();
                    self.mark_weak_strings(table);
                }
                self.collector.weak.push((table, kind));
            }
        }
        size
    }

    fn mark_array_and_fields(&mut self, table: Gc<Table>) {
        table.retain_elements(|v| {
            self.mark_value(v);
            true
        });
        table.retain_fields(|v| {
            self.mark_value(v);
            true
        });
    }

    /// Strings are values: a weak table keeps them. So are the keys of weak values.
    fn mark_weak_strings(&mut self, table: Gc<Table>) {
        let weak_keys = self.weak_kind(table) == Some(WeakKind::Both);
        let strings = |heap: &mut Heap, v: Value| {
            if v.is_string() {
                heap.mark_value(v);
            }
            true
        };
        table.retain_elements(|v| strings(self, v));
        table.retain_fields(|v| strings(self, v));
        table.retain_nodes(|k, v| {
            // Where the value may die, its key waits for that.
            if !weak_keys {
                self.mark_value(k);
            } else if !v.is_collectable() || v.is_string() {
                strings(self, k);
            }
            strings(self, v)
        });
    }

    /// Marks the values of keys that are reached. Answers whether that marked anything.
    fn mark_ephemerons(&mut self, table: Gc<Table>) -> bool {
        let mut found = false;
        table.retain_nodes(|k, v| {
            if k.is_string() {
                self.mark_value(k);
            }
            if !is_dead(k) && v.is_collectable() && !is_marked(object_of(v)) {
                self.mark_value(v);
                found = true;
            }
            true
        });
        found
    }

    // ---- atomic

    fn atomic(&mut self, roots: &dyn Fn(&mut Roots)) {
        self.mark_roots(roots);
        self.drain();
        for object in std::mem::take(&mut self.collector.gray_again) {
            self.scan(object);
        }
        self.drain();
        // Scanning threads has put them on the list again, with nothing new in them.
        self.converge_ephemerons();
        self.clear_weak(|kind| kind != WeakKind::Keys, false);
        self.separate_finalizable();
        self.drain();
        self.converge_ephemerons();
        self.clear_weak(|kind| kind != WeakKind::Values, true);
        self.clear_weak(|kind| kind != WeakKind::Keys, false);
        self.collector.weak.clear();
        for object in std::mem::take(&mut self.collector.gray_again) {
            // SAFETY: what is on the list is alive.
            if unsafe { (*object).kind } == Kind::Thread {
                // SAFETY: its kind says thread.
                unsafe { Gc::<Thread>::from_raw(object.cast()) }.clear_above_live_top();
            }
        }
        self.interned.retain(|s| is_marked(s.header()));
        self.shapes.retain(is_marked);
        self.barrier_color = NO_BARRIER;
    }

    fn drain(&mut self) {
        self.mark_some(usize::MAX);
    }

    fn converge_ephemerons(&mut self) {
        loop {
            let mut changed = false;
            for i in 0..self.collector.weak.len() {
                let (table, kind) = self.collector.weak[i];
                if kind == WeakKind::Keys {
                    changed |= self.mark_ephemerons(table);
                }
            }
            self.drain();
            if !changed {
                return;
            }
        }
    }

    /// Removes the entries with dead keys (`keys`) or dead values.
    fn clear_weak(&mut self, which: impl Fn(WeakKind) -> bool, keys: bool) {
        for (table, kind) in &self.collector.weak {
            if !which(*kind) {
                continue;
            }
            if keys {
                table.retain_nodes(|k, _| !is_dead(k));
            } else {
                table.retain_elements(|v| !is_dead(v));
                table.retain_fields(|v| !is_dead(v));
                table.retain_nodes(|k, v| {
                    let alive = !is_dead(v);
                    if alive && k.is_string() {
                        mark_cell(object_of(k).cast());
                    }
                    alive
                });
            }
        }
    }

    /// Puts dead objects with a finalizer on the pending list: the youngest is called first. They live on for that.
    fn separate_finalizable(&mut self) {
        let all = std::mem::take(&mut self.collector.finalizable);
        let (alive, dead): (Vec<_>, Vec<_>) = all.into_iter().partition(|o| is_marked(*o));
        self.collector.finalizable = alive;
        dead.iter().for_each(|o| self.mark(*o));
        // Those that were pending before come first, so they stay at the list's end.
        let before = std::mem::replace(&mut self.collector.pending, dead);
        self.collector.pending.extend(before);
    }

    // ---- sweep

    fn start_sweep(&mut self) {
        self.lookups.clear();
        self.collector.phase = Phase::Sweep;
        self.collector.sweep_class = 0;
        self.return_runs();
        for class in &mut self.classes {
            class.next = 0;
            class.swept = 0;
            class.unswept_end = class.blocks.len();
        }
    }

    /// Sweeps the blocks of a class up to and including `block`.
    pub(super) fn sweep_until(&mut self, class: usize, block: usize) {
        while self.classes[class].swept <= block && self.classes[class].swept < self.classes[class].unswept_end {
            let swept = self.classes[class].swept;
            let mut external = 0;
            let (dead, spare) = (&mut self.dead_prototypes, &mut self.spare);
            // SAFETY: the class's blocks are alive, and nothing else refers to their heads.
            let freed = unsafe {
                (*self.classes[class].blocks[swept]).sweep(|object| external += release(object, dead, spare))
            };
            self.cell_bytes -= freed;
            self.external_bytes = self.external_bytes.saturating_sub(external);
            self.classes[class].swept += 1;
        }
    }

    /// Sweeps some blocks. Answers whether that was all.
    fn sweep_some(&mut self, left: &mut usize) -> bool {
        while self.collector.sweep_class < SIZES.len() {
            let class = self.collector.sweep_class;
            if self.classes[class].swept >= self.classes[class].unswept_end {
                self.collector.sweep_class += 1;
                continue;
            }
            if *left == 0 {
                return false;
            }
            self.sweep_until(class, self.classes[class].swept);
            *left = left.saturating_sub(super::block::BLOCK_SIZE / 4);
        }
        true
    }
}

fn mark_cell(cell: *mut u8) {
    let (block, bit) = Block::of(cell);
    // SAFETY: cells lie in blocks.
    unsafe { (*block).mark(bit) };
}
