//! The table: a line a kernel, geometric means, and how perilune's guest machine stands to the others.

use crate::Row;
use crate::engine::Engine;
use perilune_compare::statistics::{geometric_mean, median, minimum};
use std::fmt::Write;

const FIRST: usize = 11;
const CELL: usize = 17;

/// The heading.
pub fn head(engines: &[Engine]) -> String {
    let mut text = format!("{:<FIRST$}", "kernel");
    for (i, engine) in engines.iter().enumerate() {
        let title = if i == 0 { format!("{} ns", engine.name) } else { engine.name.clone() };
        // Writing to a string cannot fail.
        let _ = write!(text, "{title:>CELL$}");
    }
    text + "\n" + &"-".repeat(FIRST + CELL * engines.len())
}

/// The ratio of an engine's time to that of another one, by a statistic.
fn ratio(row: &Row, of: usize, to: usize, statistic: fn(&[f64]) -> f64) -> f64 {
    statistic(&row.times[of]) / statistic(&row.times[to])
}

/// Three digits that count.
fn short(number: f64) -> String {
    let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.digits$}")
}

/// A kernel's line: nanoseconds of the first engine, ratios of the others to it.
pub fn row(name: &str, row: &Row) -> String {
    let mut text = format!("{name:<FIRST$}");
    for (i, times) in row.times.iter().enumerate() {
        let cell = match i {
            0 => short(1e9 * minimum(times)),
            _ => format!("{} ({})", short(ratio(row, i, 0, minimum)), short(ratio(row, i, 0, median))),
        };
        let _ = write!(text, "{cell:>CELL$}");
    }
    text
}

/// The lines below the table.
pub fn summary(engines: &[Engine], table: &[(String, Row)]) -> String {
    let mut text = "-".repeat(FIRST + CELL * engines.len()) + "\n";
    let _ = write!(text, "{:<FIRST$}", "geom. mean");
    for i in 0..engines.len() {
        let mean = geometric_mean(table.iter().map(|(_, row)| ratio(row, i, 0, minimum)));
        let _ = write!(text, "{:>CELL$}", mean.map_or("-".into(), short));
    }
    text.push('\n');
    let at = |name: &str| engines.iter().position(|engine| engine.name == name);
    for other in ["tcg", "unicorn"] {
        let (Some(mine), Some(other)) = (at("perilune"), at(other)) else { continue };
        let title = format!("speed of perilune over {}", engines[other].name);
        text += &line(&title, table, |row| Some(ratio(row, other, mine, minimum)));
    }
    for name in ["perilune", "interpreter"] {
        let Some(mine) = at(name) else { continue };
        let speed = |row: &Row| Some(row.instructions? / minimum(&row.times[mine]) / 1e6);
        text += &line(&format!("million guest instructions a second, {name}"), table, speed);
    }
    text
}

/// A figure of each kernel and their geometric mean.
fn line(title: &str, table: &[(String, Row)], figure: impl Fn(&Row) -> Option<f64>) -> String {
    let figures: Vec<_> = table.iter().filter_map(|(name, row)| Some((name, figure(row)?))).collect();
    let Some(mean) = geometric_mean(figures.iter().map(|(_, figure)| *figure)) else { return String::new() };
    let mut text = format!("\n{title}: geometric mean {}", short(mean));
    for (name, figure) in figures {
        let _ = write!(text, ", {name} {}", short(figure));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_minima_and_medians() {
        let row = Row { times: vec![vec![2.0, 4.0, 3.0], vec![8.0, 6.0, 30.0]], instructions: None };
        assert_eq!(ratio(&row, 1, 0, minimum), 3.0);
        assert_eq!(ratio(&row, 1, 0, median), 8.0 / 3.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.234, 12.34, 123.4].map(short), ["1.23", "12.3", "123"]);
    }
}
