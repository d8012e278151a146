//! Numbers: text to number, number to text, conversions between the two subtypes, and the arithmetic whose rules are
//! Lua's own (manual §3.4.1 to §3.4.3).
//!
//! Everything that turns text into a number or back goes through here (the lexer, `tonumber`, coercions, `tostring`), and
//! everything that computes a floor division, a modulo, a shift or a mixed comparison (constant folding, interpreter,
//! trace optimizer), so that all of them agree to the last bit.
#![forbid(unsafe_code)]

use std::cmp::Ordering;

use super::decimal;

/// A Lua number: one of the two subtypes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A 64-bit integer.
    Int(i64),
    /// An IEEE double.
    Float(f64),
}

impl Number {
    /// The number as a float; integers are rounded to the nearest double.
    pub fn to_float(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }

    /// The number as an integer, if it has an exact integer value.
    pub fn to_int(self) -> Option<i64> {
        match self {
            Number::Int(i) => Some(i),
            Number::Float(f) => float_to_int(f),
        }
    }
}

/// What to do with a float that has a fractional part when an integer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// No integer then.
    Exact,
    /// Round towards minus infinity.
    Floor,
    /// Round towards plus infinity.
    Ceil,
}

/// -2^63 and 2^63 as floats: the bounds within which a float has an integer counterpart (the upper one excluded).
const INT_BOUND: f64 = 9_223_372_036_854_775_808.0;

/// The integer with exactly the value of `f`, if there is one.
#[inline]
pub fn float_to_int(f: f64) -> Option<i64> {
    if (-INT_BOUND..INT_BOUND).contains(&f) {
        let i = f as i64;
        if i as f64 == f {
            return Some(i);
        }
    }
    None
}

/// The integer for `f` under a rounding mode; none where it does not fit.
#[inline]
pub fn float_to_int_rounded(f: f64, mode: Rounding) -> Option<i64> {
    match mode {
        Rounding::Exact => float_to_int(f),
        Rounding::Floor => float_to_int(f.floor()),
        Rounding::Ceil => float_to_int(f.ceil()),
    }
}

// ---------------------------------------------------------------------------------------------------- text to number

/// C's `isspace` in the "C" locale, which is what may surround a numeral in a string.
#[inline]
pub fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t'..=b'\r')
}

/// Reads a whole numeral with optional surrounding space and sign, as string coercion does (manual §3.4.3).
///
/// Hexadecimal integers wrap around; decimal integers that do not fit become floats; `inf` and `nan` are no numerals.
pub fn parse(text: &[u8]) -> Option<Number> {
    let mut s = text;
    while let [c, rest @ ..] = s
        && is_space(*c)
    {
        s = rest;
    }
    while let [rest @ .., c] = s
        && is_space(*c)
    {
        s = rest;
    }
    let (negative, s) = match s {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, s),
    };
    if let [b'0', b'x' | b'X', digits @ ..] = s {
        return parse_hex(digits, negative);
    }
    if let Some(i) = parse_decimal_int(s, negative) {
        return Some(Number::Int(i));
    }
    if !is_decimal_float(s) {
        return None;
    }
    // Only ASCII digits, one point and one exponent are left: the grammar of `f64::from_str`, which rounds correctly.
    let f: f64 = std::str::from_utf8(s).ok()?.parse().ok()?;
    Some(Number::Float(if negative { -f } else { f }))
}

fn parse_decimal_int(s: &[u8], negative: bool) -> Option<i64> {
    if s.is_empty() {
        return None;
    }
    let mut a: u64 = 0;
    for &c in s {
        if !c.is_ascii_digit() {
            return None;
        }
        a = a.checked_mul(10)?.checked_add(u64::from(c - b'0'))?;
    }
    if a > i64::MAX as u64 + u64::from(negative) {
        return None;
    }
    Some(if negative { (a as i64).wrapping_neg() } else { a as i64 })
}

/// Skips digits; answers what follows and whether there was one.
fn skip_digits(s: &[u8]) -> (&[u8], bool) {
    let n = s.iter().take_while(|c| c.is_ascii_digit()).count();
    (&s[n..], n > 0)
}

/// Skips an exponent's optional sign and its digits; none if there are no digits.
fn skip_exponent(s: &[u8]) -> Option<&[u8]> {
    let s = match s {
        [b'+' | b'-', rest @ ..] => rest,
        _ => s,
    };
    match skip_digits(s) {
        (rest, true) => Some(rest),
        _ => None,
    }
}

