//! The builds of the command line that sessions are held with: that of the tests, an optimized one, and a stripped copy of it.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use super::session;

/// The folder of the scripts.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/");

/// A build of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// As the tests are built.
    Debug,
    /// The one whose path `PERILUNE_OPTIMIZED` says.
    Optimized,
    /// A copy of it without symbols.
    Stripped,
}

static OPTIMIZED: LazyLock<Option<String>> = LazyLock::new(|| {
    let path = std::env::var_os("PERILUNE_OPTIMIZED");
    if path.is_none() {
        println!("NOT RUN: gdb sessions with an optimized build (PERILUNE_OPTIMIZED names none)");
        assert!(!std::env::var("PERILUNE_REQUIRE").is_ok_and(|value| value == "all"), "an optimized build is required");
    }
    path.map(|path| std::path::absolute(path).unwrap().into_os_string().into_string().unwrap())
});

static STRIPPED: LazyLock<Option<String>> = LazyLock::new(|| {
    let stripped = concat!(env!("CARGO_TARGET_TMPDIR"), "/perilune-stripped");
    let status = Command::new("strip").args(["-o", stripped, OPTIMIZED.as_deref()?]).status();
    assert!(status.is_ok_and(|status| status.success()), "strip comes with the compiler");
    Some(stripped.to_string())
});

/// Makes a test of each session with each build.
macro_rules! sessions {
    ($($session:ident)*) => {
        sessions!(debug Debug: $($session)*);
        sessions!(optimized Optimized: $($session)*);
        sessions!(stripped Stripped: $($session)*);
    };
    ($module:ident $build:ident: $($session:ident)*) => {
        mod $module {
            $(#[test]
            fn $session() {
                super::$session(super::Build::$build);
            })*
        }
    };
}

impl Build {
    /// Its path. None if it is not there.
    fn program(self) -> Option<&'static str> {
        match self {
            Build::Debug => Some(env!("CARGO_BIN_EXE_perilune")),
            Build::Optimized => OPTIMIZED.as_deref(),
            Build::Stripped => STRIPPED.as_deref(),
        }
    }

    /// Whether there are names of native functions.
    pub fn has_symbols(self) -> bool {
        self != Build::Stripped
    }

    /// What is expected of these texts of a transcript: those about native functions only if they have names.
    pub fn expected<'a>(self, texts: &[&'a str]) -> Vec<&'a str> {
        let is_native = |text: &&str| text.contains(".rs:") || [" main (", "_start ("].contains(text);
        texts.iter().copied().filter(|text| self.has_symbols() || !is_native(text)).collect()
    }

    /// Runs gdb's commands with the command line as the inferior, which runs the script. None if there is no gdb or no such build.
    pub fn gdb(self, script: &str, commands: &[&str]) -> Option<String> {
        self.gdb_with(&[script], commands)
    }

    /// As [`gdb`](Build::gdb), with options before the script.
    pub fn gdb_with(self, arguments: &[&str], commands: &[&str]) -> Option<String> {
        let program = [&[self.program()?], arguments].concat();
        session::is_there("a gdb session with a Lua program").then(|| session::gdb(&program, commands, |_| {}))
    }

    /// Starts the command line in the background and runs gdb's commands when it says that it has run for a moment.
    pub fn attached(self, arguments: &[&str], commands: &[&str]) -> Option<String> {
        let program = self.program()?;
        if !session::is_there("a gdb session with a running program") {
            return None;
        }
        let mut program = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = program.id().to_string();
        let transcript = session::gdb_on(&["-p", &pid], commands, |_| {});
        let _ = program.kill();
        program.wait().unwrap();
        Some(transcript)
    }

    /// Runs gdb's commands on a core of the command line.
    pub fn on_core(self, core: &str, commands: &[&str]) -> Option<String> {
        Some(session::gdb_on(&[self.program()?, core], commands, |_| {}))
    }

    /// What the command line says, run by itself.
    pub fn run(self, arguments: &[&str]) -> Option<String> {
        let output = Command::new(self.program()?).args(arguments).output().unwrap();
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// The script that it prints for gdb, as a file.
    pub fn gdb_script(self) -> Option<PathBuf> {
        let text = self.run(&["--gdb-script"])?;
        let name = format!("perilune-{}-{:?}.py", std::process::id(), std::thread::current().id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        Some(file)
    }
}
