//! `io` (manual §6.8) and the methods of files.
//!
//! A file is a userdata that holds a shared [`Stream`]. The functions of `io` capture a table with the default input and
//! output and the metatable of files. `print` writes to the stream of `io.stdout`.

#![forbid(unsafe_code)]

mod read;
mod stream;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::SeekFrom;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::rc::{Rc, Weak};

use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::userdata::Userdata;
use perilune_runtime::lua::value::{Value, tag};

use super::super::api::{
    Bytes, arg_error, check_any, check_int, check_option, check_string, check_userdata, error, is_given,
    is_none_or_nil, opt_int, opt_string, raw_set, set_natives,
};
use super::os::{self, as_path, file_result, process_result, reason};
use super::{captured, closure, give, give_bytes, library, new_table, set};
use stream::{Buffering, Shared, Stream};

/// The name of files' type.
const FILE: &str = "FILE*";
/// Places in the table that the functions capture.
const INPUT: i64 = 1;
const OUTPUT: i64 = 2;
const METATABLE: i64 = 3;
/// Most formats that `lines` takes.
const MAX_FORMATS: usize = 250;

/// The streams of a state.
pub(super) struct Streams {
    input: Shared,
    output: Shared,
    error: Shared,
    /// All that are open, and some that were.
    all: Vec<Weak<RefCell<Stream>>>,
    /// When `all` has that many places it is time to look for those that are gone.
    limit: usize,
}

impl Streams {
    /// The standard streams.
    pub(super) fn new() -> Streams {
        let shared = |stream| Rc::new(RefCell::new(stream));
        let file = duplicate(std::io::stdout().as_fd().try_clone_to_owned());
        let output = shared(Stream::standard_output(file));
        let file = duplicate(std::io::stdin().as_fd().try_clone_to_owned());
        let input = shared(Stream::standard_input(file, &output));
        let file = duplicate(std::io::stderr().as_fd().try_clone_to_owned());
        let error = shared(Stream::standard_error(file));
        let all = [&input, &output, &error].map(Rc::downgrade).to_vec();
        Streams { input, output, error, all, limit: 64 }
    }

    /// The next line of the standard input, with its end; none at the end of the file.
    pub(super) fn input_line(&self) -> Option<Vec<u8>> {
        let mut input = self.input.borrow_mut();
        let mut line = Vec::new();
        while let Ok(chunk @ [_, ..]) = input.available() {
            let end = chunk.iter().position(|c| *c == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            line.extend_from_slice(&chunk[..taken]);
            input.consume(taken);
            if end.is_some() {
                break;
            }
        }
        (!line.is_empty()).then_some(line)
    }

    /// All that is left of the standard input.
    pub(super) fn input_rest(&self) -> std::io::Result<Vec<u8>> {
        let mut input = self.input.borrow_mut();
        let mut rest = Vec::new();
        loop {
            let chunk = input.available()?;
            if chunk.is_empty() {
                return Ok(rest);
            }
            rest.extend_from_slice(chunk);
            let taken = chunk.len();
            input.consume(taken);
        }
    }

    /// Has something of the standard input been read that nobody has taken yet?
    pub(super) fn input_waits(&self) -> bool {
        self.input.borrow().has_input()
    }

    /// Writes to the standard error output.
    pub(super) fn complain(&self, bytes: &[u8]) {
        // There is nobody to tell that it failed.
        let _ = self.error.borrow_mut().write(bytes);
    }

    /// Writes to the standard output, as `print` does; as in C, nobody looks at what could not be written.
    pub(super) fn print(&self, bytes: &[u8]) {
        let _ = self.output.borrow_mut().write(bytes);
    }

    /// Is the standard output in the middle of a line?
    pub(super) fn is_in_line(&self) -> bool {
        self.output.borrow().is_in_line()
    }

    /// Ends a line of `print`, which is written out at once: others who write to the same place follow it.
    pub(super) fn end_line(&self) {
        let mut output = self.output.borrow_mut();
        // As above.
        let _ = output.write(b"\n").and_then(|()| output.flush());
    }

    /// Writes out what waits in buffers.
    pub(super) fn flush(&self) {
        for stream in self.all.iter().filter_map(Weak::upgrade) {
            // There is nobody to tell.
            let _ = stream.borrow_mut().flush();
        }
    }

    fn add(&mut self, stream: &Shared) {
        if self.all.len() >= self.limit {
            self.all.retain(|s| s.strong_count() > 0);
            self.limit = self.all.len() * 2 + 64;
        }
        self.all.push(Rc::downgrade(stream));
    }
}

/// A file on a copy of a standard descriptor; on nothing if there are no descriptors left.
fn duplicate(descriptor: std::io::Result<OwnedFd>) -> File {
    match descriptor {
        Ok(descriptor) => File::from(descriptor),
        Err(_) => File::options().read(true).write(true).open("/dev/null").expect("a descriptor for a standard stream"),
    }
}

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let metatable = new_metatable(st)?;
    let context = Value::from(st.heap.table(0, 3)?);
    let table = new_table(st, 16)?;
    for (name, function) in [
        ("close", close as fn(&mut State, CallFrame) -> Result<u32, Raised>),
        ("flush", flush),
        ("input", input),
        ("lines", lines),
        ("open", open_file),
        ("output", output),
        ("popen", popen),
        ("read", read),
        ("tmpfile", tmpfile),
        ("type", type_),
        ("write", write),
    ] {
        let function = closure(st, function, context)?;
        set(st, table, name, function)?;
    }
    let streams = &library(st).streams;
    let [input, output, error] = [&streams.input, &streams.output, &streams.error].map(Rc::clone);
    for (name, stream, place) in
        [("stdin", input, Some(INPUT)), ("stdout", output, Some(OUTPUT)), ("stderr", error, None)]
    {
        let file = Value::from(new_file(st, stream, metatable)?);
        set(st, table, name, file)?;
        if let (Some(place), Some(context)) = (place, context.as_table()) {
            raw_set(st, context, Value::integer(place), file)?;
        }
    }
    if let Some(context) = context.as_table() {
        raw_set(st, context, Value::integer(METATABLE), Value::from(metatable))?;
    }
    Ok(table)
}

