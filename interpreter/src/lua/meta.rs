//! Operations that metamethods take part in.
//!
//! Each has two faces. The one for the interpreter's loop only finds out what is to be called (`find_*`), since the loop
//! calls without taking native stack. The one for Rust code calls at once, which needs a native function's frame, or
//! none, on top of the stack.

#![forbid(unsafe_code)]

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::number::{self, Number};
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::string::MAX_STRING;
use perilune_runtime::lua::table::SetError;
use perilune_runtime::lua::value::{Value, tag};

use super::api::{number_of, number_value, to_bytes, to_number};
use super::call::call_value;
use super::error::{Place, compare_error, operand_error, runtime_error};

/// Most tables that a lookup goes through by `__index` or `__newindex`.
const MAX_CHAIN: usize = 2000;

/// What a lookup led to.
#[derive(Clone, Copy)]
pub enum Found {
    /// A value.
    Value(Value),
    /// A function to be called with this object and the key.
    Call(Value, Value),
}

/// The field of a value's metatable for an event; nil if there is none.
#[inline]
pub fn metafield(st: &State, value: Value, event: Event) -> Value {
    match st.metatable_of(value) {
        Some(meta) => meta.event(&st.heap, event),
        None => Value::NIL,
    }
}

/// Reads `object[key]` as far as that goes without calling anything.
pub fn find_index(st: &mut State, object: Value, key: Value, place: Place) -> Result<Found, Raised> {
    let mut at = object;
    for n in 0..MAX_CHAIN {
        let handler = if let Some(table) = at.as_table() {
            let value = table.get(key);
            if !value.is_nil() {
                return Ok(Found::Value(value));
            }
            match table.metatable().map(|m| m.event(&st.heap, Event::Index)) {
                None => return Ok(Found::Value(Value::NIL)),
                Some(handler) if handler.is_nil() => return Ok(Found::Value(Value::NIL)),
                Some(handler) => handler,
            }
        } else {
            let handler = metafield(st, at, Event::Index);
            if handler.is_nil() {
                return Err(operand_error(st, at, if n == 0 { place } else { Place::Unknown }, "index"));
            }
            handler
        };
        if handler.is_function() {
            return Ok(Found::Call(handler, at));
        }
        at = handler;
    }
    Err(runtime_error(st, format_args!("'__index' chain too long; possible loop")))
}

/// Assigns `object[key] = value` as far as that goes without calling anything. Answers what to call with an object, the
/// key and the value.
pub fn find_set_index(
    st: &mut State,
    object: Value,
    key: Value,
    value: Value,
    place: Place,
) -> Result<Option<(Value, Value)>, Raised> {
    let mut at = object;
    for n in 0..MAX_CHAIN {
        let handler = if let Some(table) = at.as_table() {
            let handler = match table.metatable() {
                None => Value::NIL,
                Some(meta) => {
                    let handler = meta.event(&st.heap, Event::NewIndex);
                    if handler.is_nil() || !table.get(key).is_nil() { Value::NIL } else { handler }
                }
            };
            if handler.is_nil() {
                return match table.set(&mut st.heap, key, value) {
                    Ok(()) => Ok(None),
                    Err(SetError::NilKey) => Err(runtime_error(st, format_args!("table index is nil"))),
                    Err(SetError::NanKey) => Err(runtime_error(st, format_args!("table index is NaN"))),
                    Err(SetError::OutOfMemory) => Err(Raised),
                };
            }
            handler
        } else {
            let handler = metafield(st, at, Event::NewIndex);
            if handler.is_nil() {
                return Err(operand_error(st, at, if n == 0 { place } else { Place::Unknown }, "index"));
            }
            handler
        };
        if handler.is_function() {
            return Ok(Some((handler, at)));
        }
        at = handler;
    }
    Err(runtime_error(st, format_args!("'__newindex' chain too long; possible loop")))
}

/// `object[key]`
pub fn index(st: &mut State, object: Value, key: Value) -> Result<Value, Raised> {
    match find_index(st, object, key, Place::Unknown)? {
        Found::Value(value) => Ok(value),
        Found::Call(handler, at) => call_value(st, handler, &[at, key]),
    }
}

/// `object[key] = value`
pub fn set_index(st: &mut State, object: Value, key: Value, value: Value) -> Result<(), Raised> {
    match find_set_index(st, object, key, value, Place::Unknown)? {
        None => Ok(()),
        Some((handler, at)) => call_value(st, handler, &[at, key, value]).map(|_| ()),
    }
}

// ---- arithmetic

