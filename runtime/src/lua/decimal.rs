//! Decimal digits of floats: exact, rounded half to even on the exact value, as glibc's `printf` has them.
//!
//! A float is an integer times a power of two. Times the power of ten that brings the wanted digits before the point, most
//! fit into 128 bits, so that one shift or division gives all digits and says which way to round. The others go through the
//! standard library, which is exact too, and slower.
#![forbid(unsafe_code)]

use std::io::Write;

/// Most digits that fit into 64 bits whatever they are.
const MAX_DIGITS: usize = 19;

/// 10 to the power `n`, if it fits.
fn power_of_ten(n: u32) -> Option<u128> {
    const POWERS: [u128; 39] = {
        let mut powers = [1; 39];
        let mut i = 1;
        while i < powers.len() {
            powers[i] = powers[i - 1] * 10;
            i += 1;
        }
        powers
    };
    POWERS.get(n as usize).copied()
}

/// A float that is not negative and finite as an integer, odd if it is not 0, and the power of two that it is multiplied by.
fn split(f: f64) -> (u64, i32) {
    let (fraction, biased) = (f.to_bits() & ((1 << 52) - 1), (f.to_bits() >> 52) as i32);
    let (integer, exponent) = if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
    let zeros = if integer == 0 { 0 } else { integer.trailing_zeros() };
    (integer >> zeros, exponent + zeros as i32)
}

/// `f` (not negative, finite) times 10 to the power `scale`, rounded half to even, if that can be computed in 128 bits and fits
/// into 64.
fn scaled(f: f64, scale: i32) -> Option<u64> {
    let (integer, exponent) = split(f);
    let power = power_of_ten(scale.unsigned_abs())?;
    let shift = exponent.unsigned_abs();
    let shifted = |n: u128| (n.leading_zeros() > shift).then(|| n << shift);
    // The value is `over / under`, or `over` shifted to the right.
    let (quotient, above_half, half) = if scale >= 0 {
        let over = u128::from(integer).checked_mul(power)?;
        if exponent >= 0 {
            (shifted(over)?, false, false)
        } else if shift > 127 {
            if over >> 127 != 0 {
                return None;
            }
            (0, false, false)
        } else {
            let (rest, middle) = (over & ((1 << shift) - 1), 1 << (shift - 1));
            (over >> shift, rest > middle, rest == middle)
        }
    } else {
        let (over, under) =
            if exponent >= 0 { (shifted(integer.into())?, power) } else { (integer.into(), shifted(power)?) };
        let (quotient, rest) = (over / under, over % under);
        (quotient, rest > under - rest, rest == under - rest)
    };
    u64::try_from(quotient + u128::from(above_half || (half && quotient & 1 == 1))).ok()
}

/// Appends the last `count` decimal digits of `n`, with zeros in front.
fn push_digits(mut n: u64, count: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    for digit in digits[..count].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[..count]);
}

/// Number of decimal digits, one for 0.
fn count_digits(n: u64) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Appends `f`, not negative and finite, with that many digits behind the point (`%.{precision}f`).
pub fn fixed(f: f64, precision: usize, out: &mut Vec<u8>) {
    let Some(n) = i32::try_from(precision).ok().and_then(|p| scaled(f, p)).filter(|_| precision < MAX_DIGITS) else {
        // Writing into a vector cannot fail.
        let _ = write!(out, "{f:.precision$}");
        return;
    };
    push_digits(n, count_digits(n).max(precision + 1), out);
    if precision > 0 {
        out.push(b'.');
        let point = out.len() - 1 - precision;
        out[point..].rotate_right(1);
    }
}

/// Appends the first `count` digits of `f`, which is not negative and finite, from the first one that is not 0 on. Answers the
/// decimal exponent of the first one.
fn significant(f: f64, count: usize, out: &mut Vec<u8>) -> i32 {
    if let Some((digits, exponent)) = significant_in_64_bits(f, count) {
        push_digits(digits, count, out);
        return exponent;
    }
    let start = out.len();
    let _ = write!(out, "{f:.*e}", count - 1);
    let e = out.iter().rposition(|c| *c == b'e').unwrap_or(out.len());
    let exponent = std::str::from_utf8(&out[e..]).ok().and_then(|t| t.get(1..)?.parse().ok()).unwrap_or(0);
    out.truncate(e);
    if count > 1 {
        out.remove(start + 1);
    }
    exponent
}

fn significant_in_64_bits(f: f64, count: usize) -> Option<(u64, i32)> {
    if f == 0.0 {
        return (count < MAX_DIGITS).then_some((0, 0));
    }
    let limit = 10u64.checked_pow(u32::try_from(count).ok()?)?;
    let (integer, exponent) = split(f);
    let log2 = exponent + integer.ilog2() as i32;
    // The decimal exponent, or a little less: the factors are just below log10(2), and just above it.
    let mut exponent = (log2 * if log2 < 0 { 315_653 } else { 315_652 }) >> 20;
    loop {
        let digits = scaled(f, count as i32 - 1 - exponent)?;
        // Also when rounding has brought it there.
        if digits < limit {
            return Some((digits, exponent));
        }
        exponent += 1;
    }
}

