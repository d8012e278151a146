//! Named fields where the inline cache does not help: the full lookup, and what the cache remembers of it.
//!
//! A cache remembers one of two things of a read: that tables of a shape have the field (`shape`, `slot`), or that tables of a
//! shape lack it and where `__index` leads then (`via`, `holder`, `slot`; no holder: to nil), which holds while the heap's epoch
//! stays the same; or both of one shape, if it leads to nil: then the slot's value is the answer even if it is nil. Strings have a
//! metatable in common: of them it remembers the latter without a shape. Of a store it remembers that tables of a shape have the
//! field, and to which shape (`next`) one is led by adding it, if no `__newindex` stands in the way (`epoch` again). Tables in
//! dictionary mode are not cached.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::InlineCache;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::shape::Shape;
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::{Value, tag};

use super::super::call::{Flow, Step};
use super::super::error::Place;
use super::super::meta::{Found, find_index, find_set_index};
use super::finish::skip_extra;
use super::slow::{base, call_meta, constant, register, register_or_constant_c, running};
use super::{top_frame, with_memory};

/// The longest chain of `__index` tables that is cached.
const MAX_CACHED_CHAIN: usize = 32;

/// An instruction whose cache has missed more often asks the table of all lookups first, and leaves its cache alone then.
pub(super) const MONOMORPHIC_MISSES: u32 = 16;

/// The inline cache of the instruction in progress.
fn cache_of(st: &State) -> *mut InlineCache {
    // SAFETY: the extra word of such an instruction is the number of its cache.
    running(st).proto().cache(unsafe { *top_frame(st).pc } as usize)
}

fn upvalue(st: &State, index: usize) -> Value {
    running(st).cells()[index].get()
}

/// GETTABUP, GETFIELD and SELF.
#[inline(never)]
pub(super) fn get(st: &mut State, word: Word) -> Step {
    let (object, place) = match bc::op(word) {
        Op::GetTabUp => (upvalue(st, bc::b(word)), Place::Upvalue(bc::b(word))),
        _ => (register(st, bc::b(word)), Place::Register(bc::b(word))),
    };
    let key = constant(st, bc::c(word));
    let target = base(st) + bc::a(word);
    let found = match key.as_string() {
        Some(name) => lookup(st, object, name)?,
        None => None,
    };
    let found = match found {
        Some(value) => Found::Value(value),
        None => find_index(st, object, key, place)?,
    };
    if bc::op(word) == Op::SelfOp {
        st.set_slot(target + 1, object);
    }
    match found {
        Found::Value(value) => {
            st.set_slot(target, value);
            skip_extra(st);
            Ok(Flow::Go)
        }
        Found::Call(handler, at) => call_meta(st, handler, &[at, key]),
    }
}

/// Looks a field up and lets the cache remember it. None: that is not a matter of tables alone.
fn lookup(st: &mut State, object: Value, name: Gc<Str>) -> Result<Option<Value>, Raised> {
    let cache = cache_of(st);
    if let Some(table) = object.as_table() {
        let receiver = table.shape();
        // SAFETY: the cache is the instruction's.
        let misses = unsafe {
            (*cache).misses = (*cache).misses.wrapping_add(1);
            (*cache).misses
        };
        if misses > MONOMORPHIC_MISSES
            && let Some(known) = st.heap.lookups.find(receiver, name, st.heap.epoch)
        {
            let value = known.holder.unwrap_or(table).slot(known.slot as usize);
            if !value.is_nil() {
                return Ok(Some(value));
            }
        }
        let slot = if receiver.is_dictionary() { None } else { receiver.find(name) };
        let value = match slot {
            Some(slot) => table.slot(slot),
            None if receiver.is_dictionary() => table.get_short(name),
            None => Value::NIL,
        };
        if !value.is_nil() {
            if let Some(slot) = slot {
                let epoch = st.heap.epoch;
                st.heap.lookups.remember(receiver, name, None, slot, epoch);
                remember(st, cache, |c| {
                    c.forget();
                    c.shape = Some(receiver);
                    c.slot = slot as u32;
                });
            }
            return Ok(Some(value));
        }
        if receiver.is_dictionary() {
            return Ok(None);
        }
        return inherited(st, name, Some((receiver, slot)), table.metatable());
    }
    if object.tag() != tag::STRING {
        return Ok(None);
    }
    // SAFETY: the state and the cache are in order, and the slot is one of a living table.
    match unsafe { known_method(st, cache).as_ref() } {
        Some(method) => Ok(Some(*method)),
        None => inherited(st, name, None, st.metatable_of(object)),
    }
}

