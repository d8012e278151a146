//! What `string.format` prints: one conversion specification at a time, as C's `printf` would in the "C" locale.
//!
//! Digits of floats come from [`decimal`]; sign, upper case and padding are added here.

#![forbid(unsafe_code)]

use std::io::Write;

use perilune_runtime::lua::decimal;
use perilune_runtime::lua::number::write_nonfinite;
use perilune_runtime::lua::string::c_string;

/// Longest specification between `%` and the conversion's letter, in bytes.
const MAX_SPEC: usize = 22;

/// A conversion specification.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    alternative: bool,
    zero: bool,
    width: usize,
    /// Digits or bytes wanted, if given.
    pub precision: Option<usize>,
    /// The conversion's letter.
    pub letter: u8,
    /// Has neither flags nor width nor precision.
    pub bare: bool,
}

/// Why a specification is no good; carries the text to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SpecError {
    /// It is too long.
    TooLong,
    /// There is no such conversion.
    Conversion(Vec<u8>),
    /// The conversion does not allow these flags, this width or precision.
    Specification(Vec<u8>),
    /// `%q` takes none of these.
    Quoted,
}

/// Reads the specification at the start of `text`, which stands behind a `%`, into `spec`. Answers its length. (Moved as a
/// whole after it was written in parts, it would make the processor wait.)
pub fn parse(text: &[u8], spec: &mut Spec) -> Result<usize, SpecError> {
    let len = text.iter().take_while(|c| matches!(c, b'-' | b'+' | b' ' | b'#' | b'.' | b'0'..=b'9')).count();
    if len + 1 >= MAX_SPEC {
        return Err(SpecError::TooLong);
    }
    let shown = || [b"%", c_string(&text[..text.len().min(len + 1)])].concat();
    let letter = text.get(len).copied().unwrap_or(0);
    let (flags, with_precision): (&[u8], bool) = match letter {
        b'd' | b'i' => (b"-+0 ", true),
        b'u' => (b"-0", true),
        b'o' | b'x' | b'X' => (b"-#0", true),
        b'a' | b'A' | b'e' | b'E' | b'f' | b'g' | b'G' => (b"-+ #0", true),
        b'c' | b'p' => (b"-", false),
        b's' => (b"-", true),
        b'q' if len == 0 => (b"", false),
        b'q' => return Err(SpecError::Quoted),
        _ => return Err(SpecError::Conversion(shown())),
    };
    *spec = Spec { letter, bare: len == 0, ..Spec::default() };
    let mut rest = &text[..len];
    while let [flag, tail @ ..] = rest
        && flags.contains(flag)
    {
        match flag {
            b'-' => spec.minus = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alternative = true,
            _ => spec.zero = true,
        }
        rest = tail;
    }
    if rest.first() != Some(&b'0') {
        (spec.width, rest) = two_digits(rest);
        if let [b'.', tail @ ..] = rest
            && with_precision
        {
            let (precision, tail) = two_digits(tail);
            spec.precision = Some(precision);
            rest = tail;
        }
    }
    if rest.is_empty() { Ok(len + 1) } else { Err(SpecError::Specification(shown())) }
}

fn two_digits(text: &[u8]) -> (usize, &[u8]) {
    let n = text.iter().take(2).take_while(|c| c.is_ascii_digit()).count();
    (text[..n].iter().fold(0, |n, c| n * 10 + usize::from(c - b'0')), &text[n..])
}

/// Pads what was appended from `start` on to the width: by spaces, or by zeros behind the `prefix` that it begins with.
fn pad(out: &mut Vec<u8>, spec: &Spec, zeros: bool, start: usize, prefix: usize) {
    let (len, fill) = (out.len(), spec.width.saturating_sub(out.len() - start));
    if fill == 0 {
        return;
    }
    let (with, at) = match (spec.minus, zeros) {
        (true, _) => (b' ', len),
        (false, true) => (b'0', start + prefix),
        (false, false) => (b' ', start),
    };
    out.resize(len + fill, with);
    if at < len {
        out[at..].rotate_right(fill);
    }
}

