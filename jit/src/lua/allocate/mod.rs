//! Register allocation: gives each value of a trace a register or a spill slot at each point.
//!
//! One pass goes over the linear trace backwards ([`scan`]), so that a value is met at its last use, where it gets a
//! register, and left at its definition. A value is in at most one register at a time. When a register is wanted and
//! none is free, the value whose previous use is farthest loses its own: behind the instruction it is reloaded, and at
//! its definition it is stored in a spill slot, once (SSA). Constants are made again instead.
//!
//! A call takes all registers that a callee may change: whatever lives across it is in a spill slot or a callee-saved
//! register meanwhile, and the exits of that stretch say so, since each exit notes where the values of its snapshot are.
//!
//! *Loops.* The pass starts at the end of the loop without knowing what the loop's start will want in which register. So
//! it is made several times: each time the registers at the loop's start become the registers at its end, and the
//! cheapest result is taken. What still differs is moved at the back edge. In small loops nothing is left to move.
//!
//! *Side traces* start with their values where the parent's exit left them.
//!
//! The result is a table that says for each instruction where its operands are and where its result goes, and what is
//! reloaded behind it; the emitter goes through it forwards.
#![forbid(unsafe_code)]

pub mod constraint;
mod facts;
pub mod moves;
mod scan;

use crate::code::x64;
use crate::lua::ir::{Ir, Ref, Type};
use std::fmt;

/// Registers that are free at the end of a trace that does not loop, beside the one for results: what its snapshot needs is
/// elsewhere.
pub const END_TEMPS: [u8; 3] = [x64::ARGUMENTS[3], x64::ARGUMENTS[2], x64::ARGUMENTS[1]];

/// A machine register: 0 to 15 are general registers by their hardware numbers, 16 to 31 vector registers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reg(pub u8);

impl Reg {
    /// A vector register.
    pub const fn vector(number: u8) -> Reg {
        Reg(16 + number)
    }
    /// Whether it is a vector register.
    pub const fn is_vector(self) -> bool {
        self.0 >= 16
    }
    /// The number by which instructions name it.
    pub const fn number(self) -> u8 {
        self.0 & 15
    }
    /// Its bit in a mask of all 32.
    pub const fn bit(self) -> u32 {
        1 << self.0
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_vector() {
            write!(f, "xmm{}", self.number())
        } else {
            f.write_str(x64::GENERAL_NAMES[self.0 as usize])
        }
    }
}

/// Where a value is at an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// In a register.
    Register(Reg),
    /// In a spill slot.
    Spill(u16),
}

/// Where a value is among those that have places.
pub fn location_of(places: &[(Ref, Location)], r: Ref) -> Option<Location> {
    places.iter().find(|(known, _)| *known == r).map(|(_, location)| *location)
}

impl From<Location> for Place {
    fn from(location: Location) -> Place {
        match location {
            Location::Register(reg) => Place::Reg(reg),
            Location::Spill(slot) => Place::Spill(slot),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Register(reg) => write!(f, "{reg}"),
            Location::Spill(slot) => write!(f, "spill{slot}"),
        }
    }
}

/// Where an operand comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// There is no operand.
    None,
    /// A register.
    Reg(Reg),
    /// A spill slot.
    Spill(u16),
    /// A constant: immediate, or from the pool.
    Const(Ref),
}

/// A copy to a register or spill slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Where to.
    pub to: Place,
    /// Where from.
    pub from: Place,
}

/// What is known of an instruction's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assigned {
    /// Whether it is emitted at all.
    pub live: bool,
    /// Where the result goes.
    pub dst: Option<Reg>,
    /// The spill slot where the result is stored as well.
    pub store: Option<u16>,
    /// The operands. Commutative operations may have them in the other order; float `min` and `max` always have.
    pub src: [Place; 3],
    /// A general register that is free for use.
    pub temp: Reg,
    /// A vector register that is free for use.
    pub vector_temp: Reg,
    /// The number of its exit, for whatever reads a snapshot.
    pub exit: u16,
}

impl Assigned {
    const DEAD: Assigned = Assigned {
        live: false,
        dst: None,
        store: None,
        src: [Place::None; 3],
        temp: Reg(0),
        vector_temp: Reg(16),
        exit: 0,
    };
}

