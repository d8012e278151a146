//! The options of `perilune-vm`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;
use perilune::guest::Translation;

/// What `--help` prints.
pub const HELP: &str = "\
Runs a bare-metal image in an AMD64 guest machine, without hardware virtualization.

Usage: perilune-vm [options] IMAGE

IMAGE is a multiboot 1 image (ELF32, starts in 32-bit protected mode), an ELF64 (starts in 64-bit
mode, memory mapped one to one), or with --flat any bytes.

  --memory SIZE      RAM: bytes, or with K, M, G behind (256M)
  --serial WHERE     the first serial port: stdio, none, or file:PATH (stdio)
  --append TEXT      a multiboot image's command line
  --flat ADDRESS     load IMAGE as it is at a physical address, and start there in 64-bit mode
  --real             with --flat: start in 16-bit real mode
  --budget N         stop after N instructions
  --trace WHAT       print to stderr as it happens: instructions, ports, exceptions, or any kind of
                     exit that --stats names; several with commas
  --stats            print instructions, blocks and exits to stderr at the end
  --translate WHEN   translate blocks of instructions to machine code: on, off, or N for those that
                     were executed N times (on)
  --gdb              tell gdb of translated blocks even if it comes later; --gdb=off tells it nothing
                     (on if it has started this program)
  --help, --version

The status is value * 2 + 1 after the guest has written value to port F4h, 0 when it has halted for
good, 2 when it could not be started, 4 after a triple fault, 6 when the budget is used up, 8 after
a reset.
";

/// What is wanted.
#[derive(Debug)]
pub enum Command {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// An image is to be run.
    Run(Options),
}

/// Where the serial port goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Serial {
    /// Standard input and output.
    Stdio,
    /// Nowhere.
    None,
    /// Output into a file.
    File(PathBuf),
}

/// Options of a run.
#[derive(Debug)]
pub struct Options {
    /// The image's path.
    pub image: PathBuf,
    /// Bytes of RAM.
    pub memory: u64,
    /// The serial port.
    pub serial: Serial,
    /// The command line.
    pub append: String,
    /// The address of a flat image.
    pub flat: Option<u64>,
    /// Start in real mode.
    pub real: bool,
    /// The most instructions.
    pub budget: Option<u64>,
    /// What to trace.
    pub trace: Vec<String>,
    /// Print statistics.
    pub stats: bool,
    /// Whether blocks are translated.
    pub translation: Translation,
    /// Whether gdb is told of blocks, if somebody says.
    pub gdb: Option<bool>,
}

/// A number, decimal or with 0x, with a factor behind it.
fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(1 << shift)
}

fn wanted_number(name: &str, parser: &mut lexopt::Parser) -> Result<u64, String> {
    let text = parser.value().map_err(|e| e.to_string())?.string().map_err(|e| e.to_string())?;
    number(&text).ok_or_else(|| format!("{name}: '{text}' is no number (such as 4096, 0x8000 or 256M)"))
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().map_err(|e| e.to_string())?.string().map_err(|e| e.to_string())
}

fn serial(text: &str) -> Result<Serial, String> {
    match text {
        "stdio" => Ok(Serial::Stdio),
        "none" => Ok(Serial::None),
        _ => match text.strip_prefix("file:") {
            Some(path) => Ok(Serial::File(path.into())),
            None => Err(format!("--serial: '{text}' is none of stdio, none, file:PATH")),
        },
    }
}

fn translation(text: &str) -> Result<Translation, String> {
    match text {
        "on" => Ok(Translation::On),
        "off" => Ok(Translation::Off),
        _ => match text.parse() {
            Ok(count @ 1..) => Ok(Translation::After(count)),
            _ => Err(format!("--translate: '{text}' is none of on, off, or a number from 1 on")),
        },
    }
}

fn gdb(parser: &mut lexopt::Parser) -> Result<bool, String> {
    match parser.optional_value() {
        None => Ok(true),
        Some(text) if text == "off" => Ok(false),
        Some(text) => Err(format!("--gdb: '{}' is not off", text.display())),
    }
}

/// Reads the arguments.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = Options {
        image: PathBuf::new(),
        memory: 256 << 20,
        serial: Serial::Stdio,
        append: String::new(),
        flat: None,
        real: false,
        budget: None,
        trace: Vec::new(),
        stats: false,
        translation: Translation::On,
        gdb: None,
    };
    let mut image = None;
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("version") => return Ok(Command::Version),
            Long("memory") => options.memory = wanted_number("--memory", &mut parser)?,
            Long("serial") => options.serial = serial(&text(&mut parser)?)?,
            Long("append") => options.append = text(&mut parser)?,
            Long("flat") => options.flat = Some(wanted_number("--flat", &mut parser)?),
            Long("real") => options.real = true,
            Long("budget") => options.budget = Some(wanted_number("--budget", &mut parser)?),
            Long("trace") => options.trace.extend(text(&mut parser)?.split(',').map(String::from)),
            Long("stats") => options.stats = true,
            Long("translate") => options.translation = translation(&text(&mut parser)?)?,
            Long("gdb") => options.gdb = Some(gdb(&mut parser)?),
            Value(path) if image.is_none() => image = Some(path.into()),
            Value(path) => return Err(format!("one image only, but there is '{}' too", path.display())),
            other => return Err(other.unexpected().to_string()),
        }
    }
    options.image = image.ok_or("an image is wanted")?;
    if options.real && options.flat.is_none() {
        return Err("--real is for flat images: --flat ADDRESS is missing".into());
    }
    Ok(Command::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number("4096"), Some(4096));
        assert_eq!(number("0x7c00"), Some(0x7c00));
        assert_eq!(number("256M"), Some(256 << 20));
        assert_eq!(number("99999999999999999999"), None);
        assert_eq!(number("99999999999G"), None);
        assert_eq!(number("M"), None);
        assert_eq!(number(""), None);
    }

    #[test]
    fn mistakes_are_told() {
        let wrong = |arguments: &[&str]| parse(arguments.iter().map(OsString::from)).expect_err("wrong");
        assert!(wrong(&[]).contains("an image"));
        assert!(wrong(&["a", "b"]).contains("'b'"));
        assert!(wrong(&["--memory", "much", "a"]).contains("'much'"));
        assert!(wrong(&["--serial", "here", "a"]).contains("'here'"));
        assert!(wrong(&["--gdb=on", "a"]).contains("'on'"));
        assert!(wrong(&["--translate", "0", "a"]).contains("'0'"));
        assert!(wrong(&["--real", "a"]).contains("--flat"));
        assert!(wrong(&["--what", "a"]).contains("--what"));
    }
}
