//! `table.sort`: quicksort with the median of three as the pivot.
//!
//! The order of equal elements, and which elements an inconsistent order function gets to see, show in what programs
//! print; so elements are compared and exchanged exactly as PUC Lua does it. Where neither can show (only integers, only
//! strings ... and no order function), the standard library sorts.

#![forbid(unsafe_code)]

use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::value::{Value, tag};

use super::super::api::{call, error, less_than};
use super::table::List;

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
    // Elements in hand lie on the stack: the order function may take them out of the table.
    let slots = st.top();
    for _ in 0..3 {
        st.push(Value::NIL)?;
    }
    Sorter { list, order, slots }.part(st, 1, length, 0)?;
    st.set_top(slots);
    Ok(())
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
    /// Puts an element into one of the slots.
    #[inline]
    fn take(&self, st: &mut State, slot: usize, i: i64) -> Result<(), Raised> {
        let value = self.list.get(st, i)?;
        st.set_slot(self.slots + slot, value);
        Ok(())
    }

    /// Writes a slot's element back.
    #[inline]
    fn put(&self, st: &mut State, slot: usize, i: i64) -> Result<(), Raised> {
        let value = st.slot(self.slots + slot);
        self.list.set(st, i, value)
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

    /// Exchanges two elements, which are `i` in LEFT and `j` in RIGHT.
    #[inline]
    fn exchange(&self, st: &mut State, i: i64, j: i64) -> Result<(), Raised> {
        self.put(st, RIGHT, i)?;
        self.put(st, LEFT, j)
    }

    /// Exchanges the elements at `i < j` if they are in the wrong order.
    fn order_two(&self, st: &mut State, i: i64, j: i64) -> Result<bool, Raised> {
        self.take(st, LEFT, i)?;
        self.take(st, RIGHT, j)?;
        let wrong = self.before(st, RIGHT, LEFT)?;
        if wrong {
            self.exchange(st, i, j)?;
        }
        Ok(wrong)
    }

    fn part(&self, st: &mut State, mut low: i64, mut high: i64, mut random: u64) -> Result<(), Raised> {
        while low < high {
            self.order_two(st, low, high)?;
            if high - low == 1 {
                return Ok(());
            }
            let middle = pivot_between(low, high, random);
            if !self.order_two(st, low, middle)? {
                self.order_two(st, middle, high)?;
            }
            if high - low == 2 {
                return Ok(());
            }
            // The pivot waits next to the end while the others are distributed.
            self.take(st, PIVOT, middle)?;
            self.take(st, LEFT, middle)?;
            self.take(st, RIGHT, high - 1)?;
            self.exchange(st, middle, high - 1)?;
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
