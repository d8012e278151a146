//! Allocation sinking: an object that only exits would see is not made. Snapshots say of what it consists, and an exit that
//! needs it builds it.
//!
//! Objects are tables, Lua functions, and the cells of captured variables. Their parts:
//!
//! | object | parts |
//! | --- | --- |
//! | table | its shape, its metatable, and of its array kind, capacity and length, all of which must be constants; the values of its elements and of its slots |
//! | cell | what it holds |
//! | function | its prototype, a constant; its upvalues' cells |
//!
//! Loads from such an object have been forwarded from the stores when they were emitted, so what is left of it are the call
//! that makes it, the stores to its parts, and references in snapshots, also as the function of an inlined call: a closure that is
//! made and called in the trace alone needs none of this. An element is a part if its index is a constant. The memory of an array is made
//! by a call of its own, and sunk with its table. Whatever else names it makes it *escape*: a load that was not
//! forwarded, a helper's argument, a store into something that exists, a guard, a snapshot whose slots code stores (before full
//! calls, and where another trace goes on), or which is that of the end, where the interpreter goes on each time. What is stored
//! into an object that escapes does so with it: a cell with each of the functions that share it. Among objects that are not made it
//! stays one cell, since exits build each object once.
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
use crate::lua::snapshot::{Snapshot, TABLE_CONSTANTS};
use perilune_runtime::lua::table::capacity_for;

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

/// A table's parts before its slots, behind which its elements follow, as many as there is room for.
const SLOTS: usize = TABLE_CONSTANTS;
/// Of these, the length of its array.
const LENGTH: usize = SLOTS - 1;
/// A function's parts before its cells.
const CELLS: usize = 1;
/// Most elements of a table that is not made.
const MAX_ELEMENTS: usize = 32;

impl Candidate {
    fn new(made: Ref, kind: Made, [none, zero]: [Ref; 2]) -> Candidate {
        let parts = match kind {
            Made::Table { slots, shape } => [vec![shape, none, zero, zero, zero], vec![Ref::NIL; slots]].concat(),
            Made::Cell => vec![Ref::NIL],
            Made::Function { proto, upvalues } => [vec![proto], vec![Ref::NONE; upvalues]].concat(),
        };
        Candidate { made, kind, escapes: false, holds: Vec::new(), parts }
    }

    /// Where the elements begin among the parts, if it is a table.
    fn elements(&self) -> Option<usize> {
        match self.kind {
            Made::Table { slots, .. } => Some(SLOTS + slots),
            _ => None,
        }
    }

