//! Nonsense as a guest whose blocks are all translated: never a panic, never beyond the budget. `PERILUNE_GUEST_HOSTILE` is the number of machines.

#[path = "../../interpreter/tests/guest"]
mod guest {
    pub mod hostile;
    #[allow(dead_code, reason = "shared by test programs that use a part of it each")]
    pub mod random;
}

use perilune_interpreter::guest::engine::Engine;
use perilune_jit::guest::{Options, Translator};
use perilune_runtime::guest::exit::Reason;

#[test]
fn nonsense_ends_in_an_exit() {
    let seen = guest::hostile::each_machine(|| {
        let options = Options { threshold: 1, code_size: 1 << 20, ..Options::default() };
        let mut engine = Engine::new();
        engine.set_tier(Box::new(Translator::new(options).expect("memory for code")));
        engine
    });
    assert!(seen.get(Reason::TripleFault) > 0 && seen.get(Reason::Budget) > 0);
}
