//! The machine: all that a guest is, in one place, and the slow paths to its memory that processor and monitor share.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::bus::Bus;
use super::cpu::{Cpu, attention, cr0, cr4, flag};
use super::exception::{Exception, vector};
use super::exit::{Counters, Exit, Reasons};
use super::memory::{self, Memory, page};
use super::paging::{self, Accessor};
use super::snapshot::Pages;
use super::symbol::Symbols;
use super::tlb::{Access, PAGE_MASK, PAGE_SIZE, Tags, Tlb};

/// The most instructions between two looks at [`Machine::stop`].
const SLICE: u64 = 1 << 20;

const PAGE_BYTES: u64 = PAGE_SIZE as u64;

/// A guest.
///
/// Compiled code holds a pointer to it, and reaches what [`super::layout`] names. It lives in a box: [`Machine::new`].
#[derive(Debug)]
#[repr(C)]
pub struct Machine {
    /// The processor.
    pub cpu: Cpu,
    /// The soft TLB.
    pub tlb: Tlb,
    /// Guest-physical memory.
    pub memory: Memory,
    /// The devices.
    pub bus: Bus,
    /// The reasons for which the monitor wants to be asked.
    pub intercepts: Reasons,
    /// What is let through although it is intercepted, until the next instruction is done: the monitor has seen it.
    pub emulate: Reasons,
    /// The ranges of guest-virtual addresses whose accesses are reported.
    pub watched: Vec<Range<u64>>,
    /// The contents of memory when a snapshot was last taken or restored.
    pub base: Pages,
    /// How often each reason occurred.
    pub exits: Counters,
    /// Set from another thread to end a run soon.
    pub stop: Arc<AtomicBool>,
    /// The virtual time at which the current run ends, whatever the devices want.
    pub end: u64,
    /// Exits that are to be reported before the next instruction ([`attention::EXIT`]).
    pub pending: VecDeque<Exit>,
    /// What the image calls its addresses, if somebody wants to know: for debuggers.
    pub symbols: Symbols,
}

impl Machine {
    /// A machine with `size` bytes of RAM, after a reset.
    pub fn new(size: u64) -> Result<Box<Machine>, memory::Error> {
        let mut machine = Box::new(Machine {
            cpu: Cpu::default(),
            tlb: Tlb::default(),
            memory: Memory::new(size)?,
            bus: Bus::new(size),
            intercepts: Reasons::NONE,
            emulate: Reasons::NONE,
            watched: Vec::new(),
            base: Pages::default(),
            exits: Counters::default(),
            stop: Arc::default(),
            end: 0,
            pending: VecDeque::new(),
            symbols: Symbols::default(),
        });
        machine.refresh();
        Ok(machine)
    }

    /// Puts the processor into the state after a reset. Memory and time stay.
    pub fn reset(&mut self) {
        let (budget, horizon) = (self.cpu.budget, self.cpu.horizon);
        self.cpu = Cpu { budget, horizon, ..Cpu::default() };
        self.tlb.flush_all();
        self.refresh();
        self.cpu.attention |= attention::LOOKUP;
    }

    /// Lets the processor run until the end of the run, or until a device wants to be looked at, whatever comes first. To be
    /// called when either has changed.
    pub fn set_slice(&mut self) {
        let now = self.cpu.time();
        let event = self.bus.next_event().unwrap_or(u64::MAX).max(now);
        let until = event.min(self.end).min(now.saturating_add(SLICE));
        self.cpu.horizon = until;
        self.cpu.budget = until.saturating_sub(now) as i64;
    }

    /// Asks the dispatch loop to report an exit before the next instruction.
    pub fn request_exit(&mut self, exit: Exit) {
        self.pending.push_back(exit);
        self.cpu.attention |= attention::EXIT;
    }

    /// The PCID of the current address space.
    pub fn pcid(&self) -> u16 {
        if self.cpu.cr4 & cr4::PCIDE != 0 { (self.cpu.cr3 & 0xfff) as u16 } else { 0 }
    }

    /// Computes what depends on control registers, segments, privilege and flags: the mode, and the TLB's address space. To be called
    /// after any of these was changed.
    pub fn refresh(&mut self) {
        self.cpu.update_mode();
        self.select();
    }

    /// Selects the TLB's address space.
    fn select(&mut self) {
        let user = self.cpu.cpl == 3;
        if user && self.cpu.cr0 & cr0::AM != 0 && self.cpu.has(flag::AC) {
            // Each access has to be checked for its alignment: nothing may hit.
            self.tlb.space = 0;
        } else {
            let pcid = self.pcid();
            self.tlb.select(pcid, user);
        }
    }

    /// Forgets all translations.
    pub fn flush_tlb(&mut self) {
        self.tlb.flush_all();
        self.select();
        self.cpu.attention |= attention::LOOKUP;
    }