/// A place where a snapshot is read: by an exit, or by code that stores its slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
    /// The snapshot's number.
    pub snapshot: usize,
    /// Where its values are; constants are left out.
    pub locations: Vec<(Ref, Location)>,
    /// Whether the frames of the last `sync` stand.
    pub synced: bool,
}

/// A reference that lives across a full call: the collector finds it in its spill slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// The slot.
    pub slot: u16,
    /// The object's type.
    pub ty: Type,
}

/// The allocation of a whole trace. Positions are indices of instructions.
#[derive(Clone, Debug)]
pub struct Allocation {
    /// For each instruction.
    pub insts: Vec<Assigned>,
    /// What to do behind instructions, in order.
    pub after: Vec<(usize, Move)>,
    /// What to do first, all at once: the values that a side trace inherits; constants.
    pub entry: Vec<Move>,
    /// The arguments of calls, to be moved all at once.
    pub arguments: Vec<(usize, Vec<Move>)>,
    /// What to do before going back to the loop's start, all at once.
    pub back_edge: Vec<Move>,
    /// The exits and the other points that read snapshots.
    pub points: Vec<Point>,
    /// The point at the end of a trace that does not loop.
    pub last: Option<u16>,
    /// For each `sync`, the references that live across the call.
    pub roots: Vec<(usize, Vec<Root>)>,
    /// How many spill slots are in use.
    pub spill_slots: usize,
}

/// Why registers cannot be allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocateError {
    /// More spill slots are needed than a frame has.
    TooManySpills,
    /// A side trace inherits a value that the parent's exit does not have.
    NotInherited(Ref),
}

/// What an allocation depends on beside the IR.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options<'a> {
    /// Where the parent's exit has its values, by the parent's references.
    pub inherited: &'a [(Ref, Location)],
    /// Each guard gets an exit of its own.
    pub separate_exits: bool,
    /// What the processor can do.
    pub features: Features,
    /// Test mode, unless it is 0: registers are chosen at random, from this seed on.
    pub random: u64,
}

/// Extensions of the instruction set that are used when they are there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Features {
    /// Rounding of floats.
    pub sse41: bool,
    /// Shifts by a count in any register.
    pub bmi2: bool,
}

impl Features {
    /// What this processor has.
    pub fn detect() -> Features {
        Features {
            sse41: std::arch::is_x86_feature_detected!("sse4.1"),
            bmi2: std::arch::is_x86_feature_detected!("bmi2"),
        }
    }
}

/// Times that a loop is gone through at most; a large one only twice, since what is moved at its back edge weighs less there.
const ROUNDS: usize = 4;
const LARGE: usize = 400;

/// Allocates the registers of a trace.
pub fn allocate(ir: &Ir, options: Options<'_>) -> Result<Allocation, AllocateError> {
    let facts = facts::Facts::new(ir);
    let mut wish = scan::Wish::default();
    let (mut best, mut best_cost) = (None, usize::MAX);
    let rounds = match facts.loop_at {
        None => 1,
        Some(_) if ir.insts.len() > LARGE => 2,
        Some(_) => ROUNDS,
    };
    for _ in 0..rounds {
        let (allocation, cost, next) = scan::Scan::new(ir, &facts, options, &wish).run()?;
        if cost < best_cost {
            (best, best_cost) = (Some(allocation), cost);
        }
        if best_cost == 0 || next == wish || cost > best_cost {
            break;
        }
        wish = next;
    }
    best.ok_or(AllocateError::TooManySpills)
}

/// Puts constants second where the order of operands is free: instructions take them only there.
pub fn prepare(mut ir: Ir) -> Ir {
    for inst in &mut ir.insts {
        let ints = inst.base() != Type::Float;
        if inst.a.is_const() && inst.b.is_inst() {
            if inst.op.is_compare() {
                (inst.op, inst.a, inst.b) = (inst.op.swapped(), inst.b, inst.a);
            } else if inst.op.is_commutative() && ints {
                (inst.a, inst.b) = (inst.b, inst.a);
            }
        }
    }
    ir
}