    /// Parts as snapshots have them: no more elements than the length says, and before the slots.
    fn told(&self, ir: &Ir, parts: &[Ref]) -> Vec<Ref> {
        let Some(first) = self.elements() else { return parts.to_vec() };
        let len = ir.int(parts[LENGTH]).map_or(0, |len| len as usize);
        [&parts[..SLOTS], &parts[first..][..len], &parts[SLOTS..first]].concat()
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

/// The reference of a constant.
fn constant(ir: &mut Ir, wanted: Const) -> Ref {
    let known = ir.consts.iter().skip(1).position(|c| *c == wanted);
    known.map_or_else(
        || {
            ir.consts.push(wanted);
            Ref(ir.consts.len() as u16 - 1)
        },
        |at| Ref(at as u16 + 1),
    )
}

/// The table for whose array an instruction makes memory, and for how many elements that has room.
fn array_made(ir: &Ir, inst: &Inst) -> Option<(Ref, usize)> {
    if inst.op != Op::Call || !ir.helper(inst).makes_array() {
        return None;
    }
    let args = ir.call_args(inst);
    let wanted = ir.int(args[1]).filter(|wanted| (0..=MAX_ELEMENTS as i64).contains(wanted))?;
    Some((args[0], capacity_for(wanted as usize)))
}

struct Sinking {
    candidates: Vec<Candidate>,
    /// The candidate that an instruction makes.
    of: Numbers,
    /// The candidate whose slots a pointer leads to.
    slots_of: Numbers,
    /// The candidate whose array is in the memory that an instruction makes.
    array_of: Numbers,
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
        let constants = [Const::Ptr(0), Const::Int(0)].map(|wanted| constant(ir, wanted));
        let mut candidates: Vec<Candidate> = Vec::new();
        let [mut of, mut slots_of, mut array_of] = [(); 3].map(|()| Numbers(vec![None; ir.insts.len()]));
        for (at, inst) in ir.insts.iter().enumerate() {
            let r = Ref::inst(at);
            if let Some(kind) = ir.made(inst) {
                of.set(r, candidates.len());
                candidates.push(Candidate::new(r, kind, constants));
            } else if inst.op == Op::Fload
                && inst.field() == Field::TableSlots
                && let Some(candidate) = of.get(inst.a)
            {
                slots_of.set(r, candidate);
            } else if let Some((table, room)) = array_made(ir, inst)
                && let Some(number) = of.get(table)
            {
                let candidate = &mut candidates[number];
                if room <= MAX_ELEMENTS && candidate.elements() == Some(candidate.parts.len()) {
                    candidate.parts.extend(vec![Ref::NIL; room]);
                    array_of.set(r, number);
                }
            }
        }
        Sinking {
            candidates,
            of,
            slots_of,
            array_of,
            loop_at: ir.loop_index().unwrap_or(usize::MAX),
            phis: ir.phis().map(|phi| (phi.a, phi.b)).collect(),
            invariants: FxHashSet::default(),
            told: Vec::new(),
            added: Vec::new(),
        }
    }

    /// The candidate that a pointer leads into.
    fn behind(&self, r: Ref) -> Option<usize> {
        self.slots_of.get(r).or_else(|| self.array_of.get(r))
    }

    fn sunk(&self, r: Ref) -> Option<usize> {
        self.of.get(r).filter(|n| !self.candidates[*n].escapes)
    }

    // ---- what they consist of

    /// The part of a candidate that an instruction changes, if it does that and nothing else.
    fn change(&self, ir: &Ir, inst: &Inst) -> Option<Change> {
        let (candidate, part, value) = match inst.op {
            Op::Fstore if inst.c.is_const() => {
                let fields = [
                    Field::TableShape,
                    Field::TableMeta,
                    Field::TableArrayKind,
                    Field::TableArrayCap,
                    Field::TableArrayLen,
                ];
                (self.of.get(inst.a)?, fields.iter().position(|field| *field == inst.field())?, inst.c)
            }
            Op::Astore => {
                let candidate = self.array_of.get(inst.a)?;
                let index = usize::try_from(ir.int(inst.b)?).ok()?;
                (candidate, self.candidates[candidate].elements()?.checked_add(index)?, inst.c)
            }
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
            if let Some(Change { candidate, part, value }) = self.change(ir, inst) {
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
            let told = kept.map(|(number, parts)| (&self.candidates[*number], parts));
            let objects: Vec<(Ref, Vec<Ref>)> = told.map(|(c, parts)| (c.made, c.told(ir, parts))).collect();
            ir.snapshots.set_objects(number, objects.iter().map(|(made, parts)| (*made, &parts[..])));
        }
        for (at, inst) in ir.insts.iter_mut().enumerate() {
            let sunk = |r: Ref| self.sunk(r).is_some();
            let behind = |r: Ref| self.behind(r).is_some_and(|n| !self.candidates[n].escapes);
            if sunk(Ref::inst(at)) {
                *inst = Inst::new(Op::Unbuilt, Ty::new(inst.base()), Ref::NONE, Ref::NONE, Ref::NONE);
            } else if behind(Ref::inst(at)) || inst.refs().any(|r| sunk(r) || behind(r)) {
                *inst = Inst::NOP;
            }
        }
        for (left, right) in &self.added {
            ir.insts.push(Inst::new(Op::Phi, Ty::new(ir.ty(*left)), *left, *right, Ref::NONE));
        }
    }
}
