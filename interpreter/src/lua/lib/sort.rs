//! `table.sort`: quicksort with the median of three as the pivot.
//!
//! The order of equal elements, and which elements an inconsistent order function gets to see, show in what programs
//! print; so elements are compared and exchanged exactly as PUC Lua does it. Where neither can show (only integers, only
//! strings ... and no order function), the standard library sorts.
//!
//! Where there is a compiler, a list that is sorted by a Lua function is sorted by Lua code (`sort.lua`), which does the same
//! step by step. It is compiled as all other Lua code is, with the order function inside of its loops: several times as fast as
//! calls from here. Each order function has a copy of its own, since traces are made for what they have met. To programs
//! it is `table.sort`: its frame is no level of the stack.

#![forbid(unsafe_code)]

use perilune_runtime::lua::function::{LuaFunction, Sorter as Known};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::prototype::Prototype;
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::value::{Value, tag};

use super::super::api::{call, error, less_than};
use super::super::call::call_inner;
use super::super::{compile, load};
use super::table::List;

/// How many elements are sorted by an order function from here before it gets Lua code of its own, in thresholds of hot loops: as
/// many as it takes about as long to sort as to compile that code.
const PATIENCE: u32 = 90;
/// The Lua code.
const SOURCE: &[u8] = include_bytes!("sort.lua");

/// Parts larger than this take a random pivot, once one has turned out badly.
const LARGE: i64 = 100;

/// Sorts the elements 1 to `length`.
pub(super) fn sort(st: &mut State, list: List, order: Option<Value>, length: i64) -> Result<(), Raised> {
    if let (List::Plain(table), None) = (list, order)
        && let Some(sorted) = sort_uniform(st, list, length)?
    {
        for (i, value) in sorted.into_iter().enumerate() {
            table.set_int(&mut st.heap, i as i64 + 1, value)?;
        }
        return Ok(());
    }
    if let (List::Plain(table), Some(f)) = (list, order.and_then(|order| order.as_lua_function()))
        && let Some(sorter) = own_sorter(st, f, length)?
    {
        let seed = if length > LARGE { super::random::Generator::seed_from_time().0 as i64 } else { 0 };
        let args = [Value::from(table), Value::integer(length), Value::from(f), Value::integer(seed)];
        let contradicts = call_inner(st, sorter, &args)?;
        return if contradicts.is_falsy() { Ok(()) } else { Err(invalid_order(st)) };
    }
    // Elements in hand lie on the stack: the order function may take them out of the table.
    let slots = st.top();
    for _ in 0..3 {
        st.push(Value::NIL)?;
    }
    Sorter { list, order, slots }.part(st, 1, length, 0)?;
    st.set_top(slots);
    Ok(())
}

/// The Lua code that sorts by an order function, if there is a compiler, and it has been called for enough elements.
fn own_sorter(st: &mut State, order: Gc<LuaFunction>, length: i64) -> Result<Option<Gc<LuaFunction>>, Raised> {
    if st.tier.is_none() || st.lines.on || st.thread.is_hooked() {
        return Ok(None);
    }
    let proto = order.proto();
    let sorted = match proto.sorter.get() {
        Known::Own(sorter) => return Ok(Some(sorter)),
        Known::Native(sorted) => sorted.saturating_add(u32::try_from(length).unwrap_or(u32::MAX)),
    };
    proto.sorter.set(Known::Native(sorted));
    if sorted < st.hot_loop.saturating_mul(PATIENCE) {
        return Ok(None);
    }
    let Ok(chunk) = compile::compile(SOURCE, b"=table.sort") else { return Ok(None) };
    let [function] = &chunk.functions[..] else { return Ok(None) };
    let function = Prototype { name: Some(b"table.sort"[..].into()), locals: Vec::new(), ..Prototype::clone(function) };
    let sorter = load::close_over(st, &function, Value::NIL)?;
    proto.keep(&mut st.heap, [sorter.header()]);
    proto.sorter.set(Known::Own(sorter));
    Ok(Some(sorter))
}

/// The sorted elements, if they are all of one kind whose equal elements cannot be told apart.
fn sort_uniform(st: &mut State, list: List, length: i64) -> Result<Option<Vec<Value>>, Raised> {
    let mut values = Vec::new();
    st.heap.reserve(length as usize * size_of::<Value>())?;
    values.try_reserve_exact(length as usize).map_err(|_| Raised)?;
    let kind = list.get(st, 1)?.tag();
    for i in 1..=length {
        let value = list.get(st, i)?;
        let float = value.raw_float();
        if value.tag() != kind || kind == tag::FLOAT && (float.is_nan() || float == 0.0 && float.is_sign_negative()) {
            return Ok(None);
        }
        values.push(value);
    }
    match kind {
        tag::INTEGER => values.sort_unstable_by_key(|v| v.raw_integer()),
        tag::FLOAT => values.sort_unstable_by(|a, b| a.raw_float().total_cmp(&b.raw_float())),
        tag::STRING => {
            let mut strings: Vec<_> = values.iter().filter_map(|v| v.as_string()).collect();
            strings.sort_unstable_by(|a, b| a.bytes().cmp(b.bytes()));
            values = strings.into_iter().map(Value::from).collect();
        }
        _ => return Ok(None),
    }
    Ok(Some(values))
}

