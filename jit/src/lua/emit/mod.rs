//! Emission: goes through a trace forwards with its register table and assembles machine code.
//!
//! ```text
//! entry moves | instructions ... loop: ... | back edge, link or exit | cold code | exit stubs | constants
//! ```
//!
//! A guard is a comparison and a `jcc rel32` to its exit's stub; where those jumps are is noted, so that they can be turned to
//! a side trace. Code that is seldom run lies behind the trace and comes back to it.
//!
//! | file | what |
//! | --- | --- |
//! | `arithmetic` | numbers |
//! | `memory` | loads and stores, the write barrier |
//! | `objects` | new tables, cells and functions |
//! | `guard` | comparisons, interrupt and collection checks, exits |
//! | `call` | calls of helpers, the stores and frames of full calls |
//! | `frames` | the ends of traces that go on in another frame |
//! | `moves` | between registers and spill slots |
//! | `thunks` | what all traces of an arena share |
#![forbid(unsafe_code)]

mod arithmetic;
mod call;
mod frames;
mod guard;
mod memory;
mod moves;
mod objects;
pub mod thunks;

use crate::code::encode::{self, Group1, Mem, Rm, op};
use crate::code::exit::{emit_stubs, stubs_bound};
use crate::code::trampoline::Trampoline;
use crate::code::x64::{self, Assembler};
use crate::lua::allocate::moves::{Step, order};
use crate::lua::allocate::{Allocation, Assigned, Features, Move, Place, Reg};
use crate::lua::ir::{Const, Ir, Link, Op, Ref, Type};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use perilune_runtime::lua::layout;
use thunks::Thunks;

/// How a trace leaves the trampoline when no exit restores frames: in the upper half of rax, above the trace's number.
pub mod leave {
    /// An exit has restored the frames.
    pub const EXIT: u32 = 0;
    /// All slots were stored at the end of the trace, but the trace that it led to is gone.
    pub const LINK: u32 = 1;
    /// All slots were stored at the end of a trace that returns, and nothing compiled goes on there.
    pub const RETURN: u32 = 2;
    /// Another coroutine runs, or the same one, behind a call that was executed, and nothing compiled goes on there.
    pub const SWITCHED: u32 = 3;
    /// An exit of a trace that nobody knows.
    pub const NOWHERE: u64 = u64::MAX;
}

/// What a trace's code depends on beside its IR and registers.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// How code is left.
    pub trampoline: &'a Trampoline,
    /// Code that traces share.
    pub thunks: &'a Thunks,
    /// The trace's number.
    pub number: u32,
    /// Bytecode instructions that were executed when its end is reached.
    pub work: u32,
    /// The address of the word that asks for an interrupt.
    pub interrupt: usize,
    /// The entry of the trace that this one leads to.
    pub link: Option<usize>,
    /// The functions for frames around full calls.
    pub frames: FrameHelpers,
    /// The address of the cache of places to return to.
    pub returns: usize,
    /// What the processor can do.
    pub features: Features,
    /// A debugger is to see each frame: none is pushed in place.
    pub shows_frames: bool,
    /// Test mode: the address of a byte for each point, set when the point's guard is reached.
    pub reached: Option<usize>,
    /// The address of two words that count, for the trace viewer: how often the trace is come to, and rounds of its loop.
    pub counts: Option<usize>,
}

/// Addresses of the functions that make frames stand.
#[derive(Clone, Copy, Debug)]
pub struct FrameHelpers {
    /// `(state, trace, point) -> base`: pushes the point's frames for good.
    pub push: usize,
    /// `(state, first, count) -> (code, base)`: returns from the top frame, if there is code that goes on.
    pub leave: usize,
    /// `(state, register, arguments, wanted, pc) -> (code, base or what else)`: executes a call that switches coroutines.
    pub switch: usize,
}

/// A jump to an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// The exit: the number of its point.
    pub exit: u16,
    /// The offset of the displacement.
    pub offset: usize,
    /// When it jumps; always if there is none.
    pub condition: Option<x64::Condition>,
    /// Whether tests may make it jump always.
    pub can_be_forced: bool,
}

