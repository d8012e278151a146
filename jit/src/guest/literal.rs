//! Immediate operands that the guest rewrites again and again.
//!
//! A block is dropped when its bytes are written. Where that happens to the same immediate operand twice, the next translation reads the
//! operand from memory (*a literal*), and writing it drops nothing. Nor has the writer to leave compiled code: the routine that asks the TLB for
//! writes knows one literal that may be written. That ends when somebody decodes code of that page: a literal is one only as long as everybody
//! who has decoded it reads it from memory.
#![forbid(unsafe_code)]

use super::block::Block;
use super::trampoline::Literal;
use perilune_interpreter::guest::decode::{self, LONGEST};
use perilune_interpreter::guest::exec::{Kind, operand};
use perilune_runtime::guest::cpu::seg;
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::memory::page;
use perilune_runtime::guest::tier::Key;
use perilune_runtime::guest::tlb::{Access, PAGE_MASK, PAGE_SIZE};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// After how many blocks were dropped for it an immediate operand is read from memory.
const TWICE: u32 = 2;

/// How many operands are remembered.
const ROOM: usize = 1 << 12;

/// How often blocks were dropped since an immediate operand was written, by its guest-physical address.
#[derive(Default, Debug)]
pub struct Rewritten(FxHashMap<u64, u32>);

impl Rewritten {
    /// Counts operands that were written.
    pub fn note(&mut self, constants: Vec<Range<u64>>) {
        if self.0.len() > ROOM {
            self.0.clear();
        }
        for constant in constants {
            *self.0.entry(constant.start).or_default() += 1;
        }
    }

    /// Marks the operands of a block that are to be read from memory, which begins at the host's `base`. Answers where those lie that could be,
    /// and those that will be.
    pub fn mark(&self, block: &mut Block, key: Key, base: u64) -> (Vec<Range<u64>>, Vec<Range<u64>>) {
        let (mut constants, mut literals) = (Vec::new(), Vec::new());
        for step in &mut block.steps {
            let Some((offset, size)) = step.immediate else { continue };
            let start = key.physical + step.rip().wrapping_sub(key.rip) + offset as u64;
            let range = start..start + size as u64;
            if self.0.get(&start).is_some_and(|count| *count >= TWICE) {
                step.literal = Some(base + start);
                literals.push(range.clone());
            }
            constants.push(range);
        }
        (constants, literals)
    }
}

/// A literal that compiled code may write, and when it may.
#[derive(Clone, Copy, Debug)]
pub struct Writable {
    literal: Literal,
    physical: u64,
    /// The address space and the state of the TLB that its translation is good for.
    view: (u64, u64, u64),
}

fn view(machine: &Machine) -> (u64, u64, u64) {
    (machine.tlb.space, machine.tlb.clears, machine.tlb.invalidations)
}

impl Writable {
    /// If the instruction at rip, which lies at `physical` in the guest's memory, writes a literal that it may write: that one.
    pub fn find(machine: &mut Machine, physical: u64) -> Option<Writable> {
        let left = (PAGE_SIZE - (physical & PAGE_MASK) as usize).min(LONGEST);
        let bytes = machine.memory.slice(physical, left)?;
        let insn = decode::decode(bytes, machine.cpu.rip, machine.cpu.mode).ok()?;
        let to = insn.operands[0];
        if to.kind != Kind::Memory || insn.memory.segment >= seg::FS as u8 || insn.memory.size != 8 || to.size > 8 {
            return None;
        }
        let address = operand::effective(machine, &insn);
        let last = u64::from(to.size) - 1;
        if (address & PAGE_MASK) + last > PAGE_MASK {
            return None;
        }
        let cr2 = machine.cpu.cr2;
        let found = machine.translate(address, Access::Write);
        machine.cpu.cr2 = cr2;
        let physical = found.ok()?;
        let addend = machine.memory.base().wrapping_add(physical).wrapping_sub(address);
        let literal = Literal { address, last, addend };
        let writable = Writable { literal, physical, view: view(machine) };
        writable.if_valid(machine).map(|_| writable)
    }

    /// The literal, if it may be written now: it is one still, the translation holds, the page is known to be dirty, and nobody watches it.
    pub fn if_valid(&self, machine: &Machine) -> Option<Literal> {
        let is_literal = machine.memory.is_literal(self.physical, self.literal.last + 1);
        let facts = machine.memory.facts(self.physical) & (page::RAM | page::DIRTY);
        let written = facts == page::RAM | page::DIRTY;
        (is_literal && self.view == view(machine) && written && machine.watched.is_empty()).then_some(self.literal)
    }
}
