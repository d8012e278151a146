//! The call frames of a coroutine: a vector whose fields lie where compiled code knows them, so that a compiled call is a few
//! stores, and a compiled return a few loads.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ops::{Deref, DerefMut};
use std::ptr;

use super::thread::Frame;

/// Frames there is room for when the first one is pushed.
const FIRST: usize = 4;

/// A growing list of call frames.
///
/// Invariants: `start..end` are initialized frames, `start..limit` is memory of ours, which comes from the allocator with the
/// layout of so many frames, if there is any.
#[repr(C)]
pub struct Frames {
    start: *mut Frame,
    end: *mut Frame,
    limit: *mut Frame,
}

impl Default for Frames {
    fn default() -> Frames {
        let nowhere = ptr::dangling_mut();
        Frames { start: nowhere, end: nowhere, limit: nowhere }
    }
}

impl Frames {
    pub(super) const START_OFFSET: usize = std::mem::offset_of!(Frames, start);
    pub(super) const END_OFFSET: usize = std::mem::offset_of!(Frames, end);
    pub(super) const LIMIT_OFFSET: usize = std::mem::offset_of!(Frames, limit);

    /// Number of frames.
    #[inline(always)]
    pub fn len(&self) -> usize {
        // SAFETY: both point into the same memory.
        unsafe { self.end.offset_from_unsigned(self.start) }
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Adds a frame on top.
    #[inline(always)]
    pub fn push(&mut self, frame: Frame) {
        if self.end == self.limit {
            self.grow();
        }
        // SAFETY: `end` is below the limit.
        unsafe {
            self.end.write(frame);
            self.end = self.end.add(1);
        }
    }

    /// Takes the top frame.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Frame> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: there is a frame below the end.
        unsafe {
            self.end = self.end.sub(1);
            Some(self.end.read())
        }
    }

    /// Drops all frames but the first `len`, if there are more.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.end = self.start.wrapping_add(len);
        }
    }

    /// Drops all frames.
    pub fn clear(&mut self) {
        self.end = self.start;
    }

    /// Sets the number of frames.
    ///
    /// # Safety
    /// So many frames are initialized.
    #[inline(always)]
    pub unsafe fn set_len(&mut self, len: usize) {
        self.end = self.start.wrapping_add(len);
    }

    /// Number of frames that there is room for.
    #[inline(always)]
    pub fn capacity(&self) -> usize {
        (self.limit.addr() - self.start.addr()) / size_of::<Frame>()
    }

    /// Whether this has grown little, but has room for a frame.
    pub(super) fn is_short(&self) -> bool {
        (1..=4 * FIRST).contains(&self.capacity())
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let (len, old) = (self.len(), self.capacity());
        let new = (old * 2).max(FIRST);
        let layout = |n: usize| Layout::array::<Frame>(n).expect("frames are bounded by the slots of a stack");
        // SAFETY: the old memory, if any, comes from here; the new size is not 0.
        let start = unsafe {
            match old {
                0 => alloc(layout(new)),
                _ => realloc(self.start.cast(), layout(old), layout(new).size()),
            }
        };
        if start.is_null() {
            handle_alloc_error(layout(new));
        }
        self.start = start.cast();
        self.end = self.start.wrapping_add(len);
        self.limit = self.start.wrapping_add(new);
    }
}

impl Deref for Frames {
    type Target = [Frame];

    #[inline(always)]
    fn deref(&self) -> &[Frame] {
        // SAFETY: the invariants.
        unsafe { std::slice::from_raw_parts(self.start, self.len()) }
    }
}

impl DerefMut for Frames {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Frame] {
        // SAFETY: the invariants, and the list is borrowed for it.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len()) }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let capacity = self.capacity();
        if capacity > 0
            && let Ok(layout) = Layout::array::<Frame>(capacity)
        {
            // SAFETY: the memory comes from `grow`, with this layout.
            unsafe { dealloc(self.start.cast(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::thread::FrameKind;
    use super::*;

    #[test]
    fn grows_and_shrinks_as_a_vector() {
        let mut frames = Frames::default();
        assert!(frames.is_empty() && frames.last().is_none() && frames.pop().is_none());
        for base in 0..100 {
            frames.push(Frame::new(FrameKind::Lua, ptr::null(), base, 1, 0));
        }
        assert!(frames.len() == 100 && frames.capacity() >= 100);
        assert!(frames.iter().map(|f| f.base).eq(0..100));
        frames.truncate(7);
        assert_eq!(frames.pop().map(|f| f.base), Some(6));
        assert_eq!((frames.len(), frames.last().map(|f| f.base)), (6, Some(5)));
        frames.clear();
        assert!(frames.is_empty());
    }
}
