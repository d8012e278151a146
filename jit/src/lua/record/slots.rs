//! What a recording knows of the slots of the Lua stack: their values, and which of them memory does not hold.
//!
//! Slots are relative to the base at the trace's entry. The modified ones are kept as bits, too: every snapshot lists them.
#![forbid(unsafe_code)]

use super::MAX_SLOTS;
use crate::lua::ir::Ref;

/// Slots below the entry's base that a recording may touch: the function, and its extra arguments.
pub(super) const BELOW: i32 = 64;
const COUNT: usize = MAX_SLOTS + BELOW as usize + 300;

/// All slots.
pub(super) struct Slots {
    /// Values; none: what is in memory, of which nothing is known.
    values: Vec<Ref>,
    /// A bit for each slot whose value memory does not hold.
    modified: [u64; COUNT.div_ceil(64)],
    highest: i16,
}

impl Slots {
    pub(super) fn new() -> Slots {
        Slots { values: vec![Ref::NONE; COUNT], modified: [0; COUNT.div_ceil(64)], highest: 0 }
    }

    /// How many slots above the base have been in use.
    pub(super) fn highest(&self) -> usize {
        self.highest as usize
    }

    fn index(slot: i16) -> usize {
        (i32::from(slot) + BELOW) as usize
    }

    /// The value, or none.
    pub(super) fn value(&self, slot: i16) -> Ref {
        self.values[Slots::index(slot)]
    }

    /// Says what memory holds.
    pub(super) fn know(&mut self, slot: i16, value: Ref) {
        self.values[Slots::index(slot)] = value;
    }

    /// Assigns a value that memory does not hold.
    pub(super) fn set(&mut self, slot: i16, value: Ref) {
        self.know(slot, value);
        self.modify(slot);
        self.highest = self.highest.max(slot + 1);
    }

    /// Says that memory does not hold the known value.
    pub(super) fn modify(&mut self, slot: i16) {
        let index = Slots::index(slot);
        self.modified[index / 64] |= 1 << (index % 64);
    }

    /// Memory holds the slot, and nothing is known of it.
    pub(super) fn forget(&mut self, slot: i16) {
        let index = Slots::index(slot);
        self.values[index] = Ref::NONE;
        self.modified[index / 64] &= !(1 << (index % 64));
    }

    /// All values were stored: memory holds them.
    pub(super) fn stored(&mut self) {
        self.modified = [0; COUNT.div_ceil(64)];
    }

    /// Calls `found` with the modified slots from `from` on and before `to`, ascending, and their values.
    pub(super) fn modified(&self, from: i32, to: i32, mut found: impl FnMut(i16, Ref)) {
        let (from, to) = ((from + BELOW) as usize, (to + BELOW) as usize);
        for word in from / 64..to.div_ceil(64) {
            let mut bits = self.modified[word];
            if word == from / 64 {
                bits &= !0 << (from % 64);
            }
            if word == to / 64 {
                bits &= !(!0 << (to % 64));
            }
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                found((index as i32 - BELOW) as i16, self.values[index]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modified_slots_are_listed_in_order() {
        let mut slots = Slots::new();
        let r = Ref::inst;
        for slot in [130, -1, 0, 63, 64, 127, 500, -64] {
            slots.set(slot, r((slot + 64) as usize));
        }
        slots.know(5, r(1));
        slots.forget(64);
        let listed = |slots: &Slots, from, to| {
            let mut list = Vec::new();
            slots.modified(from, to, |slot, value| list.push((slot, value)));
            assert!(list.iter().all(|(slot, value)| *value == r((slot + 64) as usize)));
            list.into_iter().map(|(slot, _)| slot).collect::<Vec<_>>()
        };
        assert_eq!(listed(&slots, -64, 550), [-64, -1, 0, 63, 127, 130, 500]);
        assert_eq!(listed(&slots, -1, 63), [-1, 0]);
        assert_eq!(listed(&slots, 1, 128), [63, 127]);
        assert_eq!(listed(&slots, 10, 10), vec![]);
        assert_eq!(listed(&slots, 10, 5), vec![]);
        slots.modify(5);
        slots.stored();
        assert_eq!((listed(&slots, -64, 550), slots.value(5)), (vec![], r(1)));
    }
}
