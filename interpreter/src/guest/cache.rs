//! Decoded blocks, kept by the physical address of their first byte, rip there, and the mode they were decoded in.
//!
//! A block is a run of instructions on one page, up to the first that goes elsewhere. An instruction that lies on two pages
//! is a block of its own, good as long as both pages are where they were. Decoding marks lines of the page as code
//! ([`Machine::add_code`]); a write to them drops exactly the blocks that overlap.

use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::memory::lines_between;
use perilune_runtime::guest::tier::Key;
use perilune_runtime::guest::tlb::{Access, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use rustc_hash::FxHashMap;

use super::decode::{self, LONGEST, Truncated};
use super::exec::{Done, Insn, mark};

/// The most instructions of a block.
const LIMIT: usize = 64;

/// When more instructions than this are kept, all are dropped.
const ROOM: usize = 1 << 19;

/// How many dropped blocks are remembered.
const COUNTED: usize = 1 << 12;

/// Slots of the table in front of the map.
const SLOTS: usize = 1 << 14;

/// A decoded block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Its name.
    pub key: Key,
    first: u32,
    count: u32,
    bytes: u32,
    /// The second page of an instruction that lies on two.
    second: Option<u64>,
    /// Executions until the translator is asked.
    pub countdown: u32,
    /// The number that the translator gave it.
    pub compiled: Option<u32>,
}

impl Block {
    /// The lines of a page that the block's bytes lie in.
    fn lines(&self, page: u32) -> u64 {
        let start = self.key.physical;
        let on_first = u64::from(self.bytes).min(PAGE_SIZE as u64 - (start & PAGE_MASK));
        let mut lines = 0;
        if start >> PAGE_SHIFT == page.into() {
            lines |= lines_between(start & PAGE_MASK, (start & PAGE_MASK) + on_first - 1);
        }
        if self.second.is_some_and(|second| second >> PAGE_SHIFT == page.into()) {
            lines |= lines_between(0, u64::from(self.bytes) - on_first - 1);
        }
        lines
    }
}

const NO_BLOCK: u32 = u32::MAX;

/// The cache.
#[derive(Debug)]
pub struct Cache {
    insns: Vec<Insn>,
    blocks: Vec<Block>,
    by_key: FxHashMap<Key, u32>,
    by_page: FxHashMap<u32, Vec<u32>>,
    /// The block that was found last for each hash of a key.
    slots: Vec<(Key, u32)>,
    /// What new blocks start to count down from.
    pub threshold: u32,
    /// Where blocks that were dropped had counted down to: code that is written often is executed often.
    counted: FxHashMap<Key, u32>,
    /// How many blocks were decoded.
    pub decoded: u64,
    /// How many blocks were dropped because their bytes were written.
    pub invalidated: u64,
}

const NO_KEY: Key = Key { physical: u64::MAX, rip: 0, mode: 0 };

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            insns: Vec::new(),
            blocks: Vec::new(),
            by_key: FxHashMap::default(),
            by_page: FxHashMap::default(),
            slots: vec![(NO_KEY, NO_BLOCK); SLOTS],
            threshold: u32::MAX,
            counted: FxHashMap::default(),
            decoded: 0,
            invalidated: 0,
        }
    }
}

fn slot(key: Key) -> usize {
    (key.physical ^ key.physical >> 14 ^ u64::from(key.mode) << 4) as usize & (SLOTS - 1)
}

impl Cache {
    /// The block at rip, decoded now if it is new. Fetching may fault.
    #[inline]
    pub fn find(&mut self, m: &mut Machine) -> Done<u32> {
        let linear = fetch_address(m)?;
        let physical = match m.tlb.executable(linear) {
            Some(addend) => linear.wrapping_add(addend).wrapping_sub(m.memory.base()),
            None => m.translate(linear, Access::Execute)?,
        };
        let key = Key { physical, rip: m.cpu.rip, mode: m.cpu.mode };
        let (found, number) = self.slots[slot(key)];
        if found == key && self.blocks[number as usize].second.is_none() {
            return Ok(number);
        }
        self.look_up(m, key, linear)
    }

    #[cold]
    fn look_up(&mut self, m: &mut Machine, key: Key, linear: u64) -> Done<u32> {
        if let Some(number) = self.by_key.get(&key).copied() {
            let good = match self.blocks[number as usize].second {
                None => true,
                Some(second) => m.translate((linear | PAGE_MASK).wrapping_add(1), Access::Execute)? == second,
            };
            if good {
                self.slots[slot(key)] = (key, number);
                return Ok(number);
            }
            self.remove(number);
        }
        self.decode(m, key, linear)
    }

