//! The oracle: PUC Lua 5.4.8 as the binary `puc` of this package, and the cases that it has answered.
//!
//! A *case* is a script in `tests/cases` or `benches/programs`; beside it lies what PUC 5.4.8 does with it, in a file of the same
//! name that ends in `.out`. The binary `bless` writes these files from the oracle and from nothing else:
//! `cargo run -p perilune-oracle --bin bless [part of a name ...]`.
//!
//! Each script runs in its own folder, without arguments, as a child process: messages name it as `name.lua:12:`.
//! The library holds no C and no `unsafe`.

#![forbid(unsafe_code)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Where cases lie, from the root of the workspace.
pub const FOLDERS: [&str; 2] = ["tests/cases", "benches/programs"];

/// How long a case may take before it counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The root of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package lies two folders down")
}

/// The path of the oracle's binary, built by the first call in this process when it is not there or not up to date.
///
/// # Panics
/// When Cargo cannot build it.
pub fn puc() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("perilune-oracle", "puc", &[]))
}

/// Builds the binary `bin` of `package` in the profile that the running program was built in, and answers its path.
///
/// # Panics
/// When Cargo cannot build it.
#[must_use]
pub fn build(package: &str, bin: &str, options: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let folder = profile_folder();
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["build", "-q", "-p", package, "--bin", bin]).args(options);
    if let Some(profile) = folder.file_name().filter(|name| *name != "debug") {
        command.arg("--profile").arg(profile);
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "cargo cannot build {bin} of {package}");
    folder.join(bin)
}

/// `target/debug`, `target/release` or that of another profile: where the running program lies, or above its `deps`.
fn profile_folder() -> PathBuf {
    let here = std::env::current_exe().expect("the running program has a path");
    let folder = here.parent().expect("it lies in a folder");
    if folder.ends_with("deps") { folder.parent().expect("target").to_path_buf() } else { folder.to_path_buf() }
}

/// A script and the file with PUC's answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// The script's file name without its ending.
    pub name: String,
    /// The script.
    pub script: PathBuf,
    /// What PUC 5.4.8 does with it: an [`Outcome::transcript`].
    pub expected: PathBuf,
}

impl Case {
    /// The blessed transcript.
    ///
    /// # Errors
    /// When the case was never blessed.
    pub fn blessed(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.expected).map_err(|e| {
            format!(
                "{}: {e}; bless it: cargo run -p perilune-oracle --bin bless {}",
                self.expected.display(),
                self.name
            )
        })
    }
}

/// All cases, by folder and name.
///
/// # Panics
/// When a folder cannot be read or two cases have the same name.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let folder = root().join(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for script in entries.map(|entry| entry.expect("the folder can be read").path()) {
            if script.extension().is_some_and(|ending| ending == "lua") {
                let name = script.file_stem().expect("it has a name").to_string_lossy().into_owned();
                found.push(Case { name, expected: script.with_extension("out"), script });
            }
        }
    }
    found.sort_by(|a, b| a.script.cmp(&b.script));
    let mut names: Vec<_> = found.iter().map(|case| &case.name).collect();
    names.sort();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "two cases have the same name");
    found
}

/// What a child process did.
#[derive(Debug)]
pub struct Outcome {
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
    /// The exit status; `Err` says by which signal or time limit it ended.
    pub status: Result<i32, String>,
}

impl Outcome {
    /// stdout and, where the status is not 0, the status and stderr, with the program's own name in messages made `lua`.
    #[must_use]
    pub fn transcript(&self) -> Vec<u8> {
        let mut text = self.stdout.clone();
        let status = match &self.status {
            Ok(0) => return text,
            Ok(status) => status.to_string(),
            Err(why) => why.clone(),
        };
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        text.extend(format!("--- exit status {status}, stderr:\n").into_bytes());
        for line in self.stderr.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_prefix(b"perilune: ") {
                Some(message) => {
                    text.extend(b"lua: ");
                    text.extend(message);
                }
                None => text.extend(line),
            }
        }
        text
    }
}

/// Runs `program options... script` in the case's folder.
///
/// # Errors
/// When the program cannot be started.
pub fn run(program: &Path, options: &[&str], case: &Case, limit: Duration) -> Result<Outcome, String> {
    let mut command = Command::new(program);
    command.args(options).arg(case.script.file_name().expect("it has a name"));
    command.current_dir(case.script.parent().expect("it lies in a folder"));
    finish(&mut command, limit)
}

/// Runs `command` to its end, or kills it after `limit`.
///
/// # Errors
/// When the program cannot be started.
pub fn finish(command: &mut Command, limit: Duration) -> Result<Outcome, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("LUA_INIT").env_remove("LUA_INIT_5_4").env("TZ", "UTC").env("LC_ALL", "C");
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let status = wait(&mut child, limit);
    Ok(Outcome {
        stdout: stdout.join().expect("the reader ends"),
        stderr: stderr.join().expect("the reader ends"),
        status,
    })
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut text = Vec::new();
        // A pipe that breaks ends the text; the comparison shows what is missing.
        let _ = pipe.read_to_end(&mut text);
        text
    })
}

fn wait(child: &mut Child, limit: Duration) -> Result<i32, String> {
    use std::os::unix::process::ExitStatusExt;
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status.code().ok_or_else(|| format!("signal {}", status.signal().unwrap_or_default()));
        }
        if start.elapsed() > limit {
            // It may have ended meanwhile.
            let _ = child.kill();
            child.wait().expect("the child can be waited for");
            return Err(format!("none: still running after {} s", limit.as_secs()));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
