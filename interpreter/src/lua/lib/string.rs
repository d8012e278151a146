//! `string` (manual §6.4), but for patterns' and formats' inner works.

#![forbid(unsafe_code)]

use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{NativeFn, NativeFunction};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::string::Str;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::{Value, tag};

use super::super::api::{
    self, arg_error, arithmetic, call, check_any, check_int, check_number, check_string, error, is_given, opt_int,
    set_natives, to_number, to_string, type_error,
};
use super::format::{self, Spec, SpecError};
use super::pattern::{self, Capture, Matcher, PatternError};
use super::{
    buffer, captured, check_room, end_position, give, give_bytes, give_vec, grow, grow_keeping, new_table, set,
    start_position,
};

/// The longest string that `rep` makes, as in PUC.
const MAX_REPEATED: usize = i32::MAX as usize;
/// Bytes of the largest buffer that is kept for the next time.
const MAX_KEPT: usize = 64 * 1024;

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let string = new_table(st, 20)?;
    set_natives(
        st,
        string,
        &[
            ("byte", byte),
            ("char", char_),
            ("dump", dump),
            ("find", find),
            ("format", format_),
            ("gmatch", gmatch),
            ("gsub", gsub),
            ("len", len),
            ("lower", lower),
            ("match", match_),
            ("rep", rep),
            ("reverse", reverse),
            ("sub", sub),
            ("upper", upper),
            ("pack", super::pack::pack),
            ("packsize", super::pack::packsize),
            ("unpack", super::pack::unpack),
        ],
    )?;
    let meta = new_table(st, 9)?;
    set_natives(
        st,
        meta,
        &[
            ("__add", |st, f| arithmetic_of(st, f, Event::Add)),
            ("__sub", |st, f| arithmetic_of(st, f, Event::Sub)),
            ("__mul", |st, f| arithmetic_of(st, f, Event::Mul)),
            ("__mod", |st, f| arithmetic_of(st, f, Event::Mod)),
            ("__pow", |st, f| arithmetic_of(st, f, Event::Pow)),
            ("__div", |st, f| arithmetic_of(st, f, Event::Div)),
            ("__idiv", |st, f| arithmetic_of(st, f, Event::IDiv)),
            ("__unm", |st, f| arithmetic_of(st, f, Event::Unm)),
        ],
    )?;
    set(st, meta, "__index", Value::from(string))?;
    st.set_type_metatable(tag::STRING, Some(meta))?;
    Ok(string)
}

/// An arithmetic metamethod of strings: they are converted if they look like numbers; otherwise it is the other
/// operand's turn.
fn arithmetic_of(st: &mut State, f: CallFrame, event: Event) -> Result<u32, Raised> {
    let (a, b) = (st.arg(f, 0), st.arg(f, 1));
    if let (Some(x), Some(y)) = (to_number(a), to_number(b)) {
        let result = arithmetic(st, event, api::number_value(x), api::number_value(y))?;
        return give(st, result);
    }
    let handler = if b.is_string() { Value::NIL } else { api::metafield(st, b, event) };
    if handler.is_nil() {
        let (name, a, b) = (&event.text()[2..], a.type_name(), b.type_name());
        return Err(error(st, format_args!("attempt to {name} a '{a}' with a '{b}'")));
    }
    for value in [handler, a, b] {
        st.push(value)?;
    }
    call(st, 2, 1)?;
    Ok(1)
}

/// A function as a binary chunk.
fn dump(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let function = api::check_function(st, f, 0)?;
    let strip = !st.arg(f, 1).is_falsy();
    match function.as_lua_function() {
        Some(function) => give_vec(st, crate::lua::binary::dump(function.proto(), strip)),
        None => Err(error(st, format_args!("unable to dump given function"))),
    }
}

// ---- parts and simple transformations

fn len(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    give(st, Value::integer(s.len() as i64))
}

fn sub(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let start = start_position(check_int(st, f, 1)?, s.len());
    let end = end_position(opt_int(st, f, 2, -1)?, s.len());
    if start > end {
        return give_bytes(st, b"");
    }
    if start == 1 && end == s.len() {
        return give(st, Value::from(s));
    }
    give_bytes(st, &s.bytes()[start - 1..end])
}

