//! `table` (manual §6.6). Tables whose metatable has none of `__index`, `__newindex` and `__len` are accessed directly.

#![forbid(unsafe_code)]

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::MAX_STACK;
use perilune_runtime::lua::value::Value;

use super::super::api::{
    self, arg_error, check_function, check_int, error, is_given, is_none_or_nil, opt_int, opt_string, set_natives,
    type_error,
};
use super::super::exec::with_memory;
use super::{give, give_vec, grow, grow_keeping, new_table, set, sort};

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let table = new_table(st, 8)?;
    set_natives(
        st,
        table,
        &[
            ("concat", concat),
            ("insert", insert),
            ("move", move_),
            ("pack", pack),
            ("remove", remove),
            ("sort", sort_),
            ("unpack", unpack),
        ],
    )?;
    Ok(table)
}

/// A value used as a list: a plain table, or anything with the metamethods.
#[derive(Clone, Copy)]
pub(super) enum List {
    Plain(Gc<Table>),
    Other(Value),
}

impl List {
    /// The argument as a list, on which these operations must be possible.
    fn check(st: &mut State, f: CallFrame, i: usize, operations: &[Event]) -> Result<List, Raised> {
        const ALL: [Event; 3] = [Event::Index, Event::NewIndex, Event::Len];
        let value = st.arg(f, i);
        let Some(meta) = st.metatable_of(value) else {
            return match value.as_table() {
                Some(t) => Ok(List::Plain(t)),
                None => Err(type_error(st, f, i, "table")),
            };
        };
        match value.as_table() {
            Some(t) if ALL.iter().all(|e| meta.event(&st.heap, *e).is_nil()) => Ok(List::Plain(t)),
            Some(_) => Ok(List::Other(value)),
            None if operations.iter().all(|e| !meta.event(&st.heap, *e).is_nil()) => Ok(List::Other(value)),
            None => Err(type_error(st, f, i, "table")),
        }
    }

    fn length(self, st: &mut State) -> Result<i64, Raised> {
        match self {
            List::Plain(t) => Ok(t.length()),
            List::Other(v) => api::length(st, v),
        }
    }

    #[inline]
    pub(super) fn get(self, st: &mut State, i: i64) -> Result<Value, Raised> {
        match self {
            List::Plain(t) => Ok(t.get_int(i)),
            List::Other(v) => api::index(st, v, Value::integer(i)),
        }
    }

    #[inline]
    pub(super) fn set(self, st: &mut State, i: i64, value: Value) -> Result<(), Raised> {
        match self {
            List::Plain(t) => Ok(t.set_int(&mut st.heap, i, value)?),
            List::Other(v) => api::set_index(st, v, Value::integer(i), value),
        }
    }

    fn value(self) -> Value {
        match self {
            List::Plain(t) => Value::from(t),
            List::Other(v) => v,
        }
    }
}

const READ: &[Event] = &[Event::Index, Event::Len];
const READ_WRITE: &[Event] = &[Event::Index, Event::NewIndex, Event::Len];

fn insert(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let list = List::check(st, f, 0, READ_WRITE)?;
    let end = list.length(st)?.wrapping_add(1);
    match f.count {
        2 => {
            let value = st.arg(f, 1);
            with_memory(st, |st| list.set(st, end, value))?;
        }
        3 => {
            let position = check_int(st, f, 1)?;
            if (position as u64).wrapping_sub(1) >= end as u64 {
                return Err(arg_error(st, f, 1, "position out of bounds"));
            }
            let mut i = end;
            while i > position {
                let value = list.get(st, i - 1)?;
                list.set(st, i, value)?;
                i -= 1;
            }
            let value = st.arg(f, 2);
            list.set(st, position, value)?;
        }
        _ => return Err(error(st, format_args!("wrong number of arguments to 'insert'"))),
    }
    Ok(0)
}

fn remove(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let list = List::check(st, f, 0, READ_WRITE)?;
    let size = list.length(st)?;
    let mut position = opt_int(st, f, 1, size)?;
    if position != size && (position as u64).wrapping_sub(1) > size as u64 {
        return Err(arg_error(st, f, 1, "position out of bounds"));
    }
    let removed = list.get(st, position)?;
    st.push(removed)?;
    while position < size {
        let value = list.get(st, position + 1)?;
        list.set(st, position, value)?;
        position += 1;
    }
    list.set(st, position, Value::NIL)?;
    Ok(1)
}

