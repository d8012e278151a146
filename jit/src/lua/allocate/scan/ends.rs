//! The ends of a pass: the end of the trace, the start of its loop, the start of the trace.
#![forbid(unsafe_code)]

use super::Scan;
use crate::code::x64;
use crate::lua::allocate::{AllocateError, END_TEMPS, Location, Move, Place, Reg};
use crate::lua::ir::{Op, Ref};

impl Scan<'_> {
    /// The state at the end of the trace.
    pub(super) fn tail(&mut self) {
        if self.facts.loop_at.is_none() {
            let forbidden = Reg(x64::RESULT).bit() | END_TEMPS.iter().fold(0, |bits, r| bits | Reg(*r).bit());
            self.out.last = Some(self.point(self.ir.insts.len(), forbidden));
            return;
        }
        let (wish, facts) = (self.wish, self.facts);
        for &(r, reg) in &wish.registers {
            if !facts.is_left[facts.index(r)] && self.free & reg.bit() != 0 {
                self.take(r, reg);
            }
        }
        for &(left, right) in &facts.phis {
            if right.is_const() || self.get(right).reg.is_some() {
                continue;
            }
            let free = self.free & self.class(right);
            match self.pick(right, wish.register(left), free) {
                Some(reg) => {
                    self.take(right, reg);
                    self.value(left).hint = Some(reg);
                }
                None => {
                    self.slot_of(right);
                }
            }
        }
        self.tail = self.held();
    }

    /// All values in registers.
    fn held(&self) -> Vec<(Ref, Reg)> {
        (0..32).map(Reg).map(|reg| (self.holds[reg.0 as usize], reg)).filter(|(r, _)| !r.is_none()).collect()
    }

    /// The start of the loop: notes what must be moved at its end.
    pub(super) fn head(&mut self, at: usize) {
        self.out.insts[at].live = true;
        let held = self.held();
        self.next_wish.registers = held.clone();
        let mut moves = Vec::new();
        for &(r, reg) in &held {
            if r.is_const() || !self.facts.is_left[self.facts.index(r)] {
                let from = self.at_tail(r);
                moves.push(Move { to: Place::Reg(reg), from });
            }
        }
        for &(left, right) in &self.facts.phis {
            let value = self.get(left);
            if value.reg.is_none() && value.slot.is_none() {
                continue;
            }
            let from = self.at_tail(right);
            let slot = value.slot.map(Place::Spill);
            let targets = value.reg.map(Place::Reg).into_iter().chain(slot);
            moves.extend(targets.map(|to| Move { to, from }));
        }
        moves.retain(|m| m.to != m.from);
        for m in &moves {
            let memory = [m.to, m.from].iter().filter(|p| matches!(p, Place::Spill(_))).count();
            self.cost += 1 + 2 * memory;
        }
        self.out.back_edge = moves;
        self.in_loop = false;
    }

    /// Where a value is at the end of the loop.
    fn at_tail(&mut self, r: Ref) -> Place {
        match self.tail.iter().find(|t| t.0 == r) {
            Some((_, reg)) => Place::Reg(*reg),
            None => self.refill(r),
        }
    }

    pub(super) fn inherit_hints(&mut self) -> Result<(), AllocateError> {
        for (at, inst) in self.ir.insts.iter().enumerate().filter(|(_, inst)| inst.op == Op::Pval) {
            match self.inherited(Ref::inst(at)) {
                None => return Err(AllocateError::NotInherited(inst.a)),
                Some(Location::Register(reg)) => self.value(Ref::inst(at)).hint = Some(reg),
                Some(Location::Spill(_)) => {}
            }
        }
        Ok(())
    }

    /// The state at the start of the trace.
    pub(super) fn entry(&mut self) {
        let mut moves = Vec::new();
        for (r, reg) in self.held() {
            if r.is_const() {
                moves.push(Move { to: Place::Reg(reg), from: Place::Const(r) });
            }
        }
        for (at, inst) in self.ir.insts.iter().enumerate().filter(|(_, inst)| inst.op == Op::Pval) {
            let value = self.get(Ref::inst(at));
            if let Some((_, location)) = self.options.inherited.iter().find(|(parent, _)| *parent == inst.a) {
                let from = Place::from(*location);
                moves.extend(value.reg.map(|reg| Move { to: Place::Reg(reg), from }));
                moves.extend(value.slot.map(|slot| Move { to: Place::Spill(slot), from }));
            }
        }
        moves.retain(|m| m.to != m.from);
        self.out.entry = moves;
    }
}