fn push_exponent(exponent: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = u64::from(exponent.unsigned_abs());
    push_digits(exponent, count_digits(exponent).max(2), out);
}

/// Appends `f`, not negative and finite, as `%.{precision}e`, with a point in any case if `point` is set.
pub fn exponential(f: f64, precision: usize, point: bool, out: &mut Vec<u8>) {
    let start = out.len();
    let exponent = significant(f, precision + 1, out);
    if precision > 0 || point {
        out.insert(start + 1, b'.');
    }
    push_exponent(exponent, out);
}

/// Appends `f`, not negative and finite, as `%.{precision}g`, or `%#.{precision}g` if `alternative` is set.
pub fn general(f: f64, precision: usize, alternative: bool, out: &mut Vec<u8>) {
    let precision = precision.max(1);
    let start = out.len();
    let exponent = significant(f, precision, out);
    let scientific = exponent < -4 || exponent >= precision as i32;
    // Digits before the point.
    let whole = if scientific { 1 } else { (exponent + 1).max(1) as usize };
    if !scientific && exponent < 0 {
        let zeros = [b'0'; 4];
        out.splice(start..start, zeros[..exponent.unsigned_abs() as usize].iter().copied());
    }
    if !alternative {
        let fraction = &out[start + whole..];
        let kept = fraction.iter().rposition(|c| *c != b'0').map_or(0, |last| last + 1);
        out.truncate(start + whole + kept);
    }
    if alternative || out.len() > start + whole {
        out.insert(start + whole, b'.');
    }
    if scientific {
        push_exponent(exponent, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Floats of all magnitudes, halves and their neighbours among them.
    fn samples() -> impl Iterator<Item = f64> {
        let mut seed = 88_172_645_463_325_252u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let known = [0.0, 0.5, 1.5, 2.5, 0.125, 0.375, 9.5, 99.5, 999_999.5, 9.999_999_5, 1e15, 1e16, 1e17, 1e22, 1e23]
            .into_iter()
            .chain([
                5e-324,
                f64::MIN_POSITIVE,
                f64::MAX,
                0.1,
                0.3,
                1e-5,
                1e-4,
                9.9995e-5,
                123_456_789.0,
                4_503_599_627_370_497.5,
            ]);
        let near = |f: f64| [f, f64::from_bits(f.to_bits() + 1), f64::from_bits(f.to_bits().saturating_sub(1))];
        let all = (0..6000).map(move |i| match i % 4 {
            0 => f64::from_bits(random() >> 1),
            1 => (random() % 2_000_000) as f64 / 1000.0,
            2 => (random() >> 11) as f64 / (1u64 << (random() % 64)) as f64,
            _ => (random() % 100_000) as f64 / 2f64.powi((random() % 12) as i32),
        });
        known.flat_map(near).chain(all).filter(|f| f.is_finite())
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        // What is there already stays.
        let mut out = b">".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap()[1..].to_owned()
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for f in samples() {
            for precision in [0, 1, 2, 3, 6, 10, 13, 16, 17, 18, 19, 25] {
                assert_eq!(text(|out| fixed(f, precision, out)), format!("{f:.precision$}"));
                let expected = format!("{f:.precision$e}");
                let (digits, exponent) = expected.split_once('e').unwrap();
                let exponent: i32 = exponent.parse().unwrap();
                let sign = if exponent < 0 { '-' } else { '+' };
                let expected = format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
                assert_eq!(text(|out| exponential(f, precision, false, out)), expected);
            }
        }
    }

    #[test]
    fn general_form() {
        let check = |f, precision, alternative, expected: &str| {
            assert_eq!(text(|out| general(f, precision, alternative, out)), expected);
        };
        check(0.0, 6, false, "0");
        check(0.0, 6, true, "0.00000");
        check(0.0001, 6, false, "0.0001");
        check(0.00001, 6, false, "1e-05");
        check(0.00012345, 3, false, "0.000123");
        check(0.000_099_999_99, 6, false, "0.0001");
        check(100_000.0, 6, false, "100000");
        check(1e6, 6, false, "1e+06");
        check(999_999.5, 6, false, "1e+06");
        check(123.0, 3, true, "123.");
        check(1e300, 0, false, "1e+300");
        check(1.5, 14, false, "1.5");
        check(0.1, 17, false, "0.10000000000000001");
        check(2.5e-7, 20, false, "2.4999999999999998869e-07");
    }
}
