//! What a side trace begins with: the values of its parent at the exit. What the parent has not built is made here, and perhaps
//! sunk again.
#![forbid(unsafe_code)]

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::{Const, Field, Ir, Ref, Type};
use crate::lua::snapshot::{Snapshot, TableParts};

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
    pub objects: Vec<(Ref, Vec<Inherited>)>,
}

impl Inheritance {
    /// What a snapshot of the parent says.
    pub fn new(ir: &Ir, snapshot: &Snapshot) -> Inheritance {
        let objects = ir.snapshots.objects(snapshot).iter();
        let parts = |o| ir.snapshots.parts(o).iter().map(|r| Inherited::of(ir, *r)).collect();
        Inheritance {
            slots: ir.snapshots.slots(snapshot).iter().map(|s| (s.slot, Inherited::of(ir, s.value))).collect(),
            objects: objects.map(|o| (o.object, parts(o))).collect(),
        }
    }

    /// The addresses of the shapes of what is not built.
    pub fn shapes(&self) -> impl Iterator<Item = u64> {
        self.objects.iter().filter_map(|(_, parts)| parts.first()?.constant)
    }
}

/// Emits what stands for each of the parent's values. Objects are made by the helper `maker`, with the root shape at first.
pub fn values(
    b: &mut Builder,
    from: &Inheritance,
    (maker, root): (u16, u64),
) -> Result<FxHashMap<Ref, Ref>, BuildError> {
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
    for (object, parts) in &from.objects {
        let (slots, none, root) = (b.int(parts.len() as i64 - 2), b.int(0), b.ptr(root));
        let table = b.call(maker, &[slots, none, root])?;
        known.insert(*object, table);
    }
    for (object, parts) in &from.objects {
        fill(b, known[object], &parts.iter().map(|i| known[&i.parent]).collect::<Vec<_>>())?;
    }
    Ok(known)
}

/// Gives a new table its parts.
fn fill(b: &mut Builder, table: Ref, parts: &[Ref]) -> Result<(), BuildError> {
    let Some(TableParts { shape, meta, slots }) = TableParts::new(parts) else { return Ok(()) };
    if let Some(Const::Ptr(meta @ 1..)) = b.ir().constant(meta) {
        // A constant of this type keeps it alive.
        b.object(Type::Table, meta);
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
