//! Looking at values without running anything: tables are read raw, and of metatables only an `__index` that is a table
//! counts.
#![forbid(unsafe_code)]

use perilune::{Lua, Session, Table, Value};
use perilune_interpreter::lua::lexer::is_reserved;

/// Most tables that are followed by `__index`.
const MAX_CHAIN: usize = 20;

/// The value that a name or names with dots between them have.
pub fn named(lua: &Lua, session: &Session, text: &str) -> Option<Value> {
    let mut names = text.trim().split('.');
    let first = variable(lua, session, names.next()?)?;
    names.try_fold(first, |value, name| field(lua, &value, name))
}

/// The value of a variable of the session, or of a global.
pub fn variable(lua: &Lua, session: &Session, name: &str) -> Option<Value> {
    session.get(name.as_bytes()).or_else(|| raw(&lua.globals(), name))
}

/// `value.name`
pub fn field(lua: &Lua, value: &Value, name: &str) -> Option<Value> {
    holders(lua, value).find_map(|table| raw(&table, name))
}

fn raw(table: &Table, name: &str) -> Option<Value> {
    table.raw_get::<Value>(name).ok().filter(|value| !value.is_nil())
}

/// The tables in which `value.name` looks, as far as they are tables.
pub fn holders(lua: &Lua, value: &Value) -> impl Iterator<Item = Table> + use<> {
    let behind = |meta: Option<Table>| match meta?.raw_get("__index") {
        Ok(Value::Table(table)) => Some(table),
        _ => None,
    };
    let first = match value {
        Value::Table(table) => Some(table.clone()),
        Value::Userdata(userdata) => behind(userdata.metatable()),
        Value::String(_) => behind(lua.string_metatable()),
        _ => None,
    };
    std::iter::successors(first, move |table| behind(table.metatable())).take(MAX_CHAIN)
}

/// A table's key as a name, if it is one.
pub fn key_name(key: &Value) -> Option<String> {
    let Value::String(key) = key else { return None };
    name_of(&key.to_bytes())
}

/// Text as a name, if it is one.
pub fn name_of(text: &[u8]) -> Option<String> {
    let word = text.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_');
    let good = word && text.first().is_some_and(|c| !c.is_ascii_digit()) && !is_reserved(text);
    good.then(|| String::from_utf8_lossy(text).into_owned())
}
