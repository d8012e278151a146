//! `string.pack` and its relatives (manual §6.4.2): a reader of format strings, and what writes and reads one item.

#![forbid(unsafe_code)]

use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::string::c_string;
use perilune_runtime::lua::value::Value;

use super::super::api::{Bytes, arg_error, check_int, check_number, check_string, error, opt_int};
use super::{check_room, give, give_vec, grow, start_position};

/// The largest integer that is packed, in bytes.
const MAX_INTEGER: usize = 16;
/// The largest size of anything.
const MAX_SIZE: usize = i32::MAX as usize;
const WORD: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Signed,
    Unsigned,
    Float,
    Double,
    Fixed,
    Counted,
    Terminated,
    Padding,
    Alignment,
    Nothing,
}

/// One item of a format: `padding` bytes come before it.
#[derive(Clone, Copy, Debug)]
struct Item {
    kind: Kind,
    size: usize,
    padding: usize,
    big_endian: bool,
}

/// What is wrong with a format.
enum FormatError {
    /// Concerns the format as an argument.
    Argument(&'static str),
    Plain(String),
}

/// Reads a format item by item.
struct Format<'a> {
    rest: &'a [u8],
    big_endian: bool,
    max_align: usize,
}

impl<'a> Format<'a> {
    fn new(text: &'a [u8]) -> Format<'a> {
        Format { rest: c_string(text), big_endian: false, max_align: 1 }
    }

    fn number(&mut self) -> Option<usize> {
        let mut n = None;
        while let [c @ b'0'..=b'9', rest @ ..] = self.rest
            && n.unwrap_or(0) <= (MAX_SIZE - 9) / 10
        {
            n = Some(n.unwrap_or(0) * 10 + usize::from(c - b'0'));
            self.rest = rest;
        }
        n
    }

    fn size(&mut self, default: usize) -> Result<usize, FormatError> {
        let n = self.number().unwrap_or(default);
        if (1..=MAX_INTEGER).contains(&n) {
            return Ok(n);
        }
        Err(FormatError::Plain(format!("integral size ({n}) out of limits [1,{MAX_INTEGER}]")))
    }

    fn option(&mut self) -> Result<(Kind, usize), FormatError> {
        let Some((letter, rest)) = self.rest.split_first() else { return Ok((Kind::Nothing, 0)) };
        self.rest = rest;
        Ok(match letter {
            b'b' => (Kind::Signed, 1),
            b'B' => (Kind::Unsigned, 1),
            b'h' => (Kind::Signed, 2),
            b'H' => (Kind::Unsigned, 2),
            b'l' | b'j' => (Kind::Signed, WORD),
            b'L' | b'J' | b'T' => (Kind::Unsigned, WORD),
            b'f' => (Kind::Float, 4),
            b'd' | b'n' => (Kind::Double, 8),
            b'i' => (Kind::Signed, self.size(4)?),
            b'I' => (Kind::Unsigned, self.size(4)?),
            b's' => (Kind::Counted, self.size(WORD)?),
            b'c' => match self.number() {
                Some(n) => (Kind::Fixed, n),
                None => return Err(FormatError::Plain("missing size for format option 'c'".into())),
            },
            b'z' => (Kind::Terminated, 0),
            b'x' => (Kind::Padding, 1),
            b'X' => (Kind::Alignment, 0),
            b' ' => (Kind::Nothing, 0),
            b'<' | b'=' | b'>' => {
                self.big_endian = *letter == b'>';
                (Kind::Nothing, 0)
            }
            b'!' => {
                self.max_align = self.size(8)?;
                (Kind::Nothing, 0)
            }
            c => return Err(FormatError::Plain(format!("invalid format option '{}'", Bytes(&[*c])))),
        })
    }

    /// The next item, which would begin at `offset` but for its alignment.
    fn next(&mut self, offset: usize) -> Result<Option<Item>, FormatError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (kind, size) = self.option()?;
        let mut align = size;
        if kind == Kind::Alignment {
            let followed = !self.rest.is_empty();
            let (next, next_size) = self.option()?;
            if !followed || next == Kind::Fixed || next_size == 0 {
                return Err(FormatError::Argument("invalid next option for option 'X'"));
            }
            align = next_size;
        }
        let mut padding = 0;
        if align > 1 && kind != Kind::Fixed {
            align = align.min(self.max_align);
            if !align.is_power_of_two() {
                return Err(FormatError::Argument("format asks for alignment not power of 2"));
            }
            padding = (align - (offset & (align - 1))) & (align - 1);
        }
        Ok(Some(Item { kind, size, padding, big_endian: self.big_endian }))
    }
}

