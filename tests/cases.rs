//! Runs every case of `tests/cases` and `benches/programs` under every engine, and compares with what PUC 5.4.8 does.
//!
//! The cases and their blessed transcripts are those of `perilune_oracle::cases`; `ENGINES` is the one list of the ways to run
//! them. All cases run under the engines marked `All`; the others, which are slow or many, take a sample that `PERILUNE_SEED` chooses
//! (a number; `all` runs everything), the same on each run of the same seed.
//!
//! `cargo test --test cases -- part` runs the cases whose name contains `part`; `PERILUNE_ENGINES=interpreter,hot` names engines.
//! `PERILUNE_THREADS` is how many cases run at a time (2).

use perilune_oracle::{Case, LIMIT, Outcome, cases, run};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many of the cases an engine runs.
enum Share {
    All,
    /// One of so many.
    Sample(u64),
}

/// A way to run a program.
struct Engine {
    name: &'static str,
    options: &'static [&'static str],
    jit: bool,
    share: Share,
    /// What else must hold of a run. It takes off stderr what the engine says there.
    check: fn(&Case, &mut Outcome) -> Result<(), String>,
}

const fn engine(name: &'static str, options: &'static [&'static str], share: Share) -> Engine {
    Engine { name, options, jit: true, share, check: |_, _| Ok(()) }
}

/// Thresholds at which traces begin elsewhere than under the other engines.
const HOT_STRESS: &[&str] = &["-Oexitstress", "-Ohotloop=2", "-Ohotexit=3"];

const ENGINES: &[Engine] = &[
    Engine { jit: false, ..engine("interpreter", &["-joff"], Share::All) },
    engine("default", &[], Share::All),
    engine("hot", &["-Ohotloop=1", "-Ohotexit=1"], Share::All),
    engine("evaluator", &["-Oeval"], Share::All),
    Engine { check: every_exit, ..engine("exit stress", &["-Oexitstress"], Share::All) },
    Engine {
        check: every_exit,
        ..engine("evaluator under exit stress", &["-Oeval", "-Oexitstress"], Share::Sample(8))
    },
    Engine { check: every_exit, ..engine("hot exit stress", HOT_STRESS, Share::Sample(2)) },
    engine("line by line", &["--gdb"], Share::All),
    engine("hot line by line", &["--gdb", "-Ohotloop=2", "-Ohotexit=2"], Share::All),
    engine("registers by chance", &["-Ohotloop=1", "-Ohotexit=1", "-Oregisters=7"], Share::Sample(4)),
    engine("without folding", &["-O-fold"], Share::Sample(8)),
    engine("without value numbering", &["-O-cse"], Share::Sample(8)),
    engine("without load forwarding", &["-O-fwd"], Share::Sample(8)),
    engine("without dead code elimination", &["-O-dce"], Share::Sample(8)),
    engine("without allocation sinking", &["-O-sink"], Share::Sample(8)),
    engine("without loop peeling", &["-O-loop"], Share::Sample(8)),
    engine("without range analysis", &["-O-range"], Share::Sample(8)),
];

/// Under exit stress each guard that is reached fails once by force. Traces count the one, the deoptimizer the other. At each of
/// these exits the values are where the table for debuggers says. The last line on stderr has the numbers.
fn every_exit(_case: &Case, outcome: &mut Outcome) -> Result<(), String> {
    let text = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let (before, line) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [reached, failed, values, found] = numbers[..] else {
        return Err(format!("no count of exits at the end of stderr: {line:?}"));
    };
    if failed != reached || values != found {
        return Err(line.to_string());
    }
    GUARDS.fetch_add(reached, Ordering::Relaxed);
    VALUES.fetch_add(found, Ordering::Relaxed);
    outcome.stderr = if before.is_empty() { Vec::new() } else { format!("{before}\n").into_bytes() };
    Ok(())
}

/// Guards that exit stress has forced in all runs.
static GUARDS: AtomicU64 = AtomicU64::new(0);

/// Values that were found where debuggers would look for them, in all runs.
static VALUES: AtomicU64 = AtomicU64::new(0);

/// The seed of the sample; `None` runs everything.
fn seed() -> Option<u64> {
    match std::env::var("PERILUNE_SEED") {
        Ok(text) if text == "all" => None,
        Ok(text) => Some(text.parse().expect("PERILUNE_SEED is a number or `all`")),
        Err(_) => Some(1),
    }
}

/// Whether `engine` runs the case of this name: a hash of both and the seed decides.
fn chosen(engine: &Engine, name: &str, seed: Option<u64>) -> bool {
    let (Share::Sample(share), Some(seed)) = (&engine.share, seed) else { return true };
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in engine.name.bytes().chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 20) % share == 0
}

