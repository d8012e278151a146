//! Writes the expected output of the cases from PUC 5.4.8: `bless [--check] [part of a name ...]`.
//!
//! Each case runs twice: one whose answers differ depends on an address, a time or an order, and is refused. With `--check`
//! nothing is written, and a blessed file that PUC does not confirm is an error.

use perilune_oracle::{Case, LIMIT, cases, puc, run};
use std::fs;
use std::process::ExitCode;

/// What blessing a case came to.
enum Blessed {
    Same,
    Written,
}

fn bless(case: &Case, check: bool) -> Result<Blessed, String> {
    let answer = run(puc(), &[], case, LIMIT)?;
    if let Err(why) = &answer.status {
        return Err(format!("PUC ends by {why}"));
    }
    let transcript = answer.transcript();
    if transcript != run(puc(), &[], case, LIMIT)?.transcript() {
        return Err("PUC answers differently from run to run".into());
    }
    if fs::read(&case.expected).is_ok_and(|old| old == transcript) {
        return Ok(Blessed::Same);
    }
    if check {
        return Err("PUC does not say what the blessed file says".into());
    }
    fs::write(&case.expected, transcript).map_err(|e| format!("{}: {e}", case.expected.display()))?;
    Ok(Blessed::Written)
}

fn main() -> ExitCode {
    let (options, parts): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let check = options.iter().any(|option| option == "--check");
    let chosen = |case: &Case| parts.is_empty() || parts.iter().any(|part| case.name.contains(part.as_str()));
    let (mut same, mut written, mut refused) = (0, 0, 0);
    for case in cases().iter().filter(|case| chosen(case)) {
        match bless(case, check) {
            Ok(Blessed::Same) => same += 1,
            Ok(Blessed::Written) => {
                println!("blessed {}", case.name);
                written += 1;
            }
            Err(why) => {
                println!("REFUSED {}: {why}", case.name);
                refused += 1;
            }
        }
    }
    println!("{same} unchanged, {written} blessed, {refused} refused");
    if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
