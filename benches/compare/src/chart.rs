//! The speeds as an SVG bar chart: a group of bars for each program, on a logarithmic scale.

use crate::Table;
use crate::measure::Contestant;
use crate::report::speeds;
use std::fmt::Write;

const COLORS: [&str; 5] = ["#8a8a8a", "#4878cf", "#b0a160", "#d1495b", "#6acc65"];
const BAR: f64 = 9.0;
const LEFT: f64 = 130.0;
const WIDTH: f64 = 640.0;

/// The chart of `table`; speeds relate to the first contestant, whose bars would all be 1 and are left out.
pub fn svg(all: &[Contestant], table: &Table) -> String {
    let group = BAR * (all.len() - 1) as f64 + 6.0;
    let height = 50.0 + group * table.len() as f64;
    let most = table.iter().flat_map(|(_, row)| speeds(row)).flatten().fold(2.0, f64::max);
    let place = |speed: f64| LEFT + WIDTH * ((speed.max(0.125) / 0.125).ln() / (most / 0.125).ln());
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        LEFT + WIDTH + 60.0
    );
    // Writing to a string cannot fail.
    let mut line = |s: String| _ = writeln!(text, "{s}");
    for (i, contestant) in all.iter().enumerate().skip(1) {
        let (x, color) = (LEFT + 120.0 * (i - 1) as f64, COLORS[i % COLORS.len()]);
        line(format!("<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{color}\"/>"));
        line(format!("<text x=\"{}\" y=\"17\">{}</text>", x + 14.0, contestant.name));
    }
    let mut mark = 0.125;
    while mark <= most {
        let (x, wide) = (place(mark), if mark == 1.0 { 1.5 } else { 0.5 });
        line(format!(
            "<line x1=\"{x}\" x2=\"{x}\" y1=\"36\" y2=\"{height}\" stroke=\"#999\" stroke-width=\"{wide}\"/>"
        ));
        line(format!("<text x=\"{x}\" y=\"32\" text-anchor=\"middle\">{mark}x</text>"));
        mark *= 2.0;
    }
    for (k, (program, row)) in table.iter().enumerate() {
        let top = 42.0 + group * k as f64;
        let middle = top + group / 2.0;
        line(format!("<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, program.name));
        for (i, speed) in speeds(row).into_iter().enumerate().skip(1) {
            let Some(speed) = speed else { continue };
            let (y, color) = (top + BAR * (i - 1) as f64, COLORS[i % COLORS.len()]);
            let (from, to) = (place(1.0).min(place(speed)), place(1.0).max(place(speed)));
            let (wide, high) = (to - from, BAR - 1.0);
            line(format!("<rect x=\"{from}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" fill=\"{color}\"/>"));
            line(format!("<text x=\"{}\" y=\"{}\" font-size=\"8\">{speed:.2}</text>", to + 3.0, y + 7.0));
        }
    }
    text + "</svg>\n"
}
