//! Where fields were found lately, by shape and name: for instructions that meet more shapes than their inline cache holds.
//!
//! Entries refer to their objects weakly: the collector clears them all in each cycle, before anything is freed.

#![forbid(unsafe_code)]

use super::heap::Gc;
use super::shape::Shape;
use super::string::Str;
use super::table::Table;

const ENTRIES: usize = 256;

/// Where a field was found.
#[derive(Clone, Copy)]
pub struct Lookup {
    /// The receiver's shape.
    shape: Gc<Shape>,
    name: Gc<Str>,
    /// The table found through `__index`; none: the field is the receiver's own.
    pub holder: Option<Gc<Table>>,
    /// The slot there.
    pub slot: u32,
    /// The heap's epoch then, which matters if there is a holder.
    epoch: u32,
}

/// The entries.
pub struct Lookups {
    entries: [Option<Lookup>; ENTRIES],
    any: bool,
}

impl Lookups {
    pub(super) fn new() -> Lookups {
        Lookups { entries: [None; ENTRIES], any: false }
    }

    fn place(shape: Gc<Shape>, name: Gc<Str>) -> usize {
        let bits = (shape.address() >> 4) ^ (name.address() >> 4).wrapping_mul(31);
        (bits ^ bits >> 9) % ENTRIES
    }

    /// Where tables of this shape have the field.
    #[inline]
    pub fn find(&self, shape: Gc<Shape>, name: Gc<Str>, epoch: u32) -> Option<Lookup> {
        let found = self.entries[Self::place(shape, name)]?;
        let valid = found.shape == shape && found.name == name && (found.holder.is_none() || found.epoch == epoch);
        valid.then_some(found)
    }

    /// Remembers where tables of this shape have the field.
    pub fn remember(&mut self, shape: Gc<Shape>, name: Gc<Str>, holder: Option<Gc<Table>>, slot: usize, epoch: u32) {
        self.entries[Self::place(shape, name)] = Some(Lookup { shape, name, holder, slot: slot as u32, epoch });
        self.any = true;
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        if self.any {
            self.entries = [None; ENTRIES];
            self.any = false;
        }
    }
}
