//! The helpers: Rust functions that traces call. One table names each with its types, what it may do, and how it fails.
//!
//! A value of any type is passed as its payload and its tag; one that is a float as the float, by a twin of the helper
//! whose name ends in `f`. Helpers that answer a value answer a pointer to it, which the trace loads and checks.
//!
//! SAFETY, for the whole room: compiled code passes the state that it runs in and operands of the types that the table
//! says, which the recorder has guarded. Helpers that are not full neither collect nor run Lua code, so objects stay valid.

use perilune_interpreter::lua::call::{
    call_bare as bare, call_handler_nested, call_plain, close_nested, pcall_plain, place_results,
};
use perilune_interpreter::lua::exec::rounds;
use perilune_runtime::lua::function::{NativeFunction, Proto, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::table::{SetError, Table};
use perilune_runtime::lua::thread::MAX_STACK;
use perilune_runtime::lua::value::{Value, tag};

use super::deopt::Entered;
use super::entry::full_call;
use super::ir::helper::Entry;
use super::ir::{Access, Alias, CAUGHT, Class, Failure, Helper, Type};

/// What a store to a table may change.
const TABLE: u16 = Alias::Field.bit()
    | Alias::Array.bit()
    | Alias::ArrayTag.bit()
    | Alias::Value.bit()
    | Alias::Lookup.bit()
    | Alias::Color.bit();

macro_rules! define_helpers {
    ($($(#[$doc:meta])* $name:ident = $function:path, [$($arg:ident)*] -> $result:ident, $class:ident, $access:expr, $failure:ident;)*) => {
        /// A helper's number in [`HELPERS`].
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum H { $($(#[$doc])* $name),* }

        /// What the IR knows of the helpers.
        pub static HELPERS: &[Helper] = &[$(Helper {
            name: stringify!($name),
            args: &[$(Type::$arg),*],
            result: Type::$result,
            class: Class::$class,
            access: $access,
            failure: Failure::$failure,
            // SAFETY: whoever calls the entry gives it back the type that `args` and `result` tell.
            entry: unsafe { std::mem::transmute::<*const (), Entry>($function as *const ()) },
        }),*];
    };
}

define_helpers! {
    /// A new table with room for named fields and elements. The third argument is the shape that it has, for the optimizer.
    TableNew = table_new, [Int Int Ptr] -> Table, Allocating, Access::Fresh, Zero;
    /// `TableNew` where nothing may fail: what the parent trace has left unbuilt.
    TableBuilt = table_built, [Int Int Ptr] -> Table, Allocating, Access::Fresh, Never;
    /// Memory for the array of a table that was made without, with room for so many elements.
    ArrayNew = array_new, [Table Int] -> Ptr, Allocating, Access::Fresh, Zero;
    /// `ArrayNew` where nothing may fail.
    ArrayBuilt = array_built, [Table Int] -> Ptr, Allocating, Access::Fresh, Never;
    /// `t[k] = v` with an integer key.
    SetInt = set_int, [Table Int Void Int] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `SetInt` of a float.
    SetIntF = set_int_f, [Table Int Float] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `t.k = v` with a string key that stands in the program.
    SetField = set_field, [Table String Void Int] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `SetField` of a float.
    SetFieldF = set_field_f, [Table String Float] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `t[k] = v` with any key but a float.
    SetAny = set_any, [Table Void Int Void Int] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `SetAny` of a float.
    SetAnyF = set_any_f, [Table Void Int Float] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `t[k] = v` with a float key.
    SetFloat = set_float, [Table Float Void Int] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `SetFloat` of a float.
    SetFloatF = set_float_f, [Table Float Float] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// The values of a constructor from one key on, of which the last is this and those before it are nil: so many.
    SetHoles = set_holes, [Table Int Int Void Int] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// `SetHoles` with a float as the last value.
    SetHolesF = set_holes_f, [Table Int Int Float] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// Sets the metatable of a table that has none.
    SetMetatable = set_metatable, [Table Table] -> Int, Allocating, Access::Writes(TABLE), NonZero;
    /// The value of a key that is not in the array; a pointer to nil if there is none.
    Find = find, [Table Void Int] -> Ptr, Leaf, Access::Reads(Alias::Lookup.bit() | Alias::Field.bit()), Never;
    /// `Find` of an integer.
    FindInteger = find_integer, [Table Int] -> Ptr, Leaf, Access::Reads(Alias::Lookup.bit() | Alias::Field.bit()), Never;
    /// The value of a string, wherever a table has it; a pointer to nil if there is none.
    FindString = find_string, [Table String] -> Ptr, Leaf, Access::Reads(Alias::Lookup.bit() | Alias::Field.bit()), Never;
    /// The value of a string that is not in the shape.
    FindHashed = find_hashed, [Table String] -> Ptr, Leaf, Access::Reads(Alias::Lookup.bit() | Alias::Field.bit()), Never;
    /// The value of a float, in the state's scratch values.
    FindFloat = find_float, [Table Float] -> Ptr, Leaf, Access::Writes(Alias::Value.bit()), Never;
    /// The next entry behind a float, as by `Next`.
    NextFloat = next_float, [Table Float] -> Int, Leaf, Access::Writes(Alias::Value.bit()), Never;
    /// The next entry behind a key: 1 if there is one, its key and value in the state's scratch values.
    Next = next, [Table Void Int] -> Int, Leaf, Access::Writes(Alias::Value.bit()), Never;
    /// `a .. b`
    Concat2 = concat2, [String String] -> String, Allocating, Access::Pure, Zero;
    /// `a .. b .. c`
    Concat3 = concat3, [String String String] -> String, Allocating, Access::Pure, Zero;
    /// `a .. b .. c .. d`
    Concat4 = concat4, [String String String String] -> String, Allocating, Access::Pure, Zero;
    /// Strings and integers, one behind the other, up to four: how many, and in the bits from the fourth on which are integers.
    ConcatMixed = concat_mixed, [Int Void Void Void Void] -> String, Allocating, Access::Pure, Zero;
    /// An integer as a string.
    IntToString = int_to_string, [Int] -> String, Allocating, Access::Pure, Zero;
    /// A float as a string.
    FloatToString = float_to_string, [Float] -> String, Allocating, Access::Pure, Zero;
    /// Order of two strings: negative, 0 or positive.
    StringOrder = string_order, [String String] -> Int, Leaf, Access::Pure, Never;
    /// Are two strings equal?
    StringEqual = string_equal, [String String] -> Int, Leaf, Access::Pure, Never;
    /// Order of an integer and a float: -1, 0, 1; 2 if it is not a number.
    Order = order, [Int Float] -> Int, Leaf, Access::Pure, Never;
    /// How often an integer loop runs after the first time: from a start to a limit by a step.
    LoopCount = loop_count, [Int Int Int] -> Int, Leaf, Access::Pure, Never;
    /// `string.sub` with positions that have been clipped: `from` is counted from 0, `to` is behind the end.
    StringPart = string_part, [String Int Int] -> String, Allocating, Access::Pure, Zero;
    /// `string.char` of one byte.
    StringChar = string_char, [Int] -> String, Allocating, Access::Pure, Zero;
    /// `a % b` of floats.
    FloatMod = float_mod, [Float Float] -> Float, Leaf, Access::Pure, Never;
    /// `a ^ b`
    Pow = pow, [Float Float] -> Float, Leaf, Access::Pure, Never;
    /// `math.fmod` of floats.
    Fmod = fmod, [Float Float] -> Float, Leaf, Access::Pure, Never;
    /// `math.sin`
    Sin = sin, [Float] -> Float, Leaf, Access::Pure, Never;
    /// `math.cos`
    Cos = cos, [Float] -> Float, Leaf, Access::Pure, Never;
    /// `math.tan`
    Tan = tan, [Float] -> Float, Leaf, Access::Pure, Never;
    /// `math.exp`
    Exp = exp, [Float] -> Float, Leaf, Access::Pure, Never;
    /// `math.log` with base e.
    Log = log, [Float] -> Float, Leaf, Access::Pure, Never;
    /// A shift to the left by any count.
    ShiftLeft = shift_left, [Int Int] -> Int, Leaf, Access::Pure, Never;
    /// A new cell, which holds nil.
    CellNew = cell_new, [] -> Cell, Allocating, Access::Fresh, Zero;
    /// `CellNew` where nothing may fail: what the parent trace has left unbuilt.
    CellBuilt = cell_built, [] -> Cell, Allocating, Access::Fresh, Never;
    /// A closure of a prototype with so many upvalues, whose cells are stored next.
    ClosureNew = closure_new, [Ptr Int] -> Function, Allocating, Access::Fresh, Zero;
    /// `ClosureNew` where nothing may fail.
    ClosureBuilt = closure_built, [Ptr Int] -> Function, Allocating, Access::Fresh, Never;
    /// The slot of the variable to be closed next, if it is one from this slot on, else -1. Slots are relative to the top frame's base.
    Closing = closing, [Int] -> Int, Leaf, Access::Reads(Alias::Lookup.bit()), Never;
    /// A slot's variable is to be closed.
    CloseLater = close_later, [Int] -> Int, Leaf, Access::Writes(Alias::Lookup.bit()), Never;
    /// The variable to be closed next is being closed.
    CloseNext = close_next, [] -> Int, Leaf, Access::Writes(Alias::Lookup.bit()), Never;
    /// The number of extra arguments of the top frame.
    Extra = extra, [] -> Int, Leaf, Access::Reads(Alias::Slot.bit()), Never;
    /// The slot behind an open list of values, which ends at the state's top.
    ListEnd = list_end, [] -> Int, Leaf, Access::Reads(Alias::Slot.bit()), Never;
    /// Calls the native function in register A of the top frame with that many arguments; results as wanted. Answers one
    /// more than their number; the negative of that if the trace must be left, since a hook was set or a variable changed.
    CallNative = call_native, [Int Int Int] -> Int, Full, Access::Writes(Alias::ALL), Zero;
    /// Calls a native function in the same way, an error of which ends in the trace, as the [`Catcher`] in its last argument tells: false and
    /// the error are put where it says. Answers [`CAUGHT`] then, and the rest as above.
    CallCatching = call_catching, [Int Int Int] -> Int, Full, Access::Writes(Alias::ALL), Caught;
    /// Raises an error, which lies in a register of the top frame, in the place of an instruction; it ends as above. Answers [`CAUGHT`].
    Raise = raise, [Int Int Int] -> Int, Full, Access::Writes(Alias::ALL), Caught;
    /// Calls a native function in a slot with so many arguments, so many results wanted, while no frames stand; the last argument is the
    /// address of an instruction of the function in whose frame the trace was entered. Answers one more than the number of results.
    /// Fails before it has done anything. What it changes is the slots.
    CallBare = call_bare, [Int Int Int Ptr] -> Int, Allocating, Access::Writes(Alias::Slot.bit()), Zero;
    /// `CallBare` of a function that changes the table which is its first argument, and has no metatable.
    CallChanging = call_changing, [Int Int Int Ptr] -> Int, Allocating, Access::Writes(Alias::Slot.bit() | TABLE), Zero;
    /// Calls a native metamethod in the same way, its result wanted in a register of the top frame; in the place of the function
    /// it is the truth of the result alone. Answers 2 if that is true, else 1; the negative of that as above.
    CallMeta = call_meta, [Int Int Int] -> Int, Full, Access::Writes(Alias::ALL), Zero;
}

/// Is it a helper of this table, by number?
impl H {
    /// The number for the IR.
    pub fn number(self) -> u16 {
        self as u16
    }
}

fn object<T>(object: Result<Gc<T>, perilune_runtime::lua::heap::OutOfMemory>) -> u64 {
    object.map_or(0, |o| o.address() as u64)
}

fn status(state: &mut State, result: Result<(), SetError>) -> i64 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            let text: &[u8] = match error {
                SetError::NilKey => b"index is nil",
                SetError::NanKey => b"index is NaN",
                SetError::OutOfMemory => return 1,
            };
            state.raise_text(text);
            1
        }
    }
}

fn holes(state: &mut State, t: Gc<Table>, (stored, count): (usize, usize), last: Value) -> i64 {
    let values = (0..count).map(|i| if i + 1 == count { last } else { Value::NIL });
    let result = t.set_list(&mut state.heap, stored, values).map_err(SetError::from);
    status(state, result)
}

fn next_entry(state: &mut State, t: Gc<Table>, key: Value) -> i64 {
    match t.next(key) {
        Ok(Some((k, v))) => {
            state.scratch[0] = k;
            state.scratch[1] = v;
            1
        }
        Ok(None) => 0,
        // The interpreter meets the invalid key again and raises the error.
        Err(_) => 2,
    }
}

/// A value from its parts.
fn value(payload: u64, tag: u64) -> Value {
    // SAFETY: the trace passes the payload and the tag of one value.
    unsafe { Value::from_raw(tag as u8, payload) }
}

macro_rules! helpers {
    ($(fn $name:ident($state:ident $(, $arg:ident: $ty:ty)*) -> $result:ty $body:block)*) => {$(
        #[doc = concat!("See the table: `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As for all helpers.
        #[allow(unused_variables, reason = "not every helper needs all of them")]
        unsafe extern "C-unwind" fn $name(state: *mut State $(, $arg: $ty)*) -> $result {
            // SAFETY: the state that the trace runs in; nobody else uses it meanwhile.
            let $state = unsafe { &mut *state };
            $body
        }
    )*};
}

helpers! {
    fn table_new(state, named: i64, elements: i64, shape: u64) -> u64 { object(state.heap.table(named as usize, elements as usize)) }
    fn table_built(state, named: i64, elements: i64, shape: u64) -> u64 {
        state.heap.overdraw(|heap| heap.table(named as usize, 0)).address() as u64
    }
    fn array_new(state, t: Gc<Table>, elements: i64) -> u64 {
        t.array_buffer_for(&mut state.heap, elements as usize).map_or(0, |buffer| buffer.expose_provenance() as u64)
    }
    fn array_built(state, t: Gc<Table>, elements: i64) -> u64 {
        state.heap.overdraw(|heap| t.array_buffer_for(heap, elements as usize)).expose_provenance() as u64
    }
    fn set_int(state, t: Gc<Table>, k: i64, v: u64, tag: u64) -> i64 {
        let result = t.set_int(&mut state.heap, k, value(v, tag)).map_err(SetError::from);
        status(state, result)
    }
    fn set_int_f(state, t: Gc<Table>, k: i64, v: f64) -> i64 {
        let result = t.set_int(&mut state.heap, k, Value::float(v)).map_err(SetError::from);
        status(state, result)
    }
    fn set_field(state, t: Gc<Table>, k: Gc<Str>, v: u64, tag: u64) -> i64 {
        let result = t.set_str(&mut state.heap, k, value(v, tag)).map_err(SetError::from);
        status(state, result)
    }
    fn set_field_f(state, t: Gc<Table>, k: Gc<Str>, v: f64) -> i64 {
        let result = t.set_str(&mut state.heap, k, Value::float(v)).map_err(SetError::from);
        status(state, result)
    }
    fn set_any(state, t: Gc<Table>, k: u64, ktag: u64, v: u64, vtag: u64) -> i64 {
        let result = t.set(&mut state.heap, value(k, ktag), value(v, vtag));
        status(state, result)
    }
    fn set_any_f(state, t: Gc<Table>, k: u64, ktag: u64, v: f64) -> i64 {
        let result = t.set(&mut state.heap, value(k, ktag), Value::float(v));
        status(state, result)
    }
    fn set_float(state, t: Gc<Table>, k: f64, v: u64, tag: u64) -> i64 {
        let result = t.set(&mut state.heap, Value::float(k), value(v, tag));
        status(state, result)
    }
    fn set_float_f(state, t: Gc<Table>, k: f64, v: f64) -> i64 {
        let result = t.set(&mut state.heap, Value::float(k), Value::float(v));
        status(state, result)
    }
    fn set_holes(state, t: Gc<Table>, stored: i64, count: i64, v: u64, tag: u64) -> i64 {
        holes(state, t, (stored as usize, count as usize), value(v, tag))
    }
    fn set_holes_f(state, t: Gc<Table>, stored: i64, count: i64, v: f64) -> i64 {
        holes(state, t, (stored as usize, count as usize), Value::float(v))
    }
    fn set_metatable(state, t: Gc<Table>, meta: Gc<Table>) -> i64 {
        i64::from(t.set_metatable(&mut state.heap, Some(meta)).is_err())
    }
    fn find(state, t: Gc<Table>, k: u64, tag: u64) -> u64 { t.find_hashed(value(k, tag)).expose_provenance() as u64 }
    fn find_integer(state, t: Gc<Table>, k: i64) -> u64 { t.find_integer_hashed(k).expose_provenance() as u64 }
    fn find_string(state, t: Gc<Table>, k: Gc<Str>) -> u64 { t.find_str(k).expose_provenance() as u64 }
    fn find_hashed(state, t: Gc<Table>, k: Gc<Str>) -> u64 { t.find_string_hashed(k).expose_provenance() as u64 }
    fn find_float(state, t: Gc<Table>, k: f64) -> u64 {
        state.scratch[0] = t.get(Value::float(k));
        (&raw const state.scratch).expose_provenance() as u64
    }
    fn next_float(state, t: Gc<Table>, k: f64) -> i64 { next_entry(state, t, Value::float(k)) }
    fn next(state, t: Gc<Table>, k: u64, tag: u64) -> i64 { next_entry(state, t, value(k, tag)) }
    fn concat2(state, a: Gc<Str>, b: Gc<Str>) -> u64 { object(state.heap.concat([a, b])) }
    fn concat3(state, a: Gc<Str>, b: Gc<Str>, c: Gc<Str>) -> u64 {
        object(state.heap.concat([a, b, c]))
    }
    fn concat4(state, a: Gc<Str>, b: Gc<Str>, c: Gc<Str>, d: Gc<Str>) -> u64 {
        object(state.heap.concat([a, b, c, d]))
    }
    fn concat_mixed(state, kinds: i64, a: u64, b: u64, c: u64, d: u64) -> u64 {
        let values = [a, b, c, d];
        let is_int = |i: usize| kinds >> (4 + i) & 1 != 0;
        let strings: [Option<Gc<Str>>; 4] = std::array::from_fn(|i| {
            let present = (i as i64) < kinds & 15 && !is_int(i);
            present.then(|| value(values[i], tag::STRING.into()).as_string()).flatten()
        });
        let mut texts = [[0; number::MAX_INT_TEXT]; 4];
        let mut parts = [&b""[..]; 4];
        for (i, (part, text)) in parts.iter_mut().zip(&mut texts).enumerate() {
            *part = match &strings[i] {
                Some(string) => string.bytes(),
                None if is_int(i) => number::int_text(values[i] as i64, text),
                None => b"",
            };
        }
        object(match strings[0] {
            Some(first) => state.heap.append(first, &parts),
            None => state.heap.string_of_parts(&parts),
        })
    }
    fn int_to_string(state, i: i64) -> u64 {
        object(state.heap.string(number::int_text(i, &mut [0; number::MAX_INT_TEXT])))
    }
    fn float_to_string(state, f: f64) -> u64 {
        let text = number::to_text(number::Number::Float(f));
        object(state.heap.string(&text))
    }
    fn string_order(state, a: Gc<Str>, b: Gc<Str>) -> i64 { a.bytes().cmp(b.bytes()) as i64 }
    fn string_equal(state, a: Gc<Str>, b: Gc<Str>) -> i64 { i64::from(a == b || a.bytes() == b.bytes()) }
    fn order(state, i: i64, f: f64) -> i64 {
        if f.is_nan() {
            2
        } else if number::int_lt_float(i, f) {
            -1
        } else {
            i64::from(!number::int_le_float(i, f))
        }
    }
    fn loop_count(state, start: i64, limit: i64, step: i64) -> i64 {
        rounds(start, limit, step) as i64
    }
    fn string_part(state, s: Gc<Str>, from: i64, to: i64) -> u64 {
        object(state.heap.string(&s.bytes()[from as usize..to as usize]))
    }
    fn string_char(state, byte: i64) -> u64 { object(state.heap.string_of_byte(byte as u8)) }
    fn float_mod(state, a: f64, b: f64) -> f64 { number::float_mod(a, b) }
    fn pow(state, a: f64, b: f64) -> f64 { number::float_pow(a, b) }
    fn fmod(state, a: f64, b: f64) -> f64 { a % b }
    fn sin(state, a: f64) -> f64 { a.sin() }
    fn cos(state, a: f64) -> f64 { a.cos() }
    fn tan(state, a: f64) -> f64 { a.tan() }
    fn exp(state, a: f64) -> f64 { a.exp() }
    fn log(state, a: f64) -> f64 { a.ln() }
    fn shift_left(state, a: i64, b: i64) -> i64 { number::shift_left(a, b) }
    fn cell_new(state) -> u64 { object(state.heap.cell(Value::NIL)) }
    fn cell_built(state) -> u64 { state.heap.overdraw(|heap| heap.cell(Value::NIL)).address() as u64 }
    fn closure_new(state, proto: Gc<Proto>, upvalues: i64) -> u64 {
        object(state.heap.open_lua_function(proto, upvalues as usize))
    }
    fn closure_built(state, proto: Gc<Proto>, upvalues: i64) -> u64 {
        state.heap.overdraw(|heap| heap.open_lua_function(proto, upvalues as usize)).address() as u64
    }
    fn closing(state, level: i64) -> i64 {
        let base = base(state) as i64;
        state.thread.closing().last().map(|slot| i64::from(*slot) - base).filter(|slot| *slot >= level).unwrap_or(-1)
    }
    fn close_later(state, slot: i64) -> i64 {
        let slot = base(state) + slot as usize;
        state.thread.closing().push(slot as u32);
        0
    }
    fn close_next(state) -> i64 {
        state.thread.closing().pop();
        0
    }
    fn extra(state) -> i64 { state.thread.frames().last().map_or(0, |f| i64::from(f.extra)) }
    fn list_end(state) -> i64 { state.top() as i64 - base(state) as i64 }
    fn call_native(state, register: i64, arguments: i64, wanted: i64, site: u64, frame: usize) -> i64 {
        // SAFETY: what compiled code has passed to a full helper.
        unsafe { full_call(state, (site, frame), |state| call_in_frame(state, register, arguments, wanted)) }
    }
    fn call_catching(state, register: i64, arguments: i64, catcher: i64, site: u64, frame: usize) -> i64 {
        let catcher = Catcher::unpacked(catcher);
        // SAFETY: as above.
        unsafe { full_call(state, (site, frame), |state| call_caught(state, register, arguments, catcher)) }
    }
    fn raise(state, register: i64, arguments: i64, catcher: i64, site: u64, frame: usize) -> i64 {
        let catcher = Catcher::unpacked(catcher);
        // SAFETY: as above.
        unsafe { full_call(state, (site, frame), |state| raise_caught(state, register, catcher)) }
    }
    fn call_bare(state, slot: i64, arguments: i64, wanted: i64, pc: usize) -> i64 {
        call_without_frames(state, base(state) + slot as usize, (arguments, wanted), pc)
    }
    fn call_changing(state, slot: i64, arguments: i64, wanted: i64, pc: usize) -> i64 {
        let func = base(state) + slot as usize;
        if state.slot(func + 1).as_table().is_none_or(|t| t.metatable().is_some()) {
            return 0;
        }
        call_without_frames(state, func, (arguments, wanted), pc)
    }
    fn call_meta(state, register: i64, arguments: i64, target: i64, site: u64, frame: usize) -> i64 {
        // SAFETY: as above.
        unsafe { full_call(state, (site, frame), |state| call_meta_in_frame(state, register, arguments, target)) }
    }
}

/// See `CallNative`, while the frames stand.
#[inline]
fn call_in_frame(state: &mut State, register: i64, arguments: i64, wanted: i64) -> i64 {
    let Some((at, native)) = native_at(state, register, arguments) else { return 0 };
    let changes = state.outside_changes;
    let count = if native.special() == Special::Pcall {
        pcall_plain(state, at, wanted as i32)
    } else {
        let Ok(count) = call_plain(state, native, at) else { return 0 };
        let first = state.top() - count;
        place_results(state, at, wanted as i32, first, count);
        count
    };
    unless_changed(state, changes, count as i64 + 1)
}

/// The inlined `pcall` or `xpcall` at which an error ends, for helpers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Catcher {
    /// How many results are wanted of the function that may fail; -1: all.
    pub results: i16,
    /// Where false and the error go: a slot, relative to the top frame's base. The handler lies in the next one.
    pub to: i16,
    /// How many values are wanted there; -1: all.
    pub wanted: i16,
    /// Whether a handler is to see the error before that, while the stack stands.
    pub is_handled: bool,
}

impl Catcher {
    /// As one word.
    pub fn packed(self) -> i64 {
        let [results, to, wanted] = [self.results, self.to, self.wanted].map(|part| i64::from(part as u16));
        results | to << 16 | wanted << 32 | i64::from(self.is_handled) << 48
    }

    /// From that.
    pub fn unpacked(word: i64) -> Catcher {
        let [results, to, wanted] = [0, 16, 32].map(|at| (word >> at) as i16);
        Catcher { results, to, wanted, is_handled: word >> 48 != 0 }
    }
}

/// See `CallCatching`, while the frames stand.
fn call_caught(state: &mut State, register: i64, arguments: i64, catcher: Catcher) -> i64 {
    let (base, changes) = (base(state), state.outside_changes);
    let Some((at, native)) = native_at(state, register, arguments) else { return 0 };
    let Ok(count) = call_plain(state, native, at) else { return catch(state, base, changes, catcher) };
    let first = state.top() - count;
    place_results(state, at, catcher.results.into(), first, count);
    unless_changed(state, changes, count as i64 + 1)
}

/// See `Raise`, while the frames stand.
fn raise_caught(state: &mut State, register: i64, catcher: Catcher) -> i64 {
    let (base, changes) = (base(state), state.outside_changes);
    let error = state.slot(base + register as usize);
    state.raise(error);
    catch(state, base, changes, catcher)
}

/// An error has been raised: it ends where a catcher says. `base` is that of the frame whose instruction it is. Answers 0, and the error is
/// still on its way, if the trace must be left.
fn catch(state: &mut State, base: usize, changes: u32, catcher: Catcher) -> i64 {
    let to = (base as i64 + i64::from(catcher.to)) as usize;
    if catcher.is_handled {
        call_handler_nested(state, state.slot(to + 1));
    }
    if state.outside_changes != changes || state.thread.is_hooked() || state.thread.size() > MAX_STACK {
        return 0;
    }
    let raised = state.take_error();
    let Some(error) = close_nested(state, raised) else {
        state.raise(raised);
        return 0;
    };
    if state.outside_changes != changes || state.thread.is_hooked() {
        state.raise(error);
        state.handled = true;
        return 0;
    }
    state.handled = false;
    state.set_slot(to, Value::FALSE);
    state.set_slot(to + 1, error);
    place_results(state, to, catcher.wanted.into(), to, 2);
    CAUGHT
}

/// See `CallMeta`, while the frames stand.
fn call_meta_in_frame(state: &mut State, register: i64, arguments: i64, target: i64) -> i64 {
    let base = base(state);
    let Some((at, native)) = native_at(state, register, arguments) else { return 0 };
    let changes = state.outside_changes;
    let Ok(count) = call_plain(state, native, at) else { return 0 };
    let result = if count > 0 { state.slot(state.top() - count) } else { Value::NIL };
    let truth = Value::boolean(!result.is_falsy());
    state.set_slot(base + target as usize, if target == register { truth } else { result });
    unless_changed(state, changes, if result.is_falsy() { 1 } else { 2 })
}

/// See `CallBare`; the function lies in slot `func` of the stack.
fn call_without_frames(state: &mut State, func: usize, (arguments, wanted): (i64, i64), pc: usize) -> i64 {
    state.set_top(func + 1 + arguments as usize);
    bare(state, (func, wanted as i32), std::ptr::with_exposed_provenance(pc)).map_or(0, |count| count as i64 + 1)
}

/// Where the registers of the top frame begin.
fn base(state: &State) -> usize {
    Entered::top(state).base as usize
}

/// The native function in a register of the top frame, behind where it lies; its arguments end at the top now.
fn native_at(state: &mut State, register: i64, arguments: i64) -> Option<(usize, Gc<NativeFunction>)> {
    let at = base(state) + register as usize;
    let native = state.slot(at).as_native()?;
    state.set_top(at + 1 + arguments as usize);
    Some((at, native))
}

/// An answer; its negative if a hook was set or something that traces take for granted has changed since.
fn unless_changed(state: &State, changes: u32, answer: i64) -> i64 {
    if state.outside_changes != changes || state.thread.is_hooked() { -answer } else { answer }
}

/// The tags that helpers get are those of values.
const _: () = assert!(tag::NIL == 0 && Type::Nil as u8 == tag::NIL && Type::Cell as u8 == tag::CELL);
