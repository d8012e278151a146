//! Where the fields lie that translated code reads and writes, from the start of [`Machine`]. For the translator only.

use std::mem::offset_of;

use super::cpu::{Cpu, Fx, Segment};
use super::machine::Machine;
use super::tlb::{Entry, Tlb};

const CPU: usize = offset_of!(Machine, cpu);
const FX: usize = CPU + offset_of!(Cpu, fx);
const TLB: usize = offset_of!(Machine, tlb);

/// The first general register: 16 of 8 bytes, as instructions number them.
pub const GPR: usize = CPU + offset_of!(Cpu, gpr);
/// rip.
pub const RIP: usize = CPU + offset_of!(Cpu, rip);
/// rflags.
pub const RFLAGS: usize = CPU + offset_of!(Cpu, rflags);
/// The budget, signed 64 bits.
pub const BUDGET: usize = CPU + offset_of!(Cpu, budget);
/// The horizon: virtual time is this minus the budget.
pub const HORIZON: usize = CPU + offset_of!(Cpu, horizon);
/// The attention bits, 32 bits.
pub const ATTENTION: usize = CPU + offset_of!(Cpu, attention);
/// The mode, 32 bits.
pub const MODE: usize = CPU + offset_of!(Cpu, mode);
/// The base of segment 0.
pub const SEGMENT_BASE: usize = CPU + offset_of!(Cpu, segments) + offset_of!(Segment, base);
/// Bytes of a segment.
pub const SEGMENT_SIZE: usize = size_of::<Segment>();
/// The x87 and SSE registers: an image that FXRSTOR takes.
pub const FX_IMAGE: usize = FX;
/// The x87 control word, 16 bits.
pub const X87_CONTROL: usize = FX + offset_of!(Fx, control);
/// The x87 status word, 16 bits.
pub const X87_STATUS: usize = FX + offset_of!(Fx, status);
/// The last x87 opcode, 16 bits.
pub const X87_OPCODE: usize = FX + offset_of!(Fx, opcode);
/// The address of the last x87 instruction.
pub const X87_INSTRUCTION: usize = FX + offset_of!(Fx, instruction);
/// The address of its operand.
pub const X87_DATA: usize = FX + offset_of!(Fx, data);
/// MXCSR, 32 bits.
pub const MXCSR: usize = FX + offset_of!(Fx, mxcsr);
/// XMM0: 16 of 16 bytes.
pub const XMM: usize = FX + offset_of!(Fx, xmm);
/// The current address space's bits of a tag.
pub const TLB_SPACE: usize = TLB + offset_of!(Tlb, space);
/// The TLB's entries.
pub const TLB_ENTRIES: usize = TLB + offset_of!(Tlb, entries);
/// Bytes of an entry.
pub const TLB_ENTRY_SIZE: usize = size_of::<Entry>();
/// In an entry: the tag for reads.
pub const TLB_READ: usize = offset_of!(Entry, read);
/// In an entry: the tag for writes.
pub const TLB_WRITE: usize = offset_of!(Entry, write);
/// In an entry: the tag for fetches.
pub const TLB_EXECUTE: usize = offset_of!(Entry, execute);
/// In an entry: what is added to the virtual address.
pub const TLB_ADDEND: usize = offset_of!(Entry, addend);

const _: () = assert!(GPR == 0 && RIP == 128, "reached with one byte or a short displacement");
const _: () = assert!(
    FX_IMAGE.is_multiple_of(64) && TLB_ENTRIES.is_multiple_of(32) && TLB_ENTRY_SIZE == 32 && SEGMENT_SIZE == 16
);
const _: () = assert!(TLB_READ == 0 && TLB_WRITE == 8 && TLB_EXECUTE == 16 && TLB_ADDEND == 24);
