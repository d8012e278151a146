//! Traversal: first the array, then the named fields in the order of their slots, then the hash. A position is a number:
//! the elements, the slots and the nodes counted through.

use super::super::heap::Gc;
use super::super::value::{Value, tag};
use super::{Table, flag};

/// The key given to `next` is not in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidKey;

impl Gc<Table> {
    /// The first position behind a key (nil: the first of all). The key may have been removed since it was met.
    fn position_behind(self, key: Value) -> Result<usize, InvalidKey> {
        let len = self.len.get() as usize;
        let slots = self.shape.get().count();
        let key = match key.tag() {
            tag::NIL => return Ok(0),
            // No key is a float with an integer's value.
            tag::FLOAT if super::super::number::float_to_int(key.raw_float()).is_some() => return Err(InvalidKey),
            _ => key,
        };
        if let Some(i) = key.as_integer() {
            let index = (i as u64).wrapping_sub(1);
            if index < len as u64 {
                return Ok(i as usize);
            }
            // The array may have got shorter since: what follows its end comes next.
            let shortened = self.header.flags.get() & flag::SHORTENED != 0;
            if shortened && index < u64::from(self.capacity.get()) && self.node_of(key).is_none() {
                return Ok(len);
            }
        }
        if let Some(s) = key.as_string().filter(|s| s.is_short())
            && let Some(slot) = self.shape.get().find(s)
        {
            return Ok(len + slot + 1);
        }
        self.node_of(key).map(|i| len + slots + i + 1).ok_or(InvalidKey)
    }

    /// The entry behind a key in the traversal's order, nil being before the first; none behind the last.
    pub fn next(self, key: Value) -> Result<Option<(Value, Value)>, InvalidKey> {
        let at = self.position_behind(key)?;
        Ok(self.entry_from(at).map(|(_, key, value)| (key, value)))
    }

    /// As [`Self::next`], and answers a hint for the next step, which saves looking for the key. Any number is a valid hint, 0
    /// is none.
    #[inline]
    pub fn next_hinted(self, key: Value, hint: usize) -> Result<Option<(usize, Value, Value)>, InvalidKey> {
        let at = if hint != 0 && self.is_key_at(hint - 1, key) { hint } else { self.position_behind(key)? };
        Ok(self.entry_from(at).map(|(position, key, value)| (position + 1, key, value)))
    }

    /// Is this the key of the entry at a position?
    #[inline]
    fn is_key_at(self, position: usize, key: Value) -> bool {
        let len = self.len.get() as usize;
        if position < len {
            return key.same(Value::integer(position as i64 + 1));
        }
        let (slot, count) = (position - len, self.shape.get().count());
        if slot < count {
            return key.same(Value::from(self.shape.get().key(slot)));
        }
        slot - count < self.node_count() && self.node(slot - count).key().same(key)
    }

    /// The first entry at or behind a position, and its position.
    pub fn entry_from(self, position: usize) -> Option<(usize, Value, Value)> {
        let len = self.len.get() as usize;
        let shape = self.shape.get();
        let mut at = position;
        while at < len {
            let value = self.element(at);
            if !value.is_nil() {
                return Some((at, Value::integer(at as i64 + 1), value));
            }
            at += 1;
        }
        while at - len < shape.count() {
            let value = self.slot(at - len);
            if !value.is_nil() {
                return Some((at, Value::from(shape.key(at - len)), value));
            }
            at += 1;
        }
        let first = len + shape.count();
        while at - first < self.node_count() {
            let node = self.node(at - first);
            if !node.value.is_nil() {
                return Some((at, node.key(), node.value));
            }
            at += 1;
        }
        None
    }
}