fn new_metatable(st: &mut State) -> Result<Gc<Table>, Raised> {
    let methods = new_table(st, 8)?;
    set_natives(
        st,
        methods,
        &[
            ("close", file_close),
            ("flush", file_flush),
            ("lines", file_lines),
            ("read", file_read),
            ("seek", file_seek),
            ("setvbuf", file_setvbuf),
            ("write", file_write),
        ],
    )?;
    let metatable = new_table(st, 8)?;
    set_natives(st, metatable, &[("__gc", file_gc), ("__close", file_gc), ("__tostring", file_tostring)])?;
    set(st, metatable, "__index", Value::from(methods))?;
    let name = Value::from(st.string(FILE.as_bytes())?);
    set(st, metatable, "__name", name)?;
    set(st, st.registry, FILE, Value::from(metatable))?;
    Ok(metatable)
}

// ---- files as values

fn new_file(st: &mut State, stream: Shared, metatable: Gc<Table>) -> Result<Gc<Userdata>, Raised> {
    let file = st.heap.userdata(Box::new(stream), 0)?;
    file.set_metatable(&mut st.heap, Some(metatable))?;
    Ok(file)
}

/// Makes a file of a stream, for a function of `io`.
fn add_file(st: &mut State, f: CallFrame, stream: Stream) -> Result<Value, Raised> {
    let stream = Rc::new(RefCell::new(stream));
    library(st).streams.add(&stream);
    let metatable = captured(st, f, 0).as_table().and_then(|c| c.get_int(METATABLE).as_table());
    let Some(metatable) = metatable else { return Err(error(st, format_args!("files have no metatable"))) };
    Ok(Value::from(new_file(st, stream, metatable)?))
}

fn stream_of(file: Value) -> Option<Shared> {
    let file = file.as_userdata()?;
    let data = file.data.borrow();
    data.as_ref()?.downcast_ref::<Shared>().cloned()
}

/// The stream of an argument, which must be a file.
fn any_stream(st: &mut State, f: CallFrame, i: usize) -> Result<Shared, Raised> {
    match stream_of(st.arg(f, i)) {
        Some(stream) => Ok(stream),
        None => match check_userdata::<Shared>(st, f, i, FILE) {
            Ok(_) => Err(error(st, format_args!("attempt to use a closed file"))),
            Err(Raised) => Err(Raised),
        },
    }
}

/// The stream of an argument, which must be an open file.
fn check_stream(st: &mut State, f: CallFrame, i: usize) -> Result<Shared, Raised> {
    let stream = any_stream(st, f, i)?;
    open_stream(st, Some(stream))
}

