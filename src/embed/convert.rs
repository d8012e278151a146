//! Conversions between Rust's types and Lua's values, one value or several at a time.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::Hash;

use perilune_runtime::lua::number::{self, Number};

use super::{Error, Function, Lua, LuaString, Mismatch, Result, Table, Userdata, Value};

/// What can become a Lua value.
pub trait IntoLua {
    /// The value.
    ///
    /// # Errors
    /// When Lua has no such value, or no memory for it.
    fn into_lua(self, lua: &Lua) -> Result<Value>;
}

/// What a Lua value can become.
pub trait FromLua: Sized {
    /// The Rust value. Numbers and strings that look like numbers are converted as Lua converts them.
    ///
    /// # Errors
    /// When the value is of another type or out of range.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self, Mismatch>;
}

/// What can become a list of values: arguments or results.
pub trait IntoLuaMulti {
    /// Appends the values.
    ///
    /// # Errors
    /// As [`IntoLua::into_lua`].
    fn into_lua_multi(self, lua: &Lua, to: &mut Vec<Value>) -> Result<()>;
}

/// What a list of values can become. Absent values are nil; those that are too many are left.
pub trait FromLuaMulti: Sized {
    /// Takes what it needs.
    ///
    /// # Errors
    /// As [`FromLua::from_lua`].
    fn from_lua_multi(values: &mut Arguments, lua: &Lua) -> Result<Self, Mismatch>;
}

/// Values to be taken one by one.
pub struct Arguments {
    values: std::vec::IntoIter<Value>,
    taken: usize,
}

impl Arguments {
    /// The values.
    pub fn new(values: Vec<Value>) -> Arguments {
        Arguments { values: values.into_iter(), taken: 0 }
    }

    /// Takes the next one.
    ///
    /// # Errors
    /// When it cannot be converted.
    pub fn take<T: FromLua>(&mut self, lua: &Lua) -> Result<T, Mismatch> {
        let index = self.taken;
        self.taken += 1;
        let value = self.values.next();
        let absent = value.is_none();
        T::from_lua(value.unwrap_or_default(), lua).map_err(|mut mismatch| {
            mismatch.index = index;
            if absent && let Some(head) = mismatch.message.strip_suffix("got nil") {
                mismatch.message = format!("{head}got no value");
            }
            mismatch
        })
    }
}

/// Any number of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(pub Vec<Value>);

/// Bytes that become a Lua string, and the other way round. (A `Vec` becomes a table.)
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

// ---- one value

impl IntoLua for Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self)
    }
}

impl FromLua for Value {
    fn from_lua(value: Value, _: &Lua) -> Result<Value, Mismatch> {
        Ok(value)
    }
}

macro_rules! handles {
    ($($ty:ident => $variant:ident, $name:literal;)*) => {$(
        impl IntoLua for $ty {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self))
            }
        }

        impl IntoLua for &$ty {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self.clone()))
            }
        }

        impl FromLua for $ty {
            fn from_lua(value: Value, _: &Lua) -> Result<$ty, Mismatch> {
                match value {
                    Value::$variant(handle) => Ok(handle),
                    other => Err(Mismatch::new($name, &other)),
                }
            }
        }
    )*};
}
handles! {
    Table => Table, "table";
    Function => Function, "function";
    Userdata => Userdata, "userdata";
}

impl IntoLua for LuaString {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::String(self))
    }
}

impl FromLua for LuaString {
    fn from_lua(value: Value, lua: &Lua) -> Result<LuaString, Mismatch> {
        match value {
            Value::String(s) => Ok(s),
            other => {
                let text = text_of(other)?;
                lua.string(text).map_err(|e| Mismatch::because(e.to_string()))
            }
        }
    }
}

impl IntoLua for bool {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Boolean(self))
    }
}

impl FromLua for bool {
    /// As conditions take it: all but nil and false are true.
    fn from_lua(value: Value, _: &Lua) -> Result<bool, Mismatch> {
        Ok(value.is_truthy())
    }
}

fn number_of(value: &Value) -> Result<Number, Mismatch> {
    match value {
        Value::Integer(i) => Ok(Number::Int(*i)),
        Value::Float(f) => Ok(Number::Float(*f)),
        Value::String(s) => number::parse(&s.to_bytes()).ok_or_else(|| Mismatch::new("number", value)),
        _ => Err(Mismatch::new("number", value)),
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl IntoLua for $ty {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                match i64::try_from(self) {
                    Ok(i) => Ok(Value::Integer(i)),
                    Err(_) => Err(Error::new(format!("{self} does not fit into an integer of Lua"))),
                }
            }
        }

        impl FromLua for $ty {
            fn from_lua(value: Value, _: &Lua) -> Result<$ty, Mismatch> {
                let integer = number_of(&value)?
                    .to_int()
                    .ok_or_else(|| Mismatch::because("number has no integer representation"))?;
                <$ty>::try_from(integer).map_err(|_| Mismatch::because("value out of range"))
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

macro_rules! floats {
    ($($ty:ty)*) => {$(
        impl IntoLua for $ty {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::Float(self.into()))
            }
        }

        impl FromLua for $ty {
            fn from_lua(value: Value, _: &Lua) -> Result<$ty, Mismatch> {
                Ok(number_of(&value)?.to_float() as $ty)
            }
        }
    )*};
}
floats!(f32 f64);

fn text_of(value: Value) -> Result<Vec<u8>, Mismatch> {
    match value {
        Value::String(s) => Ok(s.to_bytes()),
        Value::Integer(i) => Ok(number::to_text(Number::Int(i))),
        Value::Float(f) => Ok(number::to_text(Number::Float(f))),
        other => Err(Mismatch::new("string", &other)),
    }
}

impl IntoLua for &[u8] {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.string(self).map(Value::String)
    }
}

