//! What instructions do off the loop's fast path. Each takes the instruction's word; the top frame's pc is behind that.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::LuaFunction;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number;
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::string::MAX_STRING;
use perilune_runtime::lua::thread::{Thread, frame_flag};
use perilune_runtime::lua::value::Value;

use super::super::api::number_of;
use super::super::call::{
    Flow, Step, begin_call, call_closer, call_from_loop, call_plain, deliver, ensure_stack, insert_call_handler,
    is_plain, next_to_close, push_lua, safepoint,
};
use super::super::error::{Place, compare_error, runtime_error};
use super::super::meta::{
    Found, arithmetic_error, binary_handler, concat_error, equality_handler, find_index, find_length, find_set_index,
    raw_arithmetic, raw_less, raw_less_equal,
};
use super::super::names::operator_event;
use super::finish::condition;
use super::{finish, register_of, top_frame, with_memory};

/// The function that runs.
#[inline(always)]
pub(super) fn running(st: &State) -> Gc<LuaFunction> {
    // SAFETY: below a Lua frame's base lies its function.
    unsafe { st.slot(top_frame(st).base as usize - 1).raw_gc() }
}

#[inline(always)]
pub(super) fn base(st: &State) -> usize {
    top_frame(st).base as usize
}

#[inline(always)]
pub(super) fn register(st: &State, r: usize) -> Value {
    st.slot(base(st) + r)
}

#[inline(always)]
pub(super) fn constant(st: &State, index: usize) -> Value {
    running(st).proto().constant(index)
}

/// `RK(C)`
#[inline(always)]
pub(super) fn register_or_constant_c(st: &State, word: Word) -> Value {
    if bc::k(word) { constant(st, bc::c(word)) } else { register(st, bc::c(word)) }
}

/// The extra word of the instruction in progress; moves the pc behind it.
pub(super) fn take_extra(st: &State) -> usize {
    let frame = top_frame(st);
    // SAFETY: the instruction has an extra word.
    unsafe {
        let extra = *frame.pc;
        frame.pc = frame.pc.add(1);
        extra as usize
    }
}

/// Calls a metamethod for the instruction in progress.
pub(super) fn call_meta(st: &mut State, handler: Value, args: &[Value]) -> Step {
    let at = base(st) + usize::from(running(st).proto().max_stack);
    ensure_stack(st, at + 1 + args.len())?;
    st.set_slot(at, handler);
    for (i, arg) in args.iter().enumerate() {
        st.set_slot(at + 1 + i, *arg);
    }
    st.set_top(at + 1 + args.len());
    match handler.as_native().filter(|f| is_plain(*f)) {
        None => begin_call(st, at, 1, frame_flag::FINISH),
        Some(native) => {
            let n = call_plain(st, native, at)?;
            let value = if n > 0 { st.slot(st.top() - n) } else { Value::NIL };
            let flow = finish(st, value)?;
            safepoint(st);
            Ok(flow)
        }
    }
}

/// A safepoint of the loop.
#[cold]
#[inline(never)]
pub(super) fn collect(st: &mut State) -> Step {
    super::collect(st);
    Ok(Flow::Go)
}

/// A safepoint of the loop behind an instruction that sets a new temporary: the registers above that are free.
#[cold]
#[inline(never)]
pub(super) fn collect_after(st: &mut State, word: Word) -> Step {
    super::collect_above(st, base(st) + bc::a(word) + 1);
    Ok(Flow::Go)
}

/// Memory has run out.
#[cold]
#[inline(never)]
pub(super) fn raised(_: &mut State) -> Step {
    Err(Raised)
}

// ---- tables

fn index(st: &mut State, word: Word, object: Value, key: Value) -> Step {
    match find_index(st, object, key, Place::Register(bc::b(word)))? {
        Found::Value(value) => {
            st.set_slot(base(st) + bc::a(word), value);
            Ok(Flow::Go)
        }
        Found::Call(handler, at) => call_meta(st, handler, &[at, key]),
    }
}

/// GETTABLE
#[inline(never)]
pub(super) fn get_table(st: &mut State, word: Word) -> Step {
    let (object, key) = (register(st, bc::b(word)), register(st, bc::c(word)));
    index(st, word, object, key)
}

/// GETI
#[inline(never)]
pub(super) fn get_i(st: &mut State, word: Word) -> Step {
    let object = register(st, bc::b(word));
    index(st, word, object, Value::integer(bc::c(word) as i64))
}

