//! The backward pass.
//!
//! "Behind instruction `at`" is the state that the pass has when it comes to `at`; while it works on `at` it turns this
//! into the state before it. So a value that loses its register on the way is reloaded behind `at`.
#![forbid(unsafe_code)]

mod ends;

use super::constraint::{self, CALL, Shape, Tie, Want};
use super::facts::Facts;
use super::{AllocateError, Allocation, Assigned, Location, Move, Options, Place, Point, Reg, Root};
use crate::code::exit::SPILL_SLOTS;
use crate::code::x64;
use crate::lua::ir::{Class, Effect, Ir, Op, Ref, Type};

/// All registers that may be given out.
const ALL: u32 = 0xffff_0000 | general_mask();

const fn general_mask() -> u32 {
    let mut mask = 0;
    let mut i = 0;
    while i < x64::ALLOCATABLE.len() {
        mask |= 1 << x64::ALLOCATABLE[i];
        i += 1;
    }
    mask
}

const VECTORS: u32 = 0xffff_0000;
/// Free registers that are left for operands when values are only in snapshots.
const RESERVE: u32 = 3;

/// Which registers the start of the loop wants.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Wish {
    registers: Vec<(Ref, Reg)>,
}

impl Wish {
    fn register(&self, r: Ref) -> Option<Reg> {
        self.registers.iter().find(|w| w.0 == r).map(|w| w.1)
    }
}

#[derive(Clone, Copy, Default)]
struct Value {
    reg: Option<Reg>,
    slot: Option<u16>,
    /// The register where it would be welcome.
    hint: Option<Reg>,
}

pub(super) struct Scan<'a> {
    ir: &'a Ir,
    facts: &'a Facts,
    options: Options<'a>,
    wish: &'a Wish,
    values: Vec<Value>,
    /// What each register holds.
    holds: [Ref; 32],
    free: u32,
    /// Registers that the instruction at hand needs.
    locked: u32,
    free_slots: Vec<u16>,
    /// The values that have slots.
    in_slots: Vec<Ref>,
    /// For each instruction's result, the point that has seen it last.
    seen: Vec<u32>,
    points_seen: u32,
    /// The locations of the last point: room that is used again.
    locations: Vec<(Ref, Location)>,
    next_slot: usize,
    /// The pass is in the loop's body.
    in_loop: bool,
    /// Where values are at the end of the loop.
    tail: Vec<(Ref, Reg)>,
    /// Actions behind instructions, the last one first.
    after: Vec<(usize, Move)>,
    out: Allocation,
    next_wish: Wish,
    cost: usize,
    /// Test mode: the state of a generator of random numbers, or 0.
    random: u64,
}

