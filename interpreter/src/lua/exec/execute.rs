//! The interpreter's loop.
//!
//! While it runs, pc, the first register, the constants and the frame are in local variables. An instruction either does its
//! work inline and goes on (`continue`), or leaves the inner loop with a function's answer (`slow!`), after which everything
//! is read anew: nothing is alive across such a call but the state's address, so that the compiler keeps the local
//! variables in registers. Lua functions are called and return inside the loop.
//!
//! Values are copied as a payload and a tag. There are no checks of register numbers: the compiler's code keeps to
//! `max_stack`, for which a call has made room.
//!
//! The loop has two instances. The second one, which records and calls hooks, asks before each instruction what is to be
//! done ([`super::watch`]), counts nothing, and does not enter compiled code.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::function::{Cell, InlineCache, LuaFunction, NativeFunction, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::{Frame, FrameKind, frame_flag};
use perilune_runtime::lua::value::{Value, tag};

use super::super::call::{Flow, Step, settle};
use super::{field, loops, slow};

// ---- values in their slots

#[inline(always)]
unsafe fn tag_of(p: *const Value) -> u8 {
    // SAFETY: the tag follows the payload; `p` is a slot.
    unsafe { *p.cast::<u8>().add(8) }
}

#[inline(always)]
unsafe fn int_of(p: *const Value) -> i64 {
    // SAFETY: `p` is a slot.
    unsafe { *p.cast::<i64>() }
}

#[inline(always)]
unsafe fn float_of(p: *const Value) -> f64 {
    // SAFETY: `p` is a slot.
    unsafe { *p.cast::<f64>() }
}

#[inline(always)]
unsafe fn gc_of<T>(p: *const Value) -> Gc<T> {
    // SAFETY: the caller has looked at the tag.
    unsafe { Gc::from_raw(std::ptr::with_exposed_provenance_mut(*p.cast::<usize>())) }
}

#[inline(always)]
unsafe fn set_payload(p: *mut Value, payload: u64, tag: u8) {
    // SAFETY: `p` is a slot.
    unsafe {
        *p.cast::<u64>() = payload;
        *p.cast::<u8>().add(8) = tag;
    }
}

#[inline(always)]
unsafe fn set_int(p: *mut Value, i: i64) {
    // SAFETY: `p` is a slot.
    unsafe { set_payload(p, i as u64, tag::INTEGER) };
}

#[inline(always)]
unsafe fn set_float(p: *mut Value, f: f64) {
    // SAFETY: `p` is a slot.
    unsafe { set_payload(p, f.to_bits(), tag::FLOAT) };
}

#[inline(always)]
unsafe fn set_value(p: *mut Value, value: Value) {
    // SAFETY: `p` is a slot.
    unsafe { set_payload(p, value.payload(), value.tag()) };
}

#[inline(always)]
unsafe fn copy(to: *mut Value, from: *const Value) {
    // SAFETY: both are slots.
    unsafe { set_payload(to, *from.cast::<u64>(), tag_of(from)) };
}

#[inline(always)]
unsafe fn load(p: *const Value) -> Value {
    // SAFETY: `p` is a slot, which holds a value.
    unsafe { Value::from_raw(tag_of(p), *p.cast::<u64>()) }
}

#[inline(always)]
unsafe fn is_falsy(p: *const Value) -> bool {
    // SAFETY: `p` is a slot.
    unsafe { tag_of(p) <= tag::BOOLEAN && int_of(p) == 0 }
}

/// A number's value as a float.
#[inline(always)]
unsafe fn number_of(p: *const Value) -> Option<f64> {
    // SAFETY: `p` is a slot.
    unsafe {
        match tag_of(p) {
            tag::FLOAT => Some(float_of(p)),
            tag::INTEGER => Some(int_of(p) as f64),
            _ => None,
        }
    }
}

/// An integer, or a float with an integer's value.
#[inline(always)]
unsafe fn integral_of(p: *const Value) -> Option<i64> {
    // SAFETY: `p` is a slot.
    unsafe {
        match tag_of(p) {
            tag::INTEGER => Some(int_of(p)),
            tag::FLOAT => number::float_to_int(float_of(p)),
            _ => None,
        }
    }
}

