//! A guest in 64-bit user mode with the memory of [`super::native`] at the same addresses.

use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::cpu::{Segment, cr0, cr4, efer, flag, seg};
use perilune_runtime::guest::exit::{Detail, Reason, Reasons};
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::tier::Tier;

use super::native::{Access, BASE, CODE, CONSTANT, DATA, Ending, Registers, SIZE, STACK};

/// Where the test's memory lies in the guest's physical memory.
const PHYSICAL: u64 = 0x10_0000;
const TABLES: u64 = 0x1000;
const NO_EXECUTE: u64 = 1 << 63;

/// The guest.
pub struct Guest {
    /// Its state.
    pub machine: Box<Machine>,
    /// What executes it.
    pub engine: Engine,
}

/// Where an address lies in physical memory: the pages follow one another the other way round, so that the end of one is not followed by what
/// follows in the test's memory.
fn physical(at: u64) -> u64 {
    let last = SIZE as u64 / 0x1000 - 1;
    PHYSICAL + (last - (at - BASE) / 0x1000) * 0x1000 + (at & 0xfff)
}

/// Where the page table's entry of a page lies.
fn entry(at: u64) -> u64 {
    TABLES + 0x3000 + (at >> 12 & 511) * 8
}

/// The rights of a page, accessed and dirty.
fn usual(at: u64) -> u64 {
    match at {
        CODE => 0x67,
        CONSTANT => NO_EXECUTE | 0x65,
        at if at == STACK || (DATA..DATA + 0x2000).contains(&at) => NO_EXECUTE | 0x67,
        _ => 0,
    }
}

impl Guest {
    /// A guest with page tables for the test's memory.
    pub fn new() -> Guest {
        let mut machine = Machine::new(0x20_0000).expect("memory");
        let m = &mut *machine;
        let mut put = |at: u64, value: u64| assert!(m.write_physical(at, &value.to_le_bytes()));
        let index = |level: u64| BASE >> (12 + 9 * (level - 1)) & 511;
        for level in [4, 3, 2] {
            let table = TABLES + (4 - level) * 0x1000;
            put(table + index(level) * 8, (table + 0x1000) | 7);
        }
        for at in (BASE..BASE + SIZE as u64).step_by(0x1000) {
            put(entry(at), physical(at) | usual(at));
        }
        let cpu = &mut m.cpu;
        cpu.cr3 = TABLES;
        cpu.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT;
        cpu.msr.efer = efer::LME | efer::LMA | efer::SCE | efer::NXE;
        cpu.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::NE | cr0::MP | cr0::ET | cr0::AM;
        cpu.cpl = 3;
        cpu.segments = [Segment { selector: 0x2b, attributes: 0xcf3, limit: u32::MAX, base: 0 }; 6];
        cpu.segments[seg::CS] = Segment { selector: 0x33, attributes: 0xafb, limit: u32::MAX, base: 0 };
        // No map of ports: all are denied.
        cpu.tr.limit = 0x66;
        m.refresh();
        m.intercepts = Reasons::NONE.with(Reason::Exception).with(Reason::SoftwareInterrupt);
        Guest { machine, engine: Engine::new() }
    }

    /// A guest whose code is translated.
    pub fn with_tier(tier: Box<dyn Tier>) -> Guest {
        let mut guest = Guest::new();
        guest.engine.set_tier(tier);
        guest
    }

    /// Changes what user code may do with the page at `at`.
    pub fn protect(&mut self, at: u64, access: Access) {
        let bits = usual(at);
        let bits = match access {
            Access::Usual => bits,
            Access::ReadOnly => bits & !2,
            Access::Absent => bits & !1,
            Access::Supervisor => bits & !4,
        };
        let value = physical(at) | bits;
        assert!(self.machine.write_physical(entry(at), &value.to_le_bytes()));
        self.machine.flush_page(at);
    }

    /// Makes it 32-bit user code, in compatibility mode, or 64-bit user code.
    pub fn set_narrow(&mut self, narrow: bool) {
        let (selector, attributes) = if narrow { (0x23, 0xcfb) } else { (0x33, 0xafb) };
        self.machine.cpu.segments[seg::CS] = Segment { selector, attributes, limit: u32::MAX, base: 0 };
        self.machine.refresh();
    }

    /// Writes to the test's memory what is not there already: code that stays the same keeps what was made of it.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.len().min((0x1000 - (at & 0xfff)) as usize));
            if self.machine.memory.slice(physical(at), part.len()) != Some(part) {
                assert!(self.machine.write_physical(physical(at), part));
            }
            (at, rest) = (at + part.len() as u64, behind);
        }
    }

    /// Reads the test's memory.
    pub fn read(&self, at: u64, size: usize) -> Vec<u8> {
        let byte = |at| self.machine.memory.slice(physical(at), 1).expect("in memory")[0];
        (at..at + size as u64).map(byte).collect()
    }

    /// Executes until an exception, or `limit` instructions.
    pub fn run(&mut self, registers: Registers, limit: u64) -> (Registers, Ending) {
        let cpu = &mut self.machine.cpu;
        cpu.gpr = registers.gpr;
        cpu.rip = registers.rip;
        cpu.rflags = registers.rflags;
        cpu.fx = registers.fx;
        let exit = self.engine.run(&mut self.machine, limit);
        let cpu = &self.machine.cpu;
        let after = Registers { gpr: cpu.gpr, rip: cpu.rip, rflags: cpu.rflags, fx: cpu.fx };
        let ending = match exit.detail {
            Detail::Exception(e) => Ending { vector: e.vector, code: e.code, address: cpu.cr2 },
            Detail::Vector(vector) => Ending { vector, code: 0, address: 0 },
            _ => Ending { vector: 255, code: exit.reason as u32, address: 0 },
        };
        (after, ending)
    }

    /// The flags that both sides have set besides the arithmetic ones.
    pub const FLAGS: u64 = flag::FIXED | flag::IF;
}
