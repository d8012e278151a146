//! The command lines of both comparisons.

use std::process::ExitCode;

/// The table of options in the head comment of a program's source, as a help text.
#[must_use]
pub fn help(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let row = |line: &str| {
        let (option, meaning) = line.split_once("` | ")?;
        Some(format!("  {option:18}{}\n", meaning.trim_end_matches(" |").replace('`', "")))
    };
    lines.filter_map(row).collect()
}

/// Names parted by commas.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(String::from).collect()
}

/// Nothing is measured that was built without optimization.
pub fn must_be_optimized() -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("build it with --release: it measures what is built beside it".into());
    }
    Ok(())
}

/// How the program ends; what went wrong is printed under its name.
#[must_use]
pub fn end(name: &str, result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{name}: {message}");
            ExitCode::FAILURE
        }
    }
}
