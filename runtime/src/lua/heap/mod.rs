//! The heap: where Lua's objects live.
//!
//! Cells of one size share a 32 KiB block ([`block`]); a class of sizes hands out *runs* of free cells, so that an
//! allocation is a bump of a pointer, which compiled code does inline. Buffers of tables are cells too up to 2 KiB; larger
//! ones and long strings come from the system and are owned by their object.
//!
//! Allocating adds *debt* and never collects: the interpreter looks at the debt at safepoints and calls
//! [`Heap::step`] there. So inside of Rust code a [`Gc`] stays valid from one safepoint to the next, rooted or not.
//! The collector ([`collect`]) is incremental mark and sweep; objects never move.

mod block;
mod collect;
mod object;

use std::alloc::Layout;
use std::cell::Cell;

pub(super) use block::Block;
pub use block::{GRANULE, MAX_BUFFER_CELL, MAX_CELL, SIZES, class_of};
pub use collect::{Roots, WeakKind};
pub use object::{Gc, Header, Kind};

use super::event::Names;
use super::lookup::Lookups;
use super::shape::Shapes;
use super::string::Interned;
use super::thread::Spare;
use collect::Collector;

/// Memory has run out, or the limit set for the heap has been reached. Raised as the error "not enough memory".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// Test mode: a time in which there is no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Famine {
    /// Requests for memory that are granted before it.
    pub after: u64,
    /// Requests that fail then.
    pub lasts: u64,
}

impl Famine {
    /// Counts a request; answers whether it fails.
    fn strikes(famine: &Cell<Option<Famine>>) -> bool {
        let Some(Famine { after, lasts }) = famine.get() else { return false };
        let next = if after > 0 { (after - 1, lasts) } else { (0, lasts.saturating_sub(1)) };
        famine.set(Some(Famine { after: next.0, lasts: next.1 }));
        after == 0 && lasts > 0
    }
}

/// Where a class takes its next cells from: `start` moves up to `end`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FreeRun {
    /// The next cell.
    pub start: *mut u8,
    /// The end of the run.
    pub end: *mut u8,
}

const EMPTY_RUN: FreeRun = FreeRun { start: std::ptr::null_mut(), end: std::ptr::null_mut() };

/// The blocks of one size of cells. `blocks[..swept]` and those from `unswept_end` on are swept.
#[derive(Default)]
struct Class {
    blocks: Vec<*mut Block>,
    /// Where to look for free cells next.
    next: usize,
    swept: usize,
    unswept_end: usize,
}

/// Blocks come from the system in chunks of this many.
const CHUNK_BLOCKS: usize = 32;

/// The heap of a state.
#[repr(C)]
pub struct Heap {
    /// Where each class allocates.
    pub runs: [FreeRun; SIZES.len()],
    /// Bytes allocated beyond what the collector has been paced for. A safepoint with a positive debt calls the collector.
    pub debt: isize,
    /// Watched prototypes that are gone, and that the tier has not been told of.
    pub dead_prototypes: Vec<u32>,
    /// Objects of this color have been scanned in the cycle under way: a store into one must tell the collector. Between
    /// marks no object has it.
    pub barrier_color: u8,
    /// Raised whenever a flagged table (see [`super::table`]) changes in what can be found in it.
    pub epoch: u32,
    /// The generation of twins among metatables, from 1; see `shape`.
    pub(super) twins: u32,
    /// Test mode: collect at every safepoint that follows an allocation.
    pub stress: bool,
    famine: Cell<Option<Famine>>,
    classes: [Class; SIZES.len()],
    chunks: Vec<*mut u8>,
    spare_blocks: Vec<*mut u8>,
    /// For new coroutines.
    pub(super) spare: Spare,
    /// Bytes in runs that were handed out to classes.
    cell_bytes: usize,
    external_bytes: usize,
    limit: usize,
    pub(super) interned: Interned,
    pub(super) shapes: Shapes,
    /// Where fields were found lately.
    pub lookups: Lookups,
    /// The strings that the machine itself needs.
    pub names: Names,
    collector: Collector,
}

impl Heap {
    /// An empty heap without a limit.
    pub fn new() -> Heap {
        let mut heap = Heap {
            runs: [EMPTY_RUN; SIZES.len()],
            debt: collect::FIRST_CYCLE,
            dead_prototypes: Vec::new(),
            barrier_color: collect::NO_BARRIER,
            epoch: 0,
            twins: 1,
            stress: false,
            famine: Cell::new(None),
            classes: std::array::from_fn(|_| Class::default()),
            chunks: Vec::new(),
            spare_blocks: Vec::new(),
            spare: Spare::default(),
            cell_bytes: 0,
            external_bytes: 0,
            limit: usize::MAX,
            interned: Interned::new(),
            shapes: Shapes::empty(),
            lookups: Lookups::new(),
            names: Names::empty(),
            collector: Collector::default(),
        };
        heap.names = Names::new(&mut heap).expect("a new heap has room for the names");
        heap.shapes = Shapes::new(&mut heap).expect("a new heap has room for the first shapes");
        heap
    }

