//! Loop peeling: the recorded body becomes the first iteration, and a copy of it, emitted behind a `loop` instruction
//! through the same folding, numbering and forwarding, becomes the loop.
//!
//! What does not change from one iteration to the next comes back from the builder as the instruction of the first
//! iteration, guards included: it has left the loop. A value of the first iteration that the copy uses, and whose own
//! copy is another instruction, changes: it gets a phi.
//!
//! A slot that the body loads holds, in the copy, what the last snapshot says, since that describes the end of the
//! iteration; and the copy's snapshots list what the last one lists as well as their own slots, up to the first
//! `sync`, which stores them all.
#![forbid(unsafe_code)]

use super::copy::emit;
use super::range;
use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::{Inst, Ir, Link, Op, Ref, Ty, Type};
use crate::lua::snapshot::{Frame, SlotValue};

/// The most phis that a loop may have.
pub const MAX_PHIS: usize = 100;

/// The start of a loop in a side trace, which holds values that its parent had in registers. Nothing of it is repeated.
#[derive(Clone, Default, Debug)]
pub struct Inherited {
    /// So many instructions make it up.
    pub insts: usize,
    /// What slots of the stack hold there.
    pub slots: Vec<(i16, Ref)>,
}

/// Closes the loop: the trace built so far is one iteration, and its last snapshot describes the end of it. On an
/// error the builder is as it was.
pub fn peel(b: &mut Builder, inherited: &Inherited) -> Result<(), BuildError> {
    let mut peeling = Peeling::new(b);
    match peeling.run(inherited) {
        Ok(()) => {
            b.set_peeling(None);
            Ok(())
        }
        Err(error) => {
            let body = peeling.body;
            b.restore(body);
            Err(error)
        }
    }
}

struct Peeling<'a> {
    b: &'a mut Builder,
    /// The first iteration.
    body: Ir,
    /// What stands for each instruction of the first iteration in the second.
    subst: Vec<Ref>,
    /// Modified slots at the end of the first iteration.
    overlay: Vec<SlotValue>,
    /// No `sync` has been copied yet: the overlay holds.
    before_sync: bool,
    /// The slots of the last snapshot: room that is used again.
    slots: Vec<SlotValue>,
}

