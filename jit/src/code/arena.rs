//! A range of executable memory with a trampoline at its start and an allocator for the rest.
//!
//! Code is made in a [`Buffer`] that knows its final address from the start, so that jumps to other code of the arena are
//! assembled as they will be. The block claimed for it is cut to size when it is published. Blocks are given out from the
//! lowest hole that is large enough, so that memory in use stays dense, and come back when their `Buffer` or `Code` is
//! dropped; neighbouring holes are joined.
#![forbid(unsafe_code)]

use super::CodeError;
use super::buffer::Buffer;
use super::exit::Deoptimizer;
use super::map::{CodeSpace, Writing};
use super::trampoline::{self, Stepper, Trampoline};
use perilune_unwind::frame::Frame;
use perilune_unwind::gdb::Entry;
use perilune_unwind::object::{self, Part};
use perilune_unwind::register::FrameRegistration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Blocks start and end at multiples of this: what the processor fetches at once, and where code starts well.
pub const ALIGN: usize = 16;

/// A range of executable memory, with `H` at its start: how its code is entered and left. Buffers and published code keep what they
/// need of it alive.
#[derive(Debug)]
pub struct Arena<H = Trampoline> {
    shared: Rc<Shared>,
    head: H,
}

/// The code at the start of an arena, assembled for that address.
pub struct Head {
    /// Its bytes.
    pub code: Vec<u8>,
    /// The frame in it; the rules behind its last step hold for all of the arena.
    pub frame: Frame,
    /// Its parts, for debuggers.
    pub parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) struct Shared {
    // Dropped in this order: first the outside is told that the code is gone, then the memory goes.
    _entry: Entry,
    _frames: FrameRegistration,
    holes: RefCell<Holes>,
    range: Range<usize>,
    frame: Frame,
    /// The first byte behind the head.
    first: usize,
    pub(super) space: Rc<CodeSpace>,
}

impl Arena {
    /// Cuts an arena of `size` bytes (rounded up to whole pages) off `space`. Exits of its code go to `deoptimizer`, and on from there as
    /// `stepper` says, if there is one.
    pub fn new(
        space: &Rc<CodeSpace>,
        size: usize,
        deoptimizer: Deoptimizer,
        stepper: Option<Stepper>,
    ) -> Result<Arena, CodeError> {
        Arena::with_head(space, size, |start| {
            let assembled = trampoline::assemble(start, deoptimizer, stepper)?;
            let parts = assembled.trampoline.parts();
            Ok((assembled.trampoline, Head { code: assembled.code, frame: assembled.frame, parts }))
        })
    }

    /// How its code is entered and left.
    pub fn trampoline(&self) -> Trampoline {
        self.head
    }
}

impl<H> Arena<H> {
    /// Cuts an arena of `size` bytes (rounded up to whole pages) off `space`; `assemble` makes what stands at its start.
    pub fn with_head(
        space: &Rc<CodeSpace>,
        size: usize,
        assemble: impl FnOnce(usize) -> Result<(H, Head), CodeError>,
    ) -> Result<Arena<H>, CodeError> {
        let range = space.cut(size).ok_or(CodeError::Full { wanted: size })?;
        let (head, Head { code, frame, parts }) = assemble(range.start)?;
        let used = range.start..range.start + code.len();
        if used.end > range.end {
            return Err(CodeError::Full { wanted: used.len() });
        }
        space.write(used.clone(), |bytes| bytes.copy_from_slice(&code))?;
        let start = range.start as u64;
        let length = u32::try_from(range.len()).map_err(|_| CodeError::Full { wanted: size })?;
        let frames = FrameRegistration::new(&frame, start, length)?;
        let image = object::arena_image(&frame, start, length, &parts)?;
        let first = used.end.next_multiple_of(ALIGN);
        let holes = Holes::new(first..range.end);
        let shared = Shared {
            _entry: Entry::new(image),
            _frames: frames,
            holes: RefCell::new(holes),
            range,
            frame,
            first,
            space: Rc::clone(space),
        };
        Ok(Arena { shared: Rc::new(shared), head })
    }

