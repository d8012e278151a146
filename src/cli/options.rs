//! The command line's grammar: that of C Lua's `lua`, plus `-j` and `-O` for the compiler and two long options.
//!
//! Only the shape is checked here; what stands behind `-j` and `-O` is handed on to the compiler as it is.
#![forbid(unsafe_code)]

use std::fmt;

/// What `--help` prints, and the explanation of a wrong option.
pub const USAGE: &str = "\
usage: perilune [options] [script [args]]
  -e code    run this code
  -i         read and run lines from the terminal after the script
  -l module  require a module into the global of its name; -l name=module into another
  -v         show the version
  -E         ignore LUA_INIT, LUA_PATH and LUA_CPATH
  -W         turn warnings on
  -joff      interpret everything; -jon is the default
  -jv        tell of each trace on stderr; -jv=file writes to a file
  -jdump     show each trace at all stages on stderr; -jdump=file writes to a file
  -jhtml=file
             write a page that shows source, traces, exits and links
  -Oname=n   set a parameter of the compiler: hotloop, hotexit, maxtrace, maxrecord, ...
  -O-pass    switch an optimization off (-O+pass: on): fold, cse, fwd, dce, loop, ...
  --gdb-script
             print a script for gdb: Lua frames, variables, tables, traces
  --gdb      tell gdb of each trace at once, keep all lines and variables for it,
             stop at lines that are interpreted, too; --gdb=off tells it nothing
  --profile=file
             write a flame graph (file.svg) or stacks (any other file), say where the time went
  --perf=map name traces for perf in /tmp/perf-PID.map; --perf=jitdump with lines and
             code in jit-PID.dump
  --         end of the options
  -          run the program on stdin
  --version  show the version and leave
  --help     show this and leave
";

/// Something to do before the script, in the order of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// `-e`: run code.
    Execute(Vec<u8>),
    /// `-l`: load a module into a global.
    Require {
        /// The global's name.
        global: Vec<u8>,
        /// The module's name.
        module: Vec<u8>,
    },
    /// `-W`: turn warnings on.
    Warnings,
}

/// The text behind a `-j` or `-O`, or a long option for the compiler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JitOption {
    /// Behind `-j`.
    Command(String),
    /// Behind `-O`.
    Parameter(String),
    /// Behind `--gdb`: nothing, or what follows a `=`.
    Gdb(String),
    /// Behind `--perf=`.
    Perf(String),
}

