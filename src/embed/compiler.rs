//! The compiler, seen from outside: what it has made, and its mode while programs run.
#![forbid(unsafe_code)]

#[cfg(feature = "jit")]
use perilune_jit::lua::tier::Jit;

use super::Lua;

/// A trace, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Its number.
    pub number: u32,
    /// What it is, in one line, as `-jv` shows it.
    pub summary: String,
    /// Its intermediate code.
    pub ir: String,
    /// Its machine code.
    pub machine_code: String,
}

#[cfg(feature = "jit")]
impl Lua {
    /// The traces that have been compiled so far. Without the feature `jit`, and with the compiler off, there are none.
    pub fn traces(&self) -> Vec<Trace> {
        self.with(|state| {
            let Some(jit) = Jit::find(state) else { return Vec::new() };
            let text = |trace| (jit.summary(trace), jit.machine_code(trace));
            jit.traces()
                .map(|trace| {
                    let (summary, machine_code) = text(trace);
                    Trace { number: trace.number, summary, ir: trace.ir.to_string(), machine_code }
                })
                .collect()
        })
    }

    /// Changes the compiler's mode as `-j` does on the command line: `on`, `off` (no more traces are made; those that there
    /// are stay in use), `v`, `dump`, `quiet`.
    ///
    /// # Errors
    /// When there is no such mode or no compiler, as a message.
    pub fn set_jit_mode(&self, mode: &str) -> Result<(), String> {
        self.with(|state| Jit::set_mode(state, mode))
    }
}

#[cfg(not(feature = "jit"))]
impl Lua {
    /// The traces that have been compiled: none in a build without the compiler.
    pub fn traces(&self) -> Vec<Trace> {
        Vec::new()
    }

    /// Changes the compiler's mode.
    ///
    /// # Errors
    /// Always, since there is none in this build.
    pub fn set_jit_mode(&self, _: &str) -> Result<(), String> {
        Err(super::lua::NO_COMPILER.into())
    }
}