    /// Sets the number of bytes that the heap may use.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Test mode: sets which requests for memory fail. Each cell is a request of its own then, those of compiled code too.
    pub fn set_famine(&mut self, famine: Option<Famine>) {
        self.famine.set(famine);
        self.return_runs();
    }

    /// What is left of the famine that was set.
    pub fn famine(&self) -> Option<Famine> {
        self.famine.get()
    }

    /// Bytes in use, garbage included.
    pub fn used(&self) -> usize {
        let free: usize = self.runs.iter().map(|r| r.end.addr() - r.start.addr()).sum();
        self.cell_bytes - free + self.external_bytes
    }

    /// Memory for an object of `size` bytes (at most [`MAX_CELL`]). Its content is undefined; the caller must write an object
    /// with a [`Header`] before the next safepoint.
    #[inline]
    pub fn allocate(&mut self, size: usize) -> Result<*mut u8, OutOfMemory> {
        let class = class_of(size);
        let run = &mut self.runs[class];
        if run.start == run.end {
            self.refill(class)?;
        }
        let run = &mut self.runs[class];
        let cell = run.start;
        // SAFETY: a run that is not empty has room for a cell of its class.
        run.start = unsafe { cell.add(SIZES[class] as usize) };
        Ok(cell)
    }

    /// The next free cell of a class. It stays free: whoever uses it moves the run's start.
    pub fn next_cell(&mut self, class: usize) -> Result<*mut u8, OutOfMemory> {
        if self.runs[class].start == self.runs[class].end {
            self.refill(class)?;
        }
        Ok(self.runs[class].start)
    }

