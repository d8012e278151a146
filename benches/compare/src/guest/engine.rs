//! What executes kernels: each run is one child process.

use crate::kernel::Kernel;
use perilune_compare::child::{self, Outcome};
use perilune_oracle::{build, root};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The engines. Ratios relate to the first one.
pub const NAMES: [&str; 5] = ["native", "perilune", "interpreter", "tcg", "unicorn"];

/// An engine.
pub struct Engine {
    /// As the command line names it.
    pub name: String,
    kind: Kind,
}

enum Kind {
    /// The processor, in a process of its own.
    Native,
    /// perilune-vm, with its options.
    Perilune(PathBuf, &'static [&'static str]),
    /// QEMU's translator.
    Tcg,
    /// Unicorn, by its Python package.
    Unicorn,
}

/// A run.
pub struct Run {
    /// CPU seconds.
    pub time: f64,
    /// The kernel's answer, 7 bits.
    pub answer: u8,
}

const QEMU: &str = "qemu-system-x86_64";

impl Engine {
    /// The engine that the command line calls `name`.
    pub fn named(name: &str) -> Result<Engine, String> {
        let vm = || build("perilune", "perilune-vm", &[]);
        let kind = match name {
            "native" => Kind::Native,
            "perilune" => Kind::Perilune(vm(), &[]),
            "interpreter" => Kind::Perilune(vm(), &["--translate", "off"]),
            "tcg" => Kind::Tcg,
            "unicorn" => Kind::Unicorn,
            _ => return Err(format!("no engine is called '{name}'; there are {}", NAMES.join(", "))),
        };
        Ok(Engine { name: name.into(), kind })
    }

    /// Why it cannot run here.
    pub fn missing(&self) -> Option<String> {
        let works =
            |command: &mut Command| command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
        match self.kind {
            Kind::Native | Kind::Perilune(..) => None,
            Kind::Tcg => (!works(Command::new(QEMU).arg("--version"))).then(|| format!("there is no {QEMU}")),
            Kind::Unicorn => (!works(Command::new("python3").args(["-c", "import unicorn"])))
                .then(|| "python3 has no package unicorn".into()),
        }
    }

    /// Runs so many rounds of a kernel.
    pub fn run(&self, kernel: &Kernel, rounds: u32) -> Result<Run, String> {
        let mut command = self.command(kernel, rounds)?;
        let fail = |what: String| format!("{} on {}: {what}", kernel.name, self.name);
        let Outcome { time, status, output } = child::run(&mut command).map_err(fail)?;
        if !libc::WIFEXITED(status) {
            return Err(fail(format!("ends with wait status {status:#x}")));
        }
        let code = libc::WEXITSTATUS(status);
        let answer = match self.kind {
            Kind::Native => code,
            // value * 2 + 1, of which 8 bits are left.
            Kind::Perilune(..) | Kind::Tcg if code & 1 == 1 => code >> 1,
            Kind::Unicorn if code == 0 => {
                let text = String::from_utf8_lossy(&output);
                text.trim().parse().map_err(|_| fail(format!("says '{text}'")))?
            }
            _ => return Err(fail(format!("ends with status {code}"))),
        };
        Ok(Run { time, answer: answer as u8 })
    }

    /// Counts the guest's instructions of so many rounds, the start included, if this engine can.
    pub fn instructions(&self, kernel: &Kernel, rounds: u32) -> Option<f64> {
        let Kind::Perilune(..) = self.kind else { return None };
        let done = self.command(kernel, rounds).ok()?.arg("--stats").output().ok()?;
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        told.lines().find_map(|line| line.strip_prefix("instructions ")?.parse().ok())
    }

    fn command(&self, kernel: &Kernel, rounds: u32) -> Result<Command, String> {
        Ok(match &self.kind {
            Kind::Native => Command::new(kernel.process(rounds)?),
            Kind::Perilune(program, options) => {
                let mut command = Command::new(program);
                command.args(*options).args(["--memory", "64M", "--serial", "none"]).arg(kernel.image(rounds)?);
                command
            }
            Kind::Tcg => {
                let mut command = Command::new(QEMU);
                let options =
                    "-accel tcg -m 64 -display none -nodefaults -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4";
                command.args(options.split(' ')).arg("-kernel").arg(kernel.image(rounds)?);
                command
            }
            Kind::Unicorn => {
                let mut command = Command::new("python3");
                let script = root().join("benches/guest/unicorn_run.py");
                command.arg(script).arg(kernel.bytes()?).arg(rounds.to_string());
                command
            }
        })
    }
}
