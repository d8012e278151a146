//! Colours for Lua text as it is typed.
#![forbid(unsafe_code)]

use super::commands;
use super::scan::{Kind, pieces};
use super::style::Paint;

/// The text from `from` on, with colours; what is before it says whether that is inside of a string or comment.
pub fn highlight(text: &str, from: usize) -> String {
    let mut out = String::with_capacity(text.len() * 2 - from);
    if from == 0 && commands::written(text).is_some() {
        let end = text.find(' ').unwrap_or(text.len());
        out.push_str(&Paint::Faint.apply(true, &text[..end]));
        out.push_str(&highlight(&text[end..], 0));
        return out;
    }
    for piece in pieces(text).into_iter().filter(|piece| piece.end > from) {
        let part = &text[piece.start.max(from)..piece.end];
        let paint = match piece.kind {
            Kind::Keyword => Paint::Keyword,
            Kind::Number => Paint::Number,
            Kind::String { .. } => Paint::String,
            Kind::Comment { .. } => Paint::Faint,
            Kind::Name | Kind::Other => {
                out.push_str(part);
                continue;
            }
        };
        // A colour ends with its line, since the editor writes lines one by one.
        let lines: Vec<_> = part.split('\n').map(|line| paint.apply(true, line)).collect();
        out.push_str(&lines.join("\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::highlight;

    #[test]
    fn colours_know_what_was_before() {
        assert_eq!(highlight("nil x", 0), "\x1b[35mnil\x1b[0m x");
        assert_eq!(highlight("[[a\nb]] 1", 4), "\x1b[32mb]]\x1b[0m \x1b[36m1\x1b[0m");
        assert_eq!(highlight(":time 1", 0), "\x1b[90m:time\x1b[0m \x1b[36m1\x1b[0m");
    }
}
