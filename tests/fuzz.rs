//! Random programs under PUC Lua, the interpreter and the compiler, and random tokens under both parsers: they must agree.
//!
//! `cargo test --test fuzz` takes `PERILUNE_FUZZ_SECONDS` (20) and begins with the seed `PERILUNE_FUZZ_SEED` (1), so that each run does the
//! same. A longer one: `PERILUNE_FUZZ_SECONDS=3600 PERILUNE_FUZZ_SEED=$RANDOM cargo test --test fuzz`. What differs is made
//! smaller and shown, with its seed.

#[path = "fuzz/expression.rs"]
mod expression;
#[path = "fuzz/library.rs"]
mod library;
#[path = "fuzz/program.rs"]
mod program;
#[path = "fuzz/random.rs"]
mod random;
#[path = "fuzz/reduce.rs"]
mod reduce;
#[path = "fuzz/scan.rs"]
mod scan;
#[path = "fuzz/tokens.rs"]
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use perilune_oracle::{finish, puc};
use program::Program;
use random::Random;

/// The ways to run a program beside PUC's.
#[cfg(feature = "jit")]
const ENGINES: [&[&str]; 4] =
    [&["-joff"], &["-Ohotloop=1", "-Ohotexit=1"], &[], &["-Ohotloop=5", "-Ohotexit=3", "-Oeval"]];
#[cfg(not(feature = "jit"))]
const ENGINES: [&[&str]; 1] = [&[]];

/// When a program counts as hanging; all of them take a fraction of a second.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs while a program is made smaller.
const TRIES: usize = 600;

/// Texts that are loaded by one process.
const TEXTS: usize = 300;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Numbers from the seed on, for as long as there is time; at least one.
fn seeds(share: f64) -> impl Iterator<Item = u64> {
    let end = Instant::now() + Duration::from_secs(number("PERILUNE_FUZZ_SECONDS", 20)).mul_f64(share);
    let first = number("PERILUNE_FUZZ_SEED", 1);
    (first..).take_while(move |seed| *seed == first || Instant::now() < end)
}

/// A folder for a test's files; runs that begin with other seeds have others.
fn folder(name: &str) -> PathBuf {
    let run = number("PERILUNE_FUZZ_SEED", 1).to_string();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(run).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What a program does, as text. The sign of a NaN is not part of it: which operand's an operation hands on is up to the C compiler
/// that has built PUC Lua.
fn run(program: &Path, options: &[&str], folder: &Path, text: &[u8]) -> String {
    fs::write(folder.join("fuzz.lua"), text).unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder).args(options).arg("fuzz.lua");
    let outcome = finish(&mut command, LIMIT).unwrap();
    String::from_utf8_lossy(&outcome.transcript()).replace("-nan", "nan").replace("-NAN", "NAN")
}

fn perilune() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_perilune"))
}

/// Does this say that the program ended with an error?
fn fails(transcript: &str) -> bool {
    transcript.contains("--- exit status")
}

/// Did the program run longer than a program may?
fn is_endless(transcript: &str) -> bool {
    transcript.contains("--- exit status none: still running")
}

/// The first line in which two texts differ.
fn difference(expected: &str, found: &str) -> String {
    let mut lines =
        expected.lines().map(Some).chain(std::iter::repeat(None)).zip(found.lines().map(Some).chain([None]));
    let (wanted, got) = lines.find(|(a, b)| a != b).unwrap_or_default();
    let show = |line: Option<&str>| line.map_or("(the end)".to_string(), |line| format!("{line:.400}"));
    format!("PUC:  {}\nhere: {}", show(wanted), show(got))
}

#[test]
fn programs_do_the_same_everywhere() {
    let folder = folder("programs");
    let (mut count, mut failing, mut hanging) = (0, 0, 0);
    for seed in seeds(1.0) {
        let text = Program::text(seed);
        let expected = run(puc(), &[], &folder, text.as_bytes());
        if is_endless(&expected) {
            hanging += 1;
            continue;
        }
        count += 1;
        failing += usize::from(fails(&expected));
        for engine in ENGINES {
            if run(perilune(), engine, &folder, text.as_bytes()) == expected {
                continue;
            }
            eprintln!("seed {seed}, {engine:?} differs, and is made smaller");
            let pair = |text: &str| {
                let text = text.as_bytes();
                (run(puc(), &[], &folder, text), run(perilune(), engine, &folder, text))
            };
            // Not another mistake: what ran to its end does so still.
            let ends = fails(&expected);
            let small = reduce::program(&text, TRIES, |text| {
                let (expected, found) = pair(text);
                expected != found && fails(&expected) == ends
            });
            let (expected, found) = pair(&small);
            panic!("seed {seed}, {engine:?} differs:\n{small}\n{}", difference(&expected, &found));
        }
    }
    println!("{count} programs, of which {failing} end with an error; {hanging} that do not end");
    assert!(hanging * 500 <= count + 500, "too many of the programs do not end: {hanging}");
    assert!(failing * 3 < count + 10, "too many of the programs end with an error: {failing} of {count}");
}

