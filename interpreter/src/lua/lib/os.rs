//! `os` (manual §6.9), and how all of the library reports what the system says.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::string::c_string;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::Value;

use super::super::api::{
    Bytes, arg_error, call_protected, check_int, check_option, check_string, check_table, error, get_field, is_given,
    is_none_or_nil, metafield, opt_string, set_field, set_natives, to_int,
};
use super::super::call::next_to_close;
use super::super::{calendar, exec};
use super::{give, give_bytes, library, new_table};

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let table = new_table(st, 12)?;
    set_natives(
        st,
        table,
        &[
            ("clock", clock),
            ("date", date),
            ("difftime", difftime),
            ("execute", execute),
            ("exit", exit),
            ("getenv", getenv),
            ("remove", remove),
            ("rename", rename),
            ("setlocale", setlocale),
            ("time", time),
            ("tmpname", tmpname),
        ],
    )?;
    Ok(table)
}

// ---- what the system says

/// A C string's part of a Lua string, as a path.
pub(super) fn as_path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(c_string(name)))
}

/// An operating system's error as C's `strerror` words it.
pub(super) fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

/// Returns true, or nil, what went wrong (with which file), and the error's number.
pub(super) fn file_result(st: &mut State, result: io::Result<()>, name: Option<&[u8]>) -> Result<u32, Raised> {
    let Err(e) = result else { return give(st, Value::TRUE) };
    let mut text = name.map(|name| [name, b": "].concat()).unwrap_or_default();
    text.extend_from_slice(reason(&e).as_bytes());
    st.push(Value::NIL)?;
    give_bytes(st, &text)?;
    st.push(Value::integer(i64::from(e.raw_os_error().unwrap_or(0))))?;
    Ok(3)
}

/// Returns how a process ended: true or nil, what ended it, and the status or signal.
pub(super) fn process_result(st: &mut State, result: io::Result<ExitStatus>) -> Result<u32, Raised> {
    let status = match result {
        Ok(status) => status,
        Err(e) => return file_result(st, Err(e), None),
    };
    let (what, code) = match (status.code(), status.signal()) {
        (None, Some(signal)) => ("signal", signal),
        (code, _) => ("exit", code.unwrap_or(0)),
    };
    st.push(if status.success() { Value::TRUE } else { Value::NIL })?;
    give_bytes(st, what.as_bytes())?;
    st.push(Value::integer(i64::from(code)))?;
    Ok(3)
}

/// A new file with a name that nobody else uses.
pub(super) fn temporary_file() -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = now.as_nanos() as u64 ^ (u64::from(std::process::id()) << 40);
        let mut n =
            seed.wrapping_add(u64::from(COUNT.fetch_add(1, Ordering::Relaxed))).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut name = String::from("/tmp/lua_");
        for _ in 0..6 {
            const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            // The upper bits are the mixed ones.
            name.push(char::from(LETTERS[(n >> 32) as usize % LETTERS.len()]));
            n = n.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        }
        let path = PathBuf::from(name);
        match File::options().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

// ---- files