fn byte(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let first = opt_int(st, f, 1, 1)?;
    let start = start_position(first, s.len());
    let end = end_position(opt_int(st, f, 2, first)?, s.len());
    if start > end {
        return Ok(0);
    }
    let bytes = &s.bytes()[start - 1..end];
    if bytes.len() > 1 {
        if bytes.len() >= i32::MAX as usize {
            return Err(error(st, format_args!("string slice too long")));
        }
        check_room(st, bytes.len(), "string slice too long")?;
    }
    for b in bytes {
        st.push(Value::integer(i64::from(*b)))?;
    }
    Ok(bytes.len() as u32)
}

fn char_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let mut small = [0u8; 16];
    let mut large = Vec::new();
    let count = f.count as usize;
    let bytes = if count <= small.len() {
        &mut small[..count]
    } else {
        large.resize(count, 0);
        &mut large[..]
    };
    for (i, b) in bytes.iter_mut().enumerate() {
        match u8::try_from(check_int(st, f, i)?) {
            Ok(c) => *b = c,
            Err(_) => return Err(arg_error(st, f, i, "value out of range")),
        }
    }
    give_bytes(st, bytes)
}

fn mapped(st: &mut State, f: CallFrame, map: impl FnOnce(&mut [u8])) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let mut bytes = buffer(st, s.len())?;
    bytes.extend_from_slice(s.bytes());
    map(&mut bytes);
    give_vec(st, bytes)
}

fn lower(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    mapped(st, f, <[u8]>::make_ascii_lowercase)
}

fn upper(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    mapped(st, f, <[u8]>::make_ascii_uppercase)
}

fn reverse(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    mapped(st, f, <[u8]>::reverse)
}

fn rep(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let n = check_int(st, f, 1)?;
    let separator = api::opt_string(st, f, 2)?;
    let separator = separator.as_ref().map_or(&b""[..], |s| s.bytes());
    if n <= 0 {
        return give_bytes(st, b"");
    }
    let piece = s.len() + separator.len();
    if piece == 0 {
        return give_bytes(st, b"");
    }
    if piece > MAX_REPEATED / usize::try_from(n).unwrap_or(usize::MAX) {
        return Err(error(st, format_args!("resulting string too large")));
    }
    let n = n as usize;
    let total = n * piece - separator.len();
    let mut bytes = buffer(st, total)?;
    if separator.is_empty() && s.len() == 1 {
        bytes.resize(total, s.bytes()[0]);
    } else if total > 0 {
        bytes.extend_from_slice(s.bytes());
        if n > 1 {
            // What is there already, from the second piece on, is doubled as long as that fits.
            bytes.extend_from_slice(separator);
            while bytes.len() < total {
                let more = (total - bytes.len()).min(bytes.len());
                bytes.extend_from_within(..more);
            }
        }
    }
    give_vec(st, bytes)
}

// ---- patterns

fn pattern_error(st: &mut State, e: PatternError) -> Raised {
    error(st, format_args!("{e}"))
}

fn push_capture(st: &mut State, capture: Result<Capture<'_>, PatternError>) -> Result<(), Raised> {
    let value = match capture {
        Ok(Capture::Text(text)) => Value::from(st.string(text)?),
        Ok(Capture::Position(p)) => Value::integer(p as i64),
        Err(e) => return Err(pattern_error(st, e)),
    };
    st.push(value)
}

/// Pushes the captures of a match; the whole match if there are none and `whole` is set.
fn push_captures(st: &mut State, m: &Matcher<'_>, start: usize, end: usize, whole: bool) -> Result<u32, Raised> {
    let n = if m.captures() == 0 && whole { 1 } else { m.captures() };
    st.check_stack(n)?;
    for i in 0..n {
        push_capture(st, m.capture(i, start, end))?;
    }
    Ok(n as u32)
}

fn find(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    search(st, f, true)
}

fn match_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    search(st, f, false)
}

