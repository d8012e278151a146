//! The translator as the dispatch loop sees it: when blocks are translated, how they are entered and left, what becomes of their exits.

use super::block;
use super::blocks::{Blocks, EXIT_BITS, Made};
use super::explain;
use super::frame::SLACK;
use super::literal::{Rewritten, Writable};
use super::table;
use super::trampoline::{self, Context, Helped, Left, Literal, Trampoline};
use super::translate::{self, Exit, Last, Why};
use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::buffer::Code;
use crate::code::map::CodeSpace;
use crate::code::publish::{Publisher, Telling};
use perilune_interpreter::guest::decode;
use perilune_interpreter::guest::exec::mark;
use perilune_runtime::guest::cpu::gpr::RSP;
use perilune_runtime::guest::cpu::{Cpu, flag, mode};
use perilune_runtime::guest::machine::{Machine, canonical};
use perilune_runtime::guest::memory::{Memory, Modified, lines_between};
use perilune_runtime::guest::tier::{Answer, Key, Outcome, Tier};
use perilune_runtime::guest::tlb::{Access, PAGE_MASK, PAGE_SIZE};
use rustc_hash::FxHashMap;
use std::ffi::c_void;

/// What can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// After how many executions a block is translated.
    pub threshold: u32,
    /// Bytes of machine code; when they are used up, all code is dropped.
    pub code_size: usize,
    /// When gdb is told of blocks.
    pub telling: Telling,
}

impl Default for Options {
    fn default() -> Options {
        Options { threshold: 32, code_size: 64 << 20, telling: explain::detect() }
    }
}

/// The kinds of exits, with the names that statistics have for them.
pub const EXITS: [(Why, &str); 9] = [
    (Why::Untranslated, "untranslated"),
    (Why::Memory, "memory"),
    (Why::Divide, "divide"),
    (Why::Budget, "budget"),
    (Why::X87, "x87"),
    (Why::Helper, "helper"),
    (Why::Attention, "attention"),
    (Why::Link, "link"),
    (Why::Target, "target"),
];

/// What has been counted.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    /// Blocks that were translated.
    pub translated: u64,
    /// Blocks that were dropped since their bytes were written.
    pub dropped: u64,
    /// How often all code was dropped for want of room.
    pub cleared: u64,
    /// Bytes of machine code.
    pub bytes: u64,
    /// How often the dispatch loop entered compiled code.
    pub entered: u64,
    /// Jumps from block to block that were linked.
    pub linked: u64,
    /// Branch targets that were entered into the table.
    pub targets: u64,
    /// Instructions that compiled code executed.
    pub instructions: u64,
    /// How often each kind of exit was taken, in the order of [`EXITS`].
    pub exits: [u64; EXITS.len()],
}

/// The translator.
#[derive(Debug)]
pub struct Translator {
    options: Options,
    // Dropped before the code that it tells of.
    publisher: Publisher,
    // Dropped before the arena that their code lies in.
    blocks: Blocks,
    arena: Arena<Trampoline>,
    counters: Counters,
    /// What the table's entries are good for: how often the TLB was cleared, and how often a page was invalidated.
    seen: (u64, u64),
    rewritten: Rewritten,
    /// The literal that compiled code may write.
    literal: Option<Writable>,
}

/// The bit in a helper's answer that says: leave at the same instruction, for the dispatch loop.
const AGAIN: u64 = 1 << 31;

/// The bits of MXCSR that mask exceptions.
const MASKS: u32 = 0x1f80;

/// The flags as SETO and LAHF leave them in AX.
fn pack(rflags: u64) -> u64 {
    (rflags & (flag::SF | flag::ZF | flag::AF | flag::PF | flag::CF)) << 8 | u64::from(rflags & flag::OF != 0)
}

/// Puts such flags into rflags.
fn unpack(rflags: u64, packed: u64) -> u64 {
    let low = packed >> 8 & (flag::ARITHMETIC & !flag::OF);
    rflags & !flag::ARITHMETIC | low | if packed & 1 != 0 { flag::OF } else { 0 }
}

/// Lets the x87 state remember its last instruction.
fn remember(cpu: &mut Cpu, last: Option<Last>) {
    if let Some(Last { rip, opcode }) = last {
        (cpu.fx.instruction, cpu.fx.opcode) = (rip, opcode);
    }
}