fn concat(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let list = List::check(st, f, 0, READ)?;
    let length = list.length(st)?;
    let separator = opt_string(st, f, 1)?;
    let separator = separator.as_ref().map_or(&b""[..], |s| s.bytes());
    let first = opt_int(st, f, 2, 1)?;
    let last = opt_int(st, f, 3, length)?;
    let mut out = Vec::new();
    let mut i = first;
    while i <= last {
        let value = list.get(st, i)?;
        if let Some(s) = value.as_string() {
            grow_keeping(st, value, &mut out, s.len() + separator.len())?;
            out.extend_from_slice(s.bytes());
        } else if let Some(n) = api::number_of(value) {
            grow(st, &mut out, perilune_runtime::lua::number::MAX_TEXT + separator.len())?;
            perilune_runtime::lua::number::write(n, &mut out);
        } else {
            let name = value.type_name();
            return Err(error(st, format_args!("invalid value ({name}) at index {i} in table for 'concat'")));
        }
        if i == last {
            break;
        }
        out.extend_from_slice(separator);
        i += 1;
    }
    give_vec(st, out)
}

fn pack(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let count = f.count as usize;
    let table = st.heap.table(1, count)?;
    let thread = st.thread;
    table.set_list(&mut st.heap, 0, (0..count).map(|i| thread.slot(f.base as usize + i)))?;
    set(st, table, "n", Value::integer(count as i64))?;
    give(st, Value::from(table))
}

fn unpack(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let first = opt_int(st, f, 1, 1)?;
    let object = st.arg(f, 0);
    let last = if is_none_or_nil(st, f, 2) { api::length(st, object)? } else { check_int(st, f, 2)? };
    if first > last {
        return Ok(0);
    }
    let count = (last as u64).wrapping_sub(first as u64);
    if count >= (MAX_STACK - st.top().min(MAX_STACK)) as u64 {
        return Err(error(st, format_args!("too many results to unpack")));
    }
    let count = count as usize + 1;
    st.check_stack(count)?;
    let plain = object.as_table().filter(|t| t.metatable().is_none());
    for i in 0..count as i64 {
        let value = match plain {
            Some(t) => t.get_int(first.wrapping_add(i)),
            None => api::index(st, object, Value::integer(first.wrapping_add(i)))?,
        };
        st.push(value)?;
    }
    Ok(count as u32)
}

fn move_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let first = check_int(st, f, 1)?;
    let last = check_int(st, f, 2)?;
    let to = check_int(st, f, 3)?;
    let target_arg = if is_none_or_nil(st, f, 4) { 0 } else { 4 };
    let source = List::check(st, f, 0, &[Event::Index])?;
    let target = List::check(st, f, target_arg, &[Event::NewIndex])?;
    if last >= first {
        if first <= 0 && last >= i64::MAX.wrapping_add(first) {
            return Err(arg_error(st, f, 2, "too many elements to move"));
        }
        let count = last - first + 1;
        if to > i64::MAX - count + 1 {
            return Err(arg_error(st, f, 3, "destination wrap around"));
        }
        let forward =
            to > last || to <= first || target_arg != 0 && !api::compare_equal(st, source.value(), target.value())?;
        for n in 0..count {
            let i = if forward { n } else { count - 1 - n };
            let value = source.get(st, first + i)?;
            target.set(st, to + i, value)?;
        }
    }
    give(st, target.value())
}

fn sort_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let list = List::check(st, f, 0, READ_WRITE)?;
    let length = list.length(st)?;
    if length < 2 {
        return Ok(0);
    }
    if length >= i64::from(i32::MAX) {
        return Err(arg_error(st, f, 0, "array too big"));
    }
    let order = if is_given(f, 1) && !is_none_or_nil(st, f, 1) { Some(check_function(st, f, 1)?) } else { None };
    sort::sort(st, list, order, length)?;
    Ok(0)
}
