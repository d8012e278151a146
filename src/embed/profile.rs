//! A profiler: which Lua functions the time goes to, and whether the interpreter, compiled code, the collector or the compiler takes it.
//!
//! A thread wakes up at regular times. If the process has used the processor since, it notes what the state is at, and asks for a
//! sample by the interrupt word; the next safepoint (a loop's back edge, compiled or not; a call that is counted) takes it: the Lua
//! functions on the stack. A sample that had to wait counts for all the times that have passed.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use perilune_interpreter::lua::calendar::processor_time;
use perilune_interpreter::lua::error::frame_proto;
use perilune_interpreter::lua::names::declared_name;
use perilune_interpreter::lua::source::chunk_id;
use perilune_runtime::lua::state::{State, activity, interrupt};
use perilune_runtime::lua::thread::FrameKind;

use super::Lua;

/// Loops of interpreted code look for a request after so many iterations while there is no compiler.
const ITERATIONS: u32 = 100;

/// What a profile has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Profile {
    /// Samples by stack: functions from the outermost to the innermost one, with `;` between them.
    pub stacks: BTreeMap<String, u64>,
    /// Times that the state was in the interpreter (and the library), in compiled code, in the collector, in the compiler.
    pub split: [u64; activity::COUNT],
}

impl Profile {
    /// The stacks as flame graphs' tools read them, a line each.
    pub fn folded(&self) -> String {
        self.stacks.iter().fold(String::new(), |mut text, (stack, count)| {
            let _ = writeln!(text, "{stack} {count}");
            text
        })
    }

    /// One line: where the time went.
    pub fn summary(&self) -> String {
        let all: u64 = self.split.iter().sum();
        let share = |n: usize| self.split[n] as f64 * 100.0 / all.max(1) as f64;
        let parts: Vec<String> =
            activity::NAMES.iter().enumerate().map(|(n, name)| format!("{name} {:.1} %", share(n))).collect();
        format!("{} samples: {}", all, parts.join(", "))
    }
}

/// A profile under way.
pub struct Profiler<'a> {
    lua: &'a Lua,
    clock: Option<JoinHandle<()>>,
    shared: Arc<Clock>,
}

/// What the thread and the state share.
#[derive(Default)]
struct Clock {
    stopped: AtomicBool,
    /// Times that have passed since the last sample.
    waiting: AtomicU64,
    /// What the state was at when the last of them passed.
    at: AtomicU32,
    split: [AtomicU64; activity::COUNT],
    stacks: Mutex<BTreeMap<String, u64>>,
}

impl Lua {
    /// Begins to sample this state's Lua functions, at this interval of processor time.
    pub fn profile(&self, interval: Duration) -> Profiler<'_> {
        let shared = Arc::<Clock>::default();
        let kept = Arc::clone(&shared);
        let (word, at) = self.with(|state| {
            let clock = Arc::clone(&kept);
            state.on_sample = Some(Box::new(move |state: &mut State| {
                let weight = clock.waiting.swap(0, Ordering::Relaxed);
                if weight > 0 {
                    let stack = stack(state, clock.at.load(Ordering::Relaxed) as usize);
                    if let Ok(mut stacks) = clock.stacks.lock() {
                        *stacks.entry(stack).or_insert(0) += weight;
                    }
                }
            }));
            state.hot_loop = state.hot_loop.min(ITERATIONS);
            (state.interrupt.clone(), state.activity.clone())
        });
        let clock = std::thread::spawn(move || {
            let mut last = processor_time();
            while !kept.stopped.load(Ordering::Relaxed) {
                std::thread::sleep(interval);
                let now = processor_time();
                if now - last < interval.as_secs_f64() / 2.0 {
                    continue;
                }
                last = now;
                let doing = at.load(Ordering::Relaxed);
                kept.split[doing as usize].fetch_add(1, Ordering::Relaxed);
                kept.at.store(doing, Ordering::Relaxed);
                kept.waiting.fetch_add(1, Ordering::Relaxed);
                word.fetch_or(interrupt::SAMPLE, Ordering::Relaxed);
            }
        });
        Profiler { lua: self, clock: Some(clock), shared }
    }
}

impl Profiler<'_> {
    /// Ends it.
    pub fn finish(mut self) -> Profile {
        self.stop();
        self.lua.with(|state| state.on_sample = None);
        let stacks = self.shared.stacks.lock().map(|mut stacks| std::mem::take(&mut *stacks)).unwrap_or_default();
        let split = std::array::from_fn(|n| self.shared.split[n].load(Ordering::Relaxed));
        Profile { stacks, split }
    }

    fn stop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(clock) = self.clock.take() {
            // It has no way to panic.
            let _ = clock.join();
        }
    }
}

impl Drop for Profiler<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The Lua functions on the stack, through all coroutines, and what the state is at.
fn stack(state: &State, doing: usize) -> String {
    let mut names = vec![format!("[{}]", activity::NAMES[doing])];
    let mut next = Some(state.thread);
    while let Some(thread) = next {
        for frame in thread.frames().iter().rev() {
            if frame.kind == FrameKind::Lua
                && let Some(proto) = frame_proto(thread, *frame)
            {
                let chunk = chunk_id(&proto.source);
                let chunk = String::from_utf8_lossy(&chunk);
                let name = format!("{} ({chunk}:{})", declared_name(&proto), proto.line_defined);
                names.push(name.replace([';', '\n'], "_"));
            }
        }
        next = thread.resumer.get();
    }
    names.reverse();
    names.join(";")
}
