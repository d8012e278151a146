//! Whether compiling pays: what compiled code brings against what it costs, counted in bytecode instructions.
//!
//! To enter compiled code, and to leave it, costs as much as some instructions save. A root trace that is left sooner each time is
//! given up. And a program whose time goes to very much code, none of it hot for long, is not to lose by compiling what it
//! will hardly run again: the more was spent without a gain, the hotter code has to be to be recorded. All of this is
//! counted, so that it is the same in each run.

#![forbid(unsafe_code)]

use perilune_runtime::lua::state::State;

use super::entry::Left;
use super::options::Verbosity;
use super::page;
use super::record::Origin;
use super::sites::take_back;
use super::tier::{Jit, MAX_PENALTY};
use super::trace::{COUNTED_ROUNDS, Exit};

/// So many instructions have to be executed in compiled code for entering and leaving it to pay. They take some 0.3 us in the
/// interpreter; a way in and out takes 0.2.
const BREAK_EVEN: u32 = 60;
/// And so many where much has been compiled: code that is not in the caches is hardly faster than the interpreter.
const BREAK_EVEN_COLD: u32 = 200;
/// After so many entries of a root trace it is seen whether they pay.
const TRIAL: u32 = 1000;
/// And after so many whether they are far from it: half as many instructions would not.
const SHORT_TRIAL: u32 = TRIAL / 4;
/// For each such sum that was spent and not gained code has to be twice as hot. It is the price of 1500 recorded instructions with
/// the usual thresholds, which take some 3 ms to compile; benchmarks of a few hundred lines come to half of that.
const ALLOWANCE: i64 = 720_000;
/// A root trace that was given up makes others dearer as if so many instructions had been recorded in vain: four of them, and a loop has to
/// be twice as hot. A benchmark gives up a few before its loops have their side traces; a compiler or a linter, whose loops go around
/// twice or thrice, nearly all that it makes.
const FAILURE: i64 = 375;
/// How many times as hot as at first code may have to be for a growing tree to be waited for.
const MAX_WAITING: u32 = 4;
/// How often that is doubled.
const MAX_DOUBLINGS: i64 = 6;
/// The price of a recorded instruction for each exit that it takes until a side trace is recorded: who wants side traces after fewer
/// exits says that compiling is cheap.
const PRICE: i64 = 12;

/// What entering a root trace from the interpreter has brought since somebody last looked.
#[derive(Clone, Copy, Default, Debug)]
pub struct Gain {
    /// How often it was entered.
    entries: u32,
    /// Instructions that were executed in compiled code, at least.
    work: u64,
    /// Number of side traces in the tree when the counting began.
    sides: u32,
    /// How often it was left by an exit that is on its way to a side trace.
    warming: u32,
}

/// What was spent and not gained, in executed instructions.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    spent: i64,
    /// The price of a recorded instruction.
    price: i64,
    /// What root traces that were given up count as, less those that have paid in a trial.
    failed: i64,
}

impl Account {
    /// For a program that has not run yet.
    pub fn new(hotexit: u32) -> Account {
        Account { spent: 0, failed: 0, price: PRICE * i64::from(hotexit) }
    }

    /// How many times as hot as at first an exit has to be for its side trace to be recorded.
    pub fn patience(&self) -> u32 {
        1 << (self.spent / ALLOWANCE).min(MAX_DOUBLINGS)
    }

    /// And how many times as hot a loop or function for a root trace.
    pub fn patience_for_roots(&self) -> u32 {
        self.patience() << (self.failed / ALLOWANCE).min(MAX_DOUBLINGS)
    }

    /// Pays for a recorded instruction, whether it becomes part of a trace or not.
    pub fn pay(&mut self) {
        self.spent = self.spent.saturating_add(self.price);
    }

    /// Whether a root trace pays has turned out.
    fn judge(&mut self, pays: bool) {
        let failure = FAILURE * self.price;
        self.failed = if pays { (self.failed - failure).max(0) } else { self.failed.saturating_add(failure) };
    }