impl Translator {
    /// A translator, with an arena of its own.
    pub fn new(options: Options) -> Result<Translator, CodeError> {
        let space = CodeSpace::reserve()?;
        let arena = Arena::with_head(&space, options.code_size, |start| trampoline::assemble(start, help, fill))?;
        let blocks = Blocks::default();
        Ok(Translator {
            options,
            publisher: Publisher::new(options.telling, &[]),
            blocks,
            arena,
            counters: Counters::default(),
            seen: (0, 0),
            rewritten: Rewritten::default(),
            literal: None,
        })
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        Counters { linked: self.blocks.linked, bytes: self.arena.used() as u64, ..self.counters }
    }

    /// Whether somebody is told of blocks by their names.
    pub fn explains(&self) -> bool {
        self.publisher.is_wanted()
    }

    /// Translates the block at rip; `None` if there is nothing to translate.
    fn translate(&mut self, machine: &mut Machine, key: Key) -> Result<Option<u32>, CodeError> {
        let left = PAGE_SIZE - (key.physical & PAGE_MASK) as usize;
        let Some(bytes) = machine.memory.slice(key.physical, left) else { return Ok(None) };
        let mut found = block::decode(bytes, key.rip, key.mode);
        if found.steps.is_empty() {
            return Ok(None);
        }
        let base = machine.memory.base();
        let (constants, literals) = self.rewritten.mark(&mut found, key, base);
        let slot = self.blocks.next_slot().ok_or(CodeError::Full { wanted: 1 })?;
        let _writing = self.arena.writing();
        let buffer = self.arena.begin(translate::bound(found.steps.len()))?;
        let done = translate::Translator::translate(
            buffer,
            *self.arena.head(),
            &found,
            key.rip,
            slot << EXIT_BITS,
            self.blocks.free_groups(),
        );
        assert!(done.exits.len() < 1 << EXIT_BITS, "{} exits", done.exits.len());
        let mut handlers = FxHashMap::default();
        for (number, exit) in done.exits.iter().enumerate().filter(|(_, exit)| exit.why == Why::Helper) {
            let at = (exit.rip - key.rip) as usize;
            if let Ok(insn) = decode::decode(&bytes[at..], exit.rip, key.mode) {
                handlers.insert(number as u32, insn);
            }
        }
        let first = key.physical & PAGE_MASK;
        // The instruction that the block was left before belongs to it: what it is was looked at.
        let last = (first + found.length as u64 + u64::from(found.leaves)).min(PAGE_SIZE as u64) - 1;
        let lines = lines_between(first, last);
        machine.add_code((key.physical >> PAGE_SIZE.trailing_zeros()) as u32, lines);
        let code = done.buffer.publish()?;
        if self.publisher.is_wanted() {
            // A block that cannot be described runs all the same.
            let _ = self.publisher.announce(vec![(explain::function(&machine.symbols, key.rip, &code), &code)]);
        }
        let made = Made {
            key,
            lines,
            bytes: key.physical..key.physical + last + 1 - first,
            constants,
            literals,
            code,
            host: done.host,
            saved: done.saved,
            exits: done.exits,
            handlers,
            groups: done.groups,
        };
        self.counters.translated += 1;
        Ok(Some(self.blocks.enter(&self.arena, made, done.links)?))
    }

    /// Frees code to which nothing leads, when gdb has forgotten it.
    fn withdraw(&mut self, code: Vec<Code>) {
        if !self.publisher.is_wanted() {
            return;
        }
        code.into_iter().for_each(|code| self.publisher.retire(code));
        // A batch that cannot be told anew is forgotten as a whole.
        self.publisher.reclaim().ok();
    }

    /// The code of the block at an address, if there is any and the page is in the TLB.
    fn code_at(&self, machine: &Machine, rip: u64) -> Option<usize> {
        let addend = machine.tlb.executable(rip)?;
        let physical = rip.wrapping_add(addend).wrapping_sub(machine.memory.base());
        self.blocks.find(Key { physical, rip, mode: machine.cpu.mode }).map(|block| block.made.saved())
    }

    /// Runs from `entry` until the dispatch loop is needed.
    fn go(&mut self, machine: &mut Machine, entry: usize) -> Outcome {
        let salt = table::salt(machine.tlb.space, machine.cpu.mode);
        let mut entry = entry;
        loop {
            let before = machine.cpu.budget;
            let context = Context {
                table: self.blocks.table.address(),
                key: salt,
                flags: pack(machine.cpu.rflags),
                has_xmm: u64::from(machine.cpu.mode & mode::SSE != 0),
                owner: (&raw const self.blocks).cast_mut().cast(),
                literal: self.literal.and_then(|literal| literal.if_valid(machine)).unwrap_or(Literal::NONE),
            };
            let trampoline = *self.arena.head();
            // SAFETY: the entry is that of a block that was found by what the machine's state is now. Blocks are dropped by calls of the
            // dispatch loop only, which waits for this one to return; helpers drop none. `blocks` and its table stay where they are.
            let left = unsafe { trampoline.enter(machine, &context, entry) };
            let next = self.left(machine, left, salt);
            self.counters.instructions += (before - machine.cpu.budget) as u64;
            match next {
                Ok(code) if machine.cpu.budget >= SLACK => entry = code,
                Ok(_) => return Outcome::Dispatch,
                Err(outcome) => return outcome,
            }
        }
    }

