//! Dead stores: drops a store when another one overwrites it before anybody can look.
//!
//! Looking are loads that may read the place, calls, the collector, and every instruction that can leave the trace:
//! the interpreter reads memory.
#![forbid(unsafe_code)]

use crate::lua::ir::{Effect, Inst, Ir, Op};

/// Turns overwritten stores into `nop`s.
pub fn dse(ir: &mut Ir) {
    for at in 0..ir.insts.len() {
        let store = ir.insts[at];
        if !matches!(store.op, Op::Fstore | Op::Vstore | Op::Cstore | Op::Astore | Op::Asettag) {
            continue;
        }
        if let Some(over) = overwritten_by(ir, at, &store) {
            // The tag that the dropped store would have written is up to the later one now.
            if !store.ty.is_notag() {
                let later = &mut ir.insts[over];
                later.ty = later.ty.set_notag(false);
            }
            ir.insts[at] = Inst::NOP;
        }
    }
}

/// The later store to the same place, if nothing in between can see the memory.
fn overwritten_by(ir: &Ir, at: usize, store: &Inst) -> Option<usize> {
    let class = store.op.effect();
    let Effect::Store(class) = class else { return None };
    for (later, inst) in ir.insts.iter().enumerate().skip(at + 1) {
        // A guarded load is no exception: it may leave.
        if inst.can_exit() {
            return None;
        }
        match inst.op.effect() {
            Effect::Load(c) if c == class => return None,
            Effect::Control if inst.op == Op::Unbuilt => {}
            Effect::Call | Effect::Control => return None,
            Effect::Store(_) if inst.op == store.op && same_place(store, inst) => return Some(later),
            _ => {}
        }
    }
    None
}

fn same_place(x: &Inst, y: &Inst) -> bool {
    x.a == y.a && (x.op == Op::Cstore || x.b == y.b)
}
