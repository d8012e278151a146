//! Exit stress: each guard that a run comes to is made to fail once, and leaves to the deoptimizer.
//!
//! Two sides count, and neither knows of the other. The trace's own code notes that it has come to a guard, just before the
//! jump; the deoptimizer counts the exits that were taken by a jump that had been forced. A guard that was reached and
//! whose forced exit did not come to the deoptimizer, or came there more than once, makes the counts differ.
//!
//! Where an exit finds the values of its snapshot is also known from the table for debuggers, which is decoded from other data:
//! each forced exit compares both, by what the places held.
//!
//! A guard that has not failed yet leads to its stub, also when the exit of its snapshot has a side trace already; it is
//! turned to that when it has failed.
#![forbid(unsafe_code)]

use super::{Machine, MachineTrace};
use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::patch::Patch;
use crate::lua::allocate::Location;
use crate::lua::emit::Site;
use crate::lua::ir::Ref;
use std::cell::Cell;
use std::ops::AddAssign;

/// What is known of a trace's guards, by exit.
#[derive(Debug)]
pub(super) struct Guards {
    /// Written by the trace's code: 1 from when it comes to the guard.
    reached: Box<[Cell<u8>]>,
    guards: Vec<Guard>,
    /// Values at forced exits, and those of them that were where the table for debuggers says.
    values: (usize, usize),
}

/// What the deoptimizer knows of a guard.
#[derive(Clone, Copy, Default, Debug)]
struct Guard {
    /// Its jump is forced.
    waits: bool,
    /// Exits taken by the forced jump.
    failed: usize,
    /// Where its exit leads when it has failed, if that is not its stub.
    later: Option<usize>,
}

/// How many guards were reached, and how many forced failures of guards came to the deoptimizer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct StressCounts {
    /// Guards that were reached.
    pub reached: usize,
    /// Forced failures.
    pub failed: usize,
    /// Values of the snapshots at these exits.
    pub values: usize,
    /// Those that were where the table for debuggers says.
    pub found: usize,
}

impl AddAssign for StressCounts {
    fn add_assign(&mut self, other: StressCounts) {
        self.reached += other.reached;
        self.failed += other.failed;
        self.values += other.values;
        self.found += other.found;
    }
}

impl Guards {
    /// Guards for so many exits.
    pub(super) fn new(exits: usize) -> Guards {
        Guards {
            reached: (0..exits).map(|_| Cell::new(0)).collect(),
            guards: vec![Guard::default(); exits],
            values: (0, 0),
        }
    }

    /// The address of a byte for each exit, which the trace's code sets.
    pub(super) fn reached(&self) -> usize {
        self.reached.as_ptr() as usize
    }

    /// Makes the guards fail whose jumps, sorted by exit, these are.
    pub(super) fn force(&mut self, arena: &Arena, sites: &[Site]) -> Result<(), CodeError> {
        for group in sites.chunk_by(|a, b| a.exit == b.exit) {
            if group[0].can_be_forced {
                arena.force(group[0].offset)?;
                self.guards[group[0].exit as usize].waits = true;
            }
        }
        Ok(())
    }

    /// Whether the guard of an exit has yet to fail. Then its exit will lead to `target` afterwards: to its stub if that is none.
    pub(super) fn postpone(&mut self, exit: usize, target: Option<usize>) -> bool {
        let guard = &mut self.guards[exit];
        guard.later = target;
        guard.waits
    }

    pub(super) fn counts(&self) -> StressCounts {
        StressCounts {
            reached: self.reached.iter().filter(|r| r.get() != 0).count(),
            failed: self.guards.iter().map(|g| g.failed).sum(),
            values: self.values.0,
            found: self.values.1,
        }
    }
}

impl Machine {
    /// Whether the exit that was just taken had been forced; then it is not any more.
    pub(in crate::lua) fn release_guard(&mut self, number: u32, exit: u16) -> bool {
        let Machine { arena, traces, .. } = self;
        let Some(trace) = traces.get_mut(number as usize).and_then(Option::as_deref_mut) else { return false };
        let MachineTrace { stress: Some(stress), exits, sites, .. } = trace else { return false };
        let sites = exits[exit as usize].sites(sites);
        let Some(Site { offset, condition: Some(condition), .. }) = sites.first() else { return false };
        let guard = &mut stress.guards[exit as usize];
        if !guard.waits {
            return false;
        }
        guard.failed += 1;
        let turned: Vec<Patch> = guard
            .later
            .iter()
            .flat_map(|&target| sites.iter().map(move |s| Patch { site: s.offset, target }))
            .collect();
        guard.waits = arena.release(*offset, *condition).and_then(|()| arena.patch(&turned)).is_err();
        true
    }

    /// At a forced exit: compares where the exit finds its values with what the table for debuggers says. `read` tells what
    /// the places hold.
    pub(in crate::lua) fn check_places(&mut self, number: u32, exit: u16, read: impl Fn(Location) -> u64) {
        let features = self.options.features;
        let Some(trace) = self.known_mut(number) else { return };
        let exit = &trace.exits[exit as usize];
        let Some(site) = trace.sites(exit).first() else { return };
        // The jump's own address: its opcode has two bytes.
        let jump = (site.offset - 2 - trace.code.start()) as u32;
        let intervals = trace.places.intervals(&trace.ir, &trace.layout, features);
        let is_found = |(r, location): &&(Ref, Location)| {
            let mut here = intervals.iter().filter(|i| i.value == *r && i.code.contains(&jump)).peekable();
            here.peek().is_some() && here.all(|i| read(i.location) == read(*location))
        };
        let (values, found) = (exit.locations.len(), exit.locations.iter().filter(is_found).count());
        if let Some(stress) = &mut trace.stress {
            stress.values.0 += values;
            stress.values.1 += found;
        }
    }

    /// In exit stress, what is known of the guards of all traces there ever were.
    pub fn stress_counts(&self) -> StressCounts {
        let mut counts = self.stress_of_dropped;
        for guards in self.traces.iter().flatten().filter_map(|t| t.stress.as_ref()) {
            counts += guards.counts();
        }
        counts
    }
}
