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
use guest::native::{DATA, DATA_SIZE, Registers};
use guest::program::{ENTRY, FLOATING, Item, Program};
use guest::proof::{
    Outcome, difference, each_program, each_program_of, in_guest, in_slices, rewritten, trace, with_denied_pages,
};
use perilune_jit::guest::frame::SLACK;
use perilune_jit::guest::{Counters, Options, Translator};
use perilune_runtime::guest::cpu::Fx;

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

/// x87 state lives in the host's while code runs; what it remembers of its last instruction is compared, too.
#[test]
fn random_x87_programs_do_what_the_interpreter_does() {
    let mut subject = translated();
    each_program_of(FLOATING, &mut Guest::new(), 1, |guest, program| {
        let undefined = trace(guest, program)?.steps.last()?.undefined;
        x87_difference(&mut subject, guest, program, undefined)
    });
    assert!(share(&subject) > 0.2, "{} of all instructions in translated code", share(&subject));
}

/// How two runs of translated code differ from an interpreted one, what the x87 state remembers included.
fn x87_difference(subject: &mut Guest, guest: &mut Guest, program: &Program, undefined: u64) -> Option<String> {
    let expected = in_guest(guest, program, None);
    let last = |outcome: &Outcome| {
        let fx = &outcome.registers.fx;
        (fx.opcode, fx.instruction, fx.data)
    };
    [(); 2].into_iter().find_map(|()| {
        let ours = in_guest(subject, program, None);
        let remembered = (last(&ours) != last(&expected))
            .then(|| format!("remembers {:x?}, the other {:x?}", last(&ours), last(&expected)));
        difference(&ours, &expected, undefined).or(remembered)
    })
}

/// A program of these instructions, with `address` in all registers and a control word of x87 that unmasks division by 0 at [`DATA`].
fn fixed(code: &[&[u8]], address: u64) -> Program {
    let items = code.iter().map(|bytes| Item::Plain(bytes.to_vec(), None)).collect();
    let registers = Registers { gpr: [address; 16], rip: ENTRY, rflags: Guest::FLAGS, fx: Fx::default() };
    let mut memory = vec![0; DATA_SIZE + 0x2000];
    memory[..2].copy_from_slice(&0x37bu16.to_le_bytes());
    Program { items, registers, memory }
}

/// An address with other bits above than bit 47 is none, although the page tables would not tell.
#[test]
fn addresses_that_are_not_canonical_are_not_translated() {
    let (mut subject, mut guest) = (translated(), Guest::new());
    for (address, vector) in [(DATA, 3), (DATA | 1 << 47, 13), (DATA | 1 << 48, 13), (DATA | 1 << 63, 13)] {
        let program = fixed(&[&[0x48, 0x8b, 0x03], &[0x48, 0x89, 0x03]], address); // mov rax, [rbx]; mov [rbx], rax
        let expected = in_guest(&mut guest, &program, None);
        assert_eq!(expected.ending.vector, vector, "{address:x}");
        for _ in 0..2 {
            assert_eq!(difference(&in_guest(&mut subject, &program, None), &expected, 0), None, "{address:x}");
        }
    }
}

/// What random programs come to too rarely.
#[test]
fn x87_state_is_loaded_and_stored_where_it_has_to_be() {
    const DIVISION: [&[u8]; 4] = [&[0xd9, 0xe8], &[0xd9, 0xee], &[0xde, 0xf9], &[0xd9, 0xe8]]; // fld1; fldz; fdivp; fld1
    let unmask: &[u8] = &[0xd9, 0x2b]; // fldcw [rbx]
    let cases: [(u16, Vec<&[u8]>, u8); 8] = [
        (0x37f, DIVISION.to_vec(), 3),
        (0x37b, DIVISION.to_vec(), 16),
        (0x37f, [&[unmask], &DIVISION[..]].concat(), 16),
        (0x37f, [&DIVISION[..1], &[unmask], &DIVISION[1..]].concat(), 16),
        // What was raised while it was masked is pending as soon as it is not.
        (0x37f, [&DIVISION[..3], &[unmask], &DIVISION[3..]].concat(), 16),
        // Remembered from one block to the next: faddp [rbx]; jmp to the next instruction; nop.
        (0x37f, vec![&[0xd8, 0x03], &[0xeb, 0x00], &[0x90]], 3),
        // Stored for a helper and loaded again: fld1; lodsb; fld1.
        (0x37f, vec![&[0xd9, 0xe8], &[0xac], &[0xd9, 0xe8]], 3),
        // Flags: fld1; fldz; xor ecx, ecx; fcomi; setc cl; setz al.
        (
            0x37f,
            vec![&[0xd9, 0xe8], &[0xd9, 0xee], &[0x31, 0xc9], &[0xdb, 0xf1], &[0x0f, 0x92, 0xc1], &[0x0f, 0x94, 0xc0]],
            3,
        ),
    ];
    let (mut subject, mut guest) = (translated(), Guest::new());
    for (control, code, vector) in cases {
        let mut program = fixed(&code, DATA);
        program.registers.fx.control = control;
        assert_eq!(in_guest(&mut guest, &program, None).ending.vector, vector, "{code:x?}");
        let wrong = x87_difference(&mut subject, &mut guest, &program, 0);
        assert_eq!(wrong, None, "control {control:x}, {}", program.listing());
    }
    assert!(share(&subject) > 0.2, "{} of all instructions in translated code", share(&subject));
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
