//! Who may touch the state, and when: the one room of this crate that dereferences it.
//!
//! [`Shared`] is what a [`Lua`](super::Lua), its handles and its native functions have in common. It holds the state's
//! address while nobody uses the state. [`Shared::with`] takes the address away for as long as its closure runs, so no
//! second reference can come to be; a native function that the interpreter calls has the only reference and *lends* it back
//! for as long as its Rust closure runs. So each reference is made from the one above it, and all end in order.
//!
//! Values that Rust code holds lie in `State::handles`, which the collector starts from; a handle is a place in that list.
//! A handle may be dropped while the state is in use (a collected userdata may own one): its place is then freed later.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;

use perilune_interpreter::lua::error::traceback;
use perilune_interpreter::lua::exec::stop_recording;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::thread::{Status, Thread};
use perilune_runtime::lua::value::Value as Raw;

/// See the module.
pub(crate) struct Shared {
    /// The state's address; null while it is in use, and when it is gone.
    state: Cell<*mut State>,
    /// Calls of [`Shared::with`] inside of one another.
    depth: Cell<usize>,
    /// The owner went away while the state was in use.
    abandoned: Cell<bool>,
    closed: Cell<bool>,
    /// Free places in the list of handles.
    free: RefCell<Vec<usize>>,
    /// Places of handles that were dropped while the state was in use.
    dropped: RefCell<Vec<usize>>,
    /// The Lua traceback of the last panic that has passed through, and whether that is out of the outermost call.
    panic: RefCell<Option<(String, bool)>>,
}

/// Gives the state's address back at the end of a loan, be it by a panic.
struct Loan<'a> {
    shared: &'a Shared,
    before: *mut State,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.shared.state.set(self.before);
    }
}

impl Shared {
    pub(crate) fn new(state: Box<State>) -> Shared {
        Shared {
            state: Cell::new(Box::into_raw(state)),
            depth: Cell::new(0),
            abandoned: Cell::new(false),
            closed: Cell::new(false),
            free: RefCell::default(),
            dropped: RefCell::default(),
            panic: RefCell::default(),
        }
    }

    /// Works with the state. What panics inside leaves the state as it was found, as far as its call frames go.
    ///
    /// # Panics
    /// When the [`Lua`](super::Lua) is gone.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let pointer = self.state.replace(null_mut());
        assert!(!pointer.is_null(), "a handle was used after its Lua was dropped");
        self.depth.set(self.depth.get() + 1);
        let outcome = {
            let _loan = Loan { shared: self, before: pointer };
            // SAFETY: the address is there only while no reference to the state is in use: it is that of the state this
            // object owns, or of the exclusive reference that a native function has lent and cannot use meanwhile.
            let state = unsafe { &mut *pointer };
            for place in self.dropped.take() {
                state.handles[place] = Raw::NIL;
                self.free.borrow_mut().push(place);
            }
            let mark = Mark::of(state);
            catch_unwind(AssertUnwindSafe(|| f(state))).inspect_err(|_| {
                self.note_panic(state);
                mark.restore(state);
            })
        };
        self.depth.set(self.depth.get() - 1);
        if self.abandoned.get() && self.depth.get() == 0 {
            self.close();
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A panic passes through; the frames stand as they stood when it began.
    fn note_panic(&self, state: &mut State) {
        let mut panic = self.panic.borrow_mut();
        let known = panic.take().filter(|(_, is_out)| !is_out);
        let (text, _) = known.unwrap_or_else(|| (tracebacks(state), false));
        *panic = Some((text, self.depth.get() == 1));
    }

    /// The Lua traceback of the last panic, once.
    pub(crate) fn take_panic(&self) -> Option<String> {
        self.panic.borrow_mut().take().map(|(text, _)| text)
    }

    /// Lets others work with the state while `f` runs.
    pub(crate) fn lend<R>(&self, state: &mut State, f: impl FnOnce() -> R) -> R {
        let _loan = Loan { shared: self, before: self.state.replace(state) };
        f()
    }

    /// The owner goes: runs the finalizers and frees the state, now or when nobody uses it any more.
    pub(crate) fn close(&self) {
        if self.depth.get() > 0 {
            self.abandoned.set(true);
            return;
        }
        if self.closed.replace(true) {
            return;
        }
        self.with(super::machine::close);
        let state = self.state.replace(null_mut());
        // SAFETY: the address is that of the box from `new`; nobody uses it, and nobody can find it any more.
        drop(unsafe { Box::from_raw(state) });
    }

    /// Keeps a value for Rust code; answers its place.
    pub(crate) fn keep(&self, state: &mut State, value: Raw) -> usize {
        match self.free.borrow_mut().pop() {
            Some(place) => {
                state.handles[place] = value;
                place
            }
            None => {
                state.handles.push(value);
                state.handles.len() - 1
            }
        }
    }

    /// Lets go of a kept value.
    pub(crate) fn release(&self, place: usize) {
        if self.state.get().is_null() {
            self.dropped.borrow_mut().push(place);
        } else {
            let pointer = self.state.replace(null_mut());
            // SAFETY: as in `with`; nothing is called meanwhile.
            unsafe { (&mut (*pointer).handles)[place] = Raw::NIL };
            self.state.set(pointer);
            self.free.borrow_mut().push(place);
        }
    }
}

/// Where the running coroutine stood, to return to when an error or a panic passes through.
pub(super) struct Mark {
    thread: Gc<Thread>,
    frames: usize,
    closing: usize,
    top: usize,
    no_yield: u32,
    nesting: u32,
    in_finalizer: bool,
}

impl Mark {
    pub(super) fn of(state: &State) -> Mark {
        let thread = state.thread;
        Mark {
            thread,
            frames: thread.frames().len(),
            closing: thread.closing().len(),
            top: state.top(),
            no_yield: thread.no_yield.get(),
            nesting: state.nesting,
            in_finalizer: state.in_finalizer,
        }
    }

    pub(super) fn restore(&self, state: &mut State) {
        stop_recording(state, "panic");
        let mut thread = state.thread;
        while thread != self.thread {
            thread.status.set(Status::Dead);
            let Some(next) = thread.resumer.replace(None) else { break };
            thread = next;
        }
        state.thread = self.thread;
        self.thread.status.set(Status::Running);
        self.thread.frames().truncate(self.frames);
        self.thread.closing().truncate(self.closing);
        self.thread.no_yield.set(self.no_yield);
        state.set_top(self.top);
        state.nesting = self.nesting;
        state.in_finalizer = self.in_finalizer;
    }
}

/// The tracebacks of the coroutine that runs and of those that have resumed it, as one.
fn tracebacks(state: &mut State) -> String {
    let mut text = String::new();
    let mut next = Some(state.thread);
    while let Some(thread) = next {
        let part = traceback(state, thread, None, 0);
        let part = String::from_utf8_lossy(&part);
        text.push_str(if text.is_empty() { &part } else { part.strip_prefix("stack traceback:").unwrap_or(&part) });
        next = thread.resumer.get();
    }
    text
}