fn search(st: &mut State, f: CallFrame, find: bool) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let p = check_string(st, f, 1)?;
    let init = start_position(opt_int(st, f, 2, 1)?, s.len()) - 1;
    if init > s.len() {
        return give(st, Value::NIL);
    }
    if find && (!st.arg(f, 3).is_falsy() || pattern::is_plain(p.bytes())) {
        return match pattern::find_plain(&s.bytes()[init..], p.bytes()) {
            Some(at) => give_range(st, init + at, init + at + p.len()),
            None => give(st, Value::NIL),
        };
    }
    let (anchored, pattern) = split_anchor(p.bytes());
    let mut m = Matcher::new(s.bytes(), pattern);
    let found = if anchored { m.match_at(init).map(|end| end.map(|end| (init, end))) } else { m.search(init) };
    match found {
        Err(e) => Err(pattern_error(st, e)),
        Ok(None) => give(st, Value::NIL),
        Ok(Some((start, end))) if find => {
            give_range(st, start, end)?;
            Ok(2 + push_captures(st, &m, start, end, false)?)
        }
        Ok(Some((start, end))) => push_captures(st, &m, start, end, true),
    }
}

fn give_range(st: &mut State, start: usize, end: usize) -> Result<u32, Raised> {
    st.push(Value::integer(start as i64 + 1))?;
    st.push(Value::integer(end as i64))?;
    Ok(2)
}

fn split_anchor(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    }
}

fn gmatch(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let p = check_string(st, f, 1)?;
    let init = (start_position(opt_int(st, f, 2, 1)?, s.len()) - 1).min(s.len() + 1);
    let state = [Value::from(s), Value::from(p), Value::integer(init as i64), Value::integer(-1)];
    let step = st.heap.native(gmatch_step, perilune_runtime::lua::function::Special::None, &state)?;
    give(st, Value::from(step))
}

/// Whether a native function is an iterator that `gmatch` has made. It has no effects before all that may fail, if no frames stand.
pub fn is_match_iterator(f: Gc<NativeFunction>) -> bool {
    std::ptr::fn_addr_eq(f.function(), gmatch_step as NativeFn)
}

/// The iterator of `gmatch`. It has captured the subject, the pattern, where to go on and where the last match ended.
fn gmatch_step(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (Some(s), Some(p)) = (captured(st, f, 0).as_string(), captured(st, f, 1).as_string()) else { return Ok(0) };
    let from = captured(st, f, 2).raw_integer() as usize;
    let last = captured(st, f, 3).raw_integer();
    let mut m = Matcher::new(s.bytes(), p.bytes());
    match search_again(&mut m, s, from, last) {
        Err(e) => Err(pattern_error(st, e)),
        Ok(None) => {
            set_position(st, f, s.len() as i64 + 1, last);
            Ok(0)
        }
        Ok(Some((start, end))) => {
            let pushed = push_captures(st, &m, start, end, true);
            if pushed.is_ok() || !st.bare {
                set_position(st, f, end as i64, end as i64);
            }
            pushed
        }
    }
}

fn set_position(st: &mut State, f: CallFrame, from: i64, last: i64) {
    if let Some(step) = st.slot(f.base as usize - 1).as_native() {
        step.set_value(&mut st.heap, 2, Value::integer(from));
        step.set_value(&mut st.heap, 3, Value::integer(last));
    }
}

/// Searches for a match that does not end where the last one did.
fn search_again(
    m: &mut Matcher<'_>,
    s: Gc<Str>,
    mut from: usize,
    last: i64,
) -> Result<Option<(usize, usize)>, PatternError> {
    while from <= s.len() {
        match m.search(from)? {
            Some((start, end)) if end as i64 == last => from = start + 1,
            found => return Ok(found),
        }
    }
    Ok(None)
}

// ---- gsub

fn gsub(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let s = check_string(st, f, 0)?;
    let p = check_string(st, f, 1)?;
    let most = opt_int(st, f, 3, s.len() as i64 + 1)?;
    let replacement = st.arg(f, 2);
    if replacement.is_number() {
        check_string(st, f, 2)?;
    } else if !(replacement.is_string() || replacement.is_table() || replacement.is_function()) {
        return Err(type_error(st, f, 2, "string/function/table"));
    }
    let replacement = st.arg(f, 2);
    let (anchored, pattern) = split_anchor(p.bytes());
    let subject = s.bytes();
    let mut m = Matcher::new(subject, pattern);
    let (mut from, mut last, mut count, mut changed) = (0, None, 0, false);
    let mut out = Vec::new();
    while count < most {
        let found = if anchored { m.match_at(from).map(|e| e.map(|e| (from, e))) } else { m.search(from) };
        let (start, end) = match found {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(e) => return Err(pattern_error(st, e)),
        };
        if last == Some(end) {
            // Matches may not end where another did: one byte on.
            if from >= subject.len() {
                break;
            }
            grow(st, &mut out, 1)?;
            out.push(subject[from]);
            from += 1;
            continue;
        }
        grow(st, &mut out, start - from)?;
        out.extend_from_slice(&subject[from..start]);
        count += 1;
        changed |= replace(st, &m, replacement, (start, end), &mut out)?;
        from = end;
        last = Some(end);
        if anchored {
            break;
        }
    }
    if changed {
        grow(st, &mut out, subject.len() - from)?;
        out.extend_from_slice(&subject[from..]);
        give_vec(st, out)?;
    } else {
        give(st, Value::from(s))?;
    }
    st.push(Value::integer(count))?;
    Ok(2)
}

