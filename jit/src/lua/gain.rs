//! Whether compiling pays: what compiled code brings against what it costs, counted in bytecode instructions of the interpreter.
//!
//! Entering compiled code and leaving it costs as much as the interpreter needs for some instructions; what is executed in between
//! beyond these is gained. A root trace that gains nothing is given up. And a program whose time goes to code without end, none
//! of it hot for long, is not to lose more by compiling it than it gains: the more was spent without a gain, the hotter code must be.

#![forbid(unsafe_code)]

use super::entry::Left;
use super::tier::Jit;

/// Entering compiled code and leaving it takes as long as the interpreter takes for so many instructions.
const TRANSITION: u64 = 40;
/// After so many entries of a root trace it is seen whether they pay.
const TRIAL: u32 = 1000;
/// For each such sum that was spent and not gained, code has to be twice as hot to be recorded. It is the price of 1500 recorded
/// instructions: those of a program of a few hundred lines, some 3 ms.
const ALLOWANCE: i64 = 720_000;
/// How often that is doubled.
const MAX_DOUBLINGS: i64 = 6;
/// The price of a recorded instruction for each exit that a side trace takes to be hot: that many exits cost what a side trace
/// does, so who makes fewer of them do has said that compiling is cheap.
const PRICE: i64 = 12;

/// What entering a trace from the interpreter has brought since somebody last looked.
#[derive(Clone, Copy, Default, Debug)]
pub struct Gain {
    /// How often it was entered.
    entries: u32,
    /// Instructions that were executed in compiled code, at least.
    work: u64,
    /// Number of side traces in the tree when the counting began.
    sides: u32,
}

/// What was spent and not gained, in executed instructions.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    spent: i64,
    /// The price of a recorded instruction.
    price: i64,
}

impl Account {
    /// For a program that has not run yet.
    pub fn new(hotexit: u32) -> Account {
        Account { spent: 0, price: PRICE * i64::from(hotexit) }
    }

    /// How many times as hot as at first code has to be to be recorded.
    pub fn patience(&self) -> u32 {
        1 << (self.spent / ALLOWANCE).min(MAX_DOUBLINGS)
    }

    /// Pays for recorded instructions, whether they become a trace or not.
    pub fn pay(&mut self, recorded: u32) {
        self.spent += i64::from(recorded) * self.price;
    }

    fn earn(&mut self, work: u64) {
        self.spent = (self.spent - work.saturating_sub(TRANSITION) as i64).max(0);
    }
}

impl Jit {
    /// A root trace was entered from the interpreter, and compiled code left through an exit. If there is less done in between
    /// each time than entering costs, and no more side traces come that would change that, it is given up.
    pub(super) fn watch_gain(&mut self, entered: u32, before: u64, left: Left) {
        let Some(last) = self.trace(left.trace).map(|t| t.work(left.snapshot)) else { return };
        let (recording, patience) = (self.is_recording(), self.account.patience());
        let Some(trace) = self.trace_mut(entered) else { return };
        let work = before + u64::from(last);
        let gain = &mut trace.gain;
        gain.entries += 1;
        gain.work += work;
        let useless = gain.entries >= TRIAL * patience
            && !recording
            && gain.sides == trace.sides
            && gain.work < TRANSITION * u64::from(gain.entries);
        if gain.entries >= TRIAL * patience {
            *gain = Gain { sides: trace.sides, ..Gain::default() };
        }
        self.account.earn(work);
        if useless {
            self.retire(entered);
        }
    }
}
