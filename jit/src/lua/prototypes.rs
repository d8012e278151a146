//! What is known of prototypes: how often recording a loop of theirs has failed, and which traces are theirs.
//!
//! A prototype keeps alive what its traces refer to, not the other way round; when it is gone, so are its traces.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::tier::Site;

use super::record::live::Liveness;

/// What is known of a prototype.
#[derive(Default)]
pub struct Known {
    /// The traces that are entered in its frames.
    pub traces: Vec<u32>,
    /// How often recording failed, by the loop's back edge.
    pub penalties: FxHashMap<u32, u32>,
    /// How often recording failed at the entry.
    pub entry_penalty: u32,
    /// A recording has met a call of it inside of itself.
    pub recursive: bool,
    /// How many times as many calls as make it hot pass until it is looked at again whether it calls itself.
    looks: u32,
    /// It has been called as often as makes a function hot.
    pub hot: bool,
    /// Calls of native functions, by their places in the code, that have failed while they were recorded as calls without frames.
    pub failing: FxHashSet<u32>,
    /// How often a return to a place, with so many values in an open list, found no trace there; and how often it has to.
    pub returns: FxHashMap<(u32, u32), (u32, u32)>,
    /// How many times as hot as at first a site will be when it is hot next, where it has to be more than once.
    waited: FxHashMap<Site, u32>,
    /// Which registers are alive where.
    liveness: Option<Rc<Liveness>>,
}

/// A function that does not call itself is looked at again after up to so many times as many calls as make it hot.
const MAX_LOOKS: u32 = 64;

impl Known {
    /// A recording has met a call of the prototype, whose function did run already: it is worth a trace of its own.
    pub fn note_recursion(&mut self, proto: Gc<Proto>) {
        self.recursive = true;
        proto.hot.set((proto.hot.get() / self.looks.max(1)).max(1));
        self.looks = 1;
    }

    /// The prototype is hot, but did not run already: answers after how many times as many calls to look again.
    pub fn look_later(&mut self) -> u32 {
        self.looks = (self.looks * 2).clamp(2, MAX_LOOKS);
        self.looks
    }

    /// Which registers of the prototype are alive where.
    pub fn liveness(&mut self, proto: Gc<Proto>) -> Rc<Liveness> {
        let make = || Rc::new(Liveness::new(&proto.original_code(), proto.max_stack.into(), &proto.locals));
        self.liveness.get_or_insert_with(make).clone()
    }
}

/// All prototypes that something is known of, by the number under which they are watched.
#[derive(Default)]
pub struct Prototypes {
    known: FxHashMap<u32, Known>,
    last: u32,
}

impl Prototypes {
    /// What is known of a prototype, which is watched from now on.
    pub fn of(&mut self, proto: Gc<Proto>) -> &mut Known {
        if proto.watched.get() == 0 {
            self.last += 1;
            proto.watched.set(self.last);
        }
        self.known.entry(proto.watched.get()).or_default()
    }

    /// Whether a prototype has been called as often as makes a function hot.
    pub fn was_hot(&self, proto: Gc<Proto>) -> bool {
        self.known.get(&proto.watched.get()).is_some_and(|known| known.hot)
    }

    /// How many times as long as at first a site that is hot now has to run until it is asked again, where it has to be `patience` times
    /// as hot in all. 0: it is hot enough.
    pub fn waits(&mut self, proto: Gc<Proto>, site: Site, patience: u32) -> u32 {
        if patience <= 1 {
            return 0;
        }
        let waited = &mut self.of(proto).waited;
        let so_far = waited.remove(&site).unwrap_or(1);
        // Patience may come to less meanwhile.
        let more = patience.saturating_sub(so_far).min(so_far);
        if more > 0 {
            waited.insert(site, so_far + more);
        }
        more
    }

    /// Forgets a prototype that is gone. Answers what was known of it.
    pub fn forget(&mut self, watched: u32) -> Known {
        self.known.remove(&watched).unwrap_or_default()
    }
}