    /// Forgets the translations of one PCID.
    pub fn flush_pcid(&mut self, pcid: u16) {
        self.tlb.flush(pcid);
        self.select();
        self.cpu.attention |= attention::LOOKUP;
    }

    /// Forgets the translation of one page.
    pub fn flush_page(&mut self, va: u64) {
        self.tlb.invalidate(va);
        self.select();
        self.cpu.attention |= attention::LOOKUP;
    }

    /// Translates `va` for an access with the current privilege, enters it into the TLB if accesses of that kind may go the
    /// fast path from now on, and answers the guest-physical address.
    #[cold]
    pub fn translate(&mut self, va: u64, access: Access) -> Result<u64, Exception> {
        let by = Accessor { user: self.cpu.cpl == 3, implicit: false, silent: false };
        let found = self.walk(va, access, by)?;
        let facts = self.memory.facts(found.physical);
        if facts & (page::RAM | page::ROM) != 0 && !self.watches_page(va) {
            // Nothing is left to be noted for writes to a page that is dirty already.
            let known = facts & (page::DIRTY | page::CODE) == page::DIRTY;
            let write = found.writable && facts & page::RAM != 0 && (access == Access::Write || known);
            let held = write && !self.memory.prepare_write(found.physical);
            // A user page under SMAP can be reached while AC is set only: no entry that outlives it.
            let lasting = self.cpu.cpl == 3 || self.cpu.cr4 & cr4::SMAP == 0 || !self.cpu.has(flag::AC);
            let tags =
                Tags { read: found.readable && lasting, write: write && lasting, held, execute: found.executable };
            let host = self.memory.base().wrapping_add(found.physical & !PAGE_MASK);
            self.tlb.fill(va, host.wrapping_sub(va & !PAGE_MASK), tags, found.large);
        }
        Ok(found.physical)
    }

    /// Translates `va` for an access of the processor itself, with the rights of the supervisor.
    pub fn translate_implicit(&mut self, va: u64, access: Access) -> Result<u64, Exception> {
        let by = Accessor { user: false, implicit: true, silent: false };
        Ok(self.walk(va, access, by)?.physical)
    }

    fn walk(&mut self, va: u64, access: Access, by: Accessor) -> Result<paging::Translation, Exception> {
        let found = paging::translate(&self.cpu, &mut self.memory, va, access, by);
        // Accessed and dirty bits may lie next to code.
        self.note_modified();
        found.map_err(|code| self.page_fault(va, code))
    }

    /// Where `va` is mapped for the supervisor, without leaving a mark: for the monitor.
    pub fn probe(&mut self, va: u64) -> Option<u64> {
        let by = Accessor { user: false, implicit: false, silent: true };
        if self.cpu.long() && !canonical(va) {
            return None;
        }
        // With AC set, SMAP does not get in the way of looking.
        let ac = self.cpu.rflags;
        self.cpu.rflags |= flag::AC;
        let found = paging::translate(&self.cpu, &mut self.memory, va, Access::Read, by);
        self.cpu.rflags = ac;
        found.ok().map(|found| found.physical)
    }

    fn page_fault(&mut self, va: u64, code: u32) -> Exception {
        self.cpu.cr2 = va;
        Exception::with_code(vector::PAGE, code)
    }

    /// Notes that instructions were decoded in lines of a page: writes to it take the slow path from now on.
    pub fn add_code(&mut self, page: u32, lines: u64) {
        if self.memory.add_code(page, lines) {
            let host = self.memory.base() + u64::from(page) * PAGE_BYTES;
            self.tlb.forget_host_page(host);
        }
    }

    /// Writes to physical memory on behalf of a device or the monitor. Answers whether all of it is RAM or ROM.
    pub fn write_physical(&mut self, address: u64, bytes: &[u8]) -> bool {
        let written = self.memory.write(address, bytes);
        self.note_modified();
        written
    }

    /// Asks for attention when code was modified: after each write to [`Memory`] outside of the TLB.
    #[inline]
    pub fn note_modified(&mut self) {
        if self.memory.has_modified() {
            self.cpu.attention |= attention::CODE;
        }
    }

    /// Takes the list of dirty pages.
    pub fn take_dirty(&mut self) -> Vec<u32> {
        self.tlb.forget_writes();
        self.memory.take_dirty()
    }

    /// Reports accesses to these ranges of guest-virtual addresses from now on, and to no others.
    pub fn watch(&mut self, ranges: Vec<Range<u64>>) {
        self.watched = ranges;
        self.flush_tlb();
    }

    /// Whether the page of a guest-virtual address has a part of a range that is watched.
    fn watches_page(&self, va: u64) -> bool {
        let page = va & !PAGE_MASK;
        self.watched.iter().any(|range| range.start <= page | PAGE_MASK && range.end > page)
    }
}

/// Whether an address is canonical: bits 48 to 63 are copies of bit 47.
#[inline]
pub const fn canonical(va: u64) -> bool {
    ((va as i64) << 16 >> 16) as u64 == va
}
