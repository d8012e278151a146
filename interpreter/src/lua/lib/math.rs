//! `math` (manual §6.7).

#![forbid(unsafe_code)]

use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::number::{Number, Rounding, float_to_int, float_to_int_rounded};
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::{Value, tag};

use super::super::api::{
    arg_error, check_any, check_int, check_number, error, is_given, is_none_or_nil, less_than, set_natives, to_int,
};
use super::{give, library, new_table, set};

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let math = new_table(st, 36)?;
    set_natives(
        st,
        math,
        &[
            ("abs", abs),
            ("ceil", ceil),
            ("floor", floor),
            ("max", max),
            ("min", min),
            ("sqrt", sqrt),
            ("random", random),
            ("randomseed", randomseed),
            ("fmod", fmod),
            ("modf", modf),
            ("tointeger", tointeger),
            ("type", kind),
            ("ult", ult),
            ("log", log),
            ("exp", exp),
            ("sin", sin),
            ("cos", cos),
            ("tan", tan),
            ("asin", asin),
            ("acos", acos),
            ("atan", atan),
            ("deg", deg),
            ("rad", rad),
            ("atan2", atan),
            ("cosh", cosh),
            ("sinh", sinh),
            ("tanh", tanh),
            ("pow", pow),
            ("log10", log10),
            ("frexp", frexp),
            ("ldexp", ldexp),
        ],
    )?;
    set(st, math, "pi", Value::float(std::f64::consts::PI))?;
    set(st, math, "huge", Value::float(f64::INFINITY))?;
    set(st, math, "maxinteger", Value::integer(i64::MAX))?;
    set(st, math, "mininteger", Value::integer(i64::MIN))?;
    Ok(math)
}

macro_rules! float_functions {
    ($($name:ident: $x:ident => $result:expr;)*) => {$(
        fn $name(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
            let $x = check_number(st, f, 0)?;
            give(st, Value::float($result))
        }
    )*};
}
float_functions! {
    sqrt: x => x.sqrt();
    exp: x => x.exp();
    sin: x => x.sin();
    cos: x => x.cos();
    tan: x => x.tan();
    asin: x => x.asin();
    acos: x => x.acos();
    cosh: x => x.cosh();
    sinh: x => x.sinh();
    tanh: x => x.tanh();
    log10: x => x.log10();
    deg: x => x * (180.0 / std::f64::consts::PI);
    rad: x => x * (std::f64::consts::PI / 180.0);
}

/// An integer as it is; anything else as a float, strings included.
fn numeric(st: &mut State, f: CallFrame, i: usize) -> Result<Number, Raised> {
    match st.arg(f, i).as_integer() {
        Some(n) => Ok(Number::Int(n)),
        None => Ok(Number::Float(check_number(st, f, i)?)),
    }
}

fn abs(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let result = match numeric(st, f, 0)? {
        Number::Int(i) => Value::integer(i.wrapping_abs()),
        Number::Float(x) => Value::float(x.abs()),
    };
    give(st, result)
}

/// Up to here each integer is a float.
const EXACT: f64 = (1u64 << 53) as f64;

fn rounded(st: &mut State, f: CallFrame, mode: Rounding) -> Result<u32, Raised> {
    let result = match numeric(st, f, 0)? {
        Number::Int(i) => Value::integer(i),
        Number::Float(x) if x.abs() < EXACT => {
            // Without a call: cut off the fraction, and correct by one.
            let i = x as i64;
            let cut = i as f64;
            Value::integer(match mode {
                Rounding::Floor => i - i64::from(cut > x),
                _ => i + i64::from(cut < x),
            })
        }
        Number::Float(x) => match float_to_int_rounded(x, mode) {
            Some(i) => Value::integer(i),
            None => Value::float(if mode == Rounding::Floor { x.floor() } else { x.ceil() }),
        },
    };
    give(st, result)
}

fn floor(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    rounded(st, f, Rounding::Floor)
}

fn ceil(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    rounded(st, f, Rounding::Ceil)
}

/// The argument that comes first, or last, in the order.
fn extreme(st: &mut State, f: CallFrame, greatest: bool) -> Result<u32, Raised> {
    // Whatever `<` takes, as in PUC.
    let mut best = check_any(st, f, 0)?;
    for i in 1..f.count as usize {
        let n = st.arg(f, i);
        let better = if greatest { less_than(st, best, n)? } else { less_than(st, n, best)? };
        if better {
            best = n;
        }
    }
    give(st, best)
}

fn max(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    extreme(st, f, true)
}

fn min(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    extreme(st, f, false)
}

fn fmod(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (a, b) = (st.arg(f, 0), st.arg(f, 1));
    let result = match (a.as_integer(), b.as_integer()) {
        (Some(_), Some(0)) => return Err(arg_error(st, f, 1, "zero")),
        (Some(x), Some(y)) => Value::integer(x.wrapping_rem(y)),
        _ => {
            // The second one first, as C compilers have it.
            let y = check_number(st, f, 1)?;
            Value::float(check_number(st, f, 0)? % y)
        }
    };
    give(st, result)
}

