//! Blocks: aligned pieces of memory that hold cells of one size.
//!
//! A block is 32 KiB and aligned to its size, so that a cell finds its block by masking its address. Three bitmaps with
//! one bit for each 16 bytes lie apart from the cells: *mark* (reached in this cycle), *allocated* (handed out), and *owns*
//! (has memory outside of the heap, so a sweep must visit it). Sweeping anything else is `allocated &= mark`.

use super::object::Header;

/// Size and alignment of a block.
pub const BLOCK_SIZE: usize = 32 * 1024;
/// Cells start at multiples of this.
pub const GRANULE: usize = 16;
const WORDS: usize = BLOCK_SIZE / GRANULE / 64;
const FIRST: usize = size_of::<Block>().next_multiple_of(GRANULE);

/// The sizes that cells come in.
pub const SIZES: [u32; 27] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792,
    2048, 2560, 3072, 4096,
];
/// The largest cell.
pub const MAX_CELL: usize = 4096;
/// The largest buffer that is a cell; larger ones lie outside of the heap and are owned by their object.
pub const MAX_BUFFER_CELL: usize = 2048;

const fn class_table() -> [u8; MAX_CELL / GRANULE + 1] {
    let mut table = [0; MAX_CELL / GRANULE + 1];
    let (mut i, mut class) = (0, 0);
    while i < table.len() {
        if i * GRANULE > SIZES[class] as usize {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
}
static CLASSES: [u8; MAX_CELL / GRANULE + 1] = class_table();

/// For each class, the bits of the places where cells begin in a block.
static STARTS: [[u64; WORDS]; SIZES.len()] = starts();

const fn starts() -> [[u64; WORDS]; SIZES.len()] {
    let mut table = [[0; WORDS]; SIZES.len()];
    let mut class = 0;
    while class < SIZES.len() {
        let size = SIZES[class] as usize;
        let mut at = FIRST;
        while at + size <= BLOCK_SIZE {
            let bit = at / GRANULE;
            table[class][bit / 64] |= 1 << (bit % 64);
            at += size;
        }
        class += 1;
    }
    table
}

/// Of the bits of word `word`, those from `from` up to, not including, `to`.
#[inline(always)]
fn between(word: usize, from: usize, to: usize) -> u64 {
    let (from, to) = (from.max(word * 64) - word * 64, to.min(word * 64 + 64) - word * 64);
    let below = |bit: usize| if bit == 64 { !0 } else { (1u64 << bit) - 1 };
    below(to) & !below(from)
}

/// The class of the smallest cells that `size` bytes fit into. `size` is at most [`MAX_CELL`].
#[inline(always)]
pub fn class_of(size: usize) -> usize {
    usize::from(CLASSES[size.div_ceil(GRANULE)])
}

/// The head of a block; its cells follow.
#[repr(C)]
pub struct Block {
    cell_size: u32,
    /// Where the search for free cells goes on.
    cursor: u32,
    mark: [u64; WORDS],
    allocated: [u64; WORDS],
    owns: [u64; WORDS],
}

/// Addresses from `.0` up to, not including, `.1`.
pub type Run = (*mut u8, *mut u8);

impl Block {
    /// Makes a block of empty cells out of raw memory.
    ///
    /// # Safety
    /// `memory` is `BLOCK_SIZE` bytes, aligned to that.
    pub unsafe fn init(memory: *mut u8, cell_size: u32) -> *mut Block {
        let block = memory.cast::<Block>();
        // SAFETY: the caller gives us the memory.
        unsafe {
            block.write(Block {
                cell_size,
                cursor: FIRST as u32,
                mark: [0; WORDS],
                allocated: [0; WORDS],
                owns: [0; WORDS],
            });
        }
        block
    }

    /// The block of a cell and the number of its bit.
    #[inline(always)]
    pub fn of(cell: *const u8) -> (*mut Block, usize) {
        let block = cell.map_addr(|a| a & !(BLOCK_SIZE - 1)).cast_mut().cast();
        (block, (cell.addr() & (BLOCK_SIZE - 1)) / GRANULE)
    }

    /// Marks a cell; answers whether it was marked already.
    #[inline(always)]
    pub fn mark(&mut self, bit: usize) -> bool {
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        let old = self.mark[word] & mask != 0;
        self.mark[word] |= mask;
        old
    }

    /// Is the cell marked?
    #[inline(always)]
    pub fn is_marked(&self, bit: usize) -> bool {
        self.mark[bit / 64] & 1 << (bit % 64) != 0
    }

    /// Notes that a cell's object owns memory outside of the heap.
    pub fn set_owns(&mut self, bit: usize) {
        self.owns[bit / 64] |= 1 << (bit % 64);
    }

    /// The bits of the places where cells begin.
    fn starts(&self) -> &'static [u64; WORDS] {
        &STARTS[class_of(self.cell_size as usize)]
    }

    /// The first bit from `bit` on of those that `bits` tells for each word; none if there is none.
    fn next_bit(bit: usize, bits: impl Fn(usize) -> u64) -> Option<usize> {
        let mut word = bit / 64;
        let mut found = bits(word) & between(word, bit, (word + 1) * 64);
        while found == 0 {
            word += 1;
            if word == WORDS {
                return None;
            }
            found = bits(word);
        }
        Some(word * 64 + found.trailing_zeros() as usize)
    }

    /// Takes the next run of free cells, or its first cell alone, and counts them as allocated.
    pub fn take_run(&mut self, single: bool) -> Option<Run> {
        let (starts, size) = (self.starts(), self.cell_size as usize);
        let cursor = self.cursor as usize / GRANULE;
        if cursor >= WORDS * 64 {
            return None;
        }
        let Some(start) = Block::next_bit(cursor, |word| starts[word] & !self.allocated[word]) else {
            self.cursor = BLOCK_SIZE as u32;
            return None;
        };
        let end = if single {
            start + size / GRANULE
        } else {
            let next = Block::next_bit(start, |word| self.allocated[word]);
            next.unwrap_or(FIRST / GRANULE + (BLOCK_SIZE - FIRST) / size * (size / GRANULE))
        };
        for (word, allocated) in self.allocated.iter_mut().enumerate().take(end.div_ceil(64)).skip(start / 64) {
            *allocated |= starts[word] & between(word, start, end);
        }
        self.cursor = (end * GRANULE) as u32;
        let base = (&raw mut *self).cast::<u8>();
        // SAFETY: both offsets lie within the block, or at its end.
        Some(unsafe { (base.add(start * GRANULE), base.add(end * GRANULE)) })
    }

    /// Gives back what is left of a run.
    pub fn return_run(&mut self, (start, end): Run) {
        let base = (&raw const *self).addr();
        let (start, end) = ((start.addr() - base) / GRANULE, (end.addr() - base) / GRANULE);
        for (word, allocated) in self.allocated.iter_mut().enumerate().take(end.div_ceil(64)).skip(start / 64) {
            *allocated &= !between(word, start, end);
        }
    }

    /// Frees all cells that are not marked, calls `release` on those of them that own memory, clears the marks, and
    /// answers how many bytes became free.
    pub fn sweep(&mut self, mut release: impl FnMut(*mut Header)) -> usize {
        let base = (&raw mut *self).cast::<u8>();
        let mut freed = 0;
        for word in 0..WORDS {
            let mark = self.mark[word];
            let mut dead = self.owns[word] & self.allocated[word] & !mark;
            while dead != 0 {
                let bit = word * 64 + dead.trailing_zeros() as usize;
                dead &= dead - 1;
                // SAFETY: the bit is that of a cell of this block.
                release(unsafe { base.add(bit * GRANULE) }.cast());
            }
            freed += (self.allocated[word] & !mark).count_ones() as usize;
            self.allocated[word] &= mark;
            self.owns[word] &= mark;
            self.mark[word] = 0;
        }
        self.cursor = FIRST as u32;
        freed * self.cell_size as usize
    }

    /// Calls `release` on each object that owns memory; for the end of the heap.
    pub fn release_all(&mut self, mut release: impl FnMut(*mut Header)) {
        self.mark = [0; WORDS];
        self.sweep(&mut release);
    }
}
