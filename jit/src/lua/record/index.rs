//! Tables: reading and writing by key, lengths, and the absence of metamethods.
//!
//! A named field is a slot whose place the shape tells: one guard on the shape, which also tells the metatable, so that a
//! look-up through `__index` is a chain of such guards, and all of them leave a loop. An element is a guard on the
//! array's kind, one on the index, and a load.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number;
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::table::{Table, flag};
use perilune_runtime::lua::value::{Value, tag};

use super::super::helpers::H;
use super::super::ir::{Field, Op as Ins, Ref, Type};
use super::meta::Handler;
use super::{Abort, Next, Rec, Recorder};

/// Most values that a look-up goes through.
const MAX_CHAIN: usize = 64;

/// What fails where there is no table.
const NO_TABLE: &str = "index of something else than a table";

/// A table that the recording looks at: its reference and what it is.
#[derive(Clone, Copy)]
pub(super) struct Object {
    pub(super) r: Ref,
    pub(super) table: Gc<Table>,
}

/// What a look-up leads to.
enum Found {
    /// The value.
    Value(Ref),
    /// A function to be called with this object and the key.
    Call(Handler, Ref),
}

/// What `__index` leads to.
enum Holder {
    Nothing,
    Value(Handler),
    Function(Handler),
}

impl Recorder {
    fn object(&mut self, r: Ref, actual: Value) -> Rec<Object> {
        match actual.as_table() {
            Some(table) => Ok(Object { r, table }),
            None => self.fail(NO_TABLE, &[(r, actual)]),
        }
    }

    pub(super) fn constant_table(&mut self, table: Gc<Table>) -> Rec<Object> {
        let r = self.value_constant(Value::from(table))?;
        Ok(Object { r, table })
    }

    fn type_of(value: Value) -> Rec<Type> {
        Type::from_tag(value.tag()).ok_or(Abort::Reason("internal value in a table"))
    }

    pub(super) fn guard_shape(&mut self, o: Object) -> Rec<()> {
        let shape = self.b.fload(o.r, Field::TableShape)?;
        let expected = self.pin_shape(o.table.shape());
        self.guard_value(shape, expected)
    }

    /// Before a store under a string to a table that nobody looks through: those who do must be told of it. Its shape, which has been
    /// checked, says so, unless it is in dictionary mode.
    pub(super) fn guard_plain(&mut self, o: Object) -> Rec<()> {
        if o.table.shape().is_dictionary() { self.guard_unflagged(o) } else { Ok(()) }
    }

    /// Nobody looks through the table.
    fn guard_unflagged(&mut self, o: Object) -> Rec<()> {
        let (flags, flagged) = (self.b.fload(o.r, Field::TableFlags)?, self.b.int(flag::FLAGGED.into()));
        let (flagged, zero) = (self.b.binary(Ins::Band, flags, flagged)?, self.b.int(0));
        self.guard_value(flagged, zero)
    }

    /// The metatable is what it is now; answers it. A shape guard says so, too.
    pub(super) fn guard_metatable(&mut self, o: Object) -> Rec<Option<Object>> {
        let meta = self.b.fload(o.r, Field::TableMeta)?;
        let expected = self.b.ptr(o.table.metatable().map_or(0, |m| m.address() as u64));
        self.guard_value(meta, expected)?;
        match o.table.metatable() {
            Some(m) => Ok(Some(self.constant_table(m)?)),
            None => Ok(None),
        }
    }

    /// The value of a string in a table itself, guarded to be found, or not found, where it is now.
    pub(super) fn raw_field(&mut self, o: Object, key: Gc<Str>) -> Rec<(Ref, Value)> {
        let actual = o.table.get_str(key);
        let ty = Self::type_of(actual)?;
        self.guard_shape(o)?;
        if !actual.is_nil()
            && let Some(node) = self.node(o, key)?
        {
            return Ok((self.b.vload(node, 1, ty)?, actual));
        }
        if o.table.shape().is_dictionary() || !key.is_short() {
            let value = self.hashed(o, Value::from(key), ty)?;
            return Ok((value, actual));
        }
        let Some(slot) = o.table.shape().find(key) else { return Ok((Ref::NIL, Value::NIL)) };
        let slots = self.b.fload(o.r, Field::TableSlots)?;
        Ok((self.b.vload(slots, slot as u16, ty)?, actual))
    }