/// Looks a field up along a chain of `__index` tables that begins at the metatable of a table of this shape, where this slot of its
/// own is nil if it has one, or of a string. What is in no table of the chain is nil for a table, and a matter for others otherwise.
fn inherited(
    st: &mut State,
    name: Gc<Str>,
    receiver: Option<(Gc<Shape>, Option<usize>)>,
    mut meta: Option<Gc<Table>>,
) -> Result<Option<Value>, Raised> {
    let cache = cache_of(st);
    let trusted = receiver.is_none_or(|(shape, _)| st.heap.trusts(shape));
    let has_slot = receiver.is_some_and(|(_, slot)| slot.is_some());
    for _ in 0..MAX_CACHED_CHAIN {
        let handler = meta.map_or(Value::NIL, |m| m.event(&st.heap, Event::Index));
        if handler.is_nil() {
            if let Some((shape, slot)) = receiver.filter(|_| trusted) {
                let epoch = st.heap.epoch;
                remember(st, cache, |c| {
                    c.forget();
                    c.via = Some(shape);
                    c.epoch = epoch;
                    if let Some(slot) = slot {
                        c.shape = Some(shape);
                        c.slot = slot as u32;
                    }
                });
            }
            return Ok(receiver.map(|_| Value::NIL));
        }
        let Some(holder) = handler.as_table() else { return Ok(None) };
        holder.set_flagged(&mut st.heap)?;
        let value = holder.get_short(name);
        if !value.is_nil() {
            if trusted
                && !has_slot
                && !holder.shape().is_dictionary()
                && let Some(slot) = holder.shape().find(name)
            {
                let epoch = st.heap.epoch;
                let shape = receiver.map(|(shape, _)| shape);
                if let Some(shape) = shape {
                    st.heap.lookups.remember(shape, name, Some(holder), slot, epoch);
                }
                remember(st, cache, |c| {
                    c.forget();
                    c.via = shape;
                    c.holder = Some(holder);
                    c.slot = slot as u32;
                    c.epoch = epoch;
                });
            }
            return Ok(Some(value));
        }
        meta = holder.metatable();
    }
    Ok(None)
}

/// Where a table has a field: in dictionary mode in its hash, else by the table of all lookups itself or through `__index`; null if
/// that does not know. The value may be nil, which says nothing then.
///
/// # Safety
/// For the loop: the state, and a table and a short string of its.
#[inline(never)]
pub(super) unsafe fn known(st: *const State, table: Gc<Table>, name: Gc<Str>) -> *mut Value {
    // SAFETY: the state is alive; the table of lookups refers to living objects only, and a slot that it names is there.
    unsafe {
        let heap = &(*st).heap;
        if table.shape().is_dictionary() {
            return table.find_string_hashed(name);
        }
        match heap.lookups.find(table.shape(), name, heap.epoch) {
            Some(found) => found.holder.unwrap_or(table).slots_ptr().add(found.slot as usize),
            None => std::ptr::null_mut(),
        }
    }
}

/// As [`known`], for a field of the table itself that may be assigned to without further ado.
///
/// # Safety
/// As for [`known`].
#[inline(never)]
pub(super) unsafe fn known_own(st: *const State, table: Gc<Table>, name: Gc<Str>) -> *mut Value {
    // SAFETY: as for `known`.
    unsafe {
        let heap = &(*st).heap;
        let slot = match heap.lookups.find(table.shape(), name, heap.epoch) {
            _ if table.is_flagged() => return std::ptr::null_mut(),
            _ if table.shape().is_dictionary() => table.find_string_hashed(name),
            Some(found) if found.holder.is_none() => table.slots_ptr().add(found.slot as usize),
            _ => return std::ptr::null_mut(),
        };
        let is_free =
            !table.shape().is_dictionary() && table.metatable().is_none_or(|m| m.is_known_to_lack(Event::NewIndex));
        if is_free || !(*slot).is_nil() { slot } else { std::ptr::null_mut() }
    }
}