/// Calls of the library in one process.
const CALLS: usize = 150;

#[test]
fn hostile_calls_of_the_library_do_the_same_everywhere() {
    let folder = folder("library");
    let (mut count, mut failing, mut hanging) = (0, 0, 0);
    for seed in seeds(0.6) {
        let text = library::text(seed, CALLS);
        let expected = run(puc(), &[], &folder, text.as_bytes());
        if is_endless(&expected) {
            // Such calls there are; what comes before them has been seen with other seeds.
            hanging += 1;
            continue;
        }
        assert!(!fails(&expected), "seed {seed}: {expected}");
        count += CALLS;
        failing += expected.matches(": false | ").count();
        for engine in ENGINES {
            if run(perilune(), engine, &folder, text.as_bytes()) == expected {
                continue;
            }
            eprintln!("seed {seed}, {engine:?} differs, and is made smaller");
            let small = reduce::program(&text, TRIES, |text| {
                let expected = run(puc(), &[], &folder, text.as_bytes());
                !fails(&expected) && expected != run(perilune(), engine, &folder, text.as_bytes())
            });
            let (expected, found) =
                (run(puc(), &[], &folder, small.as_bytes()), run(perilune(), engine, &folder, small.as_bytes()));
            panic!("seed {seed}, {engine:?} differs:\n{small}\n{}", difference(&expected, &found));
        }
    }
    println!("{count} calls, of which {failing} fail; {hanging} programs that do not end");
    assert!(hanging * CALLS * 10 <= count + CALLS * 20, "too many of the programs do not end: {hanging}");
    assert!(failing * 10 > count && failing * 10 < count * 9, "too few, or too many, fail: {failing} of {count}");
}

/// A program that loads texts and prints what comes of each.
fn loader(texts: &[Vec<String>]) -> Vec<u8> {
    let mut program = b"local texts = {\n".to_vec();
    for text in texts {
        program.push(b'"');
        for byte in text.concat().bytes() {
            program.extend(format!("\\{byte:03}").bytes());
        }
        program.extend(b"\",\n");
    }
    program.extend(b"}\nfor i, text in ipairs(texts) do\nlocal f, message = load(text, '=text')\n");
    program.extend(b"print(i, f and 'good' or (message:gsub('%c', ' ')))\nend\n");
    program
}

#[test]
fn both_parsers_accept_and_refuse_the_same() {
    let folder = folder("tokens");
    let first = number("PERILUNE_FUZZ_SEED", 1);
    let programs: Vec<_> = (first..first + 20).map(|seed| tokens::split(&Program::text(seed))).collect();
    let (mut count, mut good) = (0, 0);
    for seed in seeds(0.4) {
        let mut random = Random::new(seed);
        let texts: Vec<_> = (0..TEXTS).map(|_| tokens::text(&mut random, &programs)).collect();
        let both = |texts: &[Vec<String>]| {
            let program = loader(texts);
            (run(puc(), &[], &folder, &program), run(perilune(), &["-joff"], &folder, &program))
        };
        let (expected, found) = both(&texts);
        count += texts.len();
        good += expected.lines().filter(|line| line.ends_with("\tgood")).count();
        if expected == found {
            continue;
        }
        let at = expected.lines().zip(found.lines()).position(|(a, b)| a != b).unwrap_or(texts.len() - 1);
        let small = reduce::tokens(texts[at].clone(), TRIES, |tokens| {
            let (expected, found) = both(&[tokens.to_vec()]);
            expected != found
        });
        let (expected, found) = both(std::slice::from_ref(&small));
        panic!("seed {seed}, text {at} differs: {:?}\n{}", small.concat(), difference(&expected, &found));
    }
    println!("{count} texts, of which {good} are programs");
}