/// The stream of a file, which must be open.
fn open_stream(st: &mut State, stream: Option<Shared>) -> Result<Shared, Raised> {
    match stream {
        Some(stream) if stream.borrow().is_open() => Ok(stream),
        _ => Err(error(st, format_args!("attempt to use a closed file"))),
    }
}

fn default_file(st: &State, f: CallFrame, place: i64) -> Value {
    captured(st, f, 0).as_table().map_or(Value::NIL, |c| c.get_int(place))
}

/// The default input or output, which must be open.
fn default_stream(st: &mut State, f: CallFrame, place: i64) -> Result<Shared, Raised> {
    match stream_of(default_file(st, f, place)) {
        Some(stream) if stream.borrow().is_open() => Ok(stream),
        _ => {
            let name = if place == INPUT { "input" } else { "output" };
            Err(error(st, format_args!("default {name} file is closed")))
        }
    }
}

// ---- opening

/// Opens a file in a mode of C's `fopen`, which is known to be one.
fn open_in_mode(name: &[u8], mode: &[u8]) -> std::io::Result<Stream> {
    let update = mode.contains(&b'+');
    let mut options = OpenOptions::new();
    let (readable, writable) = match mode.first() {
        Some(b'w') => {
            options.write(true).create(true).truncate(true);
            (update, true)
        }
        Some(b'a') => {
            options.append(true).create(true);
            (update, true)
        }
        _ => (true, update),
    };
    let file = options.read(readable).write(writable && mode[0] != b'a').open(as_path(name))?;
    Ok(Stream::new(file, readable, writable))
}

fn open_file(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = check_string(st, f, 0)?;
    let mode = opt_string(st, f, 1)?.map_or_else(|| b"r".to_vec(), |m| m.c_string().to_vec());
    let valid = match &mode[..] {
        [b'r' | b'w' | b'a', rest @ ..] => rest.strip_prefix(b"+").unwrap_or(rest).iter().all(|c| *c == b'b'),
        _ => false,
    };
    if !valid {
        return Err(arg_error(st, f, 1, "invalid mode"));
    }
    match open_in_mode(name.bytes(), &mode) {
        Ok(stream) => {
            let file = add_file(st, f, stream)?;
            give(st, file)
        }
        Err(e) => file_result(st, Err(e), Some(name.c_string())),
    }
}

/// Opens a file or raises the error.
fn open_or_raise(st: &mut State, f: CallFrame, name: &[u8], mode: &[u8]) -> Result<Value, Raised> {
    match open_in_mode(name, mode) {
        Ok(stream) => add_file(st, f, stream),
        Err(e) => Err(error(st, format_args!("cannot open file '{}' ({})", Bytes(name), reason(&e)))),
    }
}

fn popen(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let command = check_string(st, f, 0)?;
    let mode = opt_string(st, f, 1)?.map_or_else(|| b"r".to_vec(), |m| m.c_string().to_vec());
    if !matches!(&mode[..], b"r" | b"w") {
        return Err(arg_error(st, f, 1, "invalid mode"));
    }
    library(st).streams.flush();
    let mut shell = Command::new("/bin/sh");
    shell.arg0("sh").arg("-c").arg(as_path(command.bytes()));
    let readable = mode == b"r";
    let spawned = if readable { shell.stdout(Stdio::piped()).spawn() } else { shell.stdin(Stdio::piped()).spawn() };
    let pipe = spawned.map(|mut child| {
        let pipe = match (child.stdout.take(), child.stdin.take()) {
            (Some(pipe), _) => Some(OwnedFd::from(pipe)),
            (_, pipe) => pipe.map(OwnedFd::from),
        };
        (pipe, child)
    });
    match pipe {
        Ok((Some(pipe), child)) => {
            let file = add_file(st, f, Stream::of_child(pipe, child, readable))?;
            give(st, file)
        }
        Ok((None, _)) => file_result(st, Err(std::io::Error::from_raw_os_error(libc::EPIPE)), Some(command.bytes())),
        Err(e) => file_result(st, Err(e), Some(command.bytes())),
    }
}

fn tmpfile(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let file = os::temporary_file().and_then(|(path, file)| std::fs::remove_file(path).map(|()| file));
    match file {
        Ok(file) => {
            let file = add_file(st, f, Stream::new(file, true, true))?;
            give(st, file)
        }
        Err(e) => file_result(st, Err(e), None),
    }
}

