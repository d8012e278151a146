//! Where compiled code goes on after a return.
//!
//! A trace that ends with a return from its own frame goes on in the trace that begins behind the caller's call instruction, if
//! there is one. Which one that is stands in a map from the address of the caller's next instruction; a small direct-mapped cache
//! of that map is read by compiled code itself. Places that returns come to without a trace are counted.
#![forbid(unsafe_code)]

use std::mem::offset_of;

use rustc_hash::FxHashMap;

use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::State;

use super::deopt::{self, Entered};
use super::tier::{Jit, Pending};

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

/// A place behind a call, as it is come to.
#[derive(Clone, Copy)]
pub struct Behind {
    /// The caller's frame.
    pub at: Entered,
    /// The caller's next instruction.
    pub pc: u32,
    /// What returns know of it.
    pub place: ReturnPlace,
}

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

impl Jit {
    /// The trace for what is done behind a call.
    pub(super) fn return_trace(&self, place: ReturnPlace) -> Option<u32> {
        self.returns.get(&place).copied()
    }

    /// The interpreter executes a return, since there is no trace for what the caller does next. Answers whether to record it.
    pub(super) fn missed_return(&mut self, state: &State, count: u16) -> bool {
        let (Some(place), Some((at, proto, pc))) = (deopt::return_place(state, count), deopt::caller(state)) else {
            return false;
        };
        self.missed(proto, Behind { at, pc, place })
    }

    /// The interpreter goes on behind a call that has switched coroutines. Answers whether to record that.
    pub(super) fn missed_switch(&mut self, state: &State) -> bool {
        let (Some(place), Some((at, proto, pc))) = (deopt::place_behind_call(state), deopt::top(state)) else {
            return false;
        };
        if self.returns.contains_key(&place) {
            // There was no room for it.
            return false;
        }
        self.missed(proto, Behind { at, pc, place })
    }

    fn missed(&mut self, proto: Gc<Proto>, behind: Behind) -> bool {
        let Behind { pc, place, .. } = behind;
        let mut prototypes = self.prototypes.borrow_mut();
        let (missed, threshold) =
            prototypes.of(proto).returns.entry((pc, place.open)).or_insert((0, self.options().hotexit));
        *missed += 1;
        let hot = *missed >= threshold.saturating_mul(self.account.patience());
        if hot {
            self.pending = Some(Pending::Return(behind));
        }
        hot
    }
}