fn is_decimal_float(s: &[u8]) -> bool {
    let (mut s, mut any) = skip_digits(s);
    if let [b'.', rest @ ..] = s {
        let (after, fraction) = skip_digits(rest);
        s = after;
        any |= fraction;
    }
    if !any {
        return false;
    }
    match s {
        [] => true,
        [b'e' | b'E', rest @ ..] => skip_exponent(rest).is_some_and(<[u8]>::is_empty),
        _ => false,
    }
}

fn hex_digit(c: u8) -> Option<u64> {
    char::from(c).to_digit(16).map(u64::from)
}

/// What follows `0x`: an integer that wraps, or a float if there is a point or an exponent.
fn parse_hex(s: &[u8], negative: bool) -> Option<Number> {
    if !s.is_empty() && s.iter().all(u8::is_ascii_hexdigit) {
        let a = s.iter().fold(0u64, |a, &c| a.wrapping_mul(16).wrapping_add(hex_digit(c).unwrap_or(0)));
        return Some(Number::Int(if negative { (a as i64).wrapping_neg() } else { a as i64 }));
    }
    let mut mantissa: u64 = 0; // the first 15 significant digits
    let mut sticky = false; // something other than zero beyond them
    let mut exponent: i64 = 0;
    let (mut any, mut point) = (false, false);
    let mut rest = s;
    while let [c, tail @ ..] = rest {
        if *c == b'.' && !point {
            point = true;
        } else if let Some(d) = hex_digit(*c) {
            any = true;
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | d;
                exponent -= if point { 4 } else { 0 };
            } else {
                sticky |= d != 0;
                exponent += if point { 0 } else { 4 };
            }
        } else {
            break;
        }
        rest = tail;
    }
    if !any {
        return None;
    }
    if let [b'p' | b'P', tail @ ..] = rest {
        rest = skip_exponent(tail)?;
        let minus = tail[0] == b'-';
        let digits = tail[..tail.len() - rest.len()].iter().filter(|c| c.is_ascii_digit());
        // Saturates far outside of what any numeral that fits into memory could bring back into range.
        let e = digits.fold(0i64, |e, &c| if e > 1 << 56 { e } else { e * 10 + i64::from(c - b'0') });
        exponent += if minus { -e } else { e };
    }
    if !rest.is_empty() {
        return None;
    }
    let f = scale(mantissa, sticky, exponent);
    Some(Number::Float(if negative { -f } else { f }))
}

/// `mantissa * 2^exponent`, rounded once to nearest even; `sticky` says that a little more was cut off.
fn scale(mantissa: u64, sticky: bool, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let zeros = mantissa.leading_zeros();
    let m = mantissa << zeros;
    let exponent = exponent - i64::from(zeros) + 63; // value = (m / 2^63) * 2^exponent
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // Bits to drop from the 64 so that 53 are left, more where the result is subnormal.
    let drop = if exponent >= -1022 { 11 } else { (11 + (-1022 - exponent)).min(65) } as u32;
    let (kept, cut) = match drop {
        65 => (0, u128::from(m != 0)),
        _ => (((u128::from(m)) >> drop) as u64, u128::from(m) & ((1 << drop) - 1)),
    };
    let half = 1u128 << (drop - 1).min(100);
    let up = match cut.cmp(&half) {
        Ordering::Greater => true,
        Ordering::Equal => sticky || kept & 1 == 1,
        Ordering::Less => false,
    };
    let up = up && drop != 65;
    let kept = kept + u64::from(up);
    // A carry out of the mantissa lands in the exponent field, where it means the right thing.
    let biased = if exponent >= -1022 { (exponent + 1022) as u64 } else { 0 };
    f64::from_bits((biased << 52) + kept)
}

// ---------------------------------------------------------------------------------------------------- number to text

/// Room for any number that [`write()`] makes.
pub const MAX_TEXT: usize = 32;

/// Most bytes of an integer's text.
pub const MAX_INT_TEXT: usize = 20;