    fn hashed(&mut self, o: Object, key: Value, ty: Type) -> Rec<Ref> {
        let constant = self.value_constant(key)?;
        self.hashed_by(o, constant, ty)
    }

    /// The value of a key in the hash part.
    fn hashed_by(&mut self, o: Object, key: Ref, ty: Type) -> Rec<Ref> {
        let place = self.place_in_hash(o, key)?;
        Ok(self.b.vload(place, 0, ty)?)
    }

    /// Where the value of a key lies in the hash part.
    fn place_in_hash(&mut self, o: Object, key: Ref) -> Rec<Ref> {
        match self.ty(key) {
            Type::String => self.call_helper(H::FindHashed, &[o.r, key]),
            Type::Int => self.call_helper(H::FindInteger, &[o.r, key]),
            _ => {
                let [payload, tag] = self.with_tag(key);
                self.call_helper(H::Find, &[o.r, payload, tag])
            }
        }
    }

    /// The table has no metamethod for an event.
    pub(super) fn guard_no_event(&mut self, r: Ref, table: Gc<Table>, event: Event) -> Rec<()> {
        match self.handler(r, Value::from(table), event)? {
            None => Ok(()),
            Some(_) => Err(Abort::Reason("metamethod")),
        }
    }

    /// What `__index` leads to, guarded.
    fn index_holder(&mut self, (r, actual): (Ref, Value)) -> Rec<Holder> {
        let Some((r, found)) = self.handler(r, actual, Event::Index)? else {
            return if actual.is_table() { Ok(Holder::Nothing) } else { self.fail(NO_TABLE, &[(r, actual)]) };
        };
        if found.is_function() {
            return Ok(Holder::Function((r, found)));
        }
        if self.varies() {
            return Ok(Holder::Value((r, found)));
        }
        let expected = self.value_constant(found)?;
        self.guard_value(r, expected)?;
        Ok(Holder::Value((expected, found)))
    }

    /// What a look-up in a value leads to; `raw` looks in a table itself.
    fn look_up(
        &mut self,
        mut at: (Ref, Value),
        mut raw: impl FnMut(&mut Recorder, Object) -> Rec<(Ref, Value)>,
    ) -> Rec<Found> {
        for _ in 0..MAX_CHAIN {
            if let Some(table) = at.1.as_table() {
                let (value, actual) = raw(self, Object { r: at.0, table })?;
                if !actual.is_nil() {
                    return Ok(Found::Value(value));
                }
            }
            match self.index_holder(at)? {
                Holder::Value(holder) => at = holder,
                Holder::Nothing => return Ok(Found::Value(Ref::NIL)),
                Holder::Function(handler) => return Ok(Found::Call(handler, at.0)),
            }
        }
        Err(Abort::Reason("long __index chain"))
    }

    /// `o.key`, through `__index`.
    fn field(&mut self, o: (Ref, Value), key: Gc<Str>) -> Rec<Found> {
        self.look_up(o, |this, o| {
            if !this.varies() {
                return this.raw_field(o, key);
            }
            let (k, actual) = (this.value_constant(Value::from(key))?, o.table.get_str(key));
            Ok((this.varying_field(o, k, Self::type_of(actual)?)?, actual))
        })
    }

    /// Assigns what was found to a register, or calls what is to be called.
    fn assign_found(&mut self, register: usize, found: Found, key: Ref) -> Rec<Next> {
        match found {
            Found::Value(value) => {
                self.set(register, value);
                Ok(Next::More)
            }
            Found::Call(handler, object) => self.call_meta(handler, &[object, key]),
        }
    }

    pub(super) fn op_get_field(&mut self, w: Word) -> Rec<Next> {
        let key = self.string_constant(bc::c(w))?;
        let o = (self.get(bc::b(w))?, self.actual(bc::b(w)));
        let found = self.field(o, key)?;
        let key = self.value_constant(Value::from(key))?;
        self.assign_found(bc::a(w), found, key)
    }

