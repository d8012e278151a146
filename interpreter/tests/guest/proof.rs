//! What is proven with random programs: an engine against another one, or against the host.

use std::fmt::Write;

use iced_x86::Mnemonic;
use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::cpu::flag;
use perilune_runtime::guest::exception::{page_fault, vector};

use super::forms::{decoder, float_difference};
use super::machine::Guest;
use super::native::{Access, CODE, CONSTANT, DATA, DATA_SIZE, Ending, Host, Registers, STACK};
use super::program::{Item, MIXED, Maker, PAGES, Program, Step, Trace, Weights, effect, follow, load, parts, shrink};
use super::random::{Random, setting};

/// What there is after a run.
pub struct Outcome {
    /// The registers.
    pub registers: Registers,
    /// How it ended.
    pub ending: Ending,
    /// All that can be written.
    pub memory: Vec<Vec<u8>>,
}

const WRITABLE: [(u64, usize); 4] = [(CODE, 0x1000), (DATA, DATA_SIZE), (CONSTANT, 0x1000), (STACK, 0x1000)];

/// Runs a program in a guest, with a page protected.
pub fn in_guest(guest: &mut Guest, program: &Program, page: Option<Denied>) -> Outcome {
    load(guest, program);
    if let Some((at, access)) = page {
        guest.protect(at, access);
    }
    let (registers, ending) = guest.run(program.registers, 100_000);
    if let Some((at, _)) = page {
        guest.protect(at, Access::Usual);
    }
    Outcome { registers, ending, memory: WRITABLE.map(|(at, size)| guest.read(at, size)).to_vec() }
}

/// Runs a program on the host, with a page protected.
pub fn on_host(host: &mut Host, program: &Program, page: Option<Denied>) -> Outcome {
    for (at, bytes) in parts(program) {
        host.protect(at, Access::Usual);
        if at == CONSTANT {
            host.write_constants(&bytes);
        } else {
            host.write(at, &bytes);
        }
    }
    if let Some((at, access)) = page {
        host.protect(at, access);
    }
    let (mut registers, mut ending) = host.run(program.registers, false);
    if let Some((at, access)) = page {
        host.protect(at, Access::Usual);
        let there = access == Access::Supervisor && ending.vector == vector::PAGE && ending.address & !0xfff == at;
        ending.code |= if there { page_fault::PRESENT } else { 0 };
    }
    if ending.vector == vector::BREAKPOINT {
        // The host reports a breakpoint as a trap: behind it.
        registers.rip -= 1;
    }
    Outcome { registers, ending, memory: WRITABLE.map(|(at, size)| host.read(at, size).to_vec()).to_vec() }
}