/// The decimal text of an integer, in the buffer.
#[inline]
pub fn int_text(i: i64, buffer: &mut [u8; MAX_INT_TEXT]) -> &[u8] {
    let mut at = buffer.len();
    let mut n = i.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    if i < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

/// Appends the decimal text of an integer.
pub fn write_int(i: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(int_text(i, &mut [0; MAX_INT_TEXT]));
}

/// Appends the text of a float as `tostring` gives it: `%.14g`, with `.0` where that looks like an integer.
pub fn write_float(f: f64, out: &mut Vec<u8>) {
    if f.fract() == 0.0 && f.abs() < 1e14 {
        if f == 0.0 && f.is_sign_negative() {
            out.push(b'-');
        }
        write_int(f as i64, out);
        out.extend_from_slice(b".0");
        return;
    }
    let start = out.len();
    write_general(f, 14, out);
    if out[start..].iter().all(|c| c.is_ascii_digit() || *c == b'-') {
        out.extend_from_slice(b".0");
    }
}

/// Appends the text of a number as `tostring` gives it.
pub fn write(n: Number, out: &mut Vec<u8>) {
    match n {
        Number::Int(i) => write_int(i, out),
        Number::Float(f) => write_float(f, out),
    }
}

/// The text of a number as `tostring` gives it.
pub fn to_text(n: Number) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_TEXT);
    write(n, &mut out);
    out
}

/// Appends `inf`, `-inf`, `nan` or `-nan` (the sign bit decides, as in glibc); answers whether `f` was one of these.
pub fn write_nonfinite(f: f64, out: &mut Vec<u8>) -> bool {
    if f.is_finite() {
        return false;
    }
    if f.is_sign_negative() {
        out.push(b'-');
    }
    out.extend_from_slice(if f.is_nan() { b"nan" } else { b"inf" });
    true
}

/// Appends `f` as C's `%.{precision}g` prints it (1 to 17 digits or more; the digits are exact).
pub fn write_general(f: f64, precision: usize, out: &mut Vec<u8>) {
    if write_nonfinite(f, out) {
        return;
    }
    if f.is_sign_negative() {
        out.push(b'-');
    }
    decimal::general(f.abs(), precision, false, out);
}

// -------------------------------------------------------------------------------------------------------- arithmetic

/// Floor division of integers; the caller has ruled out a divisor of 0.
#[inline]
pub fn int_floor_div(a: i64, b: i64) -> i64 {
    let q = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a ^ b) < 0 { q - 1 } else { q }
}

/// Modulo of integers, with the sign of the divisor; the caller has ruled out a divisor of 0.
#[inline]
pub fn int_mod(a: i64, b: i64) -> i64 {
    let r = a.wrapping_rem(b);
    if r != 0 && (r ^ b) < 0 { r + b } else { r }
}

/// Floor division of floats.
#[inline]
pub fn float_floor_div(a: f64, b: f64) -> f64 {
    (a / b).floor()
}

/// The remainder of a truncating division. Operands with small integer values are divided as integers, which is exact
/// and many times as fast.
#[inline]
fn remainder(a: f64, b: f64) -> f64 {
    const EXACT: f64 = (1u64 << 53) as f64;
    if a.abs() < EXACT && b.abs() < EXACT {
        let (x, y) = (a as i64, b as i64);
        if x as f64 == a && y as f64 == b && y != 0 {
            let r = x % y;
            return if r == 0 { 0f64.copysign(a) } else { r as f64 };
        }
    }
    a % b
}

/// Modulo of floats, with the sign of the divisor; an infinite divisor leaves operands of its own sign alone.
#[inline]
pub fn float_mod(a: f64, b: f64) -> f64 {
    let r = remainder(a, b);
    if (r > 0.0 && b < 0.0) || (r < 0.0 && b > 0.0) { r + b } else { r }
}

/// Exponentiation.
#[inline]
pub fn float_pow(a: f64, b: f64) -> f64 {
    if b == 2.0 { a * a } else { a.powf(b) }
}

/// `a << b`: a logical shift; negative counts shift to the right, counts of 64 and more leave nothing.
#[inline]
pub fn shift_left(a: i64, b: i64) -> i64 {
    match b {
        0..64 => ((a as u64) << b) as i64,
        -63..0 => ((a as u64) >> -b) as i64,
        _ => 0,
    }
}

/// `a >> b`: see [`shift_left`].
#[inline]
pub fn shift_right(a: i64, b: i64) -> i64 {
    shift_left(a, b.wrapping_neg().max(-i64::MAX))
}