    /// Starts code of at most `bound` bytes.
    pub fn begin(&self, bound: usize) -> Result<Buffer, CodeError> {
        Ok(Buffer::new(Block::claim(&self.shared, bound)?, bound))
    }

    /// What is published and patched while the answer lives can be run when it is gone; nothing of the arena may run until then.
    pub fn writing(&self) -> Writing {
        self.shared.space.writing()
    }

    /// What stands at its start.
    pub fn head(&self) -> &H {
        &self.head
    }

    /// The frame in its head; the rules behind its last step hold in all other code.
    pub fn frame(&self) -> &Frame {
        &self.shared.frame
    }

    /// All addresses of the arena.
    pub fn range(&self) -> Range<usize> {
        self.shared.range.clone()
    }

    /// Bytes that live buffers and published code occupy.
    pub fn used(&self) -> usize {
        self.range().end - self.shared.first - self.shared.holes.borrow().free
    }

    pub(super) fn space(&self) -> &CodeSpace {
        &self.shared.space
    }
}

/// A part of an arena that is in use; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) shared: Rc<Shared>,
    range: Range<usize>,
}

impl Block {
    fn claim(shared: &Rc<Shared>, length: usize) -> Result<Block, CodeError> {
        let full = CodeError::Full { wanted: length };
        let Some(length) = length.max(1).checked_next_multiple_of(ALIGN) else { return Err(full) };
        let Some(range) = shared.holes.borrow_mut().take(length) else { return Err(full) };
        Ok(Block { shared: Rc::clone(shared), range })
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Gives back what lies beyond the first `length` bytes, but for the padding.
    pub(super) fn shrink(&mut self, length: usize) {
        let end = (self.range.start + length.max(1).next_multiple_of(ALIGN)).min(self.range.end);
        self.shared.holes.borrow_mut().give(end..self.range.end);
        self.range.end = end;
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.shared.holes.borrow_mut().give(self.range());
    }
}

/// What is free, as disjoint ranges that do not touch, by start.
#[derive(Debug)]
struct Holes {
    by_start: BTreeMap<usize, usize>,
    /// The sum of their lengths.
    free: usize,
}

impl Holes {
    fn new(range: Range<usize>) -> Holes {
        let mut holes = Holes { by_start: BTreeMap::new(), free: 0 };
        holes.give(range);
        holes
    }

    /// Takes the first `length` bytes of the lowest hole that has so many.
    fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let (&start, &end) = self.by_start.iter().find(|&(&start, &end)| end - start >= length)?;
        self.by_start.remove(&start);
        if start + length < end {
            self.by_start.insert(start + length, end);
        }
        self.free -= length;
        Some(start..start + length)
    }

    /// Gives back a range that is no part of a hole.
    fn give(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.free += range.len();
        let Range { mut start, mut end } = range;
        if let Some((&before, &before_end)) = self.by_start.range(..start).next_back() {
            debug_assert!(before_end <= start);
            if before_end == start {
                start = before;
            }
        }
        if let Some(after_end) = self.by_start.remove(&end) {
            end = after_end;
        }
        self.by_start.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_taken_low_and_joined() {
        let mut holes = Holes::new(0..100);
        let blocks: Vec<_> = (0..4).map(|_| holes.take(20).unwrap()).collect();
        assert_eq!(blocks[3], 60..80);
        holes.give(blocks[0].clone());
        holes.give(blocks[2].clone());
        assert_eq!(holes.by_start.len(), 3);
        assert_eq!(holes.take(30), None);
        assert_eq!(holes.take(10), Some(0..10));
        holes.give(blocks[1].clone());
        assert_eq!(holes.take(50), Some(10..60));
        holes.give(0..10);
        holes.give(10..60);
        holes.give(blocks[3].clone());
        assert_eq!((holes.free, holes.by_start.len()), (100, 1));
    }
}
