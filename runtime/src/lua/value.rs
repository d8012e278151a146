//! A Lua value: 16 bytes, an 8-byte payload and a tag byte.
//!
//! The payload holds an integer, a float's bits, a pointer, or 0 or 1 for booleans. nil has payload 0 and the tags of nil
//! and boolean are the lowest, so that "nil or false" is `tag <= BOOLEAN && payload == 0`. The tag is one byte and stands
//! apart from the payload: values are copied as a payload and a tag, never as 16 bytes at once, since a wide load behind
//! a narrow store would stall.

use super::function::{Cell, LuaFunction, NativeFunction};
use super::heap::Gc;
use super::string::Str;
use super::table::Table;
use super::thread::Thread;
use super::userdata::Userdata;

/// The tags of values.
pub mod tag {
    /// nil
    pub const NIL: u8 = 0;
    /// A boolean.
    pub const BOOLEAN: u8 = 1;
    /// A 64-bit integer.
    pub const INTEGER: u8 = 2;
    /// An IEEE double.
    pub const FLOAT: u8 = 3;
    /// A light userdata: an address without an object.
    pub const LIGHT: u8 = 4;
    /// A string.
    pub const STRING: u8 = 5;
    /// A table.
    pub const TABLE: u8 = 6;
    /// A function written in Lua.
    pub const LUA_FUNCTION: u8 = 7;
    /// A function written in Rust.
    pub const NATIVE: u8 = 8;
    /// A full userdata.
    pub const USERDATA: u8 = 9;
    /// A coroutine.
    pub const THREAD: u8 = 10;
    /// A captured variable's cell. Lies in registers and upvalues only; programs never see it.
    pub const CELL: u8 = 11;
    /// The key of a removed hash entry whose object may be gone. Lies in hash parts only.
    pub const DEAD: u8 = 12;
    /// An array's kind when its elements have different tags. Never a value's tag.
    pub const MIXED: u8 = 0xff;
}

/// A Lua value.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Value {
    payload: u64,
    tag: u8,
}

impl Value {
    /// nil
    pub const NIL: Value = Value { payload: 0, tag: tag::NIL };
    /// true
    pub const TRUE: Value = Value { payload: 1, tag: tag::BOOLEAN };
    /// false
    pub const FALSE: Value = Value { payload: 0, tag: tag::BOOLEAN };

    /// Puts a value together.
    ///
    /// # Safety
    /// The payload must be one that the tag allows; for a collectable tag a live object of that kind.
    #[inline(always)]
    pub const unsafe fn from_raw(tag: u8, payload: u64) -> Value {
        Value { payload, tag }
    }