/// A sort at work; three slots from `slots` on hold the pivot and two elements.
struct Sorter {
    list: List,
    order: Option<Value>,
    slots: usize,
}

const PIVOT: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;

impl Sorter {
    /// The list, of which the order function may have made one with metamethods.
    #[inline]
    fn list(&self) -> List {
        match self.list {
            List::Plain(t) if t.metatable().is_some() => List::Other(Value::from(t)),
            list => list,
        }
    }

    /// Puts an element into one of the slots.
    #[inline]
    fn take(&self, st: &mut State, slot: usize, i: i64) -> Result<(), Raised> {
        let value = self.list().get(st, i)?;
        st.set_slot(self.slots + slot, value);
        Ok(())
    }

    /// Writes a slot's element back.
    #[inline]
    fn put(&self, st: &mut State, slot: usize, i: i64) -> Result<(), Raised> {
        let value = st.slot(self.slots + slot);
        self.list().set(st, i, value)
    }

    /// Does the element in slot `a` come before the one in slot `b`?
    #[inline]
    fn before(&self, st: &mut State, a: usize, b: usize) -> Result<bool, Raised> {
        let (a, b) = (st.slot(self.slots + a), st.slot(self.slots + b));
        let Some(order) = self.order else { return less_than(st, a, b) };
        let top = st.top();
        st.check_stack(3)?;
        st.set_slot(top, order);
        st.set_slot(top + 1, a);
        st.set_slot(top + 2, b);
        st.set_top(top + 3);
        call(st, 2, 1)?;
        st.set_top(top);
        Ok(!st.slot(top).is_falsy())
    }

    /// Writes two elements, to be `i` from RIGHT and `j` from LEFT.
    #[inline]
    fn exchange(&self, st: &mut State, i: i64, j: i64) -> Result<(), Raised> {
        self.put(st, RIGHT, i)?;
        self.put(st, LEFT, j)
    }

    /// Brings the elements at `low < middle < high` in order, or `low < high` alone if there is none between them. Answers whether
    /// these were all.
    fn order_three(&self, st: &mut State, low: i64, middle: i64, high: i64) -> Result<bool, Raised> {
        self.take(st, LEFT, low)?;
        self.take(st, RIGHT, high)?;
        if self.before(st, RIGHT, LEFT)? {
            self.exchange(st, low, high)?;
        }
        if high - low == 1 {
            return Ok(true);
        }
        self.take(st, LEFT, middle)?;
        self.take(st, RIGHT, low)?;
        if self.before(st, LEFT, RIGHT)? {
            self.exchange(st, middle, low)?;
        } else {
            self.take(st, RIGHT, high)?;
            if self.before(st, RIGHT, LEFT)? {
                self.exchange(st, middle, high)?;
            }
        }
        Ok(high - low == 2)
    }

    fn part(&self, st: &mut State, mut low: i64, mut high: i64, mut random: u64) -> Result<(), Raised> {
        while low < high {
            let middle = pivot_between(low, high, random);
            if self.order_three(st, low, middle, high)? {
                return Ok(());
            }
            // The pivot waits next to the end while the others are distributed.
            self.take(st, PIVOT, middle)?;
            self.take(st, RIGHT, high - 1)?;
            self.put(st, RIGHT, middle)?;
            self.put(st, PIVOT, high - 1)?;
            let pivot = self.distribute(st, low, high)?;
            // The smaller side by recursion, so that the depth is logarithmic.
            let smaller = if pivot - low < high - pivot {
                self.part(st, low, pivot - 1, random)?;
                let smaller = pivot - low;
                low = pivot + 1;
                smaller
            } else {
                self.part(st, pivot + 1, high, random)?;
                let smaller = high - pivot;
                high = pivot - 1;
                smaller
            };
            if (high - low) / 128 > smaller {
                random = super::random::Generator::seed_from_time().0;
            }
        }
        Ok(())
    }

    /// Distributes the elements around the pivot, which is in its slot and at `high - 1`; answers where it ends up.
    fn distribute(&self, st: &mut State, low: i64, high: i64) -> Result<i64, Raised> {
        let (mut i, mut j) = (low, high - 1);
        loop {
            loop {
                i += 1;
                self.take(st, LEFT, i)?;
                if !self.before(st, LEFT, PIVOT)? {
                    break;
                }
                if i == high - 1 {
                    return Err(invalid_order(st));
                }
            }
            loop {
                j -= 1;
                self.take(st, RIGHT, j)?;
                if !self.before(st, PIVOT, RIGHT)? {
                    break;
                }
                if j < i {
                    return Err(invalid_order(st));
                }
            }
            if j < i {
                self.put(st, LEFT, high - 1)?;
                self.put(st, PIVOT, i)?;
                return Ok(i);
            }
            self.exchange(st, i, j)?;
        }
    }
}

fn pivot_between(low: i64, high: i64, random: u64) -> i64 {
    if high - low < LARGE || random == 0 {
        return (low + high) / 2;
    }
    let quarter = (high - low) / 4;
    low + quarter + (random % (quarter as u64 * 2)) as i64
}

fn invalid_order(st: &mut State) -> Raised {
    error(st, format_args!("invalid order function for sorting"))
}