/// Gives a Lua function its frame if there is room for it. Answers the frame.
#[inline(always)]
unsafe fn push_frame(
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

/// Runs until the call that the interpreter was entered for has ended, or recording begins or ends.
///
/// # Safety
/// The top frame must be a Lua function's, whose pc is that of the next instruction.
pub(super) unsafe fn execute<const RECORD: bool>(st: *mut State) -> Flow {
    loop {
        let step: Step = 'slow: {
            // SAFETY: the compiler's code keeps to its registers, constants, upvalues and caches, and the frames and the
            // stack are as calls leave them; see the module's documentation.
            unsafe {
                let thread = (*st).thread;
                let frames = thread.frames();
                let mut frame: *mut Frame = frames.as_mut_ptr().add(frames.len() - 1);
                let mut base: *mut Value = thread.stack().add((*frame).base as usize);
                let mut pc: *const Word = (*frame).pc;
                let mut k: *const Value = gc_of::<LuaFunction>(base.sub(1)).proto().constants_ptr();

                /// Leaves the loop for a function, which finds the pc in the frame.
                macro_rules! slow {
                    ($call:expr) => {{
                        (*frame).pc = pc;
                        break 'slow $call;
                    }};
                }
                macro_rules! r {
                    ($i:expr) => {
                        base.add($i)
                    };
                }
                macro_rules! k {
                    ($i:expr) => {
                        k.add($i)
                    };
                }
                macro_rules! cache {
                    () => {
                        k.cast::<InlineCache>().sub(*pc as usize + 1)
                    };
                }
                macro_rules! upvalue {
                    ($i:expr) => {
                        gc_of::<LuaFunction>(base.sub(1)).cell_unchecked($i)
                    };
                }
                // A test skips the jump behind it or takes it.
                macro_rules! test {
                    ($word:expr, $outcome:expr) => {{
                        if ($outcome) == bc::k($word) {
                            if !RECORD {
                                pc = pc.add(1).offset(bc::jump(*pc) as isize);
                            }
                        } else {
                            pc = pc.add(1);
                        }
                        continue;
                    }};
                }
                macro_rules! arithmetic {
                    ($word:expr, $b:expr, $c:expr, $int:expr, $float:expr) => {{
                        let (b, c): (*const Value, *const Value) = ($b, $c);
                        let to = r!(bc::a($word));
                        if tag_of(b) == tag::INTEGER && tag_of(c) == tag::INTEGER {
                            set_int(to, $int(int_of(b), int_of(c)));
                            continue;
                        }
                        if let Some(x) = number_of(b)
                            && let Some(y) = number_of(c)
                        {
                            set_float(to, $float(x, y));
                            continue;
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                macro_rules! float_arithmetic {
                    ($word:expr, $c:expr, $float:expr) => {{
                        if let Some(x) = number_of(r!(bc::b($word)))
                            && let Some(y) = number_of($c)
                        {
                            set_float(r!(bc::a($word)), $float(x, y));
                            continue;
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                // Division and modulo: an integer divisor of 0 is an error.
                macro_rules! division {
                    ($word:expr, $c:expr, $int:expr, $float:expr) => {{
                        let (b, c): (*const Value, *const Value) = (r!(bc::b($word)), $c);
                        if tag_of(b) == tag::INTEGER && tag_of(c) == tag::INTEGER {
                            if int_of(c) != 0 {
                                set_int(r!(bc::a($word)), $int(int_of(b), int_of(c)));
                                continue;
                            }
                        } else if let Some(x) = number_of(b)
                            && let Some(y) = number_of(c)
                        {
                            set_float(r!(bc::a($word)), $float(x, y));
                            continue;
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                macro_rules! bitwise {
                    ($word:expr, $c:expr, $int:expr) => {{
                        if let Some(x) = integral_of(r!(bc::b($word)))
                            && let Some(y) = integral_of($c)
                        {
                            set_int(r!(bc::a($word)), $int(x, y));
                            continue;
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                macro_rules! order {
                    ($word:expr, $int:expr, $float:expr) => {{
                        let (a, b) = (r!(bc::a($word)), r!(bc::b($word)));
                        if tag_of(a) == tag::INTEGER && tag_of(b) == tag::INTEGER {
                            test!($word, $int(&int_of(a), &int_of(b)));
                        }
                        if tag_of(a) == tag::FLOAT && tag_of(b) == tag::FLOAT {
                            test!($word, $float(&float_of(a), &float_of(b)));
                        }
                        slow!(slow::compare(&mut *st, $word));
                    }};
                }
                macro_rules! order_small {
                    ($word:expr, $int:expr, $float:expr) => {{
                        let (a, n) = (r!(bc::a($word)), bc::sb($word));
                        if tag_of(a) == tag::INTEGER {
                            test!($word, $int(&int_of(a), &i64::from(n)));
                        }
                        if tag_of(a) == tag::FLOAT {
                            test!($word, $float(&float_of(a), &f64::from(n)));
                        }
                        slow!(slow::compare(&mut *st, $word));
                    }};
                }
                // A field of the table in `$object` by the inline cache; `$self` is done when it is found.
                macro_rules! get_field {
                    ($word:expr, $object:expr, $found:expr) => {{
                        let object: *const Value = $object;
                        if tag_of(object) == tag::TABLE {
                            let table: Gc<Table> = gc_of(object);
                            let cache = cache!();
                            let shape = Some(table.shape());
                            if (*cache).shape == shape {
                                let slot = table.slots_ptr().add((*cache).slot as usize);
                                if tag_of(slot) != tag::NIL || table.metatable().is_none() {
                                    $found;
                                    copy(r!(bc::a($word)), slot);
                                    pc = pc.add(1);
                                    continue;
                                }
                            } else if (*cache).via == shape && (*cache).epoch == (*st).heap.epoch {
                                if let Some(holder) = (*cache).holder {
                                    let slot = holder.slots_ptr().add((*cache).slot as usize);
                                    if tag_of(slot) != tag::NIL {
                                        $found;
                                        copy(r!(bc::a($word)), slot);
                                        pc = pc.add(1);
                                        continue;
                                    }
                                } else {
                                    $found;
                                    set_payload(r!(bc::a($word)), 0, tag::NIL);
                                    pc = pc.add(1);
                                    continue;
                                }
                            }
                        }
                        slow!(field::get(&mut *st, $word));
                    }};
                }
                macro_rules! set_field {
                    ($word:expr, $object:expr) => {{
                        let object: *const Value = $object;
                        let value: *const Value =
                            if bc::k($word) { k!(bc::c($word)) } else { r!(bc::c($word)).cast_const() };
                        if tag_of(object) == tag::TABLE && tag_of(value) != tag::NIL {
                            let table: Gc<Table> = gc_of(object);
                            let cache = cache!();
                            let shape = Some(table.shape());
                            if (*cache).shape == shape {
                                let slot = table.slots_ptr().add((*cache).slot as usize);
                                if tag_of(slot) != tag::NIL {
                                    copy(slot, value);
                                    if tag_of(value) >= tag::STRING {
                                        (*st).heap.barrier(table.header());
                                    }
                                    pc = pc.add(1);
                                    continue;
                                }
                            } else if (*cache).via == shape
                                && (*cache).epoch == (*st).heap.epoch
                                && let Some(next) = (*cache).next
                                && next.count() <= table.slot_capacity()
                            {
                                table.add_slot(&mut (*st).heap, next, load(value));
                                pc = pc.add(1);
                                continue;
                            }
                        }
                        slow!(field::set(&mut *st, $word));
                    }};
                }
                // The value for SETTABLE and SETI in `t[i]`, by the fast path.
                macro_rules! set_element {
                    ($word:expr, $i:expr, $slow:expr) => {{
                        let object = r!(bc::a($word));
                        if tag_of(object) == tag::TABLE {
                            let table: Gc<Table> = gc_of(object);
                            let value = if bc::k($word) { load(k!(bc::c($word))) } else { load(r!(bc::c($word))) };
                            let i: i64 = $i;
                            if table.set_in_array(&mut (*st).heap, i, value) {
                                continue;
                            }
                            if table.metatable().is_none() && i == table.length() + 1 {
                                if table.set_int(&mut (*st).heap, i, value).is_ok() {
                                    continue;
                                }
                                slow!(slow::raised(&mut *st));
                            }
                        }
                        slow!($slow);
                    }};
                }
                // Goes on in the function whose frame has been pushed.
                macro_rules! enter {
                    ($new:expr, $func:expr, $f:expr) => {{
                        (*frame).pc = pc;
                        frame = $new;
                        let proto = $f.proto();
                        base = $func.add(1);
                        pc = proto.code_ptr();
                        k = proto.constants_ptr();
                        if !RECORD {
                            let left = proto.hot.get().wrapping_sub(1);
                            proto.hot.set(left);
                            if left == 0 {
                                slow!(loops::hot_function(&mut *st));
                            }
                        }
                        continue;
                    }};
                }
                // The caller's frame is on top again.
                macro_rules! resume_caller {
                    ($frames:expr) => {{
                        frame = $frames.as_mut_ptr().add($frames.len() - 1);
                        base = (*st).thread.stack().add((*frame).base as usize);
                        pc = (*frame).pc;
                        k = gc_of::<LuaFunction>(base.sub(1)).proto().constants_ptr();
                        continue;
                    }};
                }
                // A loop goes on at `$target`; its counter is the extra word.
                macro_rules! back_edge {
                    ($target:expr) => {{
                        let target: *const Word = $target;
                        if !RECORD {
                            let counter = pc.cast_mut();
                            let left = (*counter).wrapping_sub(1);
                            *counter = left;
                            if left == 0 {
                                let site = pc.sub(1);
                                pc = target;
                                slow!(loops::hot_loop(&mut *st, site));
                            }
                        }
                        pc = target;
                        continue;
                    }};
                }
                // The compiled loop behind a patched back edge.
                macro_rules! enter_trace {
                    ($target:expr) => {{
                        let trace = *pc;
                        pc = $target;
                        if RECORD {
                            continue;
                        }
                        slow!(loops::enter(&mut *st, trace));
                    }};
                }
                // One step of a numeric loop: `$again` with the place of the loop's head if it goes on.
                macro_rules! for_loop {
                    ($word:expr, $again:ident) => {{
                        let a = r!(bc::a($word));
                        if tag_of(a.add(2)) == tag::INTEGER {
                            let left = int_of(a.add(1)) as u64;
                            if left > 0 {
                                let i = int_of(a).wrapping_add(int_of(a.add(2)));
                                *a.add(1).cast::<u64>() = left - 1;
                                *a.cast::<i64>() = i;
                                set_int(a.add(3), i);
                                $again!(pc.add(1).sub(bc::bx($word)));
                            }
                        } else {
                            let (step, limit) = (float_of(a.add(2)), float_of(a.add(1)));
                            let i = float_of(a) + step;
                            if if step > 0.0 { i <= limit } else { limit <= i } {
                                *a.cast::<f64>() = i;
                                set_float(a.add(3), i);
                                $again!(pc.add(1).sub(bc::bx($word)));
                            }
                        }
                        pc = pc.add(1);
                        continue;
                    }};
                }
                macro_rules! generic_loop {
                    ($word:expr, $again:ident) => {{
                        let a = r!(bc::a($word));
                        if tag_of(a.add(4)) != tag::NIL {
                            copy(a.add(2), a.add(4));
                            $again!(pc.add(1).sub(bc::bx($word)));
                        }
                        pc = pc.add(1);
                        continue;
                    }};
                }

                loop {
                    if RECORD {
                        (*frame).pc = pc;
                        match super::watch(st, pc) {
                            Ok(true) => {}
                            Ok(false) => return Flow::Go,
                            Err(raised) => break 'slow Err(raised),
                        }
                        // A hook may have moved both.
                        frame = thread.frames().as_mut_ptr().add(thread.frames().len() - 1);
                        base = thread.stack().add((*frame).base as usize);
                    }
                    let word = *pc;
                    pc = pc.add(1);
                    // Every word that the loop meets holds an opcode.
                    let op: Op = std::mem::transmute::<u8, Op>(bc::op_number(word));
                    match op {
                        Op::Move => copy(r!(bc::a(word)), r!(bc::b(word))),
                        Op::LoadI => set_int(r!(bc::a(word)), i64::from(bc::sbx(word))),
                        Op::LoadF => set_float(r!(bc::a(word)), f64::from(bc::sbx(word))),
                        Op::LoadK => copy(r!(bc::a(word)), k!(bc::bx(word))),
                        Op::LoadKX => {
                            copy(r!(bc::a(word)), k!(*pc as usize));
                            pc = pc.add(1);
                        }
                        Op::LoadFalse => set_payload(r!(bc::a(word)), 0, tag::BOOLEAN),
                        Op::LFalseSkip => {
                            set_payload(r!(bc::a(word)), 0, tag::BOOLEAN);
                            pc = pc.add(1);
                        }
                        Op::LoadTrue => set_payload(r!(bc::a(word)), 1, tag::BOOLEAN),
                        Op::LoadNil => {
                            let to = r!(bc::a(word));
                            for i in 0..=bc::b(word) {
                                set_payload(to.add(i), 0, tag::NIL);
                            }
                        }
                        Op::GetUpval => copy(r!(bc::a(word)), upvalue!(bc::b(word)).value_ptr()),
                        Op::SetUpval => {
                            let from = r!(bc::a(word));
                            let cell = upvalue!(bc::b(word));
                            copy(cell.value_ptr(), from);
                            if tag_of(from) >= tag::STRING {
                                (*st).heap.barrier(cell.header());
                            }
                        }
                        Op::NewCell => {
                            let a = r!(bc::a(word));
                            match (*st).heap.cell(load(a)) {
                                Ok(cell) => set_value(a, Value::from(cell)),
                                Err(_) => slow!(slow::raised(&mut *st)),
                            }
                            if (*st).heap.debt > 0 {
                                slow!(slow::collect(&mut *st));
                            }
                        }
                        Op::GetCell => copy(r!(bc::a(word)), gc_of::<Cell>(r!(bc::b(word))).value_ptr()),
                        Op::SetCell => {
                            let from: *const Value =
                                if bc::k(word) { k!(bc::b(word)) } else { r!(bc::b(word)).cast_const() };
                            let cell: Gc<Cell> = gc_of(r!(bc::a(word)));
                            copy(cell.value_ptr(), from);
                            if tag_of(from) >= tag::STRING {
                                (*st).heap.barrier(cell.header());
                            }
                        }
                        Op::GetTabUp => get_field!(word, upvalue!(bc::b(word)).value_ptr(), {}),
                        Op::GetField => get_field!(word, r!(bc::b(word)), {}),
                        Op::SelfOp => {
                            let object = r!(bc::b(word));
                            get_field!(word, object, copy(r!(bc::a(word) + 1), object));
                        }
                        Op::GetTable => {
                            let (object, key) = (r!(bc::b(word)), r!(bc::c(word)));
                            if tag_of(object) == tag::TABLE {
                                let table: Gc<Table> = gc_of(object);
                                if tag_of(key) == tag::INTEGER {
                                    let value = table.get_in_array(int_of(key));
                                    if let Some(value) = value
                                        && (!value.is_nil() || table.metatable().is_none())
                                    {
                                        set_value(r!(bc::a(word)), value);
                                        continue;
                                    }
                                }
                                let value = table.get(load(key));
                                if !value.is_nil() || table.metatable().is_none() {
                                    set_value(r!(bc::a(word)), value);
                                    continue;
                                }
                            }
                            slow!(slow::get_table(&mut *st, word));
                        }
                        Op::GetI => {
                            let object = r!(bc::b(word));
                            if tag_of(object) == tag::TABLE {
                                let table: Gc<Table> = gc_of(object);
                                let value = table.get_int(bc::c(word) as i64);
                                if !value.is_nil() || table.metatable().is_none() {
                                    set_value(r!(bc::a(word)), value);
                                    continue;
                                }
                            }
                            slow!(slow::get_i(&mut *st, word));
                        }
                        Op::SetTabUp => set_field!(word, upvalue!(bc::a(word)).value_ptr()),
                        Op::SetField => set_field!(word, r!(bc::a(word))),
                        Op::SetTable => {
                            let key = r!(bc::b(word));
                            if tag_of(key) == tag::INTEGER {
                                set_element!(word, int_of(key), slow::set_table(&mut *st, word));
                            }
                            slow!(slow::set_table(&mut *st, word));
                        }
                        Op::SetI => set_element!(word, bc::b(word) as i64, slow::set_i(&mut *st, word)),
                        Op::NewTable => {
                            let elements = *pc as usize;
                            pc = pc.add(1);
                            match (*st).heap.table(bc::b(word), elements) {
                                Ok(table) => set_value(r!(bc::a(word)), Value::from(table)),
                                Err(_) => slow!(slow::raised(&mut *st)),
                            }
                            if (*st).heap.debt > 0 {
                                slow!(slow::collect_after(&mut *st, word));
                            }
                        }
                        Op::AddI => {
                            let (b, n) = (r!(bc::b(word)), bc::sc(word));
                            if tag_of(b) == tag::INTEGER {
                                set_int(r!(bc::a(word)), int_of(b).wrapping_add(i64::from(n)));
                                continue;
                            }
                            if tag_of(b) == tag::FLOAT {
                                set_float(r!(bc::a(word)), float_of(b) + f64::from(n));
                                continue;
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::AddK => arithmetic!(word, r!(bc::b(word)), k!(bc::c(word)), i64::wrapping_add, add),
                        Op::SubK => arithmetic!(word, r!(bc::b(word)), k!(bc::c(word)), i64::wrapping_sub, sub),
                        Op::MulK => arithmetic!(word, r!(bc::b(word)), k!(bc::c(word)), i64::wrapping_mul, mul),
                        Op::ModK => division!(word, k!(bc::c(word)), number::int_mod, number::float_mod),
                        Op::PowK => float_arithmetic!(word, k!(bc::c(word)), number::float_pow),
                        Op::DivK => float_arithmetic!(word, k!(bc::c(word)), div),
                        Op::IDivK => {
                            division!(word, k!(bc::c(word)), number::int_floor_div, number::float_floor_div);
                        }
                        Op::BAndK => bitwise!(word, k!(bc::c(word)), |x: i64, y: i64| x & y),
                        Op::BOrK => bitwise!(word, k!(bc::c(word)), |x: i64, y: i64| x | y),
                        Op::BXorK => bitwise!(word, k!(bc::c(word)), |x: i64, y: i64| x ^ y),
                        Op::ShrI => {
                            if let Some(x) = integral_of(r!(bc::b(word))) {
                                set_int(r!(bc::a(word)), number::shift_right(x, i64::from(bc::sc(word))));
                                continue;
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::ShlI => {
                            if let Some(x) = integral_of(r!(bc::b(word))) {
                                set_int(r!(bc::a(word)), number::shift_left(i64::from(bc::sc(word)), x));
                                continue;
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::Add => arithmetic!(word, r!(bc::b(word)), r!(bc::c(word)), i64::wrapping_add, add),
                        Op::Sub => arithmetic!(word, r!(bc::b(word)), r!(bc::c(word)), i64::wrapping_sub, sub),
                        Op::Mul => arithmetic!(word, r!(bc::b(word)), r!(bc::c(word)), i64::wrapping_mul, mul),
                        Op::Mod => division!(word, r!(bc::c(word)), number::int_mod, number::float_mod),
                        Op::Pow => float_arithmetic!(word, r!(bc::c(word)), number::float_pow),
                        Op::Div => float_arithmetic!(word, r!(bc::c(word)), div),
                        Op::IDiv => {
                            division!(word, r!(bc::c(word)), number::int_floor_div, number::float_floor_div);
                        }
                        Op::BAnd => bitwise!(word, r!(bc::c(word)), |x: i64, y: i64| x & y),
                        Op::BOr => bitwise!(word, r!(bc::c(word)), |x: i64, y: i64| x | y),
                        Op::BXor => bitwise!(word, r!(bc::c(word)), |x: i64, y: i64| x ^ y),
                        Op::Shl => bitwise!(word, r!(bc::c(word)), number::shift_left),
                        Op::Shr => bitwise!(word, r!(bc::c(word)), number::shift_right),
                        Op::Unm => {
                            let b = r!(bc::b(word));
                            if tag_of(b) == tag::INTEGER {
                                set_int(r!(bc::a(word)), int_of(b).wrapping_neg());
                                continue;
                            }
                            if tag_of(b) == tag::FLOAT {
                                set_float(r!(bc::a(word)), -float_of(b));
                                continue;
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::BNot => {
                            if let Some(x) = integral_of(r!(bc::b(word))) {
                                set_int(r!(bc::a(word)), !x);
                                continue;
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::Not => {
                            let falsy = is_falsy(r!(bc::b(word)));
                            set_payload(r!(bc::a(word)), u64::from(falsy), tag::BOOLEAN);
                        }
                        Op::Len => {
                            let b = r!(bc::b(word));
                            if tag_of(b) == tag::TABLE {
                                let table: Gc<Table> = gc_of(b);
                                if table.metatable().is_none() {
                                    set_int(r!(bc::a(word)), table.length());
                                    continue;
                                }
                            }
                            slow!(slow::length(&mut *st, word));
                        }
                        Op::Concat => slow!(slow::concat(&mut *st, word)),
                        Op::Close => slow!(slow::close(&mut *st, word)),
                        Op::Tbc => slow!(slow::mark_to_be_closed(&mut *st, word)),
                        Op::Jmp => pc = pc.offset(bc::jump(word) as isize),
                        Op::JmpBack => back_edge!(pc.add(1).offset(bc::jump(word) as isize)),
                        Op::Eq => {
                            let (a, b) = (r!(bc::a(word)), r!(bc::b(word)));
                            let t = tag_of(a);
                            if t != tag_of(b) {
                                if t == tag::INTEGER || t == tag::FLOAT {
                                    slow!(slow::equal(&mut *st, word));
                                }
                                test!(word, false);
                            }
                            if t == tag::FLOAT {
                                test!(word, float_of(a) == float_of(b));
                            }
                            if int_of(a) == int_of(b) {
                                test!(word, true);
                            }
                            if matches!(t, tag::STRING | tag::TABLE | tag::USERDATA) {
                                slow!(slow::equal(&mut *st, word));
                            }
                            test!(word, false);
                        }
                        Op::Lt => order!(word, i64::lt, f64::lt),
                        Op::Le => order!(word, i64::le, f64::le),
                        Op::EqK => {
                            let (a, b) = (r!(bc::a(word)), k!(bc::b(word)));
                            if tag_of(a) == tag_of(b) && int_of(a) == int_of(b) && tag_of(a) != tag::FLOAT {
                                test!(word, true);
                            }
                            test!(word, load(a).raw_equals(load(b)));
                        }
                        Op::EqI => {
                            let (a, n) = (r!(bc::a(word)), bc::sb(word));
                            let equal = if tag_of(a) == tag::INTEGER {
                                int_of(a) == i64::from(n)
                            } else {
                                tag_of(a) == tag::FLOAT && float_of(a) == f64::from(n)
                            };
                            test!(word, equal);
                        }
                        Op::LtI => order_small!(word, i64::lt, f64::lt),
                        Op::LeI => order_small!(word, i64::le, f64::le),
                        Op::GtI => order_small!(word, i64::gt, f64::gt),
                        Op::GeI => order_small!(word, i64::ge, f64::ge),
                        Op::Test => test!(word, !is_falsy(r!(bc::a(word)))),
                        Op::TestSet => {
                            let b = r!(bc::b(word));
                            if is_falsy(b) == bc::k(word) {
                                pc = pc.add(1);
                            } else {
                                copy(r!(bc::a(word)), b);
                                if !RECORD {
                                    pc = pc.add(1).offset(bc::jump(*pc) as isize);
                                }
                            }
                        }
                        Op::Call => {
                            let func = r!(bc::a(word));
                            if tag_of(func) == tag::LUA_FUNCTION {
                                let f: Gc<LuaFunction> = gc_of(func);
                                let top = match bc::b(word) {
                                    0 => (*st).thread.stack().add((*st).top()),
                                    b => func.add(b),
                                };
                                if let Some(new) = push_frame(st, func, f, top, bc::c(word) as i32 - 1) {
                                    enter!(new, func, f);
                                }
                            }
                            slow!(slow::call(&mut *st, word));
                        }
                        Op::TailCall => slow!(slow::tail_call(&mut *st, word)),
                        Op::Return => slow!(slow::return_values(&mut *st, word)),
                        Op::Return0 => {
                            if (*frame).flags & !frame_flag::TAIL != 0 {
                                slow!(slow::return_values(&mut *st, word));
                            }
                            let to = base.sub(1);
                            let wanted = (*frame).wanted;
                            let frames = (*st).thread.frames();
                            frames.set_len(frames.len() - 1);
                            if wanted < 0 {
                                (*st).set_top(to.offset_from_unsigned((*st).thread.stack()));
                            }
                            for i in 0..wanted.max(0) as usize {
                                set_payload(to.add(i), 0, tag::NIL);
                            }
                            resume_caller!(frames);
                        }
                        Op::Return1 => {
                            if (*frame).flags & !frame_flag::TAIL != 0 {
                                slow!(slow::return_values(&mut *st, word));
                            }
                            let to = base.sub(1);
                            let wanted = (*frame).wanted;
                            let frames = (*st).thread.frames();
                            frames.set_len(frames.len() - 1);
                            copy(to, r!(bc::a(word)));
                            if wanted != 1 {
                                if wanted < 0 {
                                    (*st).set_top(to.offset_from_unsigned((*st).thread.stack()) + 1);
                                }
                                for i in 1..wanted.max(1) as usize {
                                    set_payload(to.add(i), 0, tag::NIL);
                                }
                            }
                            resume_caller!(frames);
                        }
                        Op::ForPrep => {
                            let a = r!(bc::a(word));
                            let ints = tag_of(a) == tag::INTEGER
                                && tag_of(a.add(1)) == tag::INTEGER
                                && tag_of(a.add(2)) == tag::INTEGER;
                            let (init, limit, step) = (int_of(a), int_of(a.add(1)), int_of(a.add(2)));
                            if !ints || step == 0 {
                                slow!(loops::prepare(&mut *st, word));
                            }
                            if if step > 0 { init <= limit } else { init >= limit } {
                                *a.add(1).cast::<u64>() = loops::rounds(init, limit, step);
                                set_int(a.add(3), init);
                            } else {
                                pc = pc.add(bc::bx(word));
                            }
                        }
                        Op::ForLoop => for_loop!(word, back_edge),
                        Op::TForPrep => {
                            if !is_falsy(r!(bc::a(word) + 3)) {
                                slow!(slow::mark_closing_value(&mut *st, word));
                            }
                            pc = pc.add(bc::bx(word));
                        }
                        Op::TForCall => {
                            let a = r!(bc::a(word));
                            let state = a.add(1);
                            if tag_of(a) == tag::NATIVE && tag_of(state) == tag::TABLE {
                                let native: Gc<NativeFunction> = gc_of(a);
                                let table: Gc<Table> = gc_of(state);
                                let (key, value) = (a.add(4), a.add(5));
                                let mut done = false;
                                if native.special() == Special::Next {
                                    let closing = a.add(3);
                                    let is_free = tag_of(closing) == tag::NIL;
                                    let hint = if is_free { int_of(closing) as usize } else { 0 };
                                    match table.next_hinted(load(a.add(2)), hint) {
                                        Ok(Some((hint, k, v))) => {
                                            if is_free {
                                                *closing.cast::<u64>() = hint as u64;
                                            }
                                            set_value(key, k);
                                            set_value(value, v);
                                            done = true;
                                        }
                                        Ok(None) => {
                                            set_payload(key, 0, tag::NIL);
                                            set_payload(value, 0, tag::NIL);
                                            done = true;
                                        }
                                        Err(_) => {}
                                    }
                                } else if native.special() == Special::IpairsNext && tag_of(a.add(2)) == tag::INTEGER {
                                    let i = int_of(a.add(2)).wrapping_add(1);
                                    let v = table.get_int(i);
                                    if !v.is_nil() {
                                        set_int(key, i);
                                        set_value(value, v);
                                        done = true;
                                    } else if table.metatable().is_none() {
                                        set_payload(key, 0, tag::NIL);
                                        set_payload(value, 0, tag::NIL);
                                        done = true;
                                    }
                                }
                                if done {
                                    for i in 2..bc::c(word) {
                                        set_payload(key.add(i), 0, tag::NIL);
                                    }
                                    continue;
                                }
                            }
                            let func = a.add(4);
                            copy(a.add(6), a.add(2));
                            copy(a.add(5), a.add(1));
                            copy(func, a);
                            let top = a.add(7);
                            if tag_of(func) == tag::LUA_FUNCTION {
                                let f: Gc<LuaFunction> = gc_of(func);
                                if let Some(new) = push_frame(st, func, f, top, bc::c(word) as i32) {
                                    enter!(new, func, f);
                                }
                            }
                            (*st).set_top(top.offset_from_unsigned((*st).thread.stack()));
                            slow!(slow::call_iterator(&mut *st, word));
                        }
                        Op::TForLoop => generic_loop!(word, back_edge),
                        Op::SetList => slow!(slow::set_list(&mut *st, word)),
                        Op::Closure => slow!(slow::closure(&mut *st, word)),
                        Op::VarArg => slow!(slow::vararg(&mut *st, word)),
                        Op::VarArgPrep => {
                            let given = (*st).top() - (*frame).base as usize;
                            if given as isize > bc::a(word) as isize {
                                slow!(slow::vararg_prepare(&mut *st, word));
                            }
                        }
                        Op::JJmpBack => enter_trace!(pc.add(1).offset(bc::jump(word) as isize)),
                        Op::JForLoop => for_loop!(word, enter_trace),
                        Op::JTForLoop => generic_loop!(word, enter_trace),
                    }
                }
            }
        };
        // SAFETY: the state is there; nothing of the loop's is in use.
        let flow = settle(unsafe { &mut *st }, step);
        let go_on = if RECORD { Flow::Record } else { Flow::Go };
        // SAFETY: as above.
        if flow != Flow::Go && flow != go_on || !RECORD && unsafe { (*st).thread.is_hooked() } {
            return flow;
        }
    }
}

#[inline(always)]
fn add(x: f64, y: f64) -> f64 {
    x + y
}

#[inline(always)]
fn sub(x: f64, y: f64) -> f64 {
    x - y
}

#[inline(always)]
fn mul(x: f64, y: f64) -> f64 {
    x * y
}

#[inline(always)]
fn div(x: f64, y: f64) -> f64 {
    x / y
}
