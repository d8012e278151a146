//! The machine for its users.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::cpu::{flag, mode, seg};
use perilune_runtime::guest::exit::{Reason, Reasons};
use perilune_runtime::guest::image::{self, Start};
use perilune_runtime::guest::machine::Machine as State;
use perilune_runtime::guest::snapshot;
use perilune_runtime::guest::symbol::Symbols;

use super::hook::Hooks;
use super::{Error, Exit, Register, Translation, translation};

/// An address as the guest's instructions use it, before the page tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Gva(pub u64);

/// An address in the guest's physical memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Gpa(pub u64);

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct Builder {
    memory: u64,
    translation: Translation,
    gdb: Option<bool>,
}

impl Builder {
    /// Bytes of RAM, a multiple of 4096; 256 MiB if nobody says.
    pub fn memory(mut self, bytes: u64) -> Builder {
        self.memory = bytes;
        self
    }

    /// Whether blocks of instructions are translated to machine code: [`Translation::On`] if nobody says.
    pub fn translation(mut self, translation: Translation) -> Builder {
        self.translation = translation;
        self
    }

    /// Whether gdb is told of translated blocks, each at once, by the names that the image has for addresses. If nobody says, it is told if it
    /// has started this program.
    pub fn gdb(mut self, told: bool) -> Builder {
        self.gdb = Some(told);
        self
    }

    /// Makes the machine, in the state after a reset.
    pub fn build(&self) -> Result<Machine, Error> {
        let engine = translation::engine(self.translation, self.gdb)?;
        Ok(Machine { state: State::new(self.memory)?, engine, hooks: Hooks::default(), last: None })
    }
}

/// A guest machine. See the [module](super).
#[derive(Debug)]
pub struct Machine {
    pub(super) state: Box<State>,
    engine: Engine,
    pub(super) hooks: Hooks,
    /// Why the last run ended.
    last: Option<Reason>,
}

/// A machine at a moment: processor, memory, devices.
#[derive(Clone, Debug)]
pub struct Snapshot(snapshot::Snapshot);

/// Ends a run from another thread. See [`Machine::stopper`].
#[derive(Clone, Debug)]
pub struct Stopper(Arc<AtomicBool>);

impl Stopper {
    /// Ends the run soon, or the next one if there is none.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Machine {
    /// Describes a machine.
    pub fn builder() -> Builder {
        Builder { memory: 256 << 20, translation: Translation::On, gdb: None }
    }

    /// Loads an ELF64 or multiboot 1 image, with a command line for the latter.
    pub fn load(&mut self, image: &[u8], command_line: &str) -> Result<(), Error> {
        image::load(&mut self.state, image, command_line)?;
        if translation::explains(&self.engine) {
            self.state.symbols = Symbols::of(image);
        }
        Ok(())
    }

    /// Loads bytes at an address, and starts there.
    pub fn load_flat(&mut self, image: &[u8], address: Gpa, start: Start) -> Result<(), Error> {
        image::load_flat(&mut self.state, image, address.0, start)?;
        self.state.symbols = Symbols::default();
        Ok(())
    }

    /// Runs the guest to the next exit, with no hook called.
    pub(super) fn run_once(&mut self, budget: u64) -> Exit {
        let raw = self.engine.run(&mut self.state, budget);
        self.last = Some(raw.reason);
        raw.into()
    }

