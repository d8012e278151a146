//! Allocation sinking: a table that only exits would see is not made. Snapshots say of what it consists, and an exit that
//! needs it builds it.
//!
//! Loads from such a table have been forwarded from the stores when they were emitted, so what is left of it are the call
//! that makes it, the stores to its shape, metatable and slots, and references in snapshots. Whatever else names it makes it
//! *escape*: a load that was not forwarded, a helper's argument, a store into something that exists, a guard, a snapshot
//! whose slots code stores (before full calls, and where another trace goes on). A table that is stored into another one
//! escapes with it.
//!
//! *Loops.* A table of one iteration that is seen in the next has a phi: left the table of the iteration before the loop,
//! right the one of the loop's body. Both are sunk or none. In the loop's snapshots the left one consists of its parts at
//! the loop's start, so each part that changes needs a phi of its own, from the left table's part to the right one's. There
//! is one if the loop loads the part; else it is added, unless the left part has another meaning in the loop.
#![forbid(unsafe_code)]

use rustc_hash::{FxHashMap, FxHashSet};

use super::dce::dce;
use super::peel::MAX_PHIS;
use crate::lua::ir::{Const, Field, Inst, Ir, Op, Ref, SmallTable, Ty, Type};
use crate::lua::snapshot::Snapshot;

/// Replaces tables that need not be made by `unbuilt` instructions. `dce`: dead code may be dropped before, so that loads
/// which nobody uses do not count.
pub fn sink(ir: &mut Ir, drop_dead: bool) {
    if !ir.insts.iter().any(|inst| ir.small_table(inst).is_some()) {
        return;
    }
    if drop_dead {
        dce(ir);
    }
    let mut sinking = Sinking::new(ir);
    sinking.uses(ir);
    sinking.spread();
    if sinking.candidates.iter().all(|candidate| candidate.escapes) {
        return;
    }
    sinking.follow(ir);
    while !sinking.carry(ir) {
        sinking.spread();
    }
    sinking.rewrite(ir);
}

/// A table that is made in the trace.
struct Candidate {
    /// The call that makes it.
    made: Ref,
    /// Number of its slots.
    slots: usize,
    escapes: bool,
    /// Candidates that are stored in it, by number.
    holds: Vec<usize>,
    /// Shape, metatable and slots, as they are where the analysis has come to.
    parts: Vec<Ref>,
}

/// Where the slots begin among the parts.
const SLOTS: usize = 2;

/// Numbers of candidates, by instruction.
struct Numbers(Vec<Option<u16>>);

impl Numbers {
    fn get(&self, r: Ref) -> Option<usize> {
        // Operands that are numbers, and no references, may look like later ones.
        if r.is_inst() { self.0.get(r.index()).copied().flatten().map(usize::from) } else { None }
    }

    fn set(&mut self, r: Ref, candidate: usize) {
        self.0[r.index()] = Some(candidate as u16);
    }
}

struct Sinking {
    candidates: Vec<Candidate>,
    /// The candidate that an instruction makes.
    of: Numbers,
    /// The candidate whose slots a pointer leads to.
    slots_of: Numbers,
    loop_at: usize,
    /// Left and right sides of phis, those of candidates among them.
    phis: Vec<(Ref, Ref)>,
    /// What the loop uses by another name than that of a phi's left side.
    invariants: FxHashSet<Ref>,
    /// For each snapshot the candidates it needs, with their parts.
    told: Vec<Vec<(usize, Vec<Ref>)>>,
    /// Phis to add.
    added: Vec<(Ref, Ref)>,
}

impl Sinking {
    fn new(ir: &mut Ir) -> Sinking {
        let none = match ir.consts.iter().skip(1).position(|c| *c == Const::Ptr(0)) {
            Some(at) => Ref(at as u16 + 1),
            None => {
                ir.consts.push(Const::Ptr(0));
                Ref(ir.consts.len() as u16 - 1)
            }
        };
        let mut candidates = Vec::new();
        let [mut of, mut slots_of] = [(); 2].map(|()| Numbers(vec![None; ir.insts.len()]));
        for (at, inst) in ir.insts.iter().enumerate() {
            let made = Ref::inst(at);
            if let Some(SmallTable { slots, shape }) = ir.small_table(inst) {
                let mut parts = vec![Ref::NIL; SLOTS + slots];
                (parts[0], parts[1]) = (shape, none);
                of.set(made, candidates.len());
                candidates.push(Candidate { made, slots, escapes: false, holds: Vec::new(), parts });
            } else if inst.op == Op::Fload
                && inst.field() == Field::TableSlots
                && let Some(candidate) = of.get(inst.a)
            {
                slots_of.set(made, candidate);
            }
        }
        Sinking {
            candidates,
            of,
            slots_of,
            loop_at: ir.loop_index().unwrap_or(usize::MAX),
            phis: ir.phis().map(|phi| (phi.a, phi.b)).collect(),
            invariants: FxHashSet::default(),
            told: Vec::new(),
            added: Vec::new(),
        }
    }

    fn escape(&mut self, r: Ref) {
        if let Some(candidate) = self.of.get(r).or_else(|| self.slots_of.get(r)) {
            self.candidates[candidate].escapes = true;
        }
    }

    fn escape_all(&mut self, refs: impl Iterator<Item = Ref>) {
        refs.for_each(|r| self.escape(r));
    }

    // ---- who uses the candidates

