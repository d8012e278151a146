//! The blocks that have code: found by name, by page and by number; linked with one another; dropped.
#![forbid(unsafe_code)]

use super::table::Table;
use super::trampoline::Trampoline;
use super::translate::{Exit, Link};
use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::buffer::Code;
use crate::code::patch::Patch;
use perilune_interpreter::guest::exec::Insn;
use perilune_runtime::guest::tier::Key;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// log2 of the most exits of a block.
pub const EXIT_BITS: u32 = 10;

/// A jump of a block to another on its page.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    link: Link,
    /// The address of the displacement.
    site: usize,
    /// Where it leads while it is not linked.
    stub: usize,
    /// The slot of the block that it is linked to.
    to: Option<u32>,
}

/// A block's code, and what is known of it.
#[derive(Debug)]
pub struct Made {
    /// The block's name.
    pub key: Key,
    /// The lines of its page that its bytes lie in.
    pub lines: u64,
    /// The guest-physical addresses of its bytes.
    pub bytes: Range<u64>,
    /// Those of immediate operands that could be read from memory.
    pub constants: Vec<Range<u64>>,
    /// Those of immediate operands that are.
    pub literals: Vec<Range<u64>>,
    /// Its code.
    pub code: Code,
    /// Offset of the entry with flags in the host's flags.
    pub host: usize,
    /// Offset of the entry with flags in the frame.
    pub saved: usize,
    /// Its exits, by number.
    pub exits: Vec<Exit>,
    /// What helpers execute, by the number of their exit.
    pub handlers: FxHashMap<u32, Insn>,
    /// The group slots that it uses, as bits.
    pub groups: u16,
}

impl Made {
    /// The address of the entry with flags in the host's flags.
    fn host(&self) -> usize {
        self.code.start() + self.host
    }

    /// The address of the entry with flags in the frame.
    pub fn saved(&self) -> usize {
        self.code.start() + self.saved
    }
}

/// A block with code, among the others.
#[derive(Debug)]
pub struct Compiled {
    /// The number by which the dispatch loop knows it; never given again.
    pub number: u32,
    /// What it is.
    pub made: Made,
    outgoing: Vec<Outgoing>,
    /// Who jumps here: slots.
    incoming: Vec<u32>,
}

/// What became of a write to code.
#[derive(Debug, Default)]
pub struct Dropped {
    /// The code of the blocks that were dropped; nothing leads there any more.
    pub code: Vec<Code>,
    /// The lines of the page that are still in use.
    pub used: u64,
    /// What was written is part of a literal of a block, and what is left reads it from memory.
    pub literal: bool,
    /// Immediate operands of dropped blocks that were written, and nothing else of theirs.
    pub constants: Vec<Range<u64>>,
}

/// All blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    slots: Vec<Option<Compiled>>,
    free: Vec<u32>,
    by_key: FxHashMap<Key, u32>,
    by_number: FxHashMap<u32, u32>,
    by_page: FxHashMap<u32, Vec<u32>>,
    next_number: u32,
    /// The group slots that blocks use, as bits.
    groups: u16,
    /// The table of branch targets.
    pub table: Table,
    /// How many jumps were linked.
    pub linked: u64,
}

/// The number of the page of a block.
fn page(key: Key) -> u32 {
    (key.physical >> perilune_runtime::guest::tlb::PAGE_SHIFT) as u32
}

impl Blocks {
    /// The slot that the next block is going to have; `None` if there are too many.
    pub fn next_slot(&self) -> Option<u32> {
        let slot = self.free.last().copied().unwrap_or(self.slots.len() as u32);
        (slot < 1 << (31 - EXIT_BITS)).then_some(slot)
    }

    /// The group slots that no block uses, as bits.
    pub fn free_groups(&self) -> u16 {
        !self.groups
    }