    /// Takes a snapshot of everything but the connections to the outside, at the cost of the pages that were written since the last one was
    /// taken or restored.
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot(snapshot::take(&mut self.state))
    }

    /// Restores a snapshot, of this machine or one with the same amount of memory: any of them, at any time, at the cost of the pages that
    /// differ. Hooks stay as they are.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        Ok(snapshot::restore(&mut self.state, &snapshot.0)?)
    }

    /// What ends a run from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.state.stop))
    }

    /// Reads a register.
    pub fn get(&mut self, register: Register) -> u64 {
        *register.field(&mut self.state.cpu)
    }

    /// Writes a register, without the checks that the guest's own instructions make.
    pub fn set(&mut self, register: Register, value: u64) {
        *register.field(&mut self.state.cpu) = value;
        self.state.cpu.rflags |= flag::FIXED;
        if register == Register::Rip {
            self.state.emulate = Reasons::NONE;
        }
        if matches!(register, Register::Cr0 | Register::Cr3 | Register::Cr4 | Register::Efer) {
            self.state.flush_tlb();
        }
        self.state.refresh();
    }

    /// Reads SSE register `number`, 0 to 15.
    pub fn xmm(&self, number: usize) -> u128 {
        self.state.cpu.fx.xmm[number]
    }

    /// Writes SSE register `number`, 0 to 15.
    pub fn set_xmm(&mut self, number: usize, value: u128) {
        self.state.cpu.fx.xmm[number] = value;
    }

    /// Virtual time in nanoseconds: instructions executed, and the time that was spent halted.
    pub fn instructions(&self) -> u64 {
        self.state.cpu.time()
    }

    /// Bytes of RAM.
    pub fn memory_size(&self) -> u64 {
        self.state.memory.size()
    }

    /// Where an address of the guest's instructions lies in physical memory, if it is mapped.
    pub fn translate(&mut self, address: Gva) -> Option<Gpa> {
        self.state.probe(address.0).map(Gpa)
    }

    /// The address of the next instruction with the code segment's base, and the width of code: 16, 32 or 64.
    pub fn code_address(&self) -> (u64, u32) {
        let cpu = &self.state.cpu;
        match cpu.mode & mode::WIDTH {
            mode::BITS_64 => (cpu.rip, 64),
            width => {
                let linear = cpu.segments[seg::CS].base.wrapping_add(cpu.rip) & 0xffff_ffff;
                (linear, if width == mode::BITS_32 { 32 } else { 16 })
            }
        }
    }

    /// Physical memory as it is, if all of the range is RAM or ROM.
    pub fn slice(&self, address: Gpa, length: usize) -> Result<&[u8], Error> {
        self.state.memory.slice(address.0, length).ok_or(Error::Address(address.0))
    }

    /// Writes physical memory. Instructions there that were executed before are forgotten.
    pub fn write(&mut self, address: Gpa, bytes: &[u8]) -> Result<(), Error> {
        let written = self.state.memory.load_image(address.0, bytes);
        self.state.note_modified();
        if written { Ok(()) } else { Err(Error::Address(address.0)) }
    }

    /// Calls `each` with the parts of a range of virtual addresses that lie on one page.
    fn pages(
        &mut self,
        address: Gva,
        length: usize,
        mut each: impl FnMut(&mut State, Gpa, std::ops::Range<usize>) -> bool,
    ) -> Result<(), Error> {
        let mut done = 0;
        while done < length {
            let at = address.0.wrapping_add(done as u64);
            let part = (4096 - (at & 4095) as usize).min(length - done);
            let physical = self.translate(Gva(at)).ok_or(Error::Address(at))?;
            if !each(&mut self.state, physical, done..done + part) {
                return Err(Error::Address(at));
            }
            done += part;
        }
        Ok(())
    }

    /// Reads memory at an address of the guest's instructions.
    pub fn read_virtual(&mut self, address: Gva, bytes: &mut [u8]) -> Result<(), Error> {
        self.pages(address, bytes.len(), |state, physical, part| {
            let slice = state.memory.slice(physical.0, part.len());
            slice.is_some_and(|slice| {
                bytes[part].copy_from_slice(slice);
                true
            })
        })
    }

    /// Writes memory at an address of the guest's instructions, whatever the page tables say about writing.
    pub fn write_virtual(&mut self, address: Gva, bytes: &[u8]) -> Result<(), Error> {
        let written =
            self.pages(address, bytes.len(), |state, physical, part| state.memory.load_image(physical.0, &bytes[part]));
        self.state.note_modified();
        written
    }

    /// Makes pages of physical memory read-only for the guest; its writes are ignored.
    pub fn make_rom(&mut self, address: Gpa, length: u64) {
        self.state.memory.make_rom(address.0, length);
        self.state.flush_tlb();
    }

    /// Lets what the last exit told of take effect in the next run, although it is intercepted: the instruction at rip, or the interrupt.
    pub fn emulate(&mut self) {
        // An access to memory that is watched has had its effect.
        if let Some(reason) = self.last.filter(|reason| *reason != Reason::Watch) {
            self.state.emulate = self.state.emulate.with(reason);
        }
    }

    /// Moves rip behind the instruction at rip, without executing it.
    pub fn skip(&mut self) -> Result<(), Error> {
        let rip = self.state.cpu.rip;
        let length = self.engine.instruction_length(&mut self.state).ok_or(Error::Address(rip))?;
        self.state.cpu.rip = rip.wrapping_add(length);
        self.state.emulate = Reasons::NONE;
        Ok(())
    }

    /// Ends an instruction that reads a port ([`Exit::PortIn`]) with a value.
    pub fn answer_port(&mut self, size: u8, value: u32) -> Result<(), Error> {
        self.skip()?;
        let rax = &mut self.state.cpu.gpr[0];
        *rax = match size {
            1 => *rax & !0xff | u64::from(value & 0xff),
            2 => *rax & !0xffff | u64::from(value & 0xffff),
            _ => value.into(),
        };
        Ok(())
    }

    /// Sends the first serial port's output somewhere.
    pub fn set_serial_output(&mut self, output: Box<dyn Write + Send>) {
        self.state.bus.serial.set_output(output);
    }

    /// Bytes that come in at the first serial port.
    pub fn serial_input(&mut self, bytes: &[u8]) {
        self.state.bus.receive(bytes);
    }

    /// How often each kind of exit occurred, intercepted or not.
    pub fn exits(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        self.state.exits.iter()
    }

    /// What the translator has counted, with names: blocks, links, exits by reason. Nothing when it is off.
    pub fn translated(&self) -> Vec<(String, u64)> {
        translation::counters(&self.engine, &self.state)
    }

    /// How many blocks of instructions were decoded, and how many were dropped since their bytes were written.
    pub fn blocks(&self) -> (u64, u64) {
        self.engine.blocks()
    }
}