fn set_index(st: &mut State, word: Word, key: Value, value: Value) -> Step {
    let object = register(st, bc::a(word));
    match with_memory(st, |st| find_set_index(st, object, key, value, Place::Register(bc::a(word))))? {
        None => Ok(Flow::Go),
        Some((handler, at)) => call_meta(st, handler, &[at, key, value]),
    }
}

/// SETTABLE
#[inline(never)]
pub(super) fn set_table(st: &mut State, word: Word) -> Step {
    let (key, value) = (register(st, bc::b(word)), register_or_constant_c(st, word));
    set_index(st, word, key, value)
}

/// SETI
#[inline(never)]
pub(super) fn set_i(st: &mut State, word: Word) -> Step {
    let value = register_or_constant_c(st, word);
    set_index(st, word, Value::integer(bc::b(word) as i64), value)
}

/// SETLIST
#[inline(never)]
pub(super) fn set_list(st: &mut State, word: Word) -> Step {
    let stored = take_extra(st);
    let a = base(st) + bc::a(word);
    let n = if bc::b(word) == 0 { st.top() - a - 1 } else { bc::b(word) };
    let Some(table) = st.slot(a).as_table() else { return Ok(Flow::Go) };
    let thread = st.thread;
    with_memory(st, |st| Ok(table.set_list(&mut st.heap, stored, (0..n).map(|i| thread.slot(a + 1 + i)))?))?;
    Ok(Flow::Go)
}

/// LEN
#[inline(never)]
pub(super) fn length(st: &mut State, word: Word) -> Step {
    let value = register(st, bc::b(word));
    match find_length(st, value, Place::Register(bc::b(word)))? {
        Found::Value(n) => {
            st.set_slot(base(st) + bc::a(word), n);
            Ok(Flow::Go)
        }
        Found::Call(handler, object) => call_meta(st, handler, &[object, object]),
    }
}

// ---- arithmetic and comparison

/// An operand, and where it comes from.
type Operand = (Value, Place);

/// The operands of an arithmetic instruction, in the order of the source.
fn operands(st: &State, op: Op, word: Word) -> (Operand, Operand) {
    let (b, c) = (bc::b(word), bc::c(word));
    let first = (register(st, b), Place::Register(b));
    let second = match op {
        Op::Unm | Op::BNot => first,
        Op::ShrI if bc::k(word) => (Value::integer(-i64::from(bc::sc(word))), Place::Unknown),
        Op::AddI | Op::ShrI | Op::ShlI => (Value::integer(i64::from(bc::sc(word))), Place::Unknown),
        Op::AddK
        | Op::SubK
        | Op::MulK
        | Op::ModK
        | Op::PowK
        | Op::DivK
        | Op::IDivK
        | Op::BAndK
        | Op::BOrK
        | Op::BXorK => (constant(st, c), Place::Unknown),
        _ => (register(st, c), Place::Register(c)),
    };
    let swapped = match op {
        Op::ShlI => true,
        Op::AddI | Op::AddK | Op::MulK | Op::BAndK | Op::BOrK | Op::BXorK => bc::k(word),
        _ => false,
    };
    if swapped { (second, first) } else { (first, second) }
}

/// Any arithmetic or bitwise instruction.
#[inline(never)]
pub(super) fn arithmetic(st: &mut State, word: Word) -> Step {
    let op = bc::op(word);
    let (a, b) = operands(st, op, word);
    let event = operator_event(op, bc::k(word)).unwrap_or(Event::Add);
    if let Some(value) = raw_arithmetic(st, event, a.0, b.0)? {
        st.set_slot(base(st) + bc::a(word), value);
        return Ok(Flow::Go);
    }
    let handler = binary_handler(st, event, a.0, b.0);
    if handler.is_nil() {
        return Err(arithmetic_error(st, event, a, b));
    }
    call_meta(st, handler, &[a.0, b.0])
}

/// EQ of values that are not identical.
#[inline(never)]
pub(super) fn equal(st: &mut State, word: Word) -> Step {
    let (a, b) = (register(st, bc::a(word)), register(st, bc::b(word)));
    let outcome = a.raw_equals(b);
    if !outcome {
        let handler = equality_handler(st, a, b);
        if !handler.is_nil() {
            return call_meta(st, handler, &[a, b]);
        }
    }
    condition(st, word, outcome);
    Ok(Flow::Go)
}