fn remove(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    let path = as_path(name.bytes());
    let is_directory = path.symlink_metadata().is_ok_and(|m| m.is_dir());
    let result = if is_directory { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
    file_result(st, result, Some(name.c_string()))
}

fn rename(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let from = check_string(st, f, 0)?;
    let to = check_string(st, f, 1)?;
    file_result(st, std::fs::rename(as_path(from.bytes()), as_path(to.bytes())), None)
}

fn tmpname(st: &mut State, _: CallFrame) -> Result<u32, Raised> {
    match temporary_file() {
        Ok((path, _)) => give_bytes(st, path.as_os_str().as_bytes()),
        Err(_) => Err(error(st, format_args!("unable to generate a unique filename"))),
    }
}

// ---- processes

fn execute(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    match opt_string(st, f, 0)? {
        Some(command) => {
            let result = Command::new("/bin/sh").arg0("sh").arg("-c").arg(as_path(command.bytes())).status();
            process_result(st, result)
        }
        None => give(st, Value::boolean(Path::new("/bin/sh").exists())),
    }
}

fn exit(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let code = st.arg(f, 0);
    let code = match code.is_nil() || code.same(Value::TRUE) {
        true => 0,
        false if code.same(Value::FALSE) => 1,
        false => check_int(st, f, 0)? as i32,
    };
    if !st.arg(f, 1).is_falsy() {
        close_state(st)?;
    }
    library(st).streams.flush();
    // No code runs any more; the compiler has its last reports to give.
    drop(st.tier.take());
    std::process::exit(code)
}

/// What the end of a state means to the program: variables are closed, finalizers called.
fn close_state(st: &mut State) -> Result<(), Raised> {
    while st.thread == st.main
        && let Some(slot) = next_to_close(st, 0)
    {
        let mut value = st.slot(slot);
        if let Some(cell) = value.as_cell() {
            value = cell.get();
        }
        let handler = metafield(st, value, perilune_runtime::lua::event::Event::Close);
        for v in [handler, value, Value::NIL] {
            st.push(v)?;
        }
        // Nobody is left who could handle the error.
        let _ = call_protected(st, 2, 0)?;
    }
    st.heap.finalize_all();
    exec::run_finalizers(st);
    Ok(())
}

fn getenv(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    match std::env::var_os(as_path(name.bytes())) {
        Some(value) => give_bytes(st, value.as_bytes()),
        None => give(st, Value::NIL),
    }
}

/// There is the "C" locale only.
fn setlocale(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let wanted = opt_string(st, f, 0)?;
    check_option(st, f, 1, Some("all"), &["all", "collate", "ctype", "monetary", "numeric", "time"])?;
    match wanted {
        Some(name) if !matches!(name.c_string(), b"" | b"C" | b"POSIX") => give(st, Value::NIL),
        _ => give_bytes(st, b"C"),
    }
}

// ---- time

fn clock(st: &mut State, _: CallFrame) -> Result<u32, Raised> {
    give(st, Value::float(calendar::processor_time()))
}

fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

fn difftime(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (to, from) = (check_int(st, f, 0)?, check_int(st, f, 1)?);
    give(st, Value::float((i128::from(to) - i128::from(from)) as f64))
}

/// The fields of a date, in the order in which they are looked at, what stands in for an absent one (none: it must be
/// there), and what C subtracts.
const FIELDS: [(&str, Option<i32>, i32); 6] = [
    ("year", None, 1900),
    ("month", None, 1),
    ("day", None, 0),
    ("hour", Some(12), 0),
    ("min", Some(0), 0),
    ("sec", Some(0), 0),
];

fn date_field(st: &mut State, table: Value, field: (&str, Option<i32>, i32)) -> Result<i32, Raised> {
    let (name, default, delta) = field;
    let value = get_field(st, table, name)?;
    let Some(n) = to_int(value) else {
        return match default {
            _ if !value.is_nil() => Err(error(st, format_args!("field '{name}' is not an integer"))),
            Some(default) => Ok(default),
            None => Err(error(st, format_args!("field '{name}' missing in date table"))),
        };
    };
    match i32::try_from(i128::from(n) - i128::from(delta)) {
        Ok(n) => Ok(n),
        Err(_) => Err(error(st, format_args!("field '{name}' is out-of-bound"))),
    }
}

fn time(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    if is_none_or_nil(st, f, 0) {
        return give(st, Value::integer(now()));
    }
    let table = Value::from(check_table(st, f, 0)?);
    let mut fields = [0; 6];
    for (place, field) in fields.iter_mut().zip(FIELDS) {
        *place = date_field(st, table, field)?;
    }
    let daylight = get_field(st, table, "isdst")?;
    let daylight = if daylight.is_nil() { -1 } else { i32::from(!daylight.is_falsy()) };
    match calendar::local_time(&fields, daylight) {
        Some((time, parts)) => {
            set_fields(st, table, &parts)?;
            give(st, Value::integer(time))
        }
        None => Err(error(st, format_args!("time result cannot be represented in this installation"))),
    }
}

fn set_fields(st: &mut State, table: Value, parts: &libc::tm) -> Result<(), Raised> {
    for (name, value, delta) in [
        ("year", parts.tm_year, 1900),
        ("month", parts.tm_mon, 1),
        ("day", parts.tm_mday, 0),
        ("hour", parts.tm_hour, 0),
        ("min", parts.tm_min, 0),
        ("sec", parts.tm_sec, 0),
        ("yday", parts.tm_yday, 1),
        ("wday", parts.tm_wday, 1),
    ] {
        set_field(st, table, name, Value::integer(i64::from(value) + delta))?;
    }
    if parts.tm_isdst >= 0 {
        set_field(st, table, "isdst", Value::boolean(parts.tm_isdst > 0))?;
    }
    Ok(())
}

fn date(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let format = opt_string(st, f, 0)?.map_or_else(|| b"%c".to_vec(), |s| s.bytes().to_vec());
    let time = if is_given(f, 1) { check_int(st, f, 1)? } else { now() };
    let (utc, format) = match format.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, &format[..]),
    };
    let Some(parts) = calendar::broken_down(time, utc) else {
        return Err(error(st, format_args!("date result cannot be represented in this installation")));
    };
    if format == b"*t" {
        let table = Value::from(new_table(st, 9)?);
        st.push(table)?;
        set_fields(st, table, &parts)?;
        return Ok(1);
    }
    let mut text = Vec::new();
    let mut rest = format;
    while let [c, after @ ..] = rest {
        if *c != b'%' {
            text.push(*c);
            rest = after;
            continue;
        }
        let Some(length) = conversion_length(after) else {
            return Err(arg_error(st, f, 0, &format!("invalid conversion specifier '%{}'", Bytes(after))));
        };
        text.extend_from_slice(&calendar::format(&rest[..=length], &parts));
        rest = &after[length..];
    }
    give_bytes(st, &text)
}

/// The length of the conversion of C99's `strftime` that this begins with, its `%` left out.
fn conversion_length(text: &[u8]) -> Option<usize> {
    match text {
        [b'E', c, ..] if b"cCxXyY".contains(c) => Some(2),
        [b'O', c, ..] if b"deHImMSuUVwWy".contains(c) => Some(2),
        [c, ..] if b"aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%".contains(c) => Some(1),
        _ => None,
    }
}
