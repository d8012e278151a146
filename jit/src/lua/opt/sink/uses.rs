//! Who uses the objects of a trace, and which of them escape.
#![forbid(unsafe_code)]

use super::{Change, Sinking};
use crate::lua::ir::{Field, Inst, Ir, Link, Op, Ref};

impl Sinking {
    pub(super) fn escape(&mut self, r: Ref) {
        if let Some(candidate) = self.of.get(r).or_else(|| self.behind(r)) {
            self.candidates[candidate].escapes = true;
        }
    }

    fn escape_all(&mut self, refs: impl Iterator<Item = Ref>) {
        refs.for_each(|r| self.escape(r));
    }

    /// Goes through the trace: what is used in another way than an object that is not made may be escapes.
    pub(super) fn uses(&mut self, ir: &Ir) {
        for (at, inst) in ir.insts.iter().enumerate() {
            self.use_of(ir, at, inst);
            let Some(number) = ir.snapshots.for_inst(at) else { continue };
            let snapshot = ir.snapshots.get(number);
            match inst.op {
                // The frames stand as well.
                Op::Sync => self.escape_all(ir.snapshots.refs(snapshot)),
                Op::Args => {
                    let stored = ir.snapshots.slots(snapshot).iter().filter(|s| s.slot >= inst.slot());
                    self.escape_all(stored.map(|s| s.value));
                }
                _ => {}
            }
        }
        // What goes on at the end, the interpreter or another trace, needs it each time.
        if ir.link != Link::Loop
            && let Some(last) = ir.snapshots.iter().last()
        {
            self.escape_all(ir.snapshots.refs(last));
        }
        // What a snapshot from before the loop says would have to hold in it as well.
        let first = ir.insts.iter().enumerate().skip(self.loop_at.saturating_add(1)).find(|(_, i)| i.needs_snapshot());
        if let Some(number) = first.and_then(|(at, _)| ir.snapshots.for_inst(at))
            && ir.snapshots.get(number).at as usize <= self.loop_at
        {
            self.escape_all(ir.snapshots.refs(ir.snapshots.get(number)));
        }
    }

    fn use_of(&mut self, ir: &Ir, at: usize, inst: &Inst) {
        match inst.op {
            // Arguments are looked at with their calls.
            Op::Nop | Op::Barrier | Op::Carg => {}
            Op::Call if self.array_of.get(Ref::inst(at)).is_some() => {}
            Op::Call => self.escape_all(ir.call_args(inst).iter().copied()),
            Op::Fload if inst.field() == Field::TableSlots && self.of.get(inst.a).is_some() => {}
            Op::Fstore if inst.field() == Field::TableArray && self.is_own_array(inst) => {}
            Op::Asettag if self.repeats(ir, at, inst) => {}
            Op::Phi => {
                for r in [inst.a, inst.b] {
                    if self.behind(r).is_some() {
                        self.escape(r);
                    }
                }
            }
            _ => match self.change(ir, inst) {
                Some(Change { candidate, value, .. }) if self.may_change(candidate, at) => {
                    let held = self.of.get(value);
                    self.candidates[candidate].holds.extend(held);
                }
                _ => self.escape_all(inst.refs()),
            },
        }
    }

    /// Whether a store gives a candidate the memory that was made for its array.
    fn is_own_array(&self, store: &Inst) -> bool {
        let array = self.array_of.get(store.c);
        array.is_some() && array == self.of.get(store.a)
    }

    /// Whether a store of a tag says of what type the value is that was just stored there.
    fn repeats(&self, ir: &Ir, at: usize, tag: &Inst) -> bool {
        let before = at.checked_sub(1).map(|at| &ir.insts[at]);
        let is_store = |i: &Inst| i.op == Op::Astore && (i.a, i.b, i.base()) == (tag.a, tag.b, tag.base());
        self.array_of.get(tag.a).is_some() && before.is_some_and(is_store)
    }

    /// What changes in the loop and lives on from one iteration to the next would have parts that no snapshot can name.
    fn may_change(&self, candidate: usize, at: usize) -> bool {
        self.candidates[candidate].made.index() > self.loop_at || at < self.loop_at
    }

    /// What is held by something that escapes escapes, and so does what a phi joins with something that does.
    pub(super) fn spread(&mut self) {
        loop {
            let mut escaping: Vec<usize> = Vec::new();
            for candidate in self.candidates.iter().filter(|c| c.escapes) {
                escaping.extend(&candidate.holds);
            }
            for (left, right) in &self.phis {
                let sides = [left, right].map(|r| self.of.get(*r));
                if sides.iter().any(|side| side.is_none_or(|n| self.candidates[n].escapes)) {
                    escaping.extend(sides.into_iter().flatten());
                }
            }
            escaping.retain(|n| !self.candidates[*n].escapes);
            if escaping.is_empty() {
                return;
            }
            escaping.into_iter().for_each(|n| self.candidates[n].escapes = true);
        }
    }
}
