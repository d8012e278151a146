//! Machines whose memory is nonsense of the kind that comes close to sense: page tables that point at themselves and beyond the end, gates to
//! nowhere, descriptors of any type, code of any bytes. Whatever they do, a run ends in an exit within its budget.

use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::cpu::{Segment, cr0, cr4, efer, flag, seg};
use perilune_runtime::guest::exit::{Counters, Reason};
use perilune_runtime::guest::machine::Machine;

use super::random::{Random, setting};

const MEMORY: u64 = 1 << 20;
const IDT: u64 = 0x1000;
const GDT: u64 = 0x2000;
const TASK: u64 = 0x3000;
const TABLES: u64 = 0x10_000;
const CODE: u64 = 0x40_000;
/// The instructions that a machine may execute.
const BUDGET: u64 = 3000;

/// An entry of a page table: mostly of a page of memory, with any bits.
fn page_entry(random: &mut Random) -> u64 {
    let address = if random.once_in(12) { random.value() } else { random.below(MEMORY / 0x1000) << 12 };
    let bits = if random.once_in(4) { random.next() & 0xfff } else { 0x07 | random.next() & 0x60 };
    let high = if random.once_in(16) { random.next() & 0xfff << 52 } else { 0 };
    address & 0x000f_ffff_ffff_f000 | bits | high
}

/// A gate or a descriptor, of any kind.
fn descriptor(random: &mut Random) -> u64 {
    let kinds = [0x8e, 0xee, 0x8f, 0x9a, 0x92, 0xfa, 0xf2, 0x89, 0x8b, 0x82, 0x8c, 0x85, 0x1e];
    let kind = if random.once_in(8) { random.below(256) } else { kinds[random.below(13) as usize] };
    let flags = if random.once_in(2) { 0xa } else { random.below(16) };
    let low = CODE & 0xffff | random.below(0x1000) | 8 << 16;
    low | kind << 40 | flags << 52 | (CODE >> 16) << 48 & 0x000f_0000_0000_0000
}

fn fill(m: &mut Machine, random: &mut Random, from: u64, bytes: u64, mut word: impl FnMut(&mut Random) -> u64) {
    for at in (from..from + bytes).step_by(8) {
        assert!(m.write_physical(at, &word(random).to_le_bytes()));
    }
}

/// Instructions that change what a machine is, between any other bytes.
fn code(random: &mut Random) -> u64 {
    const SOME: [&[u8]; 12] = [
        &[0x0f, 0x22, 0xd8], // mov cr3, rax
        &[0x0f, 0x22, 0xc0], // mov cr0, rax
        &[0x0f, 0x22, 0xe0], // mov cr4, rax
        &[0x0f, 0x30],       // wrmsr
        &[0x48, 0xcf],       // iretq
        &[0x0f, 0x05],       // syscall
        &[0x48, 0x0f, 0x07], // sysretq
        &[0x0f, 0x01, 0x3f], // invlpg [rdi]
        &[0xcd, 0x80],       // int 80h
        &[0x0f, 0x00, 0xd8], // ltr ax
        &[0x48, 0xcb],       // retf
        &[0x8e, 0xd0],       // mov ss, eax
    ];
    if random.once_in(3) {
        let known = SOME[random.below(12) as usize];
        let mut bytes = [0x90; 8];
        bytes[..known.len()].copy_from_slice(known);
        u64::from_le_bytes(bytes)
    } else {
        random.value()
    }
}

/// A machine of nonsense, in any mode.
fn machine(random: &mut Random) -> Box<Machine> {
    let mut machine = Machine::new(MEMORY).expect("memory");
    let m = &mut *machine;
    fill(m, random, IDT, 0x2000, descriptor);
    fill(m, random, TASK, 0x1000, |random| random.below(MEMORY));
    fill(m, random, TABLES, 0x8000, page_entry);
    fill(m, random, CODE, 0x2000, code);
    let cpu = &mut m.cpu;
    cpu.gpr = std::array::from_fn(|_| if random.once_in(2) { random.below(MEMORY) } else { random.value() });
    cpu.idtr.base = IDT;
    cpu.idtr.limit = if random.once_in(4) { random.next() as u16 } else { 0xfff };
    cpu.gdtr.base = GDT;
    cpu.gdtr.limit = if random.once_in(4) { random.next() as u16 } else { 0xfff };
    cpu.tr = Segment { selector: 0x28, attributes: 0x8b, limit: random.below(0x80) as u32, base: TASK };
    cpu.rflags = flag::FIXED | random.next() & (flag::ARITHMETIC | flag::IF | flag::IOPL | flag::NT);
    cpu.rip = CODE + random.below(0x1000);
    let kind = random.below(4);
    let flat = |attributes| Segment { selector: 8, attributes, limit: u32::MAX, base: 0 };
    if kind > 0 {
        cpu.cr0 |= cr0::PE;
        cpu.segments = [flat(0xc93); 6];
        cpu.segments[seg::CS] = flat(if kind == 1 { 0xc9b } else { 0xa9b });
    }
    if kind > 1 {
        cpu.cr3 = TABLES + random.below(4) * 0x1000;
        cpu.cr4 = cr4::PAE | cr4::OSFXSR | random.next() & (cr4::PGE | cr4::SMEP | cr4::SMAP | cr4::PCIDE | cr4::UMIP);
        cpu.cr0 |= cr0::PG | random.next() & cr0::WP;
        cpu.msr.efer = efer::LME | efer::LMA | efer::SCE | random.next() & efer::NXE;
        cpu.cpl = if random.once_in(4) { 3 } else { 0 };
    }
    if kind == 3 {
        // One to one, so that the code is there; the rest of the tables is what it is.
        let tables = cpu.cr3 & !0xfff;
        for level in 0..3 {
            let next = if level == 2 { 0x87 } else { (tables + (level + 1) * 0x1000) | 7 };
            m.write_physical(tables + level * 0x1000, &next.to_le_bytes());
        }
    }
    m.refresh();
    machine
}

/// Runs machines, in as many engines. Answers what exits there were.
pub fn each_machine(mut engine: impl FnMut() -> Engine) -> Counters {
    let seed = setting("PERILUNE_GUEST_SEED", 0x1234_5678_9abc_def1);
    let mut seen = Counters::default();
    for number in 0..setting("PERILUNE_GUEST_HOSTILE", 300) {
        let mut random = Random(seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut m = machine(&mut random);
        let mut engine = engine();
        for _ in 0..3 {
            let before = m.cpu.time();
            let exit = engine.run(&mut m, BUDGET);
            let spent = m.cpu.time() - before;
            assert!(spent <= BUDGET, "machine {number} of seed {seed} spent {spent} of {BUDGET}");
            assert!(exit.reason != Reason::Budget || spent == BUDGET, "machine {number} of seed {seed}: {spent}");
            seen.count(exit.reason);
            // Whatever it was: on it goes, somewhere else.
            m.cpu.rip = CODE + random.below(0x1000);
        }
    }
    seen
}