    pub(super) fn op_self(&mut self, w: Word) -> Rec<Next> {
        let key = self.string_constant(bc::c(w))?;
        let o = (self.get(bc::b(w))?, self.actual(bc::b(w)));
        let found = self.field(o, key)?;
        let key = self.value_constant(Value::from(key))?;
        self.set(bc::a(w) + 1, o.0);
        self.assign_found(bc::a(w), found, key)
    }

    fn string_constant(&self, index: usize) -> Rec<Gc<Str>> {
        self.proto.constant(index).as_string().ok_or(Abort::Reason("key is not a string"))
    }

    /// The value of an upvalue of the current function, and what it is now.
    pub(super) fn upvalue(&mut self, index: usize) -> Rec<(Ref, Value)> {
        let cell = self.actual_function()?.cells()[index];
        let function = self.function()?;
        let r = self.b.upval(function, index as u16)?;
        let ty = Self::type_of(cell.get())?;
        Ok((self.b.cload(r, ty)?, cell.get()))
    }

    pub(super) fn op_get_tab_up(&mut self, w: Word) -> Rec<Next> {
        let key = self.string_constant(bc::c(w))?;
        let o = self.upvalue(bc::b(w))?;
        let found = self.field(o, key)?;
        let key = self.value_constant(Value::from(key))?;
        self.assign_found(bc::a(w), found, key)
    }

    /// `o[key]` for a key computed at run time.
    pub(super) fn op_get_table(&mut self, w: Word) -> Rec<Next> {
        let o = (self.get(bc::b(w))?, self.actual(bc::b(w)));
        let (k, key) = match bc::op(w) {
            Op::GetI => {
                let i = bc::c(w) as i64;
                (self.b.int(i), Value::integer(i))
            }
            _ => (self.get(bc::c(w))?, self.actual(bc::c(w))),
        };
        let found = self.index(o, k, key)?;
        self.assign_found(bc::a(w), found, k)
    }

    /// `o[key]`, through `__index`.
    fn index(&mut self, o: (Ref, Value), k: Ref, key: Value) -> Rec<Found> {
        self.look_up(o, |this, o| Ok((this.raw_index(o, k, key)?, o.table.get(key))))
    }

    /// `o[key]`; none if a function is to be called for it.
    pub(super) fn indexed(&mut self, o: (Ref, Value), k: Ref, key: Value) -> Rec<Option<Ref>> {
        Ok(match self.index(o, k, key)? {
            Found::Value(value) => Some(value),
            Found::Call(..) => None,
        })
    }

    /// The value of a key in a table itself, guarded to be nil if it is so now.
    pub(super) fn raw_index(&mut self, o: Object, k: Ref, key: Value) -> Rec<Ref> {
        match key.tag() {
            tag::INTEGER => self.index_integer(o, k, key.raw_integer()),
            tag::STRING => self.index_string(o, k, key),
            tag::FLOAT => {
                let Some(actual) = number::float_to_int(key.raw_float()) else {
                    let found = self.call_helper(H::FindFloat, &[o.r, k])?;
                    return Ok(self.b.vload(found, 0, Self::type_of(o.table.get(key))?)?);
                };
                let i = self.b.f2i(k)?;
                self.index_integer(o, i, actual)
            }
            tag::NIL => Ok(Ref::NIL),
            _ => self.hashed_by(o, k, Self::type_of(o.table.get(key))?),
        }
    }

    /// A computed string: the same one each time stays a constant's business, others are looked up.
    fn index_string(&mut self, o: Object, k: Ref, key: Value) -> Rec<Ref> {
        if !o.table.shape().is_dictionary() {
            let Some(s) = key.as_string() else { return Err(Abort::Reason("key is not a string")) };
            if self.varies() || self.is_computed(k) {
                return self.varying_field(o, k, Self::type_of(o.table.get(key))?);
            }
            self.guard_value_is(k, key)?;
            return Ok(self.raw_field(o, s)?.0);
        }
        self.guard_shape(o)?;
        self.hashed_by(o, k, Self::type_of(o.table.get(key))?)
    }

