//! Random programs: the interpreter does what the host does, to the end or to a fault at any page, in one run or in slices.
//!
//! `PERILUNE_GUEST_BLOCKS` is the number of programs, `PERILUNE_GUEST_SEED` where they begin.

#[allow(dead_code, reason = "shared by test programs that use a part of it each")]
mod guest {
    pub mod forms;
    pub mod machine;
    pub mod native;
    pub mod program;
    pub mod proof;
    pub mod random;
}

use guest::machine::Guest;
use guest::native::Host;
use guest::proof::{difference, each_program, in_guest, in_slices, on_host, rewritten, trace, with_denied_pages};

#[test]
fn random_programs_do_what_the_host_does() {
    let mut host = Host::new();
    let (mut ran, mut whole, mut steps) = (0, 0, 0);
    each_program(&mut Guest::new(), 1, |guest, program| {
        let trace = trace(guest, program)?;
        let undefined = trace.steps.last()?.undefined;
        let ours = in_guest(guest, program, None);
        let native = on_host(&mut host, program, None);
        ran += 1;
        whole += u32::from(native.ending.vector == 3);
        steps += trace.steps.len();
        difference(&ours, &native, undefined)
    });
    eprintln!("{ran} programs ran, {whole} to their end, {steps} instructions");
    assert!(whole > ran / 2, "{whole} of {ran} programs only come to their end");
}

#[test]
fn random_programs_fault_as_they_do_on_the_host() {
    let mut host = Host::new();
    with_denied_pages(|guest, program, page| {
        [in_guest(guest, program, Some(page)), on_host(&mut host, program, Some(page))]
    });
}

#[test]
fn random_programs_run_in_slices_of_any_size() {
    each_program(&mut Guest::new(), 2, |guest, program| {
        let trace = trace(guest, program)?;
        [2, 3, 5, 7, 16, 100].into_iter().find_map(|size| in_slices(guest, program, &trace, size))
    });
}

#[test]
fn random_programs_may_be_written_at_any_time() {
    let mut slices = 0;
    let mut subject = Guest::new();
    each_program(&mut Guest::new(), 1, |_, program| {
        let (count, wrong) = rewritten(&mut subject, program, &[1, 3, 10, 40, 200]);
        slices += count;
        wrong
    });
    let (decoded, dropped) = subject.engine.blocks();
    eprintln!("{slices} slices, {decoded} blocks, {dropped} dropped");
    assert!(dropped > slices / 2, "{dropped} blocks only were dropped in {slices} slices");
}
