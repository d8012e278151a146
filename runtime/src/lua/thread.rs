//! Coroutines: a stack of values and a vector of call frames each. The main program is one, too.
//!
//! The stack is contiguous and grows by moving, so frames hold indices. Whatever lies above the live top is either nil or
//! was alive after the last atomic phase, which clears it: stale slots never dangle.

use std::cell::{Cell, UnsafeCell};

use super::bytecode::Word;
use super::frames::Frames;
use super::heap::{Gc, Header, Heap, Kind, OutOfMemory};
use super::value::Value;

/// Most slots a stack may have (as in PUC Lua); error handlers get some more.
pub const MAX_STACK: usize = 1_000_000;
/// What handlers of a stack overflow may use beyond that.
pub const EXTRA_STACK: usize = 4_000;
/// Slots that a native function may use without asking.
pub const NATIVE_STACK: usize = 20;
/// Small enough for the allocator's fast path.
const FIRST_STACK: usize = 40;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FrameKind {
    /// A Lua function's.
    Lua,
    /// A native function's.
    Native,
    /// `pcall`'s: errors of what it calls end here.
    Pcall,
    /// `xpcall`'s: as `pcall`; the handler lies in the slot of its function.
    Xpcall,
    /// The bottom of a coroutine: its return or error goes to whoever resumed it.
    Bottom,
}

/// The flags of a frame.
pub mod frame_flag {
    /// Entered from Rust: when it returns, so does the interpreter's loop.
    pub const ENTRY: u8 = 1;
    /// Its results do not go to a call instruction of a Lua function. Below a Lua frame: it was called as a metamethod, and
    /// its result finishes the instruction in progress there. Below `pcall` and the like: these go on.
    pub const FINISH: u8 = 2;
    /// Called in place of its caller's frame.
    pub const TAIL: u8 = 4;
    /// Catches the errors of a finalizer; no level of its own.
    pub const FINALIZER: u8 = 8;
    /// Called by a hook.
    pub const HOOK: u8 = 16;
    /// Lua code that the native function below is written in: no level of its own, and nothing that hooks see.
    pub const INNER: u8 = 32;
    /// An error handler's call: its result replaces the error.
    pub const HANDLER: u8 = 64;
}

/// A call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frame {
    /// For Lua functions that are not running themselves, what lies behind the word (without its extra word) of the
    /// instruction in progress, or the next instruction between two.
    pub pc: *const Word,
    /// The first register; the function lies below it.
    pub base: u32,
    /// Results that the caller wants; -1: all.
    pub wanted: i32,
    /// Extra arguments, which lie below the function's copy; 0: the function was not copied.
    pub extra: u32,
    /// What it is.
    pub kind: FrameKind,
    /// Of [`frame_flag`].
    pub flags: u8,
    /// For whoever handles the frame kind: where it was interrupted.
    pub detail: u16,
    /// One more than the number of results of a return that waits for to-be-closed variables; else 0.
    pub pending: u32,
}

impl Frame {
    /// A frame without extra arguments.
    #[inline(always)]
    pub fn new(kind: FrameKind, pc: *const Word, base: u32, wanted: i32, flags: u8) -> Frame {
        Frame { pc, base, wanted, extra: 0, kind, flags, detail: 0, pending: 0 }
    }
}

/// Bits of a hook's mask.
pub mod hook {
    /// At calls.
    pub const CALL: u8 = 1;
    /// At returns.
    pub const RETURN: u8 = 2;
    /// At new lines.
    pub const LINE: u8 = 4;
    /// Every so many instructions.
    pub const COUNT: u8 = 8;
}

/// What a hooked coroutine did last.
#[derive(Clone, Copy, Debug)]
pub struct HookSeen {
    /// The number of frames; too many to be true: nothing has been seen yet.
    pub depth: u32,
    /// The place of the instruction in its function.
    pub at: u32,
    /// It left the function.
    pub left: bool,
}

