//! Loops off the fast path: their preparation, hot counters, the way into compiled code.

use std::sync::atomic::Ordering;

use perilune_runtime::lua::bytecode::{self as bc, Word};
use perilune_runtime::lua::function::{NativeFunction, Proto, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number::{Number, Rounding, float_to_int_rounded};
use perilune_runtime::lua::state::{Raised, State, interrupt};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::tier::{Answer, Event, Outcome, Site};
use perilune_runtime::lua::value::{Value, tag};

use super::super::api::to_number;
use super::super::call::{Flow, Step};
use super::super::error::{error_at, frame_proto, runtime_error, type_name_of};
use super::{tier_of, top_frame};

fn running_proto(st: &State) -> Option<Gc<Proto>> {
    frame_proto(st.thread, *top_frame(st))
}

/// Somebody may have asked the program to stop, for a sample, or to notice a debugger, which whoever leaves compiled code does.
fn check_interrupt(st: &mut State) -> Result<(), Raised> {
    let asked = st.interrupt.load(Ordering::Relaxed);
    if asked == 0 {
        return Ok(());
    }
    if asked & interrupt::SAMPLE != 0 {
        st.sample();
    }
    if asked & interrupt::DEBUGGER != 0 {
        st.interrupt.fetch_and(!interrupt::DEBUGGER, Ordering::Relaxed);
    }
    if asked & interrupt::STOP != 0 {
        st.interrupt.fetch_and(!interrupt::STOP, Ordering::Relaxed);
        return Err(runtime_error(st, format_args!("interrupted!")));
    }
    Ok(())
}

/// A loop's counter has run out. `back_edge` is the word of its back edge; the frame's pc is the loop's head.
#[cold]
#[inline(never)]
pub(super) fn hot_loop(st: &mut State, back_edge: *const Word) -> Step {
    // SAFETY: the counter lies behind the word of the back edge.
    unsafe { *back_edge.add(1).cast_mut() = st.hot_loop };
    check_interrupt(st)?;
    let Some(proto) = running_proto(st) else { return Ok(Flow::Go) };
    let pc = proto.index_of(back_edge);
    let Some(tier) = tier_of(st) else { return Ok(Flow::Go) };
    // SAFETY: the tier lives as long as the state, which does not take it away meanwhile.
    match unsafe { (*tier).hot(st, proto, Site::Loop(pc as u32)) } {
        Answer::Continue => Ok(go_on(st)),
        Answer::Record => Ok(Flow::Record),
        // SAFETY: the tier has patched the back edge.
        Answer::Enter => enter(st, unsafe { *back_edge.add(1) }),
    }
}

/// The counter of the function whose frame has just been pushed has run out.
#[cold]
#[inline(never)]
pub(super) fn hot_function(st: &mut State) -> Step {
    let Some(proto) = running_proto(st) else { return Ok(Flow::Go) };
    if proto.is_vararg {
        // A trace begins behind VARARGPREP.
        super::slow::enter_varargs(st)?;
    }
    if proto.entry_trace.get() != 0 {
        proto.hot.set(1);
        return enter(st, proto.entry_trace.get());
    }
    proto.hot.set(st.hot_function);
    check_interrupt(st)?;
    let Some(tier) = tier_of(st) else { return Ok(Flow::Go) };
    // SAFETY: the tier lives as long as the state, which does not take it away meanwhile.
    match unsafe { (*tier).hot(st, proto, Site::Function) } {
        Answer::Continue => Ok(go_on(st)),
        Answer::Record => Ok(Flow::Record),
        Answer::Enter => enter(st, proto.entry_trace.get()),
    }
}

/// Runs a trace; the top frame's pc is where it begins.
#[inline(never)]
pub(super) fn enter(st: &mut State, trace: u32) -> Step {
    if st.lines.on {
        st.lines.event = Some(Event::Enter(trace));
        return Ok(Flow::Show);
    }
    let Some(tier) = tier_of(st) else { return Ok(Flow::Go) };
    // SAFETY: the tier lives as long as the state; its borrow ends before the trace runs. The number comes from a place
    // where the tier has put it.
    let outcome = unsafe {
        let entry = (*tier).entry(trace);
        entry(st, trace)
    };
    match left(st, outcome)? {
        Flow::Go => Ok(go_on(st)),
        flow => Ok(flow),
    }
}

/// How the interpreter goes on: if a debugger has come meanwhile, in the debugging loop.
fn go_on(st: &State) -> Flow {
    if st.lines.on { Flow::Show } else { Flow::Go }
}

/// How the interpreter goes on when a trace was left.
pub(super) fn left(st: &mut State, outcome: Outcome) -> Step {
    // A trace leaves when it is asked to stop.
    if outcome != Outcome::Raised
        && let Err(raised) = check_interrupt(st)
    {
        if let Some(tier) = tier_of(st) {
            // SAFETY: as above. What was to be recorded from here is not.
            unsafe { (*tier).abort(st, "interrupt") };
        }
        return Err(raised);
    }
    match outcome {
        Outcome::Continue => {
            // The exit has collected, perhaps.
            super::run_finalizers(st);
            Ok(Flow::Go)
        }
        Outcome::Record => Ok(Flow::Record),
        Outcome::Raised => Err(Raised),
    }
}

// ---- the generic loop

/// A step of a generic loop whose iterator, in the first of its registers at `a`, is a native function and whose state is a table:
/// that of `pairs` or `ipairs`, for `wanted` variables. Answers whether it is done, as far as that goes without metamethods.
///
/// # Safety
/// `a` is the slot of the iterator in the frame of the loop, whose tags are as said.
#[inline(never)]
pub(super) unsafe fn iterate(a: *mut Value, wanted: usize) -> bool {
    // SAFETY: the loop has four registers before those of its variables, of which two are always there.
    unsafe {
        let native: Gc<NativeFunction> = (*a).raw_gc();
        let table: Gc<Table> = (*a.add(1)).raw_gc();
        let control = *a.add(2);
        let entry = match native.special() {
            Special::Next => {
                let closing = a.add(3);
                let is_free = (*closing).is_nil();
                let hint = if is_free { (*closing).payload() as usize } else { 0 };
                match table.next_hinted(control, hint) {
                    Ok(Some((hint, key, value))) => {
                        if is_free {
                            // Of a nil nobody looks at the payload.
                            *closing = Value::from_raw(tag::NIL, hint as u64);
                        }
                        (key, value)
                    }
                    Ok(None) => (Value::NIL, Value::NIL),
                    Err(_) => return false,
                }
            }
            Special::IpairsNext if control.is_integer() => {
                let i = control.raw_integer().wrapping_add(1);
                let value = table.get_int(i);
                if !value.is_nil() {
                    (Value::integer(i), value)
                } else if table.metatable().is_none() {
                    (Value::NIL, Value::NIL)
                } else {
                    return false;
                }
            }
            _ => return false,
        };
        *a.add(4) = entry.0;
        *a.add(5) = entry.1;
        for i in 2..wanted {
            *a.add(4 + i) = Value::NIL;
        }
        true
    }
}

// ---- the numeric loop

#[cold]
fn bad_for(st: &mut State, value: Value, what: &str) -> Raised {
    let mut text = format!("bad 'for' {what} (number expected, got ").into_bytes();
    text.extend_from_slice(&type_name_of(st, value));
    text.push(b')');
    error_at(st, 0, &text)
}

/// An integer loop's limit. None: the loop does not run.
fn integer_limit(st: &mut State, init: i64, limit: Value, step: i64) -> Result<Option<i64>, Raised> {
    let limit = match to_number(limit) {
        None => return Err(bad_for(st, limit, "limit")),
        Some(Number::Int(i)) => i,
        Some(Number::Float(f)) => {
            let mode = if step < 0 { Rounding::Ceil } else { Rounding::Floor };
            match float_to_int_rounded(f, mode) {
                Some(i) => i,
                None if f > 0.0 && step < 0 => return Ok(None),
                None if f > 0.0 => i64::MAX,
                None if step > 0 => return Ok(None),
                None => i64::MIN,
            }
        }
    };
    let runs = if step > 0 { init <= limit } else { init >= limit };
    Ok(runs.then_some(limit))
}

/// The number of further rounds of a loop that runs.
#[inline(always)]
pub fn rounds(init: i64, limit: i64, step: i64) -> u64 {
    if step > 0 {
        let span = (limit as u64).wrapping_sub(init as u64);
        if step == 1 { span } else { span / step as u64 }
    } else {
        let span = (init as u64).wrapping_sub(limit as u64);
        span / ((step + 1).unsigned_abs() + 1)
    }
}

/// FORPREP where not all three values are integers, or the step is 0.
#[inline(never)]
pub(super) fn prepare(st: &mut State, word: Word) -> Step {
    let a = top_frame(st).base as usize + bc::a(word);
    let (init, limit, step) = (st.slot(a), st.slot(a + 1), st.slot(a + 2));
    let runs = if let (Some(init), Some(step)) = (init.as_integer(), step.as_integer()) {
        if step == 0 {
            return Err(runtime_error(st, format_args!("'for' step is zero")));
        }
        match integer_limit(st, init, limit, step)? {
            None => false,
            Some(limit) => {
                st.set_slot(a + 1, Value::integer(rounds(init, limit, step) as i64));
                st.set_slot(a + 3, Value::integer(init));
                true
            }
        }
    } else {
        let Some(bound) = to_number(limit) else { return Err(bad_for(st, limit, "limit")) };
        let Some(by) = to_number(step) else { return Err(bad_for(st, step, "step")) };
        let Some(first) = to_number(init) else { return Err(bad_for(st, init, "initial value")) };
        let (bound, by, first) = (bound.to_float(), by.to_float(), first.to_float());
        if by == 0.0 {
            return Err(runtime_error(st, format_args!("'for' step is zero")));
        }
        for (i, f) in [first, bound, by, first].into_iter().enumerate() {
            st.set_slot(a + i, Value::float(f));
        }
        // A NaN does not keep the first round from running.
        let misses = if by > 0.0 { bound < first } else { first < bound };
        !misses
    };
    if !runs {
        let frame = top_frame(st);
        // SAFETY: the loop's end is part of the code.
        frame.pc = unsafe { frame.pc.add(bc::bx(word)) };
    }
    Ok(Flow::Go)
}
