//! Named fields where they are known to be: stores to them, new ones, which lead to another shape, and the nodes of constant keys in
//! tables in dictionary mode.

use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::shape::{MAX_COMPUTED_FIELDS, Shape};
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::value::Value;

use super::super::helpers::H;
use super::super::ir::{Field, Op as Ins, Ref, Type};
use super::index::Object;
use super::{Abort, Next, Rec, Recorder};

impl Recorder {
    /// The node of a constant key in a table in dictionary mode, checked to be where it is now. The shape has been checked: such
    /// tables have a hash part.
    pub(super) fn node(&mut self, o: Object, key: Gc<Str>) -> Rec<Option<Ref>> {
        let computed = matches!(bc::op(self.proto.word(self.pc as usize)), Op::GetTable | Op::SetTable);
        if computed || !o.table.shape().is_dictionary() || !key.is_short() {
            return Ok(None);
        }
        let Some((mask, offset)) = o.table.hash_place(Value::from(key)) else { return Ok(None) };
        let hash = self.b.fload(o.r, Field::TableHash)?;
        let (found, expected) = (self.b.fload(hash, Field::HashMask)?, self.b.int(mask.into()));
        self.guard_value(found, expected)?;
        let offset = self.b.int(offset as i64);
        let node = self.b.op(Ins::Padd, Type::Ptr, hash, offset, Ref::NONE)?;
        let (there, expected) = (self.b.vload(node, 0, Type::String)?, self.value_constant(Value::from(key))?);
        self.guard_value(there, expected)?;
        Ok(Some(node))
    }

    /// The value of a string, of this type, in a table itself, whatever its shape is.
    pub(super) fn varying_field(&mut self, o: Object, k: Ref, ty: Type) -> Rec<Ref> {
        let place = self.find_string(o, k)?;
        Ok(self.b.vload(place, 0, ty)?)
    }

    /// Where a table has a string's value; a pointer to nil if it has none.
    pub(super) fn find_string(&mut self, o: Object, k: Ref) -> Rec<Ref> {
        self.call_helper(H::FindString, &[o.r, k])
    }

    /// Assigns to a field of a table itself; no metamethod is asked.
    pub(super) fn set_field(&mut self, o: Object, key: Gc<Str>, value: Ref) -> Rec<Next> {
        if self.varies() {
            return self.set_varying_field(o, key, value);
        }
        self.guard_shape(o)?;
        let is_there = !o.table.get_str(key).is_nil();
        if is_there && !o.table.is_flagged() {
            self.guard_plain(o)?;
            return self.set_known_field(o, key, value);
        }
        let slot = if o.table.shape().is_dictionary() { None } else { o.table.shape().find(key) };
        if slot.is_none() || o.table.is_flagged() {
            self.raw_field(o, key)?;
        }
        if !is_there {
            self.guard_no_event(o.r, o.table, Event::NewIndex)?;
        }
        let k = self.value_constant(Value::from(key))?;
        if o.table.is_flagged() {
            // Of a table that others look through they must be told.
            return self.set_by_helper([H::SetField, H::SetFieldF], &[o.r, k], value);
        }
        if let Some(slot) = slot {
            // The slot is there, the field is not. No metamethod is asked, so that it does not matter.
            return self.store_slot(o, slot, value);
        }
        self.guard_plain(o)?;
        self.add_field(o, key, k, value)
    }

    /// Assigns to a slot that the table has, as its shape tells, which has been checked.
    fn store_slot(&mut self, o: Object, slot: usize, value: Ref) -> Rec<Next> {
        let slots = self.b.fload(o.r, Field::TableSlots)?;
        self.b.vstore(slots, slot as u16, value)?;
        self.barrier(o.r, value)?;
        Ok(Next::More)
    }

    /// Assigns to a field that the table has, as its shape tells, which has been checked.
    fn set_known_field(&mut self, o: Object, key: Gc<Str>, value: Ref) -> Rec<Next> {
        if let Some(node) = self.node(o, key)? {
            return self.set_present(o, node, 1, value);
        }
        if o.table.shape().is_dictionary() || !key.is_short() {
            let k = self.value_constant(Value::from(key))?;
            return self.set_hashed(o, k, value);
        }
        let Some(slot) = o.table.shape().find(key) else { return Err(Abort::Reason("field is not in the shape")) };
        if o.table.metatable().is_some() {
            let slots = self.b.fload(o.r, Field::TableSlots)?;
            self.guard_not_nil(slots, slot as u16)?;
        }
        self.store_slot(o, slot, value)
    }

    /// Assigns to a field of a table, whatever its shape is; no metamethod is asked: there is none, or the field is there.
    pub(super) fn set_varying_field(&mut self, o: Object, key: Gc<Str>, value: Ref) -> Rec<Next> {
        let k = self.value_constant(Value::from(key))?;
        let asks = o.table.metatable().is_some_and(|m| !m.event(&self.state().heap, Event::NewIndex).is_nil());
        if asks {
            let place = self.find_string(o, k)?;
            self.guard_not_nil(place, 0)?;
        } else {
            self.guard_no_event(o.r, o.table, Event::NewIndex)?;
        }
        self.set_by_helper([H::SetField, H::SetFieldF], &[o.r, k], value)
    }

    /// A new field of a table whose shape is known: it leads to another shape.
    pub(super) fn add_field(&mut self, o: Object, key: Gc<Str>, k: Ref, value: Ref) -> Rec<Next> {
        let shape = o.table.shape();
        let count = shape.count();
        let is_new = !shape.is_dictionary() && key.is_short() && shape.find(key).is_none();
        let fits = is_new && count < o.table.slot_capacity().min(MAX_COMPUTED_FIELDS as usize);
        let next = if fits { self.state().heap.shape_with_key(shape, key, false) } else { Ok(None) };
        let Ok(Some(next)) = next else {
            return self.set_by_helper([H::SetField, H::SetFieldF], &[o.r, k], value);
        };
        let extra = self.b.fload(o.r, Field::TableExtra)?;
        let (mask, least) = (self.b.int(0xffff), self.b.int(count as i64));
        let room = self.b.binary(Ins::Band, extra, mask)?;
        self.b.guard(Ins::Gt, room, least)?;
        let slots = self.b.fload(o.r, Field::TableSlots)?;
        self.b.vstore(slots, count as u16, value)?;
        self.take_shape(o.r, next)?;
        Ok(Next::More)
    }

    /// The table has another shape from now on.
    pub(super) fn take_shape(&mut self, r: Ref, shape: Gc<Shape>) -> Rec<()> {
        let shape = self.pin_shape(shape);
        self.b.fstore(r, Field::TableShape, shape)?;
        self.b.op(Ins::Barrier, Type::Void, r, Ref::NONE, Ref::NONE)?;
        Ok(())
    }
}
