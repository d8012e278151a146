//! When debuggers are told of traces.
//!
//! To describe a trace costs about as much as to compile it, and a program that ends at once is looked at by nobody. So only
//! the first few traces are described when they are made, unless a debugger runs this program already. The others wait
//! until the program has run for a moment; then they are described together when the next trace is made, or left. A debugger that
//! comes later is noticed then, too: it is told of all traces once more, with their variables.
#![forbid(unsafe_code)]

use std::mem::offset_of;
use std::time::{Duration, Instant};

use perilune_runtime::lua::debugger::{describe, find_word};

use super::tier::Jit;
use super::trace::{Exit, Trace};

/// Traces that are described at once: one of them may run for ever.
const AT_ONCE: usize = 8;
/// How long a program runs until all of its traces are described.
const MOMENT: Duration = Duration::from_millis(25);
/// The clock is looked at when traces have been left so many times.
const EXITS: u32 = 64;

/// The traces that debuggers do not know yet.
pub(super) struct Unannounced {
    traces: Vec<u32>,
    /// How many are known.
    told: usize,
    began: Instant,
    exits: u32,
}

impl Default for Unannounced {
    fn default() -> Unannounced {
        Unannounced { traces: Vec::new(), told: 0, began: Instant::now(), exits: 0 }
    }
}

impl Unannounced {
    /// Takes back a trace that is gone.
    pub(super) fn forget(&mut self, number: u32) {
        self.traces.retain(|trace| *trace != number);
    }
}

impl Jit {
    /// Tells debuggers of a new trace, now or later.
    pub(super) fn announce(&mut self, number: u32) {
        if self.look_for_debugger() {
            return;
        }
        let waiting = &mut self.unannounced;
        waiting.traces.push(number);
        if waiting.told < AT_ONCE || waiting.began.elapsed() >= MOMENT || self.engine.is_watched() {
            self.announce_all();
        }
    }

    /// A trace was left: perhaps it is time to tell of those that wait, or a debugger has come.
    pub(super) fn announce_late(&mut self) {
        let waiting = &mut self.unannounced;
        waiting.exits = waiting.exits.wrapping_add(1);
        if waiting.exits.is_multiple_of(EXITS) {
            if !waiting.traces.is_empty() && waiting.began.elapsed() >= MOMENT {
                self.announce_all();
            }
            self.look_for_debugger();
        }
    }

    /// Whether a debugger has come; then it was told of all traces.
    fn look_for_debugger(&mut self) -> bool {
        let has_come = self.engine.look_for_debugger(&self.traces);
        if has_come {
            self.unannounced.traces.clear();
        }
        has_come
    }

    fn announce_all(&mut self) {
        let numbers = std::mem::take(&mut self.unannounced.traces);
        self.unannounced.told += numbers.len();
        let traces = numbers.iter().filter_map(|number| self.traces.get(*number as usize)?.as_deref());
        self.engine.announce(traces);
    }
}

/// Tells the gdb script where it finds the traces of a compiler.
pub(super) fn describe_layout() {
    let with_side = Exit { side: Some(0x5eed), ..Exit::default() };
    let side = find_word(&with_side, 0x5eed);
    describe(&[
        (c"jit.traces", offset_of!(Jit, traces)),
        (c"trace.root", offset_of!(Trace, root)),
        (c"trace.prototype", offset_of!(Trace, proto)),
        (c"trace.exits", offset_of!(Trace, exits)),
        (c"exit.size", size_of::<Exit>()),
        (c"exit.count", offset_of!(Exit, count)),
        (c"exit.side", side),
        // The two words of an option lie beside each other.
        (c"exit.has_side", 2 * offset_of!(Exit, side) + 4 - side),
    ]);
}