/// What a coroutine is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Status {
    /// Not started, or yielded.
    Suspended,
    /// It runs.
    Running,
    /// It resumed another one.
    Normal,
    /// It has returned or failed.
    Dead,
}

/// A coroutine.
#[repr(C)]
pub struct Thread {
    header: Header,
    stack: Cell<*mut Value>,
    /// Behind the last slot.
    limit: Cell<*mut Value>,
    size: Cell<u32>,
    /// The first free slot.
    pub top: Cell<u32>,
    frames: UnsafeCell<Frames>,
    /// Slots of to-be-closed variables, in the order of their declaration.
    pub to_close: UnsafeCell<Vec<u32>>,
    /// What it is doing.
    pub status: Cell<Status>,
    /// Who resumed it.
    pub resumer: Cell<Option<Gc<Thread>>>,
    /// The state's nesting below it, while it has a resumer; while it is suspended, its own part.
    pub nesting: Cell<u32>,
    /// How often compiled code was not entered because the stack would have had to grow for it.
    pub refused: Cell<u32>,
    /// Number of native functions on it that call back: it cannot yield across them.
    pub no_yield: Cell<u32>,
    /// The error that it died of.
    pub error: Cell<Value>,
    /// It died of an error.
    pub failed: Cell<bool>,
    /// The hook function, or nil.
    pub hook: Cell<Value>,
    /// Of [`hook`]; 0: there is no hook.
    pub hook_mask: Cell<u8>,
    /// The hook itself runs.
    pub hook_running: Cell<bool>,
    /// For the hook: the first of the slots with arguments or results that are handed over, and how many there are.
    pub hook_transfer: Cell<(u32, u32)>,
    /// For the hook: the last instruction.
    pub hook_seen: Cell<HookSeen>,
    /// Instructions between two count hooks.
    pub hook_count: Cell<u32>,
    /// Instructions left to the next count hook.
    pub hook_left: Cell<u32>,
}

impl Thread {
    pub(super) const STACK_OFFSET: usize = std::mem::offset_of!(Thread, stack);
    pub(super) const LIMIT_OFFSET: usize = std::mem::offset_of!(Thread, limit);
    pub(super) const TOP_OFFSET: usize = std::mem::offset_of!(Thread, top);
    pub(super) const FRAMES_OFFSET: usize = std::mem::offset_of!(Thread, frames);

    /// The first slot of the stack. Moves when the stack grows.
    #[inline(always)]
    pub fn stack(&self) -> *mut Value {
        self.stack.get()
    }

    /// Number of slots.
    #[inline(always)]
    pub fn size(&self) -> usize {
        self.size.get() as usize
    }

    /// A slot's value.
    #[inline(always)]
    pub fn slot(&self, index: usize) -> Value {
        debug_assert!(index < self.size());
        // Payload and tag one by one, as they were written: a load of both would have to wait until the stores are through.
        // SAFETY: callers keep to slots that exist, which hold values.
        unsafe {
            let slot = self.stack.get().add(index);
            Value::from_raw((*slot).tag(), (*slot).payload())
        }
    }

    /// Writes a slot.
    #[inline(always)]
    pub fn set_slot(&self, index: usize, value: Value) {
        debug_assert!(index < self.size());
        // SAFETY: callers keep to slots that exist.
        unsafe { value.store(self.stack.get().add(index)) };
    }

