//! A look at Lua text that may be unfinished or wrong: which bytes are words, strings, comments. For colours and completion,
//! which must not mind what the lexer would refuse.
#![forbid(unsafe_code)]

use perilune_interpreter::lua::lexer::is_reserved;

/// What a piece is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A reserved word.
    Keyword,
    /// A name.
    Name,
    /// A numeral.
    Number,
    /// A string; `open` if it has no end.
    String {
        /// It has no end.
        open: bool,
    },
    /// A comment; `open` if it has no end, which a short one has at the end of its line.
    Comment {
        /// It has no end.
        open: bool,
    },
    /// Anything else, white space included, byte by byte.
    Other,
}

/// A piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// The pieces of a text, without gaps.
pub fn pieces(text: &str) -> Vec<Piece> {
    let bytes = text.as_bytes();
    let mut all = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let (kind, length) = piece(&bytes[start..]);
        // A piece of an odd byte takes its whole character.
        let mut end = start + length;
        while !text.is_char_boundary(end) {
            end += 1;
        }
        all.push(Piece { kind, start, end });
        start = end;
    }
    all
}

fn piece(text: &[u8]) -> (Kind, usize) {
    let word = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_';
    let run = |text: &[u8]| text.iter().take_while(|c| word(c)).count();
    match text {
        [b'-', b'-', rest @ ..] => match long_bracket(rest) {
            Some((length, open)) => (Kind::Comment { open }, 2 + length),
            None => {
                let length = text.iter().position(|c| *c == b'\n');
                (Kind::Comment { open: length.is_none() }, length.unwrap_or(text.len()))
            }
        },
        [b'[', ..] => match long_bracket(text) {
            Some((length, open)) => (Kind::String { open }, length),
            None => (Kind::Other, 1),
        },
        [quote @ (b'"' | b'\''), ..] => quoted(text, *quote),
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => (Kind::Number, numeral(text)),
        [c, ..] if word(c) => {
            let length = run(text);
            (if is_reserved(&text[..length]) { Kind::Keyword } else { Kind::Name }, length)
        }
        _ => (Kind::Other, 1),
    }
}

fn quoted(text: &[u8], quote: u8) -> (Kind, usize) {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'\n' => return (Kind::String { open: true }, at),
            c if c == quote => return (Kind::String { open: false }, at + 1),
            _ => {}
        }
        at += 1;
    }
    (Kind::String { open: true }, text.len())
}

/// The length of what a long bracket begins, and whether it has no end.
fn long_bracket(text: &[u8]) -> Option<(usize, bool)> {
    let level = text.strip_prefix(b"[")?.iter().take_while(|c| **c == b'=').count();
    if text.get(level + 1) != Some(&b'[') {
        return None;
    }
    let close = [b"]", &b"=".repeat(level)[..], b"]"].concat();
    match text.windows(close.len()).skip(level + 2).position(|window| window == close) {
        Some(at) => Some((level + 2 + at + close.len(), false)),
        None => Some((text.len(), true)),
    }
}

fn numeral(text: &[u8]) -> usize {
    let hex = matches!(text, [b'0', b'x' | b'X', ..]);
    let mut at = if hex { 2 } else { 0 };
    while let Some(c) = text.get(at) {
        let exponent = if hex { matches!(c, b'p' | b'P') } else { matches!(c, b'e' | b'E') };
        if exponent && matches!(text.get(at + 1), Some(b'+' | b'-')) {
            at += 1;
        } else if !(c.is_ascii_alphanumeric() || *c == b'.' && text.get(at + 1) != Some(&b'.')) {
            break;
        }
        at += 1;
    }
    at.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(Kind, &str)]) {
        let found = pieces(text);
        let found: Vec<_> = found.iter().map(|p| (p.kind, &text[p.start..p.end])).filter(|(_, t)| *t != " ").collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_numbers_and_strings() {
        let string = Kind::String { open: false };
        check("local x9", &[(Kind::Keyword, "local"), (Kind::Name, "x9")]);
        check(
            "0x1p-4 1e+5 3..",
            &[
                (Kind::Number, "0x1p-4"),
                (Kind::Number, "1e+5"),
                (Kind::Number, "3"),
                (Kind::Other, "."),
                (Kind::Other, "."),
            ],
        );
        check(r#"'a\'b' [==[x]]]==]"#, &[(string, r"'a\'b'"), (string, "[==[x]]]==]")]);
        check("é", &[(Kind::Other, "é")]);
    }

    #[test]
    fn what_has_no_end() {
        check("'ab", &[(Kind::String { open: true }, "'ab")]);
        check("'\\", &[(Kind::String { open: true }, "'\\")]);
        check("[[ab]", &[(Kind::String { open: true }, "[[ab]")]);
        check("--[[ab\nc", &[(Kind::Comment { open: true }, "--[[ab\nc")]);
        check("-- a\nb", &[(Kind::Comment { open: false }, "-- a"), (Kind::Other, "\n"), (Kind::Name, "b")]);
    }
}
