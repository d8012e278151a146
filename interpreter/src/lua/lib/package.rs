//! `require` and `package` (manual §6.3). Modules are written in Lua: libraries in C cannot be loaded.
//!
//! The functions capture the table `package`, so that a program that hides the global name does not break them.

#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::ffi::OsStringExt;

use perilune_runtime::lua::function::NativeFn;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::Value;

use super::super::api::{
    Bytes, Mode, call, check_string, error, error_text, get_field, load, opt_string, raw_set, to_bytes,
};
use super::os::as_path;
use super::{captured, closure, give, give_bytes, give_vec, new_table, read_chunk, set};

/// Where modules are looked for unless the environment says otherwise.
const PATH: &str = "/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;\
                    /usr/local/lib/lua/5.4/?.lua;/usr/local/lib/lua/5.4/?/init.lua;./?.lua;./?/init.lua";
const C_PATH: &str = "/usr/local/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/loadall.so;./?.so";
/// Directory separator, template separator, mark of the name, and two that concern C only.
const CONFIG: &[u8] = b"/\n;\n?\n!\n-\n";

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let package = new_table(st, 8)?;
    let this = Value::from(package);
    for (name, function) in [("loadlib", loadlib as NativeFn), ("searchpath", searchpath)] {
        let function = closure(st, function, this)?;
        set(st, package, name, function)?;
    }
    let searchers = st.heap.table(0, 4)?;
    set(st, package, "searchers", Value::from(searchers))?;
    for (i, searcher) in [search_preload as NativeFn, search_lua, search_c, search_c_root].into_iter().enumerate() {
        let searcher = closure(st, searcher, this)?;
        raw_set(st, searchers, Value::integer(i as i64 + 1), searcher)?;
    }
    for (field, variable, default) in [("path", "LUA_PATH", PATH), ("cpath", "LUA_CPATH", C_PATH)] {
        let text = path_setting(st, variable, default)?;
        let text = Value::from(st.string(&text)?);
        set(st, package, field, text)?;
    }
    let config = Value::from(st.string(CONFIG)?);
    set(st, package, "config", config)?;
    let loaded = registry_table(st, "_LOADED")?;
    set(st, package, "loaded", Value::from(loaded))?;
    let preload = registry_table(st, "_PRELOAD")?;
    set(st, package, "preload", Value::from(preload))?;
    let globals = st.globals;
    let require = closure(st, require, this)?;
    set(st, globals, "require", require)?;
    Ok(package)
}

/// A table of the registry, made if it is not there.
fn registry_table(st: &mut State, name: &str) -> Result<Gc<Table>, Raised> {
    let key = st.string(name.as_bytes())?;
    if let Some(table) = st.registry.get_str(key).as_table() {
        return Ok(table);
    }
    let table = new_table(st, 0)?;
    let registry = st.registry;
    set(st, registry, name, Value::from(table))?;
    Ok(table)
}

