//! Plugs the block translator into a machine's engine.

use perilune_interpreter::guest::engine::Engine;
use perilune_runtime::guest::machine::Machine as State;

use super::Error;

/// Whether blocks of instructions are translated to machine code of the host, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Translation {
    /// All is interpreted. So it is in any case when the feature `jit` is off.
    Off,
    /// Blocks are translated when they have been executed often.
    On,
    /// Blocks are translated at that execution; 1 is the first.
    After(u32),
}

/// An engine as it is wanted; `gdb` says whether that is told of translated blocks, if somebody has said so.
#[cfg(feature = "jit")]
pub(super) fn engine(translation: Translation, gdb: Option<bool>) -> Result<Engine, Error> {
    use perilune_jit::code::publish::Telling;
    use perilune_jit::guest::{Options, Translator};
    let mut engine = Engine::new();
    let mut options = Options::default();
    match translation {
        Translation::Off => return Ok(engine),
        Translation::On => {}
        Translation::After(threshold) => options.threshold = threshold,
    }
    match gdb {
        Some(true) => options.telling = Telling::AtOnce,
        Some(false) => options.telling = Telling::Never,
        None => {}
    }
    let translator = Translator::new(options).map_err(|error| Error::Translator(error.to_string()))?;
    engine.set_tier(Box::new(translator));
    Ok(engine)
}

/// An engine that interprets.
#[cfg(not(feature = "jit"))]
pub(super) fn engine(_: Translation, _: Option<bool>) -> Result<Engine, Error> {
    Ok(Engine::new())
}

#[cfg(feature = "jit")]
fn translator(engine: &Engine) -> Option<&perilune_jit::guest::Translator> {
    engine.tier().and_then(|tier| (tier as &dyn std::any::Any).downcast_ref())
}

/// Whether somebody is told of translated blocks by their names.
#[cfg(feature = "jit")]
pub(super) fn explains(engine: &Engine) -> bool {
    translator(engine).is_some_and(perilune_jit::guest::Translator::explains)
}

/// Nothing is translated.
#[cfg(not(feature = "jit"))]
pub(super) fn explains(_: &Engine) -> bool {
    false
}

/// What the translator has counted, with the names of statistics.
#[cfg(feature = "jit")]
pub(super) fn counters(engine: &Engine, state: &State) -> Vec<(String, u64)> {
    use perilune_jit::guest::{EXITS, Translator};
    let Some(counters) = translator(engine).map(Translator::counters) else { return Vec::new() };
    let share = |part: u64| (u128::from(part) * 1000 / u128::from(state.cpu.time().max(1))) as u64;
    let mut all = vec![
        ("blocks translated".to_string(), counters.translated),
        ("blocks dropped".into(), counters.dropped),
        ("times out of room".into(), counters.cleared),
        ("bytes of code".into(), counters.bytes),
        ("jumps linked".into(), counters.linked),
        ("branch targets entered".into(), counters.targets),
        ("entries".into(), counters.entered),
        ("instructions translated".into(), counters.instructions),
        ("per mille of all".into(), share(counters.instructions)),
    ];
    all.extend(EXITS.iter().zip(counters.exits).map(|((_, name), count)| (format!("left: {name}"), count)));
    all
}

/// Nothing is translated.
#[cfg(not(feature = "jit"))]
pub(super) fn counters(_: &Engine, _: &State) -> Vec<(String, u64)> {
    Vec::new()
}