impl<'a> Peeling<'a> {
    fn new(b: &'a mut Builder) -> Peeling<'a> {
        let body = b.ir().clone();
        let overlay = body.snapshots.iter().last().map(|s| body.snapshots.slots(s).to_vec()).unwrap_or_default();
        let subst = Vec::with_capacity(body.insts.len());
        Peeling { b, body, subst, overlay, before_sync: true, slots: Vec::new() }
    }

    fn run(&mut self, inherited: &Inherited) -> Result<(), BuildError> {
        let mut ranges = if self.b.passes().range { range::find(&self.body, &self.overlay) } else { None };
        if let Some(ranges) = &mut ranges {
            ranges.emit(self.b)?;
        }
        self.b.set_peeling(Some(self.b.ir().insts.len()));
        self.b.plain(Op::Loop)?;
        self.inherit(inherited)?;
        let mut next = self.body.snapshots.iter().take_while(|s| (s.at as usize) < inherited.insts).count();
        for at in inherited.insts..self.body.insts.len() {
            while next < self.body.snapshots.len() && self.body.snapshots.get(next).at as usize <= at {
                self.copy_snapshot(next);
                next += 1;
            }
            let inst = self.body.insts[at];
            let r = self.copy(inst)?;
            self.subst.push(r);
        }
        if let Some(ranges) = ranges {
            ranges.drop_checks(self.b, &self.subst);
        }
        self.phis()?;
        self.b.set_link(Link::Loop);
        Ok(())
    }

    /// What the slots held at the start that the loop's second iteration finds in them: what they hold at the end of the first one.
    fn inherit(&mut self, inherited: &Inherited) -> Result<(), BuildError> {
        let stores = |inst: &Inst| matches!(inst.op, Op::Sync | Op::Args);
        if !inherited.slots.is_empty() && self.body.insts.iter().any(stores) {
            // It says of the slots what no snapshot does.
            return Err(BuildError::TypeInstability);
        }
        if self.body.insts[..inherited.insts].iter().any(|inst| inst.op == Op::Call) {
            // What the first iteration knows of an object that was just made holds of no other.
            return Err(BuildError::TypeInstability);
        }
        self.subst.extend((0..inherited.insts).map(Ref::inst));
        let mut told = vec![false; inherited.insts];
        for (slot, start) in &inherited.slots {
            let Some(end) = self.overlay.iter().find(|s| s.slot == *slot).map(|s| s.value) else { continue };
            let place = if start.is_inst() { Some(start.index()) } else { None };
            let known = place.filter(|at| told[*at]).map(|at| self.subst[at]);
            let fits = if place.is_some() { known.is_none_or(|known| known == end) } else { end == *start };
            if !fits || self.b.ty(end) != self.b.ty(*start) {
                return Err(BuildError::TypeInstability);
            }
            if let Some(at) = place {
                (self.subst[at], told[at]) = (end, true);
            }
        }
        Ok(())
    }

    fn copy(&mut self, inst: Inst) -> Result<Ref, BuildError> {
        match inst.op {
            // The stack does not become smaller.
            Op::Nop | Op::Room => return Ok(Ref::NONE),
            Op::Sload if self.before_sync => {
                if let Some(s) = self.overlay.iter().find(|s| s.slot == inst.slot()) {
                    let same = self.b.ty(s.value) == inst.base();
                    return if same { Ok(s.value) } else { Err(BuildError::TypeInstability) };
                }
            }
            Op::Sync => self.before_sync = false,
            // What is stored is only the call's.
            Op::Args => self.overlay.retain(|s| s.slot < inst.slot()),
            _ => {}
        }
        emit(self.b, inst.map_refs(|r| if r.is_inst() { self.subst[r.index()] } else { r }))
    }

    fn copy_snapshot(&mut self, number: usize) {
        let Peeling { b, body, subst, overlay, slots, .. } = self;
        let map = |r: Ref| if r.is_inst() { subst[r.index()] } else { r };
        let snapshot = *body.snapshots.get(number);
        let own = body.snapshots.slots(&snapshot);
        slots.clear();
        // Both lists are in ascending order, and so is what comes out.
        let mut carried = overlay.iter().filter(|s| self.before_sync && s.slot < snapshot.top).peekable();
        for s in own {
            while let Some(before) = carried.next_if(|c| c.slot < s.slot) {
                slots.push(*before);
            }
            carried.next_if(|c| c.slot == s.slot);
            slots.push(SlotValue { value: map(s.value), ..*s });
        }
        slots.extend(carried);
        let frames = body.snapshots.frames(&snapshot).iter();
        b.snapshot(snapshot.resume(), slots, frames.map(|f| Frame { function: map(f.function), ..*f }));
    }

    /// Emits a phi for each value of the first iteration that the loop uses and that changes.
    fn phis(&mut self) -> Result<(), BuildError> {
        let (first, loop_at) = (self.body.insts.len(), self.b.ir().loop_index().unwrap_or(0));
        let mut seen = vec![false; first];
        let mut phis = Vec::new();
        let mut work: Vec<Ref> = self.b.ir().insts[loop_at..].iter().flat_map(Inst::refs).collect();
        let snapshots = &self.b.ir().snapshots;
        for snapshot in snapshots.iter().filter(|s| s.at as usize > loop_at) {
            work.extend(snapshots.refs(snapshot));
        }
        while let Some(r) = work.pop() {
            if !r.is_inst() || r.index() >= first || std::mem::replace(&mut seen[r.index()], true) {
                continue;
            }
            let right = self.subst[r.index()];
            if right == r || self.body.inst(r).op == Op::Carg {
                continue;
            }
            // Loads state their type, and everything else has the type of what it is made from.
            debug_assert_eq!(self.b.ty(right), self.b.ty(r));
            phis.push((r, right));
            work.push(right);
        }
        if phis.len() > MAX_PHIS {
            return Err(BuildError::TooManyPhis);
        }
        phis.sort_unstable();
        for (left, right) in phis {
            let ty: Type = self.b.ty(left);
            self.b.emit(Inst::new(Op::Phi, Ty::new(ty), left, right, Ref::NONE))?;
        }
        Ok(())
    }
}
