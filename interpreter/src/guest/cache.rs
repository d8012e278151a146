//! Decoded blocks, kept by the physical address of their first byte, rip there, and the mode they were decoded in.
//!
//! A block is a run of instructions on one page, up to the first that goes elsewhere. An instruction that lies on two pages
//! is a block of its own, good as long as both pages are where they were. Decoding marks lines of the page as code
//! ([`Machine::add_code`]); a write to them drops exactly the blocks that have a byte of it.
//!
//! A block that is dropped keeps its name and its place: when it is looked for again, only those instructions are decoded whose bytes are
//! not what they were. So code that writes an operand again and again costs little more than the write.

use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::memory::{Modified, lines_between};
use perilune_runtime::guest::tier::Key;
use perilune_runtime::guest::tlb::{Access, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use rustc_hash::FxHashMap;

use super::decode::{self, LONGEST, Truncated};
use super::exec::{Done, Insn, mark};

/// The most instructions of a block.
const LIMIT: usize = 64;

/// When more instructions than this are kept, all are dropped.
const ROOM: usize = 1 << 19;

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
    /// Where its bytes begin in the cache's `text`.
    text: u32,
    /// The second page of an instruction that lies on two.
    second: Option<u64>,
    /// Its bytes were written since they were decoded, or may have been.
    dropped: bool,
    /// Executions until the translator is asked.
    pub countdown: u32,
    /// The number that the translator gave it.
    pub compiled: Option<u32>,
}

impl Block {
    /// The pages that the block's bytes lie on, and the first and the last of them there.
    fn parts(&self) -> impl Iterator<Item = (u32, u64, u64)> {
        let (start, bytes) = (self.key.physical & PAGE_MASK, u64::from(self.bytes));
        let on_first = bytes.min(PAGE_SIZE as u64 - start);
        let first = ((self.key.physical >> PAGE_SHIFT) as u32, start, start + on_first - 1);
        let second = self.second.map(|second| ((second >> PAGE_SHIFT) as u32, 0, bytes - on_first - 1));
        [Some(first), second].into_iter().flatten()
    }

    /// The lines of a page that the block's bytes lie in.
    fn lines(&self, page: u32) -> u64 {
        let here = self.parts().filter(|part| part.0 == page);
        here.fold(0, |lines, (_, first, last)| lines | lines_between(first, last))
    }

    /// Whether one of its bytes was written.
    fn is_hit(&self, modified: &Modified) -> bool {
        let (from, to) = (u64::from(modified.bytes.0), u64::from(modified.bytes.1));
        self.parts().any(|(page, first, last)| page == modified.page && from <= last && first <= to)
    }

    /// May be executed without another look.
    fn is_good(&self) -> bool {
        !self.dropped && self.second.is_none()
    }
}

const NO_BLOCK: u32 = u32::MAX;

/// The cache.
#[derive(Debug)]
pub struct Cache {
    insns: Vec<Insn>,
    /// The bytes of all blocks, as they were decoded.
    text: Vec<u8>,
    blocks: Vec<Block>,
    by_key: FxHashMap<Key, u32>,
    by_page: FxHashMap<u32, Vec<u32>>,
    /// The block that was found last for each hash of a key.
    slots: Vec<(Key, u32)>,
    /// What new blocks start to count down from.
    pub threshold: u32,
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
            text: Vec::new(),
            blocks: Vec::new(),
            by_key: FxHashMap::default(),
            by_page: FxHashMap::default(),
            slots: vec![(NO_KEY, NO_BLOCK); SLOTS],
            threshold: u32::MAX,
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
        if found == key && self.blocks[number as usize].is_good() {
            return Ok(number);
        }
        self.look_up(m, key, linear)
    }

    #[cold]
    fn look_up(&mut self, m: &mut Machine, key: Key, linear: u64) -> Done<u32> {
        let mut countdown = self.threshold;
        if let Some(number) = self.by_key.get(&key).copied() {
            let good = match self.blocks[number as usize].second {
                None => self.renew(m, number),
                Some(second) => m.translate((linear | PAGE_MASK).wrapping_add(1), Access::Execute)? == second,
            };
            if good {
                self.slots[slot(key)] = (key, number);
                return Ok(number);
            }
            countdown = self.blocks[number as usize].countdown;
            self.remove(number);
        }
        self.decode(m, key, linear, countdown)
    }

    /// Makes a block good again that was dropped, if it still consists of instructions of the same lengths.
    fn renew(&mut self, m: &mut Machine, number: u32) -> bool {
        let block = &mut self.blocks[number as usize];
        if !block.dropped {
            return true;
        }
        let Some(bytes) = m.memory.slice(block.key.physical, block.bytes as usize) else { return false };
        let text = &mut self.text[block.text as usize..][..bytes.len()];
        let mut at = 0;
        for insn in &mut self.insns[block.first as usize..][..block.count as usize] {
            let next = at + usize::from(insn.length);
            let (new, old) = (&bytes[at..next], &text[at..next]);
            if new == old {
                // Good as it is.
            } else if insn.field.covers(old, new) {
                insn.immediate = insn.field.read(new);
            } else {
                let rip = block.key.rip.wrapping_add(at as u64);
                match decode::decode(&bytes[at..], rip, block.key.mode) {
                    Ok(new) if new.length == insn.length && new.has(mark::LAST) == insn.has(mark::LAST) => *insn = new,
                    _ => return false,
                }
            }
            at = next;
        }
        text.copy_from_slice(bytes);
        block.dropped = false;
        self.decoded += 1;
        self.enter_page(m, number);
        true
    }

    /// Decodes the block at `key`.
    fn decode(&mut self, m: &mut Machine, key: Key, linear: u64, countdown: u32) -> Done<u32> {
        if self.insns.len() > ROOM {
            self.clear();
        }
        let (first, text) = (self.insns.len(), self.text.len());
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
        // Where there is no memory nothing is written.
        self.text.extend_from_slice(m.memory.slice(key.physical, at.min(left)).unwrap_or(&[]));
        let block = Block {
            key,
            first: first as u32,
            count: (self.insns.len() - first) as u32,
            bytes: at as u32,
            text: text as u32,
            second,
            dropped: false,
            countdown,
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
        self.enter_page(m, number);
        number
    }

    /// Tells memory and the lists of pages of a block.
    fn enter_page(&mut self, m: &mut Machine, number: u32) {
        for (page, first, last) in self.blocks[number as usize].parts() {
            if (page as usize) < m.memory.page_count() {
                m.add_code(page, lines_between(first, last));
                self.by_page.entry(page).or_default().push(number);
            }
        }
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

    /// Drops the blocks that were written; answers the lines of the page that are still in use.
    pub fn invalidate(&mut self, modified: &Modified) -> u64 {
        let Cache { by_page, blocks, threshold, invalidated, .. } = self;
        let Some(numbers) = by_page.get_mut(&modified.page) else { return 0 };
        let (mut used, mut gone) = (0, Vec::new());
        numbers.retain(|number| {
            let block = &mut blocks[*number as usize];
            if !block.is_hit(modified) {
                used |= block.lines(modified.page);
                return true;
            }
            *invalidated += 1;
            block.dropped = true;
            block.compiled = None;
            // One that the translator did not want may be another one now.
            block.countdown = block.countdown.clamp(1, *threshold);
            if block.second.is_some() {
                gone.push(*number);
            }
            false
        });
        for number in gone {
            self.remove(number);
        }
        used
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.insns.clear();
        self.text.clear();
        self.blocks.clear();
        self.by_key.clear();
        self.by_page.clear();
        self.slots.fill((NO_KEY, NO_BLOCK));
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
