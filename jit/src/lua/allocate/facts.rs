//! What the passes of the allocator know of a trace beforehand: uses, calls, phis.
#![forbid(unsafe_code)]

use super::constraint::is_in_place;
use crate::lua::ir::{Ir, Link, Op, Ref};

/// What is known of a trace before the first pass.
pub(super) struct Facts {
    pub(super) loop_at: Option<usize>,
    /// Number of constants: where instructions start in tables of values.
    pub(super) consts: usize,
    /// Positions where values are operands, ascending for each value.
    uses: Vec<u16>,
    /// Where the uses of a value begin, and those of the next one.
    first_use: Vec<u32>,
    /// The last position where a value is an operand or in a snapshot.
    pub(super) last: Vec<u16>,
    /// Positions of calls.
    pub(super) calls: Vec<u16>,
    /// What comes in one iteration and goes out changed: left and right sides of phis.
    pub(super) phis: Vec<(Ref, Ref)>,
    pub(super) is_left: Vec<bool>,
    /// What is made before the loop and used in it, unchanged.
    pub(super) invariants: Vec<Ref>,
    /// The `sync` whose frames stand at a position.
    pub(super) synced: Vec<bool>,
    /// The snapshot that applies at each position, and at the end.
    pub(super) snapshots: Vec<Option<u16>>,
}

impl Facts {
    pub(super) fn new(ir: &Ir) -> Facts {
        let values = ir.consts.len() + ir.insts.len();
        let mut facts = Facts {
            loop_at: if ir.link == Link::Loop { ir.loop_index() } else { None },
            consts: ir.consts.len(),
            uses: Vec::new(),
            first_use: vec![0; values + 1],
            last: vec![0; values],
            calls: Vec::new(),
            phis: ir.phis().map(|p| (p.a, p.b)).collect(),
            is_left: vec![false; values],
            invariants: Vec::new(),
            synced: vec![false; ir.insts.len()],
            snapshots: ir.snapshots.by_inst(ir.insts.len() + 1),
        };
        for i in 0..facts.phis.len() {
            let left = facts.index(facts.phis[i].0);
            facts.is_left[left] = true;
        }
        let mut standing = false;
        let mut used: Vec<(u32, u16)> = Vec::with_capacity(2 * ir.insts.len());
        for (at, inst) in ir.insts.iter().enumerate() {
            facts.synced[at] = standing;
            match inst.op {
                Op::Carg | Op::Phi => continue,
                Op::Sync => standing = true,
                Op::Unsync => standing = false,
                _ => {}
            }
            let in_place = is_in_place(ir, inst);
            if matches!(inst.op, Op::Call | Op::Sync | Op::Args | Op::Unsync) && !in_place {
                facts.calls.push(at as u16);
            }
            if in_place {
                // Its arguments are constants.
            } else if inst.op == Op::Call {
                used.extend(ir.call_args(inst).iter().map(|r| (facts.index(*r) as u32, at as u16)));
            } else {
                used.extend(inst.refs().map(|r| (facts.index(r) as u32, at as u16)));
            }
            if inst.needs_snapshot() {
                facts.snapshot_used(ir, at);
            }
        }
        if ir.link != Link::Loop {
            facts.snapshot_used(ir, ir.insts.len());
        }
        facts.sort_uses(&used);
        for i in 0..facts.phis.len() {
            let right = facts.index(facts.phis[i].1);
            facts.last[right] = ir.insts.len() as u16;
        }
        let loop_at = facts.loop_at.unwrap_or(0);
        let lasts = |r: &Ref| !facts.is_left[facts.index(*r)] && facts.last[facts.index(*r)] as usize > loop_at;
        facts.invariants = (0..loop_at).map(Ref::inst).filter(lasts).collect();
        facts
    }

    pub(super) fn index(&self, r: Ref) -> usize {
        if r.is_inst() { self.consts + r.index() } else { r.0 as usize }
    }

    /// Positions where a value is an operand, ascending.
    pub(super) fn uses(&self, value: usize) -> &[u16] {
        &self.uses[self.first_use[value] as usize..self.first_use[value + 1] as usize]
    }

    /// Sorts uses, which come in the order of their positions, by value.
    fn sort_uses(&mut self, used: &[(u32, u16)]) {
        for (value, at) in used {
            self.first_use[*value as usize + 1] += 1;
            let last = &mut self.last[*value as usize];
            *last = (*last).max(*at);
        }
        for value in 1..self.first_use.len() {
            self.first_use[value] += self.first_use[value - 1];
        }
        let mut next = self.first_use.clone();
        self.uses.resize(used.len(), 0);
        for (value, at) in used {
            let place = &mut next[*value as usize];
            self.uses[*place as usize] = *at;
            *place += 1;
        }
    }

    fn snapshot_used(&mut self, ir: &Ir, at: usize) {
        if let Some(number) = self.snapshots[at] {
            let last = &mut self.last[self.consts..];
            ir.located(ir.snapshots.get(number.into())).for_each(|r| last[r.index()] = at as u16);
        }
    }

    /// Whether a value must survive a call.
    pub(super) fn crosses_call(&self, r: Ref) -> bool {
        let (mut from, mut to) = (if r.is_inst() { r.index() as u16 } else { 0 }, self.last[self.index(r)]);
        if let Some(loop_at) = self.loop_at
            && (from as usize) < loop_at
            && to as usize > loop_at
        {
            to = u16::MAX;
            if self.is_left[self.index(r)] {
                from = from.max(loop_at as u16);
            }
        }
        let first = self.calls.partition_point(|&c| c <= from);
        self.calls.get(first).is_some_and(|&c| c < to)
    }
}