    /// Compiled code was entered, and left after some instructions, where so many would have paid for that.
    fn earn(&mut self, work: u64, break_even: u32) {
        let gained = i64::try_from(work).unwrap_or(i64::MAX) - i64::from(break_even);
        self.spent = self.spent.saturating_sub(gained).max(0);
    }
}

impl Jit {
    /// A root trace was entered from the interpreter where its loop had counted so far, and compiled code left after some
    /// instructions, those before the last trace that was gone on in. If it is left too soon each time, and no more side traces
    /// come, or are about to come, that would change that, it is given up.
    pub(super) fn watch_gain(&mut self, state: &State, entered: u32, counted: Option<i64>, before: u64, left: Left) {
        let Some(last) = self.trace(left.trace) else { return };
        let exit = last.exits[left.snapshot];
        // An end that leads on is among them, though there was nothing to go on in.
        let found = last.ir.link.leads_on() && left.snapshot + 1 == last.exits.len();
        let last = if found { 0 } else { exit.work };
        let rounds = counted.map_or(0, |counted| self.rounds(state, entered, counted, left));
        let (recording, warming) = (self.is_recording(), self.is_warming(left.trace, &exit));
        let Some(trace) = self.trace_mut(entered) else { return };
        let work = rounds.saturating_mul(trace.length.into()).saturating_add(before + u64::from(last));
        let gain = &mut trace.gain;
        if gain.sides != trace.sides {
            // What the tree was when it was smaller says nothing.
            *gain = Gain { sides: trace.sides, ..Gain::default() };
        }
        gain.entries += 1;
        gain.work = gain.work.saturating_add(work);
        gain.warming += u32::from(warming);
        let Gain { entries, work: done, warming: leavings, .. } = *gain;
        let enough = if entries < TRIAL { BREAK_EVEN / 2 } else { BREAK_EVEN };
        let soon = done < u64::from(enough) * u64::from(entries);
        let grows = leavings >= entries / 2;
        let tried = (entries >= TRIAL || entries == SHORT_TRIAL && soon && !grows) && !recording;
        if tried {
            *gain = Gain { sides: trace.sides, ..Gain::default() };
        }
        // A tree that grows is to gain later.
        self.account.earn(work, if warming { BREAK_EVEN } else { BREAK_EVEN_COLD });
        let useless = tried && soon && !grows;
        if useless || tried && !soon {
            self.account.judge(!useless);
        }
        if useless {
            self.retire(entered);
        }
    }

    /// Rounds of the loop of a root trace beyond those that [`Exit::work`] counts, as far as the frame says: where it had counted when the
    /// trace was entered, and how compiled code was left, are known.
    fn rounds(&self, state: &State, root: u32, counted: i64, left: Left) -> u64 {
        let (mut number, mut exit) = (left.trace, left.snapshot);
        let now = loop {
            let Some(trace) = self.trace(number) else { return 0 };
            match trace.origin {
                _ if number == root && trace.exits[exit].is_end_of_loop => break trace.counted_at_end(state, left.at),
                _ if number == root => break trace.counted(state, left.at),
                Origin::Exit { parent, exit: taken } => (number, exit) = (parent, taken as usize),
                _ => return 0,
            }
        };
        now.map_or(0, |now| now.abs_diff(counted).saturating_sub(COUNTED_ROUNDS.into()))
    }

    /// Whether the exit by which a trace was left will become a side trace when it has been taken some times more: as long as most
    /// are such, a tree of many branches is still growing.
    fn is_warming(&self, number: u32, exit: &Exit) -> bool {
        let (hot, patience) = (self.options().hotexit, self.account.patience());
        let waits = exit.threshold == hot && exit.count < hot.saturating_mul(patience);
        // Where code has to be much hotter than usual, nobody waits for it.
        if !waits || exit.side.is_some() || exit.is_dead_end || patience > MAX_WAITING {
            return false;
        }
        let root = self.trace(number).and_then(|trace| self.trace(trace.root));
        root.is_some_and(|root| root.sides < self.options().maxside)
    }

