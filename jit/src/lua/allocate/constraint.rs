//! What each operation asks of its registers. The emitter relies on what is said here.
#![forbid(unsafe_code)]

use super::{Features, Reg};
use crate::code::x64;
use crate::lua::ir::{Class, Ir, Op, Ref, Type};
use crate::lua::ir::{Inst, TypeRule};

/// What an operand may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// There is none, or it is no value.
    No,
    /// A register.
    Reg,
    /// A register, or a constant of 32 bits.
    Imm,
    /// A register or memory: a spill slot, or the constant pool.
    Mem,
    /// A register, or a constant index whose offset fits in a displacement.
    Index,
}

/// How the first operand and the result relate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tie {
    /// Not at all.
    No,
    /// It is good if they share a register.
    Hint,
    /// The result's register is written first; other operands must not be in it. It is good if the first one is.
    Strict,
    /// The result's register is written before the operands have been read or the guard has been passed.
    Early,
}

/// What an instruction asks of its registers.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether the result needs a register even if nobody reads it.
    pub needs_dst: bool,
    /// Where the result comes out.
    pub fixed: Option<Reg>,
    /// The operands' kinds, in the order of the operands that the allocation lists.
    pub wants: [Want; 3],
    /// The operands in the order in which the emitter takes them.
    pub operands: [Ref; 3],
    /// The first two may change places.
    pub commutes: bool,
    /// Of the first operand and the result.
    pub tie: Tie,
    /// Registers that are overwritten before the operands are read; operands are never in them, but for the first one in
    /// `first_may`.
    pub clobbers: u32,
    /// A clobbered register where the first operand is welcome.
    pub first_may: Option<Reg>,
    /// Registers that a call overwrites, after its arguments are read.
    pub call: u32,
    /// Needs a free general register.
    pub temp: bool,
    /// Needs a free vector register.
    pub vector_temp: bool,
}

const RAX: Reg = Reg(x64::RESULT);
const RCX: Reg = Reg(x64::ARGUMENTS[3]);
const RDX: Reg = Reg(x64::ARGUMENTS[2]);

/// The registers that a call may change.
pub const CALL: u32 = x64::CALLER_SAVED as u32 | 0xffff_0000;

/// Whether a constant fits in an instruction.
pub fn fits_immediate(ir: &Ir, r: Ref) -> bool {
    ir.constant(r).is_some_and(|c| i32::try_from(c.payload() as i64).is_ok())
}

/// Whether a constant index of eight-byte elements fits in a displacement.
pub fn fits_index(ir: &Ir, r: Ref) -> bool {
    ir.constant(r).is_some_and(|c| (-(1 << 27)..1 << 27).contains(&(c.payload() as i64)))
}

const PLAIN: Shape = Shape {
    needs_dst: false,
    fixed: None,
    wants: [Want::No; 3],
    operands: [Ref::NONE; 3],
    commutes: false,
    tie: Tie::No,
    clobbers: 0,
    first_may: None,
    call: 0,
    temp: false,
    vector_temp: false,
};

/// What an instruction asks for.
pub fn shape(ir: &Ir, inst: &Inst, features: Features) -> Shape {
    let shape = find_shape(ir, inst, features);
    debug_assert!(may_take_temps(inst.op) || !(shape.temp || shape.vector_temp));
    shape
}

fn find_shape(ir: &Ir, inst: &Inst, features: Features) -> Shape {
    let float = inst.base() == Type::Float;
    if inst.op.type_rule() == TypeRule::Compare {
        return compare(ir, inst, float);
    }
    if matches!(inst.op.type_rule(), TypeRule::Ints | TypeRule::Floats | TypeRule::Numbers) {
        return if float { float_arithmetic(inst, features) } else { int_arithmetic(ir, inst, features) };
    }
    match inst.op {
        Op::Call if is_in_place(ir, inst) => {
            Shape { needs_dst: true, tie: Tie::Early, temp: true, vector_temp: true, ..PLAIN }
        }
        Op::I2f => Shape { wants: [Want::Mem, Want::No, Want::No], ..unary(inst) },
        Op::F2i => Shape { needs_dst: true, tie: Tie::Early, vector_temp: true, ..unary(inst) },
        Op::Call | Op::Sync | Op::Args | Op::Unsync => call(ir, inst),
        Op::Interrupt | Op::Room => Shape { temp: true, ..PLAIN },
        _ => memory(ir, inst),
    }
}