    fn uses(&mut self, ir: &Ir) {
        for (at, inst) in ir.insts.iter().enumerate() {
            self.use_of(at, inst);
            let first = match inst.op {
                Op::Sync => i16::MIN,
                Op::Args => inst.slot(),
                _ => continue,
            };
            if let Some(number) = ir.snapshots.for_inst(at) {
                let stored = ir.snapshots.slots(ir.snapshots.get(number)).iter().filter(|s| s.slot >= first);
                self.escape_all(stored.map(|s| s.value));
            }
        }
        if ir.link.leads_on()
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

    fn use_of(&mut self, at: usize, inst: &Inst) {
        // What changes in the loop and lives on from one iteration to the next would have parts that no snapshot can name.
        let stays = |sinking: &Sinking, candidate: usize| {
            let made = sinking.candidates[candidate].made.index();
            made > sinking.loop_at || at < sinking.loop_at
        };
        let object = self.of.get(inst.a).filter(|_| inst.op != Op::Phi);
        match (inst.op, object, self.slots_of.get(inst.a)) {
            (Op::Nop | Op::Barrier, ..) => {}
            (Op::Fload, Some(_), _) if inst.field() == Field::TableSlots => {}
            (Op::Fstore, Some(candidate), _)
                if inst.c.is_const()
                    && matches!(inst.field(), Field::TableShape | Field::TableMeta)
                    && stays(self, candidate) => {}
            (Op::Vstore, _, Some(candidate))
                if usize::from(inst.b.0) < self.candidates[candidate].slots && stays(self, candidate) =>
            {
                let held = self.of.get(inst.c);
                self.candidates[candidate].holds.extend(held);
            }
            (Op::Phi, ..) => {
                for r in [inst.a, inst.b] {
                    if self.slots_of.get(r).is_some() {
                        self.escape(r);
                    }
                }
            }
            _ => self.escape_all(inst.refs()),
        }
    }

    /// What is held by something that escapes escapes, and so does what a phi joins with something that does.
    fn spread(&mut self) {
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

    fn sunk(&self, r: Ref) -> Option<usize> {
        self.of.get(r).filter(|n| !self.candidates[*n].escapes)
    }

    // ---- what they consist of

    /// Goes through the trace and notes for each snapshot the parts of what it refers to. Stores to what escapes do not matter.
    fn follow(&mut self, ir: &Ir) {
        let mut snapshots = ir.snapshots.iter().peekable();
        for at in 0..=ir.insts.len() {
            while let Some(snapshot) = snapshots.next_if(|s| s.at as usize <= at) {
                let needed = self.needed(ir, snapshot);
                self.told.push(needed);
            }
            let Some(inst) = ir.insts.get(at) else { break };
            let (object, part, value) = match inst.op {
                Op::Fstore if inst.field() == Field::TableShape => (self.of.get(inst.a), 0, inst.c),
                Op::Fstore if inst.field() == Field::TableMeta => (self.of.get(inst.a), 1, inst.c),
                Op::Vstore => (self.slots_of.get(inst.a), SLOTS + usize::from(inst.b.0), inst.c),
                _ => continue,
            };
            if let Some(candidate) = object.filter(|n| !self.candidates[*n].escapes) {
                self.candidates[candidate].parts[part] = value;
            }
        }
    }

    /// The candidates that a snapshot refers to, directly or through others, as they are now.
    fn needed(&self, ir: &Ir, snapshot: &Snapshot) -> Vec<(usize, Vec<Ref>)> {
        let mut found: Vec<usize> = ir.snapshots.refs(snapshot).filter_map(|r| self.sunk(r)).collect();
        let mut next = 0;
        while let Some(candidate) = found.get(next).copied() {
            if !found[..next].contains(&candidate) {
                found.extend(self.candidates[candidate].parts.iter().filter_map(|r| self.sunk(*r)));
            }
            next += 1;
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|n| (n, self.candidates[n].parts.clone())).collect()
    }

    // ---- loops

    /// Whether all that is carried around the loop can be: if not, what cannot escapes.
    fn carry(&mut self, ir: &Ir) -> bool {
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
            let alike = before.len() == after.len() && before[..SLOTS] == after[..SLOTS];
            let mut slots = before.iter().copied().zip(after.iter().copied()).skip(SLOTS);
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
            if !alike || !slots.all(goes_on) {
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

    // ---- the result

    fn rewrite(&self, ir: &mut Ir) {
        if self.candidates.iter().all(|c| c.escapes) {
            return;
        }
        for (number, needed) in self.told.iter().enumerate() {
            let kept = needed.iter().filter(|(candidate, _)| !self.candidates[*candidate].escapes);
            let objects = kept.map(|(candidate, parts)| (self.candidates[*candidate].made, &parts[..]));
            ir.snapshots.set_objects(number, objects);
        }
        for (at, inst) in ir.insts.iter_mut().enumerate() {
            let sunk = |r: Ref| self.sunk(r).is_some();
            let slots = |r: Ref| self.slots_of.get(r).is_some_and(|n| !self.candidates[n].escapes);
            if sunk(Ref::inst(at)) {
                *inst = Inst::new(Op::Unbuilt, Ty::new(Type::Table), Ref::NONE, Ref::NONE, Ref::NONE);
            } else if inst.refs().any(|r| sunk(r) || slots(r)) {
                *inst = Inst::NOP;
            }
        }
        for (left, right) in &self.added {
            ir.insts.push(Inst::new(Op::Phi, Ty::new(ir.ty(*left)), *left, *right, Ref::NONE));
        }
    }
}
