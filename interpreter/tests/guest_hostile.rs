//! Nonsense as a guest: never a panic, never beyond the budget. `PERILUNE_GUEST_HOSTILE` is the number of machines.

mod guest {
    pub mod hostile;
    #[allow(dead_code, reason = "shared by test programs that use a part of it each")]
    pub mod random;
}

use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::exit::Reason;

#[test]
fn nonsense_ends_in_an_exit() {
    let seen = guest::hostile::each_machine(Engine::new);
    eprintln!("{:?}", seen.iter().collect::<Vec<_>>());
    assert!(seen.get(Reason::TripleFault) > 0 && seen.get(Reason::Budget) > 0);
}
