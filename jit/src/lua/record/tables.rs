//! Tables' constructors, and native functions about tables that become instructions of the trace.

use perilune_runtime::lua::bytecode::{self as bc, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::NativeFunction;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::table::{FIRST, Table, capacity_for};
use perilune_runtime::lua::value::{Value, tag};

use super::super::helpers::H;
use super::super::ir::{Field, Op as Ins, Ref, Type};
use super::index::Object;
use super::inherit::give_array;
use super::native::Intrinsic;
use super::{Abort, Next, Rec, Recorder, truth};

/// Most elements that `table.unpack` loads one by one.
const MAX_UNPACKED: i64 = 8;

/// Most elements that a constructor stores one by one.
const MAX_AT_ONCE: usize = 50;

/// What a native function's call becomes: its results, or none if it is to be called.
type Results = Rec<Option<Vec<Ref>>>;

impl Recorder {
    pub(super) fn op_new_table(&mut self, w: Word) -> Rec<Next> {
        let table = self.new_table(bc::b(w))?;
        self.set(bc::a(w), table);
        Ok(Next::More)
    }

    /// A new table with room for so many fields. It gets its array, if any, with the elements.
    fn new_table(&mut self, named: usize) -> Rec<Ref> {
        let (named, elements) = (self.b.int(named as i64), self.b.int(0));
        let shape = self.state().heap.root_shape().address() as u64;
        let shape = self.b.ptr(shape);
        self.call_helper(H::TableNew, &[named, elements, shape])
    }

    pub(super) fn op_set_list(&mut self, w: Word) -> Rec<Next> {
        let (a, mut count) = (bc::a(w), bc::b(w));
        if count == 0 {
            let top = self.open_top.take().ok_or(Abort::Reason("open list"))?;
            count = (top - self.at(a) - 1) as usize;
        }
        let table = self.get(a)?;
        let first = i64::from(self.proto.word(self.pc as usize + 1));
        let values = (1..=count).map(|i| self.get(a + i)).collect::<Rec<Vec<_>>>()?;
        // The interpreter stretches the array over nils between values; stored one by one they would end it.
        let some = self.without_last_nils(&values);
        let (last, has_holes) = (some.len().saturating_sub(1), self.has_nils(some));
        let is_empty = self.actual(a).as_table().is_some_and(|t| t.length() == 0 && !t.has_hash());
        if !has_holes && first == 0 && is_empty && count <= MAX_AT_ONCE && self.is_made(table) {
            self.first_elements(table, some, 0)?;
            return Ok(Next::More);
        }
        if has_holes {
            let (stored, count) = (self.b.int(first), self.b.int(last as i64 + 1));
            self.set_by_helper([H::SetHoles, H::SetHolesF], &[table, stored, count], values[last])?;
        }
        for (i, value) in values.into_iter().enumerate() {
            if has_holes && (i == last || i < last && self.ty(value) == Type::Nil) {
                continue;
            }
            let key = self.b.int(first + 1 + i as i64);
            self.set_by_helper([H::SetInt, H::SetIntF], &[table, key], value)?;
        }
        Ok(Next::More)
    }

    /// The values up to the last one that is not nil.
    fn without_last_nils<'a>(&self, values: &'a [Ref]) -> &'a [Ref] {
        &values[..values.iter().rposition(|v| self.ty(*v) != Type::Nil).map_or(0, |last| last + 1)]
    }

    fn has_nils(&self, values: &[Ref]) -> bool {
        values.iter().any(|v| self.ty(*v) == Type::Nil)
    }

    /// Whether the trace has made a table.
    fn is_made(&self, r: Ref) -> bool {
        let ir = self.b.ir();
        r.is_inst() && ir.inst(r).op == Ins::Call && ir.helper(ir.inst(r)).makes_table()
    }

    /// The first element of a table that has just been made without any, as in `t[1] = v` behind `t = {}`. False: it is not that.
    pub(super) fn first_element(&mut self, o: Object, k: Ref, value: Ref) -> Rec<bool> {
        let is_new = self.is_made(o.r) && o.table.array_capacity() == 0 && !o.table.has_hash();
        let is_first = self.b.ir().int(k) == Some(1) && self.ty(value) != Type::Nil;
        if !is_new || !is_first || o.table.metatable().is_some() {
            return Ok(false);
        }
        self.guard_metatable(o)?;
        self.first_elements(o.r, &[value], FIRST)?;
        Ok(true)
    }

    /// The first elements of a table that the trace has made, none of which is nil. There is to be room for so many at least.
    fn first_elements(&mut self, table: Ref, values: &[Ref], room: usize) -> Rec<()> {
        // Nobody has stored anything in it.
        let (array, none) = (self.b.fload(table, Field::TableArray)?, self.b.ptr(0));
        self.guard_value(array, none)?;
        let hash = self.b.fload(table, Field::TableHash)?;
        self.guard_value(hash, none)?;
        let Some(first) = values.first() else { return Ok(()) };
        let is_uniform = values.iter().all(|v| self.ty(*v) == self.ty(*first));
        let kind = if is_uniform { self.ty(*first).tag() } else { tag::MIXED };
        let room = room.max(values.len());
        let (kind, capacity) = (self.b.int(kind.into()), self.b.int(capacity_for(room) as i64));
        let room = self.b.int(room as i64);
        let array = self.call_helper(H::ArrayNew, &[table, room])?;
        give_array(&mut self.b, (table, array), [kind, capacity], values)?;
        values.iter().try_for_each(|value| self.barrier(table, *value))
    }

    /// `table.pack(...)` of values of which none is nil, except for those at the end.
    pub(super) fn pack(&mut self, args: &[(Ref, Value)]) -> Results {
        let values: Vec<Ref> = args.iter().map(|(r, _)| *r).collect();
        let some = self.without_last_nils(&values);
        if self.has_nils(some) || some.len() > MAX_AT_ONCE {
            return Ok(None);
        }
        let heap = &mut self.state().heap;
        let root = heap.root_shape();
        let Ok(name) = heap.string(b"n") else { return Ok(None) };
        let Ok(Some(shape)) = heap.shape_with_key(root, name, false) else { return Ok(None) };
        let table = self.new_table(1)?;
        self.first_elements(table, some, 0)?;
        let (slots, n) = (self.b.fload(table, Field::TableSlots)?, self.b.int(args.len() as i64));
        self.b.vstore(slots, 0, n)?;
        self.take_shape(table, shape)?;
        Ok(Some(vec![table]))
    }

    /// `table.insert(t, v)` at the end of a table without metamethods.
    pub(super) fn insert(&mut self, args: &[(Ref, Value)]) -> Results {
        let Some(table) = args[0].1.as_table() else { return Ok(None) };
        if args.len() != 2 || table.metatable().is_some() {
            return Ok(None);
        }
        let len = self.length_of(args[0].0, args[0].1)?;
        let one = self.b.int(1);
        let key = self.b.binary(Ins::Add, len, one)?;
        self.set_integer_at(args[0].0, table, key, table.length() + 1, args[1].0)?;
        Ok(Some(Vec::new()))
    }

    /// `table.unpack(t)` of a short list without metamethods, and `table.unpack(t, i, j)` of few elements.
    pub(super) fn unpack(&mut self, args: &[(Ref, Value)]) -> Results {
        let (r, actual) = args[0];
        let Some(table) = actual.as_table().filter(|t| t.metatable().is_none()) else { return Ok(None) };
        let range = match args[1..] {
            [] => 1..=table.length(),
            [first, last] if first.1.is_integer() && last.1.is_integer() => {
                first.1.raw_integer()..=last.1.raw_integer()
            }
            _ => return Ok(None),
        };
        if range.end().saturating_sub(*range.start()) >= MAX_UNPACKED {
            return Ok(None);
        }
        if args.len() == 1 {
            let (len, expected) = (self.length_of(r, actual)?, self.b.int(*range.end()));
            self.guard_value(len, expected)?;
        } else {
            self.guard_metatable(Object { r, table })?;
            for (k, actual) in &args[1..] {
                let expected = self.value_constant(*actual)?;
                self.guard_value(*k, expected)?;
            }
        }
        let mut values = Vec::new();
        for i in range {
            let k = self.b.int(i);
            values.push(self.raw_index(Object { r, table }, k, Value::integer(i))?);
        }
        Ok(Some(values))
    }

    /// `setmetatable(t, meta)` of a table that has none yet; `meta` has no finalizer, and is the same each time unless it is new.
    pub(super) fn set_metatable(&mut self, args: &[(Ref, Value)]) -> Results {
        let [(r, actual), (m, meta)] = args else { return Ok(None) };
        let (Some(table), Some(meta_table)) = (actual.as_table(), meta.as_table()) else { return Ok(None) };
        let gc = self.state().heap.names.event(Event::Gc);
        if table.metatable().is_some() || !meta_table.get_str(gc).is_nil() {
            return Ok(None);
        }
        self.guard_metatable(Object { r: *r, table })?;
        // One that is no metatable yet was made for this table, as another one will be next time.
        let is_new = !meta_table.is_flagged();
        let m = if is_new { *m } else { self.value_constant(*meta)? };
        if !is_new {
            self.guard_value(args[1].0, m)?;
        }
        self.raw_field(Object { r: m, table: meta_table }, gc)?;
        if is_new || !self.take_metatable(*r, table, meta_table)? {
            self.call_helper(H::SetMetatable, &[*r, m])?;
        }
        Ok(Some(vec![*r]))
    }

    /// Sets the metatable of a table that the trace has made, so that its shape is known. False: it is not that simple.
    fn take_metatable(&mut self, r: Ref, table: Gc<Table>, meta: Gc<Table>) -> Rec<bool> {
        let made = self.is_made(r);
        let (shape, mode) = (table.shape(), self.state().heap.names.event(Event::Mode));
        // The shape of the metatable is checked, but not its values.
        let is_weak = meta.shape().is_dictionary() || meta.shape().find(mode).is_some();
        if !made || shape.is_dictionary() || table.is_flagged() || !meta.is_flagged() || is_weak {
            return Ok(false);
        }
        let Ok(Some(next)) = self.state().heap.shape_with_meta(shape, Some(meta)) else { return Ok(false) };
        self.guard_shape(Object { r, table })?;
        let address = self.b.ptr(meta.address() as u64);
        self.b.fstore(r, Field::TableMeta, address)?;
        self.take_shape(r, next)?;
        Ok(true)
    }

    /// `getmetatable(v)`: the metatable, or what it says in its place.
    pub(super) fn get_metatable(&mut self, r: Ref, actual: Value) -> Results {
        let Some(meta) = self.metatable(r, actual)? else { return Ok(Some(vec![Ref::NIL])) };
        let name = self.state().heap.names.event(Event::Metatable);
        let (protected, actual) = self.raw_field(meta, name)?;
        Ok(Some(vec![if actual.is_nil() { meta.r } else { protected }]))
    }

    pub(super) fn raw_get(&mut self, r: Ref, actual: Value, (k, key): (Ref, Value)) -> Results {
        match actual.as_table() {
            Some(table) if !key.is_nil() && !key.is_float() => {
                Ok(Some(vec![self.raw_index(Object { r, table }, k, key)?]))
            }
            _ => Ok(None),
        }
    }

    /// `rawequal` of values of different types, of which not both are numbers.
    pub(super) fn unequal_types(&mut self, x: Ref, y: Ref) -> Results {
        let numbers = self.ty(x).is_number() && self.ty(y).is_number();
        Ok(if numbers { None } else { Some(vec![Ref::FALSE]) })
    }

    /// `ipairs(t)` and `pairs(t)`: the iterator, the table, the start.
    pub(super) fn iteration(&mut self, which: Intrinsic, r: Ref, actual: Value, f: Gc<NativeFunction>) -> Results {
        if !actual.is_table() {
            return Ok(None);
        }
        // That pairs has no metamethod has been checked.
        if f.count() == 0 {
            return Ok(None);
        }
        let step = self.value_constant(f.value(0))?;
        let start = if which == Intrinsic::Ipairs { self.b.int(0) } else { Ref::NIL };
        Ok(Some(vec![step, r, start]))
    }

    /// `assert` of something true answers its arguments.
    pub(super) fn assert(&mut self, args: &[(Ref, Value)]) -> Results {
        let (r, actual) = args[0];
        if actual.is_falsy() {
            return Ok(None);
        }
        if truth(self.ty(r)).is_none() {
            self.guard_value(r, Ref::TRUE)?;
        }
        Ok(Some(args.iter().map(|(r, _)| *r).collect()))
    }

    /// The next element of an `ipairs` loop: the index and the value, or nil.
    pub(super) fn next_element(&mut self, a: usize, wanted: usize) -> Rec<Next> {
        let (r, actual) = (self.get(a + 1)?, self.actual(a + 1));
        let (control, i) = (self.get(a + 2)?, self.actual(a + 2));
        if self.ty(control) != Type::Int {
            return Err(Abort::Reason("index of ipairs is no integer"));
        }
        let one = self.b.int(1);
        let k = self.b.binary(Ins::Add, control, one)?;
        let key = Value::integer(i.raw_integer().wrapping_add(1));
        let Some(value) = self.indexed((r, actual), k, key)? else {
            // The iterator calls a function for it.
            return self.call_iterator(a, wanted as i16);
        };
        self.set(a + 4, if value == Ref::NIL { Ref::NIL } else { k });
        if wanted > 1 {
            self.set(a + 5, value);
        }
        for i in 2..wanted {
            self.set(a + 4 + i, Ref::NIL);
        }
        Ok(Next::More)
    }
}