impl<'a> Scan<'a> {
    pub(super) fn new(ir: &'a Ir, facts: &'a Facts, options: Options<'a>, wish: &'a Wish) -> Scan<'a> {
        let out = Allocation {
            insts: vec![Assigned::DEAD; ir.insts.len()],
            after: Vec::new(),
            entry: Vec::new(),
            arguments: Vec::new(),
            back_edge: Vec::new(),
            points: Vec::new(),
            last: None,
            roots: Vec::new(),
            spill_slots: 0,
        };
        // What a side trace inherits in a spill slot stays there: its own slots lie behind.
        let inherited = options.inherited.iter().filter_map(|(_, location)| match location {
            Location::Spill(slot) => Some(usize::from(*slot) + 1),
            Location::Register(_) => None,
        });
        Scan {
            ir,
            facts,
            options,
            wish,
            values: vec![Value::default(); facts.last.len()],
            holds: [Ref::NONE; 32],
            free: ALL,
            locked: 0,
            free_slots: Vec::new(),
            in_slots: Vec::new(),
            seen: vec![0; ir.insts.len()],
            points_seen: 0,
            locations: Vec::new(),
            next_slot: inherited.max().unwrap_or(0),
            in_loop: facts.loop_at.is_some(),
            tail: Vec::new(),
            after: Vec::new(),
            out,
            next_wish: Wish::default(),
            cost: 0,
            random: options.random,
        }
    }

    /// The allocation, what it costs in the loop, and what the next pass should start with.
    pub(super) fn run(mut self) -> Result<(Allocation, usize, Wish), AllocateError> {
        self.inherit_hints()?;
        self.tail();
        for at in (0..self.ir.insts.len()).rev() {
            self.locked = 0;
            match self.ir.insts[at].op {
                Op::Nop | Op::Carg | Op::Phi | Op::Unbuilt => {}
                Op::Pval => self.out.insts[at].live = true,
                Op::Loop => self.head(at),
                _ => self.inst(at),
            }
            if self.next_slot > SPILL_SLOTS {
                return Err(AllocateError::TooManySpills);
            }
        }
        self.entry();
        if self.next_slot > SPILL_SLOTS {
            return Err(AllocateError::TooManySpills);
        }
        self.after.reverse();
        self.out.after = std::mem::take(&mut self.after);
        self.number_points();
        self.out.arguments.reverse();
        self.out.roots.reverse();
        self.out.spill_slots = self.next_slot;
        Ok((self.out, self.cost, self.next_wish))
    }

    /// Points were made from the last to the first.
    fn number_points(&mut self) {
        self.out.points.reverse();
        let last = self.out.points.len().wrapping_sub(1);
        let number = |n: u16| (last - n as usize) as u16;
        for (assigned, inst) in self.out.insts.iter_mut().zip(&self.ir.insts) {
            if assigned.live && inst.needs_snapshot() {
                assigned.exit = number(assigned.exit);
            }
        }
        self.out.last = self.out.last.map(number);
    }

    fn value(&mut self, r: Ref) -> &mut Value {
        let index = self.facts.index(r);
        &mut self.values[index]
    }

    fn get(&self, r: Ref) -> Value {
        self.values[self.facts.index(r)]
    }

    fn class(&self, r: Ref) -> u32 {
        if self.ir.ty(r) == Type::Float { VECTORS } else { !VECTORS }
    }

    // ---- registers and slots

    fn take(&mut self, r: Ref, reg: Reg) {
        debug_assert!(self.free & reg.bit() != 0 && self.get(r).reg.is_none());
        self.free &= !reg.bit();
        self.holds[reg.0 as usize] = r;
        let value = self.value(r);
        value.reg = Some(reg);
        value.hint = Some(reg);
    }

    fn release(&mut self, r: Ref) {
        if let Some(reg) = self.value(r).reg.take() {
            self.free |= reg.bit();
            self.holds[reg.0 as usize] = Ref::NONE;
        }
    }

    fn slot_of(&mut self, r: Ref) -> u16 {
        debug_assert!(r.is_inst());
        if let Some(slot) = self.get(r).slot {
            return slot;
        }
        // What is older than the loop keeps its slot in all of the loop, where free ones may have been used.
        let outer = self.in_loop && self.facts.loop_at.is_some_and(|loop_at| r.index() < loop_at);
        let inherited = self.inherited(r).and_then(|location| match location {
            Location::Spill(slot) => Some(slot),
            Location::Register(_) => None,
        });
        let reused = if outer || self.ir.inst(r).op == Op::Pval { None } else { self.free_slots.pop() };
        let slot = inherited.or(reused).unwrap_or_else(|| {
            self.next_slot += 1;
            (self.next_slot - 1).min(SPILL_SLOTS - 1) as u16
        });
        self.value(r).slot = Some(slot);
        self.in_slots.push(r);
        slot
    }

    /// Where the parent's exit has an inherited value.
    fn inherited(&self, r: Ref) -> Option<Location> {
        let inst = self.ir.inst(r);
        if inst.op != Op::Pval {
            return None;
        }
        self.options.inherited.iter().find(|(parent, _)| *parent == inst.a).map(|(_, location)| *location)
    }

    /// Where the value that loses its register comes from behind `at`.
    fn refill(&mut self, r: Ref) -> Place {
        if r.is_const() { Place::Const(r) } else { Place::Spill(self.slot_of(r)) }
    }

    fn behind(&mut self, at: usize, to: Reg, from: Place) {
        if self.in_loop && self.facts.loop_at.is_some() {
            self.cost += if matches!(from, Place::Spill(_)) { 3 } else { 1 };
        }
        self.after.push((at, Move { to: Place::Reg(to), from }));
    }

    fn evict(&mut self, reg: Reg, at: usize) {
        let r = self.holds[reg.0 as usize];
        if r.is_none() {
            return;
        }
        let from = self.refill(r);
        self.behind(at, reg, from);
        self.release(r);
    }

    /// Makes a fixed register free: what is in it moves to another one if there is one.
    fn vacate(&mut self, reg: Reg, at: usize, exclude: u32) {
        let r = self.holds[reg.0 as usize];
        if r.is_none() {
            return;
        }
        let class = if reg.is_vector() { VECTORS } else { !VECTORS };
        let others = self.free & class & !exclude & !reg.bit();
        if r.is_const() || others == 0 {
            return self.evict(reg, at);
        }
        let other = self.any(others);
        self.release(r);
        self.take(r, other);
        self.behind(at, reg, Place::Reg(other));
    }

    /// The register whose value is best evicted.
    fn victim(&mut self, candidates: u32, at: usize) -> Option<Reg> {
        if self.random != 0 {
            let held = candidates & ALL & !self.free;
            return (held != 0).then(|| self.any(held));
        }
        let held = (0..32).map(Reg).filter(|reg| candidates & reg.bit() != 0 && !self.holds[reg.0 as usize].is_none());
        held.max_by_key(|reg| self.distance(self.holds[reg.0 as usize], at))
    }

    /// How far the previous use of a value is, weighted by what it costs to do without.
    fn distance(&self, r: Ref, at: usize) -> usize {
        let uses = self.facts.uses(self.facts.index(r));
        let before = uses.partition_point(|&u| (u as usize) < at).checked_sub(1).map(|i| uses[i] as usize);
        let loop_at = if self.in_loop { self.facts.loop_at.unwrap_or(0) } else { 0 };
        let outer = r.is_const() || r.index() < loop_at;
        let far = 2 * self.ir.insts.len();
        let distance = match before {
            Some(before) if !self.in_loop || before > loop_at => at - before,
            _ if self.in_loop && outer => at - loop_at + far,
            _ if r.is_const() => at,
            _ => at.saturating_sub(r.index()),
        };
        match (r.is_const(), self.in_loop && outer && !self.facts.is_left[self.facts.index(r)]) {
            (true, _) => 6 * distance,
            (false, true) => 4 * distance,
            (false, false) => 2 * distance,
        }
    }

    /// Takes a register for `r` among `allowed`, evicting if need be.
    fn allocate(&mut self, r: Ref, hint: Option<Reg>, allowed: u32, at: usize) -> Option<Reg> {
        let allowed = allowed & self.class(r) & ALL & !self.locked;
        if self.free & allowed == 0 {
            let victim = self.victim(allowed, at)?;
            self.evict(victim, at);
        }
        let reg = self.pick(r, hint, self.free & allowed)?;
        self.take(r, reg);
        Some(reg)
    }

    /// The best of some free registers.
    fn pick(&mut self, r: Ref, hint: Option<Reg>, free: u32) -> Option<Reg> {
        if free == 0 {
            return None;
        }
        if self.random != 0 {
            return Some(self.any(free));
        }
        let from_call = match r.is_inst().then(|| self.ir.inst(r)) {
            Some(inst) if inst.op == Op::Call && self.ir.ty(r) == Type::Float => Some(Reg::vector(0)),
            Some(inst) if inst.op == Op::Call => Some(Reg(x64::RESULT)),
            _ => None,
        };
        let known = [hint, self.get(r).hint, self.wish.register(r), from_call];
        if let Some(reg) = known.into_iter().flatten().find(|reg| free & reg.bit() != 0) {
            return Some(reg);
        }
        let survivors = free & !CALL;
        let preferred = match self.facts.crosses_call(r) {
            true if survivors != 0 => survivors,
            false if free & CALL != 0 => free & CALL,
            _ => free,
        };
        // Leave alone what others are known to want.
        let unwanted = self.wish.registers.iter().fold(preferred, |mask, (_, reg)| mask & !reg.bit());
        let from = if unwanted != 0 { unwanted } else { preferred };
        Some(Reg(from.trailing_zeros() as u8))
    }

    /// One register of a mask that is not empty: the first, or in test mode any (by xorshift64).
    fn any(&mut self, mut mask: u32) -> Reg {
        if self.random != 0 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            for _ in 0..(self.random >> 32) as u32 % mask.count_ones() {
                mask &= mask - 1;
            }
        }
        Reg(mask.trailing_zeros() as u8)
    }

    // ---- one instruction

    fn inst(&mut self, at: usize) {
        let ir = self.ir;
        let inst = &ir.insts[at];
        let r = Ref::inst(at);
        let value = self.get(r);
        let wanted = value.reg.is_some() || value.slot.is_some();
        let effects = inst.ty.is_guard() || !matches!(inst.op.effect(), Effect::Pure | Effect::Load(_));
        if !effects && !wanted {
            return;
        }
        let shape = constraint::shape(ir, inst, self.options.features);
        let mut assigned = Assigned { live: true, store: value.slot, ..Assigned::DEAD };
        assigned.dst = self.result(r, at, &shape, wanted && inst.has_result());
        if self.in_loop && value.slot.is_some() {
            self.cost += 2;
        }
        let dst = assigned.dst.map_or(0, Reg::bit);
        self.clobber(at, &shape, dst);
        if inst.op == Op::Sync {
            self.root(at);
        }
        let calls_helper = inst.op == Op::Call && !constraint::is_in_place(ir, inst);
        if calls_helper {
            if inst.needs_snapshot() {
                // It is left when the call has been made: the registers of its arguments hold them no more.
                assigned.exit = self.point(at, shape.call);
            }
            self.arguments(at);
        } else {
            self.operands(at, &shape, dst, &mut assigned);
        }
        let taken = self.temps(at, &shape, dst, &mut assigned);
        if inst.needs_snapshot() && !calls_helper {
            let early = if shape.tie == Tie::Early { dst } else { 0 };
            let calls = if inst.op == Op::Sync { 0 } else { shape.call };
            assigned.exit = self.point(at, taken | early | calls | shape.clobbers);
        }
        // Not before: what is reloaded behind the instruction is so after the result was stored.
        if let Some(slot) = value.slot {
            self.free_slots.push(slot);
            self.in_slots.retain(|other| *other != r);
        }
        self.out.insts[at] = assigned;
    }

    /// Where the result goes; its register is free for the operands.
    fn result(&mut self, r: Ref, at: usize, shape: &Shape, wanted: bool) -> Option<Reg> {
        if !wanted && !shape.needs_dst {
            return None;
        }
        let reg = match self.get(r).reg {
            Some(reg) => reg,
            None => self.allocate(r, shape.fixed, !0, at)?,
        };
        self.release(r);
        Some(reg)
    }

    fn clobber(&mut self, at: usize, shape: &Shape, dst: u32) {
        let clobbers = shape.call | shape.clobbers;
        let mut held = clobbers & !self.free & ALL & !dst;
        while held != 0 {
            let reg = Reg(held.trailing_zeros() as u8);
            held &= held - 1;
            self.vacate(reg, at, clobbers | dst);
        }
    }

    fn operands(&mut self, at: usize, shape: &Shape, dst: u32, assigned: &mut Assigned) {
        let mut operands = shape.operands;
        if shape.commutes && self.get(operands[0]).reg.is_some() && self.get(operands[1]).reg.is_none() {
            let second = operands[1];
            // The one that dies here can share the result's register.
            if second.is_inst() && self.get(second).slot.is_none() {
                operands.swap(0, 1);
            }
        }
        for (operand, want) in operands.into_iter().zip(shape.wants) {
            if want != Want::No && !operand.is_none() {
                self.locked |= self.get(operand).reg.map_or(0, Reg::bit);
            }
        }
        #[expect(clippy::needless_range_loop, reason = "the number tells the first operand, which others are tied to")]
        for n in 0..3 {
            let first = n == 0;
            let (hint, mut exclude) = match shape.tie {
                Tie::No => (None, 0),
                Tie::Hint => (assigned.dst.filter(|_| first), 0),
                Tie::Strict if first => (assigned.dst, 0),
                Tie::Strict | Tie::Early => (None, dst),
            };
            exclude |= shape.clobbers;
            let hint = if first { shape.first_may.or(hint) } else { hint };
            if first && let Some(reg) = shape.first_may {
                exclude &= !reg.bit();
            }
            assigned.src[n] = self.operand(operands[n], shape.wants[n], hint, exclude, at);
        }
    }

    fn operand(&mut self, r: Ref, want: Want, hint: Option<Reg>, exclude: u32, at: usize) -> Place {
        if want == Want::No || r.is_none() {
            return Place::None;
        }
        if r.is_const() {
            let direct = match want {
                Want::Mem => true,
                Want::Imm => constraint::fits_immediate(self.ir, r),
                Want::Index => constraint::fits_index(self.ir, r),
                Want::Reg | Want::No => false,
            };
            if direct {
                return Place::Const(r);
            }
        }
        if let Some(reg) = self.get(r).reg {
            return Place::Reg(reg);
        }
        let nothing_free = self.free & self.class(r) & ALL & !self.locked & !exclude == 0;
        if nothing_free && want == Want::Mem && r.is_inst() {
            if self.in_loop {
                self.cost += 1;
            }
            return Place::Spill(self.slot_of(r));
        }
        match self.allocate(r, hint, !exclude, at) {
            Some(reg) => {
                self.locked |= reg.bit();
                Place::Reg(reg)
            }
            // Not with the number of registers that there are and of operands that an instruction has.
            None => Place::None,
        }
    }

    fn arguments(&mut self, at: usize) {
        let args = self.ir.call_args(&self.ir.insts[at]);
        let (mut generals, mut vectors) = (1, 0);
        let mut moves = Vec::with_capacity(args.len());
        for &arg in args.iter() {
            self.locked |= self.get(arg).reg.map_or(0, Reg::bit);
        }
        for &arg in args.iter() {
            let to = if self.ir.ty(arg) == Type::Float {
                vectors += 1;
                Reg::vector(vectors - 1)
            } else {
                generals += 1;
                Reg(x64::ARGUMENTS[generals - 1])
            };
            let from = self.operand(arg, Want::Mem, Some(to), 0, at);
            moves.push(Move { to: Place::Reg(to), from });
        }
        self.out.arguments.push((at, moves));
    }

    /// Registers for use by the instruction alone. Answers their mask.
    fn temps(&mut self, at: usize, shape: &Shape, dst: u32, assigned: &mut Assigned) -> u32 {
        let mut taken = 0;
        let exclude = self.locked | dst | shape.clobbers;
        for (needed, class, place) in
            [(shape.temp, !VECTORS, &mut assigned.temp), (shape.vector_temp, VECTORS, &mut assigned.vector_temp)]
        {
            if needed {
                let allowed = ALL & class & !exclude;
                if self.free & allowed == 0
                    && let Some(victim) = self.victim(allowed, at)
                {
                    self.evict(victim, at);
                }
                let free = self.free & allowed;
                *place = self.any(if free & CALL != 0 { free & CALL } else { free });
                taken |= place.bit();
            }
        }
        if shape.clobbers != 0 && shape.call != 0 {
            assigned.temp = Reg(shape.clobbers.trailing_zeros() as u8);
        }
        taken
    }

    /// Notes where the values of the snapshot are that applies at `at`. Those without a place get one, but none of the
    /// registers in `forbidden`.
    fn point(&mut self, at: usize, forbidden: u32) -> u16 {
        let ir = self.ir;
        let snapshot = self.facts.snapshots[at].map_or(0, usize::from);
        self.locations.clear();
        self.points_seen += 1;
        if snapshot < ir.snapshots.len() {
            ir.located(ir.snapshots.get(snapshot)).for_each(|r| self.locate(r, forbidden));
        }
        let synced = self.facts.synced.get(at).copied().unwrap_or(false);
        let is_exit = ir.insts.get(at).is_some_and(|inst| inst.op != Op::Sync);
        let same = |p: &Point| p.snapshot == snapshot && p.synced == synced && p.locations == self.locations;
        if !is_exit || self.options.separate_exits || !self.out.points.last().is_some_and(same) {
            self.out.points.push(Point { snapshot, locations: self.locations.clone(), synced });
        }
        self.out.points.len() as u16 - 1
    }

    /// Adds the place of a value to those of the point at hand.
    fn locate(&mut self, r: Ref, forbidden: u32) {
        let seen = &mut self.seen[r.index()];
        if std::mem::replace(seen, self.points_seen) != self.points_seen {
            let location = self.location(r, forbidden);
            self.locations.push((r, location));
        }
    }

    fn location(&mut self, r: Ref, forbidden: u32) -> Location {
        let value = self.get(r);
        if let Some(reg) = value.reg {
            return Location::Register(reg);
        }
        if let Some(slot) = value.slot {
            return Location::Spill(slot);
        }
        let free = self.free & self.class(r) & !forbidden & !self.locked & ALL;
        if free.count_ones() > RESERVE
            && let Some(reg) = self.pick(r, None, free)
        {
            self.take(r, reg);
            return Location::Register(reg);
        }
        Location::Spill(self.slot_of(r))
    }

    /// Gives each reference that lives across a full call a slot where the collector finds it.
    fn root(&mut self, at: usize) {
        let call = self.ir.insts[at..].iter().find(|i| i.op == Op::Call);
        if call.is_none_or(|call| self.ir.helper(call).class != Class::Full) {
            return;
        }
        let mut alive: Vec<Ref> = self.holds.into_iter().filter(|r| r.is_inst()).collect();
        alive.extend(&self.in_slots);
        if self.in_loop {
            alive.extend(&self.facts.invariants);
        }
        alive.retain(|r| r.index() < at && self.ir.ty(*r).is_object());
        alive.sort_unstable();
        alive.dedup();
        let roots = alive.into_iter().map(|r| Root { slot: self.slot_of(r), ty: self.ir.ty(r) }).collect();
        self.out.roots.push((at, roots));
    }
}
