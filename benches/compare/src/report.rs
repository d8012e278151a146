//! The table: a line a program, geometric means, and what the JIT makes slower.

use crate::measure::{Contestant, Program};
use crate::{Row, Table};
use perilune_compare::statistics::{geometric_mean, median, minimum};
use std::fmt::Write;

/// Programs whose time goes into loops over numbers and arrays.
const NUMERIC: [&str; 5] = ["nbody", "spectral_norm", "matrix_product", "mandelbrot", "sieve"];

/// The speeds of a row's contestants relative to the first one.
pub fn speeds(row: &Row) -> Vec<Option<f64>> {
    let base = row[0].as_ref().map(|times| minimum(times)).ok();
    row.iter().map(|times| Some(base? / minimum(times.as_ref().ok()?))).collect()
}

/// The heading of the table.
pub fn head(all: &[Contestant]) -> String {
    let mut text = format!("{:<18}", "CPU s: min median");
    for c in all {
        // Writing to a string cannot fail.
        let _ = write!(text, " | {:<23}", c.name);
    }
    text + "\n" + &"-".repeat(18 + 26 * all.len())
}

/// A program's line: minimum, median and speed of each contestant.
pub fn row(program: &Program, row: &Row) -> String {
    let mut text = format!("{:<18}", program.name);
    for (times, speed) in row.iter().zip(speeds(row)) {
        let cell = match (times, speed) {
            (Ok(times), Some(speed)) => format!("{:7.3} {:7.3} {:6.2}x", minimum(times), median(times), speed),
            (Ok(times), None) => format!("{:7.3} {:7.3}", minimum(times), median(times)),
            (Err(needs), _) => format!("needs {needs:.17}"),
        };
        let _ = write!(text, " | {cell:<23}");
    }
    text
}

/// The lines below the table.
pub fn summary(all: &[Contestant], table: &Table) -> String {
    let mut text = "-".repeat(18 + 26 * all.len()) + "\n";
    let mut mean_line = |title: &str, wanted: &dyn Fn(&Program) -> bool| {
        let _ = write!(text, "{title:<18}");
        for i in 0..all.len() {
            let mine = table.iter().filter(|(p, _)| wanted(p)).filter_map(|(_, row)| speeds(row)[i]);
            let cell = geometric_mean(mine).map_or("-".into(), |mean| format!("{:>22}x", format!("{mean:.2}")));
            let _ = write!(text, " | {cell:<23}");
        }
        text.push('\n');
    };
    mean_line("geometric mean", &|_| true);
    if table.iter().any(|(p, _)| NUMERIC.contains(&p.name.as_str())) {
        mean_line("numeric loops", &|p| NUMERIC.contains(&p.name.as_str()));
    }
    let at = |name: &str| all.iter().position(|c| c.name == name);
    if let (Some(on), Some(off)) = (at("perilune"), at("off")) {
        text += &against_the_interpreter(table, on, off);
    }
    text
}

/// Where the JIT costs time: the ratio of times with and without it, with its bootstrap interval.
fn against_the_interpreter(table: &Table, on: usize, off: usize) -> String {
    let mut text = String::from("\nTime with the JIT over time without it (95 % bootstrap interval), largest first:\n");
    let mut lines = Vec::new();
    for (program, row) in table {
        let (Ok(on), Ok(off)) = (&row[on], &row[off]) else { continue };
        let (low, high) = bootstrap(on, off);
        let difference = 1000.0 * (minimum(on) - minimum(off));
        lines.push((minimum(on) / minimum(off), low, high, difference, &program.name));
    }
    lines.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (ratio, low, high, difference, name) in lines.iter().take(12) {
        let verdict = if *low > 1.05 { "  SLOWER" } else { "" };
        let _ = writeln!(text, "{name:<18} {ratio:6.3} [{low:.3}, {high:.3}] {difference:+9.1} ms{verdict}");
    }
    let slower = lines.iter().filter(|line| line.1 > 1.05).count();
    let _ = write!(text, "{slower} of {} programs are slower with the JIT", lines.len());
    text
}

/// The 95 % interval of the ratio of two sums of paired times, by resampling the pairs. Deterministic.
fn bootstrap(a: &[f64], b: &[f64]) -> (f64, f64) {
    const SAMPLES: usize = 2000;
    let n = a.len().min(b.len());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % n
    };
    let mut ratios: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let (mut x, mut y) = (0.0, 0.0);
            for _ in 0..n {
                let i = random();
                x += a[i];
                y += b[i];
            }
            x / y
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    (ratios[SAMPLES / 40], ratios[SAMPLES - 1 - SAMPLES / 40])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_relate_to_the_first() {
        let row: Row = vec![Ok(vec![2.0, 3.0]), Ok(vec![1.0, 9.0]), Err("x".into())];
        assert_eq!(speeds(&row), [Some(1.0), Some(2.0), None]);
    }

    #[test]
    fn the_bootstrap_tells_noise_from_a_loss() {
        let off: Vec<f64> = (0..15).map(|i| 1.0 + f64::from(i % 4) * 0.02).collect();
        let same: Vec<f64> = (0..15).map(|i| 1.0 + f64::from(i % 5) * 0.02).collect();
        let slow: Vec<f64> = off.iter().map(|t| t * 1.2).collect();
        assert!(bootstrap(&same, &off).0 < 1.05);
        assert!(bootstrap(&slow, &off).0 > 1.05);
    }
}
