//! Errors on a terminal: the message, the line of the statement that it is about, and a caret where that is known.
#![forbid(unsafe_code)]

use perilune::Error;
use perilune_interpreter::lua::lexer::is_reserved;

use super::CHUNK;
use super::style::Paint;

/// The error of a statement as it is shown.
pub fn explain(error: &Error, statement: &str, colors: bool) -> Vec<u8> {
    let report = String::from_utf8_lossy(&error.report()).into_owned();
    let (message, traceback) = match report.rsplit_once("\nstack traceback:") {
        Some((message, _)) => (message, &report[message.len()..]),
        None => (&report[..], ""),
    };
    let mut text = Paint::Error.apply(colors, message).into_owned();
    if let Some((line, from, to)) = place(error, message, traceback, statement) {
        let blank: String = line[..from].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let mark = "^".repeat(line[from..to].chars().count());
        text.push_str(&format!("\n    {line}"));
        if from < to {
            text.push_str(&format!("\n    {blank}{}", Paint::Error.apply(colors, &mark)));
        }
    }
    text.push_str(&Paint::Faint.apply(colors, traceback));
    text.push('\n');
    text.into_bytes()
}

/// The line that the error is about, and what in it.
fn place<'t>(error: &Error, message: &str, traceback: &str, statement: &'t str) -> Option<(&'t str, usize, usize)> {
    if let Some(at) = error.place() {
        let at = (0..=at.min(statement.len())).rev().find(|at| statement.is_char_boundary(*at))?;
        let start = statement[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = statement[start..].lines().next().unwrap_or_default();
        let from = (at - start).min(line.len());
        let length = word_length(&line[from..]);
        return match length {
            // At the end, behind the last character.
            0 => None,
            _ => Some((line, from, from + length)),
        };
    }
    // A line of this statement, not of one before it: no function was called from it but native ones.
    let number = message.strip_prefix(CHUNK)?.strip_prefix(':')?.split(':').next()?;
    let mut frames = traceback.lines().skip(2).filter(|frame| !frame.starts_with("\t[C]"));
    if frames.next()? != format!("\t{CHUNK}:{number}: in main chunk") {
        return None;
    }
    let line = statement.lines().nth(number.parse::<usize>().ok()?.checked_sub(1)?)?;
    match culprit(message).and_then(|name| only_one(line, name)) {
        Some((from, to)) => Some((line, from, to)),
        // One line was just typed; it need not be shown again.
        None if statement.contains('\n') => Some((line, 0, 0)),
        None => None,
    }
}

/// The bytes of the word or the character that begins the text.
fn word_length(text: &str) -> usize {
    let word = text.bytes().take_while(|c| c.is_ascii_alphanumeric() || *c == b'_').count();
    match word {
        0 => text.chars().next().map_or(0, char::len_utf8),
        _ => word,
    }
}

/// The variable or function that a message names: `... (global 'x')`, `... to 'f' (...`.
fn culprit(message: &str) -> Option<&str> {
    let before =
        ["(global '", "(local '", "(upvalue '", "(field '", "(method '", "' to '", "bad argument #1 to '", " to '"];
    let start = before.iter().find_map(|b| message.find(b).map(|at| at + b.len()))?;
    let name = message[start..].split('\'').next()?;
    let name = name.rsplit('.').next()?;
    (!name.is_empty() && !is_reserved(name.as_bytes())).then_some(name)
}

/// Where the word stands, if it does so once.
fn only_one(line: &str, word: &str) -> Option<(usize, usize)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = line.match_indices(word).filter(|(at, _)| {
        !line[..*at].chars().next_back().is_some_and(part) && !line[at + word.len()..].chars().next().is_some_and(part)
    });
    let (at, _) = found.next()?;
    found.next().is_none().then_some((at, at + word.len()))
}
