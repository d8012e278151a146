//! `utf8` (manual §6.5).

#![forbid(unsafe_code)]

use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::Value;

use super::super::api::{arg_error, check_int, check_string, error, opt_int, set_natives};
use super::{closure, give, give_vec, new_table, set};

/// The largest code that the original UTF-8, of up to six bytes, can express.
const MAX_CODE: u32 = 0x7fff_ffff;
const INVALID: &str = "invalid UTF-8 code";

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let utf8 = new_table(st, 6)?;
    set_natives(st, utf8, &[("char", char_), ("codepoint", codepoint), ("len", len), ("offset", offset)])?;
    let strict = closure(st, next_code, Value::TRUE)?;
    let lax = closure(st, next_code, Value::FALSE)?;
    let codes = st.heap.native(codes, perilune_runtime::lua::function::Special::None, &[strict, lax])?;
    set(st, utf8, "codes", Value::from(codes))?;
    let pattern = Value::from(st.string(b"[\0-\x7f\xc2-\xfd][\x80-\xbf]*")?);
    set(st, utf8, "charpattern", pattern)?;
    Ok(utf8)
}

/// Appends a code's bytes, up to six of them.
pub(super) fn encode(code: u32, out: &mut Vec<u8>) {
    if code < 0x80 {
        return out.push(code as u8);
    }
    // The first byte has as many leading ones as there are bytes.
    let count = match code {
        0..0x800 => 2,
        0x800..0x1_0000 => 3,
        0x1_0000..0x20_0000 => 4,
        0x20_0000..0x400_0000 => 5,
        _ => 6,
    };
    out.push((0xff00u32 >> count) as u8 | (code >> (6 * (count - 1))) as u8);
    for i in (0..count - 1).rev() {
        out.push(0x80 | (code >> (6 * i) & 0x3f) as u8);
    }
}

/// The code at the start of the text, and its length in bytes. `strict`: no surrogates, nothing beyond 0x10FFFF.
fn decode(text: &[u8], strict: bool) -> Option<(u32, usize)> {
    let first = *text.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let count = first.leading_ones() as usize;
    if !(2..=6).contains(&count) {
        return None;
    }
    let mut code = u32::from(first) & (0x7f >> count);
    for c in text.get(1..count)? {
        if !is_continuation(*c) {
            return None;
        }
        code = code << 6 | u32::from(c & 0x3f);
    }
    // A code must not be longer than it need be.
    const LEAST: [u32; 7] = [0, 0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000];
    if code < LEAST[count] || strict && (code > 0x10_ffff || (0xd800..0xe000).contains(&code)) {
        return None;
    }
    Some((code, count))
}

fn is_continuation(c: u8) -> bool {
    c & 0xc0 == 0x80
}

fn continues_at(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|c| is_continuation(*c))
}

/// A position as given: negative ones count from the end, those before the start are 0.
fn relative(position: i64, len: usize) -> i64 {
    if position >= 0 { position } else { (len as i64).saturating_add(position).saturating_add(1).max(0) }
}

fn char_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let mut out = Vec::with_capacity(f.count as usize);
    for i in 0..f.count as usize {
        match u32::try_from(check_int(st, f, i)?) {
            Ok(code) if code <= MAX_CODE => encode(code, &mut out),
            _ => return Err(arg_error(st, f, i, "value out of range")),
        }
    }
    give_vec(st, out)
}

fn codepoint(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let text = s.bytes();
    let first = relative(opt_int(st, f, 1, 1)?, text.len());
    let last = relative(opt_int(st, f, 2, first)?, text.len());
    let strict = st.arg(f, 3).is_falsy();
    if first < 1 {
        return Err(arg_error(st, f, 1, "out of bounds"));
    }
    if last > text.len() as i64 {
        return Err(arg_error(st, f, 2, "out of bounds"));
    }
    if first > last {
        return Ok(0);
    }
    let (mut at, last) = (first as usize - 1, last as usize);
    if last - at >= i32::MAX as usize {
        return Err(error(st, format_args!("string slice too long")));
    }
    let mut count = 0;
    while at < last {
        let Some((code, len)) = decode(&text[at..], strict) else {
            return Err(error(st, format_args!("{INVALID}")));
        };
        st.push(Value::integer(i64::from(code)))?;
        count += 1;
        at += len;
    }
    Ok(count)
}

