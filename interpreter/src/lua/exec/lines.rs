//! The debugging loop: Lua code that runs line by line, so that a debugger can stop at each of them.
//!
//! The tier runs it. It has machine code for each line in which nothing is done but to call the interpreter for the rest of that line;
//! there the debugger stops, and sees what it sees of compiled code. Here is what the interpreter does for it: it runs until a line
//! begins, another frame is on top than the one whose lines are shown, or a trace is to be entered.

use perilune_runtime::lua::bytecode::Word;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::tier::{Event, Outcome};

use super::super::call::{Flow, settle};
use super::super::error::frame_proto;
use super::{execute, loops, tier_of, top_frame};

/// Runs line by line until the call has ended that the interpreter was entered for.
#[cold]
pub(super) fn run(st: &mut State, mut flow: Flow) -> Flow {
    // SAFETY: the tier lives as long as the state, which does not take it away meanwhile.
    let Some(line_loop) = tier_of(st).and_then(|tier| unsafe { (*tier).line_loop(st) }) else {
        st.lines.on = false;
        return flow;
    };
    let mut step = |st: *mut State, left: Option<Outcome>| {
        // SAFETY: the state is alive, and its own loop runs nothing else meanwhile.
        let st = unsafe { &mut *st };
        if let Some(outcome) = left {
            let step = loops::left(st, outcome);
            flow = settle(st, step);
        }
        let shown = st.lines.shown;
        if !shown.told.is_null() && (st.thread.address(), st.thread.frames().len()) == (shown.thread, shown.depth) {
            top_frame(st).pc = shown.told;
        }
        loop {
            match flow {
                Flow::Go => {}
                Flow::Record => st.recording = true,
                Flow::Leave | Flow::Fail => return false,
                Flow::Show => {
                    flow = Flow::Go;
                    return true;
                }
            }
            // SAFETY: the frames are as the loop needs them: that is what `Go` and `Record` say.
            flow = unsafe { execute::execute::<true>(st) };
        }
    };
    let shown = st.lines.shown;
    // SAFETY: the top frame is as the loop needs it.
    unsafe { line_loop(st, &mut step) };
    // Whoever has called back goes on in the frame that was shown.
    st.lines.shown = shown;
    flow
}

/// Before the instruction at `pc` of the top frame, whose saved pc this is: whether the debugger is to be told something.
pub(super) fn before(st: &mut State, pc: *const Word) -> Option<Flow> {
    let (thread, depth) = (st.thread.address(), st.thread.frames().len());
    let shown = &mut st.lines.shown;
    if (thread, depth) != (shown.thread, shown.depth) {
        return Some(Flow::Show);
    }
    let told = std::mem::replace(&mut shown.told, std::ptr::null());
    let last = std::mem::replace(&mut shown.last, pc);
    let frame = top_frame(st);
    let proto = frame_proto(st.thread, *frame)?;
    if told == pc || !begins_line(proto, index(proto, last), index(proto, pc)?) {
        return None;
    }
    // To those who look, the instruction is in progress.
    frame.pc = pc.wrapping_add(1);
    st.lines.shown.told = pc;
    st.lines.event = Some(Event::Line);
    Some(Flow::Show)
}

fn index(proto: Gc<Proto>, pc: *const Word) -> Option<usize> {
    let index = pc.addr().checked_sub(proto.code_ptr().addr())? / size_of::<Word>();
    (index < proto.code_len()).then_some(index)
}

/// As for line hooks (manual §4.7): an instruction of another line than the last one's, or a jump back.
fn begins_line(proto: Gc<Proto>, last: Option<usize>, at: usize) -> bool {
    let line = proto.line(at);
    at >= proto.body_start() && line > 0 && last.is_none_or(|last| at <= last || proto.line(last) != line)
}
