//! Dead code: drops instructions that nothing needs.
//!
//! Needed are guards, stores, calls with effects, control, what snapshots in use refer to, and what these refer to in
//! turn. A phi is needed when something behind the `loop` instruction uses its left side.
#![forbid(unsafe_code)]

use crate::lua::ir::{Effect, Inst, Ir, Link, Op, Ref};

/// Turns unneeded instructions into `nop`s and empties snapshots that nothing uses.
pub fn dce(ir: &mut Ir) {
    let loop_at = ir.loop_index().unwrap_or(usize::MAX);
    let mut marks = Marks {
        needed: vec![false; ir.insts.len()],
        in_loop: vec![false; ir.insts.len()],
        work: Vec::with_capacity(ir.insts.len()),
    };
    let mut phi_of: Vec<Option<usize>> = vec![None; ir.insts.len()];
    let mut snapshot_used = vec![false; ir.snapshots.len()];
    let snapshots = ir.snapshots.by_inst(ir.insts.len());

    for (at, inst) in ir.insts.iter().enumerate() {
        if inst.needs_snapshot()
            && let Some(number) = snapshots[at]
        {
            snapshot_used[usize::from(number)] = true;
        }
        if inst.op == Op::Phi && inst.a.is_inst() {
            phi_of[inst.a.index()] = Some(at);
        } else if is_root(ir, inst) {
            marks.needed[at] = true;
            inst.refs().for_each(|r| marks.mark(r, at > loop_at));
        }
    }
    if ir.link != Link::Loop
        && let Some(last) = snapshot_used.last_mut()
    {
        *last = true;
    }
    for (number, snapshot) in ir.snapshots.iter().enumerate().filter(|(number, _)| snapshot_used[*number]) {
        let end = ir.snapshots.iter().nth(number + 1).map_or(ir.insts.len() + 1, |next| next.at as usize);
        // A snapshot that began before the loop may be used within it.
        ir.snapshots.refs(snapshot).for_each(|r| marks.mark(r, end > loop_at));
    }
    while let Some((r, in_loop)) = marks.work.pop() {
        let inst = &ir.insts[r.index()];
        inst.refs().for_each(|o| marks.mark(o, r.index() > loop_at));
        if in_loop
            && let Some(phi) = phi_of[r.index()]
            && !marks.needed[phi]
        {
            marks.needed[phi] = true;
            marks.mark(ir.insts[phi].b, true);
        }
    }
    for (at, inst) in ir.insts.iter_mut().enumerate() {
        if !marks.needed[at] {
            *inst = Inst::NOP;
        }
    }
    ir.snapshots.retain(|number| snapshot_used[number]);
}

fn is_root(ir: &Ir, inst: &Inst) -> bool {
    if inst.can_exit() {
        return true;
    }
    match inst.op.effect() {
        Effect::Guard | Effect::Store(_) => true,
        Effect::Control => inst.op != Op::Phi,
        Effect::Call => !ir.helper(inst).droppable(),
        Effect::Pure | Effect::Load(_) => false,
    }
}

struct Marks {
    needed: Vec<bool>,
    in_loop: Vec<bool>,
    work: Vec<(Ref, bool)>,
}

impl Marks {
    fn mark(&mut self, r: Ref, in_loop: bool) {
        if !r.is_inst() {
            return;
        }
        let at = r.index();
        if !self.needed[at] || (in_loop && !self.in_loop[at]) {
            self.needed[at] = true;
            self.in_loop[at] |= in_loop;
            self.work.push((r, in_loop));
        }
    }
}