    /// Writes the value to memory, payload and tag one by one.
    ///
    /// # Safety
    /// `to` is memory for a value.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut Value) {
        // SAFETY: the caller's promise.
        unsafe {
            (*to).payload = self.payload;
            (*to).tag = self.tag;
        }
    }

    /// An integer.
    #[inline(always)]
    pub const fn integer(i: i64) -> Value {
        Value { payload: i as u64, tag: tag::INTEGER }
    }

    /// A float.
    #[inline(always)]
    pub const fn float(f: f64) -> Value {
        Value { payload: f.to_bits(), tag: tag::FLOAT }
    }

    /// A boolean.
    #[inline(always)]
    pub const fn boolean(b: bool) -> Value {
        Value { payload: b as u64, tag: tag::BOOLEAN }
    }

    /// A light userdata.
    #[inline(always)]
    pub const fn light(address: usize) -> Value {
        Value { payload: address as u64, tag: tag::LIGHT }
    }

    /// The tag.
    #[inline(always)]
    pub const fn tag(self) -> u8 {
        self.tag
    }

    /// The payload.
    #[inline(always)]
    pub const fn payload(self) -> u64 {
        self.payload
    }

    /// Is it nil?
    #[inline(always)]
    pub const fn is_nil(self) -> bool {
        self.tag == tag::NIL
    }

    /// Is it nil or false?
    #[inline(always)]
    pub const fn is_falsy(self) -> bool {
        self.tag <= tag::BOOLEAN && self.payload == 0
    }

    /// Is it an integer?
    #[inline(always)]
    pub const fn is_integer(self) -> bool {
        self.tag == tag::INTEGER
    }

    /// Is it a float?
    #[inline(always)]
    pub const fn is_float(self) -> bool {
        self.tag == tag::FLOAT
    }

    /// Is it a number?
    #[inline(always)]
    pub const fn is_number(self) -> bool {
        self.tag == tag::INTEGER || self.tag == tag::FLOAT
    }

    /// Is it a string?
    #[inline(always)]
    pub const fn is_string(self) -> bool {
        self.tag == tag::STRING
    }

    /// Is it a table?
    #[inline(always)]
    pub const fn is_table(self) -> bool {
        self.tag == tag::TABLE
    }

    /// Is it a function?
    #[inline(always)]
    pub const fn is_function(self) -> bool {
        self.tag == tag::LUA_FUNCTION || self.tag == tag::NATIVE
    }

    /// Is it an object of the heap?
    #[inline(always)]
    pub const fn is_collectable(self) -> bool {
        self.tag >= tag::STRING && self.tag != tag::DEAD
    }

    /// The payload as an integer; meaningful for integers only.
    #[inline(always)]
    pub const fn raw_integer(self) -> i64 {
        self.payload as i64
    }

    /// The payload as a float; meaningful for floats only.
    #[inline(always)]
    pub const fn raw_float(self) -> f64 {
        f64::from_bits(self.payload)
    }

    /// The integer, if it is one (floats are not converted).
    #[inline(always)]
    pub const fn as_integer(self) -> Option<i64> {
        if self.tag == tag::INTEGER { Some(self.payload as i64) } else { None }
    }

    /// The number as a float, if it is a number.
    #[inline(always)]
    pub const fn as_number(self) -> Option<f64> {
        match self.tag {
            tag::FLOAT => Some(self.raw_float()),
            tag::INTEGER => Some(self.raw_integer() as f64),
            _ => None,
        }
    }

    /// The string, if it is one.
    #[inline(always)]
    pub fn as_string(self) -> Option<Gc<Str>> {
        // SAFETY: the tag says that the payload is a live string.
        if self.tag == tag::STRING { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The table, if it is one.
    #[inline(always)]
    pub fn as_table(self) -> Option<Gc<Table>> {
        // SAFETY: the tag says that the payload is a live table.
        if self.tag == tag::TABLE { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The Lua function, if it is one.
    #[inline(always)]
    pub fn as_lua_function(self) -> Option<Gc<LuaFunction>> {
        // SAFETY: the tag says that the payload is a live Lua function.
        if self.tag == tag::LUA_FUNCTION { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The native function, if it is one.
    #[inline(always)]
    pub fn as_native(self) -> Option<Gc<NativeFunction>> {
        // SAFETY: the tag says that the payload is a live native function.
        if self.tag == tag::NATIVE { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The full userdata, if it is one.
    #[inline(always)]
    pub fn as_userdata(self) -> Option<Gc<Userdata>> {
        // SAFETY: the tag says that the payload is a live userdata.
        if self.tag == tag::USERDATA { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The coroutine, if it is one.
    #[inline(always)]
    pub fn as_thread(self) -> Option<Gc<Thread>> {
        // SAFETY: the tag says that the payload is a live thread.
        if self.tag == tag::THREAD { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The cell, if it is one.
    #[inline(always)]
    pub fn as_cell(self) -> Option<Gc<Cell>> {
        // SAFETY: the tag says that the payload is a live cell.
        if self.tag == tag::CELL { Some(unsafe { self.raw_gc() }) } else { None }
    }

    /// The payload as an object.
    ///
    /// # Safety
    /// The tag must be that of `T`.
    #[inline(always)]
    pub unsafe fn raw_gc<T>(self) -> Gc<T> {
        // SAFETY: a collectable value's payload is never null.
        unsafe { Gc::from_raw(self.payload as *mut T) }
    }

    /// The name of the type, as `type` gives it.
    pub const fn type_name(self) -> &'static str {
        type_name(self.tag)
    }

    /// Same tag and same payload: identity, but for long strings and numbers of different kinds.
    #[inline(always)]
    pub const fn same(self, other: Value) -> bool {
        self.tag == other.tag && self.payload == other.payload
    }

    /// Equality without metamethods (manual 3.4.4).
    pub fn raw_equals(self, other: Value) -> bool {
        if self.tag != other.tag {
            return match (self.tag, other.tag) {
                (tag::INTEGER, tag::FLOAT) => super::number::int_equals_float(self.raw_integer(), other.raw_float()),
                (tag::FLOAT, tag::INTEGER) => super::number::int_equals_float(other.raw_integer(), self.raw_float()),
                _ => false,
            };
        }
        match self.tag {
            tag::FLOAT => self.raw_float() == other.raw_float(),
            tag::STRING if self.payload != other.payload => {
                // SAFETY: both tags say string.
                let (a, b): (Gc<Str>, Gc<Str>) = unsafe { (self.raw_gc(), other.raw_gc()) };
                !a.is_short() && a.bytes() == b.bytes()
            }
            _ => self.payload == other.payload,
        }
    }
}

/// The name of the type that a tag stands for.
pub const fn type_name(tag: u8) -> &'static str {
    match tag {
        tag::NIL => "nil",
        tag::BOOLEAN => "boolean",
        tag::INTEGER | tag::FLOAT => "number",
        tag::LIGHT | tag::USERDATA => "userdata",
        tag::STRING => "string",
        tag::TABLE => "table",
        tag::LUA_FUNCTION | tag::NATIVE => "function",
        tag::THREAD => "thread",
        _ => "no value",
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.tag {
            tag::NIL => f.write_str("nil"),
            tag::BOOLEAN => write!(f, "{}", self.payload != 0),
            tag::INTEGER => write!(f, "{}", self.raw_integer()),
            tag::FLOAT => write!(f, "{:?}", self.raw_float()),
            tag::STRING => {
                let s = self.as_string().map(|s| String::from_utf8_lossy(s.bytes()).into_owned());
                write!(f, "{:?}", s.unwrap_or_default())
            }
            t => write!(f, "{}: {:#x}", type_name(t), self.payload),
        }
    }
}

macro_rules! from_gc {
    ($($ty:ty => $tag:ident),*) => {$(
        impl From<Gc<$ty>> for Value {
            #[inline(always)]
            fn from(object: Gc<$ty>) -> Value {
                Value { payload: object.address() as u64, tag: tag::$tag }
            }
        }
    )*};
}
from_gc!(Str => STRING, Table => TABLE, LuaFunction => LUA_FUNCTION, NativeFunction => NATIVE, Userdata => USERDATA,
    Thread => THREAD, Cell => CELL);
