//! Objects that random traces make: tables, cells, and functions, in one another. Some take the place of those in the stack's slots.

use super::generate::{Emitted, FIELDS, FUNCTION_SLOT, Generator, INTS, LIST_SLOT, PROTO, TABLE_SLOT};
use super::helpers;
use crate::lua::ir::{Field, Op, Ref, Type};
use perilune_runtime::lua::table::capacity_for;
use perilune_runtime::lua::value::tag;

/// Objects that a trace has made.
#[derive(Default)]
pub(super) struct Objects {
    /// Tables, and how many fields they have.
    tables: Vec<(Ref, usize)>,
    /// Tables with elements, and of what types these are.
    lists: Vec<(Ref, Vec<Type>)>,
    /// Cells, and of what type the value is.
    cells: Vec<(Ref, Type)>,
    /// Functions, and of what types the values of their upvalues are.
    functions: Vec<(Ref, Vec<Type>)>,
}

/// The kind of an array whose elements have these types.
fn kind_of(types: &[Type]) -> u8 {
    if types.iter().all(|ty| *ty == types[0]) { types[0].tag() } else { tag::MIXED }
}

impl Generator<'_> {
    /// A new table, whose fields are added one by one. Those with all fields may take the place of the one in the stack's slot.
    pub(super) fn table(&mut self) -> Emitted {
        self.snapshot_here();
        let count = if self.random.one_in(2) { FIELDS } else { self.random.below(FIELDS + 1) };
        let (named, none, root) = (self.b.int(count as i64), self.b.int(0), self.b.ptr(self.known[0]));
        let table = self.b.call(helpers::TABLE, &[named, none, root])?;
        for n in 0..count {
            let value = self.field_value(n)?;
            self.store_field(table, n, value)?;
            let shape = self.b.ptr(self.known[n + 1]);
            self.b.fstore(table, Field::TableShape, shape)?;
            self.b.op(Op::Barrier, Type::Void, table, Ref::NONE, Ref::NONE)?;
            self.show(table)?;
        }
        self.objects.tables.push((table, count));
        if count == FIELDS && self.random.one_in(2) {
            self.assign(TABLE_SLOT, table);
        }
        Ok(())
    }

    /// What field `n` may hold: an integer, a float, anything.
    fn field_value(&mut self, n: usize) -> Emitted<Ref> {
        match n {
            0 => self.int(),
            1 => self.float(),
            _ => self.value(),
        }
    }

    /// Anything.
    fn value(&mut self) -> Emitted<Ref> {
        match self.made() {
            // A cell is no value of a program's.
            Some(r) if self.random.one_in(2) && self.b.ty(r) != Type::Cell => Ok(r),
            _ if self.random.one_in(4) => Ok(self.random.pick(&[Ref::NIL, Ref::FALSE, Ref::TRUE])),
            _ => self.int(),
        }
    }

    fn store_field(&mut self, table: Ref, n: usize, value: Ref) -> Emitted {
        let slots = self.b.fload(table, Field::TableSlots)?;
        self.b.vstore(slots, n as u16, value)?;
        if self.b.ty(value).is_object() {
            self.b.op(Op::Barrier, Type::Void, table, Ref::NONE, Ref::NONE)?;
        }
        Ok(())
    }

    /// Reads or changes a field of the table in the stack's slot, or of one that was made.
    pub(super) fn fields(&mut self) -> Emitted {
        self.snapshot_here();
        let (table, count) = if self.objects.tables.is_empty() || self.random.one_in(2) {
            (self.slot(TABLE_SLOT)?, FIELDS)
        } else {
            self.random.pick(&self.objects.tables)
        };
        let (shape, expected) = (self.b.fload(table, Field::TableShape)?, self.b.ptr(self.known[count]));
        self.b.guard(Op::Eq, shape, expected)?;
        if count == 0 {
            return Ok(());
        }
        let n = self.random.below(count);
        if self.random.one_in(3) {
            let value = self.field_value(n)?;
            return self.store_field(table, n, value);
        }
        if n < 2 {
            let slots = self.b.fload(table, Field::TableSlots)?;
            let r = self.b.vload(slots, n as u16, if n == 0 { Type::Int } else { Type::Float })?;
            self.keep(r);
        }
        Ok(())
    }

    /// A new table with elements, made as by a constructor. One of two integers may take the place of the one in the stack's slot.
    pub(super) fn list(&mut self) -> Emitted {
        self.snapshot_here();
        let count = 1 + self.random.below(4);
        let uniform = self.random.one_in(2);
        let mut values = Vec::with_capacity(count);
        for n in 0..count {
            let value = match self.random.below(3) {
                _ if uniform => self.int()?,
                0 => self.float()?,
                1 => self.value()?,
                _ => self.int()?,
            };
            // The last one is not nil.
            values.push(if value == Ref::NIL && n + 1 == count { Ref::TRUE } else { value });
        }
        let (none, root) = (self.b.int(0), self.b.ptr(self.known[0]));
        let table = self.b.call(helpers::TABLE, &[none, none, root])?;
        let count = self.b.int(count as i64);
        let array = self.b.call(helpers::ARRAY, &[table, count])?;
        let capacity = self.b.int(capacity_for(values.len()) as i64);
        self.b.fstore(table, Field::TableArray, array)?;
        self.b.fstore(table, Field::TableArrayCap, capacity)?;
        let types: Vec<Type> = values.iter().map(|value| self.b.ty(*value)).collect();
        let kind = kind_of(&types);
        for (n, value) in values.iter().enumerate() {
            let index = self.b.int(n as i64);
            self.store_element(array, (index, capacity), *value, kind)?;
        }
        let kind = self.b.int(kind.into());
        self.b.fstore(table, Field::TableArrayKind, kind)?;
        self.b.fstore(table, Field::TableArrayLen, count)?;
        self.b.op(Op::Barrier, Type::Void, table, Ref::NONE, Ref::NONE)?;
        if types == [Type::Int; 2] && self.random.one_in(2) {
            self.assign(LIST_SLOT, table);
        }
        self.objects.lists.push((table, types));
        self.show(table)
    }

    fn store_element(&mut self, array: Ref, (index, capacity): (Ref, Ref), value: Ref, kind: u8) -> Emitted {
        let ty = self.b.ty(value);
        self.b.astore(array, index, value)?;
        if kind == tag::MIXED {
            self.b.asettag(array, index, capacity, ty)?;
        }
        Ok(())
    }

    /// Reads, changes or appends an element of the table in the stack's slot, or of one that was made.
    pub(super) fn elements(&mut self) -> Emitted {
        self.snapshot_here();
        let at = self.random.below(self.objects.lists.len() + 1);
        let (table, types) = match self.objects.lists.get(at) {
            Some((table, types)) => (*table, types.clone()),
            None => (self.slot(LIST_SLOT)?, vec![Type::Int; 2]),
        };
        let (len, kind) = (self.b.fload(table, Field::TableArrayLen)?, self.b.fload(table, Field::TableArrayKind)?);
        let n = self.random.below(types.len());
        let (index, expected) = (self.b.int(n as i64), self.b.int(kind_of(&types).into()));
        self.b.guard(Op::Ult, index, len)?;
        self.b.guard(Op::Eq, kind, expected)?;
        let capacity = self.b.fload(table, Field::TableArrayCap)?;
        let array = self.b.fload(table, Field::TableArray)?;
        let ty = types[n];
        if !ty.is_number() {
            return Ok(());
        }
        let is_mixed = kind_of(&types) == tag::MIXED;
        match self.random.below(6) {
            0 | 1 => {
                let value = if ty == Type::Int { self.int()? } else { self.float()? };
                self.store_element(array, (index, capacity), value, kind_of(&types))
            }
            2 => {
                self.b.guard(Op::Lt, len, capacity)?;
                let (value, one) = (self.int()?, self.b.int(1));
                let kind = if kind_of(&types) == Type::Int.tag() || is_mixed { kind_of(&types) } else { return Ok(()) };
                self.store_element(array, (len, capacity), value, kind)?;
                let more = self.b.binary(Op::Add, len, one)?;
                self.b.fstore(table, Field::TableArrayLen, more).map(|_| ())
            }
            _ => {
                let r = match is_mixed {
                    true => self.b.aload_mixed(array, index, capacity, ty)?,
                    false => self.b.aload(array, index, ty)?,
                };
                self.keep(r);
                Ok(())
            }
        }
    }

    /// An object that was made, of any kind.
    pub(super) fn made(&mut self) -> Option<Ref> {
        let Objects { tables, lists, cells, functions } = &self.objects;
        let all = tables.iter().map(|t| t.0).chain(lists.iter().map(|l| l.0));
        let all = all.chain(functions.iter().map(|f| f.0)).chain(cells.iter().map(|c| c.0));
        let all: Vec<Ref> = all.collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    /// A new cell.
    pub(super) fn new_cell(&mut self) -> Emitted {
        self.snapshot_here();
        let value = match self.random.below(4) {
            0 => self.float()?,
            1 => self.value()?,
            _ => self.int()?,
        };
        let cell = self.b.call(helpers::CELL, &[])?;
        self.b.cstore(cell, value)?;
        let ty = self.b.ty(value);
        self.objects.cells.push((cell, ty));
        self.show(cell)
    }

    /// A new function with cells that were made. One whose first upvalue is an integer may take the place of the one in the stack's
    /// slot.
    pub(super) fn new_function(&mut self) -> Emitted {
        let count = self.random.below(4).min(self.objects.cells.len());
        let cells: Vec<(Ref, Type)> = (0..count).map(|_| self.random.pick(&self.objects.cells)).collect();
        self.snapshot_here();
        let (proto, upvalues) = (self.b.ptr(self.known[PROTO]), self.b.int(count as i64));
        let function = self.b.call(helpers::FUNCTION, &[proto, upvalues])?;
        for (n, (cell, _)) in cells.iter().enumerate() {
            self.b.ustore(function, n as u16, *cell)?;
        }
        self.objects.functions.push((function, cells.iter().map(|c| c.1).collect()));
        if cells.first().is_some_and(|c| c.1 == Type::Int) && self.random.one_in(2) {
            self.assign(FUNCTION_SLOT, function);
        }
        self.show(function)
    }

    /// Reads or changes a captured variable of the function in the stack's slot, or of one that was made.
    pub(super) fn captured(&mut self) -> Emitted {
        self.snapshot_here();
        let at = self.random.below(self.objects.functions.len() + 1);
        let (function, types) = match self.objects.functions.get(at) {
            Some((function, types)) => (*function, types.clone()),
            None => (self.slot(FUNCTION_SLOT)?, vec![Type::Int]),
        };
        let (proto, expected) = (self.b.fload(function, Field::FunctionProto)?, self.b.ptr(self.known[PROTO]));
        self.b.guard(Op::Eq, proto, expected)?;
        if types.is_empty() {
            return Ok(());
        }
        let n = self.random.below(types.len());
        let (cell, ty) = (self.b.upval(function, n as u16)?, types[n]);
        if !ty.is_number() {
            return Ok(());
        }
        if self.random.one_in(3) {
            let value = if ty == Type::Int { self.int()? } else { self.float()? };
            return self.b.cstore(cell, value).map(|_| ());
        }
        let r = self.b.cload(cell, ty)?;
        self.keep(r);
        Ok(())
    }

    /// Now and then a slot holds a new object at an exit.
    fn show(&mut self, object: Ref) -> Emitted {
        if self.random.one_in(8) {
            let slot = 1 + self.random.below(INTS as usize - 1) as i16;
            self.assign(slot, object);
            self.guard()?;
        }
        Ok(())
    }
}
