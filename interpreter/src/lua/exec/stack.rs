//! The stack as the loop sees it: values in their slots, frames pushed and replaced. All of it is inlined into the loop.

use perilune_runtime::lua::function::LuaFunction;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::thread::{Frame, FrameKind, frame_flag};
use perilune_runtime::lua::value::{Value, tag};

// ---- slots

#[inline(always)]
pub(super) unsafe fn tag_of(p: *const Value) -> u8 {
    // SAFETY: the tag follows the payload; `p` is a slot.
    unsafe { *p.cast::<u8>().add(8) }
}

#[inline(always)]
pub(super) unsafe fn int_of(p: *const Value) -> i64 {
    // SAFETY: `p` is a slot.
    unsafe { *p.cast::<i64>() }
}

#[inline(always)]
pub(super) unsafe fn float_of(p: *const Value) -> f64 {
    // SAFETY: `p` is a slot.
    unsafe { *p.cast::<f64>() }
}

#[inline(always)]
pub(super) unsafe fn gc_of<T>(p: *const Value) -> Gc<T> {
    // SAFETY: the caller has looked at the tag.
    unsafe { Gc::from_raw(std::ptr::with_exposed_provenance_mut(*p.cast::<usize>())) }
}

#[inline(always)]
pub(super) unsafe fn set_payload(p: *mut Value, payload: u64, tag: u8) {
    // SAFETY: `p` is a slot.
    unsafe {
        *p.cast::<u64>() = payload;
        *p.cast::<u8>().add(8) = tag;
    }
}

#[inline(always)]
pub(super) unsafe fn set_int(p: *mut Value, i: i64) {
    // SAFETY: `p` is a slot.
    unsafe { set_payload(p, i as u64, tag::INTEGER) };
}

#[inline(always)]
pub(super) unsafe fn set_float(p: *mut Value, f: f64) {
    // SAFETY: `p` is a slot.
    unsafe { set_payload(p, f.to_bits(), tag::FLOAT) };
}

#[inline(always)]
pub(super) unsafe fn set_value(p: *mut Value, value: Value) {
    // SAFETY: `p` is a slot.
    unsafe { set_payload(p, value.payload(), value.tag()) };
}

#[inline(always)]
pub(super) unsafe fn copy(to: *mut Value, from: *const Value) {
    // SAFETY: both are slots.
    unsafe { set_payload(to, *from.cast::<u64>(), tag_of(from)) };
}

#[inline(always)]
pub(super) unsafe fn load(p: *const Value) -> Value {
    // SAFETY: `p` is a slot, which holds a value.
    unsafe { Value::from_raw(tag_of(p), *p.cast::<u64>()) }
}

#[inline(always)]
pub(super) unsafe fn is_falsy(p: *const Value) -> bool {
    // SAFETY: `p` is a slot.
    unsafe { tag_of(p) <= tag::BOOLEAN && int_of(p) == 0 }
}

/// A number's value as a float.
#[inline(always)]
pub(super) unsafe fn number_of(p: *const Value) -> Option<f64> {
    // SAFETY: `p` is a slot.
    unsafe {
        match tag_of(p) {
            tag::FLOAT => Some(float_of(p)),
            tag::INTEGER => Some(int_of(p) as f64),
            _ => None,
        }
    }
}

/// The same slot, of which LLVM does not know that: what was found out about its tag is forgotten, so that a rare case does not
/// take part in the tests of the common ones.
#[expect(clippy::pointers_in_nomem_asm_block, reason = "there is nothing in the block")]
#[inline(always)]
pub(super) fn opaque(slot: *const Value) -> *const Value {
    #[cfg(miri)]
    let same = slot;
    #[cfg(not(miri))]
    let mut same = slot;
    #[cfg(not(miri))]
    // SAFETY: there is no instruction in it.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags));
    }
    same
}

// ---- frames

/// Gives a Lua function its frame if there is room for it. Answers the frame.
#[inline(always)]
pub(super) unsafe fn push_frame(
    st: *mut State,
    func: *mut Value,
    f: Gc<LuaFunction>,
    top: *mut Value,
    wanted: i32,
) -> Option<*mut Frame> {
    // SAFETY: the slots from `func` to `top` are the callee and its arguments; all else is checked.
    unsafe {
        let proto = f.proto();
        let thread = (*st).thread;
        let base = func.add(1);
        let index = base.offset_from_unsigned(thread.stack());
        let frames = thread.frames();
        if index + usize::from(proto.max_stack) >= thread.size() || frames.len() == frames.capacity() {
            return None;
        }
        let parameters = base.add(usize::from(proto.parameters));
        let mut at = top;
        while at < parameters {
            set_payload(at, 0, tag::NIL);
            at = at.add(1);
        }
        if proto.is_vararg {
            thread.top.set(top.offset_from_unsigned(thread.stack()) as u32);
        }
        let frame = frames.as_mut_ptr().add(frames.len());
        frame.write(Frame::new(FrameKind::Lua, proto.code_ptr(), index as u32, wanted, 0));
        frames.set_len(frames.len() + 1);
        Some(frame)
    }
}

/// Puts a Lua function and its arguments, up to `top`, in the place of the running one, whose frame has no extra arguments, if
/// there is room for it. Answers whether that was done.
#[inline(always)]
pub(super) unsafe fn replace_frame(
    st: *mut State,
    frame: *mut Frame,
    func: *mut Value,
    f: Gc<LuaFunction>,
    top: *mut Value,
) -> bool {
    // SAFETY: the slots from `func` to `top` are the callee and its arguments, which lie above the frame's base; all else is
    // checked.
    unsafe {
        let proto = f.proto();
        let thread = (*st).thread;
        let index = (*frame).base as usize;
        let count = top.offset_from_unsigned(func);
        if index + count + usize::from(proto.max_stack) >= thread.size() {
            return false;
        }
        let to = thread.stack().add(index - 1);
        for i in 0..count {
            copy(to.add(i), func.add(i));
        }
        for i in count..=usize::from(proto.parameters) {
            set_payload(to.add(i), 0, tag::NIL);
        }
        if proto.is_vararg {
            thread.top.set((index - 1 + count) as u32);
        }
        let flags = (*frame).flags | frame_flag::TAIL;
        frame.write(Frame::new(FrameKind::Lua, proto.code_ptr(), index as u32, (*frame).wanted, flags));
        true
    }
}
