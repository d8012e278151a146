//! The line editor and its history.
//!
//! The history lies in the file that `PERILUNE_HISTORY` names (empty: none), or in `perilune/history` in the user's folder for
//! state. It is a convenience: what goes wrong with it goes wrong in silence.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;

use perilune::{Lua, Session};
use rustyline::completion::Completer;
use rustyline::config::{BellStyle, ColorMode, CompletionType, Config, Configurer};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::complete::complete;
use super::highlight::highlight;
use super::input::Line;
use super::style;

const HISTORY_SIZE: usize = 5000;

/// What the editor asks for while a line is typed.
struct Assistant<'a> {
    lua: &'a Lua,
    session: &'a RefCell<Session<'a>>,
    /// The lines of the same statement that are complete, with their ends.
    before: String,
}

impl Helper for Assistant<'_> {}

impl Hinter for Assistant<'_> {
    type Hint = String;
}

impl Validator for Assistant<'_> {}

impl Highlighter for Assistant<'_> {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        let text = format!("{}{line}", self.before);
        Cow::Owned(highlight(&text, self.before.len()))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl Completer for Assistant<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let text = format!("{}{}", self.before, &line[..pos]);
        let (start, found) = complete(self.lua, &self.session.borrow(), &text);
        Ok((start.saturating_sub(self.before.len()), found))
    }
}

/// A line editor on the terminal.
pub struct Editor<'a> {
    editor: rustyline::Editor<Assistant<'a>, FileHistory>,
    history: Option<PathBuf>,
}

impl<'a> Editor<'a> {
    /// None if the terminal cannot be used for it.
    pub fn open(lua: &'a Lua, session: &'a RefCell<Session<'a>>) -> Option<Editor<'a>> {
        if style::is_dumb() {
            return None;
        }
        let colors = if style::wanted() { ColorMode::Enabled } else { ColorMode::Disabled };
        let config = Config::builder()
            .color_mode(colors)
            .bell_style(BellStyle::None)
            .completion_type(CompletionType::List)
            .auto_add_history(false)
            .build();
        let mut editor = rustyline::Editor::with_config(config).ok()?;
        editor.set_helper(Some(Assistant { lua, session, before: String::new() }));
        let _ = editor.set_max_history_size(HISTORY_SIZE);
        let _ = editor.set_history_ignore_dups(true);
        let history = history_file();
        if let Some(path) = &history {
            if let Some(folder) = path.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            let _ = editor.load_history(path);
        }
        Some(Editor { editor, history })
    }

    /// Columns of the terminal.
    pub fn width(&mut self) -> usize {
        self.editor.dimensions().map_or(80, |(columns, _)| usize::from(columns).max(20))
    }

    /// Reads a line; `before` are those of the same statement.
    pub fn read(&mut self, prompt: &str, before: &[u8]) -> Line {
        if let Some(assistant) = self.editor.helper_mut() {
            assistant.before = String::from_utf8_lossy(before).into_owned();
            if !before.is_empty() {
                assistant.before.push('\n');
            }
        }
        match self.editor.readline(prompt) {
            Ok(text) => Line::Text(text.into_bytes()),
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(_) => Line::End,
        }
    }

    /// Puts a statement into the history.
    pub fn remember(&mut self, statement: &str) {
        if statement.trim().is_empty() || !self.editor.add_history_entry(statement).unwrap_or(false) {
            return;
        }
        if let Some(path) = &self.history {
            let _ = self.editor.append_history(path);
        }
    }
}

fn history_file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PERILUNE_HISTORY") {
        return Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("perilune/history"))
}
