//! Where the REPL's lines come from: a line editor on a terminal, or plain lines.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{IsTerminal, Write};

use perilune::{Lua, Session};

#[cfg(feature = "repl")]
use super::editor::Editor;
use crate::cli::signal;

/// What was read.
pub enum Line {
    /// A line, without its end.
    Text(Vec<u8>),
    /// Ctrl-C.
    Interrupted,
    /// Nothing more will come.
    End,
}

/// See the module.
pub enum Input<'a> {
    /// A terminal, with a line editor.
    #[cfg(feature = "repl")]
    Editor(Box<Editor<'a>>),
    /// Lines as they come. On a terminal there are prompts.
    Plain {
        /// Both sides are a terminal.
        terminal: bool,
        /// What an editor would look at.
        _session: &'a RefCell<Session<'a>>,
    },
}

impl<'a> Input<'a> {
    /// The input of this process.
    pub fn open(lua: &'a Lua, session: &'a RefCell<Session<'a>>) -> Input<'a> {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        #[cfg(feature = "repl")]
        if terminal && let Some(editor) = Editor::open(lua, session) {
            return Input::Editor(Box::new(editor));
        }
        let _ = lua;
        Input::Plain { terminal, _session: session }
    }

    /// Is a user there?
    pub fn is_terminal(&self) -> bool {
        match self {
            #[cfg(feature = "repl")]
            Input::Editor(_) => true,
            Input::Plain { terminal, .. } => *terminal,
        }
    }

    /// Columns of the terminal.
    pub fn width(&mut self) -> usize {
        match self {
            #[cfg(feature = "repl")]
            Input::Editor(editor) => editor.width(),
            Input::Plain { .. } => 80,
        }
    }

    /// Reads a line; `before` are those of the same statement.
    pub fn read(&mut self, lua: &Lua, prompt: &str, before: &[u8]) -> Line {
        match self {
            #[cfg(feature = "repl")]
            Input::Editor(editor) => editor.read(prompt, before),
            Input::Plain { terminal, .. } => {
                let _ = before;
                if *terminal && lua.has_input() {
                    crate::cli::print(prompt);
                } else if *terminal && !signal::ask(prompt) {
                    crate::cli::print("\n");
                    return Line::Interrupted;
                }
                let Some(mut line) = lua.read_line() else { return Line::End };
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                Line::Text(line)
            }
        }
    }

    /// Puts a statement into the history.
    pub fn remember(&mut self, statement: &[u8]) {
        match self {
            #[cfg(feature = "repl")]
            Input::Editor(editor) => editor.remember(&String::from_utf8_lossy(statement)),
            Input::Plain { .. } => {
                let _ = statement;
            }
        }
    }

    /// Leaves the terminal at the start of a line.
    pub fn close(&mut self) {
        if matches!(self, Input::Plain { terminal: true, .. }) {
            crate::cli::print("\n");
        }
        // Nobody is left to tell that it failed.
        let _ = std::io::stdout().flush();
    }
}