/// How two outcomes of a program differ, if they do. Flags that have no defined value are not looked at.
pub fn difference(ours: &Outcome, other: &Outcome, undefined: u64) -> Option<String> {
    let mut text = registers_difference(&ours.registers, &other.registers, undefined).unwrap_or_default();
    let (mut a, mut b) = (ours.ending, other.ending);
    for ending in [&mut a, &mut b] {
        if ending.vector != vector::PAGE {
            ending.address = 0;
        }
        if ending.address >= 0x7fff_ffff_f000 {
            // Linux tells of a page that is there for any address of its own half.
            ending.code |= page_fault::PRESENT;
        }
    }
    if either_operand(ours) {
        (a.address, a.code) = (b.address, b.code);
    }
    if a != b {
        let _ = writeln!(text, "ended with {a:x?}, the other with {b:x?}");
    }
    for ((start, _), (a, b)) in WRITABLE.iter().zip(ours.memory.iter().zip(&other.memory)) {
        if let Some(n) = a.iter().zip(b).position(|(a, b)| a != b) {
            let end = (n + 8).min(a.len());
            let at = start + n as u64;
            let _ = writeln!(text, "memory at {at:#x}: {:x?}, the other {:x?}", &a[n..end], &b[n..end]);
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Whether a run ended at CMPS: of its two operands, processors read the one or the other first.
fn either_operand(outcome: &Outcome) -> bool {
    let at = outcome.registers.rip.wrapping_sub(CODE) as usize;
    let bytes = outcome.memory[0].get(at..).unwrap_or_default();
    outcome.ending.vector == vector::PAGE
        && matches!(
            decoder(bytes, 64).0.mnemonic(),
            Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsd | Mnemonic::Cmpsq
        )
}

fn registers_difference(ours: &Registers, other: &Registers, undefined: u64) -> Option<String> {
    let mut text = String::new();
    for n in 0..16 {
        if ours.gpr[n] != other.gpr[n] {
            let _ = writeln!(text, "register {n}: {:#x}, the other {:#x}", ours.gpr[n], other.gpr[n]);
        }
    }
    if ours.rip != other.rip {
        let _ = writeln!(text, "rip {:#x}, the other {:#x}", ours.rip, other.rip);
    }
    let mask = flag::ARITHMETIC & !undefined | flag::DF;
    if (ours.rflags ^ other.rflags) & mask != 0 {
        let _ = writeln!(text, "flags {:#x}, the other {:#x} (mask {mask:#x})", ours.rflags, other.rflags);
    }
    let (mut a, mut b) = (ours.fx, other.fx);
    for fx in [&mut a, &mut b] {
        // Whether the result behind an overflow or underflow that is not masked would be exact depends on an exponent without bounds.
        if fx.mxcsr & 0x18 & !(fx.mxcsr >> 7) != 0 {
            fx.mxcsr |= 0x20;
        }
    }
    text.extend(float_difference(&a, &b));
    (!text.is_empty()).then_some(text)
}

/// How many programs, unless `PERILUNE_GUEST_BLOCKS` says something else.
const PROGRAMS: u64 = 200;

/// Makes programs of everything, each from a seed of its own, and hands them to `check`; a failure is made smaller and told.
pub fn each_program(guest: &mut Guest, share: u64, check: impl FnMut(&mut Guest, &Program) -> Option<String>) {
    each_program_of(MIXED, guest, share, check);
}

/// As [`each_program`], of instructions of these kinds.
pub fn each_program_of(
    weights: Weights,
    guest: &mut Guest,
    share: u64,
    mut check: impl FnMut(&mut Guest, &Program) -> Option<String>,
) {
    let seed = setting("PERILUNE_GUEST_SEED", 0x1234_5678_9abc_def1);
    let mut maker = Maker::new(weights);
    for number in 0..setting("PERILUNE_GUEST_BLOCKS", PROGRAMS).div_ceil(share) {
        let mut random = Random(seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let length = 4 + random.below(40);
        let program = maker.program(&mut random, guest, length);
        if check(guest, &program).is_none() {
            continue;
        }
        let (least, wrong) = shrink(&program, &mut |candidate| check(guest, candidate));
        let registers = &least.registers;
        panic!(
            "program {number} of seed {seed}:\n{}\nfrom {:x?}, flags {:#x}, mxcsr {:#x}:\n{wrong}",
            least.listing(),
            registers.gpr,
            registers.rflags,
            registers.fx.mxcsr
        );
    }
}

/// Follows a program from its start.
pub fn trace(guest: &mut Guest, program: &Program) -> Option<Trace> {
    load(guest, program);
    follow(guest, program.registers)
}

/// A page, and which accesses to it are denied.
pub type Denied = (u64, Access);

/// Runs programs with each of their pages denied in turn: `both` answers what there is after a run of the engine in question, and of
/// what it is held against.
pub fn with_denied_pages(mut both: impl FnMut(&mut Guest, &Program, Denied) -> [Outcome; 2]) {
    let (mut runs, mut faults) = (0, 0);
    each_program(&mut Guest::new(), 4, |guest, program| {
        let trace = trace(guest, program)?;
        for page in protections() {
            let [ours, expected] = both(guest, program, page);
            runs += 1;
            faults += u32::from(expected.ending.vector == vector::PAGE);
            if let Some(wrong) = difference(&ours, &expected, undefined_at(&trace, &expected)) {
                return Some(format!("with {page:x?}:\n{wrong}"));
            }
        }
        None
    });
    eprintln!("{runs} runs, {faults} with a page fault");
    assert!(faults > runs / 3, "{faults} page faults in {runs} runs only");
}

/// The accesses that the pages of a program are denied, one after another.
fn protections() -> impl Iterator<Item = Denied> {
    let ways = [Access::ReadOnly, Access::Absent, Access::Supervisor];
    PAGES.into_iter().flat_map(move |page| ways.map(|access| (page, access)))
}

/// The flags that are undefined when a program ends with a page protected: those of the moment of its unprotected run at which
/// it stops.
fn undefined_at(trace: &Trace, outcome: &Outcome) -> u64 {
    let here = |step: &&Step| step.registers.rip == outcome.registers.rip;
    trace.steps.iter().filter(here).fold(0, |all, step| all | step.undefined)
}

/// Runs a program in slices of `size` instructions; says where a slice ends in another state than single steps come to.
pub fn in_slices(guest: &mut Guest, program: &Program, trace: &Trace, size: usize) -> Option<String> {
    load(guest, program);
    let last = trace.steps.len() - 1;
    let mut at = 0;
    let mut registers = program.registers;
    loop {
        let (after, ending) = guest.run(registers, size as u64);
        registers = after;
        at = (at + size).min(last);
        // The instruction that raises the exception is the last step.
        let ends = ending.vector != 255;
        if ends {
            at = last;
        }
        let expected = if ends || at < last { &trace.steps[at] } else { return None };
        if let Some(text) = registers_difference(&registers, &expected.registers, expected.undefined) {
            return Some(format!("in slices of {size}, after {at} instructions:\n{text}"));
        }
        if ends {
            // Of other exceptions, the address is that of an earlier one.
            let told = |e: Ending| (e.vector, e.code, if e.vector == vector::PAGE { e.address } else { 0 });
            return (told(ending) != told(trace.ending))
                .then(|| format!("in slices of {size}, ended with {ending:x?}, in steps with {:x?}", trace.ending));
        }
    }
}

/// How often the code of a program is written.
const WRITES: usize = 24;

/// Runs a program in slices of the given sizes, and writes to its code in between, as a device or the monitor would; says where a slice ends
/// in another state than single steps of an engine that has decoded nothing before. Answers how many slices there were, too.
pub fn rewritten(subject: &mut Guest, program: &Program, sizes: &[u64]) -> (u64, Option<String>) {
    // The same for each run of a program, so that it can be made smaller.
    let random = &mut Random(program.registers.gpr[0] | 1);
    let mut other = Guest::new();
    load(subject, program);
    load(&mut other, program);
    let start = Step { registers: program.registers, undefined: 0 };
    let (mut now, mut ours, mut log) = (start.clone(), start.registers, String::new());
    for slice in 0..WRITES {
        other.engine = Engine::new();
        let size = sizes[random.below(sizes.len() as u64) as usize];
        let (steps, ended) = single_steps(&mut other, &mut now, size);
        let ending;
        (ours, ending) = subject.run(ours, steps);
        if let Some(text) = registers_difference(&ours, &now.registers, now.undefined) {
            let end = if ending.vector == 255 { String::new() } else { format!("ended with {ending:x?}\n") };
            return (slice as u64, Some(format!("{log}slice {slice}, {steps} steps: {end}{text}")));
        }
        if ended {
            (now, ours) = (start.clone(), start.registers);
        }
        let (at, bytes) = alteration(program, random);
        subject.write(at, &bytes);
        other.write(at, &bytes);
        let _ = writeln!(log, "slice {slice}, {steps} steps, then {at:#x} becomes {bytes:x?}");
    }
    (WRITES as u64, None)
}

/// Executes up to `limit` instructions one by one. Answers how many there were, and whether there is nothing that may come next.
fn single_steps(guest: &mut Guest, now: &mut Step, limit: u64) -> (u64, bool) {
    for steps in 0..limit {
        let Some(undefined) = effect(guest, now) else { return (steps, true) };
        let (registers, ending) = guest.run(now.registers, 1);
        if ending.vector != 255 {
            *now = Step { registers, ..*now };
            // As many as it takes to see the exception.
            return (steps + 1, true);
        }
        *now = Step { registers, undefined };
    }
    (limit, false)
}

/// Some bytes for a place in a program's code: most often another operand for an instruction that has one, else any, or those of the program.
fn alteration(program: &Program, random: &mut Random) -> (u64, Vec<u8>) {
    let (code, places) = program.assemble();
    let operand = |n: usize| {
        let Some(Item::Plain(bytes, None)) = program.items.get(n) else { return None };
        let (instruction, decoder) = decoder(bytes, 64);
        let offsets = decoder.get_constant_offsets(&instruction);
        offsets.has_immediate().then(|| (places[n] + offsets.immediate_offset() as u64, offsets.immediate_size()))
    };
    if random.once_in(4) {
        return (places[0], code);
    }
    let chosen = (0..8).find_map(|_| operand(random.below(program.items.len().max(1) as u64) as usize));
    match chosen.filter(|_| !random.once_in(3)) {
        Some((at, size)) => (at, random.value().to_le_bytes()[..size].to_vec()),
        None => {
            let at = places[0] + random.below(code.len().max(1) as u64);
            (at, (0..1 + random.below(3)).map(|_| random.value() as u8).collect())
        }
    }
}