    /// Drops a root trace and its tree for good; its loop belongs to the interpreter again.
    fn retire(&mut self, number: u32) {
        let Some(trace) = self.trace(number) else { return };
        let (proto, origin) = (trace.proto, trace.origin);
        if self.options().verbosity >= Verbosity::Lines {
            let (place, what) = self.describe(proto, trace.origin);
            self.options().say(format_args!("retire  {place} {what}: left too soon each time\n"));
        }
        let prototypes = self.prototypes.clone();
        let mut prototypes = prototypes.borrow_mut();
        let known = prototypes.of(proto);
        let never = self.options().hotloop.saturating_mul(1 << MAX_PENALTY);
        match origin {
            Origin::Loop(site) => {
                known.penalties.insert(site, MAX_PENALTY);
            }
            Origin::Entry => known.entry_penalty = MAX_PENALTY,
            Origin::Return { pc, open } => {
                self.returns.retain(|_, trace| *trace != number);
                known.returns.insert((pc, open), (0, never));
            }
            Origin::Exit { .. } => return,
        }
        take_back(proto, origin, never);
        known.traces.retain(|trace| self.trace(*trace).is_some_and(|t| t.root != number));
        // The numbers stay taken: other traces' links name them.
        for place in &mut self.traces {
            let trace = place.take_if(|trace| trace.root == number);
            self.alive -= usize::from(trace.is_some());
            page::gone(&mut self.page, &self.engine, trace.as_deref());
        }
        self.engine.drop_trace(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(account: &mut Account, recorded: u32) {
        (0..recorded).for_each(|_| account.pay());
    }

    #[test]
    fn what_is_spent_makes_patient_and_what_is_gained_bold() {
        let mut account = Account::new(40);
        spend(&mut account, 1499);
        assert_eq!(account.patience(), 1);
        spend(&mut account, 1501);
        assert_eq!(account.patience(), 4);
        account.earn(ALLOWANCE as u64 + 200, 200);
        assert_eq!(account.patience(), 2);
        account.earn(u64::MAX, 200);
        spend(&mut account, 1499);
        assert_eq!(account.patience(), 1, "what was gained is not kept for later");
        spend(&mut account, 100_000);
        assert_eq!(account.patience(), 64);
    }

    #[test]
    fn roots_that_fail_make_others_wait() {
        let judge = |account: &mut Account, pays, times| (0..times).for_each(|_| account.judge(pays));
        let mut account = Account::new(40);
        judge(&mut account, false, 3);
        assert_eq!(account.patience_for_roots(), 1);
        judge(&mut account, false, 1);
        assert_eq!((account.patience_for_roots(), account.patience()), (2, 1));
        judge(&mut account, true, 1);
        assert_eq!(account.patience_for_roots(), 1);
        judge(&mut account, true, 100);
        judge(&mut account, false, 8);
        assert_eq!(account.patience_for_roots(), 4, "what has paid is not kept for later");
        judge(&mut account, false, 1000);
        spend(&mut account, 100_000);
        assert_eq!(account.patience_for_roots(), 64 * 64);
        let mut cheap = Account::new(1);
        judge(&mut cheap, false, 100);
        assert_eq!(cheap.patience_for_roots(), 1);
    }

    #[test]
    fn to_leave_too_soon_costs() {
        let mut account = Account::new(40);
        (0..4000).for_each(|_| account.earn(10, 200));
        assert_eq!(account.patience(), 2);
    }

    #[test]
    fn low_thresholds_say_that_compiling_is_cheap() {
        let mut account = Account::new(1);
        spend(&mut account, 50_000);
        assert_eq!(account.patience(), 1);
    }
}