/// A command line, understood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Invocation {
    /// What comes before the script.
    pub steps: Vec<Step>,
    /// `-i`
    pub interactive: bool,
    /// `-v`
    pub show_version: bool,
    /// `-E`
    pub ignore_environment: bool,
    /// `-j`, `-O`, `--gdb` and `--perf`
    pub jit: Vec<JitOption>,
    /// `--profile=`: the file.
    pub profile: Option<Vec<u8>>,
    /// Where the script stands among the arguments; `-` is stdin.
    pub script: Option<usize>,
}

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// To run something.
    Run(Invocation),
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--gdb-script`
    GdbScript,
}

/// An option that does not exist or lacks its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WrongOption {
    /// There is no such option.
    Unknown(String),
    /// The option wants an argument.
    NeedsArgument(String),
}

impl fmt::Display for WrongOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WrongOption::Unknown(option) => write!(f, "unrecognized option '{option}'"),
            WrongOption::NeedsArgument(option) => write!(f, "'{option}' needs argument"),
        }
    }
}

/// Reads the arguments; the program's name is the first one.
pub fn parse(args: &[Vec<u8>]) -> Result<Request, WrongOption> {
    let mut run = Invocation::default();
    let mut i = 1;
    while let Some(arg) = args.get(i) {
        let unknown = || WrongOption::Unknown(String::from_utf8_lossy(arg).into_owned());
        match arg.as_slice() {
            b"-" => {
                run.script = Some(i);
                break;
            }
            b"--" => {
                run.script = (i + 1 < args.len()).then_some(i + 1);
                break;
            }
            b"--help" => return Ok(Request::Help),
            b"--version" => return Ok(Request::Version),
            b"-E" => run.ignore_environment = true,
            b"-W" => run.steps.push(Step::Warnings),
            b"-v" => run.show_version = true,
            b"-i" => run.interactive = true,
            b"--gdb-script" => return Ok(Request::GdbScript),
            b"--gdb" => run.jit.push(JitOption::Gdb(String::new())),
            [b'-', b'-', b'g', b'd', b'b', b'=', mode @ ..] => {
                run.jit.push(JitOption::Gdb(String::from_utf8(mode.to_vec()).map_err(|_| unknown())?));
            }
            [b'-', b'-', b'p', b'r', b'o', b'f', b'i', b'l', b'e', b'=', file @ ..] if !file.is_empty() => {
                run.profile = Some(file.to_vec());
            }
            [b'-', b'-', b'p', b'e', b'r', b'f', b'=', format @ ..] => {
                run.jit.push(JitOption::Perf(String::from_utf8(format.to_vec()).map_err(|_| unknown())?));
            }
            [b'-', letter @ (b'e' | b'l' | b'j' | b'O'), attached @ ..] => {
                let text = if attached.is_empty() {
                    i += 1;
                    // As C Lua does it: what looks like an option is none's argument.
                    args.get(i)
                        .filter(|next| next.first() != Some(&b'-') || *letter == b'O')
                        .ok_or_else(|| WrongOption::NeedsArgument(format!("-{}", char::from(*letter))))?
                } else {
                    attached
                };
                let as_text = || String::from_utf8(text.to_vec()).map_err(|_| unknown());
                match letter {
                    b'e' => run.steps.push(Step::Execute(text.to_vec())),
                    b'l' => run.steps.push(module(text)),
                    b'j' => run.jit.push(JitOption::Command(as_text()?)),
                    _ => run.jit.push(JitOption::Parameter(as_text()?)),
                }
            }
            [b'-', ..] => return Err(unknown()),
            _ => {
                run.script = Some(i);
                break;
            }
        }
        i += 1;
    }
    Ok(Request::Run(run))
}

/// `global=module`, or `module`, whose global has its name up to a `-`.
fn module(text: &[u8]) -> Step {
    match text.iter().position(|c| *c == b'=') {
        Some(at) => Step::Require { global: text[..at].to_vec(), module: text[at + 1..].to_vec() },
        None => {
            let end = text.iter().position(|c| *c == b'-').unwrap_or(text.len());
            Step::Require { global: text[..end].to_vec(), module: text.to_vec() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Request, WrongOption> {
        let args: Vec<Vec<u8>> = [&["perilune"], args].concat().iter().map(|a| a.as_bytes().to_vec()).collect();
        parse(&args)
    }

    #[track_caller]
    fn run(args: &[&str]) -> Invocation {
        match read(args) {
            Ok(Request::Run(run)) => run,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn wrong(args: &[&str], message: &str) {
        assert_eq!(read(args).unwrap_err().to_string(), message);
    }

    #[test]
    fn nothing_at_all() {
        assert_eq!(run(&[]), Invocation::default());
    }

    #[test]
    fn the_script_ends_the_options() {
        let got = run(&["-W", "a.lua", "-i", "-nonsense"]);
        assert_eq!(got.script, Some(2));
        assert!(!got.interactive);
        assert_eq!(got.steps, [Step::Warnings]);
        assert_eq!(run(&["--", "-odd"]).script, Some(2));
        assert_eq!(run(&["--"]).script, None);
        assert_eq!(run(&["-", "x"]).script, Some(1));
    }

    #[test]
    fn values_are_attached_or_follow() {
        let expected = [Step::Execute(b"a=1".to_vec()), Step::Execute(b"b=2".to_vec())];
        assert_eq!(run(&["-ea=1", "-e", "b=2"]).steps, expected);
        wrong(&["-e"], "'-e' needs argument");
        wrong(&["-e", "-i"], "'-e' needs argument");
        wrong(&["-l"], "'-l' needs argument");
    }

    #[test]
    fn modules_have_a_global() {
        let step = |global: &str, module: &str| Step::Require { global: global.into(), module: module.into() };
        assert_eq!(run(&["-lm"]).steps, [step("m", "m")]);
        assert_eq!(run(&["-l", "g=a.b"]).steps, [step("g", "a.b")]);
        assert_eq!(run(&["-l", "mod-v2"]).steps, [step("mod", "mod-v2")]);
    }

    #[test]
    fn flags() {
        let got = run(&["-i", "-E"]);
        assert!(got.interactive && !got.show_version && got.ignore_environment);
        let got = run(&["-v"]);
        assert!(!got.interactive && got.show_version);
    }

    #[test]
    fn the_compilers_options_are_handed_on() {
        let command = |text: &str| JitOption::Command(text.into());
        let parameter = |text: &str| JitOption::Parameter(text.into());
        assert_eq!(
            run(&["-joff", "-jv=file", "-Ohotloop=1", "-O-fold", "-O", "-cse", "-j", "dump"]).jit,
            [
                command("off"),
                command("v=file"),
                parameter("hotloop=1"),
                parameter("-fold"),
                parameter("-cse"),
                command("dump")
            ]
        );
    }

    #[test]
    fn unknown_options_are_named() {
        wrong(&["-x"], "unrecognized option '-x'");
        wrong(&["-ix"], "unrecognized option '-ix'");
        wrong(&["-Ev"], "unrecognized option '-Ev'");
        wrong(&["--wrong"], "unrecognized option '--wrong'");
        wrong(&["-v1"], "unrecognized option '-v1'");
    }

    #[test]
    fn help_and_version() {
        assert_eq!(read(&["--help", "-x"]), Ok(Request::Help));
        assert_eq!(read(&["--version"]), Ok(Request::Version));
    }
}
