//! Nonsense as a guest: never a panic, never beyond the budget. `PERILUNE_GUEST_HOSTILE` is the number of machines.

mod guest {
    pub mod hostile;
    #[allow(dead_code, reason = "shared by test programs that use a part of it each")]
    pub mod random;
}

use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::cpu::{Segment, cr0, cr4, efer};
use perilune_runtime::guest::exit::Reason;
use perilune_runtime::guest::machine::Machine;

#[test]
fn nonsense_ends_in_an_exit() {
    let seen = guest::hostile::each_machine(Engine::new);
    eprintln!("{:?}", seen.iter().collect::<Vec<_>>());
    assert!(seen.get(Reason::TripleFault) > 0 && seen.get(Reason::Budget) > 0);
}

/// A page fault whose handler is not there, with a stack of its own, so that nothing ever overflows: faults of fetches alone.
#[test]
fn a_handler_that_cannot_be_fetched_uses_up_the_budget() {
    const TABLES: u64 = 0x10000;
    const NOWHERE: u64 = 0x4000_0000;
    let mut machine = Machine::new(1 << 20).expect("memory");
    let m = &mut *machine;
    let gate = (NOWHERE & 0xffff) | 8 << 16 | 1 << 32 | 0x8e << 40 | (NOWHERE >> 16) << 48;
    for (at, value) in [
        (TABLES, (TABLES + 0x1000) | 7),
        (TABLES + 0x1000, (TABLES + 0x2000) | 7),
        (TABLES + 0x2000, 0x87),
        (0x1000 + 14 * 16, gate),
        (0x1000 + 14 * 16 + 8, NOWHERE >> 32),
        (0x2008, 0x00af_9b00_0000_ffff),
        // The first stack of the interrupt stack table.
        (0x3024, 0x8000),
    ] {
        assert!(m.write_physical(at, &u64::to_le_bytes(value)));
    }
    let cpu = &mut m.cpu;
    (cpu.idtr.base, cpu.gdtr.base) = (0x1000, 0x2000);
    cpu.tr = Segment { selector: 0x28, attributes: 0x8b, limit: 0x67, base: 0x3000 };
    cpu.segments = [Segment { selector: 8, attributes: 0xa9b, limit: u32::MAX, base: 0 }; 6];
    cpu.cr3 = TABLES;
    cpu.cr4 = cr4::PAE;
    cpu.msr.efer = efer::LME | efer::LMA;
    cpu.cr0 |= cr0::PE | cr0::PG;
    cpu.rip = NOWHERE;
    m.refresh();
    let exit = Engine::new().run(m, 1000);
    assert_eq!((exit.reason, m.cpu.time()), (Reason::Budget, 1000));
}