    /// Enters a block at [`Blocks::next_slot`], and links it with those that are there. Answers its number.
    pub fn enter(&mut self, arena: &Arena<Trampoline>, made: Made, links: Vec<Link>) -> Result<u32, CodeError> {
        let start = made.code.start();
        let outgoing = |link: Link| {
            let site = start + link.site;
            Ok(Outgoing { link, site, stub: arena.target(site)?, to: None })
        };
        let outgoing = links.into_iter().map(outgoing).collect::<Result<Vec<_>, CodeError>>()?;
        let number = self.next_number;
        self.next_number += 1;
        let (key, groups) = (made.key, made.groups);
        let compiled = Compiled { number, made, outgoing, incoming: Vec::new() };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(compiled);
                slot
            }
            None => {
                self.slots.push(Some(compiled));
                self.slots.len() as u32 - 1
            }
        };
        self.groups |= groups;
        self.by_key.insert(key, slot);
        self.by_number.insert(number, slot);
        self.by_page.entry(page(key)).or_default().push(slot);
        self.link_around(arena, slot)?;
        Ok(number)
    }

    /// Links a new block with the other blocks of its page, both ways.
    fn link_around(&mut self, arena: &Arena<Trampoline>, slot: u32) -> Result<(), CodeError> {
        let Some(key) = self.get(slot).map(|block| block.made.key) else { return Ok(()) };
        let mut wanted = Vec::new();
        for other in self.by_page.get(&page(key)).into_iter().flatten() {
            let Some(block) = self.get(*other) else { continue };
            for (n, outgoing) in block.outgoing.iter().enumerate() {
                let target = Key { rip: outgoing.link.target, ..key };
                let target = Key { physical: key.physical & !0xfff | outgoing.link.target & 0xfff, ..target };
                let same_view = block.made.key.mode == key.mode
                    && block.made.key.rip & !0xfff == key.rip & !0xfff
                    && (*other == slot || target == key);
                if let Some(to) = self.by_key.get(&target).filter(|_| same_view && outgoing.to.is_none()) {
                    wanted.push((*other, n, *to));
                }
            }
        }
        let mut patches = Vec::new();
        for (from, n, to) in wanted {
            let Some((host, saved)) = self.get(to).map(|block| (block.made.host(), block.made.saved())) else {
                continue;
            };
            let Some(Some(block)) = self.slots.get_mut(from as usize) else { continue };
            let outgoing = &mut block.outgoing[n];
            outgoing.to = Some(to);
            patches.push(Patch { site: outgoing.site, target: if outgoing.link.saved { saved } else { host } });
            self.linked += 1;
            if let Some(Some(block)) = self.slots.get_mut(to as usize) {
                block.incoming.push(from);
            }
        }
        arena.patch(&patches)
    }

    /// The block in a slot.
    pub fn get(&self, slot: u32) -> Option<&Compiled> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The block of a name.
    pub fn find(&self, key: Key) -> Option<&Compiled> {
        self.get(*self.by_key.get(&key)?)
    }

    /// The block of a number.
    #[inline]
    pub fn numbered(&self, number: u32) -> Option<&Compiled> {
        self.get(*self.by_number.get(&number)?)
    }

    /// What is known of an exit.
    pub fn exit(&self, exit: u64) -> Option<(&Compiled, Exit)> {
        let block = self.get((exit >> EXIT_BITS) as u32)?;
        Some((block, *block.made.exits.get(exit as usize & ((1 << EXIT_BITS) - 1))?))
    }

    /// Drops the blocks that overlap bytes of a page which were written, but for those that read them from memory.
    pub fn invalidate(
        &mut self,
        arena: &Arena<Trampoline>,
        page: u32,
        written: &Range<u64>,
    ) -> Result<Dropped, CodeError> {
        let mut dropped = Dropped::default();
        let Some(slots) = self.by_page.remove(&page) else { return Ok(dropped) };
        let overlaps = |bytes: &Range<u64>| bytes.start < written.end && written.start < bytes.end;
        let contains = |field: &&Range<u64>| field.start <= written.start && written.end <= field.end;
        let mut hit = Vec::new();
        let mut kept = Vec::new();
        for slot in slots {
            let Some(block) = self.get(slot) else { continue };
            let reads = block.made.literals.iter().any(|field| contains(&field));
            if overlaps(&block.made.bytes) && !reads {
                dropped.constants.extend(block.made.constants.iter().find(contains).cloned());
                hit.push(slot);
            } else {
                dropped.used |= block.made.lines;
                dropped.literal |= reads;
                kept.push(slot);
            }
        }
        if !kept.is_empty() {
            self.by_page.insert(page, kept);
        }
        let mut patches = Vec::new();
        let gone: Vec<Compiled> = hit.into_iter().filter_map(|slot| self.remove(slot, &mut patches)).collect();
        let within = |site: usize| gone.iter().any(|block| block.made.code.range().contains(&site));
        patches.retain(|patch| !within(patch.site));
        arena.patch(&patches)?;
        dropped.code = gone.into_iter().map(|block| block.made.code).collect();
        Ok(dropped)
    }

    /// Takes a block out of everything but its page's list; `patches` turns those who jump to it back to their stubs.
    fn remove(&mut self, slot: u32, patches: &mut Vec<Patch>) -> Option<Compiled> {
        let block = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.groups &= !block.made.groups;
        self.by_key.remove(&block.made.key);
        self.by_number.remove(&block.number);
        self.table.forget(block.made.key.rip, block.made.saved());
        for from in &block.incoming {
            let Some(Some(from)) = self.slots.get_mut(*from as usize) else { continue };
            for outgoing in from.outgoing.iter_mut().filter(|outgoing| outgoing.to == Some(slot)) {
                outgoing.to = None;
                patches.push(Patch { site: outgoing.site, target: outgoing.stub });
            }
        }
        for to in block.outgoing.iter().filter_map(|outgoing| outgoing.to) {
            if let Some(Some(to)) = self.slots.get_mut(to as usize) {
                to.incoming.retain(|from| *from != slot);
            }
        }
        Some(block)
    }

    /// Drops all; numbers go on.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        self.by_key.clear();
        self.by_number.clear();
        self.by_page.clear();
        self.groups = 0;
        self.table.clear();
    }
}