/// LT, LE and their forms with a small number.
#[inline(never)]
pub(super) fn compare(st: &mut State, word: Word) -> Step {
    let op = bc::op(word);
    let a = register(st, bc::a(word));
    let small = || {
        let n = bc::sb(word);
        if bc::c(word) != 0 { Value::float(f64::from(n)) } else { Value::integer(i64::from(n)) }
    };
    let (a, b, event) = match op {
        Op::Lt => (a, register(st, bc::b(word)), Event::Lt),
        Op::Le => (a, register(st, bc::b(word)), Event::Le),
        Op::LtI => (a, small(), Event::Lt),
        Op::LeI => (a, small(), Event::Le),
        Op::GtI => (small(), a, Event::Lt),
        _ => (small(), a, Event::Le),
    };
    let outcome = if event == Event::Lt { raw_less(a, b) } else { raw_less_equal(a, b) };
    if let Some(outcome) = outcome {
        condition(st, word, outcome);
        return Ok(Flow::Go);
    }
    let handler = binary_handler(st, event, a, b);
    if handler.is_nil() {
        return Err(compare_error(st, a, b));
    }
    call_meta(st, handler, &[a, b])
}

// ---- concatenation

/// CONCAT
#[inline(never)]
pub(super) fn concat(st: &mut State, word: Word) -> Step {
    let first = base(st) + bc::a(word);
    concat_values(st, first, bc::b(word))
}

/// Concatenates `left` values from `first` on, from right to left.
pub(super) fn concat_values(st: &mut State, first: usize, mut left: usize) -> Step {
    while left > 1 {
        let (a, b) = (st.slot(first + left - 2), st.slot(first + left - 1));
        let is_text = |v: Value| v.is_string() || v.is_number();
        if !is_text(a) || !is_text(b) {
            let handler = binary_handler(st, Event::Concat, a, b);
            if handler.is_nil() {
                let place = |i: usize| Place::Register(first + i - base(st));
                let (at_a, at_b) = (place(left - 2), place(left - 1));
                return Err(concat_error(st, (a, at_a), (b, at_b)));
            }
            // Of `left` values the last two become one; `pending` is one more than what remains.
            top_frame(st).pending = left as u32;
            return call_meta(st, handler, &[a, b]);
        }
        let mut n = 2;
        while n < left && is_text(st.slot(first + left - n - 1)) {
            n += 1;
        }
        let at = first + left - n;
        let value = with_memory(st, |st| join(st, at, n))?;
        st.set_slot(at, value);
        left -= n - 1;
    }
    if st.heap.debt > 0 {
        super::collect_above(st, first + 1);
    }
    Ok(Flow::Go)
}

/// The concatenation of `n` strings or numbers.
fn join(st: &mut State, at: usize, n: usize) -> Result<Value, Raised> {
    let (first, second) = (st.slot(at).as_string(), st.slot(at + 1).as_string());
    let mut length = 0usize;
    for i in at..at + n {
        length += st.slot(i).as_string().map_or(number::MAX_TEXT, |s| s.len());
    }
    if length > MAX_STRING {
        return Err(runtime_error(st, format_args!("string length overflow")));
    }
    if n == 2
        && let (Some(a), Some(b)) = (first, second)
    {
        return Ok(Value::from(st.heap.concat([a, b])?));
    }
    // All that stands behind the first, if that is a string; else all.
    let (rest, length) = first.map_or((at, length), |s| (at + 1, length - s.len()));
    let small = length <= 1024;
    let mut buffer = if small {
        let mut buffer = std::mem::take(&mut st.buffer);
        buffer.clear();
        buffer
    } else {
        st.heap.reserve(length)?;
        Vec::new()
    };
    if buffer.try_reserve_exact(length).is_err() {
        return Err(Raised);
    }
    for i in rest..at + n {
        let value = st.slot(i);
        match (value.as_string(), number_of(value)) {
            (Some(s), _) => buffer.extend_from_slice(s.bytes()),
            (None, Some(n)) => number::write(n, &mut buffer),
            (None, None) => {}
        }
    }
    let s = match first {
        Some(first) => st.heap.append(first, &[first.bytes(), &buffer]),
        None => st.heap.string(&buffer),
    };
    if small {
        st.buffer = buffer;
    }
    Ok(Value::from(s?))
}

// ---- closures and extra arguments