/// `i < f`, exactly (not by rounding the integer).
#[inline]
pub fn int_lt_float(i: i64, f: f64) -> bool {
    compare_int_float(i, f) == Some(Ordering::Less)
}

/// `i <= f`, exactly.
#[inline]
pub fn int_le_float(i: i64, f: f64) -> bool {
    matches!(compare_int_float(i, f), Some(Ordering::Less | Ordering::Equal))
}

/// `f < i`, exactly.
#[inline]
pub fn float_lt_int(f: f64, i: i64) -> bool {
    compare_int_float(i, f) == Some(Ordering::Greater)
}

/// `f <= i`, exactly.
#[inline]
pub fn float_le_int(f: f64, i: i64) -> bool {
    matches!(compare_int_float(i, f), Some(Ordering::Greater | Ordering::Equal))
}

/// `i == f`, exactly.
#[inline]
pub fn int_equals_float(i: i64, f: f64) -> bool {
    compare_int_float(i, f) == Some(Ordering::Equal)
}

/// The mathematical order of an integer and a float; none for NaN.
#[inline]
pub fn compare_int_float(i: i64, f: f64) -> Option<Ordering> {
    if f.is_nan() {
        None
    } else if f >= INT_BOUND {
        Some(Ordering::Less)
    } else if f < -INT_BOUND {
        Some(Ordering::Greater)
    } else {
        // Within the integers' range the floor is exact, and the fraction decides where it is met.
        let whole = f.floor();
        Some(i.cmp(&(whole as i64)).then(if f > whole { Ordering::Less } else { Ordering::Equal }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: Number) -> String {
        String::from_utf8(to_text(n)).unwrap()
    }

    #[track_caller]
    fn reads(s: &str, expected: &str) {
        let got = parse(s.as_bytes()).map_or("-".to_string(), text);
        assert_eq!(got, expected, "{s:?}");
    }

    #[test]
    fn remainders_of_integral_floats_are_those_of_floats() {
        let samples = [0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -7.0, 10.0, 1e15, -9007199254740991.0, 9007199254740992.0, 0.5];
        for a in samples {
            for b in samples {
                assert_eq!(remainder(a, b).to_bits(), (a % b).to_bits(), "{a} % {b}");
            }
        }
    }

    #[test]
    fn integers_are_read() {
        reads("0", "0");
        reads("  42\n", "42");
        reads("-42", "-42");
        reads("+7", "7");
        reads("9223372036854775807", "9223372036854775807");
        reads("-9223372036854775808", "-9223372036854775808");
        reads("9223372036854775808", "9.2233720368548e+18");
        reads("0xff", "255");
        reads("-0XfF", "-255");
        reads("0xffffffffffffffff", "-1");
        reads("0x1ffffffffffffffff", "-1");
        reads("00012", "12");
    }

    #[test]
    fn floats_are_read() {
        reads("1.", "1.0");
        reads(".5", "0.5");
        reads("3e2", "300.0");
        reads("3E-2", "0.03");
        reads("1e400", "inf");
        reads("1e99999999999999999999999", "inf");
        reads("-0.0", "-0.0");
        reads("0x.8", "0.5");
        reads("0xA.", "10.0");
        reads("0x1p4", "16.0");
        reads("0x1P-2", "0.25");
        reads("-0x1.8p1", "-3.0");
        reads("0x1p99999999999999999999", "inf");
        reads("0x1p-99999999999999999999", "0.0");
    }

    #[test]
    fn what_is_no_numeral() {
        for s in [
            "", " ", "-", "+", "x", "0x", "0x.", "0xg", "1e", "1e+", "e5", ".", "1.2.3", "1 2", "--1", "- 1", "inf",
            "nan", "infinity", "0x1p", "0x1p+", "1f", "0x1.2.3", "1\0", "1_000", "٣",
        ] {
            assert_eq!(parse(s.as_bytes()), None, "{s:?}");
        }
    }

    #[test]
    fn hex_floats_round_once_to_nearest_even() {
        let bits = |s: &str| match parse(s.as_bytes()) {
            Some(Number::Float(f)) => f.to_bits(),
            other => panic!("{s}: {other:?}"),
        };
        assert_eq!(bits("0x1.00000000000008p0"), 1f64.to_bits());
        assert_eq!(bits("0x1.000000000000080000000000000001p0"), 1f64.to_bits() + 1);
        assert_eq!(bits("0x1.00000000000018p0"), 1f64.to_bits() + 2);
        assert_eq!(bits("0x1.fffffffffffff8p1023"), f64::INFINITY.to_bits());
        assert_eq!(bits("0x1p-1074"), 1);
        assert_eq!(bits("0x1p-1075"), 0);
        assert_eq!(bits("0x1.0000000000000000001p-1075"), 1);
        assert_eq!(bits("0x1.8p-1074"), 2);
        assert_eq!(bits("0x1p-1076"), 0);
        assert_eq!(bits("0x1p-1200"), 0);
        assert_eq!(bits("0x0.fffffffffffff8p-1022"), f64::MIN_POSITIVE.to_bits());
        assert_eq!(bits("0x123456789abcdef01p0"), (0x1_2345_6789_abcd_ef01u128 as f64).to_bits());
    }

    #[test]
    fn floats_are_written() {
        for (f, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1e14, "1e+14"),
            (99999999999999.0, "99999999999999.0"),
            (1e100, "1e+100"),
            (123456.789, "123456.789"),
            (1.0 / 3.0, "0.33333333333333"),
            (2.0 / 3.0, "0.66666666666667"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789012345.6, "1.2345678901235e+14"),
            (9.9999999999999999, "10.0"),
            (99999999999999.9, "1e+14"),
            (12.345_678_901_234_567, "12.345678901235"),
            (5e-324, "4.9406564584125e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN.copysign(1.0), "nan"),
            (f64::NAN.copysign(-1.0), "-nan"),
        ] {
            assert_eq!(text(Number::Float(f)), expected);
        }
        assert_eq!(text(Number::Int(i64::MIN)), "-9223372036854775808");
    }

    #[test]
    fn conversions_are_exact() {
        assert_eq!(float_to_int(3.0), Some(3));
        assert_eq!(float_to_int(3.5), None);
        assert_eq!(float_to_int(INT_BOUND), None);
        assert_eq!(float_to_int(-INT_BOUND), Some(i64::MIN));
        assert_eq!(float_to_int(f64::NAN), None);
        assert_eq!(float_to_int_rounded(-3.5, Rounding::Floor), Some(-4));
        assert_eq!(float_to_int_rounded(-3.5, Rounding::Ceil), Some(-3));
        assert_eq!(float_to_int_rounded(f64::INFINITY, Rounding::Ceil), None);
    }

    #[test]
    fn arithmetic_follows_the_manual() {
        assert_eq!([int_floor_div(7, 2), int_floor_div(-7, 2), int_floor_div(7, -2)], [3, -4, -4]);
        assert_eq!(int_floor_div(i64::MIN, -1), i64::MIN);
        assert_eq!([int_mod(7, 3), int_mod(-7, 3), int_mod(7, -3), int_mod(-7, -3)], [1, 2, -2, -1]);
        assert_eq!(int_mod(i64::MIN, -1), 0);
        assert_eq!(float_mod(5.3, f64::INFINITY), 5.3);
        assert_eq!(float_mod(-5.3, f64::INFINITY), f64::INFINITY);
        assert_eq!(float_mod(5.5, -2.0), -0.5);
        assert_eq!(float_mod(1e-200, -3e-200), 1e-200 - 3e-200);
        assert_eq!(
            [shift_left(1, 63), shift_left(1, 64), shift_left(-1, -63), shift_left(-1, -64)],
            [i64::MIN, 0, 1, 0]
        );
        assert_eq!(
            [shift_right(-1, 63), shift_right(1, -1), shift_right(1, i64::MIN), shift_right(8, 2)],
            [1, 2, 0, 2]
        );
    }

    #[test]
    fn integers_and_floats_compare_exactly() {
        assert!(int_lt_float(i64::MAX, INT_BOUND));
        assert!(!int_le_float(i64::MAX, INT_BOUND - 1024.0));
        assert!(int_le_float(i64::MIN, -INT_BOUND));
        assert!(!int_lt_float(i64::MIN, -INT_BOUND));
        assert!(int_lt_float(1, 1.5) && float_lt_int(1.5, 2) && float_le_int(2.0, 2));
        assert!(int_lt_float(-2, -1.5) && float_lt_int(-1.5, -1));
        assert!(!int_lt_float(1, f64::NAN) && !float_le_int(f64::NAN, 1));
        assert!(float_lt_int(f64::NEG_INFINITY, i64::MIN));
    }
}