/// Whether code does at once what a call would do.
pub fn is_in_place(ir: &Ir, inst: &Inst) -> bool {
    ir.made(inst).is_some()
}

/// Whether an operation may need registers for itself; those that do are few.
pub fn may_take_temps(op: Op) -> bool {
    use Op::*;
    matches!(op, F2i | Call | Interrupt | Room | Barrier | Aload | Atag | Asettag | Sync | Shl | Shr | Sar | Mod)
}

fn unary(inst: &Inst) -> Shape {
    Shape { wants: [Want::Reg, Want::No, Want::No], operands: [inst.a, Ref::NONE, Ref::NONE], ..PLAIN }
}

fn binary(a: Ref, b: Ref, wants: [Want; 2]) -> Shape {
    Shape { wants: [wants[0], wants[1], Want::No], operands: [a, b, Ref::NONE], ..PLAIN }
}

/// Float comparisons that test the other way round, so that an unordered result fails them.
pub fn compares_swapped(op: Op) -> bool {
    matches!(op, Op::Lt | Op::Le | Op::Ugt | Op::Uge)
}

fn compare(ir: &Ir, inst: &Inst, float: bool) -> Shape {
    if float {
        let (a, b) = if compares_swapped(inst.op) { (inst.b, inst.a) } else { (inst.a, inst.b) };
        return binary(a, b, [Want::Reg, Want::Mem]);
    }
    let b = if fits_immediate(ir, inst.b) { Want::Imm } else { Want::Mem };
    binary(inst.a, inst.b, [if b == Want::Imm { Want::Mem } else { Want::Reg }, b]).no_constant_first(ir)
}

impl Shape {
    /// A constant cannot be compared: it needs a register.
    fn no_constant_first(mut self, ir: &Ir) -> Shape {
        if ir.constant(self.operands[0]).is_some() {
            self.wants[0] = Want::Reg;
        }
        self
    }
}

fn float_arithmetic(inst: &Inst, features: Features) -> Shape {
    match inst.op {
        Op::Neg | Op::Abs => Shape { tie: Tie::Strict, wants: [Want::Mem, Want::No, Want::No], ..unary(inst) },
        Op::Sqrt => Shape { wants: [Want::Mem, Want::No, Want::No], tie: Tie::Hint, ..unary(inst) },
        Op::Floor | Op::Ceil if features.sse41 => {
            Shape { wants: [Want::Mem, Want::No, Want::No], tie: Tie::Hint, ..unary(inst) }
        }
        Op::Floor | Op::Ceil => unary(inst),
        // `maxsd b, a` is what the operation is defined to be.
        Op::Min | Op::Max => Shape { tie: Tie::Strict, ..binary(inst.b, inst.a, [Want::Mem, Want::Mem]) },
        _ => Shape { tie: Tie::Strict, ..binary(inst.a, inst.b, [Want::Mem, Want::Mem]) },
    }
}

