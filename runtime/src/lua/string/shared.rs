//! Bytes that several strings share: what a program appends to again and again is not copied each time.
//!
//! `s = s .. x` makes one string more in each round, and each begins with all of the one before. From some length on these strings
//! are prefixes of one *buffer* with room at its end. To append to the longest of them is to write behind it and to make a string
//! that reaches further; the others do not see that. When the room is used up the bytes go to a larger buffer, so that each byte is
//! copied a constant number of times, however long the string becomes.
//!
//! Only the string that reaches to the end of what is written can be appended to in place, and only once: two strings that
//! begin alike and end differently cannot share. Who appends to one string several times, as to a common beginning, gets copies.

use std::alloc::{Layout, alloc, dealloc};

/// The head of a buffer; the bytes follow.
#[repr(C)]
pub(super) struct Head {
    /// How many strings refer to it.
    strings: usize,
    /// Bytes written; more than `capacity` when the strings have outgrown it.
    used: usize,
    /// Bytes there is room for.
    capacity: usize,
}

const HEAD: usize = size_of::<Head>();

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(HEAD.checked_add(capacity)?, align_of::<Head>()).ok()
}

/// A buffer that strings share. It lives until the last of them has been [released](Buffer::release).
#[derive(Clone, Copy)]
pub(super) struct Buffer(*mut Head);

impl Buffer {
    /// An empty one, for one string. None if the system has no memory left.
    pub(super) fn new(capacity: usize) -> Option<Buffer> {
        // SAFETY: the size is not zero.
        let head = unsafe { alloc(layout(capacity)?) }.cast::<Head>();
        if head.is_null() {
            return None;
        }
        // SAFETY: there is room for the head, which is aligned.
        unsafe { head.write(Head { strings: 1, used: 0, capacity }) };
        Some(Buffer(head))
    }

    /// The buffer whose bytes begin here.
    ///
    /// # Safety
    /// `data` came from [`Buffer::data`], and the buffer is alive.
    pub(super) unsafe fn of(data: *const u8) -> Buffer {
        // SAFETY: the head lies in front of the bytes.
        Buffer(unsafe { data.cast_mut().sub(HEAD) }.cast())
    }

    /// Where its bytes begin, which is where all of its strings begin.
    pub(super) fn data(self) -> *mut u8 {
        // SAFETY: the bytes lie behind the head.
        unsafe { self.0.cast::<u8>().add(HEAD) }
    }

    /// Memory it takes, in bytes.
    pub(super) fn size(self) -> usize {
        // SAFETY: the buffer is alive.
        HEAD + unsafe { (*self.0).capacity }
    }

    /// Is a string of this length the longest one, and not outgrown?
    pub(super) fn ends_with(self, len: usize) -> bool {
        // SAFETY: the buffer is alive.
        unsafe { (*self.0).used == len }
    }

    /// Is there room for so many bytes more?
    pub(super) fn has_room(self, more: usize) -> bool {
        // SAFETY: the buffer is alive.
        unsafe { (*self.0).used.saturating_add(more) <= (*self.0).capacity }
    }

    /// Counts a string more.
    pub(super) fn share(self) {
        // SAFETY: the buffer is alive.
        unsafe { (*self.0).strings += 1 };
    }

    /// Nothing is appended any more: the strings go on in a larger one.
    pub(super) fn outgrow(self) {
        // SAFETY: the buffer is alive.
        unsafe { (*self.0).used = usize::MAX };
    }

    /// Writes bytes behind those that are written.
    ///
    /// # Safety
    /// There is room for them.
    pub(super) unsafe fn push(self, bytes: &[u8]) {
        // SAFETY: there is room; what is written so far, which strings show, is not touched. The bytes may lie in the buffer itself,
        // in front of the room.
        unsafe {
            let used = (*self.0).used;
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.data().add(used), bytes.len());
            (*self.0).used = used + bytes.len();
        }
    }

    /// One of its strings is gone. Answers how many bytes became free.
    ///
    /// # Safety
    /// It is not used any more for that string.
    pub(super) unsafe fn release(self) -> usize {
        // SAFETY: the buffer is alive until its last string is gone, and was made with this layout.
        unsafe {
            (*self.0).strings -= 1;
            if (*self.0).strings > 0 {
                return 0;
            }
            let size = self.size();
            if let Some(layout) = layout((*self.0).capacity) {
                dealloc(self.0.cast(), layout);
            }
            size
        }
    }
}