/// CLOSURE
#[inline(never)]
pub(super) fn closure(st: &mut State, word: Word) -> Step {
    let enclosing = running(st);
    let base = base(st);
    let proto = enclosing.proto().functions[bc::bx(word)];
    let thread = st.thread;
    let cells = proto.upvalues.iter().map(|source| {
        let index = usize::from(source.index);
        // SAFETY: a captured variable's register holds a cell; the enclosing function has the upvalues that are named.
        unsafe { if source.in_register { thread.slot(base + index).raw_gc() } else { enclosing.cell_unchecked(index) } }
    });
    let f = st.heap.lua_function(proto, cells)?;
    st.set_slot(base + bc::a(word), Value::from(f));
    if st.heap.debt > 0 { collect_after(st, word) } else { Ok(Flow::Go) }
}

/// VARARG
#[inline(never)]
pub(super) fn vararg(st: &mut State, word: Word) -> Step {
    let frame = *top_frame(st);
    let (base, extra) = (frame.base as usize, frame.extra as usize);
    let a = base + bc::a(word);
    let wanted = if bc::c(word) == 0 { extra } else { bc::c(word) - 1 };
    if bc::c(word) == 0 {
        ensure_stack(st, a + wanted + 1)?;
        st.set_top(a + wanted);
    }
    for i in 0..wanted {
        let value = if i < extra { st.slot(base - 1 - extra + i) } else { Value::NIL };
        st.set_slot(a + i, value);
    }
    Ok(Flow::Go)
}

/// VARARGPREP, as the next instruction.
pub(super) fn enter_varargs(st: &mut State) -> Result<(), Raised> {
    let frame = top_frame(st);
    // SAFETY: the instruction is the first one of the function, which has just been called.
    let word = unsafe { *frame.pc };
    // SAFETY: it is followed by another one.
    frame.pc = unsafe { frame.pc.add(1) };
    if st.top() > frame.base as usize + bc::a(word) {
        vararg_prepare(st, word)?;
    }
    Ok(())
}

/// VARARGPREP with extra arguments.
#[inline(never)]
pub(super) fn vararg_prepare(st: &mut State, word: Word) -> Step {
    let frame = top_frame(st);
    let (base, parameters) = (frame.base as usize, bc::a(word));
    let top = st.top();
    let new_base = top + 1;
    ensure_stack(st, new_base + usize::from(running(st).proto().max_stack) + 1)?;
    for i in 0..=parameters {
        st.set_slot(top + i, st.slot(base - 1 + i));
    }
    for i in 0..parameters {
        st.set_slot(base + i, Value::NIL);
    }
    frame.base = new_base as u32;
    frame.extra = (top - base - parameters) as u32;
    Ok(Flow::Go)
}

// ---- calls and returns

/// The slot of the top frame's function, a Lua function, as its caller put it there: where its results go.
pub fn function_slot(st: &State) -> usize {
    let frame = top_frame(st);
    function_below(st.thread, frame.base, frame.extra)
}

/// The slot of the function of a Lua frame as its caller put it there: below the extra arguments and the parameters, if there are
/// any of the former.
pub fn function_below(thread: Gc<Thread>, base: u32, extra: u32) -> usize {
    let copy = base as usize - 1;
    if extra == 0 {
        return copy;
    }
    let parameters = thread.slot(copy).as_lua_function().map_or(0, |f| usize::from(f.proto().parameters));
    copy - extra as usize - parameters - 1
}

/// CALL of anything that the loop does not call itself.
#[inline(never)]
pub(super) fn call(st: &mut State, word: Word) -> Step {
    let func = base(st) + bc::a(word);
    if bc::b(word) != 0 {
        st.set_top(func + bc::b(word));
    }
    begin_call(st, func, bc::c(word) as i32 - 1, 0)
}

/// CALL of a native function. None: it is done, and the loop goes on in the same frame, which may have moved with the stack.
#[inline(never)]
pub(super) fn call_native(st: &mut State, word: Word) -> Option<Step> {
    let func = base(st) + bc::a(word);
    if bc::b(word) != 0 {
        st.set_top(func + bc::b(word));
    }
    let wanted = bc::c(word) as i32 - 1;
    match st.slot(func).as_native().filter(|f| is_plain(*f)) {
        Some(native) => call_from_loop(st, native, func, wanted),
        None => Some(begin_call(st, func, wanted, 0)),
    }
}

/// TFORCALL of anything that the loop does not call itself. The call is set up.
#[inline(never)]
pub(super) fn call_iterator(st: &mut State, word: Word) -> Step {
    let func = base(st) + bc::a(word) + 4;
    begin_call(st, func, bc::c(word) as i32, 0)
}

