//! The table of branch targets: from rip, address space and mode to code.
//!
//! Compiled code asks it for targets that it is not linked to: computed ones, and those on another page than the jump. It is direct-mapped by
//! the low bits of rip. A key is rip, which is canonical, with the number of the address space and the bits of the mode that differ in
//! 64-bit code in place of the upper sixteen bits, exclusive-or. So a switch of address space makes other entries valid, and a
//! flush makes them invalid, as it does in the TLB; INVLPG and what clears the TLB clear the table.
#![forbid(unsafe_code)]

use perilune_runtime::guest::cpu::mode;
use std::mem::offset_of;

/// Number of entries.
const ENTRIES: usize = 4096;

/// The bits of rip that choose an entry.
pub const MASK: u64 = ENTRIES as u64 - 1;

/// log2 of an entry's bytes.
pub const SHIFT: u32 = size_of::<Entry>().trailing_zeros();

/// Where the key lies in an entry.
pub const KEY: i32 = offset_of!(Entry, key) as i32;

/// Where the code's address lies in an entry.
pub const CODE: i32 = offset_of!(Entry, code) as i32;

/// A target.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    code: u64,
}

/// No key is this: address space 0 is never in use.
const NO_ENTRY: Entry = Entry { key: 0, code: 0 };

/// What rip is combined with to make a key.
pub fn salt(space: u64, bits: u32) -> u64 {
    let mode = u64::from(bits / mode::X87) & 15;
    (space | mode << 12) << 48
}

const _: () = assert!(
    mode::X87 * 15 == mode::X87 | mode::SSE | mode::STACK_32 | mode::FLAT,
    "with the width and the address space, which knows CPL 3, this is all of the mode"
);

/// Where the entry of an address lies, from the start of the table.
pub fn offset(rip: u64) -> i32 {
    ((rip & MASK) << SHIFT) as i32
}

/// The table.
#[derive(Debug)]
pub struct Table {
    entries: Box<[Entry; ENTRIES]>,
}

impl Default for Table {
    fn default() -> Table {
        Table { entries: Box::new([NO_ENTRY; ENTRIES]) }
    }
}

impl Table {
    /// Where it lies; it does not move.
    pub fn address(&self) -> *const std::ffi::c_void {
        self.entries.as_ptr().cast()
    }

    /// Enters a target.
    pub fn enter(&mut self, rip: u64, salt: u64, code: usize) {
        self.entries[(rip & MASK) as usize] = Entry { key: rip ^ salt, code: code as u64 };
    }

    /// Forgets the code at an address.
    pub fn forget(&mut self, rip: u64, code: usize) {
        let entry = &mut self.entries[(rip & MASK) as usize];
        if entry.code == code as u64 {
            *entry = NO_ENTRY;
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.fill(NO_ENTRY);
    }
}
