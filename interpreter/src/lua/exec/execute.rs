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
//! The loop has two instances. The second one, which records, calls hooks and stops at lines for a debugger, asks before each
//! instruction what is to be done ([`super::watch`]); it counts nothing, and does not enter compiled code, but for the debugger.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{Cell, InlineCache, LuaFunction};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::{Frame, frame_flag};
use perilune_runtime::lua::value::{Value, tag};

use super::super::call::{Flow, Step, settle};
use super::super::meta::{raw_less, raw_less_equal};
use super::stack::{
    copy, float_of, gc_of, int_of, is_falsy, load, number_of, opaque, push_frame, replace_frame, set_float, set_int,
    set_payload, set_value, tag_of,
};
use super::{field, loops, slow};

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

                // Goes on with the next instruction. The empty assembly's text differs from place to place: that keeps LLVM from
                // giving several instructions one end in common, to which each would have to jump.
                macro_rules! next {
                    ($($path:ident)?) => {{
                        #[cfg(not(miri))]
                        std::arch::asm!(
                            concat!("/* ", line!() $(, stringify!($path))?, " */"),
                            options(nomem, nostack, preserves_flags)
                        );
                        continue;
                    }};
                }
                /// Leaves the loop for a function, which finds the pc in the frame.
                macro_rules! slow {
                    ($call:expr) => {{
                        (*frame).pc = pc;
                        break 'slow $call;
                    }};
                }
                // After a call of a function within the loop. Nothing that the loop has in registers should have to live through
                // one: LLVM would keep that in memory for all instructions.
                macro_rules! reload {
                    () => {{
                        base = (*st).thread.stack().add((*frame).base as usize);
                        k = gc_of::<LuaFunction>(base.sub(1)).proto().constants_ptr();
                    }};
                }
                macro_rules! barrier {
                    ($value:expr, $container:expr) => {{
                        let container = $container;
                        if tag_of($value) >= tag::STRING && (*st).heap.needs_barrier(container) {
                            (*st).heap.barrier(container);
                            reload!();
                            next!(barrier);
                        }
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
                        next!();
                    }};
                }
                macro_rules! arithmetic {
                    ($word:expr, $b:expr, $c:expr, $int:expr, $float:expr) => {{
                        let (b, c): (*const Value, *const Value) = ($b, $c);
                        let to = r!(bc::a($word));
                        if tag_of(b) == tag::INTEGER && tag_of(c) == tag::INTEGER {
                            set_int(to, $int(int_of(b), int_of(c)));
                            next!(int);
                        }
                        if tag_of(b) == tag::FLOAT && tag_of(c) == tag::FLOAT {
                            set_float(to, $float(float_of(b), float_of(c)));
                            next!(float);
                        }
                        let (b, c) = (opaque(b), opaque(c));
                        if let Some(x) = number_of(b)
                            && let Some(y) = number_of(c)
                        {
                            set_float(to, $float(x, y));
                            next!(mixed);
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                macro_rules! float_arithmetic {
                    ($word:expr, $c:expr, $float:expr, $after:expr) => {{
                        let (b, c): (*const Value, *const Value) = (r!(bc::b($word)), $c);
                        if tag_of(b) == tag::FLOAT && tag_of(c) == tag::FLOAT {
                            let f = $float(float_of(b), float_of(c));
                            $after;
                            set_float(r!(bc::a($word)), f);
                            next!(float);
                        }
                        let (b, c) = (opaque(b), opaque(c));
                        if let Some(x) = number_of(b)
                            && let Some(y) = number_of(c)
                        {
                            let f = $float(x, y);
                            $after;
                            set_float(r!(bc::a($word)), f);
                            next!(mixed);
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
                                next!(int);
                            }
                        } else {
                            let (b, c) = (opaque(b), opaque(c));
                            if let Some(x) = number_of(b)
                                && let Some(y) = number_of(c)
                            {
                                let f = $float(x, y);
                                reload!();
                                set_float(r!(bc::a($word)), f);
                                next!(float);
                            }
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                macro_rules! bitwise {
                    ($word:expr, $c:expr, $int:expr) => {{
                        let (b, c): (*const Value, *const Value) = (r!(bc::b($word)), $c);
                        if tag_of(b) == tag::INTEGER && tag_of(c) == tag::INTEGER {
                            set_int(r!(bc::a($word)), $int(int_of(b), int_of(c)));
                            next!();
                        }
                        slow!(slow::arithmetic(&mut *st, $word));
                    }};
                }
                macro_rules! order {
                    ($word:expr, $int:expr, $float:expr, $other:expr) => {{
                        let (a, b) = (r!(bc::a($word)), r!(bc::b($word)));
                        if tag_of(a) == tag::INTEGER && tag_of(b) == tag::INTEGER {
                            test!($word, $int(&int_of(a), &int_of(b)));
                        }
                        if tag_of(a) == tag::FLOAT && tag_of(b) == tag::FLOAT {
                            test!($word, $float(&float_of(a), &float_of(b)));
                        }
                        let outcome = $other(load(a), load(b));
                        reload!();
                        if let Some(outcome) = outcome {
                            test!($word, outcome);
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
                                if tag_of(slot) != tag::NIL
                                    || table.metatable().is_none()
                                    || (*cache).via == shape && (*cache).epoch == (*st).heap.epoch
                                {
                                    $found;
                                    copy(r!(bc::a($word)), slot);
                                    pc = pc.add(1);
                                    next!();
                                }
                            } else if (*cache).via == shape && (*cache).epoch == (*st).heap.epoch {
                                if let Some(holder) = (*cache).holder {
                                    let slot = holder.slots_ptr().add((*cache).slot as usize);
                                    if tag_of(slot) != tag::NIL {
                                        $found;
                                        copy(r!(bc::a($word)), slot);
                                        pc = pc.add(1);
                                        next!(inherited);
                                    }
                                } else {
                                    $found;
                                    set_payload(r!(bc::a($word)), 0, tag::NIL);
                                    pc = pc.add(1);
                                    next!(absent);
                                }
                            } else if (*cache).misses > field::MONOMORPHIC_MISSES {
                                let slot = field::known(st, table, gc_of(k!(bc::c($word))));
                                reload!();
                                if !slot.is_null() && tag_of(slot) != tag::NIL {
                                    $found;
                                    copy(r!(bc::a($word)), slot);
                                    pc = pc.add(1);
                                    next!(known);
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
                        if tag_of(object) == tag::TABLE {
                            let table: Gc<Table> = gc_of(object);
                            let cache = cache!();
                            let shape = Some(table.shape());
                            if (*cache).shape == shape {
                                let slot = table.slots_ptr().add((*cache).slot as usize);
                                let stays = tag_of(slot) != tag::NIL && tag_of(value) != tag::NIL;
                                // A field that comes or goes may matter to others.
                                if stays
                                    || !table.is_flagged()
                                        && (tag_of(slot) != tag::NIL
                                            || table.metatable().is_none_or(|m| m.is_known_to_lack(Event::NewIndex)))
                                {
                                    pc = pc.add(1);
                                    copy(slot, value);
                                    barrier!(value, table.header());
                                    next!();
                                }
                            } else if (*cache).via == shape
                                && (*cache).epoch == (*st).heap.epoch
                                && let Some(next) = (*cache).next
                                && next.count() <= table.slot_capacity()
                            {
                                pc = pc.add(1);
                                table.add_slot(next, load(value));
                                if (*st).heap.needs_barrier(table.header()) {
                                    (*st).heap.barrier(table.header());
                                    reload!();
                                    next!(barrier_added);
                                }
                                next!(added);
                            } else if (*cache).misses > field::MONOMORPHIC_MISSES {
                                let slot = field::known_own(st, table, gc_of(k!(bc::b($word))));
                                reload!();
                                let value: *const Value =
                                    if bc::k($word) { k!(bc::c($word)) } else { r!(bc::c($word)).cast_const() };
                                if !slot.is_null() {
                                    pc = pc.add(1);
                                    copy(slot, value);
                                    barrier!(value, table.header());
                                    next!(known);
                                }
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
                            if table.set_in_array(i, value) {
                                barrier!(&raw const value, table.header());
                                next!();
                            }
                            if i == table.length() + 1
                                && table.metatable().is_none_or(|m| m.is_known_to_lack(Event::NewIndex))
                            {
                                if table.push(value) {
                                    barrier!(&raw const value, table.header());
                                    next!(push);
                                }
                                let outcome = table.set_int(&mut (*st).heap, i, value);
                                reload!();
                                if outcome.is_ok() {
                                    next!(append);
                                }
                                // There is no memory, unless a collection finds some.
                            }
                        }
                        slow!($slow);
                    }};
                }
                // Goes on in the function whose frame has been pushed.
                macro_rules! enter {
                    ($new:expr, $func:expr, $f:expr) => {{
                        frame = $new;
                        let proto = $f.proto();
                        base = $func.add(1);
                        pc = proto.code_ptr();
                        k = proto.constants_ptr();
                        if !RECORD || super::is_plain(&*st) {
                            let left = proto.hot.get().wrapping_sub(1);
                            proto.hot.set(left);
                            if left == 0 {
                                slow!(loops::hot_function(&mut *st));
                            }
                        }
                        next!();
                    }};
                }
                // The caller's frame is on top again.
                macro_rules! resume_caller {
                    ($frames:expr) => {{
                        frame = $frames.as_mut_ptr().add($frames.len() - 1);
                        base = (*st).thread.stack().add((*frame).base as usize);
                        pc = (*frame).pc;
                        k = gc_of::<LuaFunction>(base.sub(1)).proto().constants_ptr();
                        next!();
                    }};
                }
                // A loop goes on at `$target`; its counter is the extra word.
                macro_rules! back_edge {
                    ($target:expr) => {{
                        let target: *const Word = $target;
                        if !RECORD || super::is_plain(&*st) {
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
                        next!();
                    }};
                }
                // The compiled loop behind a patched back edge.
                macro_rules! enter_trace {
                    ($target:expr) => {{
                        let trace = *pc;
                        pc = $target;
                        if RECORD && !super::is_plain(&*st) {
                            next!();
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
                        next!();
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
                        next!();
                    }};
                }

                // The few instructions at the loop's head, through which all others go, lie in one cache line: where they do not,
                // programs take up to 40 % longer.
                #[cfg(not(miri))]
                std::arch::asm!(".p2align 6", options(nomem, nostack, preserves_flags));
                loop {
                    if RECORD {
                        (*frame).pc = pc;
                        match super::watch(st, pc) {
                            Ok(Flow::Record) => {}
                            Ok(flow) => return flow,
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
                        Op::Move => {
                            copy(r!(bc::a(word)), r!(bc::b(word)));
                            next!();
                        }
                        Op::LoadI => {
                            set_int(r!(bc::a(word)), i64::from(bc::sbx(word)));
                            next!();
                        }
                        Op::LoadF => {
                            set_float(r!(bc::a(word)), f64::from(bc::sbx(word)));
                            next!();
                        }
                        Op::LoadK => {
                            copy(r!(bc::a(word)), k!(bc::bx(word)));
                            next!();
                        }
                        Op::LoadKX => {
                            copy(r!(bc::a(word)), k!(*pc as usize));
                            pc = pc.add(1);
                            next!();
                        }
                        Op::LoadFalse => {
                            set_payload(r!(bc::a(word)), 0, tag::BOOLEAN);
                            next!();
                        }
                        Op::LFalseSkip => {
                            set_payload(r!(bc::a(word)), 0, tag::BOOLEAN);
                            pc = pc.add(1);
                            next!();
                        }
                        Op::LoadTrue => {
                            set_payload(r!(bc::a(word)), 1, tag::BOOLEAN);
                            next!();
                        }
                        Op::LoadNil => {
                            let to = r!(bc::a(word));
                            for i in 0..=bc::b(word) {
                                set_payload(to.add(i), 0, tag::NIL);
                            }
                            next!();
                        }
                        Op::GetUpval => {
                            copy(r!(bc::a(word)), upvalue!(bc::b(word)).value_ptr());
                            next!();
                        }
                        Op::SetUpval => {
                            let from = r!(bc::a(word));
                            let cell = upvalue!(bc::b(word));
                            copy(cell.value_ptr(), from);
                            barrier!(from, cell.header());
                            next!();
                        }
                        Op::NewCell => {
                            let a = r!(bc::a(word));
                            let cell = (*st).heap.cell(load(a));
                            reload!();
                            match cell {
                                Ok(cell) => set_value(r!(bc::a(word)), Value::from(cell)),
                                Err(_) => slow!(slow::raised(&mut *st)),
                            }
                            if (*st).heap.debt > 0 {
                                slow!(slow::collect(&mut *st));
                            }
                            next!();
                        }
                        Op::GetCell => {
                            copy(r!(bc::a(word)), gc_of::<Cell>(r!(bc::b(word))).value_ptr());
                            next!();
                        }
                        Op::SetCell => {
                            let from: *const Value =
                                if bc::k(word) { k!(bc::b(word)) } else { r!(bc::b(word)).cast_const() };
                            let cell: Gc<Cell> = gc_of(r!(bc::a(word)));
                            copy(cell.value_ptr(), from);
                            barrier!(from, cell.header());
                            next!();
                        }
                        Op::GetTabUp => get_field!(word, upvalue!(bc::b(word)).value_ptr(), {}),
                        Op::GetField => get_field!(word, r!(bc::b(word)), {}),
                        Op::SelfOp => {
                            let object = r!(bc::b(word));
                            if tag_of(object) == tag::STRING {
                                let slot = field::known_method(st, cache!());
                                if !slot.is_null() {
                                    copy(r!(bc::a(word) + 1), object);
                                    copy(r!(bc::a(word)), slot);
                                    pc = pc.add(1);
                                    next!(string);
                                }
                            }
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
                                        next!();
                                    }
                                }
                                let value = table.get(load(key));
                                reload!();
                                if !value.is_nil() || table.metatable().is_none_or(|m| m.is_known_to_lack(Event::Index))
                                {
                                    set_value(r!(bc::a(word)), value);
                                    next!(any);
                                }
                            }
                            slow!(slow::get_table(&mut *st, word));
                        }
                        Op::GetI => {
                            let object = r!(bc::b(word));
                            if tag_of(object) == tag::TABLE {
                                let table: Gc<Table> = gc_of(object);
                                if let Some(value) = table.get_in_array(bc::c(word) as i64)
                                    && (!value.is_nil() || table.metatable().is_none())
                                {
                                    set_value(r!(bc::a(word)), value);
                                    next!(array);
                                }
                                let value = table.get(Value::integer(bc::c(word) as i64));
                                reload!();
                                if !value.is_nil() || table.metatable().is_none() {
                                    set_value(r!(bc::a(word)), value);
                                    next!();
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
                            let object = r!(bc::a(word));
                            if tag_of(key) == tag::STRING && tag_of(object) == tag::TABLE {
                                let table: Gc<Table> = gc_of(object);
                                let place =
                                    if table.is_flagged() { std::ptr::null_mut() } else { table.find_str(gc_of(key)) };
                                reload!();
                                let value: *const Value =
                                    if bc::k(word) { k!(bc::c(word)) } else { r!(bc::c(word)).cast_const() };
                                if !place.is_null() && tag_of(place) != tag::NIL && tag_of(value) != tag::NIL {
                                    copy(place, value);
                                    barrier!(value, table.header());
                                    next!(string);
                                }
                            }
                            slow!(slow::set_table(&mut *st, word));
                        }
                        Op::SetI => set_element!(word, bc::b(word) as i64, slow::set_i(&mut *st, word)),
                        Op::NewTable => {
                            let elements = *pc as usize;
                            pc = pc.add(1);
                            let table = (*st).heap.table(bc::b(word), elements);
                            reload!();
                            match table {
                                Ok(table) => set_value(r!(bc::a(word)), Value::from(table)),
                                Err(_) => slow!(slow::raised(&mut *st)),
                            }
                            if (*st).heap.debt > 0 {
                                slow!(slow::collect_after(&mut *st, word));
                            }
                            next!();
                        }
                        Op::AddI => {
                            let (b, n) = (r!(bc::b(word)), bc::sc(word));
                            if tag_of(b) == tag::INTEGER {
                                set_int(r!(bc::a(word)), int_of(b).wrapping_add(i64::from(n)));
                                next!();
                            }
                            if tag_of(b) == tag::FLOAT {
                                set_float(r!(bc::a(word)), float_of(b) + f64::from(n));
                                next!();
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::AddK => arithmetic!(word, r!(bc::b(word)), k!(bc::c(word)), i64::wrapping_add, add),
                        Op::SubK => arithmetic!(word, r!(bc::b(word)), k!(bc::c(word)), i64::wrapping_sub, sub),
                        Op::MulK => arithmetic!(word, r!(bc::b(word)), k!(bc::c(word)), i64::wrapping_mul, mul),
                        Op::ModK => division!(word, k!(bc::c(word)), mod_by_constant, number::float_mod),
                        Op::PowK => float_arithmetic!(word, k!(bc::c(word)), number::float_pow, reload!()),
                        Op::DivK => float_arithmetic!(word, k!(bc::c(word)), div, {}),
                        Op::IDivK => {
                            division!(word, k!(bc::c(word)), divide_by_constant, number::float_floor_div);
                        }
                        Op::BAndK => bitwise!(word, k!(bc::c(word)), |x: i64, y: i64| x & y),
                        Op::BOrK => bitwise!(word, k!(bc::c(word)), |x: i64, y: i64| x | y),
                        Op::BXorK => bitwise!(word, k!(bc::c(word)), |x: i64, y: i64| x ^ y),
                        Op::ShrI => {
                            let b = r!(bc::b(word));
                            if tag_of(b) == tag::INTEGER {
                                set_int(r!(bc::a(word)), number::shift_right(int_of(b), i64::from(bc::sc(word))));
                                next!();
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::ShlI => {
                            let b = r!(bc::b(word));
                            if tag_of(b) == tag::INTEGER {
                                set_int(r!(bc::a(word)), number::shift_left(i64::from(bc::sc(word)), int_of(b)));
                                next!();
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::Add => arithmetic!(word, r!(bc::b(word)), r!(bc::c(word)), i64::wrapping_add, add),
                        Op::Sub => arithmetic!(word, r!(bc::b(word)), r!(bc::c(word)), i64::wrapping_sub, sub),
                        Op::Mul => arithmetic!(word, r!(bc::b(word)), r!(bc::c(word)), i64::wrapping_mul, mul),
                        Op::Mod => division!(word, r!(bc::c(word)), number::int_mod, number::float_mod),
                        Op::Pow => float_arithmetic!(word, r!(bc::c(word)), number::float_pow, reload!()),
                        Op::Div => float_arithmetic!(word, r!(bc::c(word)), div, {}),
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
                                next!();
                            }
                            if tag_of(b) == tag::FLOAT {
                                set_float(r!(bc::a(word)), -float_of(b));
                                next!();
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::BNot => {
                            let b = r!(bc::b(word));
                            if tag_of(b) == tag::INTEGER {
                                set_int(r!(bc::a(word)), !int_of(b));
                                next!();
                            }
                            slow!(slow::arithmetic(&mut *st, word));
                        }
                        Op::Not => {
                            let falsy = is_falsy(r!(bc::b(word)));
                            set_payload(r!(bc::a(word)), u64::from(falsy), tag::BOOLEAN);
                            next!();
                        }
                        Op::Len => {
                            let b = r!(bc::b(word));
                            if tag_of(b) == tag::TABLE {
                                let table: Gc<Table> = gc_of(b);
                                if table.metatable().is_none_or(|m| m.is_known_to_lack(Event::Len)) {
                                    set_int(r!(bc::a(word)), table.length());
                                    next!(table);
                                }
                            }
                            if tag_of(b) == tag::STRING {
                                set_int(r!(bc::a(word)), gc_of::<Str>(b).len() as i64);
                                next!(string);
                            }
                            slow!(slow::length(&mut *st, word));
                        }
                        Op::Concat => slow!(slow::concat(&mut *st, word)),
                        Op::Close => slow!(slow::close(&mut *st, word)),
                        Op::Tbc => slow!(slow::mark_to_be_closed(&mut *st, word)),
                        Op::Jmp => {
                            pc = pc.offset(bc::jump(word) as isize);
                            next!();
                        }
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
                            let surely_different = match t {
                                tag::STRING => gc_of::<Str>(a).is_short(),
                                tag::TABLE => {
                                    let lacks = |table: Gc<Table>| {
                                        table.metatable().is_none_or(|m| m.is_known_to_lack(Event::Eq))
                                    };
                                    lacks(gc_of(a)) && lacks(gc_of(b))
                                }
                                _ => t != tag::USERDATA,
                            };
                            if !surely_different {
                                slow!(slow::equal(&mut *st, word));
                            }
                            test!(word, false);
                        }
                        Op::Lt => order!(word, i64::lt, f64::lt, raw_less),
                        Op::Le => order!(word, i64::le, f64::le, raw_less_equal),
                        Op::EqK => {
                            let (a, b) = (r!(bc::a(word)), k!(bc::b(word)));
                            let t = tag_of(a);
                            if t == tag::STRING && tag_of(b) == tag::STRING && gc_of::<Str>(b).is_short() {
                                test!(word, int_of(a) == int_of(b));
                            }
                            if t != tag_of(b) && t != tag::INTEGER && t != tag::FLOAT {
                                test!(word, false);
                            }
                            let equal = load(a).raw_equals(load(b));
                            reload!();
                            test!(word, equal);
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
                            next!();
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
                                    (*frame).pc = pc;
                                    enter!(new, func, f);
                                }
                            } else if !RECORD && tag_of(func) == tag::NATIVE {
                                (*frame).pc = pc;
                                if let Some(step) = slow::call_native(&mut *st, word) {
                                    break 'slow step;
                                }
                                // The stack and the frames may have moved.
                                let frames = (*st).thread.frames();
                                frame = frames.as_mut_ptr().add(frames.len() - 1);
                                base = (*st).thread.stack().add((*frame).base as usize);
                                next!(native);
                            }
                            slow!(slow::call(&mut *st, word));
                        }
                        Op::TailCall => {
                            let func = r!(bc::a(word));
                            let plain = (*frame).flags & !frame_flag::TAIL == 0 && (*frame).extra == 0;
                            if plain && tag_of(func) == tag::LUA_FUNCTION {
                                let f: Gc<LuaFunction> = gc_of(func);
                                let top = match bc::b(word) {
                                    0 => (*st).thread.stack().add((*st).top()),
                                    b => func.add(b),
                                };
                                if replace_frame(st, frame, func, f, top) {
                                    let to = base.sub(1);
                                    enter!(frame, to, f);
                                }
                            }
                            slow!(slow::tail_call(&mut *st, word));
                        }
                        Op::Return => slow!(slow::return_values(&mut *st, word)),
                        Op::Return0 => {
                            if (*frame).flags & !frame_flag::TAIL != 0 {
                                slow!(slow::return_values(&mut *st, word));
                            }
                            let to = base.sub(1);
                            let (wanted, index) = ((*frame).wanted, (*frame).base as usize);
                            let frames = (*st).thread.frames();
                            frames.set_len(frames.len() - 1);
                            if wanted < 0 {
                                (*st).set_top(index - 1);
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
                            let (wanted, index) = ((*frame).wanted, (*frame).base as usize);
                            let frames = (*st).thread.frames();
                            frames.set_len(frames.len() - 1);
                            copy(to, r!(bc::a(word)));
                            if wanted != 1 {
                                if wanted < 0 {
                                    (*st).set_top(index);
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
                            next!();
                        }
                        Op::ForLoop => for_loop!(word, back_edge),
                        Op::TForPrep => {
                            if !is_falsy(r!(bc::a(word) + 3)) {
                                slow!(slow::mark_closing_value(&mut *st, word));
                            }
                            pc = pc.add(bc::bx(word));
                            next!();
                        }
                        Op::TForCall => {
                            let a = r!(bc::a(word));
                            let state = a.add(1);
                            if tag_of(a) == tag::NATIVE && tag_of(state) == tag::TABLE {
                                let done = loops::iterate(a, bc::c(word));
                                reload!();
                                if done {
                                    next!(native);
                                }
                            }
                            let a = r!(bc::a(word));
                            let func = a.add(4);
                            copy(a.add(6), a.add(2));
                            copy(a.add(5), a.add(1));
                            copy(func, a);
                            let top = a.add(7);
                            if tag_of(func) == tag::LUA_FUNCTION {
                                let f: Gc<LuaFunction> = gc_of(func);
                                if let Some(new) = push_frame(st, func, f, top, bc::c(word) as i32) {
                                    (*frame).pc = pc;
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
                            next!();
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
        if RECORD && flow == Flow::Record {
            // SAFETY: as above.
            unsafe { (*st).recording = true };
        }
        // SAFETY: as above.
        if flow != Flow::Go && flow != go_on || !RECORD && unsafe { (*st).thread.is_hooked() } {
            return flow;
        }
    }
}

/// `a % b` where `b` is likely to be a power of two.
#[inline(always)]
fn mod_by_constant(a: i64, b: i64) -> i64 {
    if b > 0 && b & (b - 1) == 0 { a & (b - 1) } else { number::int_mod(a, b) }
}

/// `a // b` where `b` is likely to be a power of two.
#[inline(always)]
fn divide_by_constant(a: i64, b: i64) -> i64 {
    if b > 0 && b & (b - 1) == 0 { a >> b.trailing_zeros() } else { number::int_floor_div(a, b) }
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
