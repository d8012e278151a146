//! Completion: what the word at the cursor may become. Nothing is run for it: tables are read raw, and of metatables only an
//! `__index` that is a table counts.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use perilune::{Lua, Session, Value};
use perilune_interpreter::lua::lexer::reserved_words;

use super::commands;
use super::look::{self, holders, key_name, name_of};
use super::scan::{Kind, Piece, pieces};

/// Where the word at the end of `text` begins, and what may stand there.
pub fn complete(lua: &Lua, session: &Session, text: &str) -> (usize, Vec<String>) {
    if let Some(command) = commands::written(text) {
        return complete_command(lua, session, text, command);
    }
    let all = pieces(text);
    let Some(last) = all.last() else { return (0, Vec::new()) };
    match last.kind {
        Kind::Comment { open: true } | Kind::Number => (text.len(), Vec::new()),
        Kind::String { open: true } => modules(lua, text, &all),
        Kind::Keyword | Kind::Name => word(lua, session, text, &all[..all.len() - 1], last.start, &all),
        _ if matches!(&text[last.start..], "." | ":") => word(lua, session, text, &all, text.len(), &all),
        _ => (text.len(), Vec::new()),
    }
}

fn complete_command(lua: &Lua, session: &Session, text: &str, command: &str) -> (usize, Vec<String>) {
    match command.find(' ') {
        None => {
            let names = commands::NAMES.iter().filter(|name| name.starts_with(command));
            (text.len() - command.len(), names.map(|name| name.to_string()).collect())
        }
        Some(at) if &command[..at] == "load" => {
            let path = command[at..].trim_start();
            (text.len() - path.len(), files(path))
        }
        Some(at) => {
            let (start, found) = complete(lua, session, &command[at..]);
            (text.len() - command.len() + at + start, found)
        }
    }
}

fn files(path: &str) -> Vec<String> {
    let folder = path.rfind('/').map_or("", |at| &path[..=at]);
    let Ok(entries) = fs::read_dir(if folder.is_empty() { "." } else { folder }) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .map(|entry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            format!("{folder}{}{slash}", entry.file_name().to_string_lossy())
        })
        .filter(|name| name.starts_with(path) && (path.ends_with('.') || !name[folder.len()..].starts_with('.')))
        .collect();
    found.sort();
    found
}

/// The word that begins at `start`, behind the pieces `before`.
fn word(
    lua: &Lua,
    session: &Session,
    text: &str,
    before: &[Piece],
    start: usize,
    all: &[Piece],
) -> (usize, Vec<String>) {
    let prefix = &text[start..];
    let separator = before.last().filter(|p| p.kind == Kind::Other).map(|p| &text[p.start..p.end]);
    let mut names = BTreeSet::new();
    match separator {
        Some(sign @ ("." | ":")) => {
            let Some(object) = object(lua, session, text, &before[..before.len() - 1]) else {
                return (start, Vec::new());
            };
            fields(lua, &object, sign == ":", &mut names);
        }
        _ => {
            names.extend(reserved_words().map(str::to_string));
            names.extend(session.names().filter_map(name_of));
            let globals = lua.globals();
            names.extend(globals.pairs().flatten().filter_map(|(key, _)| key_name(&key)));
            // What stands elsewhere in the statement, such as its parameters.
            let others = all.iter().filter(|p| p.kind == Kind::Name && p.start != start);
            names.extend(others.map(|p| text[p.start..p.end].to_string()));
        }
    }
    (start, names.into_iter().filter(|name| name.starts_with(prefix) && *name != prefix).collect())
}

/// The value of the names, joined by `.`, that the pieces end with.
fn object(lua: &Lua, session: &Session, text: &str, before: &[Piece]) -> Option<Value> {
    let (last, rest) = before.split_last()?;
    let name = &text[last.start..last.end];
    match (last.kind, rest.split_last()) {
        (Kind::String { open: false }, _) => lua.string("").ok().map(Value::String),
        (Kind::Name, Some((dot, front))) if dot.kind == Kind::Other && &text[dot.start..dot.end] == "." => {
            let outer = object(lua, session, text, front)?;
            look::field(lua, &outer, name)
        }
        (Kind::Name, Some((colon, _))) if colon.kind == Kind::Other && &text[colon.start..colon.end] == ":" => None,
        (Kind::Name, _) => look::variable(lua, session, name),
        _ => None,
    }
}

fn fields(lua: &Lua, object: &Value, methods: bool, names: &mut BTreeSet<String>) {
    for table in holders(lua, object) {
        for (key, value) in table.pairs().flatten() {
            if !methods || matches!(value, Value::Function(_)) {
                names.extend(key_name(&key));
            }
        }
    }
}

/// Names of modules, if the string that the text ends with is an argument of `require`.
fn modules(lua: &Lua, text: &str, all: &[Piece]) -> (usize, Vec<String>) {
    let start = all.last().map_or(0, |p| p.start + 1);
    let mut before =
        all[..all.len() - 1].iter().rev().map(|p| &text[p.start..p.end]).filter(|t| *t != " " && *t != "(");
    if before.next() != Some("require") {
        return (text.len(), Vec::new());
    }
    let prefix = &text[start..];
    let mut names = BTreeSet::new();
    if let Ok(Value::Table(package)) = lua.globals().raw_get("package") {
        for list in ["loaded", "preload"] {
            if let Ok(Value::Table(list)) = package.raw_get(list) {
                names.extend(list.pairs().flatten().filter_map(|(key, _)| key_name(&key)));
            }
        }
        if let Ok(Value::String(path)) = package.raw_get("path") {
            path.to_string_lossy().split(';').for_each(|template| found_by(template, prefix, &mut names));
        }
    }
    (start, names.into_iter().filter(|name| name.starts_with(prefix)).collect())
}

/// Modules whose names begin with the folders of `prefix`, where a template of `package.path` finds them.
fn found_by(template: &str, prefix: &str, names: &mut BTreeSet<String>) {
    let Some((before, after)) = template.split_once('?') else { return };
    let above = prefix.rfind('.').map_or("", |at| &prefix[..=at]);
    let folder = format!("{before}{}", above.replace('.', "/"));
    let Ok(entries) = fs::read_dir(if folder.is_empty() { Path::new(".") } else { Path::new(&folder) }) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let name = match after.strip_prefix('/') {
            Some(inner) => entry.path().join(inner).is_file().then_some(&file[..]),
            None => file.strip_suffix(after),
        };
        names.extend(name.filter(|name| name_of(name.as_bytes()).is_some()).map(|name| format!("{above}{name}")));
    }
}
