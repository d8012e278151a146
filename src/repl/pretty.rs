//! Values as the REPL shows them on a terminal: tables with their contents, in one line where they fit, with their keys in a
//! stable order. Only `__tostring` and `__name` of metatables count.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::fmt::Write;

use perilune::{Error, Lua, Result, Table, Value};

use super::look::key_name;
use super::style::Paint;

/// Tables inside of tables that are shown.
const MAX_DEPTH: usize = 5;
/// Entries of a table that are shown, and of all tables together.
const MAX_ENTRIES: usize = 100;
const MAX_ALL: usize = 1000;
/// Entries of a table that are looked at and put in order.
const MAX_SORTED: usize = 20_000;
/// Entries that all take no more columns than this share lines.
const MAX_SHORT: usize = 12;
/// Bytes of a string inside of a table.
const MAX_STRING: usize = 200;

/// How to show values.
pub struct Printer<'a> {
    lua: &'a Lua,
    colors: bool,
    width: usize,
    /// The tables around the one that is being shown.
    path: Vec<Table>,
    shown: usize,
}

/// A value as text, and how many columns that takes.
struct Shown {
    text: String,
    columns: usize,
}

impl Shown {
    fn plain(text: String) -> Shown {
        let columns = text.chars().count();
        Shown { text, columns }
    }
}