// ---- defaults

fn default(st: &mut State, f: CallFrame, place: i64, mode: &[u8]) -> Result<u32, Raised> {
    if !is_none_or_nil(st, f, 0) {
        let chosen = st.arg(f, 0);
        let file = if chosen.is_string() || chosen.is_number() {
            let name = check_string(st, f, 0)?;
            open_or_raise(st, f, name.bytes(), mode)?
        } else {
            check_stream(st, f, 0)?;
            chosen
        };
        if let Some(context) = captured(st, f, 0).as_table() {
            raw_set(st, context, Value::integer(place), file)?;
        }
    }
    let file = default_file(st, f, place);
    give(st, file)
}

fn input(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    default(st, f, INPUT, b"r")
}

fn output(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    default(st, f, OUTPUT, b"w")
}

fn type_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 0)?;
    match stream_of(value) {
        Some(stream) if stream.borrow().is_open() => give_bytes(st, b"file"),
        Some(_) => give_bytes(st, b"closed file"),
        None => give(st, Value::NIL),
    }
}

// ---- closing

fn close_stream(st: &mut State, stream: &Shared) -> Result<u32, Raised> {
    if stream.borrow().is_standard() {
        // It stays open, but what was written goes out.
        let _ = stream.borrow_mut().flush();
        st.push(Value::NIL)?;
        give_bytes(st, b"cannot close standard file")?;
        return Ok(2);
    }
    let result = stream.borrow_mut().close();
    match result {
        Ok(Some(status)) => process_result(st, Ok(status)),
        Ok(None) => file_result(st, Ok(()), None),
        Err(e) => file_result(st, Err(e), None),
    }
}

fn close(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    if is_given(f, 0) {
        return file_close(st, f);
    }
    let stream = stream_of(default_file(st, f, OUTPUT));
    let stream = open_stream(st, stream)?;
    close_stream(st, &stream)
}

fn file_close(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = check_stream(st, f, 0)?;
    close_stream(st, &stream)
}

fn file_gc(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = any_stream(st, f, 0)?;
    let open = stream.borrow().is_open();
    if open {
        close_stream(st, &stream)?;
    }
    Ok(0)
}

fn file_tostring(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = any_stream(st, f, 0)?;
    if !stream.borrow().is_open() {
        return give_bytes(st, b"file (closed)");
    }
    let text = format!("file ({:#x})", st.arg(f, 0).payload());
    give_bytes(st, text.as_bytes())
}

// ---- reading

fn read_from(st: &mut State, f: CallFrame, stream: &Shared, first: usize) -> Result<u32, Raised> {
    match read::read(st, f, stream, first)? {
        Ok(count) => Ok(count),
        Err(e) => file_result(st, Err(e), None),
    }
}

fn read(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = default_stream(st, f, INPUT)?;
    read_from(st, f, &stream, 0)
}

fn file_read(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = check_stream(st, f, 0)?;
    read_from(st, f, &stream, 1)
}

/// The iterator of `lines`: captures the file, whether to close it at the end, the formats, and how many these are.
fn new_lines(st: &mut State, f: CallFrame, file: Value, close: bool) -> Result<Value, Raised> {
    let count = (f.count as usize).saturating_sub(1);
    if count > MAX_FORMATS {
        return Err(arg_error(st, f, MAX_FORMATS + 1, "too many arguments"));
    }
    let formats = st.heap.table(0, count)?;
    for i in 1..=count {
        raw_set(st, formats, Value::integer(i as i64), st.arg(f, i))?;
    }
    let values = [file, Value::boolean(close), Value::from(formats), Value::integer(count as i64)];
    let iterator = st.heap.native(next_line, perilune_runtime::lua::function::Special::None, &values)?;
    Ok(Value::from(iterator))
}

fn lines(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    if is_none_or_nil(st, f, 0) {
        let file = default_file(st, f, INPUT);
        if !stream_of(file).is_some_and(|s| s.borrow().is_open()) {
            return Err(error(st, format_args!("attempt to use a closed file")));
        }
        let iterator = new_lines(st, f, file, false)?;
        return give(st, iterator);
    }
    let name = check_string(st, f, 0)?;
    let file = open_or_raise(st, f, name.bytes(), b"r")?;
    let iterator = new_lines(st, f, file, true)?;
    for value in [iterator, Value::NIL, Value::NIL, file] {
        st.push(value)?;
    }
    Ok(4)
}

