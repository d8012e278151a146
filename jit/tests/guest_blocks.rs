//! Random programs: translated code does what the interpreter does, to the end or to a fault at any page, in one run or in slices.
//! Every block is translated at its first execution.
//!
//! `PERILUNE_GUEST_BLOCKS` is the number of programs, `PERILUNE_GUEST_SEED` where they begin. The interpreter is held against
//! the host by `interpreter/tests/guest_blocks.rs`.

#[allow(dead_code, reason = "shared by test programs that use a part of it each")]
#[path = "../../interpreter/tests/guest"]
mod guest {
    pub mod forms;
    pub mod machine;
    pub mod native;
    pub mod program;
    pub mod proof;
    pub mod random;
}

use std::any::Any;

use guest::machine::Guest;
use guest::proof::{difference, each_program, in_guest, in_slices, rewritten, trace, with_denied_pages};
use perilune_jit::guest::frame::SLACK;
use perilune_jit::guest::{Counters, Options, Translator};

fn translated() -> Guest {
    let options = Options { threshold: 1, ..Options::default() };
    Guest::with_tier(Box::new(Translator::new(options).expect("memory for code")))
}

fn counters(guest: &Guest) -> Counters {
    let tier = guest.engine.tier().and_then(|tier| (tier as &dyn Any).downcast_ref::<Translator>());
    tier.expect("a translator").counters()
}

/// The share of the guest's instructions that translated code has executed.
fn share(guest: &Guest) -> f64 {
    counters(guest).instructions as f64 / guest.machine.cpu.time() as f64
}

#[test]
fn random_programs_do_what_the_interpreter_does() {
    let mut subject = translated();
    let mut whole = 0;
    each_program(&mut Guest::new(), 1, |guest, program| {
        let trace = trace(guest, program)?;
        let ours = in_guest(&mut subject, program, None);
        let expected = in_guest(guest, program, None);
        whole += u32::from(expected.ending.vector == 3);
        // Twice: what the first run has translated and linked is entered by the second one.
        let again = in_guest(&mut subject, program, None);
        let undefined = trace.steps.last()?.undefined;
        difference(&ours, &expected, undefined).or_else(|| difference(&again, &expected, undefined))
    });
    assert!(whole > 0);
    assert!(share(&subject) > 0.5, "{} of all instructions in translated code", share(&subject));
}

#[test]
fn random_programs_fault_as_they_do_when_interpreted() {
    let mut subject = translated();
    with_denied_pages(|guest, program, page| {
        let expected = in_guest(guest, program, Some(page));
        [in_guest(&mut subject, program, Some(page)), expected]
    });
}

#[test]
fn random_programs_run_in_slices_of_any_size() {
    let mut subject = translated();
    let mut long = 0;
    each_program(&mut Guest::new(), 1, |guest, program| {
        let trace = trace(guest, program)?;
        // Translated code is entered when there is room for the longest blocks.
        let least = SLACK as usize + 1;
        if trace.steps.len() <= least {
            return [1, 7].into_iter().find_map(|size| in_slices(&mut subject, program, &trace, size));
        }
        long += 1;
        let sizes = (0..12).map(|n| least + n * n * 3).filter(|size| *size < trace.steps.len());
        sizes.into_iter().find_map(|size| in_slices(&mut subject, program, &trace, size))
    });
    assert!(long > 20, "{long} programs only were long enough");
    assert!(share(&subject) > 0.1, "{} of all instructions in translated code", share(&subject));
}

#[test]
fn random_programs_may_be_written_at_any_time() {
    let mut slices = 0;
    let mut subject = translated();
    let least = SLACK as u64 + 1;
    each_program(&mut Guest::new(), 1, |_, program| {
        let (count, wrong) = rewritten(&mut subject, program, &[3, least, 2 * least, 400]);
        slices += count;
        wrong
    });
    let counters = counters(&subject);
    eprintln!("{slices} slices, {counters:?}");
    assert!(counters.dropped > slices / 2, "{} blocks only were dropped in {slices} slices", counters.dropped);
    assert!(share(&subject) > 0.1, "{} of all instructions in translated code", share(&subject));
}