/// A path as the environment has it; `;;` in it stands for the default.
fn path_setting(st: &mut State, variable: &str, default: &str) -> Result<Vec<u8>, Raised> {
    let ignore = st.string(b"LUA_NOENV")?;
    let ignore = !st.registry.get_str(ignore).is_falsy();
    let setting = std::env::var_os(format!("{variable}_5_4")).or_else(|| std::env::var_os(variable));
    let Some(setting) = setting.filter(|_| !ignore) else { return Ok(default.into()) };
    let setting = setting.into_vec();
    let Some(at) = setting.windows(2).position(|w| w == b";;") else { return Ok(setting) };
    let (before, after) = (&setting[..at], &setting[at + 2..]);
    let parts = [before, default.as_bytes(), after];
    Ok(parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(&b';'))
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        match rest.strip_prefix(from) {
            Some(after) if !from.is_empty() => {
                out.extend_from_slice(to);
                rest = after;
            }
            _ => {
                out.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    out
}

/// Looks for a readable file by the templates of a path; otherwise says where there is none.
fn search(name: &[u8], path: &[u8], separator: &[u8], directory: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let name = if separator.is_empty() { name.to_vec() } else { replace(name, separator, directory) };
    let path = replace(path, b"?", &name);
    let found = path.split(|c| *c == b';').find(|file| !file.is_empty() && File::open(as_path(file)).is_ok());
    match found {
        Some(file) => Ok(file.to_vec()),
        None => Err([b"no file '", &replace(&path, b";", b"'\n\tno file '")[..], b"'"].concat()),
    }
}

fn searchpath(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    // From the last one on, as C compilers have it.
    let directory = opt_string(st, f, 3)?.map_or_else(|| b"/".to_vec(), |s| s.c_string().to_vec());
    let separator = opt_string(st, f, 2)?.map_or_else(|| b".".to_vec(), |s| s.c_string().to_vec());
    let path = check_string(st, f, 1)?;
    let name = check_string(st, f, 0)?;
    match search(name.c_string(), path.c_string(), &separator, &directory) {
        Ok(file) => give_vec(st, file),
        Err(message) => {
            st.push(Value::NIL)?;
            give_vec(st, message)?;
            Ok(2)
        }
    }
}

fn loadlib(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    check_string(st, f, 0)?;
    check_string(st, f, 1)?;
    st.push(Value::NIL)?;
    give_bytes(st, b"dynamic libraries not enabled; check your Lua installation")?;
    give_bytes(st, b"absent")?;
    Ok(3)
}

// ---- searchers: a loader and a value for it, or a message, or nothing

fn search_preload(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    let preload = Value::from(registry_table(st, "_PRELOAD")?);
    let loader = get_field_of(st, preload, name.bytes())?;
    if loader.is_nil() {
        return give_vec(st, [b"no field package.preload['", name.bytes(), b"']"].concat());
    }
    st.push(loader)?;
    give_bytes(st, b":preload:")?;
    Ok(2)
}

fn get_field_of(st: &mut State, table: Value, name: &[u8]) -> Result<Value, Raised> {
    let key = Value::from(st.string(name)?);
    super::super::api::index(st, table, key)
}

/// The file of a module by a field of `package`.
fn find_file(st: &mut State, f: CallFrame, name: &[u8], field: &str) -> Result<Result<Vec<u8>, Vec<u8>>, Raised> {
    let package = captured(st, f, 0);
    match to_bytes(get_field(st, package, field)?) {
        Some(path) => Ok(search(name, &path, b".", b"/")),
        None => Err(error(st, format_args!("'package.{field}' must be a string"))),
    }
}

fn load_error(st: &mut State, name: &[u8], file: &[u8], message: &[u8]) -> Raised {
    let (name, file, message) = (Bytes(name), Bytes(file), Bytes(message));
    error(st, format_args!("error loading module '{name}' from file '{file}':\n\t{message}"))
}

fn search_lua(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    let file = match find_file(st, f, name.bytes(), "path")? {
        Ok(file) => file,
        Err(message) => return give_vec(st, message),
    };
    let loaded = match read_chunk(st, Some(&file)) {
        Ok((text, chunk)) => {
            let env = Value::from(st.globals);
            load(st, &text, &chunk, Mode::Any, env).map_err(|Raised| {
                let error = st.take_error();
                error_text(st, error)
            })
        }
        Err(message) => Err(message),
    };
    match loaded {
        Ok(function) => {
            st.push(Value::from(function))?;
            give_vec(st, file)?;
            Ok(2)
        }
        Err(message) => Err(load_error(st, name.bytes(), &file, &message)),
    }
}

/// A library in C may be there, but cannot be loaded.
fn refuse_c(st: &mut State, f: CallFrame, name: &[u8], file_of: &[u8]) -> Result<u32, Raised> {
    match find_file(st, f, file_of, "cpath")? {
        Ok(file) => Err(load_error(st, name, &file, b"dynamic libraries not enabled; check your Lua installation")),
        Err(message) => give_vec(st, message),
    }
}

fn search_c(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    refuse_c(st, f, name.bytes(), name.bytes())
}

fn search_c_root(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    match name.bytes().iter().position(|c| *c == b'.') {
        Some(dot) => refuse_c(st, f, name.bytes(), &name.bytes()[..dot]),
        None => Ok(0),
    }
}

// ---- require

/// Asks the searchers; pushes the loader and the value for it.
fn find_loader(st: &mut State, f: CallFrame) -> Result<(), Raised> {
    let name = check_string(st, f, 0)?;
    let package = captured(st, f, 0);
    let Some(searchers) = get_field(st, package, "searchers")?.as_table() else {
        return Err(error(st, format_args!("'package.searchers' must be a table")));
    };
    st.push(Value::from(searchers))?;
    let mut message = Vec::new();
    for i in 1.. {
        let searcher = searchers.get_int(i);
        if searcher.is_nil() {
            break;
        }
        st.push(searcher)?;
        st.push(Value::from(name))?;
        call(st, 1, 2)?;
        let answer = st.slot(st.top() - 2);
        if answer.is_function() {
            return Ok(());
        }
        if let Some(why) = to_bytes(answer) {
            message.extend_from_slice(b"\n\t");
            message.extend(why);
        }
        st.set_top(st.top() - 2);
    }
    let (name, message) = (Bytes(name.bytes()), Bytes(&message));
    Err(error(st, format_args!("module '{name}' not found:{message}")))
}

fn require(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let given = check_string(st, f, 0)?;
    let mut name = given;
    if given.c_string().len() < given.bytes().len() {
        name = st.string(given.c_string())?;
        st.set_slot(f.base as usize, Value::from(name));
    }
    let loaded = Value::from(registry_table(st, "_LOADED")?);
    let known = get_field_of(st, loaded, name.bytes())?;
    if !known.is_falsy() {
        return give(st, known);
    }
    find_loader(st, f)?;
    let at = st.top() - 2;
    let (loader, data) = (st.slot(at), st.slot(at + 1));
    // The value for the loader stays below, to be the second result.
    st.set_slot(at, data);
    st.set_top(at + 1);
    for value in [loader, Value::from(given), data] {
        st.push(value)?;
    }
    call(st, 2, 1)?;
    let mut result = st.slot(st.top() - 1);
    let name = name.bytes();
    if !result.is_nil() {
        set_loaded(st, loaded, name, result)?;
    }
    result = get_field_of(st, loaded, name)?;
    if result.is_nil() {
        result = Value::TRUE;
        set_loaded(st, loaded, name, result)?;
    }
    let data = st.slot(at);
    st.push(result)?;
    st.push(data)?;
    Ok(2)
}

fn set_loaded(st: &mut State, loaded: Value, name: &[u8], value: Value) -> Result<(), Raised> {
    let key = Value::from(st.string(name)?);
    super::super::api::set_index(st, loaded, key, value)
}