fn file_lines(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    check_stream(st, f, 0)?;
    let file = st.arg(f, 0);
    let iterator = new_lines(st, f, file, false)?;
    give(st, iterator)
}

fn next_line(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = stream_of(captured(st, f, 0)).filter(|s| s.borrow().is_open());
    let Some(stream) = stream else { return Err(error(st, format_args!("file is already closed"))) };
    let count = captured(st, f, 3).as_integer().unwrap_or(0);
    // The formats take the arguments' place behind the first, so that messages count them from 2.
    let base = f.base as usize;
    st.set_top(base);
    st.push(Value::NIL)?;
    if let Some(formats) = captured(st, f, 2).as_table() {
        for i in 1..=count {
            st.push(formats.get_int(i))?;
        }
    }
    let arguments = CallFrame { base: f.base, count: 1 + count as u32 };
    let n = read_from(st, arguments, &stream, 1)? as usize;
    let first = st.top() - n;
    if !st.slot(first).is_falsy() {
        return Ok(n as u32);
    }
    if n > 1
        && let Some(message) = st.slot(first + 1).as_string()
    {
        return Err(error(st, format_args!("{}", Bytes(message.bytes()))));
    }
    if !captured(st, f, 1).is_falsy() {
        close_stream(st, &stream)?;
    }
    Ok(0)
}

// ---- writing

/// Writes the arguments from `first` on; the result is `file`.
fn write_to(st: &mut State, f: CallFrame, file: Value, stream: &Shared, first: usize) -> Result<u32, Raised> {
    let mut result = Ok(());
    for i in first..f.count as usize {
        let value = st.arg(f, i);
        let mut text = Vec::new();
        let written = match value.tag() {
            tag::INTEGER => {
                number::write_int(value.raw_integer(), &mut text);
                stream.borrow_mut().write(&text)
            }
            tag::FLOAT => {
                // Not as `tostring` does it: integral floats do not show that they are floats.
                number::write_general(value.raw_float(), 14, &mut text);
                stream.borrow_mut().write(&text)
            }
            _ => {
                let s = check_string(st, f, i)?;
                stream.borrow_mut().write(s.bytes())
            }
        };
        result = result.and(written);
    }
    match result {
        Ok(()) => give(st, file),
        Err(e) => file_result(st, Err(e), None),
    }
}

fn write(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = default_stream(st, f, OUTPUT)?;
    let file = default_file(st, f, OUTPUT);
    write_to(st, f, file, &stream, 0)
}

fn file_write(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = check_stream(st, f, 0)?;
    let file = st.arg(f, 0);
    write_to(st, f, file, &stream, 1)
}

fn flush(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = default_stream(st, f, OUTPUT)?;
    let result = stream.borrow_mut().flush();
    file_result(st, result, None)
}

fn file_flush(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = check_stream(st, f, 0)?;
    let result = stream.borrow_mut().flush();
    file_result(st, result, None)
}

// ---- position and buffers

fn file_seek(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = check_stream(st, f, 0)?;
    let whence = check_option(st, f, 1, Some("cur"), &["set", "cur", "end"])?;
    let offset = opt_int(st, f, 2, 0)?;
    let to = match whence {
        0 => u64::try_from(offset).map(SeekFrom::Start),
        1 => Ok(SeekFrom::Current(offset)),
        _ => Ok(SeekFrom::End(offset)),
    };
    let position = match to {
        Ok(to) => stream.borrow_mut().seek(to),
        Err(_) => Err(std::io::Error::from_raw_os_error(libc::EINVAL)),
    };
    match position {
        Ok(position) => give(st, Value::integer(position as i64)),
        Err(e) => file_result(st, Err(e), None),
    }
}

fn file_setvbuf(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let stream = check_stream(st, f, 0)?;
    let buffering =
        [Buffering::None, Buffering::Full, Buffering::Line][check_option(st, f, 1, None, &["no", "full", "line"])?];
    let size = if is_none_or_nil(st, f, 2) { stream::BUFFER as i64 } else { check_int(st, f, 2)? };
    let size = usize::try_from(size).unwrap_or(stream::BUFFER);
    let result = stream.borrow_mut().set_buffering(buffering, size);
    file_result(st, result, None)
}