fn len(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let text = s.bytes();
    let first = relative(opt_int(st, f, 1, 1)?, text.len());
    let last = relative(opt_int(st, f, 2, -1)?, text.len());
    let strict = st.arg(f, 3).is_falsy();
    if first < 1 || first - 1 > text.len() as i64 {
        return Err(arg_error(st, f, 1, "initial position out of bounds"));
    }
    if last > text.len() as i64 {
        return Err(arg_error(st, f, 2, "final position out of bounds"));
    }
    let (mut at, last) = (first as usize - 1, last as usize);
    let mut count = 0;
    while at < last {
        match decode(&text[at..], strict) {
            Some((_, len)) => at += len,
            None => {
                st.push(Value::NIL)?;
                st.push(Value::integer(at as i64 + 1))?;
                return Ok(2);
            }
        }
        count += 1;
    }
    give(st, Value::integer(count))
}

fn offset(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let text = s.bytes();
    let mut n = check_int(st, f, 1)?;
    let default = if n >= 0 { 1 } else { text.len() as i64 + 1 };
    let position = relative(opt_int(st, f, 2, default)?, text.len());
    if position < 1 || position - 1 > text.len() as i64 {
        return Err(arg_error(st, f, 2, "position out of bounds"));
    }
    let mut at = position as usize - 1;
    if n == 0 {
        while at > 0 && continues_at(text, at) {
            at -= 1;
        }
        return give(st, Value::integer(at as i64 + 1));
    }
    if continues_at(text, at) {
        return Err(error(st, format_args!("initial position is a continuation byte")));
    }
    if n < 0 {
        while n < 0 && at > 0 {
            at -= 1;
            while at > 0 && continues_at(text, at) {
                at -= 1;
            }
            n += 1;
        }
    } else {
        n -= 1;
        while n > 0 && at < text.len() {
            at += 1;
            while continues_at(text, at) {
                at += 1;
            }
            n -= 1;
        }
    }
    give(st, if n == 0 { Value::integer(at as i64 + 1) } else { Value::NIL })
}

/// It has captured the strict and the lax iterator.
fn codes(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    if continues_at(s.bytes(), 0) {
        return Err(arg_error(st, f, 0, INVALID));
    }
    let lax = !st.arg(f, 1).is_falsy();
    let step = super::captured(st, f, usize::from(lax));
    for value in [step, Value::from(s), Value::integer(0)] {
        st.push(value)?;
    }
    Ok(3)
}

fn next_code(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let text = s.bytes();
    let strict = !super::captured(st, f, 0).is_falsy();
    // The position of the last code is the index of the byte behind its first.
    let mut at = usize::try_from(check_int(st, f, 1)?).unwrap_or(usize::MAX);
    while continues_at(text, at) {
        at += 1;
    }
    if at >= text.len() {
        return Ok(0);
    }
    match decode(&text[at..], strict) {
        Some((code, len)) if !continues_at(text, at + len) => {
            st.push(Value::integer(at as i64 + 1))?;
            st.push(Value::integer(i64::from(code)))?;
            Ok(2)
        }
        _ => Err(error(st, format_args!("{INVALID}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_as_they_went() {
        for code in
            [0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x1_0000, 0x10_ffff, 0x1f_ffff, 0x20_0000, 0x3ff_ffff, MAX_CODE]
        {
            let mut bytes = Vec::new();
            encode(code, &mut bytes);
            assert_eq!(decode(&bytes, false), Some((code, bytes.len())), "{code:#x}");
            assert_eq!(decode(&bytes, true).is_some(), code <= 0x10_ffff, "{code:#x}");
            assert_eq!(decode(&bytes[..bytes.len() - 1], false), None, "{code:#x}");
        }
        let mut bytes = Vec::new();
        encode(0x20ac, &mut bytes);
        assert_eq!(bytes, "€".as_bytes());
        assert_eq!(decode(b"\xc0\x80", false), None);
        assert_eq!(decode(b"\xed\xa0\x80", true), None);
        assert_eq!(decode(b"\xed\xa0\x80", false), Some((0xd800, 3)));
        assert_eq!(decode(b"\x80", false), None);
        assert_eq!(decode(b"\xff", false), None);
    }
}