    /// The call frames.
    ///
    /// Keep the reference for a moment only: no other may be there meanwhile.
    #[inline(always)]
    #[expect(
        clippy::mut_from_ref,
        reason = "threads are used by one Rust thread; each borrow ends before the next begins"
    )]
    pub fn frames(&self) -> &mut Frames {
        // SAFETY: see above.
        unsafe { &mut *self.frames.get() }
    }

    /// The slots of to-be-closed variables; as [`Thread::frames`].
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "as for the frames")]
    pub fn closing(&self) -> &mut Vec<u32> {
        // SAFETY: as for the frames.
        unsafe { &mut *self.to_close.get() }
    }

    /// Is there a hook to be called?
    #[inline]
    pub fn is_hooked(&self) -> bool {
        self.hook_mask.get() != 0 && !self.hook_running.get()
    }

    /// The first slot that no frame uses.
    pub(super) fn live_top(&self) -> usize {
        let mut top = self.top.get() as usize;
        if let Some(frame) = self.frames().last()
            && frame.kind == FrameKind::Lua
            && let Some(f) = self.slot(frame.base as usize - 1).as_lua_function()
        {
            top = top.max(frame.base as usize + usize::from(f.proto().max_stack));
        }
        top.min(self.size())
    }

    pub(super) fn for_each_reference(&self, mark: &mut impl FnMut(*mut Header)) {
        for value in [self.error.get(), self.hook.get()] {
            if value.is_collectable() {
                mark(std::ptr::with_exposed_provenance_mut(value.payload() as usize));
            }
        }
        if let Some(resumer) = self.resumer.get() {
            mark(resumer.header());
        }
    }

    pub(super) fn clear_above_live_top(&self) {
        for i in self.live_top()..self.size() {
            self.set_slot(i, Value::NIL);
        }
    }

    /// Makes the stack at least `wanted` slots large. It moves.
    pub fn resize(&self, heap: &mut Heap, wanted: usize) -> Result<(), OutOfMemory> {
        let old = self.size();
        if wanted <= old {
            return Ok(());
        }
        let size = wanted.max((old * 2).min(MAX_STACK)).min(MAX_STACK + EXTRA_STACK).max(wanted);
        heap.reserve((size - old) * size_of::<Value>())?;
        let mut slots = vec![Value::NIL; size].into_boxed_slice();
        // SAFETY: the old stack has `old` slots, and the new one more.
        unsafe { std::ptr::copy_nonoverlapping(self.stack.get(), slots.as_mut_ptr(), old) };
        self.replace_stack(slots);
        heap.count_external(((size - old) * size_of::<Value>()) as isize);
        Ok(())
    }

    /// Makes the stack `wanted` slots small, of which all that is in use must be part.
    pub fn shrink(&self, heap: &mut Heap, wanted: usize) {
        let old = self.size();
        if wanted >= old {
            return;
        }
        let mut slots = vec![Value::NIL; wanted].into_boxed_slice();
        // SAFETY: the old stack has more than `wanted` slots.
        unsafe { std::ptr::copy_nonoverlapping(self.stack.get(), slots.as_mut_ptr(), wanted) };
        self.replace_stack(slots);
        heap.count_external(-(((old - wanted) * size_of::<Value>()) as isize));
    }

    /// Moves the stack without making it larger: for tests that want stale pointers to show.
    pub fn move_stack(&self) {
        let size = self.size();
        let mut slots = vec![Value::NIL; size].into_boxed_slice();
        // SAFETY: both have `size` slots. The old ones are overwritten so that a stale pointer shows.
        unsafe {
            std::ptr::copy_nonoverlapping(self.stack.get(), slots.as_mut_ptr(), size);
            for i in 0..size {
                *self.stack.get().add(i) = Value::light(0xdead);
            }
        }
        self.replace_stack(slots);
    }

    /// Gives the coroutine another stack. Answers the one that it had.
    fn replace_stack(&self, slots: Box<[Value]>) -> Box<[Value]> {
        let old = std::ptr::slice_from_raw_parts_mut(self.stack.get(), self.size());
        let size = slots.len();
        let first = Box::into_raw(slots).cast::<Value>();
        self.stack.set(first);
        self.limit.set(first.wrapping_add(size));
        self.size.set(size as u32);
        // SAFETY: the stack comes from a leaked box of this size, and is nobody's from now on.
        unsafe { Box::from_raw(old) }
    }
}

/// Stacks and frames of coroutines that are gone, for new ones: a program that makes many makes and drops them in turn, and the system's
/// allocator took longer for them than all else that makes a coroutine.
#[derive(Default)]
pub(super) struct Spare {
    stacks: Vec<Box<[Value]>>,
    frames: Vec<Frames>,
}