    /// Decodes the block at `key`.
    fn decode(&mut self, m: &mut Machine, key: Key, linear: u64) -> Done<u32> {
        if self.insns.len() > ROOM {
            self.clear();
        }
        let first = self.insns.len();
        let left = PAGE_SIZE - (key.physical & PAGE_MASK) as usize;
        let page: &[u8] = m.memory.slice(key.physical, left).unwrap_or(&[0xff; LONGEST]);
        let (mut at, mut second) = (0, None);
        let mut rip = m.cpu.rip;
        while self.insns.len() - first < LIMIT && at < page.len() {
            match decode::decode(&page[at..], rip, key.mode) {
                Ok(insn) => {
                    at += usize::from(insn.length);
                    rip = rip.wrapping_add(insn.length.into());
                    self.insns.push(insn);
                    if insn.has(mark::LAST) {
                        break;
                    }
                }
                Err(Truncated) => break,
            }
        }
        if self.insns.len() == first {
            let (insn, on_second) = across(m, key, linear)?;
            at = insn.length.into();
            second = on_second;
            self.insns.push(insn);
        }
        let block = Block {
            key,
            first: first as u32,
            count: (self.insns.len() - first) as u32,
            bytes: at as u32,
            second,
            countdown: self.counted.remove(&key).unwrap_or(self.threshold),
            compiled: None,
        };
        self.decoded += 1;
        Ok(self.enter(m, block))
    }

    fn enter(&mut self, m: &mut Machine, block: Block) -> u32 {
        let number = self.blocks.len() as u32;
        self.blocks.push(block);
        self.by_key.insert(block.key, number);
        self.slots[slot(block.key)] = (block.key, number);
        let pages = [Some(block.key.physical), block.second];
        for page in pages.into_iter().flatten().map(|physical| (physical >> PAGE_SHIFT) as u32) {
            if (page as usize) < m.memory.page_count() {
                m.add_code(page, block.lines(page));
                self.by_page.entry(page).or_default().push(number);
            }
        }
        number
    }

    /// A block.
    #[inline]
    pub fn block(&mut self, number: u32) -> &mut Block {
        &mut self.blocks[number as usize]
    }

    /// The instructions of a block.
    #[inline]
    pub fn insns(&self, number: u32) -> &[Insn] {
        let block = &self.blocks[number as usize];
        &self.insns[block.first as usize..(block.first + block.count) as usize]
    }

    /// Forgets a block's name, so that nobody finds it.
    fn remove(&mut self, number: u32) {
        let key = self.blocks[number as usize].key;
        if self.by_key.get(&key) == Some(&number) {
            self.by_key.remove(&key);
        }
        if self.slots[slot(key)].1 == number {
            self.slots[slot(key)] = (NO_KEY, NO_BLOCK);
        }
    }

    /// Drops the blocks that overlap lines of a page; answers the lines of the page that are still in use.
    pub fn invalidate(&mut self, page: u32, lines: u64) -> u64 {
        let Some(mut numbers) = self.by_page.remove(&page) else { return 0 };
        let mut used = 0;
        numbers.retain(|number| {
            let of_block = self.blocks[*number as usize].lines(page);
            let hit = of_block & lines != 0;
            if hit {
                let Block { key, countdown, .. } = self.blocks[*number as usize];
                if countdown < self.threshold {
                    if self.counted.len() >= COUNTED {
                        self.counted.clear();
                    }
                    self.counted.insert(key, countdown.max(1));
                }
                self.remove(*number);
                self.invalidated += 1;
            } else {
                used |= of_block;
            }
            !hit
        });
        if !numbers.is_empty() {
            self.by_page.insert(page, numbers);
        }
        used
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.insns.clear();
        self.blocks.clear();
        self.by_key.clear();
        self.by_page.clear();
        self.slots.fill((NO_KEY, NO_BLOCK));
        self.counted.clear();
    }
}

/// The linear address of rip, in the code segment's limits.
#[inline]
fn fetch_address(m: &Machine) -> Done<u64> {
    use perilune_runtime::guest::cpu::seg;
    use perilune_runtime::guest::exception::Exception;
    use perilune_runtime::guest::machine::canonical;

    if m.cpu.code64() {
        return if canonical(m.cpu.rip) { Ok(m.cpu.rip) } else { Err(Exception::PROTECTION.into()) };
    }
    let cs = &m.cpu.segments[seg::CS];
    if m.cpu.rip > u64::from(cs.limit) {
        return Err(Exception::PROTECTION.into());
    }
    Ok(cs.base.wrapping_add(m.cpu.rip) & 0xffff_ffff)
}

/// Decodes an instruction that does not end on its page; answers where it goes on.
fn across(m: &mut Machine, key: Key, linear: u64) -> Done<(Insn, Option<u64>)> {
    let mut bytes = [0xff; LONGEST];
    let low = (PAGE_SIZE - (key.physical & PAGE_MASK) as usize).min(LONGEST);
    if let Some(slice) = m.memory.slice(key.physical, low) {
        bytes[..low].copy_from_slice(slice);
    }
    let second = m.translate((linear | PAGE_MASK).wrapping_add(1), Access::Execute)?;
    if let Some(slice) = m.memory.slice(second, LONGEST - low) {
        bytes[low..].copy_from_slice(slice);
    }
    let insn = decode::decode(&bytes, m.cpu.rip, key.mode).unwrap_or_else(|Truncated| undecodable());
    Ok((insn, (usize::from(insn.length) > low).then_some(second)))
}

/// More than fifteen bytes of prefixes.
fn undecodable() -> Insn {
    decode::convert(&iced_x86::Instruction::default(), &[])
}
