//! The parameters of the tracing compiler, by LuaJIT's names where it has them.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use super::ir::{Op, Type};
use super::opt::Passes;
use crate::code::publish::{PerfFormat, Telling};

/// How much a run says about its traces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verbosity {
    /// Nothing.
    Silent,
    /// A line for each trace and each abort.
    Lines,
    /// All stages of each trace.
    Dump,
}

/// Parameters.
#[derive(Clone, Debug)]
pub struct Options {
    /// Compile at all.
    pub on: bool,
    /// Iterations after which a loop is hot.
    pub hotloop: u32,
    /// Exits after which a side trace is recorded: about as many as cost what the side trace will.
    pub hotexit: u32,
    /// Most traces.
    pub maxtrace: u32,
    /// Most bytecode instructions of a recording.
    pub maxrecord: u32,
    /// Most side traces of a root trace.
    pub maxside: u32,
    /// The passes that are on.
    pub passes: Passes,
    /// Run traces with the IR evaluator instead of machine code.
    pub evaluate: bool,
    /// Force every guard to fail once.
    pub exit_stress: bool,
    /// Test mode, unless it is 0: choose registers at random, from this seed on.
    pub registers: u32,
    /// Test mode: leave out guards of this kind.
    pub omit: Option<(Op, Type)>,
    /// Count the kinds of guards in all traces, and print them at the end.
    pub count_guards: bool,
    /// When debuggers are told of traces; if at once, lines are marked and variables kept, too.
    pub telling: Telling,
    /// How perf is told of traces.
    pub perf: Option<PerfFormat>,
    /// Where the page of the trace viewer goes.
    pub page: Option<Arc<File>>,
    /// What is said about traces.
    pub verbosity: Verbosity,
    /// Where it is said; none: on standard error.
    pub output: Option<Arc<File>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            on: true,
            hotloop: 56,
            hotexit: 56,
            maxtrace: 2000,
            maxrecord: 1500,
            maxside: 200,
            passes: Passes::ALL,
            evaluate: false,
            exit_stress: false,
            registers: 0,
            omit: None,
            count_guards: false,
            telling: Telling::detect(),
            perf: None,
            page: None,
            verbosity: Verbosity::Silent,
            output: None,
        }
    }
}

impl Options {
    /// Applies what stands behind `-O`: `name=number`, `+pass`, `-pass`, `eval` or `exitstress`; several with commas.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        text.split(',').try_for_each(|part| self.set_one(part))
    }

    fn set_one(&mut self, text: &str) -> Result<(), String> {
        if let Some((name, value)) = text.split_once('=') {
            if name == "omit" {
                self.omit = Some(guard_kind(value).ok_or_else(|| format!("there is no kind of guard '{value}'"))?);
                return Ok(());
            }
            let value: u32 = value.parse().map_err(|_| format!("'{value}' is not a number (in '{text}')"))?;
            let place = match name {
                "hotloop" => &mut self.hotloop,
                "hotexit" => &mut self.hotexit,
                "maxtrace" => &mut self.maxtrace,
                "maxrecord" => &mut self.maxrecord,
                "maxside" => &mut self.maxside,
                "registers" => &mut self.registers,
                _ => {
                    return Err(format!(
                        "there is no parameter '{name}' (hotloop, hotexit, maxtrace, maxrecord, maxside)"
                    ));
                }
            };
            *place = value.max(1);
            return Ok(());
        }
        match text {
            "eval" => self.evaluate = true,
            "exitstress" => self.exit_stress = true,
            "guards" => self.count_guards = true,
            "0" => self.passes = Passes::NONE,
            "3" => self.passes = Passes::ALL,
            _ => {
                let (on, name) = match text.split_at_checked(1) {
                    Some(("-", name)) => (false, name),
                    Some(("+", name)) => (true, name),
                    _ => (true, text),
                };
                let Some(place) = self.passes.by_name(name) else {
                    return Err(format!("there is no pass '{name}' ({})", Passes::NAMES.join(", ")));
                };
                *place = on;
            }
        }
        Ok(())
    }

    /// Applies what stands behind `-j`: `on`, `off`, `quiet`, `v` or `dump`, these two with `=file` to write to a file.
    pub fn set_mode(&mut self, text: &str) -> Result<(), String> {
        let (mode, file) = match text.split_once('=') {
            Some((mode @ ("v" | "dump" | "html"), file)) => (mode, Some(file)),
            _ => (text, None),
        };
        match mode {
            "on" => self.on = true,
            "off" => self.on = false,
            "quiet" => self.verbosity = Verbosity::Silent,
            "v" => self.verbosity = Verbosity::Lines,
            "dump" => self.verbosity = Verbosity::Dump,
            "html" if file.is_some() => {}
            _ => return Err(format!("there is no mode '{text}' (on, off, quiet, v, dump, html=file)")),
        }
        if let Some(path) = file {
            let file = File::create(path).map_err(|e| {
                let reason = e.to_string();
                format!("cannot write {path}: {}", reason.split(" (os error").next().unwrap_or_default())
            })?;
            *(if mode == "html" { &mut self.page } else { &mut self.output }) = Some(Arc::new(file));
        }
        Ok(())
    }

    /// Applies what stands behind `--gdb`: nothing to tell gdb of each trace at once, `=off` to tell it nothing.
    pub fn set_gdb(&mut self, text: &str) -> Result<(), String> {
        self.telling = match text {
            "" => Telling::AtOnce,
            "off" => Telling::Never,
            _ => return Err(format!("there is no mode '{text}' (off)")),
        };
        Ok(())
    }

    /// Applies what stands behind `--perf=`: `map` or `jitdump`.
    pub fn set_perf(&mut self, text: &str) -> Result<(), String> {
        self.perf = Some(match text {
            "map" => PerfFormat::Map,
            "jitdump" => PerfFormat::JitDump,
            _ => return Err(format!("there is no format '{text}' (map, jitdump)")),
        });
        Ok(())
    }

    /// Says something about traces.
    pub fn say(&self, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        // There is nobody to tell that a report could not be written.
        let _ = match &self.output {
            Some(file) => (&**file).write_all(text.as_bytes()),
            None => std::io::stderr().write_all(text.as_bytes()),
        };
    }
}

/// The kind of guard that a text as `eq.int` names.
fn guard_kind(text: &str) -> Option<(Op, Type)> {
    let (op, ty) = text.split_once('.')?;
    Some((Op::by_name(op)?, Type::by_name(ty)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_passes_and_errors() {
        let mut o = Options::default();
        o.set("hotloop=1,hotexit=2,-fold,eval").unwrap();
        assert_eq!((o.hotloop, o.hotexit, o.passes.fold, o.passes.cse, o.evaluate), (1, 2, false, true, true));
        assert!(o.set("hotlop=1").unwrap_err().contains("hotlop"));
        assert!(o.set("-nopass").unwrap_err().contains("nopass"));
        assert!(o.set("hotloop=x").unwrap_err().contains("'x'"));
        o.set_mode("off").unwrap();
        assert!(!o.on && o.set_mode("offf").is_err());
    }
}
