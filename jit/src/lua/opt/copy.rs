//! Copies an IR through a builder, so that the passes that work at emission apply to it.
#![forbid(unsafe_code)]

use super::Passes;
use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::{Inst, Ir, Op, Ref, Type};
use crate::lua::snapshot::{Frame, SlotValue};

/// Runs `passes` (except peeling) over an IR.
pub fn copy(ir: &Ir, passes: Passes) -> Result<Ir, BuildError> {
    let mut b = Builder::new(ir.helpers, passes);
    copy_into(ir, &mut b)?;
    Ok(b.finish())
}

/// Emits all of an IR through an empty builder.
pub(super) fn copy_into(ir: &Ir, b: &mut Builder) -> Result<(), BuildError> {
    let consts: Vec<Ref> = ir.consts.iter().map(|&c| b.constant(c)).collect();
    let mut subst: Vec<Ref> = Vec::with_capacity(ir.insts.len());
    let mut next = 0;
    let mut copied_snapshot = |b: &mut Builder, subst: &[Ref], at: usize| {
        while next < ir.snapshots.len() && ir.snapshots.get(next).at as usize <= at {
            let snapshot = ir.snapshots.get(next);
            let map = |r: Ref| lookup(&consts, subst, r);
            let slots: Vec<SlotValue> =
                ir.snapshots.slots(snapshot).iter().map(|s| SlotValue { value: map(s.value), ..*s }).collect();
            let frames = ir.snapshots.frames(snapshot).iter();
            b.snapshot(snapshot.resume(), &slots, frames.map(|f| Frame { function: map(f.function), ..*f }));
            let objects = ir.snapshots.objects(snapshot).iter();
            b.objects(objects.map(|o| (map(o.object), ir.snapshots.parts(o).iter().map(|r| map(*r)).collect())));
            next += 1;
        }
    };
    for (at, inst) in ir.insts.iter().enumerate() {
        copied_snapshot(b, &subst, at);
        let r = match inst.op {
            Op::Nop => Ref::NONE,
            _ => emit(b, inst.map_refs(|r| lookup(&consts, &subst, r)))?,
        };
        subst.push(r);
    }
    copied_snapshot(b, &subst, ir.insts.len());
    b.set_link(ir.link);
    Ok(())
}

/// Emits a copied instruction; a load of nil gives the constant.
pub(super) fn emit(b: &mut Builder, inst: Inst) -> Result<Ref, BuildError> {
    let r = b.emit(inst)?;
    Ok(if inst.base() == Type::Nil && inst.op.has_result() { Ref::NIL } else { r })
}

fn lookup(consts: &[Ref], subst: &[Ref], r: Ref) -> Ref {
    if r.is_none() {
        r
    } else if r.is_const() {
        consts[r.0 as usize]
    } else {
        subst[r.index()]
    }
}
