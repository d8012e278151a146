//! Reading by formats: numbers, lines, everything, counts of bytes.

#![forbid(unsafe_code)]

use std::io;

use perilune_runtime::lua::number;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::value::Value;

use super::super::super::api::{self, arg_error, check_int, check_string};
use super::super::{buffer, grow};
use super::stream::{Shared, Stream};

/// Longest numeral that is read.
const MAX_NUMERAL: usize = 200;

/// A value that was read, or none at the end of the file. Outside: what Lua is told; inside: what the system says.
type ReadResult<T> = Result<io::Result<T>, Raised>;

/// Unwraps the system's part of the result or passes it on as a value.
macro_rules! system {
    ($e:expr) => {
        match $e {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

/// Reads what the arguments from `first` on ask for, a line if there are none, and pushes it: nil for the first that is
/// not there. Answers how many values that are.
pub fn read(st: &mut State, f: CallFrame, stream: &Shared, first: usize) -> ReadResult<u32> {
    let count = f.count as usize;
    if count <= first {
        let line = system!(read_line(st, stream, false)?);
        st.push(line)?;
        return Ok(Ok(1));
    }
    st.check_stack(count)?;
    for i in first..count {
        let value = system!(read_format(st, f, stream, i)?);
        st.push(value)?;
        if value.is_nil() {
            return Ok(Ok((i - first + 1) as u32));
        }
    }
    Ok(Ok((count - first) as u32))
}

/// Reads what one argument asks for; nil if it is not there.
fn read_format(st: &mut State, f: CallFrame, stream: &Shared, i: usize) -> ReadResult<Value> {
    if st.arg(f, i).is_number() {
        let n = check_int(st, f, i)?;
        return read_count(st, stream, n as usize);
    }
    let format = check_string(st, f, i)?;
    let format = format.bytes();
    match format.strip_prefix(b"*").unwrap_or(format).first() {
        Some(b'n') => Ok(read_number(&mut stream.borrow_mut()).map(|n| n.map_or(Value::NIL, api::number_value))),
        Some(b'l') => read_line(st, stream, false),
        Some(b'L') => read_line(st, stream, true),
        Some(b'a') => read_all(st, stream),
        _ => Err(arg_error(st, f, i, "invalid format")),
    }
}

fn read_line(st: &mut State, stream: &Shared, keep_end: bool) -> ReadResult<Value> {
    let mut stream = stream.borrow_mut();
    let mut line = Vec::new();
    loop {
        let chunk = system!(stream.available());
        let end = chunk.iter().position(|c| *c == b'\n');
        let taken = end.unwrap_or(chunk.len());
        let part = &chunk[..end.map_or(taken, |e| e + usize::from(keep_end))];
        if end.is_some() && line.is_empty() {
            // The common case: the line lies in the buffer.
            let s = st.string(part)?;
            stream.consume(taken + 1);
            return Ok(Ok(Value::from(s)));
        }
        grow(st, &mut line, part.len())?;
        line.extend_from_slice(part);
        stream.consume(taken + usize::from(end.is_some()));
        if end.is_some() || taken == 0 {
            let found = end.is_some() || !line.is_empty();
            return if found { string(st, line) } else { Ok(Ok(Value::NIL)) };
        }
    }
}

fn read_all(st: &mut State, stream: &Shared) -> ReadResult<Value> {
    let mut stream = stream.borrow_mut();
    let mut text = Vec::new();
    loop {
        let chunk = system!(stream.available());
        if chunk.is_empty() {
            return string(st, text);
        }
        grow(st, &mut text, chunk.len())?;
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        stream.consume(taken);
    }
}

/// Up to that many bytes; for none, the empty string unless the file is at its end.
fn read_count(st: &mut State, stream: &Shared, count: usize) -> ReadResult<Value> {
    let mut stream = stream.borrow_mut();
    // As PUC, which has room for all of them before it looks.
    let mut text = buffer(st, count)?;
    loop {
        let chunk = system!(stream.available());
        let taken = chunk.len().min(count - text.len());
        let at_end = chunk.is_empty();
        text.extend_from_slice(&chunk[..taken]);
        stream.consume(taken);
        if at_end && text.is_empty() {
            return Ok(Ok(Value::NIL));
        }
        if at_end || text.len() == count {
            return string(st, text);
        }
    }
}

fn string(st: &mut State, bytes: Vec<u8>) -> ReadResult<Value> {
    Ok(Ok(Value::from(st.heap.string_from_vec(bytes)?)))
}

/// Takes the longest text that can begin a numeral; what is no number then is none.
fn read_number(stream: &mut Stream) -> io::Result<Option<number::Number>> {
    while let Some(c) = stream.peek()? {
        if !number::is_space(c) {
            break;
        }
        stream.consume(1);
    }
    let mut reader = Numeral { stream, text: Vec::new(), overflow: false };
    reader.take_one(b"+-")?;
    let mut exponent: &[u8] = b"eE";
    let mut hexadecimal = false;
    let mut digits = 0;
    if reader.take_one(b"0")? {
        if reader.take_one(b"xX")? {
            (hexadecimal, exponent) = (true, b"pP");
        } else {
            digits = 1;
        }
    }
    digits += reader.take_digits(hexadecimal)?;
    if reader.take_one(b".")? {
        digits += reader.take_digits(hexadecimal)?;
    }
    if digits > 0 && reader.take_one(exponent)? {
        reader.take_one(b"+-")?;
        reader.take_digits(false)?;
    }
    Ok(if reader.overflow { None } else { number::parse(&reader.text) })
}

/// A numeral on its way.
struct Numeral<'a> {
    stream: &'a mut Stream,
    text: Vec<u8>,
    overflow: bool,
}

impl Numeral<'_> {
    /// Takes the next byte if it is one of these.
    fn take_one(&mut self, set: &[u8]) -> io::Result<bool> {
        self.take_if(|c| set.contains(&c))
    }

    /// Takes digits; answers how many.
    fn take_digits(&mut self, hexadecimal: bool) -> io::Result<usize> {
        let mut count = 0;
        while self.take_if(|c| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() })? {
            count += 1;
        }
        Ok(count)
    }

    fn take_if(&mut self, wanted: impl Fn(u8) -> bool) -> io::Result<bool> {
        let next = self.stream.peek()?.filter(|c| !self.overflow && wanted(*c));
        let Some(c) = next else { return Ok(false) };
        if self.text.len() == MAX_NUMERAL {
            self.overflow = true;
            return Ok(false);
        }
        self.stream.consume(1);
        self.text.push(c);
        Ok(true)
    }
}