/// Where things are in the code of a trace: offsets from its start.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The jumps to exits, in order.
    pub sites: Vec<Site>,
    /// The exits' stubs.
    pub stubs: Vec<u32>,
    /// The jump to the next trace: the offset of its displacement and of the code that leaves instead.
    pub link: Option<(usize, usize)>,
    /// Where each instruction's code starts.
    pub insts: Vec<u32>,
    /// Where the trace's own code ends and cold code, stubs and constants begin.
    pub end: usize,
}

impl Layout {
    /// Where an instruction's code starts; behind the last one, where the trace's own code ends.
    pub fn offset(&self, at: usize) -> usize {
        self.insts.get(at).map_or(self.end, |start| *start as usize)
    }
}

/// Bytes that the code of a trace may take.
pub fn bound(ir: &Ir, allocation: &Allocation, stress: bool) -> usize {
    let entries: usize = allocation.points.iter().map(|p| p.locations.len()).sum();
    let moves = allocation.after.len() + allocation.entry.len() + allocation.back_edge.len() + entries;
    let inst = if stress { 96 } else { 80 };
    let made = ir.insts.iter().filter(|inst| ir.made(inst).is_some()).count();
    1024 + made * 256 + ir.insts.len() * inst + moves * 24 + ir.consts.len() * 8 + stubs_bound(allocation.points.len())
}

/// Emits the code of a trace.
pub fn emit(asm: &mut Assembler, ir: &Ir, allocation: &Allocation, surroundings: Surroundings<'_>) -> Layout {
    let exits = allocation.points.iter().map(|_| asm.new_dynamic_label()).collect();
    let mut emitter = Emitter {
        asm,
        ir,
        allocation,
        around: surroundings,
        exits,
        pool: Vec::new(),
        cold: Vec::new(),
        layout: Layout {
            insts: Vec::with_capacity(ir.insts.len()),
            sites: Vec::with_capacity(allocation.points.len()),
            ..Layout::default()
        },
        can_be_forced: false,
        synced: 0,
    };
    emitter.trace();
    emitter.layout
}

/// Emits code that moves values and goes on elsewhere.
pub fn adapter(asm: &mut Assembler, moves: &[Move], target: usize) {
    for step in order(moves) {
        moves::step(asm, step);
    }
    x64::jump_to(asm, target);
}

struct Emitter<'a> {
    asm: &'a mut Assembler,
    ir: &'a Ir,
    allocation: &'a Allocation,
    around: Surroundings<'a>,
    exits: Vec<DynamicLabel>,
    /// Constants in memory.
    pool: Vec<(u64, DynamicLabel)>,
    cold: Vec<Cold>,
    layout: Layout,
    /// Whether tests may make the guard at hand fail.
    can_be_forced: bool,
    /// The point at which the slots were stored for the full call that comes next.
    synced: u16,
}

/// Code that is seldom run.
enum Cold {
    /// Tells the collector that an object it has seen was changed.
    Barrier { object: u8, here: DynamicLabel, back: DynamicLabel },
    /// Finds more free cells.
    Refill { request: i32, cell: u8, here: DynamicLabel, back: DynamicLabel },
}

