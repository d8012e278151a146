//! Tells libgcc's unwinder of an `.eh_frame` section, for as long as a value lives.
//!
//! libgcc keeps a pointer to the section, so the value owns it. Each registered section makes every throw of the process
//! a little slower, whether or not its code is on the stack: register one for a whole arena, never one for a function.

use crate::Error;
use crate::cfi;
use crate::frame::Frame;

unsafe extern "C" {
    // Declared by libgcc (unwind-dw2-fde.h). `begin` is a whole .eh_frame section that ends in a zero word.
    fn __register_frame(begin: *const u8);
    fn __deregister_frame(begin: *const u8);
}

/// A stretch of code that panics and backtraces can cross while this value lives.
#[derive(Debug)]
pub struct FrameRegistration {
    /// The section, at an address that does not change. A word's alignment is what the linker would give it.
    section: Box<[u64]>,
}

impl FrameRegistration {
    /// Registers `frame` for `length` bytes of code at `start`.
    pub fn new(frame: &Frame, start: u64, length: u32) -> Result<Self, Error> {
        let bytes = cfi::eh_frame(frame, start, length)?;
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        let section: Box<[u64]> = words.collect();
        // SAFETY: the section is well-formed, ends in a zero word, and lives until it is deregistered in `drop`.
        unsafe { __register_frame(section.as_ptr().cast()) };
        Ok(FrameRegistration { section })
    }
}

impl Drop for FrameRegistration {
    fn drop(&mut self) {
        // SAFETY: registered once in `new`, at the same address; deregistered only here.
        unsafe { __deregister_frame(self.section.as_ptr().cast()) };
    }
}