/// Where a method of strings lies, if the cache knows it; else null.
///
/// # Safety
/// For the loop: the state, and the inline cache of the running instruction, whose receiver is a string.
#[inline(always)]
pub(super) unsafe fn known_method(st: *const State, cache: *const InlineCache) -> *mut Value {
    // SAFETY: the cache's objects are alive.
    unsafe {
        if (*cache).via.is_none()
            && (*cache).shape.is_none()
            && (*cache).epoch == (*st).heap.epoch
            && let Some(holder) = (*cache).holder
        {
            let slot = holder.slots_ptr().add((*cache).slot as usize);
            if (*slot).tag() != tag::NIL {
                return slot;
            }
        }
        std::ptr::null_mut()
    }
}

fn remember(st: &mut State, cache: *mut InlineCache, change: impl FnOnce(&mut InlineCache)) {
    // SAFETY: the cache is the running instruction's; nothing else refers to it now.
    change(unsafe { &mut *cache });
    let proto = running(st).proto();
    st.heap.barrier(proto.header());
}

/// SETTABUP and SETFIELD.
#[inline(never)]
pub(super) fn set(st: &mut State, word: Word) -> Step {
    let (object, place) = match bc::op(word) {
        Op::SetTabUp => (upvalue(st, bc::a(word)), Place::Upvalue(bc::a(word))),
        _ => (register(st, bc::a(word)), Place::Register(bc::a(word))),
    };
    let key = constant(st, bc::b(word));
    let value = register_or_constant_c(st, word);
    if let (Some(table), Some(name)) = (object.as_table(), key.as_string())
        && with_memory(st, |st| store(st, table, name, value))?
    {
        skip_extra(st);
        return Ok(Flow::Go);
    }
    match with_memory(st, |st| find_set_index(st, object, key, value, place))? {
        None => {
            skip_extra(st);
            Ok(Flow::Go)
        }
        Some((handler, at)) => call_meta(st, handler, &[at, key, value]),
    }
}

/// Assigns to a field unless a metamethod may have a say, and lets the cache remember it. Answers whether it is done.
fn store(st: &mut State, table: Gc<Table>, name: Gc<Str>, value: Value) -> Result<bool, Raised> {
    let cache = cache_of(st);
    let shape = table.shape();
    // SAFETY: the cache is the instruction's.
    let misses = unsafe {
        (*cache).misses = (*cache).misses.wrapping_add(1);
        (*cache).misses
    };
    if misses > MONOMORPHIC_MISSES
        && !table.is_flagged()
        && !value.is_nil()
        && let Some(known) = st.heap.lookups.find(shape, name, st.heap.epoch)
        && known.holder.is_none()
        && !table.slot(known.slot as usize).is_nil()
    {
        table.set_slot(&mut st.heap, known.slot as usize, value);
        return Ok(true);
    }
    let is_new = table.get_short(name).is_nil();
    if is_new && !table.metatable().is_none_or(|m| m.event(&st.heap, Event::NewIndex).is_nil()) {
        return Ok(false);
    }
    if shape.is_dictionary() {
        table.set_str(&mut st.heap, name, value)?;
        return Ok(true);
    }
    let slot = shape.find(name);
    table.set_str(&mut st.heap, name, value)?;
    let epoch = st.heap.epoch;
    let after = table.shape();
    match slot {
        // A flagged table's `__` fields are more than fields.
        Some(slot) if !(table.is_flagged() && name.bytes().starts_with(b"__")) => {
            st.heap.lookups.remember(shape, name, None, slot, epoch);
            remember(st, cache, |c| {
                c.shape = Some(shape);
                c.slot = slot as u32;
            });
        }
        None if !table.is_flagged() && !after.is_dictionary() && after != shape && st.heap.trusts(shape) => {
            remember(st, cache, |c| {
                c.via = Some(shape);
                c.next = Some(after);
                c.epoch = epoch;
            });
        }
        _ => {}
    }
    Ok(true)
}
