//! The optimizer. `fold`, `cse` and `fwd` work on each instruction as it is emitted, be it recorded or copied by a
//! pass; `peel` copies the body of a loop through them, and `range` takes bounds checks out of the copy; `sink` leaves the making of
//! objects to exits; `dse` and `dce` remove what is left unused.
#![forbid(unsafe_code)]

pub mod copy;
pub mod dce;
pub mod dse;
pub mod fold;
pub mod forward;
pub mod peel;
pub mod range;
pub mod sink;
#[cfg(test)]
mod tests;

/// Which passes are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passes {
    /// Folding and algebraic simplification.
    pub fold: bool,
    /// Value numbering of pure operations and guards.
    pub cse: bool,
    /// Forwarding of loads and stores to loads; redundant barriers and tags.
    pub fwd: bool,
    /// Dead stores.
    pub dse: bool,
    /// Dead code.
    pub dce: bool,
    /// Allocation sinking.
    pub sink: bool,
    /// Loop peeling. Without it a loop's body stands once, links to its own start and loads its slots again there.
    pub peel: bool,
    /// Bounds checks before loops instead of in them.
    pub range: bool,
}

impl Passes {
    /// All passes.
    pub const ALL: Passes =
        Passes { fold: true, cse: true, fwd: true, dse: true, dce: true, sink: true, peel: true, range: true };
    /// No pass.
    pub const NONE: Passes =
        Passes { fold: false, cse: false, fwd: false, dse: false, dce: false, sink: false, peel: false, range: false };
    /// The passes' names.
    pub const NAMES: [&'static str; 8] = ["fold", "cse", "fwd", "dse", "dce", "sink", "loop", "range"];

    /// The switch of the pass with this name.
    pub fn by_name(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "fold" => &mut self.fold,
            "cse" => &mut self.cse,
            "fwd" => &mut self.fwd,
            "dse" => &mut self.dse,
            "dce" => &mut self.dce,
            "sink" => &mut self.sink,
            "loop" => &mut self.peel,
            "range" => &mut self.range,
            _ => return None,
        })
    }
}

impl Default for Passes {
    fn default() -> Passes {
        Passes::ALL
    }
}
