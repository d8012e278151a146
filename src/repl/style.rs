//! Colours, for terminals that have them and users who want them.
#![forbid(unsafe_code)]

use std::borrow::Cow;

/// What a piece of text is, as far as its colour goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    /// A reserved word, nil, a boolean.
    Keyword,
    /// A number.
    Number,
    /// A string.
    String,
    /// A comment, or an aside.
    Faint,
    /// An error's message.
    Error,
}

/// Does the terminal show colours? Not if `NO_COLOR` is set or it says that it can do nothing.
pub fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb()
}

/// Is the terminal one without any control?
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

impl Paint {
    /// The text in this colour, or as it is.
    pub fn apply<'t>(self, colors: bool, text: &'t str) -> Cow<'t, str> {
        if !colors || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let code = match self {
            Paint::Keyword => "35",
            Paint::Number => "36",
            Paint::String => "32",
            Paint::Faint => "90",
            Paint::Error => "31",
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }
}