    /// What is to be done after an exit: code to go on with, or an answer to the dispatch loop.
    fn left(&mut self, machine: &mut Machine, left: Left, salt: u64) -> Result<usize, Outcome> {
        let (again, number) = (left.exit & AGAIN != 0, left.exit & !AGAIN);
        let (block, exit) = self.blocks.exit(number).expect("exits of code that runs are known");
        let physical = block.made.key.physical.wrapping_add(exit.rip.wrapping_sub(block.made.key.rip));
        let cpu = &mut machine.cpu;
        cpu.rflags = unpack(cpu.rflags, left.flags);
        cpu.budget += SLACK + i64::from(exit.unexecuted);
        remember(cpu, exit.last);
        let target = cpu.rip;
        cpu.rip = exit.rip;
        self.counters.exits[exit.why as usize] += 1;
        if exit.why == Why::Memory && machine.memory.has_literals() {
            self.literal = Writable::find(machine, physical).or(self.literal);
        }
        let cpu = &mut machine.cpu;
        match exit.why {
            _ if again => Err(Outcome::Dispatch),
            // What is left of a budget is interpreted, so that it ends where it should.
            Why::Untranslated | Why::Memory | Why::Divide | Why::X87 | Why::Helper | Why::Budget => {
                Err(Outcome::Interpret)
            }
            Why::Attention => Err(Outcome::Dispatch),
            Why::Link => {
                let code = self.code_at(machine, exit.rip).ok_or(Outcome::Dispatch)?;
                self.blocks.table.enter(exit.rip, salt, code);
                Ok(code)
            }
            Why::Target if !canonical(target) => {
                // The branch itself raises the exception.
                cpu.gpr[RSP] = cpu.gpr[RSP].wrapping_sub(exit.released as u64);
                cpu.budget += 1;
                Err(Outcome::Interpret)
            }
            Why::Target => {
                cpu.rip = target;
                let code = self.code_at(machine, target).ok_or(Outcome::Dispatch)?;
                self.blocks.table.enter(target, salt, code);
                self.counters.targets += 1;
                Ok(code)
            }
        }
    }
}

/// Executes the instruction of an exit by the interpreter's handler: what compiled code calls.
unsafe extern "C-unwind" fn help(owner: *mut c_void, machine: *mut Machine, exit: u64, flags: u64) -> Helped {
    // SAFETY: the owner is the `Blocks` of the translator whose code runs; while that runs nobody changes it.
    let blocks = unsafe { &*owner.cast_const().cast::<Blocks>() };
    // SAFETY: the machine that the code was entered with, which nobody else uses meanwhile; its registers are stored.
    let m = unsafe { &mut *machine };
    let Some((block, known)) = blocks.exit(exit) else { return Helped { exit, flags } };
    let Some(insn) = block.made.handlers.get(&(exit as u32 & ((1 << EXIT_BITS) - 1))) else {
        return Helped { exit, flags };
    };
    execute(m, insn, exit, known, flags)
}

/// Walks the page tables for an access that missed the TLB, if it may hit afterwards: what compiled code calls.
unsafe extern "C-unwind" fn fill(machine: *mut Machine, address: u64, argument: u32, slot: *mut [u64; 2]) -> u64 {
    // SAFETY: the machine that the code was entered with, which nobody else uses meanwhile; its registers are stored.
    let m = unsafe { &mut *machine };
    let write = argument & trampoline::WRITES != 0;
    let (last, aligned) = (u64::from(argument & 0xff), u64::from(argument >> 8 & 0xff));
    if address & aligned != 0 || (address & PAGE_MASK) + last > PAGE_MASK || !canonical(address) {
        return 0;
    }
    // A fault is the interpreter's, which will find it again.
    let cr2 = m.cpu.cr2;
    let access = if write { Access::Write } else { Access::Read };
    let found = m.translate(address, access);
    m.cpu.cr2 = cr2;
    let addend = if write { m.tlb.writable(address, last + 1) } else { m.tlb.readable(address, last + 1) };
    match addend {
        Some(addend) if found.is_ok() && m.cpu.attention == 0 => {
            // SAFETY: the slot is a place in the frame, which nobody else uses meanwhile.
            unsafe { *slot = [address & !PAGE_MASK, addend] };
            1
        }
        _ => 0,
    }
}

