//! What a side trace begins with: the values of its parent at the exit. What the parent has not built is made here, and perhaps
//! sunk again.
#![forbid(unsafe_code)]

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::{Const, Field, Ir, Ref, Type};
use crate::lua::snapshot::{Parts, Snapshot, TableParts};
use perilune_runtime::lua::value::tag;

/// A value that a side trace finds where it starts.
#[derive(Clone, Copy)]
pub struct Inherited {
    /// The parent's reference.
    pub parent: Ref,
    /// Its type.
    pub ty: Type,
    /// Its payload, for constants.
    pub constant: Option<u64>,
    /// The parent has not built it.
    pub unbuilt: bool,
}

impl Inherited {
    /// What the parent's reference stands for.
    pub fn of(ir: &Ir, r: Ref) -> Inherited {
        let constant = ir.constant(r).map(|c| c.payload());
        Inherited { parent: r, ty: ir.ty(r), constant, unbuilt: ir.is_unbuilt(r) }
    }
}

/// The stack where a side trace starts.
pub struct Inheritance {
    /// The slots that are not right in memory.
    pub slots: Vec<(i16, Inherited)>,
    /// The objects that the parent has not built, with their parts.
    pub objects: Vec<(Inherited, Vec<Inherited>)>,
}

/// The helpers that make what the parent has not built, none of which may fail, and the shape of tables at first.
#[derive(Clone, Copy)]
pub struct Makers {
    /// Makes a table.
    pub table: u16,
    /// Makes a cell.
    pub cell: u16,
    /// Makes a Lua function.
    pub function: u16,
    /// Makes the memory of a table's array.
    pub array: u16,
    /// The root shape.
    pub root: u64,
}

impl Inheritance {
    /// What a snapshot of the parent says.
    pub fn new(ir: &Ir, snapshot: &Snapshot) -> Inheritance {
        let objects = ir.snapshots.objects(snapshot).iter();
        let parts = |o| ir.snapshots.parts(o).iter().map(|r| Inherited::of(ir, *r)).collect();
        Inheritance {
            slots: ir.snapshots.slots(snapshot).iter().map(|s| (s.slot, Inherited::of(ir, s.value))).collect(),
            objects: objects.map(|o| (Inherited::of(ir, o.object), parts(o))).collect(),
        }
    }

    /// The addresses of what the first parts of objects of a type are: the shapes of tables, the prototypes of functions.
    pub fn kinds(&self, ty: Type) -> impl Iterator<Item = u64> {
        self.objects.iter().filter(move |(object, _)| object.ty == ty).filter_map(|(_, parts)| parts.first()?.constant)
    }
}

/// Emits what stands for each of the parent's values.
pub fn values(b: &mut Builder, from: &Inheritance, makers: Makers) -> Result<FxHashMap<Ref, Ref>, BuildError> {
    let mut known: FxHashMap<Ref, Ref> = FxHashMap::default();
    // What is in registers comes first: a helper's call changes them.
    let values = from.slots.iter().map(|(_, i)| i).chain(from.objects.iter().flat_map(|(_, parts)| parts));
    for i in values.filter(|i| !i.unbuilt) {
        if let Entry::Vacant(place) = known.entry(i.parent) {
            place.insert(match i.constant {
                Some(payload) => constant(b, i.ty, payload),
                None => b.pval(i.parent, i.ty)?,
            });
        }
    }
    let parts_of = |known: &FxHashMap<Ref, Ref>, parts: &[Inherited]| -> Vec<Ref> {
        parts.iter().map(|i| known.get(&i.parent).copied().unwrap_or(Ref::NONE)).collect()
    };
    for (object, parts) in &from.objects {
        // Those that are not there yet may be parts, but say nothing of how it is made.
        let parts = parts_of(&known, parts);
        let made = match Parts::new(b.ir(), object.ty, &parts) {
            Some(Parts::Table(table)) => {
                let (slots, none, root) = (b.int(table.slots.len() as i64), b.int(0), b.ptr(makers.root));
                b.call(makers.table, &[slots, none, root])?
            }
            Some(Parts::Function(function)) => {
                let upvalues = b.int(function.cells.len() as i64);
                b.call(makers.function, &[function.proto, upvalues])?
            }
            _ => b.call(makers.cell, &[])?,
        };
        known.insert(object.parent, made);
    }
    for (object, parts) in &from.objects {
        let (made, parts) = (known[&object.parent], parts_of(&known, parts));
        match Parts::new(b.ir(), object.ty, &parts) {
            Some(Parts::Table(table)) => fill(b, made, table, makers.array)?,
            Some(Parts::Cell(value)) => {
                b.cstore(made, value)?;
            }
            Some(Parts::Function(function)) => {
                for (n, cell) in function.cells.iter().enumerate() {
                    b.ustore(made, n as u16, *cell)?;
                }
            }
            None => {}
        }
    }
    Ok(known)
}

/// Gives a table that has none an array, whose memory was just made for that: its kind and its capacity, constants, and its elements. What
/// the collector would see of the table is whole behind all of this.
pub(super) fn give_array(
    b: &mut Builder,
    (table, array): (Ref, Ref),
    [kind, capacity]: [Ref; 2],
    elements: &[Ref],
) -> Result<(), BuildError> {
    b.fstore(table, Field::TableArray, array)?;
    b.fstore(table, Field::TableArrayCap, capacity)?;
    let is_mixed = b.ir().int(kind) == Some(tag::MIXED.into());
    for (n, value) in elements.iter().enumerate() {
        let (index, ty) = (b.int(n as i64), b.ty(*value));
        b.astore(array, index, *value)?;
        if is_mixed {
            b.asettag(array, index, capacity, ty)?;
        }
    }
    let len = b.int(elements.len() as i64);
    b.fstore(table, Field::TableArrayKind, kind)?;
    b.fstore(table, Field::TableArrayLen, len)?;
    Ok(())
}

/// Gives a new table its parts. The helper `maker` makes its array's memory.
fn fill(b: &mut Builder, table: Ref, parts: TableParts<'_>, maker: u16) -> Result<(), BuildError> {
    let TableParts { shape, meta, array: [kind, capacity], elements, slots } = parts;
    if let Some(Const::Ptr(meta @ 1..)) = b.ir().constant(meta) {
        // A constant of this type keeps it alive.
        b.object(Type::Table, meta);
    }
    if b.ir().int(capacity) != Some(0) {
        let array = b.call(maker, &[table, capacity])?;
        give_array(b, (table, array), [kind, capacity], elements)?;
    }
    let place = b.fload(table, Field::TableSlots)?;
    for (n, value) in slots.iter().enumerate().filter(|(_, value)| **value != Ref::NIL) {
        b.vstore(place, n as u16, *value)?;
    }
    b.fstore(table, Field::TableMeta, meta)?;
    b.fstore(table, Field::TableShape, shape)?;
    Ok(())
}

/// A constant of a type.
pub fn constant(b: &mut Builder, ty: Type, payload: u64) -> Ref {
    b.constant(match ty {
        Type::Nil | Type::Void => return Ref::NIL,
        Type::Bool => return Builder::bool(payload != 0),
        Type::Int => Const::Int(payload as i64),
        Type::Float => Const::Float(f64::from_bits(payload)),
        Type::Ptr => Const::Ptr(payload),
        ty => Const::Object(ty, payload),
    })
}