fn is_bitwise(event: Event) -> bool {
    matches!(event, Event::BAnd | Event::BOr | Event::BXor | Event::Shl | Event::Shr | Event::BNot)
}

/// The result of an operation on two numbers; none: it is for metamethods (those of strings convert them). Unary
/// operations take their operand twice.
pub fn raw_arithmetic(st: &mut State, event: Event, a: Value, b: Value) -> Result<Option<Value>, Raised> {
    match (number_of(a), number_of(b)) {
        (Some(x), Some(y)) => number_arithmetic(st, event, x, y),
        _ => Ok(None),
    }
}

fn number_arithmetic(st: &mut State, event: Event, x: Number, y: Number) -> Result<Option<Value>, Raised> {
    if is_bitwise(event) {
        let (Some(x), Some(y)) = (x.to_int(), y.to_int()) else { return Ok(None) };
        return Ok(Some(Value::integer(match event {
            Event::BAnd => x & y,
            Event::BOr => x | y,
            Event::BXor => x ^ y,
            Event::Shl => number::shift_left(x, y),
            Event::Shr => number::shift_right(x, y),
            _ => !x,
        })));
    }
    if let (Number::Int(x), Number::Int(y)) = (x, y) {
        match event {
            Event::Add => return Ok(Some(Value::integer(x.wrapping_add(y)))),
            Event::Sub => return Ok(Some(Value::integer(x.wrapping_sub(y)))),
            Event::Mul => return Ok(Some(Value::integer(x.wrapping_mul(y)))),
            Event::Unm => return Ok(Some(Value::integer(x.wrapping_neg()))),
            Event::IDiv if y == 0 => return Err(runtime_error(st, format_args!("attempt to divide by zero"))),
            Event::IDiv => return Ok(Some(Value::integer(number::int_floor_div(x, y)))),
            Event::Mod if y == 0 => return Err(runtime_error(st, format_args!("attempt to perform 'n%0'"))),
            Event::Mod => return Ok(Some(Value::integer(number::int_mod(x, y)))),
            _ => {}
        }
    }
    let (x, y) = (x.to_float(), y.to_float());
    Ok(Some(Value::float(match event {
        Event::Add => x + y,
        Event::Sub => x - y,
        Event::Mul => x * y,
        Event::Div => x / y,
        Event::Mod => number::float_mod(x, y),
        Event::IDiv => number::float_floor_div(x, y),
        Event::Pow => number::float_pow(x, y),
        Event::Unm => -x,
        _ => return Ok(None),
    })))
}

/// The metamethod of either operand; nil if there is none.
pub fn binary_handler(st: &State, event: Event, a: Value, b: Value) -> Value {
    let handler = metafield(st, a, event);
    if handler.is_nil() { metafield(st, b, event) } else { handler }
}

/// The error of an operation that no metamethod does.
#[cold]
pub fn arithmetic_error(st: &mut State, event: Event, (a, at_a): (Value, Place), (b, at_b): (Value, Place)) -> Raised {
    let first_is_number = number_of(a).is_some();
    let (value, place) = if first_is_number { (b, at_b) } else { (a, at_a) };
    if !is_bitwise(event) {
        return operand_error(st, value, place, "perform arithmetic on");
    }
    if first_is_number && number_of(b).is_some() {
        let first_is_int = to_number(a).is_some_and(|n| n.to_int().is_some());
        let place = if first_is_int { at_b } else { at_a };
        return super::error::no_integer_error(st, place);
    }
    operand_error(st, value, place, "perform bitwise operation on")
}

/// An arithmetic or bitwise operation. Unary ones take their operand twice.
pub fn arithmetic(st: &mut State, event: Event, a: Value, b: Value) -> Result<Value, Raised> {
    if let Some(value) = raw_arithmetic(st, event, a, b)? {
        return Ok(value);
    }
    let handler = binary_handler(st, event, a, b);
    if handler.is_nil() {
        return Err(arithmetic_error(st, event, (a, Place::Unknown), (b, Place::Unknown)));
    }
    call_value(st, handler, &[a, b])
}

// ---- comparison

/// `a < b` of numbers and of strings.
pub fn raw_less(a: Value, b: Value) -> Option<bool> {
    match (number_of(a), number_of(b)) {
        (Some(Number::Int(x)), Some(Number::Int(y))) => Some(x < y),
        (Some(Number::Float(x)), Some(Number::Float(y))) => Some(x < y),
        (Some(Number::Int(x)), Some(Number::Float(y))) => Some(number::int_lt_float(x, y)),
        (Some(Number::Float(x)), Some(Number::Int(y))) => Some(number::float_lt_int(x, y)),
        _ => Some(a.as_string()?.bytes() < b.as_string()?.bytes()),
    }
}