/// TAILCALL
#[inline(never)]
pub(super) fn tail_call(st: &mut State, word: Word) -> Step {
    let func = base(st) + bc::a(word);
    if bc::b(word) != 0 {
        st.set_top(func + bc::b(word));
    }
    while !st.slot(func).is_function() {
        let place = register_of(st, func);
        insert_call_handler(st, func, place)?;
    }
    let Some(f) = st.slot(func).as_lua_function() else {
        // The RETURN that follows returns its results.
        return begin_call(st, func, -1, 0);
    };
    let frame = *top_frame(st);
    let proto = f.proto();
    let to = function_slot(st);
    let count = st.top() - func;
    ensure_stack(st, to + 2 + usize::from(proto.max_stack) + count)?;
    for i in 0..count {
        st.set_slot(to + i, st.slot(func + i));
    }
    st.set_top(to + count);
    st.thread.frames().pop();
    push_lua(st, to, f, frame.wanted, frame.flags | frame_flag::TAIL)?;
    count_call(st, f)
}

/// Counts a call; the frame is pushed.
pub fn count_call(st: &mut State, f: Gc<LuaFunction>) -> Step {
    let proto = f.proto();
    let left = proto.hot.get().wrapping_sub(1);
    if st.recording || left != 0 {
        proto.hot.set(left.max(1));
        return Ok(Flow::Go);
    }
    super::loops::hot_function(st)
}

/// RETURN, and RETURN0 and RETURN1 where the caller is not just a call instruction.
#[inline(never)]
pub(super) fn return_values(st: &mut State, word: Word) -> Step {
    let frame = top_frame(st);
    let base = frame.base as usize;
    let first = base + bc::a(word);
    let n = match (frame.pending, bc::op(word)) {
        (_, Op::Return0) => 0,
        (_, Op::Return1) => 1,
        (0, _) if bc::b(word) == 0 => st.top() - first,
        (0, _) => bc::b(word) - 1,
        (pending, _) => pending as usize - 1,
    };
    if bc::op(word) == Op::Return && bc::k(word) {
        frame.pending = n as u32 + 1;
        let at = (base + usize::from(running(st).proto().max_stack)).max(first + n);
        if let Some(flow) = close_down_to(st, base, at)? {
            return Ok(flow);
        }
        top_frame(st).pending = 0;
        if st.thread.is_hooked() {
            st.set_top(first + n);
            super::hook::returns(st, (first, n))?;
        }
    }
    let to = function_slot(st);
    let frame = *top_frame(st);
    st.thread.frames().pop();
    deliver(st, to, frame.wanted, frame.flags, first, n)
}

/// Closes variables from a slot on. Answers the flow if the loop must run a function for that.
fn close_down_to(st: &mut State, level: usize, at: usize) -> Result<Option<Flow>, Raised> {
    while let Some(slot) = next_to_close(st, level) {
        if let Some(flow) = call_closer(st, slot, Value::NIL, at)? {
            return Ok(Some(flow));
        }
    }
    Ok(None)
}

/// CLOSE
#[inline(never)]
pub(super) fn close(st: &mut State, word: Word) -> Step {
    let base = base(st);
    let at = base + usize::from(running(st).proto().max_stack);
    Ok(close_down_to(st, base + bc::a(word), at)?.unwrap_or(Flow::Go))
}

/// TBC
#[inline(never)]
pub(super) fn mark_to_be_closed(st: &mut State, word: Word) -> Step {
    to_be_closed(st, bc::a(word))
}

/// TFORPREP with a closing value.
#[inline(never)]
pub(super) fn mark_closing_value(st: &mut State, word: Word) -> Step {
    to_be_closed(st, bc::a(word) + 3)?;
    let frame = top_frame(st);
    // SAFETY: the loop's end is part of the code.
    frame.pc = unsafe { frame.pc.add(bc::bx(word)) };
    Ok(Flow::Go)
}

fn to_be_closed(st: &mut State, r: usize) -> Step {
    let value = register(st, r);
    if value.is_falsy() {
        return Ok(Flow::Go);
    }
    if super::super::meta::metafield(st, value, Event::Close).is_nil() {
        let name = super::super::error::local_name(st, r);
        let text = [b"variable '", &name[..], b"' got a non-closable value"].concat();
        return Err(super::super::error::error_at(st, 0, &text));
    }
    let slot = base(st) + r;
    st.thread.closing().push(slot as u32);
    Ok(Flow::Go)
}