fn sign(spec: &Spec, negative: bool) -> &'static [u8] {
    match (negative, spec.plus, spec.space) {
        (true, ..) => b"-",
        (_, true, _) => b"+",
        (_, _, true) => b" ",
        _ => b"",
    }
}

/// Appends an integer under `%d %i %u %o %x %X`.
pub fn write_integer(out: &mut Vec<u8>, spec: &Spec, n: i64) {
    if spec.bare && spec.letter == b'd' {
        return perilune_runtime::lua::number::write_int(n, out);
    }
    let signed = matches!(spec.letter, b'd' | b'i');
    let mut buffer = [0u8; 24];
    let mut at = buffer.len();
    let mut rest = if signed { n.unsigned_abs() } else { n as u64 };
    // Bits of a digit; 0 for decimal ones.
    let bits = match spec.letter {
        b'o' => 3,
        b'x' | b'X' => 4,
        _ => 0,
    };
    let digits = if spec.letter == b'X' { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    while rest > 0 {
        let (digit, more) = if bits == 0 { (rest % 10, rest / 10) } else { (rest & ((1 << bits) - 1), rest >> bits) };
        at -= 1;
        buffer[at] = digits[digit as usize];
        rest = more;
    }
    let digits = &buffer[at..];
    let prefix: &[u8] = match spec.letter {
        b'x' if spec.alternative && n != 0 => b"0x",
        b'X' if spec.alternative && n != 0 => b"0X",
        _ if signed => sign(spec, n < 0),
        _ => b"",
    };
    let mut least = spec.precision.unwrap_or(1);
    if spec.letter == b'o' && spec.alternative {
        least = least.max(digits.len() + 1);
    }
    let start = out.len();
    out.extend_from_slice(prefix);
    out.resize(out.len() + least.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
    pad(out, spec, spec.zero && spec.precision.is_none(), start, prefix.len());
}

/// Appends text under `%s` or `%c`.
pub fn write_text(out: &mut Vec<u8>, spec: &Spec, text: &[u8]) {
    let len = spec.precision.map_or(text.len(), |p| p.min(text.len()));
    let start = out.len();
    out.extend_from_slice(&text[..len]);
    pad(out, spec, false, start, 0);
}

/// Appends an address under `%p`; none is `(null)`.
pub fn write_pointer(out: &mut Vec<u8>, spec: &Spec, address: Option<u64>) {
    let start = out.len();
    match address {
        // Writing into a vector cannot fail.
        Some(a) => drop(write!(out, "{a:#x}")),
        None => out.extend_from_slice(b"(null)"),
    }
    pad(out, spec, false, start, 0);
}

/// Appends a float under `%a %A %e %E %f %g %G`.
pub fn write_float(out: &mut Vec<u8>, spec: &Spec, f: f64) {
    let start = out.len();
    out.extend_from_slice(sign(spec, f.is_sign_negative()));
    let body = out.len();
    let magnitude = f.abs();
    let precision = spec.precision.unwrap_or(6);
    if write_nonfinite(magnitude, out) {
        // Zeros do not go in front of words.
    } else if matches!(spec.letter, b'a' | b'A') {
        hexadecimal(out, magnitude, spec);
    } else if spec.letter == b'f' {
        decimal::fixed(magnitude, precision, out);
        if spec.alternative && precision == 0 {
            out.push(b'.');
        }
    } else if matches!(spec.letter, b'e' | b'E') {
        decimal::exponential(magnitude, precision, spec.alternative, out);
    } else {
        decimal::general(magnitude, precision, spec.alternative, out);
    }
    if spec.letter.is_ascii_uppercase() {
        out[body..].make_ascii_uppercase();
    }
    // They go behind a `0x`.
    let prefix = body - start + if matches!(spec.letter, b'a' | b'A') { 2 } else { 0 };
    pad(out, spec, spec.zero && f.is_finite(), start, prefix);
}

/// `0xh.hhhp±d`. Subnormals keep the exponent -1022 and a leading 0.
fn hexadecimal(body: &mut Vec<u8>, f: f64, spec: &Spec) {
    let bits = f.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = (bits >> 52) as i32;
    let (mut mantissa, exponent) = match (biased, fraction) {
        (0, 0) => (0, 0),
        (0, _) => (fraction, -1022),
        _ => (fraction | 1 << 52, biased - 1023),
    };
    let mut digits = 13;
    match spec.precision {
        Some(p) if p < 13 => {
            let drop = 4 * (13 - p);
            let half = 1u64 << (drop - 1);
            let cut = mantissa & ((half << 1) - 1);
            mantissa >>= drop;
            if cut > half || (cut == half && mantissa & 1 == 1) {
                mantissa += 1;
            }
            digits = p;
        }
        Some(_) => {}
        None => {
            while digits > 0 && mantissa & 15 == 0 {
                mantissa >>= 4;
                digits -= 1;
            }
        }
    }
    let whole = mantissa >> (4 * digits);
    let _ = write!(body, "0x{whole}");
    let wanted = spec.precision.unwrap_or(digits);
    if wanted > 0 || spec.alternative {
        body.push(b'.');
    }
    if digits > 0 {
        let _ = write!(body, "{:0digits$x}", mantissa & ((1 << (4 * digits)) - 1));
    }
    body.extend(std::iter::repeat_n(b'0', wanted - digits));
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(body, "p{sign}{}", exponent.unsigned_abs());
}

/// Appends a string as a literal that reads back as the same string.
pub fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for (i, c) in text.iter().enumerate() {
        match c {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', *c]),
            c if c.is_ascii_control() => {
                let digit_follows = text.get(i + 1).is_some_and(u8::is_ascii_digit);
                let _ = if digit_follows { write!(out, "\\{c:03}") } else { write!(out, "\\{c}") };
            }
            c => out.push(*c),
        }
    }
    out.push(b'"');
}

/// Appends an integer as a literal that reads back as the same integer.
pub fn write_integer_literal(out: &mut Vec<u8>, n: i64) {
    if n == i64::MIN {
        out.extend_from_slice(b"0x8000000000000000");
    } else {
        perilune_runtime::lua::number::write_int(n, out);
    }
}

/// Appends a float as an expression that reads back as the same float.
pub fn write_float_literal(out: &mut Vec<u8>, f: f64) {
    if f.is_nan() {
        out.extend_from_slice(b"(0/0)");
    } else if f.is_infinite() {
        out.extend_from_slice(if f > 0.0 { b"1e9999" } else { b"-1e9999" });
    } else {
        write_float(out, &Spec { letter: b'a', ..Spec::default() }, f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Item<'a> {
        Int(i64),
        Float(f64),
        Text(&'a str),
    }
    use Item::{Float, Int, Text};

    #[track_caller]
    fn check(format: &str, item: Item<'_>, expected: &str) {
        let mut spec = Spec::default();
        let len = parse(&format.as_bytes()[1..], &mut spec).unwrap();
        assert_eq!(len + 1, format.len());
        let mut out = Vec::new();
        match item {
            Int(i) => write_integer(&mut out, &spec, i),
            Float(f) => write_float(&mut out, &spec, f),
            Text(t) => write_text(&mut out, &spec, t.as_bytes()),
        }
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format}");
    }

    #[test]
    fn integers() {
        check("%d", Int(-7), "-7");
        check("%5d", Int(42), "   42");
        check("%-5d", Int(42), "42   ");
        check("%05d", Int(-42), "-0042");
        check("%+d", Int(42), "+42");
        check("% d", Int(42), " 42");
        check("%.5d", Int(42), "00042");
        check("%8.3d", Int(-42), "    -042");
        check("%08.3d", Int(42), "     042");
        check("%.0d", Int(0), "");
        check("%x", Int(-1), "ffffffffffffffff");
        check("%#x", Int(255), "0xff");
        check("%#X", Int(255), "0XFF");
        check("%#x", Int(0), "0");
        check("%#o", Int(8), "010");
        check("%#o", Int(0), "0");
        check("%u", Int(-1), "18446744073709551615");
        check("%08x", Int(255), "000000ff");
    }

    #[test]
    fn floats() {
        check("%5.1f", Float(3.15159), "  3.2");
        check("%-10.3e|".trim_end_matches('|'), Float(31415.9), "3.142e+04 ");
        check("%+g", Float(1.5), "+1.5");
        check("%#.0f", Float(2.0), "2.");
        check("%010.2f", Float(-3.15159), "-000003.15");
        check("%g", Float(1e20), "1e+20");
        check("%g", Float(1e-5), "1e-05");
        check("%g", Float(100000.0), "100000");
        check("%g", Float(1e6), "1e+06");
        check("%g", Float(0.0), "0");
        check("%.0f", Float(0.5), "0");
        check("%.0f", Float(1.5), "2");
        check("%.0f", Float(-0.4), "-0");
        check("%.3f", Float(2.0625), "2.062");
        check("%.2f", Float(0.375), "0.38");
        check("%.1e", Float(1.25), "1.2e+00");
        check("%#g", Float(1.0), "1.00000");
        check("%.3g", Float(0.00012345), "0.000123");
        check("%.3g", Float(999.9), "1e+03");
        check("%G", Float(1e-10), "1E-10");
        check("%e", Float(0.0), "0.000000e+00");
        check("%.14g", Float(0.1), "0.1");
        check("%.20f", Float(0.1), "0.10000000000000000555");
        check("%5.1f", Float(f64::INFINITY), "  inf");
        check("%010f", Float(f64::NEG_INFINITY), "      -inf");
        check("%E", Float(f64::NAN.copysign(1.0)), "NAN");
    }

    #[test]
    fn hexadecimal_floats() {
        check("%a", Float(0.0), "0x0p+0");
        check("%a", Float(-0.0), "-0x0p+0");
        check("%a", Float(1.0 / 3.0), "0x1.5555555555555p-2");
        check("%a", Float(5e-324), "0x0.0000000000001p-1022");
        check("%.0a", Float(1.5), "0x2p+0");
        check("%.1a", Float(1.96875), "0x2.0p+0");
        check("%.3a", Float(5e-324), "0x0.000p-1022");
        check("%.15a", Float(1.5), "0x1.800000000000000p+0");
        check("%10a", Float(1.0), "    0x1p+0");
        check("%010a", Float(1.0), "0x00001p+0");
        check("%A", Float(255.5), "0X1.FFP+7");
        check("%#a", Float(1.0), "0x1.p+0");
    }

    #[test]
    fn text_and_literals() {
        check("%5s", Text("ab"), "   ab");
        check("%-5s", Text("ab"), "ab   ");
        check("%.1s", Text("ab"), "a");
        check("%4.1s", Text("ab"), "   a");
        let mut out = Vec::new();
        write_quoted(&mut out, b"a\n\r\x001\0a\"\\\x7f");
        assert_eq!(out, b"\"a\\\n\\13\\0001\\0a\\\"\\\\\\127\"");
        let mut out = Vec::new();
        write_float_literal(&mut out, 0.5);
        write_integer_literal(&mut out, i64::MIN);
        assert_eq!(out, b"0x1p-10x8000000000000000");
    }

    #[test]
    fn what_is_refused() {
        let error = |s: &str| parse(s.as_bytes(), &mut Spec::default()).unwrap_err();
        assert_eq!(error("y"), SpecError::Conversion(b"%y".to_vec()));
        assert_eq!(error(""), SpecError::Conversion(b"%".to_vec()));
        assert_eq!(error("5"), SpecError::Conversion(b"%5".to_vec()));
        assert_eq!(error("F"), SpecError::Conversion(b"%F".to_vec()));
        assert_eq!(error("123d"), SpecError::Specification(b"%123d".to_vec()));
        assert_eq!(error("#d"), SpecError::Specification(b"%#d".to_vec()));
        assert_eq!(error("05s"), SpecError::Specification(b"%05s".to_vec()));
        assert_eq!(error(".3c"), SpecError::Specification(b"%.3c".to_vec()));
        assert_eq!(error("10q"), SpecError::Quoted);
        assert_eq!(error("0000000000000000000000d"), SpecError::TooLong);
    }
}
