//! Chunks as they come in: their names in messages, and what precedes the text in a file.
#![forbid(unsafe_code)]

use std::fmt;

use super::load::SIGNATURE;

/// Room for a chunk's name in a message, one byte for C's terminator included.
const ID_SIZE: usize = 60;

/// A chunk that is no Lua program, and why: the whole message, with chunk and line.
#[derive(Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The message, as `load` answers it.
    pub message: Vec<u8>,
    /// The line, where the message does not say it (as C Lua's does not when it runs out of stack).
    pub unsaid_line: Option<u32>,
    /// Where in the text the token is that the message is about.
    pub place: Option<usize>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message))
    }
}

impl fmt::Debug for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SyntaxError {}

/// The result of reading some source text.
pub type Parsed<T> = Result<T, Box<SyntaxError>>;

/// The content of a script file without a byte order mark and a first line that begins with `#`. The line's end stays in
/// front of text, so that lines keep their numbers.
pub fn skip_prefix(file: &[u8]) -> &[u8] {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    if text.first() != Some(&b'#') {
        return text;
    }
    let end = text.iter().position(|&c| c == b'\n').unwrap_or(text.len());
    match &text[end..] {
        // In front of a binary chunk there is no empty line.
        [b'\n', rest @ ..] if rest.first() == Some(&SIGNATURE) => rest,
        rest => rest,
    }
}

/// How messages name a chunk: `=name` and `@file` without their mark, text as `[string "..."]`, all of limited length.
pub fn chunk_id(name: &[u8]) -> Vec<u8> {
    match name {
        [b'=', rest @ ..] => rest[..rest.len().min(ID_SIZE - 1)].to_vec(),
        [b'@', rest @ ..] if rest.len() < ID_SIZE => rest.to_vec(),
        [b'@', rest @ ..] => [b"...", &rest[rest.len() - (ID_SIZE - 4)..]].concat(),
        _ => {
            let room = ID_SIZE - "[string \"...\"]".len() - 1;
            let line = name.split(|&c| c == b'\n').next().unwrap_or_default();
            if name.len() < room && line.len() == name.len() {
                [b"[string \"", name, b"\"]"].concat()
            } else {
                [b"[string \"", &line[..line.len().min(room)], b"...\"]"].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn id(name: &str, expected: &str) {
        assert_eq!(String::from_utf8(chunk_id(name.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn chunks_are_named() {
        id("=stdin", "stdin");
        id("@a.lua", "a.lua");
        id("x = 1", "[string \"x = 1\"]");
        id("x = 1\ny", "[string \"x = 1...\"]");
        id("", "[string \"\"]");
        id(&format!("={}", "n".repeat(100)), &"n".repeat(59));
        id(&format!("@{}", "f".repeat(59)), &"f".repeat(59));
        id(&format!("@{}", "f".repeat(60)), &format!("...{}", "f".repeat(56)));
        id(&"s".repeat(44), &format!("[string \"{}\"]", "s".repeat(44)));
        id(&"s".repeat(45), &format!("[string \"{}...\"]", "s".repeat(45)));
        id(&"s".repeat(46), &format!("[string \"{}...\"]", "s".repeat(45)));
    }

    #[test]
    fn mark_and_first_comment_are_skipped() {
        assert_eq!(skip_prefix(b"\xef\xbb\xbfreturn"), b"return");
        assert_eq!(skip_prefix(b"#!/bin/lua\nreturn"), b"\nreturn");
        assert_eq!(skip_prefix(b"\xef\xbb\xbf# x\nreturn"), b"\nreturn");
        assert_eq!(skip_prefix(b"#only"), b"");
        assert_eq!(skip_prefix(b"x #"), b"x #");
    }
}
