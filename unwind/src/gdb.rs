//! gdb's JIT interface: a list of ELF images in memory that gdb reads at a stop in `__jit_debug_register_code`.
//!
//! gdb finds the two symbols below by name (gdb manual, "JIT Compilation Interface"), sets a breakpoint in the function, and
//! reads the descriptor when it hits. So the function must exist as one, not inlined and not folded into another empty one,
//! and both names must survive link-time optimization. Without gdb attached, an entry costs its memory and a call.
//!
//! An entry must be dropped before its code is freed or reused: gdb would otherwise explain the new code with the old text,
//! and write back the old byte when it removes a breakpoint.

use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `jit_code_entry`: an image in gdb's list.
#[repr(C)]
struct CodeEntry {
    next: *mut CodeEntry,
    previous: *mut CodeEntry,
    image: *const u8,
    image_size: u64,
}

/// `jit_descriptor`: the list's head and what changed last.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut CodeEntry,
    first: *mut CodeEntry,
}

// The values of `jit_actions_t`.
const NO_ACTION: u32 = 0;
const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

#[unsafe(no_mangle)]
#[used]
static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: NO_ACTION, relevant: ptr::null_mut(), first: ptr::null_mut() };

/// gdb sets a breakpoint here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn __jit_debug_register_code() {
    // SAFETY: no instruction; it keeps the body from being empty, and so the function and the calls to it. Not `nomem`: what
    // was written to the descriptor before the call must be in memory.
    unsafe { std::arch::asm!("", options(nostack, preserves_flags)) };
}

/// Guards the descriptor and every entry's links.
static LIST: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    // Nothing under the lock can panic; a poisoned lock guards a whole list all the same.
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An image that gdb knows while this value lives.
#[derive(Debug)]
pub struct Entry {
    /// Made by `Box::into_raw`: gdb and the neighbours in the list point to it.
    entry: *mut CodeEntry,
    /// What `entry` points to.
    _image: Box<[u8]>,
}

impl Entry {
    /// Puts `image`, an ELF file, into gdb's list.
    pub fn new(image: Vec<u8>) -> Self {
        let image = image.into_boxed_slice();
        let entry = Box::into_raw(Box::new(CodeEntry {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            image: image.as_ptr(),
            image_size: image.len() as u64,
        }));
        let _guard = lock();
        // SAFETY: under the lock nobody else touches the descriptor or an entry's links; all entries in the list are live,
        // since `drop` unlinks before it frees.
        unsafe {
            let descriptor = &raw mut __jit_debug_descriptor;
            let first = (*descriptor).first;
            (*entry).next = first;
            if !first.is_null() {
                (*first).previous = entry;
            }
            (*descriptor).first = entry;
            notify(entry, REGISTER);
        }
        Entry { entry, _image: image }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _guard = lock();
        // SAFETY: as in `new`; the entry is in the list and is freed once, after it has left the list and gdb was told.
        unsafe {
            let CodeEntry { next, previous, .. } = *self.entry;
            if previous.is_null() {
                __jit_debug_descriptor.first = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            notify(self.entry, UNREGISTER);
            drop(Box::from_raw(self.entry));
        }
    }
}

/// Tells gdb what happened to `entry`.
///
/// # Safety
/// The list's lock is held, and `entry` is live.
unsafe fn notify(entry: *mut CodeEntry, action: u32) {
    // SAFETY: the caller holds the lock.
    unsafe {
        let descriptor = &raw mut __jit_debug_descriptor;
        (*descriptor).relevant = entry;
        (*descriptor).action = action;
        __jit_debug_register_code();
        (*descriptor).action = NO_ACTION;
        (*descriptor).relevant = ptr::null_mut();
    }
}

/// Whether a debugger watches this process that reads the images: while the process runs it has a breakpoint in the function. Costs
/// no more than a load.
pub fn is_attached() -> bool {
    /// `int3`
    const BREAKPOINT: u8 = 0xcc;
    // SAFETY: code can be read. The function does not begin with this byte of itself, since it returns.
    unsafe { ptr::read_volatile(__jit_debug_register_code as *const u8) == BREAKPOINT }
}

/// How many images gdb would read if it attached now.
pub fn entries() -> usize {
    let _guard = lock();
    let mut count = 0;
    // SAFETY: under the lock all entries in the list are live and their links do not change.
    unsafe {
        let mut entry = __jit_debug_descriptor.first;
        while !entry.is_null() {
            count += 1;
            entry = (*entry).next;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_the_list_in_any_order() {
        let before = entries();
        let mut all: Vec<_> = (0..5).map(|n| Entry::new(vec![n; 8])).collect();
        assert_eq!(entries(), before + 5);
        for at in [2, 0, 2, 1, 0] {
            drop(all.remove(at));
            assert_eq!(entries(), before + all.len());
        }
    }
}