fn modf(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (whole, fraction) = match numeric(st, f, 0)? {
        Number::Int(i) => (Value::integer(i), 0.0),
        Number::Float(x) => {
            let whole = x.trunc();
            let fraction = if whole == x { 0.0 } else { x - whole };
            (float_to_int(whole).map_or(Value::float(whole), Value::integer), fraction)
        }
    };
    st.push(whole)?;
    st.push(Value::float(fraction))?;
    Ok(2)
}

fn tointeger(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = check_any(st, f, 0)?;
    give(st, to_int(value).map_or(Value::NIL, Value::integer))
}

fn kind(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let name = match check_any(st, f, 0)?.tag() {
        tag::INTEGER => "integer",
        tag::FLOAT => "float",
        _ => return give(st, Value::NIL),
    };
    super::give_bytes(st, name.as_bytes())
}

fn ult(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let a = check_int(st, f, 0)?;
    let b = check_int(st, f, 1)?;
    give(st, Value::boolean((a as u64) < b as u64))
}

fn log(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let x = check_number(st, f, 0)?;
    let result = if is_none_or_nil(st, f, 1) {
        x.ln()
    } else {
        let base = check_number(st, f, 1)?;
        if base == 2.0 {
            x.log2()
        } else if base == 10.0 {
            x.log10()
        } else {
            x.ln() / base.ln()
        }
    };
    give(st, Value::float(result))
}

/// With its friends above: not in the manual any more, but in every `lua` built as usual.
fn pow(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let x = check_number(st, f, 0)?;
    let y = check_number(st, f, 1)?;
    give(st, Value::float(x.powf(y)))
}

fn frexp(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let x = check_number(st, f, 0)?;
    let (mut mantissa, mut exponent) = (x, 0);
    if x != 0.0 && x.is_finite() {
        // Subnormals are scaled up first.
        let (scaled, shift) = if x.abs() < f64::MIN_POSITIVE { (x * (1u64 << 54) as f64, 54) } else { (x, 0) };
        exponent = ((scaled.to_bits() >> 52) & 0x7ff) as i64 - 1022 - shift;
        mantissa = f64::from_bits(scaled.to_bits() & !(0x7ff << 52) | 1022 << 52);
    }
    st.push(Value::float(mantissa))?;
    st.push(Value::integer(exponent))?;
    Ok(2)
}

fn ldexp(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let mut x = check_number(st, f, 0)?;
    // The exponent is a C `int`, to which the integer is cut.
    let mut exponent = (check_int(st, f, 1)? as i32).clamp(-3000, 3000);
    // In steps that cannot overflow by themselves; the last one rounds.
    while exponent > 1000 {
        x *= 2f64.powi(1000);
        exponent -= 1000;
    }
    while exponent < -1000 {
        x *= 2f64.powi(-1000);
        exponent += 1000;
    }
    give(st, Value::float(x * 2f64.powi(exponent)))
}

fn atan(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let y = check_number(st, f, 0)?;
    let x = if is_none_or_nil(st, f, 1) { 1.0 } else { check_number(st, f, 1)? };
    give(st, Value::float(y.atan2(x)))
}

fn random(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    if f.count == 0 {
        let float = library(st).random.next_float();
        return give(st, Value::float(float));
    }
    let interval = random_interval(st, f);
    if interval.is_err() && st.bare {
        // The call is executed again.
        return Err(Raised);
    }
    // The generator goes on though the arguments are wrong, as PUC Lua's does.
    let bits = library(st).random.next();
    let result = match interval? {
        Some((low, high)) => {
            let projected = library(st).random.project(bits, (high as u64).wrapping_sub(low as u64));
            projected.wrapping_add(low as u64) as i64
        }
        None => bits as i64,
    };
    give(st, Value::integer(result))
}

/// The interval that the arguments of `math.random` ask for; none: all integers.
fn random_interval(st: &mut State, f: CallFrame) -> Result<Option<(i64, i64)>, Raised> {
    let (low, high) = match f.count {
        1 => match check_int(st, f, 0)? {
            0 => return Ok(None),
            high => (1, high),
        },
        2 => (check_int(st, f, 0)?, check_int(st, f, 1)?),
        _ => return Err(error(st, format_args!("wrong number of arguments"))),
    };
    if low > high {
        return Err(arg_error(st, f, 0, "interval is empty"));
    }
    Ok(Some((low, high)))
}

fn randomseed(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let (low, high) = if is_given(f, 0) {
        let low = check_int(st, f, 0)?;
        let high = if is_none_or_nil(st, f, 1) { 0 } else { check_int(st, f, 1)? };
        (low as u64, high as u64)
    } else {
        super::random::Generator::seed_from_time()
    };
    library(st).random = super::random::Generator::new(low, high);
    st.push(Value::integer(low as i64))?;
    st.push(Value::integer(high as i64))?;
    Ok(2)
}
