//! Allocation sinking: an object that only exits would see is not made. Snapshots say of what it consists, and an exit that
//! needs it builds it.
//!
//! Objects are tables, Lua functions, and the cells of captured variables. Their parts:
//!
//! | object | parts |
//! | --- | --- |
//! | table | shape and metatable, which must be constants; the values of its slots |
//! | cell | what it holds |
//! | function | its prototype, a constant; its upvalues' cells |
//!
//! Loads from such an object have been forwarded from the stores when they were emitted, so what is left of it are the call
//! that makes it, the stores to its parts, and references in snapshots, also as the function of an inlined call: a closure that is
//! made and called in the trace alone needs none of this. Whatever else names it makes it *escape*: a load that was not
//! forwarded, a helper's argument, a store into something that exists, a guard, a snapshot whose slots code stores (before full
//! calls, and where another trace goes on). What is stored into an object that escapes does so with it: a cell with each of the
//! functions that share it. Among objects that are not made it stays one cell, since exits build each object once.
//!
//! *Loops.* An object of one iteration that is seen in the next has a phi: left the one of the iteration before the loop,
//! right the one of the loop's body. Both are sunk or none. In the loop's snapshots the left one consists of its parts at
//! the loop's start, so each part that changes needs a phi of its own, from the left object's part to the right one's. There
//! is one if the loop loads the part; else it is added, unless the left part has another meaning in the loop.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the objects, what they consist of at each snapshot, the result |
//! | `uses` | which of them escape |
//! | `carry` | what is carried around the loop |
#![forbid(unsafe_code)]

mod carry;
mod uses;

use rustc_hash::FxHashSet;

use super::dce::dce;
use crate::lua::ir::{Const, Field, Inst, Ir, Made, Op, Ref, Ty};
use crate::lua::snapshot::Snapshot;

/// Replaces objects that need not be made by `unbuilt` instructions. `drop_dead`: dead code may be dropped before, so that loads
/// which nobody uses do not count.
pub fn sink(ir: &mut Ir, drop_dead: bool) {
    if !ir.insts.iter().any(|inst| ir.made(inst).is_some()) {
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

/// An object that is made in the trace.
struct Candidate {
    /// The call that makes it.
    made: Ref,
    kind: Made,
    escapes: bool,
    /// Candidates that are stored in it, by number.
    holds: Vec<usize>,
    /// Its parts, as they are where the analysis has come to.
    parts: Vec<Ref>,
}

/// A table's parts before its slots.
const SLOTS: usize = 2;
/// A function's parts before its cells.
const CELLS: usize = 1;

impl Candidate {
    fn new(made: Ref, kind: Made, none: Ref) -> Candidate {
        let parts = match kind {
            Made::Table { slots, shape } => [vec![shape, none], vec![Ref::NIL; slots]].concat(),
            Made::Cell => vec![Ref::NIL],
            Made::Function { proto, upvalues } => [vec![proto], vec![Ref::NONE; upvalues]].concat(),
        };
        Candidate { made, kind, escapes: false, holds: Vec::new(), parts }
    }

    /// How many of the first parts must be constants.
    fn constants(&self) -> usize {
        match self.kind {
            Made::Table { .. } => SLOTS,
            Made::Cell => 0,
            Made::Function { .. } => CELLS,
        }
    }
}

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

/// What a store changes.
struct Change {
    candidate: usize,
    part: usize,
    value: Ref,
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
            let r = Ref::inst(at);
            if let Some(kind) = ir.made(inst) {
                of.set(r, candidates.len());
                candidates.push(Candidate::new(r, kind, none));
            } else if inst.op == Op::Fload
                && inst.field() == Field::TableSlots
                && let Some(candidate) = of.get(inst.a)
            {
                slots_of.set(r, candidate);
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

    fn sunk(&self, r: Ref) -> Option<usize> {
        self.of.get(r).filter(|n| !self.candidates[*n].escapes)
    }

    // ---- what they consist of

    /// The part of a candidate that an instruction changes, if it does that and nothing else.
    fn change(&self, inst: &Inst) -> Option<Change> {
        let (candidate, part, value) = match inst.op {
            Op::Fstore if inst.c.is_const() => match inst.field() {
                Field::TableShape => (self.of.get(inst.a)?, 0, inst.c),
                Field::TableMeta => (self.of.get(inst.a)?, 1, inst.c),
                _ => return None,
            },
            Op::Vstore => (self.slots_of.get(inst.a)?, SLOTS + usize::from(inst.b.0), inst.c),
            Op::Cstore => (self.of.get(inst.a)?, 0, inst.b),
            Op::Ustore => (self.of.get(inst.a)?, CELLS + usize::from(inst.b.0), inst.c),
            _ => return None,
        };
        (part < self.candidates[candidate].parts.len()).then_some(Change { candidate, part, value })
    }

    /// Goes through the trace and notes for each snapshot the parts of what it refers to. Stores to what escapes do not matter.
    fn follow(&mut self, ir: &Ir) {
        let mut snapshots = ir.snapshots.iter().peekable();
        for at in 0..=ir.insts.len() {
            while let Some(snapshot) = snapshots.next_if(|s| s.at as usize <= at) {
                let needed = self.needed(ir, snapshot);
                self.told.push(needed);
            }
            let Some(inst) = ir.insts.get(at) else { break };
            if let Some(Change { candidate, part, value }) = self.change(inst) {
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
                *inst = Inst::new(Op::Unbuilt, Ty::new(inst.base()), Ref::NONE, Ref::NONE, Ref::NONE);
            } else if inst.refs().any(|r| sunk(r) || slots(r)) {
                *inst = Inst::NOP;
            }
        }
        for (left, right) in &self.added {
            ir.insts.push(Inst::new(Op::Phi, Ty::new(ir.ty(*left)), *left, *right, Ref::NONE));
        }
    }
}