/// One instruction; a repeated one as often as budget and attention let it.
fn execute(
    m: &mut Machine,
    insn: &perilune_interpreter::guest::exec::Insn,
    exit: u64,
    known: Exit,
    flags: u64,
) -> Helped {
    m.cpu.rflags = unpack(m.cpu.rflags, flags);
    remember(&mut m.cpu, known.last);
    let next = known.rip.wrapping_add(insn.length.into());
    let answer = |m: &Machine, exit: u64| Helped { exit, flags: pack(m.cpu.rflags) };
    loop {
        m.cpu.rip = known.rip;
        m.cpu.next_rip = next;
        if (insn.handler)(m, insn).is_err() {
            return answer(m, exit);
        }
        if m.cpu.next_rip == next || !insn.has(mark::REP | mark::REPNE) {
            return answer(m, if m.cpu.attention == 0 { 0 } else { exit + 1 });
        }
        // One more chunk is one more instruction; the block was charged for one.
        m.cpu.budget -= 1;
        if m.cpu.attention != 0 || m.cpu.budget < 0 {
            return answer(m, exit | AGAIN);
        }
    }
}

impl Tier for Translator {
    fn threshold(&self) -> u32 {
        self.options.threshold
    }

    fn hot(&mut self, machine: &mut Machine, key: Key) -> Answer {
        const NEVER: Answer = Answer::Interpret(u32::MAX);
        if key.mode & mode::WIDTH != mode::BITS_64 {
            return NEVER;
        }
        // The interpreter may have decoded anew what is translated still.
        if let Some(block) = self.blocks.find(key) {
            return Answer::Run(block.number);
        }
        match self.translate(machine, key) {
            Ok(Some(number)) => Answer::Run(number),
            Ok(None) => NEVER,
            Err(_) => {
                // Most likely there is no room: the block gets some next time.
                self.clear();
                self.counters.cleared += 1;
                Answer::Interpret(self.options.threshold.max(1))
            }
        }
    }

    fn run(&mut self, machine: &mut Machine, block: u32) -> Outcome {
        let Some(block) = self.blocks.numbered(block) else { return Outcome::Gone };
        let unmasked = machine.cpu.mode & mode::SSE != 0 && machine.cpu.fx.mxcsr & MASKS != MASKS;
        if machine.tlb.space == 0 || unmasked || machine.cpu.budget < SLACK {
            return Outcome::Interpret;
        }
        let entry = block.made.saved();
        let seen = (machine.tlb.clears, machine.tlb.invalidations);
        if seen != self.seen {
            self.seen = seen;
            self.blocks.table.clear();
        }
        self.counters.entered += 1;
        self.go(machine, entry)
    }

    fn invalidate(&mut self, memory: &mut Memory, modified: Modified) -> u64 {
        let _writing = self.arena.writing();
        let page = u64::from(modified.page) * PAGE_SIZE as u64;
        let written = page + u64::from(modified.bytes.0)..page + u64::from(modified.bytes.1) + 1;
        match self.blocks.invalidate(&self.arena, modified.page, &written) {
            Ok(dropped) => {
                self.counters.dropped += dropped.code.len() as u64;
                self.withdraw(dropped.code);
                self.rewritten.note(dropped.constants);
                if dropped.literal {
                    memory.add_literal(written);
                }
                dropped.used
            }
            Err(_) => {
                // What could not be unlinked must not be entered.
                self.clear();
                0
            }
        }
    }

    fn clear(&mut self) {
        // gdb must not know code that is about to go.
        self.publisher = Publisher::new(self.options.telling, &[]);
        self.blocks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_packed_and_unpacked() {
        for bits in 0..1 << 12 {
            let flags = bits & flag::ARITHMETIC | flag::FIXED;
            let other = flag::IF | flag::DF | flag::FIXED;
            assert_eq!(unpack(other | flag::ARITHMETIC, pack(flags)), other | flags & flag::ARITHMETIC);
        }
    }

    #[test]
    fn exits_are_counted_in_their_order() {
        assert!(EXITS.iter().enumerate().all(|(n, (why, _))| *why as usize == n));
    }
}