    /// Whether a string was made on the trace: it will be another one next time.
    fn is_computed(&self, k: Ref) -> bool {
        k.is_inst() && self.b.ir().inst(k).op == Ins::Call
    }

    /// `o[k] = value` for a string that is another one each time.
    fn set_computed(&mut self, o: Object, k: Ref, key: Value, value: Ref) -> Rec<Next> {
        if o.table.get(key).is_nil() || o.table.is_flagged() {
            self.guard_absent_or_unasked(o, k, key)?;
            let [k, key_tag] = self.with_tag(k);
            return self.set_by_helper([H::SetAny, H::SetAnyF], &[o.r, k, key_tag], value);
        }
        // Of a table that others look through they must be told.
        self.guard_unflagged(o)?;
        let place = self.find_string(o, k)?;
        self.set_present(o, place, 0, value)
    }

    /// No metamethod is asked for a store under a string that is another one each time.
    fn guard_absent_or_unasked(&mut self, o: Object, k: Ref, key: Value) -> Rec<()> {
        if o.table.get(key).is_nil() {
            return self.guard_no_event(o.r, o.table, Event::NewIndex);
        }
        let place = self.find_string(o, k)?;
        self.guard_not_nil(place, 0)
    }

    fn guard_value_is(&mut self, r: Ref, actual: Value) -> Rec<()> {
        let expected = self.value_constant(actual)?;
        self.guard_value(r, expected)
    }

    /// The index from 0 for a key from 1.
    fn zero_based(&mut self, k: Ref) -> Rec<Ref> {
        let minus = self.b.int(-1);
        Ok(self.b.binary(Ins::Add, k, minus)?)
    }

    fn guard_kind(&mut self, o: Object) -> Rec<u8> {
        let kind = o.table.array_kind();
        let r = self.b.fload(o.r, Field::TableArrayKind)?;
        let expected = self.b.int(kind.into());
        self.guard_value(r, expected)?;
        Ok(kind)
    }

    fn index_integer(&mut self, o: Object, k: Ref, key: i64) -> Rec<Ref> {
        let index = self.zero_based(k)?;
        let len = self.b.fload(o.r, Field::TableArrayLen)?;
        let actual = o.table.get_int(key);
        let ty = Self::type_of(actual)?;
        if (key as u64).wrapping_sub(1) < o.table.length() as u64 {
            self.b.guard(Ins::Ult, index, len)?;
            let kind = self.guard_kind(o)?;
            let array = self.b.fload(o.r, Field::TableArray)?;
            let value = if kind == tag::MIXED {
                let cap = self.b.fload(o.r, Field::TableArrayCap)?;
                self.b.aload_mixed(array, index, cap, ty)?
            } else {
                self.b.aload(array, index, ty)?
            };
            return Ok(value);
        }
        self.b.guard(Ins::Uge, index, len)?;
        let hash = self.b.fload(o.r, Field::TableHash)?;
        if o.table.has_hash() {
            return self.hashed_by(o, k, ty);
        }
        let null = self.b.ptr(0);
        self.guard_value(hash, null)?;
        Ok(Ref::NIL)
    }

    // ---- stores

    /// The value of `RK(C)`.
    fn stored(&mut self, w: Word) -> Rec<Ref> {
        if bc::k(w) {
            let value = self.proto.constant(bc::c(w));
            return self.value_constant(value);
        }
        self.get(bc::c(w))
    }

    pub(super) fn barrier(&mut self, object: Ref, value: Ref) -> Rec<()> {
        if self.ty(value).is_object() {
            self.b.op(Ins::Barrier, Type::Void, object, Ref::NONE, Ref::NONE)?;
        }
        Ok(())
    }

    pub(super) fn op_set_upvalue(&mut self, w: Word) -> Rec<Next> {
        let value = self.get(bc::a(w))?;
        let function = self.function()?;
        let cell = self.b.upval(function, bc::b(w) as u16)?;
        self.set_cell(cell, value)
    }

    pub(super) fn set_cell(&mut self, cell: Ref, value: Ref) -> Rec<Next> {
        self.b.cstore(cell, value)?;
        self.barrier(cell, value)?;
        Ok(Next::More)
    }