impl<'a> Printer<'a> {
    /// For a terminal of this width.
    pub fn new(lua: &'a Lua, colors: bool, width: usize) -> Printer<'a> {
        Printer { lua, colors, width, path: Vec::new(), shown: 0 }
    }

    /// Results, as the lines to print.
    ///
    /// # Errors
    /// Those of a result's `__tostring`.
    pub fn results(&mut self, values: &[Value]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut lines = false;
        for (i, value) in values.iter().enumerate() {
            self.shown = 0;
            let text = self.result(value)?;
            let broken = matches!(value, Value::Table(_)) && text.contains(&b'\n');
            if i > 0 {
                out.push(if broken || lines { b'\n' } else { b'\t' });
            }
            lines = broken;
            out.extend(text);
        }
        out.push(b'\n');
        Ok(out)
    }

    /// A string is shown as it is, so that it looks as what `print` prints.
    fn result(&mut self, value: &Value) -> Result<Vec<u8>> {
        match value {
            Value::Table(table) if !self.speaks(value) => Ok(self.table(table, 0).text.into_bytes()),
            Value::String(text) => Ok(text.to_bytes()),
            Value::Nil | Value::Boolean(_) | Value::Integer(_) | Value::Float(_) => {
                Ok(self.value(value, 0).text.into_bytes())
            }
            _ => Ok(self.lua.to_string(value)?.to_bytes()),
        }
    }

    fn paint(&self, paint: Paint, text: String) -> Shown {
        let columns = text.chars().count();
        Shown { text: paint.apply(self.colors, &text).into_owned(), columns }
    }

    fn value(&mut self, value: &Value, indent: usize) -> Shown {
        match value {
            Value::Nil => self.paint(Paint::Keyword, "nil".into()),
            Value::Boolean(b) => self.paint(Paint::Keyword, b.to_string()),
            Value::Integer(_) | Value::Float(_) => self.paint(Paint::Number, self.plain(value)),
            Value::String(text) => self.paint(Paint::String, quote(&text.to_bytes())),
            Value::Table(table) if !self.speaks(value) => self.table(table, indent),
            Value::Table(_) | Value::Userdata(_) => Shown::plain(printable(&self.plain(value))),
            // An address says little among others.
            _ => self.paint(Paint::Faint, format!("<{}>", value.type_name())),
        }
    }

    /// What `tostring` makes of it. An error in there is not the fault of who looks at a table.
    fn plain(&self, value: &Value) -> String {
        self.lua.to_string(value).map_or_else(|e: Error| format!("<{e}>"), |text| text.to_string_lossy())
    }

    fn speaks(&self, value: &Value) -> bool {
        let Value::Table(table) = value else { return false };
        let field = |meta: Table| meta.raw_get::<Value>("__tostring").ok();
        table.metatable().and_then(field).is_some_and(|speaker| !speaker.is_nil())
    }

    fn table(&mut self, table: &Table, indent: usize) -> Shown {
        let itself = Value::Table(table.clone());
        if self.path.iter().any(|outer| Value::Table(outer.clone()) == itself) {
            return self.paint(Paint::Faint, "<cycle>".into());
        }
        let kind = table.metatable().and_then(|meta| meta.raw_get::<Value>("__name").ok());
        let kind = kind.as_ref().and_then(key_name).map_or_else(String::new, |name| name + " ");
        if table.is_empty() {
            return Shown::plain(kind + "{}");
        }
        if self.path.len() >= MAX_DEPTH || self.shown >= MAX_ALL {
            let folded = self.paint(Paint::Faint, "...".into());
            return Shown { text: format!("{kind}{{{}}}", folded.text), columns: kind.len() + 5 };
        }
        self.path.push(table.clone());
        let parts = self.entries(table, indent + 2);
        self.path.pop();
        // One line, if it is short and nothing inside is broken into lines.
        let columns: usize = kind.chars().count() + 2 + parts.iter().map(|part| part.columns + 2).sum::<usize>();
        let broken = parts.iter().any(|part| part.text.contains('\n'));
        let mut text = kind;
        if !broken && indent + columns <= self.width {
            let parts: Vec<_> = parts.into_iter().map(|part| part.text).collect();
            text += &format!("{{{}}}", parts.join(", "));
            return Shown { text, columns };
        }
        text += "{\n";
        let together = !broken && parts.iter().all(|part| part.columns <= MAX_SHORT);
        let mut at = 0;
        for part in parts {
            if together && at > 0 && at + part.columns + 2 <= self.width {
                text.push(' ');
            } else {
                text += if at > 0 { "\n" } else { "" };
                text.extend(std::iter::repeat_n(' ', indent + 2));
                at = indent + 1;
            }
            text += &part.text;
            text.push(',');
            at += part.columns + 2;
        }
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
        text.push('}');
        Shown { text, columns }
    }

    fn entries(&mut self, table: &Table, indent: usize) -> Vec<Shown> {
        let length = table.raw_len().max(0);
        let mut parts = Vec::new();
        for i in 1..=length {
            if self.is_enough(parts.len()) {
                break;
            }
            let value = table.raw_get(i).unwrap_or_default();
            parts.push(self.value(&value, indent));
        }
        let in_sequence = |key: &Value| matches!(key, Value::Integer(i) if (1..=length).contains(i));
        let rest = table.pairs().flatten().take(MAX_SORTED).filter(|(key, _)| !in_sequence(key));
        let mut rest: Vec<_> = rest.collect();
        rest.sort_by(|(a, _), (b, _)| order(a, b));
        let sequence = parts.len();
        for (key, value) in &rest {
            if self.is_enough(parts.len()) {
                break;
            }
            let key = match key_name(key) {
                Some(name) => Shown::plain(name),
                None => {
                    let key = match key {
                        Value::Table(_) => self.paint(Paint::Faint, format!("<{}>", self.plain(key))),
                        _ => self.value(key, indent),
                    };
                    Shown { text: format!("[{}]", key.text), columns: key.columns + 2 }
                }
            };
            let value = self.value(value, indent);
            let columns = key.columns + 3 + value.columns;
            parts.push(Shown { text: format!("{} = {}", key.text, value.text), columns });
        }
        let hidden = (length as usize - sequence) + rest.len() - (parts.len() - sequence);
        if hidden > 0 {
            parts.push(self.paint(Paint::Faint, format!("... {hidden} more")));
        }
        parts
    }

    fn is_enough(&mut self, entries: usize) -> bool {
        self.shown += 1;
        entries >= MAX_ENTRIES || self.shown > MAX_ALL
    }
}

/// Numbers first, then strings, then booleans; other keys stay as they come.
fn order(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| match value {
        Value::Integer(i) => *i as f64,
        Value::Float(f) => *f,
        _ => 0.0,
    };
    let rank = |value: &Value| match value {
        Value::Integer(_) | Value::Float(_) => 0,
        Value::String(_) => 1,
        Value::Boolean(_) => 2,
        _ => 3,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.to_bytes().cmp(&b.to_bytes()),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => number(a).total_cmp(&number(b)),
    })
}

/// A string as it could stand in a program; cut if it is long.
fn quote(bytes: &[u8]) -> String {
    let cut = bytes.len().min(MAX_STRING);
    let mut out = String::from("\"");
    for chunk in bytes[..cut].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => out.extend(c.to_string().bytes().map(|b| format!("\\{b:03}"))),
                c => out.push(c),
            }
        }
        out.extend(chunk.invalid().iter().map(|b| format!("\\{b:03}")));
    }
    out.push('"');
    if cut < bytes.len() {
        let _ = write!(out, "... {} bytes", bytes.len());
    }
    out
}

/// In one line, without control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
