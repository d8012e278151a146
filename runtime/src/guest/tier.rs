//! Where a translator plugs into the dispatch loop.
//!
//! The loop asks a [`Tier`] when a block has been interpreted often enough and tells it what it must know; it knows nothing else of
//! translators. A block is named by a [`Key`]: the physical address of its first byte, rip there, and the mode of the processor, so
//! that address spaces share blocks and a switch between them loses none.
//!
//! *The contract of compiled code.* It runs from a block's start with all registers in [`Cpu`](super::cpu::Cpu) and leaves them there.
//! It counts [`Cpu::budget`](super::cpu::Cpu::budget) down by one for each instruction that it completes, does not begin an
//! instruction when the budget is 0 or less, and leaves when [`Cpu::attention`](super::cpu::Cpu::attention) is not 0 before
//! the next instruction. It never raises an exception, touches a device or executes a privileged instruction: it leaves at that
//! instruction, as if it had not begun it, and the loop interprets it.

use super::machine::Machine;
use super::memory::{Memory, Modified};

/// The name of a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The guest-physical address of the first byte.
    pub physical: u64,
    /// rip at the first byte: what is relative to rip differs where a page is mapped at two addresses.
    pub rip: u64,
    /// [`Cpu::mode`](super::cpu::Cpu::mode) at its start.
    pub mode: u32,
}

/// What the loop is to do with a block that was interpreted often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Interpret it; ask again after that many executions.
    Interpret(u32),
    /// Run the compiled block of that number, now and from now on.
    Run(u32),
}

/// How compiled code ended. Registers and rip are those of the instruction that comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Look up what is at rip.
    Dispatch,
    /// Interpret at least the instruction at rip: it needs the interpreter.
    Interpret,
    /// There is no such block any more: nothing was executed. Forget its number.
    Gone,
}

/// A translator.
pub trait Tier: std::any::Any {
    /// After how many executions a block is first asked for.
    fn threshold(&self) -> u32;

    /// A block has been interpreted often enough; rip stands at its start.
    fn hot(&mut self, machine: &mut Machine, key: Key) -> Answer;

    /// Runs a compiled block; rip stands at its start.
    fn run(&mut self, machine: &mut Machine, block: u32) -> Outcome;

    /// Drops all that was made from bytes of a guest-physical page that were written, but for what reads the bytes that were written from memory:
    /// these may be made a literal. The lines that remain in use there are answered.
    fn invalidate(&mut self, memory: &mut Memory, modified: Modified) -> u64;

    /// Drops everything.
    fn clear(&mut self);
}