fn int_arithmetic(ir: &Ir, inst: &Inst, features: Features) -> Shape {
    let (a, b) = (inst.a, inst.b);
    let strict = Shape { tie: Tie::Strict, ..binary(a, b, [Want::Mem, Want::Mem]) };
    match inst.op {
        Op::Add => {
            let second = if fits_immediate(ir, b) { Want::Imm } else { Want::Reg };
            Shape { tie: Tie::Hint, ..binary(a, b, [Want::Reg, second]) }
        }
        Op::Mul if fits_immediate(ir, b) => binary(a, b, [Want::Mem, Want::Imm]).no_constant_first(ir),
        Op::Mul | Op::Band | Op::Bor | Op::Bxor => Shape { commutes: true, ..strict },
        Op::Neg | Op::Bnot => Shape { tie: Tie::Strict, wants: [Want::Mem, Want::No, Want::No], ..unary(inst) },
        Op::Abs => Shape { tie: Tie::Early, ..unary(inst) },
        Op::Min | Op::Max => Shape { wants: [Want::Mem, Want::Reg, Want::No], ..strict },
        Op::Idiv | Op::Mod if power_of_two(ir, b).is_some() => strict.with_large_mask(ir, inst),
        Op::Idiv | Op::Mod => Shape {
            clobbers: RAX.bit() | RDX.bit(),
            first_may: Some(RAX),
            fixed: Some(if inst.op == Op::Idiv { RAX } else { RDX }),
            ..binary(a, b, [Want::Mem, Want::Reg])
        },
        Op::Shl | Op::Shr | Op::Sar if ir.int(b).is_some() => strict,
        Op::Shl | Op::Shr | Op::Sar if features.bmi2 => binary(a, b, [Want::Reg, Want::Reg]),
        Op::Shl | Op::Shr | Op::Sar => {
            Shape { clobbers: RCX.bit(), temp: true, ..binary(a, b, [Want::Mem, Want::Mem]) }
        }
        _ => strict,
    }
}

impl Shape {
    /// The mask of a large modulus is no immediate: it goes through a register.
    fn with_large_mask(mut self, ir: &Ir, inst: &Inst) -> Shape {
        self.temp = inst.op == Op::Mod && power_of_two(ir, inst.b) > Some(31);
        self
    }
}

/// The exponent, if a constant is a power of two.
pub fn power_of_two(ir: &Ir, r: Ref) -> Option<u32> {
    ir.int(r).filter(|&i| i > 0 && i & (i - 1) == 0).map(i64::trailing_zeros)
}

fn call(ir: &Ir, inst: &Inst) -> Shape {
    let fixed = match inst.base() {
        _ if inst.op != Op::Call => None,
        Type::Void => None,
        Type::Float => Some(Reg::vector(0)),
        _ => Some(RAX),
    };
    // Storing slots takes a register; so does keeping the callee's address.
    let temp = matches!(inst.op, Op::Sync | Op::Args);
    debug_assert!(inst.op != Op::Call || ir.helper(inst).class <= Class::Full);
    Shape { fixed, call: CALL, clobbers: if temp { RAX.bit() } else { 0 }, ..PLAIN }
}

/// What a value to be stored may be.
fn stored(ir: &Ir, r: Ref) -> Want {
    if fits_immediate(ir, r) { Want::Imm } else { Want::Reg }
}

fn memory(ir: &Ir, inst: &Inst) -> Shape {
    let index = |r| if fits_index(ir, r) { Want::Index } else { Want::Reg };
    match inst.op {
        Op::Fload | Op::Upval | Op::Vload | Op::Vtag | Op::Cload | Op::Ctag => unary(inst),
        Op::Barrier => Shape { temp: true, ..unary(inst) },
        Op::Padd | Op::Byte => {
            let second = if fits_immediate(ir, inst.b) { Want::Imm } else { Want::Reg };
            binary(inst.a, inst.b, [Want::Reg, second])
        }
        Op::Fstore | Op::Vstore | Op::Ustore => binary(inst.a, inst.c, [Want::Reg, stored(ir, inst.c)]),
        Op::Aload | Op::Atag | Op::Asettag | Op::Astore => {
            let tagged = inst.op != Op::Astore && !inst.c.is_none();
            let third = match inst.op {
                Op::Astore => stored(ir, inst.c),
                _ if inst.c.is_none() => Want::No,
                _ => index(inst.c),
            };
            Shape {
                temp: tagged,
                wants: [Want::Reg, index(inst.b), third],
                operands: [inst.a, inst.b, inst.c],
                ..PLAIN
            }
        }
        Op::Cstore => binary(inst.a, inst.b, [Want::Reg, stored(ir, inst.b)]),
        _ => PLAIN,
    }
}