/// Appends what a match is replaced with. Answers whether that was the replacement's doing.
fn replace(
    st: &mut State,
    m: &Matcher<'_>,
    replacement: Value,
    (start, end): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<bool, Raised> {
    if let Some(text) = replacement.as_string() {
        return expand(st, m, text, (start, end), out).map(|()| true);
    }
    let top = st.top();
    let result = if replacement.is_table() {
        push_capture(st, m.capture(0, start, end))?;
        let key = st.slot(top);
        api::index(st, replacement, key)?
    } else {
        st.push(replacement)?;
        let n = push_captures(st, m, start, end, true)?;
        call(st, n as usize, 1)?;
        st.slot(top)
    };
    st.set_top(top);
    let whole = match m.capture_range(start, end) {
        text if result.is_falsy() => text,
        _ => {
            return match result.tag() {
                tag::STRING | tag::INTEGER | tag::FLOAT => {
                    append_value(st, result, out)?;
                    Ok(true)
                }
                _ => {
                    let name = result.type_name();
                    Err(error(st, format_args!("invalid replacement value (a {name})")))
                }
            };
        }
    };
    grow(st, out, whole.len())?;
    out.extend_from_slice(whole);
    Ok(false)
}

/// Appends a string or a number's text.
fn append_value(st: &State, value: Value, out: &mut Vec<u8>) -> Result<(), Raised> {
    if let Some(s) = value.as_string() {
        grow(st, out, s.len())?;
        out.extend_from_slice(s.bytes());
    } else if let Some(n) = api::number_of(value) {
        perilune_runtime::lua::number::write(n, out);
    }
    Ok(())
}

/// Appends a replacement string, its `%n` filled in.
fn expand(
    st: &mut State,
    m: &Matcher<'_>,
    text: Gc<Str>,
    (start, end): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<(), Raised> {
    let mut rest = text.bytes();
    while let Some(at) = rest.iter().position(|c| *c == b'%') {
        grow(st, out, at)?;
        out.extend_from_slice(&rest[..at]);
        let capture = match rest.get(at + 1) {
            Some(b'%') => Ok(Capture::Text(b"%")),
            Some(b'0') => Ok(Capture::Text(m.capture_range(start, end))),
            Some(c @ b'1'..=b'9') => m.capture(usize::from(c - b'1'), start, end),
            _ => return Err(error(st, format_args!("invalid use of '%' in replacement string"))),
        };
        match capture {
            Ok(Capture::Text(text)) => {
                grow(st, out, text.len())?;
                out.extend_from_slice(text);
            }
            Ok(Capture::Position(p)) => perilune_runtime::lua::number::write_int(p as i64, out),
            Err(e) => return Err(pattern_error(st, e)),
        }
        rest = &rest[at + 2..];
    }
    grow(st, out, rest.len())?;
    out.extend_from_slice(rest);
    Ok(())
}

// ---- format

fn format_(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let template = check_string(st, f, 0)?;
    // Room that was used before; calls of `__tostring` in between find none, and take their own.
    let mut out = std::mem::take(&mut st.buffer);
    out.clear();
    format_all(st, f, template.bytes(), &mut out)?;
    if out.capacity() > MAX_KEPT {
        return give_vec(st, out);
    }
    let result = st.heap.string(&out);
    st.buffer = out;
    give(st, Value::from(result?))
}

fn format_all(st: &mut State, f: CallFrame, mut rest: &[u8], out: &mut Vec<u8>) -> Result<(), Raised> {
    let mut arg = 0;
    while let Some(at) = rest.iter().position(|c| *c == b'%') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let [b'%', tail @ ..] = rest {
            out.push(b'%');
            rest = tail;
            continue;
        }
        arg += 1;
        if !is_given(f, arg) {
            return Err(arg_error(st, f, arg, "no value"));
        }
        let len = format_item(st, f, arg, rest, out)?;
        rest = &rest[len..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends an argument under the specification at the start of `text`; answers the specification's length.
fn format_item(st: &mut State, f: CallFrame, arg: usize, text: &[u8], out: &mut Vec<u8>) -> Result<usize, Raised> {
    let mut spec = Spec::default();
    let len = match format::parse(text, &mut spec) {
        Ok(len) => len,
        Err(e) => {
            if let SpecError::Specification(shown) = &e {
                check_before_specification(st, f, arg, shown.last().copied())?;
            }
            return Err(spec_error(st, e));
        }
    };
    match spec.letter {
        b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => format::write_integer(out, &spec, check_int(st, f, arg)?),
        b'c' => format::write_text(out, &spec, &[check_int(st, f, arg)? as u8]),
        b's' if spec.bare => {
            let value = st.arg(f, arg);
            let s = to_string(st, value)?;
            grow_keeping(st, Value::from(s), out, s.len())?;
            out.extend_from_slice(s.bytes());
        }
        b's' => {
            let s = text_without_zeros(st, f, arg)?;
            grow(st, out, s.len() + 100)?;
            format::write_text(out, &spec, s.bytes());
        }
        b'p' => {
            let value = st.arg(f, arg);
            let address = (value.is_collectable() || value.tag() == tag::LIGHT).then(|| value.payload());
            format::write_pointer(out, &spec, address);
        }
        b'q' => quote(st, f, arg, out)?,
        _ => format::write_float(out, &spec, check_number(st, f, arg)?),
    }
    Ok(len)
}

/// An argument of the wrong type is noticed before flags or a width that the conversion does not allow.
fn check_before_specification(st: &mut State, f: CallFrame, arg: usize, letter: Option<u8>) -> Result<(), Raised> {
    match letter {
        Some(b'd' | b'i' | b'u' | b'o' | b'x' | b'X') => drop(check_int(st, f, arg)?),
        Some(b'e' | b'E' | b'f' | b'g' | b'G') => drop(check_number(st, f, arg)?),
        Some(b's') => drop(text_without_zeros(st, f, arg)?),
        _ => {}
    }
    Ok(())
}

/// An argument as text that is cut or padded.
fn text_without_zeros(st: &mut State, f: CallFrame, arg: usize) -> Result<Gc<Str>, Raised> {
    let value = st.arg(f, arg);
    let s = to_string(st, value)?;
    if s.bytes().contains(&0) { Err(arg_error(st, f, arg, "string contains zeros")) } else { Ok(s) }
}

fn spec_error(st: &mut State, e: SpecError) -> Raised {
    let mut message = match e {
        SpecError::TooLong => return error(st, format_args!("invalid format (too long)")),
        SpecError::Quoted => return error(st, format_args!("specifier '%q' cannot have modifiers")),
        SpecError::Conversion(text) => [b"invalid conversion '", &text[..], b"' to 'format'"].concat(),
        SpecError::Specification(text) => [b"invalid conversion specification: '", &text[..], b"'"].concat(),
    };
    let mut text = api::where_(st, 1);
    text.append(&mut message);
    st.raise_text(&text)
}

fn quote(st: &mut State, f: CallFrame, arg: usize, out: &mut Vec<u8>) -> Result<(), Raised> {
    let value = check_any(st, f, arg)?;
    match value.tag() {
        tag::NIL => out.extend_from_slice(b"nil"),
        tag::BOOLEAN => out.extend_from_slice(if value.is_falsy() { b"false" } else { b"true" }),
        tag::INTEGER => format::write_integer_literal(out, value.raw_integer()),
        tag::FLOAT => format::write_float_literal(out, value.raw_float()),
        _ => match value.as_string() {
            Some(s) => {
                grow(st, out, s.len() * 4 + 2)?;
                format::write_quoted(out, s.bytes());
            }
            None => return Err(arg_error(st, f, arg, "value has no literal form")),
        },
    }
    Ok(())
}
