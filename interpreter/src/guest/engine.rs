//! The dispatch loop: find the block at rip, execute it, look up what wants attention, again.

use std::sync::atomic::Ordering;

use perilune_runtime::guest::cpu::{Activity, attention, flag, mode};
use perilune_runtime::guest::exception::vector;
use perilune_runtime::guest::exit::{Detail, Exit, Reason, Reasons};
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::tier::{Answer, Outcome, Tier};

use super::cache::Cache;
use super::exec::{Done, Stop, mark, system};
use super::fault;

/// What executes a guest: its decoded blocks, and a translator if one is plugged in.
#[derive(Default)]
pub struct Engine {
    cache: Cache,
    tier: Option<Box<dyn Tier>>,
    /// The next instruction is the first of a block: it was reached by a branch, an exception or an interrupt.
    entered: bool,
    /// rip at the end of the last run.
    left_at: Option<u64>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("translates", &self.tier.is_some()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine without a translator.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Plugs in a translator.
    pub fn set_tier(&mut self, tier: Box<dyn Tier>) {
        self.cache.clear();
        self.cache.threshold = tier.threshold().max(1);
        self.tier = Some(tier);
    }

    /// The translator that is plugged in.
    pub fn tier(&self) -> Option<&dyn Tier> {
        self.tier.as_deref()
    }

    /// How many blocks were decoded, and how many were dropped because their bytes were written.
    pub fn blocks(&self) -> (u64, u64) {
        (self.cache.decoded, self.cache.invalidated)
    }

    /// The length of the instruction at rip, or `None` if it cannot be fetched.
    pub fn instruction_length(&mut self, m: &mut Machine) -> Option<u64> {
        let cr2 = m.cpu.cr2;
        let found = self.cache.find(m);
        m.cpu.cr2 = cr2;
        self.cache.insns(found.ok()?).first().map(|insn| insn.length.into())
    }

    /// Runs the guest until an exit, for at most `budget` instructions. Time in which the processor is halted counts like
    /// instructions.
    pub fn run(&mut self, m: &mut Machine, budget: u64) -> Exit {
        m.end = m.cpu.time().saturating_add(budget.min(i64::MAX as u64));
        m.cpu.attention |= attention::TIMER | attention::INTERRUPT;
        // Where the monitor sends the processor is a block too.
        self.entered |= self.left_at != Some(m.cpu.rip);
        loop {
            if m.cpu.attention != 0 || m.cpu.budget <= 0 {
                match self.attend(m) {
                    Some(exit) => {
                        self.left_at = Some(m.cpu.rip);
                        return exit;
                    }
                    None => continue,
                }
            }
            if let Err(stop) = self.block(m, u64::MAX) {
                self.stopped(m, stop);
            }
        }
    }

    /// Looks up what wants attention, and executes one instruction if that has to come first.
    fn attend(&mut self, m: &mut Machine) -> Option<Exit> {
        let bits = std::mem::take(&mut m.cpu.attention);
        if bits & attention::CODE != 0 {
            self.drop_modified(m);
            if bits == attention::CODE {
                return None;
            }
        }
        if bits & attention::TIMER != 0 || m.cpu.budget <= 0 {
            let now = m.cpu.time();
            m.bus.advance(now);
            m.set_slice();
        }
        if bits & attention::EXIT != 0
            && let Some(exit) = m.pending.pop_front()
        {
            m.cpu.attention |= if m.pending.is_empty() { 0 } else { attention::EXIT };
            return Some(exit);
        }
        if m.cpu.activity == Activity::Shutdown {
            return Some(plain_exit(Reason::TripleFault));
        }
        if m.stop.load(Ordering::Relaxed) && m.stop.swap(false, Ordering::Relaxed) {
            return Some(plain_exit(Reason::Stopped));
        }
        if m.cpu.time() >= m.end {
            return Some(plain_exit(Reason::Budget));
        }
        let seen = m.emulate != Reasons::NONE && !m.emulate.contains(Reason::Interrupt);
        if m.cpu.shadow || seen || bits & attention::INTERPRET != 0 {
            // One instruction before anything else; it may cast a shadow of its own, which does not count.
            let shadow = std::mem::take(&mut m.cpu.shadow);
            let done = match self.block(m, 1) {
                Ok(()) => true,
                Err(stop) => self.stopped(m, stop),
            };
            if done {
                m.emulate = Reasons::NONE;
                m.cpu.shadow &= !shadow;
            } else {
                m.cpu.shadow = shadow;
            }
            m.cpu.attention |= attention::INTERRUPT;
            return None;
        }
        // What keeps an interrupt from being delivered is in `pending`.
        let delivered = self.interrupt(m);
        m.emulate = m.emulate.without(Reason::Interrupt);
        if delivered.is_err() {
            return None;
        }
        if m.cpu.activity == Activity::Halted { self.halted(m) } else { None }
    }

    /// Delivers an interrupt that is waiting, if it is let in.
    fn interrupt(&mut self, m: &mut Machine) -> Done {
        if m.bus.devices.nmi && !m.cpu.nmi_blocked {
            system::leave_with(m, Reason::Interrupt, Detail::Vector(vector::NMI))?;
            m.bus.devices.nmi = false;
            m.cpu.nmi_blocked = true;
            fault::external(m, vector::NMI)?;
            self.entered = true;
        } else if m.cpu.has(flag::IF)
            && let Some(vector) = m.bus.pending()
        {
            system::leave_with(m, Reason::Interrupt, Detail::Vector(vector))?;
            if let Some(vector) = m.bus.acknowledge() {
                fault::external(m, vector)?;
                self.entered = true;
            }
        }
        Ok(())
    }

    /// Skips the time in which nothing happens.
    fn halted(&mut self, m: &mut Machine) -> Option<Exit> {
        let event = m.bus.next_event().filter(|_| m.cpu.has(flag::IF));
        let Some(event) = event else { return Some(plain_exit(Reason::Halted)) };
        // The horizon moves and the budget goes: that much time has passed.
        m.cpu.horizon = event.min(m.end).max(m.cpu.time());
        m.cpu.budget = 0;
        None
    }

    fn drop_modified(&mut self, m: &mut Machine) {
        while let Some(modified) = m.memory.next_modified() {
            let mut used = self.cache.invalidate(&modified);
            if let Some(tier) = &mut self.tier {
                used |= tier.invalidate(&mut m.memory, modified);
            }
            m.memory.set_code(modified.page, used);
        }
    }

    /// Executes the block at rip, or at most `limit` instructions of it.
    #[inline]
    fn block(&mut self, m: &mut Machine, limit: u64) -> Done {
        // A fault of the fetch takes the time of an instruction, or a handler that cannot be fetched would never use up a budget.
        let number = self.cache.find(m).inspect_err(|_| m.cpu.budget -= 1)?;
        let hooked = m.intercepts.contains(Reason::Block) || m.intercepts.contains(Reason::Instruction);
        if limit == u64::MAX && !hooked && m.cpu.mode & mode::STEP == 0 && self.translated(m, number) {
            return Ok(());
        }
        let step = m.cpu.mode & mode::STEP != 0;
        let insns = self.cache.insns(number);
        let count = (insns.len() as u64).min(m.cpu.budget as u64).min(if step { 1 } else { limit });
        let wide = m.cpu.code64();
        let each = m.intercepts.contains(Reason::Instruction);
        if self.entered && m.intercepts.contains(Reason::Block) {
            report(m, Reason::Block)?;
        }
        for insn in &insns[..count as usize] {
            if each {
                report(m, Reason::Instruction)?;
            }
            let next = m.cpu.rip.wrapping_add(insn.length.into());
            m.cpu.next_rip = if wide { next } else { next & 0xffff_ffff };
            m.cpu.budget -= 1;
            if let Err(stop) = (insn.handler)(m, insn) {
                // An instruction that exits will be executed again.
                m.cpu.budget += i64::from(stop == Stop::Exit);
                return Err(stop);
            }
            m.cpu.rip = m.cpu.next_rip;
            self.entered = insn.has(mark::LAST) && !insn.has(mark::REP | mark::REPNE);
            if step && !insn.has(mark::STEPS) {
                return Err(fault::single_step(m));
            }
            if m.cpu.attention != 0 {
                break;
            }
        }
        Ok(())
    }

    /// Runs a block's compiled code, if there is any; answers whether it ran.
    #[inline]
    fn translated(&mut self, m: &mut Machine, number: u32) -> bool {
        let Some(tier) = &mut self.tier else { return false };
        let block = self.cache.block(number);
        if block.compiled.is_none() {
            block.countdown = block.countdown.saturating_sub(1);
            if block.countdown > 0 {
                return false;
            }
            match tier.hot(m, block.key) {
                Answer::Interpret(again) => {
                    block.countdown = again.max(1);
                    return false;
                }
                Answer::Run(compiled) => block.compiled = Some(compiled),
            }
        }
        let Some(compiled) = block.compiled else { return false };
        let before = m.cpu.budget;
        match tier.run(m, compiled) {
            Outcome::Dispatch => true,
            Outcome::Gone => {
                block.compiled = None;
                block.countdown = 1;
                false
            }
            // The instruction at rip is another block's, unless nothing was executed.
            Outcome::Interpret if m.cpu.budget != before => {
                m.cpu.attention |= attention::INTERPRET;
                true
            }
            Outcome::Interpret => false,
        }
    }

    /// Delivers an exception, or leaves an exit to be reported. Answers whether the instruction is over.
    fn stopped(&mut self, m: &mut Machine, stop: Stop) -> bool {
        let Stop::Exception(exception) = stop else { return false };
        // What delivery leaves to be reported is in `pending`; the instruction will be executed again.
        let over = fault::exception(m, exception).is_ok();
        m.cpu.budget += i64::from(!over);
        self.entered = over;
        over
    }
}

/// Reports what is about to be executed, unless the monitor has seen it.
fn report(m: &mut Machine, reason: Reason) -> Done {
    system::leave_with(m, reason, Detail::None)
}

fn plain_exit(reason: Reason) -> Exit {
    Exit { reason, detail: Detail::None }
}