fn next_item(st: &mut State, f: CallFrame, format: &mut Format<'_>, offset: usize) -> Result<Option<Item>, Raised> {
    match format.next(offset) {
        Ok(item) => Ok(item),
        Err(FormatError::Argument(message)) => Err(arg_error(st, f, 0, message)),
        Err(FormatError::Plain(message)) => Err(error(st, format_args!("{message}"))),
    }
}

/// Appends an integer of `size` bytes; sizes beyond 8 are filled up with `fill`.
fn write_integer(out: &mut Vec<u8>, n: u64, item: Item, fill: u8) {
    let start = out.len();
    out.extend_from_slice(&n.to_le_bytes()[..item.size.min(WORD)]);
    out.resize(start + item.size, fill);
    if item.big_endian {
        out[start..].reverse();
    }
}

fn write_bytes<const N: usize>(out: &mut Vec<u8>, mut little: [u8; N], big_endian: bool) {
    if big_endian {
        little.reverse();
    }
    out.extend_from_slice(&little);
}

pub(super) fn pack(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let text = check_string(st, f, 0)?;
    let mut format = Format::new(text.bytes());
    // Messages speak of one nil behind the arguments, as PUC's do.
    st.push(Value::NIL)?;
    let f = CallFrame { count: f.count + 1, ..f };
    let mut out = Vec::new();
    let mut arg = 0;
    while let Some(item) = next_item(st, f, &mut format, out.len())? {
        grow(st, &mut out, item.padding + item.size)?;
        out.resize(out.len() + item.padding, 0);
        match item.kind {
            Kind::Padding => out.push(0),
            Kind::Alignment | Kind::Nothing => {}
            _ => {
                arg += 1;
                pack_item(st, f, arg, item, &mut out)?;
            }
        }
    }
    give_vec(st, out)
}

fn pack_item(st: &mut State, f: CallFrame, arg: usize, item: Item, out: &mut Vec<u8>) -> Result<(), Raised> {
    let bits = item.size * 8;
    match item.kind {
        Kind::Signed => {
            let n = check_int(st, f, arg)?;
            if item.size < WORD && !(-(1i64 << (bits - 1))..1i64 << (bits - 1)).contains(&n) {
                return Err(arg_error(st, f, arg, "integer overflow"));
            }
            write_integer(out, n as u64, item, if n < 0 { 0xff } else { 0 });
        }
        Kind::Unsigned => {
            let n = check_int(st, f, arg)? as u64;
            if item.size < WORD && n >= 1 << bits {
                return Err(arg_error(st, f, arg, "unsigned overflow"));
            }
            write_integer(out, n, item, 0);
        }
        Kind::Float => {
            let n = check_number(st, f, arg)?;
            write_bytes(out, (n as f32).to_le_bytes(), item.big_endian);
        }
        Kind::Double => {
            let n = check_number(st, f, arg)?;
            write_bytes(out, n.to_le_bytes(), item.big_endian);
        }
        _ => {
            let s = check_string(st, f, arg)?;
            pack_string(st, f, arg, s.bytes(), item, out)?;
        }
    }
    Ok(())
}

fn pack_string(
    st: &mut State,
    f: CallFrame,
    arg: usize,
    s: &[u8],
    item: Item,
    out: &mut Vec<u8>,
) -> Result<(), Raised> {
    grow(st, out, s.len() + item.size + 1)?;
    match item.kind {
        Kind::Fixed => {
            if s.len() > item.size {
                return Err(arg_error(st, f, arg, "string longer than given size"));
            }
            out.extend_from_slice(s);
            out.resize(out.len() + item.size - s.len(), 0);
        }
        Kind::Counted => {
            if item.size < WORD && s.len() >= 1 << (item.size * 8) {
                return Err(arg_error(st, f, arg, "string length does not fit in given size"));
            }
            write_integer(out, s.len() as u64, item, 0);
            out.extend_from_slice(s);
        }
        _ => {
            if s.contains(&0) {
                return Err(arg_error(st, f, arg, "string contains zeros"));
            }
            out.extend_from_slice(s);
            out.push(0);
        }
    }
    Ok(())
}