    pub(super) fn op_set_field(&mut self, w: Word) -> Rec<Next> {
        let key = self.string_constant(bc::b(w))?;
        let o = (self.get(bc::a(w))?, self.actual(bc::a(w)));
        let value = self.stored(w)?;
        self.set_string(o, key, value)
    }

    pub(super) fn op_set_tab_up(&mut self, w: Word) -> Rec<Next> {
        let key = self.string_constant(bc::b(w))?;
        let o = self.upvalue(bc::a(w))?;
        let value = self.stored(w)?;
        self.set_string(o, key, value)
    }

    /// A store to a value, through `__newindex`: `set` executes it on a table itself, where `look` is to find nothing if a metamethod
    /// would be asked.
    fn store(
        &mut self,
        mut at: (Ref, Value),
        (k, key): (Ref, Value),
        value: Ref,
        mut look: impl FnMut(&mut Recorder, Object) -> Rec<()>,
        mut set: impl FnMut(&mut Recorder, Object) -> Rec<Next>,
    ) -> Rec<Next> {
        for _ in 0..MAX_CHAIN {
            if let Some(table) = at.1.as_table() {
                let o = Object { r: at.0, table };
                let meta = table.metatable().map(|m| m.event(&self.state().heap, Event::NewIndex));
                if meta.is_none_or(|m| m.is_nil()) || !table.get(key).is_nil() {
                    return set(self, o);
                }
                look(self, o)?;
            }
            let Some((r, found)) = self.handler(at.0, at.1, Event::NewIndex)? else {
                return self.fail(NO_TABLE, &[at]);
            };
            if found.is_function() {
                return self.call_meta((r, found), &[at.0, k, value]);
            }
            let expected = self.value_constant(found)?;
            self.guard_value(r, expected)?;
            at = (expected, found);
        }
        Err(Abort::Reason("long __newindex chain"))
    }

    fn set_string(&mut self, o: (Ref, Value), key: Gc<Str>, value: Ref) -> Rec<Next> {
        let k = self.value_constant(Value::from(key))?;
        let look = |this: &mut Recorder, o| this.raw_field(o, key).map(|_| ());
        self.store(o, (k, Value::from(key)), value, look, |this, o| this.set_field(o, key, value))
    }

    /// Assigns to a key that the hash part has.
    pub(super) fn set_hashed(&mut self, o: Object, k: Ref, value: Ref) -> Rec<Next> {
        let place = self.place_in_hash(o, k)?;
        self.set_present(o, place, 0, value)
    }

    /// There is something at a place.
    pub(super) fn guard_not_nil(&mut self, place: Ref, n: u16) -> Rec<()> {
        let tag = self.b.op(Ins::Vtag, Type::Int, place, Ref(n), Ref::NONE)?;
        let nil = self.b.int(tag::NIL.into());
        self.b.guard(Ins::Ne, tag, nil)?;
        Ok(())
    }

    /// A store to a value that is not nil.
    pub(super) fn set_present(&mut self, o: Object, place: Ref, n: u16, value: Ref) -> Rec<Next> {
        self.guard_not_nil(place, n)?;
        self.b.vstore(place, n, value)?;
        self.barrier(o.r, value)?;
        Ok(Next::More)
    }

    /// A store that may add a key or change the array's kind.
    pub(super) fn set_by_helper(&mut self, helpers: [H; 2], args: &[Ref], value: Ref) -> Rec<Next> {
        let mut all = args.to_vec();
        if self.ty(value) == Type::Float {
            all.push(value);
            self.call_helper(helpers[1], &all)?;
        } else {
            all.extend(self.with_tag(value));
            self.call_helper(helpers[0], &all)?;
        }
        Ok(Next::More)
    }

    pub(super) fn op_set_table(&mut self, w: Word) -> Rec<Next> {
        let o = (self.get(bc::a(w))?, self.actual(bc::a(w)));
        let (k, key) = match bc::op(w) {
            Op::SetI => {
                let i = bc::b(w) as i64;
                (self.b.int(i), Value::integer(i))
            }
            _ => (self.get(bc::b(w))?, self.actual(bc::b(w))),
        };
        let value = self.stored(w)?;
        let look = |this: &mut Recorder, o| this.raw_index(o, k, key).map(|_| ());
        self.store(o, (k, key), value, look, |this, o| this.set_raw(o, k, key, value))
    }

