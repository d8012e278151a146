//! The line editor and its history.
//!
//! The history lies in the file that `PERILUNE_HISTORY` names (empty: none), or in `perilune/history` in the user's folder for
//! state. It is a convenience: what goes wrong with it goes wrong in silence.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;

use super::input::Line;

const HISTORY_SIZE: usize = 2000;

/// A line editor on the terminal.
pub struct Editor {
    editor: rustyline::Editor<(), FileHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// None if the terminal cannot be used for it.
    pub fn open() -> Option<Editor> {
        let mut editor = rustyline::Editor::<(), FileHistory>::new().ok()?;
        editor.set_auto_add_history(false);
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

    /// Reads a line.
    pub fn read(&mut self, prompt: &str) -> Line {
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
