//! Finishing an instruction with the result of the metamethod that it called.

use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::Value;

use super::super::call::{Flow, Step};
use super::{slow, top_frame};

/// The instruction in progress of the top frame is finished with the result of its metamethod.
pub fn finish(st: &mut State, value: Value) -> Step {
    let frame = top_frame(st);
    // SAFETY: the frame's pc is behind the word of the instruction in progress.
    let word = unsafe { *frame.pc.sub(1) };
    let target = frame.base as usize + bc::a(word);
    let op = bc::op(word);
    match op {
        Op::GetTabUp | Op::GetField | Op::SelfOp => {
            st.set_slot(target, value);
            skip_extra(st);
        }
        Op::SetTabUp | Op::SetField => skip_extra(st),
        Op::SetTable | Op::SetI => {}
        Op::Eq | Op::Lt | Op::Le | Op::LtI | Op::LeI | Op::GtI | Op::GeI => condition(st, word, !value.is_falsy()),
        Op::Concat => {
            let left = frame.pending as usize - 1;
            frame.pending = 0;
            st.set_slot(target + left - 1, value);
            return slow::concat_values(st, target, left);
        }
        // These look whether there is more to be closed.
        Op::Close | Op::Return => {
            // SAFETY: to the word again.
            frame.pc = unsafe { frame.pc.sub(1) };
        }
        _ => st.set_slot(target, value),
    }
    Ok(Flow::Go)
}

/// Moves the top frame's pc over the extra word of the instruction in progress.
#[inline(always)]
pub(super) fn skip_extra(st: &mut State) {
    let frame = top_frame(st);
    // SAFETY: the instruction has an extra word.
    frame.pc = unsafe { frame.pc.add(1) };
}

/// A comparison's outcome: goes on with the next instruction, a jump, or skips it.
pub(super) fn condition(st: &mut State, word: bc::Word, outcome: bool) {
    if outcome != bc::k(word) {
        skip_extra(st);
    }
}
