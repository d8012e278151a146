//! Where the interpreter enters traces: back edges of loops, with their counters, and entries of functions.

use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;

use super::record::Origin;

/// Where the loop of a back edge that is not patched begins: its first instruction in each iteration.
pub(super) fn head_of(proto: Gc<Proto>, site: u32) -> Option<u32> {
    let (w, next) = (proto.word(site as usize), i64::from(site) + 2);
    let head = match bc::op(w) {
        Op::JmpBack => next + i64::from(bc::jump(w)),
        Op::ForLoop | Op::TForLoop => next - bc::bx(w) as i64,
        _ => return None,
    };
    Some(head as u32)
}

/// Sets the counter of a loop, by its back edge.
pub(super) fn set_counter(proto: Gc<Proto>, site: u32, value: u32) {
    // SAFETY: the word behind a back edge is its counter.
    unsafe { proto.set_word(site as usize + 1, value) };
}

/// Turns a loop's back edge into the entry of its trace.
pub(super) fn patch_loop(proto: Gc<Proto>, site: u32, number: u32) {
    let w = proto.word(site as usize);
    let op = match bc::op(w) {
        Op::JmpBack => Op::JJmpBack,
        Op::ForLoop => Op::JForLoop,
        Op::TForLoop => Op::JTForLoop,
        _ => return,
    };
    proto.patched.borrow_mut().push((site, w, bc::COUNTER_START));
    // SAFETY: the loop knows these instructions, and the trace is there.
    unsafe {
        proto.set_word(site as usize + 1, number);
        proto.set_word(site as usize, bc::with_op(w, op));
    }
}

/// Makes a loop's back edge what it was.
fn unpatch_loop(proto: Gc<Proto>, site: u32) {
    let mut patched = proto.patched.borrow_mut();
    let Some(at) = patched.iter().position(|(pc, ..)| *pc == site) else { return };
    let (_, w, _) = patched.swap_remove(at);
    // SAFETY: the instruction was there before.
    unsafe { proto.set_word(site as usize, w) };
}

/// Where a root trace began the interpreter goes on by itself from now on, and counts anew, down from `counter`. Returns and exits are not
/// the interpreter's.
pub(super) fn take_back(proto: Gc<Proto>, origin: Origin, counter: u32) {
    match origin {
        Origin::Loop(site) => {
            unpatch_loop(proto, site);
            set_counter(proto, site, counter);
        }
        Origin::Entry => {
            proto.entry_trace.set(0);
            proto.hot.set(counter);
        }
        Origin::Return { .. } | Origin::Exit { .. } => {}
    }
}