    /// `o[key] = value` for a table itself; no metamethod is asked.
    fn set_raw(&mut self, o: Object, k: Ref, key: Value, value: Ref) -> Rec<Next> {
        match key.tag() {
            tag::INTEGER => self.set_integer(o, k, key.raw_integer(), value),
            tag::STRING if !o.table.shape().is_dictionary() => {
                let Some(s) = key.as_string() else { return Err(Abort::Reason("key is not a string")) };
                if self.varies() || self.is_computed(k) {
                    return self.set_computed(o, k, key, value);
                }
                self.guard_value_is(k, key)?;
                self.set_field(o, s, value)
            }
            tag::NIL => {
                self.guard_no_event(o.r, o.table, Event::NewIndex)?;
                Err(Abort::Fails("index is nil"))
            }
            tag::FLOAT => match number::float_to_int(key.raw_float()) {
                Some(i) => {
                    let k = self.b.f2i(k)?;
                    self.set_integer(o, k, i, value)
                }
                None => self.set_by_float(o, k, key, value),
            },
            tag::STRING if o.table.is_flagged() => self.set_computed(o, k, key, value),
            _ => {
                if key.is_string() {
                    self.guard_shape(o)?;
                    self.guard_plain(o)?;
                }
                if !o.table.get(key).is_nil() {
                    return self.set_hashed(o, k, value);
                }
                self.guard_no_event(o.r, o.table, Event::NewIndex)?;
                let [payload, tag] = self.with_tag(k);
                self.set_by_helper([H::SetAny, H::SetAnyF], &[o.r, payload, tag], value)
            }
        }
    }

    /// `o[key] = value` for a float without an integer's value.
    fn set_by_float(&mut self, o: Object, k: Ref, key: Value, value: Ref) -> Rec<Next> {
        if key.raw_float().is_nan() {
            return Err(Abort::Reason("key is NaN"));
        }
        if o.table.get(key).is_nil() {
            self.guard_no_event(o.r, o.table, Event::NewIndex)?;
        } else {
            let found = self.call_helper(H::FindFloat, &[o.r, k])?;
            self.guard_not_nil(found, 0)?;
        }
        self.set_by_helper([H::SetFloat, H::SetFloatF], &[o.r, k], value)
    }

    /// `o[key] = value` for an integer key.
    pub(super) fn set_integer_at(&mut self, r: Ref, table: Gc<Table>, k: Ref, key: i64, value: Ref) -> Rec<Next> {
        self.set_integer(Object { r, table }, k, key, value)
    }

    fn set_integer(&mut self, o: Object, k: Ref, key: i64, value: Ref) -> Rec<Next> {
        let index = self.zero_based(k)?;
        let len = self.b.fload(o.r, Field::TableArrayLen)?;
        let ty = self.ty(value);
        if (key as u64).wrapping_sub(1) < o.table.length() as u64 && ty != Type::Nil {
            let kind = o.table.array_kind();
            if kind == ty.tag() {
                self.b.guard(Ins::Ult, index, len)?;
                self.guard_kind(o)?;
                let array = self.b.fload(o.r, Field::TableArray)?;
                self.b.astore(array, index, value)?;
                self.barrier(o.r, value)?;
                return Ok(Next::More);
            }
            if kind == tag::MIXED {
                return self.set_mixed(o, index, len, key, value);
            }
        }
        let fits = key.wrapping_sub(1) == o.table.length() && o.table.length() > 0 && o.table.array_kind() == ty.tag();
        if fits && !o.table.has_hash() && (o.table.length() as usize) < o.table.array_capacity() {
            return self.append(o, index, len, value);
        }
        if self.first_element(o, k, value)? {
            return Ok(Next::More);
        }
        // A new element, a removed one, or one of another kind.
        if o.table.get_int(key).is_nil() {
            self.guard_no_event(o.r, o.table, Event::NewIndex)?;
        } else if o.table.metatable().is_some() {
            self.guard_present(o, index, len, key)?;
        } else {
            self.guard_metatable(o)?;
        }
        self.set_by_helper([H::SetInt, H::SetIntF], &[o.r, k], value)
    }