/// `a <= b` of numbers and of strings.
pub fn raw_less_equal(a: Value, b: Value) -> Option<bool> {
    match (number_of(a), number_of(b)) {
        (Some(Number::Int(x)), Some(Number::Int(y))) => Some(x <= y),
        (Some(Number::Float(x)), Some(Number::Float(y))) => Some(x <= y),
        (Some(Number::Int(x)), Some(Number::Float(y))) => Some(number::int_le_float(x, y)),
        (Some(Number::Float(x)), Some(Number::Int(y))) => Some(number::float_le_int(x, y)),
        _ => Some(a.as_string()?.bytes() <= b.as_string()?.bytes()),
    }
}

fn ordered(st: &mut State, event: Event, a: Value, b: Value) -> Result<bool, Raised> {
    let handler = binary_handler(st, event, a, b);
    if handler.is_nil() {
        return Err(compare_error(st, a, b));
    }
    Ok(!call_value(st, handler, &[a, b])?.is_falsy())
}

/// `a < b`
#[inline]
pub fn less_than(st: &mut State, a: Value, b: Value) -> Result<bool, Raised> {
    match raw_less(a, b) {
        Some(result) => Ok(result),
        None => ordered(st, Event::Lt, a, b),
    }
}

/// `a <= b`
pub fn less_equal(st: &mut State, a: Value, b: Value) -> Result<bool, Raised> {
    match raw_less_equal(a, b) {
        Some(result) => Ok(result),
        None => ordered(st, Event::Le, a, b),
    }
}

/// The `__eq` that decides whether two values which are not raw-equal are equal; nil: they are not.
pub fn equality_handler(st: &State, a: Value, b: Value) -> Value {
    if a.tag() == b.tag() && matches!(a.tag(), tag::TABLE | tag::USERDATA) {
        binary_handler(st, Event::Eq, a, b)
    } else {
        Value::NIL
    }
}

/// `a == b`
pub fn compare_equal(st: &mut State, a: Value, b: Value) -> Result<bool, Raised> {
    if a.raw_equals(b) {
        return Ok(true);
    }
    let handler = equality_handler(st, a, b);
    if handler.is_nil() { Ok(false) } else { Ok(!call_value(st, handler, &[a, b])?.is_falsy()) }
}

// ---- length and concatenation

/// `#value`, or the function to be called with it.
pub fn find_length(st: &mut State, value: Value, place: Place) -> Result<Found, Raised> {
    if let Some(s) = value.as_string() {
        return Ok(Found::Value(Value::integer(s.len() as i64)));
    }
    let handler = metafield(st, value, Event::Len);
    if !handler.is_nil() {
        return Ok(Found::Call(handler, value));
    }
    match value.as_table() {
        Some(table) => Ok(Found::Value(Value::integer(table.length()))),
        None => Err(operand_error(st, value, place, "get length of")),
    }
}

/// `#value`
pub fn object_length(st: &mut State, value: Value) -> Result<Value, Raised> {
    match find_length(st, value, Place::Unknown)? {
        Found::Value(n) => Ok(n),
        Found::Call(handler, object) => call_value(st, handler, &[object, object]),
    }
}

/// The error of a concatenation that no metamethod does.
#[cold]
pub fn concat_error(st: &mut State, (a, at_a): (Value, Place), (b, at_b): (Value, Place)) -> Raised {
    let first_is_fine = a.is_string() || a.is_number();
    let (value, place) = if first_is_fine { (b, at_b) } else { (a, at_a) };
    operand_error(st, value, place, "concatenate")
}

/// `a .. b`
pub fn concat(st: &mut State, a: Value, b: Value) -> Result<Value, Raised> {
    if let (Some(mut x), Some(y)) = (to_bytes(a), to_bytes(b)) {
        if x.len() + y.len() > MAX_STRING {
            return Err(runtime_error(st, format_args!("string length overflow")));
        }
        st.heap.reserve(y.len())?;
        x.extend_from_slice(&y);
        return Ok(Value::from(st.heap.string_from_vec(x)?));
    }
    let handler = binary_handler(st, Event::Concat, a, b);
    if handler.is_nil() {
        return Err(concat_error(st, (a, Place::Unknown), (b, Place::Unknown)));
    }
    call_value(st, handler, &[a, b])
}

/// The value of a number that is to index an array: floats with an integer's value become that integer.
pub fn normalized(value: Value) -> Value {
    match number_of(value) {
        Some(n) => n.to_int().map_or(number_value(n), Value::integer),
        None => value,
    }
}
