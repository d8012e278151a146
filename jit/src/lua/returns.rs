//! Where compiled code goes on after a return.
//!
//! A trace that ends with a return from its own frame goes on in the trace that begins behind the caller's call instruction, if
//! there is one. Which one that is stands in a map from the address of the caller's next instruction; a small direct-mapped cache
//! of that map is read by compiled code itself.
#![forbid(unsafe_code)]

use std::mem::offset_of;

use rustc_hash::FxHashMap;

/// Where a return leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReturnPlace {
    /// The address of the caller's next instruction.
    pub address: usize,
    /// How many results there are, where the call wants all; [`FIXED`] where it wants a fixed number.
    pub open: u32,
}

/// The call wants a fixed number of results.
pub const FIXED: u32 = u32::MAX;

/// The traces for what is done behind calls, by number.
pub type ReturnTraces = FxHashMap<ReturnPlace, u32>;

/// An entry of the cache.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
struct Target {
    /// The address of an instruction behind a call that wants a fixed number of results.
    address: usize,
    /// The address of the code of its trace.
    code: usize,
}

/// Bytes of an entry; the address is its first field.
pub const TARGET_SIZE: usize = size_of::<Target>();
/// Where in an entry the address of the code stands.
pub const TARGET_CODE: usize = offset_of!(Target, code);

const ENTRIES: usize = 512;

/// The cache that compiled code reads. It does not move.
#[derive(Debug)]
pub struct ReturnCache(Box<[Target; ENTRIES]>);

impl Default for ReturnCache {
    fn default() -> ReturnCache {
        ReturnCache(Box::new([Target::default(); ENTRIES]))
    }
}

impl ReturnCache {
    /// How far an instruction's address is shifted to the left for its entry's place, in bytes.
    pub const SHIFT: u8 = 2;
    /// What is left of that.
    pub const MASK: i32 = ((ENTRIES - 1) * TARGET_SIZE) as i32;

    /// The address of the first entry.
    pub fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    fn index(address: usize) -> usize {
        (address << Self::SHIFT & Self::MASK as usize) / TARGET_SIZE
    }

    /// Where the code for a place is, if it is known here.
    pub fn get(&self, place: ReturnPlace) -> Option<usize> {
        let target = &self.0[Self::index(place.address)];
        (target.address == place.address && place.open == FIXED).then_some(target.code)
    }

    /// Notes where the code for a place is.
    pub fn insert(&mut self, place: ReturnPlace, code: usize) {
        if place.open == FIXED {
            self.0[Self::index(place.address)] = Target { address: place.address, code };
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(Target::default());
    }
}