impl Emitter<'_> {
    fn trace(&mut self) {
        self.count(0);
        self.moves(&self.allocation.entry);
        let mut after = 0;
        let mut loop_start = None;
        for at in 0..self.ir.insts.len() {
            self.layout.insts.push(self.asm.offset().0 as u32);
            let assigned = self.allocation.insts[at];
            if assigned.live {
                if self.ir.insts[at].op == Op::Loop {
                    self.asm.align(16, 0x90);
                    let label = self.asm.new_dynamic_label();
                    self.asm.dynamic_label(label);
                    loop_start = Some(label);
                    self.count(1);
                } else {
                    self.inst(at, &assigned);
                }
                if let (Some(slot), Some(reg)) = (assigned.store, assigned.dst) {
                    self.copy(Place::Spill(slot), Place::Reg(reg));
                }
            }
            while let Some((_, m)) = self.allocation.after.get(after).filter(|(behind, _)| *behind == at) {
                self.copy(m.to, m.from);
                after += 1;
            }
        }
        match loop_start {
            Some(label) => {
                self.moves(&self.allocation.back_edge);
                x64::jump(self.asm, label);
            }
            None => self.end(),
        }
        self.layout.end = self.asm.offset().0;
        self.cold_code();
        self.layout.stubs = emit_stubs(self.asm, self.around.trampoline, self.around.number, &self.exits);
        self.asm.align(8, 0xcc);
        for (bits, label) in std::mem::take(&mut self.pool) {
            self.asm.dynamic_label(label);
            self.asm.push_u64(bits);
        }
    }

    /// Counts, where no flags are alive.
    fn count(&mut self, what: usize) {
        if let Some(words) = self.around.counts {
            encode::push(self.asm, Rm::Reg(x64::RESULT));
            encode::mov_imm(self.asm, x64::RESULT, (words + what * size_of::<u64>()) as u64);
            encode::group1(self.asm, Group1::Add, Rm::Mem(Mem::at(x64::RESULT, 0)), 1);
            encode::pop(self.asm, Rm::Reg(x64::RESULT));
        }
    }

    fn leave(&mut self, how: u32) {
        encode::mov_imm(self.asm, x64::RESULT, u64::from(how) << 32 | u64::from(self.around.number));
        x64::jump_to(self.asm, self.around.trampoline.leave());
    }

    /// The end of a trace that does not loop.
    fn end(&mut self) {
        let Some(point) = self.allocation.last else { return };
        if self.ir.link.leads_on() {
            let done = Rm::Mem(Mem::at(x64::CONTEXT, layout::STATE_WORK as i32));
            encode::group1(self.asm, Group1::Add, done, self.around.work as i32);
        }
        if let (Some(_), Some(target)) = (self.ir.link.target(), self.around.link) {
            self.store_slots(point, x64::RESULT);
            let no_room = match self.ir.link {
                Link::TailCall(_) => self.note_tail_call(),
                _ => self.push_frames(point),
            };
            let site = x64::jump_to(self.asm, target);
            let leave = self.asm.offset().0;
            if let Some(no_room) = no_room {
                self.asm.dynamic_label(no_room);
            }
            self.leave(leave::LINK);
            self.layout.link = Some((site, leave));
        } else if let Link::Return { first, count } = self.ir.link {
            self.return_to_caller(point, first, count);
            self.leave(leave::RETURN);
        } else if let Link::Switch { register, arguments, wanted } = self.ir.link {
            self.store_slots(point, x64::RESULT);
            let no_room = self.push_frames(point);
            self.switch(point, (register, arguments, wanted));
            if let Some(no_room) = no_room {
                self.asm.dynamic_label(no_room);
            }
            self.leave(leave::LINK);
        } else {
            let site = x64::jump(self.asm, self.exits[point as usize]);
            self.layout.sites.push(Site { exit: point, offset: site, condition: None, can_be_forced: false });
        }
    }

    fn inst(&mut self, at: usize, assigned: &Assigned) {
        let inst = &self.ir.insts[at];
        self.can_be_forced = self.ir.can_be_forced(inst);
        match inst.op {
            Op::Nop | Op::Carg | Op::Phi | Op::Pval | Op::Unbuilt | Op::Loop => {}
            op if op.is_compare() => self.compare(inst, assigned),
            Op::F2i => self.float_to_int(inst, assigned),
            Op::I2f => self.int_to_float(assigned),
            Op::Padd => self.add(assigned),
            Op::Call => match self.ir.made(inst) {
                Some(made) => self.make(inst, made, assigned),
                None => self.call(at, inst, assigned),
            },
            Op::Sync => self.sync(assigned),
            Op::Args => self.store_slots_from(inst.slot(), assigned.exit, assigned.temp.number()),
            Op::Unsync => self.unsync(),
            Op::Gcstep => self.collection_check(assigned),
            Op::Interrupt => self.interrupt_check(assigned),
            Op::Room => self.room_check(inst, assigned),
            Op::Line => self.asm.push(0x90),
            Op::Sload
            | Op::Fload
            | Op::Fstore
            | Op::Upval
            | Op::Ustore
            | Op::Aload
            | Op::Astore
            | Op::Atag
            | Op::Asettag
            | Op::Vload
            | Op::Vstore
            | Op::Vtag
            | Op::Cload
            | Op::Cstore
            | Op::Ctag
            | Op::Byte
            | Op::Barrier => self.memory(inst, assigned),
            _ if inst.base() == Type::Float => self.float_arithmetic(inst, assigned),
            _ => self.int_arithmetic(inst, assigned),
        }
    }

    fn cold_code(&mut self) {
        for cold in std::mem::take(&mut self.cold) {
            match cold {
                Cold::Barrier { object, here, back } => {
                    self.asm.dynamic_label(here);
                    encode::push(self.asm, Rm::Reg(object));
                    self.call_to(self.around.thunks.barrier);
                    x64::jump(self.asm, back);
                }
                Cold::Refill { request, cell, here, back } => {
                    self.asm.dynamic_label(here);
                    encode::push_imm(self.asm, request);
                    self.call_to(self.around.thunks.refill);
                    encode::pop(self.asm, Rm::Reg(cell));
                    x64::jump(self.asm, back);
                }
            }
        }
    }

    // ---- places

    /// The label of a constant in memory.
    fn pooled(&mut self, bits: u64) -> Rm {
        if let Some((_, label)) = self.pool.iter().find(|(known, _)| *known == bits) {
            return Rm::Label(*label);
        }
        let label = self.asm.new_dynamic_label();
        self.pool.push((bits, label));
        Rm::Label(label)
    }

    fn payload(&self, r: Ref) -> u64 {
        self.ir.constant(r).map_or(0, Const::payload)
    }

    /// The constant as an immediate, if the place is one that fits.
    fn immediate(&self, place: Place) -> Option<i32> {
        match place {
            Place::Const(r) => i32::try_from(self.payload(r) as i64).ok(),
            _ => None,
        }
    }

    /// An operand as register or memory.
    fn operand(&mut self, place: Place) -> Rm {
        match place {
            Place::Reg(reg) => Rm::Reg(reg.number()),
            Place::Spill(slot) => moves::spill(slot),
            Place::Const(r) => {
                let bits = self.payload(r);
                self.pooled(bits)
            }
            Place::None => unreachable!("the allocation lists the operands of each operation"),
        }
    }

    /// The register of an operand that must be in one.
    fn reg(place: Place) -> u8 {
        match place {
            Place::Reg(reg) => reg.number(),
            _ => unreachable!("the allocation gives these operands registers"),
        }
    }

    /// The register of a result that is always there.
    fn dst(assigned: &Assigned) -> Reg {
        assigned.dst.unwrap_or_else(|| unreachable!("what has no effect and no reader is not emitted"))
    }

    /// Copies a value. Leaves the flags alone.
    fn copy(&mut self, to: Place, from: Place) {
        match (to, from) {
            (Place::Reg(to), Place::Const(r)) => self.constant(to, r),
            (Place::Spill(_), Place::Const(_)) => {
                let rm = self.operand(from);
                encode::push(self.asm, rm);
                let rm = self.operand(to);
                encode::pop(self.asm, rm);
            }
            _ => moves::copy(self.asm, to, from),
        }
    }

    /// Makes a constant in a register.
    fn constant(&mut self, to: Reg, r: Ref) {
        let bits = self.payload(r);
        if !to.is_vector() {
            encode::mov_imm(self.asm, to.number(), bits);
        } else if bits == 0 {
            encode::rm(self.asm, op::XORPS, to.number(), Rm::Reg(to.number()));
        } else {
            let rm = self.pooled(bits);
            encode::rm(self.asm, op::MOVSD, to.number(), rm);
        }
    }

    /// Makes moves that happen all at once.
    fn moves(&mut self, moves: &[Move]) {
        for step in order(moves) {
            match step {
                Step::Move(m) => self.copy(m.to, m.from),
                step => moves::step(self.asm, step),
            }
        }
    }
}
