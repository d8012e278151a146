//! Snapshots: the whole machine at a moment, at the cost of the pages that were written since the one before.
//!
//! Contents of pages are shared between snapshots. A machine remembers which contents its memory had when a snapshot was last
//! taken or restored ([`Pages`], the *base*), and memory lists what was written since; so taking one copies the listed pages,
//! and restoring one writes those and the ones in which it differs from the base. Snapshots form a tree: any may be
//! restored at any time.

use std::fmt;
use std::sync::Arc;

use super::bus;
use super::cpu::{Cpu, attention};
use super::exit::Reasons;
use super::machine::Machine;
use super::tlb::PAGE_SIZE;

type Page = Arc<[u8; PAGE_SIZE]>;

/// Pages of one chunk: 2 MiB.
const CHUNK: usize = 512;

type Chunk = [Option<Page>; CHUNK];

/// The contents of each page that was ever written; the others are zero. Cloning shares all of it.
#[derive(Clone, Default)]
pub struct Pages(Vec<Option<Arc<Chunk>>>);

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("chunks", &self.0.iter().flatten().count()).finish()
    }
}

impl Pages {
    fn get(&self, page: u32) -> Option<&Page> {
        self.0.get(page as usize / CHUNK)?.as_ref()?[page as usize % CHUNK].as_ref()
    }

    fn set(&mut self, page: u32, content: Page) {
        let chunk = page as usize / CHUNK;
        if self.0.len() <= chunk {
            self.0.resize(chunk + 1, None);
        }
        let chunk = self.0[chunk].get_or_insert_with(|| Arc::new([const { None }; CHUNK]));
        Arc::make_mut(chunk)[page as usize % CHUNK] = Some(content);
    }

    /// The pages in which two differ.
    fn difference(&self, other: &Pages) -> Vec<u32> {
        let mut different = Vec::new();
        for number in 0..self.0.len().max(other.0.len()) {
            let (a, b) = (self.0.get(number).and_then(Option::as_ref), other.0.get(number).and_then(Option::as_ref));
            let same = match (a, b) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (a, b) => a.is_none() && b.is_none(),
            };
            if same {
                continue;
            }
            for page in (number * CHUNK) as u32..((number + 1) * CHUNK) as u32 {
                let same = match (self.get(page), other.get(page)) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (a, b) => a.is_none() && b.is_none(),
                };
                if !same {
                    different.push(page);
                }
            }
        }
        different
    }
}

/// A machine at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    cpu: Cpu,
    bus: bus::Saved,
    pages: Pages,
    size: u64,
}

/// The snapshot is one of a machine with another amount of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherSize {
    /// Bytes of RAM of the snapshot's machine.
    pub snapshot: u64,
    /// Bytes of RAM of this one.
    pub machine: u64,
}

impl fmt::Display for OtherSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the snapshot is of a machine with {} bytes of memory, this one has {}", self.snapshot, self.machine)
    }
}

impl std::error::Error for OtherSize {}

const ZERO: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

fn address(page: u32) -> u64 {
    u64::from(page) * PAGE_SIZE as u64
}

/// Takes a snapshot.
pub fn take(m: &mut Machine) -> Snapshot {
    for page in m.take_dirty() {
        if let Some(content) = m.memory.read::<PAGE_SIZE>(address(page)) {
            m.base.set(page, Arc::new(content));
        }
    }
    Snapshot { cpu: m.cpu.clone(), bus: m.bus.save(), pages: m.base.clone(), size: m.memory.size() }
}

/// Restores a snapshot of a machine with the same amount of memory. Time is that of the snapshot again.
pub fn restore(m: &mut Machine, snapshot: &Snapshot) -> Result<(), OtherSize> {
    if snapshot.size != m.memory.size() {
        return Err(OtherSize { snapshot: snapshot.size, machine: m.memory.size() });
    }
    let mut pages = m.take_dirty();
    pages.extend(m.base.difference(&snapshot.pages));
    for page in pages {
        let content = snapshot.pages.get(page).map_or(&ZERO, |page| page);
        // Pages that are the same already keep the code that was decoded from them.
        if m.memory.slice(address(page), PAGE_SIZE) != Some(content) {
            m.memory.load_image(address(page), content);
        }
    }
    m.take_dirty();
    m.base = snapshot.pages.clone();
    m.cpu = snapshot.cpu.clone();
    m.bus.restore(&snapshot.bus);
    m.pending.clear();
    m.emulate = Reasons::NONE;
    m.flush_tlb();
    m.refresh();
    m.cpu.attention |= attention::TIMER | attention::INTERRUPT;
    m.note_modified();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(m: &Machine, at: u64) -> u8 {
        m.memory.read::<1>(at).expect("RAM")[0]
    }

    #[test]
    fn snapshots_form_a_tree() {
        let mut m = Machine::new(0x80_0000).expect("memory");
        m.write_physical(0x1000, &[1]);
        let first = take(&mut m);
        m.write_physical(0x1000, &[2]);
        m.write_physical(0x50_0000, &[3]);
        m.cpu.gpr[0] = 7;
        let second = take(&mut m);
        m.write_physical(0x2000, &[9]);
        restore(&mut m, &first).expect("the same size");
        assert_eq!((byte(&m, 0x1000), byte(&m, 0x50_0000), byte(&m, 0x2000), m.cpu.gpr[0]), (1, 0, 0, 0));
        m.write_physical(0x1000, &[4]);
        let third = take(&mut m);
        restore(&mut m, &second).expect("the same size");
        assert_eq!((byte(&m, 0x1000), byte(&m, 0x50_0000), m.cpu.gpr[0]), (2, 3, 7));
        restore(&mut m, &third).expect("the same size");
        assert_eq!((byte(&m, 0x1000), byte(&m, 0x50_0000)), (4, 0));
        assert!(m.memory.dirty().is_empty());
    }

    #[test]
    fn a_snapshot_costs_what_was_written() {
        let mut m = Machine::new(64 << 20).expect("memory");
        m.write_physical(0, &vec![1; 32 << 20]);
        let first = take(&mut m);
        m.write_physical(0x1000, &[2]);
        let second = take(&mut m);
        assert_eq!(first.pages.difference(&second.pages), [1]);
        restore(&mut m, &first).expect("the same size");
        assert_eq!(m.base.difference(&first.pages), []);
    }

    #[test]
    fn another_size_is_refused() {
        let mut m = Machine::new(0x10000).expect("memory");
        let mut other = Machine::new(0x20000).expect("memory");
        let wrong = OtherSize { snapshot: 0x10000, machine: 0x20000 };
        assert_eq!(restore(&mut other, &take(&mut m)), Err(wrong));
    }
}
