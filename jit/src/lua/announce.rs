//! When debuggers are told of traces, and how one is met that comes later.
//!
//! To describe a trace costs about a tenth of what it costs to compile it, and with its variables half of that; a program that ends
//! at once is looked at by nobody. So only the first few traces are described when they are made, unless a debugger runs this program
//! already. The others wait until the program has run for a moment; then they are described together when the next trace is made,
//! or left. What is spent stays within a small part of the processor time that the process has taken, however many states it has: new
//! traces wait for that, or are described without variables. When it allows for all variables of all traces, these are told once more.
//! What it came to is said at the end of `-jv`.
//!
//! A debugger that comes later is noticed when a counter has run out or compiled code is left; a loop that is never left has to be
//! interrupted for it ([`interrupt::DEBUGGER`](perilune_runtime::lua::state::interrupt)), which the host decides. All traces are
//! dropped then, and the program goes on as if the debugger had started it: line by line in the interpreter, and in traces that are compiled for it.
#![forbid(unsafe_code)]

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use perilune_interpreter::lua::calendar::processor_time;
use perilune_runtime::lua::debugger::{describe, find_word};
use perilune_runtime::lua::state::State;

use super::page;
use super::sites::take_back;
use super::tier::Jit;
use super::trace::{Exit, Trace};

/// Traces that are described at once: one of them may run for ever.
const AT_ONCE: usize = 8;
/// How long a program runs until all of its traces are described.
const MOMENT: Duration = Duration::from_millis(25);
/// The clock is looked at when traces have been left so many times.
const EXITS: u32 = 64;
/// The part of the process's time that may be spent.
const SHARE: u32 = 500;
/// What may be spent besides, so that the first traces are told with their variables.
const GRACE: Duration = Duration::from_micros(300);
/// What it takes at most to tell of a trace with its variables, usually.
const TRACE: Duration = Duration::from_micros(150);
/// What it takes without them.
const LINES: Duration = Duration::from_micros(25);

/// How many traces this process has described.
static TOLD: AtomicUsize = AtomicUsize::new(0);
/// What it has spent on that, in nanoseconds of processor time.
static SPENT: AtomicU64 = AtomicU64::new(0);

/// The processor time that this process has taken.
fn run() -> Duration {
    Duration::from_secs_f64(processor_time().max(0.0))
}

/// Whether the process has run long enough that it may describe traces with their variables, after `run`.
fn affords(traces: usize, run: Duration) -> bool {
    Duration::from_nanos(SPENT.load(Ordering::Relaxed)) + TRACE * traces as u32 <= GRACE + run / SHARE
}

/// How many traces may be described without their variables now, after `run`.
fn affordable(run: Duration) -> usize {
    let left = (GRACE + run / SHARE).saturating_sub(Duration::from_nanos(SPENT.load(Ordering::Relaxed)));
    (left.as_nanos() / LINES.as_nanos()) as usize
}

/// What describing has come to in this process, as a line; none if nothing was described.
pub(super) fn spent() -> Option<String> {
    let (told, spent) = (TOLD.load(Ordering::Relaxed), SPENT.load(Ordering::Relaxed) as f64 / 1e9);
    let run = run().as_secs_f64();
    (told > 0).then(|| {
        let (share, spent, run) = (spent / run * 100.0, spent * 1e3, run * 1e3);
        format!("debuggers: {told} traces described in {spent:.2} ms, {share:.2} % of {run:.1} ms of processor time")
    })
}

/// What debuggers do not know yet.
pub(super) struct Unannounced {
    traces: Vec<u32>,
    /// All variables of those that they know are known, too.
    has_variables: bool,
    exits: u32,
}

impl Default for Unannounced {
    fn default() -> Unannounced {
        Unannounced { traces: Vec::new(), has_variables: true, exits: 0 }
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
        self.unannounced.traces.push(number);
        if TOLD.load(Ordering::Relaxed) < AT_ONCE || self.engine.is_watched() {
            self.announce_some(usize::MAX, run());
        } else {
            self.announce_when_due();
        }
    }

    /// A trace was left: perhaps it is time to tell of those that wait.
    pub(super) fn announce_late(&mut self) {
        self.unannounced.exits = self.unannounced.exits.wrapping_add(1);
        if self.unannounced.exits.is_multiple_of(EXITS) {
            self.announce_when_due();
        }
    }

    fn announce_when_due(&mut self) {
        let waiting = &self.unannounced;
        if waiting.traces.is_empty() && waiting.has_variables {
            return;
        }
        let run = run();
        let count = affordable(run);
        if run < MOMENT || count == 0 {
            return;
        }
        if !waiting.has_variables && !self.engine.is_watched() && affords(self.alive, run) {
            self.unannounced.traces.clear();
            self.unannounced.has_variables = true;
            self.spend(self.alive, |jit| jit.engine.announce_anew(&jit.traces));
        } else if !waiting.traces.is_empty() {
            self.announce_some(count, run);
        }
    }

    /// Tells of so many traces that wait, after the process has run for so long.
    fn announce_some(&mut self, count: usize, run: Duration) {
        let waiting = &mut self.unannounced.traces;
        let numbers: Vec<u32> = waiting.drain(..count.min(waiting.len())).collect();
        let variables = self.engine.is_debugged() || affords(numbers.len(), run);
        self.unannounced.has_variables &= variables;
        self.spend(numbers.len(), |jit| {
            let traces = numbers.iter().filter_map(|number| jit.traces.get(*number as usize)?.as_deref());
            jit.engine.announce(traces, variables);
        });
    }

    fn spend(&mut self, traces: usize, tell: impl FnOnce(&mut Jit)) {
        let began = run();
        tell(self);
        let spent = run().saturating_sub(began).as_nanos();
        if self.engine.tells() {
            TOLD.fetch_add(traces, Ordering::Relaxed);
            SPENT.fetch_add(spent as u64, Ordering::Relaxed);
        }
    }

    /// Drops all traces, whose machine code is about to go, and counts anew.
    fn forget_traces(&mut self) {
        for trace in std::mem::replace(&mut self.traces, vec![None]).into_iter().flatten() {
            let proto = trace.proto;
            take_back(proto, trace.origin, self.options().hotloop);
            self.prototypes.borrow_mut().of(proto).traces.clear();
            page::gone(&mut self.page, &self.engine, Some(&trace));
        }
        self.returns.clear();
        (self.alive, self.pending) = (0, None);
        self.free.clear();
        self.unannounced = Unannounced::default();
    }

    /// Looks whether a debugger has come. Then all traces are dropped, unless some are running, and lines are shown from now on.
    pub(super) fn meet_debugger(&mut self, state: &mut State) -> bool {
        if !self.engine.is_outdated() || self.is_recording() {
            return false;
        }
        if self.engine.is_running() {
            // Traces that wait for a native function leave behind it then.
            state.outside_changes = state.outside_changes.wrapping_add(1);
            return false;
        }
        self.forget_traces();
        self.engine.start_anew(state);
        state.lines.on = true;
        state.debugger_met.store(true, Ordering::Relaxed);
        true
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