    /// Finds the next run of free cells for a class.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) -> Result<(), OutOfMemory> {
        loop {
            let Class { blocks, next, .. } = &self.classes[class];
            let block = match blocks.get(*next) {
                Some(block) => *block,
                None => self.new_block(class)?,
            };
            self.sweep_until(class, self.classes[class].next);
            // SAFETY: the class's blocks are alive, and nothing else refers to their heads.
            if let Some((start, end)) = unsafe { (*block).take_run(self.famine.get().is_some()) } {
                let bytes = end.addr() - start.addr();
                if let Err(error) = self.reserve(bytes) {
                    // SAFETY: as above. The sweep finds it again.
                    unsafe { (*block).return_run((start, end)) };
                    return Err(error);
                }
                self.runs[class] = FreeRun { start, end };
                self.cell_bytes += bytes;
                self.debt += bytes as isize;
                return Ok(());
            }
            self.classes[class].next += 1;
        }
    }

    /// Gives back the cells that were not used yet. The next sweep finds them.
    fn return_runs(&mut self) {
        for run in &mut self.runs {
            if run.start != run.end {
                let (block, _) = Block::of(run.start);
                // SAFETY: a run lies in a block, and nothing else refers to its head.
                unsafe { (*block).return_run((run.start, run.end)) };
                self.cell_bytes -= run.end.addr() - run.start.addr();
            }
            *run = EMPTY_RUN;
        }
    }

    fn new_block(&mut self, class: usize) -> Result<*mut Block, OutOfMemory> {
        self.reserve(block::BLOCK_SIZE)?;
        if self.spare_blocks.is_empty() {
            let layout = chunk_layout();
            // SAFETY: the layout's size is not zero.
            let chunk = unsafe { std::alloc::alloc(layout) };
            if chunk.is_null() {
                return Err(OutOfMemory);
            }
            self.chunks.push(chunk);
            for i in (0..CHUNK_BLOCKS).rev() {
                // SAFETY: within the chunk.
                self.spare_blocks.push(unsafe { chunk.add(i * block::BLOCK_SIZE) });
            }
        }
        let memory = self.spare_blocks.pop().ok_or(OutOfMemory)?;
        // SAFETY: the chunk is aligned to the size of a block, and this part of it is unused.
        let block = unsafe { Block::init(memory, SIZES[class]) };
        self.classes[class].blocks.push(block);
        Ok(block)
    }

    /// Says that what was found through metatables may not hold any more.
    pub fn raise_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Says that metatables which were twins may not be so any more.
    pub(super) fn distrust_twins(&mut self) {
        self.twins = self.twins.saturating_add(1);
    }

    /// Fails if `bytes` more would exceed the limit.
    pub fn reserve(&self, bytes: usize) -> Result<(), OutOfMemory> {
        if bytes > self.room() || Famine::strikes(&self.famine) { Err(OutOfMemory) } else { Ok(()) }
    }

    /// Does something that allocates and must not fail: the limit does not hold meanwhile. Allocations after it find it exceeded.
    ///
    /// # Panics
    /// When the system has no memory left.
    pub fn overdraw<T>(&mut self, work: impl FnOnce(&mut Heap) -> Result<T, OutOfMemory>) -> T {
        let (limit, famine) = (std::mem::replace(&mut self.limit, usize::MAX), self.famine.get());
        self.famine.set(famine.map(|_| Famine { after: u64::MAX, lasts: 0 }));
        let result = work(self);
        self.limit = limit;
        self.famine.set(famine);
        result.expect("the system has memory for a cell")
    }

    /// Bytes left below the limit.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.cell_bytes + self.external_bytes)
    }

    /// Counts memory that objects hold outside of the heap.
    pub fn count_external(&mut self, bytes: isize) {
        self.external_bytes = self.external_bytes.saturating_add_signed(bytes);
        self.debt += bytes;
    }

    /// Notes that an object has memory outside of the heap, so that a sweep must visit it.
    pub fn set_owns(&mut self, object: *mut Header) {
        let (block, bit) = Block::of(object.cast());
        // SAFETY: objects lie in blocks.
        unsafe { (*block).set_owns(bit) };
    }

    /// A buffer that belongs to `owner`: a cell if it is small, else memory of the system.
    pub fn buffer(&mut self, owner: *mut Header, size: usize) -> Result<*mut u8, OutOfMemory> {
        if size <= MAX_BUFFER_CELL {
            let cell = self.allocate(size)?;
            self.mark_new_buffer(cell);
            return Ok(cell);
        }
        self.reserve(size)?;
        let layout = Layout::from_size_align(size, 16).map_err(|_| OutOfMemory)?;
        // SAFETY: the size is not zero.
        let memory = unsafe { std::alloc::alloc(layout) };
        if memory.is_null() {
            return Err(OutOfMemory);
        }
        self.count_external(size as isize);
        self.set_owns(owner);
        Ok(memory)
    }

    /// Makes a buffer of the system larger, where it is if that can be. Answers where it is then.
    ///
    /// # Safety
    /// `buffer` was made by [`Heap::buffer`] with the size `old`, which is larger than [`MAX_BUFFER_CELL`] and smaller than `new`. It
    /// is not used any more, unless this fails.
    pub unsafe fn grow_buffer(&mut self, buffer: *mut u8, old: usize, new: usize) -> Result<*mut u8, OutOfMemory> {
        self.reserve(new - old)?;
        let layout = Layout::from_size_align(new, 16).map_err(|_| OutOfMemory)?;
        // SAFETY: buffers of this size come from the system with this alignment; the new size is a valid one.
        let memory = unsafe { std::alloc::realloc(buffer, Layout::from_size_align_unchecked(old, 16), layout.size()) };
        if memory.is_null() {
            return Err(OutOfMemory);
        }
        self.count_external((new - old) as isize);
        Ok(memory)
    }

    /// Gives up a buffer made by [`Heap::buffer`]. A cell is left to the collector.
    ///
    /// # Safety
    /// `buffer` was made with this `size` and is not used any more.
    pub unsafe fn free_buffer(&mut self, buffer: *mut u8, size: usize) {
        if size > MAX_BUFFER_CELL {
            // SAFETY: larger buffers come from the system with this layout.
            unsafe { std::alloc::dealloc(buffer, Layout::from_size_align_unchecked(size, 16)) };
            self.external_bytes = self.external_bytes.saturating_sub(size);
        }
    }

    /// Would [`Heap::barrier`] do anything?
    #[inline(always)]
    #[expect(clippy::not_unsafe_ptr_arg_deref, reason = "headers come from `Gc`, which is alive by contract")]
    pub fn needs_barrier(&self, container: *mut Header) -> bool {
        // SAFETY: the container is a live object.
        unsafe { (*container).color.get() == self.barrier_color }
    }

    /// The write barrier: to be called when a reference has been stored in an object.
    #[inline(always)]
    pub fn barrier(&mut self, container: *mut Header) {
        if self.needs_barrier(container) {
            self.barrier_slow(container);
        }
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for block in self.classes.iter().flat_map(|c| &c.blocks) {
            // SAFETY: nothing uses the heap any more; each object is released once.
            unsafe {
                (**block).release_all(|object| {
                    collect::release(object, &mut Vec::new(), &mut Spare::default());
                });
            }
        }
        for chunk in &self.chunks {
            // SAFETY: chunks were allocated with this layout.
            unsafe { std::alloc::dealloc(*chunk, chunk_layout()) };
        }
    }
}

fn chunk_layout() -> Layout {
    Layout::from_size_align(CHUNK_BLOCKS * block::BLOCK_SIZE, block::BLOCK_SIZE).expect("a valid layout")
}
