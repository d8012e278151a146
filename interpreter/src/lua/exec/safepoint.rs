//! Safepoints: the collector's steps and finalizers.

#![forbid(unsafe_code)]

use std::io::Write;

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::thread::{FrameKind, NATIVE_STACK};
use perilune_runtime::lua::value::Value;

use super::super::api::to_bytes;
use super::super::call::{call_finalizer, ensure_stack, free_top};
use super::super::meta::metafield;

/// A safepoint's slow path: a step of the collector, and the finalizers that are due then.
#[cold]
#[inline(never)]
pub fn collect(st: &mut State) {
    st.collect_step();
    run_finalizers(st);
}

/// Does something that asks for memory and has no effect if there is none; then once more, after a collection. What it is about
/// must lie on the stack. Finalizers wait for the next safepoint.
#[inline]
pub fn with_memory<T>(st: &mut State, ask: impl Fn(&mut State) -> Result<T, Raised>) -> Result<T, Raised> {
    match ask(st) {
        Err(Raised) if !st.has_error() && !st.bare => {
            st.collect_all();
            ask(st)
        }
        outcome => outcome,
    }
}

/// As [`collect`], where the registers of the top frame, a Lua function's, hold nothing any more from a slot on: what they
/// held must not be kept alive by that.
#[cold]
#[inline(never)]
pub fn collect_above(st: &mut State, dead: usize) {
    let frame = st.thread.frames().last();
    if frame.is_some_and(|f| f.kind == FrameKind::Lua) {
        for slot in dead..free_top(st) {
            st.set_slot(slot, Value::NIL);
        }
        st.set_top(dead);
    }
    collect(st);
}

/// Calls the finalizers that are due, unless one is running. Their errors become warnings.
pub fn run_finalizers(st: &mut State) {
    if st.in_finalizer || !st.heap.has_finalizers_due() {
        return;
    }
    let (top, free) = (st.top(), free_top(st));
    // What was on its way stays there.
    let pending = st.has_error().then(|| (st.take_error(), st.handled));
    st.in_finalizer = true;
    while let Some(object) = st.heap.next_finalizer() {
        let handler = metafield(st, object, Event::Gc);
        if handler.is_nil() || ensure_stack(st, free + 2 + NATIVE_STACK).is_err() {
            continue;
        }
        st.set_slot(free, handler);
        st.set_slot(free + 1, object);
        st.set_top(free + 2);
        if let Ok(Err(error)) = call_finalizer(st) {
            let text = to_bytes(error).unwrap_or_else(|| b"error object is not a string".to_vec());
            warn(st, &[b"error in __gc (", &text[..], b")"].concat());
        }
    }
    st.in_finalizer = false;
    if let Some((error, handled)) = pending {
        st.raise(error);
        st.handled = handled;
    }
    st.set_top(top);
}

/// Calls the finalizers of all objects that have one: for the end of the state.
pub fn finalize_all(st: &mut State) {
    st.heap.finalize_all();
    run_finalizers(st);
}

/// Prints a warning if they are on.
pub fn warn(st: &State, message: &[u8]) {
    if st.warnings {
        // There is nobody to tell that a warning could not be written.
        let _ = std::io::stderr().write_all(&[b"Lua warning: ", message, b"\n"].concat());
    }
}
