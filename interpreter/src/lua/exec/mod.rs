//! The interpreter: the loop ([`execute`]), what its instructions do off the fast path, and the driver that runs it.
//!
//! Instructions that cannot be finished at once leave the loop by a function that takes the instruction's word and finds all
//! else in the top frame, whose `pc` is saved. When it comes back the loop reads pc, base and constants anew, since the
//! function may have pushed or popped frames, moved the stack, or changed to another coroutine. An instruction that has
//! called a metamethod is finished by [`finish()`] when that returns.

mod execute;
mod field;
mod finish;
mod hook;
mod lines;
mod loops;
mod safepoint;
mod slow;
mod stack;

use perilune_runtime::lua::bytecode::Word;
use perilune_runtime::lua::debugger::describe;
use perilune_runtime::lua::state::{Raised, State, activity};
use perilune_runtime::lua::thread::{Frame, FrameKind};
use perilune_runtime::lua::tier::{Answer, Tier};

pub use finish::finish;
pub use hook::{native_begins, native_ends};
pub use loops::rounds;
pub use safepoint::{collect, collect_above, finalize_all, run_finalizers, warn, with_memory};
pub use slow::{count_call, function_below, function_slot};

use super::call::{Flow, Step, settle};
use super::error::Place;

/// Tells the gdb script which native frames are the interpreter's.
pub fn describe_frames() {
    describe(&[(c"interpreter.run", run as *const () as usize)]);
}

/// Runs the machine until the call that it was entered for has ended. `step` is how that call began. A function of its own in any build:
/// each of its native frames stands for the frames of Lua up to one that native code has called.
#[inline(never)]
pub fn run(st: &mut State, step: Step) -> Result<(), Raised> {
    let doing = st.begin(activity::INTERPRETER);
    let mut flow = settle(st, step);
    loop {
        flow = match flow {
            Flow::Go | Flow::Record if st.lines.on => lines::run(st, flow),
            // SAFETY: the frames are as the loop needs them: that is what `Go` and `Record` say.
            Flow::Go if st.thread.is_hooked() => unsafe { execute::execute::<true>(st) },
            // SAFETY: as above.
            Flow::Go => unsafe { execute::execute::<false>(st) },
            Flow::Record => {
                st.recording = true;
                // SAFETY: as above.
                unsafe { execute::execute::<true>(st) }
            }
            Flow::Show => Flow::Go,
            Flow::Leave | Flow::Fail => {
                stop_recording(st, "left the interpreter's loop");
                st.begin(doing);
                return if flow == Flow::Leave { Ok(()) } else { Err(Raised) };
            }
        }
    }
}

/// The register of the running Lua function that a slot is.
pub fn register_of(st: &State, slot: usize) -> Place {
    match st.thread.frames().last() {
        Some(frame) if frame.kind == FrameKind::Lua && slot >= frame.base as usize => {
            Place::Register(slot - frame.base as usize)
        }
        _ => Place::Unknown,
    }
}

/// The tier as a pointer, so that no borrow of the state is held while it works on that.
fn tier_of(st: &mut State) -> Option<*mut dyn Tier> {
    st.tier.as_mut().map(|tier| &raw mut **tier)
}

/// Before each instruction of the second instance of the loop: the tier records it, hooks are called, a debugger is told of the line.
/// Answers `Record` to go on; else the loop is left with the answer, which is `Go` if there is nothing to be watched any more.
///
/// # Safety
/// The instruction at `pc` is that of the top frame, whose saved pc it is.
unsafe fn watch(st: *mut State, pc: *const Word) -> Step {
    // SAFETY: nothing of the loop's is in use. The tier lives as long as the state, and is not borrowed while it works on
    // that.
    unsafe {
        let shows_lines = (*st).lines.on;
        if shows_lines && let Some(event) = lines::before(&mut *st, pc) {
            return Ok(event);
        }
        let end = if shows_lines { Flow::Record } else { Flow::Go };
        if (*st).recording {
            let goes_on = tier_of(&mut *st).is_some_and(|tier| (*tier).record(st, pc) == Answer::Record);
            (*st).recording = goes_on;
            return Ok(if goes_on { Flow::Record } else { end });
        }
        if !(*st).thread.is_hooked() {
            return Ok(end);
        }
        hook::before(&mut *st, pc).map(|()| Flow::Record)
    }
}

/// Whether the second instance of the loop counts iterations and enters compiled code as the first one does: if it runs because a
/// debugger wants to see lines.
fn is_plain(st: &State) -> bool {
    st.lines.on && !st.recording && !st.thread.is_hooked()
}

/// Runs something that calls back: what it runs is not recorded, and a recording under way goes on behind it.
pub fn unrecorded<R>(st: &mut State, f: impl FnOnce(&mut State) -> R) -> R {
    let (recording, waited) = (std::mem::take(&mut st.recording), st.recording_waits);
    st.recording_waits |= recording;
    let result = f(st);
    st.recording = recording && st.recording_waits;
    st.recording_waits &= waited;
    result
}

/// Tells the tier that no recording can go on, whether it is running or waiting.
pub fn abandon_recording(st: &mut State, reason: &'static str) {
    st.recording |= std::mem::take(&mut st.recording_waits);
    stop_recording(st, reason);
}

/// Tells the tier that the running recording cannot go on.
pub fn stop_recording(st: &mut State, reason: &'static str) {
    if st.recording {
        st.recording = false;
        if let Some(tier) = tier_of(st) {
            // SAFETY: the tier lives as long as the state, which does not take it away meanwhile.
            unsafe { (*tier).abort(st, reason) };
        }
    }
}

/// An error is on its way: unless the recording under way has foreseen that, it cannot go on.
pub fn record_error(st: &mut State) {
    if st.recording
        // SAFETY: the tier lives as long as the state, which does not take it away meanwhile.
        && !tier_of(st).is_some_and(|tier| unsafe { (*tier).follows_error() })
    {
        stop_recording(st, "error");
    }
}

/// The program has changed a variable of a running function from outside: whoever has its value elsewhere must forget that.
pub fn locals_changed(st: &mut State) {
    abandon_recording(st, "a local variable was changed from outside");
    st.outside_changes = st.outside_changes.wrapping_add(1);
}

/// The top frame.
#[inline(always)]
fn top_frame(st: &State) -> &'static mut Frame {
    let frames = st.thread.frames();
    let last = frames.len() - 1;
    // SAFETY: the loop runs with a frame on top. The reference is used before the frames change.
    unsafe { &mut *frames.as_mut_ptr().add(last) }
}
