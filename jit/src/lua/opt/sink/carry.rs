//! What is carried around the loop: the parts of objects that one iteration makes and the next one sees.
#![forbid(unsafe_code)]

use rustc_hash::{FxHashMap, FxHashSet};

use super::Sinking;
use crate::lua::ir::{Inst, Ir, Op, Ref};
use crate::lua::opt::peel::MAX_PHIS;

impl Sinking {
    /// Whether all that is carried around the loop can be: if not, what cannot escapes.
    pub(super) fn carry(&mut self, ir: &Ir) -> bool {
        if self.loop_at == usize::MAX {
            return true;
        }
        let mut added = Vec::new();
        let mut failed = self.find_invariants(ir);
        let mut carried: FxHashMap<Ref, Ref> = self.phis.iter().copied().collect();
        let mut pairs: Vec<(Ref, Ref)> = self.phis.iter().copied().filter(|pair| self.sunk(pair.0).is_some()).collect();
        while let Some((left, right)) = pairs.pop() {
            let (Some(l), Some(r)) = (self.sunk(left), self.sunk(right)) else { continue };
            let (before, after) = (&self.candidates[l].parts, &self.candidates[r].parts);
            // Constants are the same on both sides, or not carried at all.
            let mut parts = before.iter().copied().zip(after.iter().copied());
            let goes_on = |(was, is): (Ref, Ref)| match carried.get(&was) {
                Some(known) => *known == is,
                None if was == is => true,
                None if !self.may_carry(ir, was, is) => false,
                None => {
                    carried.insert(was, is);
                    match self.sunk(was) {
                        Some(_) => pairs.push((was, is)),
                        None => added.push((was, is)),
                    }
                    true
                }
            };
            if before.len() != after.len() || !parts.all(goes_on) {
                failed.push(left);
            }
        }
        self.added = added;
        let more = self.added.len();
        if ir.phis().count() + more > MAX_PHIS || ir.insts.len() + more > Ir::MAX_INSTS {
            failed.extend(self.phis.iter().map(|(left, _)| *left));
        }
        failed.retain(|r| self.sunk(*r).is_some());
        failed.iter().for_each(|r| self.escape(*r));
        failed.is_empty()
    }

    /// Whether there may be a phi for a part, which had none.
    fn may_carry(&self, ir: &Ir, was: Ref, is: Ref) -> bool {
        let is_free = was.is_inst() && was.index() < self.loop_at && !self.invariants.contains(&was);
        is_free && ir.ty(was) == ir.ty(is) && self.sunk(was).is_some() == self.sunk(is).is_some()
    }

    /// Finds what the loop uses and does not carry. Answers what of that cannot be sunk.
    fn find_invariants(&mut self, ir: &Ir) -> Vec<Ref> {
        let left: FxHashSet<Ref> = self.phis.iter().map(|(left, _)| *left).collect();
        let body = ir.insts.iter().skip(self.loop_at + 1).filter(|inst| inst.op != Op::Phi);
        let mut used: Vec<Ref> = body.flat_map(Inst::refs).collect();
        used.extend(self.phis.iter().map(|(_, right)| *right));
        for snapshot in ir.snapshots.iter().filter(|s| s.at as usize > self.loop_at) {
            used.extend(ir.snapshots.refs(snapshot));
        }
        self.invariants = used.into_iter().filter(|r| r.is_inst() && !left.contains(r)).collect();
        // What is made before the loop and the same in all of it must consist of what is the same.
        let mut failed = Vec::new();
        let mut work: Vec<Ref> = self.invariants.iter().copied().filter(|r| r.index() < self.loop_at).collect();
        while let Some(r) = work.pop() {
            let Some(candidate) = self.sunk(r) else { continue };
            let parts = &self.candidates[candidate].parts;
            if parts.iter().any(|part| left.contains(part)) {
                failed.push(r);
            }
            work.extend(parts.iter().copied().filter(|part| part.is_inst() && self.invariants.insert(*part)));
        }
        failed
    }
}