    /// Adds an element of the array's kind behind its last one, where there is room for it.
    fn append(&mut self, o: Object, index: Ref, len: Ref, value: Ref) -> Rec<Next> {
        self.b.guard(Ins::Eq, index, len)?;
        self.guard_kind(o)?;
        let cap = self.b.fload(o.r, Field::TableArrayCap)?;
        self.b.guard(Ins::Lt, len, cap)?;
        let zero = self.b.int(0);
        self.b.guard(Ins::Ne, len, zero)?;
        let (hash, null) = (self.b.fload(o.r, Field::TableHash)?, self.b.ptr(0));
        self.guard_value(hash, null)?;
        self.guard_no_event(o.r, o.table, Event::NewIndex)?;
        let array = self.b.fload(o.r, Field::TableArray)?;
        let one = self.b.int(1);
        let more = self.b.binary(Ins::Add, len, one)?;
        self.b.astore(array, index, value)?;
        self.b.fstore(o.r, Field::TableArrayLen, more)?;
        self.barrier(o.r, value)?;
        Ok(Next::More)
    }

    /// The element is there, so that no metamethod is asked.
    fn guard_present(&mut self, o: Object, index: Ref, len: Ref, key: i64) -> Rec<()> {
        if (key as u64).wrapping_sub(1) >= o.table.length() as u64 {
            return self.guard_no_event(o.r, o.table, Event::NewIndex);
        }
        self.b.guard(Ins::Ult, index, len)?;
        if self.guard_kind(o)? == tag::MIXED {
            self.element_tag(o, index)?;
        }
        Ok(())
    }

    /// Guards that an element of a mixed array is not nil.
    fn element_tag(&mut self, o: Object, index: Ref) -> Rec<(Ref, Ref)> {
        let array = self.b.fload(o.r, Field::TableArray)?;
        let cap = self.b.fload(o.r, Field::TableArrayCap)?;
        let tag = self.b.op(Ins::Atag, Type::Int, array, index, cap)?;
        let nil = self.b.int(tag::NIL.into());
        self.b.guard(Ins::Ne, tag, nil)?;
        Ok((array, cap))
    }

    fn set_mixed(&mut self, o: Object, index: Ref, len: Ref, key: i64, value: Ref) -> Rec<Next> {
        self.b.guard(Ins::Ult, index, len)?;
        self.guard_kind(o)?;
        let (array, cap) = if o.table.get_int(key).is_nil() {
            self.guard_no_event(o.r, o.table, Event::NewIndex)?;
            (self.b.fload(o.r, Field::TableArray)?, self.b.fload(o.r, Field::TableArrayCap)?)
        } else if o.table.metatable().is_some() {
            self.element_tag(o, index)?
        } else {
            self.guard_metatable(o)?;
            (self.b.fload(o.r, Field::TableArray)?, self.b.fload(o.r, Field::TableArrayCap)?)
        };
        self.b.astore(array, index, value)?;
        let ty = self.ty(value);
        self.b.asettag(array, index, cap, ty)?;
        self.barrier(o.r, value)?;
        Ok(Next::More)
    }

    // ---- the rest

    pub(super) fn op_length(&mut self, w: Word) -> Rec<Next> {
        let (r, actual) = (self.get(bc::b(w))?, self.actual(bc::b(w)));
        if !actual.is_string()
            && let Some(handler) = self.handler(r, actual, Event::Len)?
        {
            return self.call_meta(handler, &[r, r]);
        }
        let length = self.length_of(r, actual)?;
        self.set(bc::a(w), length);
        Ok(Next::More)
    }

    pub(super) fn length_of(&mut self, r: Ref, actual: Value) -> Rec<Ref> {
        if actual.is_string() {
            return Ok(self.b.fload(r, Field::StringLen)?);
        }
        let o = self.object(r, actual)?;
        self.guard_no_event(o.r, o.table, Event::Len)?;
        Ok(self.b.fload(o.r, Field::TableArrayLen)?)
    }
}