pub(super) fn packsize(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let text = check_string(st, f, 0)?;
    let mut format = Format::new(text.bytes());
    let mut total = 0;
    while let Some(item) = next_item(st, f, &mut format, total)? {
        if matches!(item.kind, Kind::Counted | Kind::Terminated) {
            return Err(arg_error(st, f, 0, "variable-length format"));
        }
        total += item.size + item.padding;
        if total > MAX_SIZE {
            return Err(arg_error(st, f, 0, "format result too large"));
        }
    }
    give(st, Value::integer(total as i64))
}

/// Reads an integer; bytes beyond the eighth must only repeat the sign.
fn read_integer(bytes: &[u8], item: Item, signed: bool) -> Option<i64> {
    let at = |i: usize| if item.big_endian { bytes[item.size - 1 - i] } else { bytes[i] };
    let mut n = 0u64;
    for i in (0..item.size.min(WORD)).rev() {
        n = n << 8 | u64::from(at(i));
    }
    if item.size < WORD {
        let shift = 64 - 8 * item.size as u32;
        return Some(if signed { ((n << shift) as i64) >> shift } else { n as i64 });
    }
    let fill = if signed && (n as i64) < 0 { 0xff } else { 0 };
    (WORD..item.size).all(|i| at(i) == fill).then_some(n as i64)
}

fn read_bytes<const N: usize>(bytes: &[u8], big_endian: bool) -> [u8; N] {
    let mut little = [0; N];
    little.copy_from_slice(&bytes[..N]);
    if big_endian {
        little.reverse();
    }
    little
}

fn check_fits(st: &mut State, item: Item, n: Option<i64>) -> Result<i64, Raised> {
    let size = item.size;
    n.ok_or_else(|| error(st, format_args!("{size}-byte integer does not fit into Lua Integer")))
}

pub(super) fn unpack(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let text = check_string(st, f, 0)?;
    let data = check_string(st, f, 1)?;
    let data = data.bytes();
    let mut at = start_position(opt_int(st, f, 2, 1)?, data.len()) - 1;
    if at > data.len() {
        return Err(arg_error(st, f, 2, "initial position out of string"));
    }
    let mut format = Format::new(text.bytes());
    let mut results = 0;
    while let Some(item) = next_item(st, f, &mut format, at)? {
        if item.padding + item.size > data.len() - at {
            return Err(arg_error(st, f, 1, "data string too short"));
        }
        at += item.padding;
        let bytes = &data[at..];
        at += item.size;
        let value = match item.kind {
            Kind::Signed | Kind::Unsigned => {
                Value::integer(check_fits(st, item, read_integer(bytes, item, item.kind == Kind::Signed))?)
            }
            Kind::Float => Value::float(f64::from(f32::from_le_bytes(read_bytes(bytes, item.big_endian)))),
            Kind::Double => Value::float(f64::from_le_bytes(read_bytes(bytes, item.big_endian))),
            Kind::Fixed => Value::from(st.string(&bytes[..item.size])?),
            Kind::Counted => {
                let len = check_fits(st, item, read_integer(bytes, item, false))? as u64;
                if len > (data.len() - at) as u64 {
                    return Err(arg_error(st, f, 1, "data string too short"));
                }
                let s = st.string(&data[at..at + len as usize])?;
                at += len as usize;
                Value::from(s)
            }
            Kind::Terminated => match bytes.iter().position(|c| *c == 0) {
                Some(len) => {
                    at += len + 1;
                    Value::from(st.string(&bytes[..len])?)
                }
                None => return Err(arg_error(st, f, 1, "unfinished string for format 'z'")),
            },
            Kind::Padding | Kind::Alignment | Kind::Nothing => continue,
        };
        check_room(st, 2, "too many results")?;
        st.push(value)?;
        results += 1;
    }
    st.push(Value::integer(at as i64 + 1))?;
    Ok(results + 1)
}