impl Spare {
    /// How many of each are kept: about as many as one step of the sweep finds.
    const MOST: usize = 128;
    /// Slots of the largest stack that is kept.
    const LARGEST: usize = 4 * FIRST_STACK;

    fn stack(&mut self) -> Box<[Value]> {
        match self.stacks.pop() {
            Some(mut stack) => {
                stack.fill(Value::NIL);
                stack
            }
            None => vec![Value::NIL; FIRST_STACK].into_boxed_slice(),
        }
    }

    fn keep(&mut self, stack: Box<[Value]>, mut frames: Frames) {
        if stack.len() <= Spare::LARGEST && self.stacks.len() < Spare::MOST {
            self.stacks.push(stack);
        }
        if frames.is_short() && self.frames.len() < Spare::MOST {
            frames.clear();
            self.frames.push(frames);
        }
    }
}

impl Thread {
    /// Gives away what a dead coroutine owns. Answers the size of its stack in bytes.
    pub(super) fn release(&self, spare: &mut Spare) -> usize {
        let size = self.size() * size_of::<Value>();
        spare.keep(self.replace_stack(Box::default()), std::mem::take(self.frames()));
        size
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.replace_stack(Box::default());
    }
}

impl Heap {
    /// A coroutine with an empty stack.
    pub fn thread(&mut self) -> Result<Gc<Thread>, OutOfMemory> {
        let cell = self.allocate(size_of::<Thread>())?.cast::<Thread>();
        let stack = self.spare.stack();
        let size = stack.len();
        let stack = Box::into_raw(stack).cast::<Value>();
        // SAFETY: the cell is large enough, and ours.
        let thread = unsafe {
            cell.write(Thread {
                header: Header::new(Kind::Thread),
                stack: Cell::new(stack),
                limit: Cell::new(stack.wrapping_add(size)),
                size: Cell::new(size as u32),
                top: Cell::new(0),
                frames: UnsafeCell::new(self.spare.frames.pop().unwrap_or_default()),
                to_close: UnsafeCell::default(),
                status: Cell::new(Status::Suspended),
                resumer: Cell::new(None),
                nesting: Cell::new(0),
                refused: Cell::new(0),
                no_yield: Cell::new(0),
                error: Cell::new(Value::NIL),
                failed: Cell::new(false),
                hook: Cell::new(Value::NIL),
                hook_mask: Cell::new(0),
                hook_running: Cell::new(false),
                hook_transfer: Cell::new((0, 0)),
                hook_seen: Cell::new(HookSeen { depth: u32::MAX, at: 0, left: false }),
                hook_count: Cell::new(0),
                hook_left: Cell::new(0),
            });
            Gc::from_raw(cell)
        };
        self.set_owns(thread.header());
        self.count_external((size * size_of::<Value>()) as isize);
        Ok(thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_used_again_empty() {
        let mut spare = Spare::default();
        let mut frames = Frames::default();
        frames.push(Frame::new(FrameKind::Bottom, std::ptr::null(), 1, 0, 0));
        spare.keep(vec![Value::TRUE; FIRST_STACK + 1].into(), frames);
        spare.keep(vec![Value::TRUE; Spare::LARGEST + 1].into(), Frames::default());
        assert!(
            spare.frames.iter().all(|frames| frames.is_empty() && frames.capacity() > 0) && spare.frames.len() == 1
        );
        let (first, second) = (spare.stack(), spare.stack());
        assert_eq!((first.len(), second.len()), (FIRST_STACK + 1, FIRST_STACK));
        assert!(first.iter().chain(&second).all(|value| value.is_nil()));
        for _ in 0..1000 {
            spare.keep(vec![Value::NIL; FIRST_STACK].into(), Frames::default());
        }
        assert_eq!(spare.stacks.len(), Spare::MOST);
    }
}