impl IntoLua for &str {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_bytes().into_lua(lua)
    }
}

impl IntoLua for String {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_bytes().into_lua(lua)
    }
}

impl FromLua for String {
    fn from_lua(value: Value, _: &Lua) -> Result<String, Mismatch> {
        String::from_utf8(text_of(value)?).map_err(|_| Mismatch::because("string is not valid UTF-8"))
    }
}

impl IntoLua for Bytes {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.0.as_slice().into_lua(lua)
    }
}

impl FromLua for Bytes {
    fn from_lua(value: Value, _: &Lua) -> Result<Bytes, Mismatch> {
        text_of(value).map(Bytes)
    }
}

impl<T: IntoLua> IntoLua for Option<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.map_or(Ok(Value::Nil), |value| value.into_lua(lua))
    }
}

impl<T: FromLua> FromLua for Option<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Option<T>, Mismatch> {
        if value.is_nil() { Ok(None) } else { T::from_lua(value, lua).map(Some) }
    }
}

impl<T: IntoLua> IntoLua for Vec<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        let table = lua.table()?;
        for (i, value) in (1_i64..).zip(self) {
            table.raw_set(i, value)?;
        }
        Ok(Value::Table(table))
    }
}

impl<T: FromLua> FromLua for Vec<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Vec<T>, Mismatch> {
        let table = Table::from_lua(value, lua)?;
        (1..=table.raw_len())
            .map(|i| {
                let value = table.raw_get::<Value>(i).map_err(|e| Mismatch::because(e.to_string()))?;
                T::from_lua(value, lua).map_err(|m| Mismatch::because(format!("element {i}: {}", m.message)))
            })
            .collect()
    }
}

impl<K: IntoLua, V: IntoLua, S> IntoLua for HashMap<K, V, S> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        let table = lua.table()?;
        for (key, value) in self {
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}

impl<K: FromLua + Eq + Hash, V: FromLua> FromLua for HashMap<K, V> {
    fn from_lua(value: Value, lua: &Lua) -> Result<HashMap<K, V>, Mismatch> {
        let table = Table::from_lua(value, lua)?;
        table
            .pairs()
            .map(|entry| {
                let (key, value) = entry.map_err(|e| Mismatch::because(e.to_string()))?;
                Ok((K::from_lua(key, lua)?, V::from_lua(value, lua)?))
            })
            .collect()
    }
}

// ---- several values

impl<T: IntoLua> IntoLuaMulti for T {
    fn into_lua_multi(self, lua: &Lua, to: &mut Vec<Value>) -> Result<()> {
        to.push(self.into_lua(lua)?);
        Ok(())
    }
}

impl<T: FromLua> FromLuaMulti for T {
    fn from_lua_multi(values: &mut Arguments, lua: &Lua) -> Result<T, Mismatch> {
        values.take(lua)
    }
}

impl IntoLuaMulti for Values {
    fn into_lua_multi(self, _: &Lua, to: &mut Vec<Value>) -> Result<()> {
        to.extend(self.0);
        Ok(())
    }
}

impl FromLuaMulti for Values {
    fn from_lua_multi(values: &mut Arguments, _: &Lua) -> Result<Values, Mismatch> {
        Ok(Values(values.values.by_ref().collect()))
    }
}

impl IntoLuaMulti for () {
    fn into_lua_multi(self, _: &Lua, _: &mut Vec<Value>) -> Result<()> {
        Ok(())
    }
}

impl FromLuaMulti for () {
    fn from_lua_multi(_: &mut Arguments, _: &Lua) -> Result<(), Mismatch> {
        Ok(())
    }
}

/// Tuples, whose last part may be many values itself.
macro_rules! tuples {
    ($($($name:ident)*, $last:ident;)*) => {$(
        impl<$($name: IntoLua,)* $last: IntoLuaMulti> IntoLuaMulti for ($($name,)* $last,) {
            #[allow(non_snake_case, reason = "the values are named as their types")]
            fn into_lua_multi(self, lua: &Lua, to: &mut Vec<Value>) -> Result<()> {
                let ($($name,)* $last,) = self;
                $(to.push($name.into_lua(lua)?);)*
                $last.into_lua_multi(lua, to)
            }
        }

        impl<$($name: FromLua,)* $last: FromLuaMulti> FromLuaMulti for ($($name,)* $last,) {
            fn from_lua_multi(values: &mut Arguments, lua: &Lua) -> Result<Self, Mismatch> {
                Ok(($(values.take::<$name>(lua)?,)* $last::from_lua_multi(values, lua)?,))
            }
        }
    )*};
}
tuples! {
    , A;
    A, B;
    A B, C;
    A B C, D;
    A B C D, E;
    A B C D E, F;
    A B C D E F, G;
    A B C D E F G, H;
}