/// Runs `case` under `engine`; an error says how it differs.
fn try_case(case: &Case, engine: &Engine) -> Result<(), String> {
    let expected = case.blessed()?;
    let mut outcome = run(Path::new(env!("CARGO_BIN_EXE_perilune")), engine.options, case, LIMIT)?;
    (engine.check)(case, &mut outcome)?;
    let found = outcome.transcript();
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (String::from_utf8_lossy(&expected), String::from_utf8_lossy(&found));
    let mut lines = (1..).zip(expected.lines().map(Some).chain(std::iter::repeat(None)));
    let mut others = found.lines();
    loop {
        let ((number, wanted), got) = (lines.next().expect("endless"), others.next());
        if wanted != got {
            let show = |line: Option<&str>| line.map_or("(the end)".into(), |line| format!("{line:.300?}"));
            return Err(format!("line {number} should be\n    {}\n  but is\n    {}", show(wanted), show(got)));
        }
        if wanted.is_none() {
            return Err("they differ in line ends alone".into());
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let cases: Vec<Case> =
        cases().into_iter().filter(|case| parts.is_empty() || parts.iter().any(|p| case.name.contains(*p))).collect();
    if args.iter().any(|arg| arg == "--list") {
        cases.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    let named = std::env::var("PERILUNE_ENGINES").unwrap_or_default();
    let engines: Vec<&Engine> = ENGINES
        .iter()
        .filter(|engine| cfg!(feature = "jit") || !engine.jit)
        .filter(|engine| named.is_empty() || named.split(',').any(|name| name == engine.name))
        .collect();
    assert!(
        !engines.is_empty(),
        "PERILUNE_ENGINES names none of {:?}",
        ENGINES.iter().map(|engine| engine.name).collect::<Vec<_>>()
    );
    let threads = std::env::var("PERILUNE_THREADS").map_or(2, |n| n.parse().expect("PERILUNE_THREADS is a number"));
    let seed = seed();

    let runs: Vec<(&Case, &Engine)> = cases
        .iter()
        .flat_map(|case| engines.iter().map(move |engine| (case, *engine)))
        .filter(|(case, engine)| chosen(engine, &case.name, seed))
        .collect();
    println!("\nrunning {} tests", runs.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((case, engine)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = try_case(case, engine);
                    println!(
                        "test {} [{}] ... {}",
                        case.name,
                        engine.name,
                        if result.is_ok() { "ok" } else { "FAILED" }
                    );
                    if let Err(why) = result {
                        failures
                            .lock()
                            .expect("no thread panics")
                            .push(format!("{} [{}]: {why}", case.name, engine.name));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics");
    failures.sort();
    if !failures.is_empty() {
        println!("\nfailures:\n\n{}", failures.join("\n\n"));
    }
    let (guards, values) = (GUARDS.load(Ordering::Relaxed), VALUES.load(Ordering::Relaxed));
    println!("\n{guards} guards forced by exit stress, {values} values found where debuggers look for them");
    let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored\n",
        runs.len() - failures.len(),
        failures.len()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
