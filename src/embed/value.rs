//! Lua values as Rust code holds them: plain data, or a handle that keeps an object of the heap alive.
#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;

use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::{Value as Raw, tag};

use super::shared::Shared;
use super::{Function, Table, Userdata};

/// A kept value: the collector leaves it alone for as long as the handle is there.
pub(crate) struct Handle {
    pub(crate) shared: Rc<Shared>,
    place: usize,
}

impl Handle {
    pub(crate) fn new(shared: &Rc<Shared>, state: &mut State, value: Raw) -> Handle {
        Handle { shared: Rc::clone(shared), place: shared.keep(state, value) }
    }

    /// The value. `state` is the handle's own.
    pub(crate) fn raw(&self, state: &State) -> Raw {
        state.handles[self.place]
    }

    /// Works with the state and the value.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State, Raw) -> R) -> R {
        self.shared.with(|state| {
            let value = state.handles[self.place];
            f(state, value)
        })
    }

    fn same(&self, other: &Handle) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared) && self.with(|state, value| value.raw_equals(other.raw(state)))
    }
}

impl Clone for Handle {
    fn clone(&self) -> Handle {
        self.with(|state, value| Handle::new(&self.shared, state, value))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.release(self.place);
    }
}

/// A Lua value.
///
/// Two values are equal if `rawequal` says so.
#[derive(Clone, Default)]
pub enum Value {
    /// nil
    #[default]
    Nil,
    /// A boolean.
    Boolean(bool),
    /// A number of the subtype integer.
    Integer(i64),
    /// A number of the subtype float.
    Float(f64),
    /// An address that is nothing else to Lua.
    LightUserdata(usize),
    /// A string.
    String(LuaString),
    /// A table.
    Table(Table),
    /// A function.
    Function(Function),
    /// A Rust value in Lua's hands.
    Userdata(Userdata),
    /// A coroutine.
    Thread(Thread),
}

impl Value {
    /// The name of the type, as `type` gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) | Value::Float(_) => "number",
            Value::LightUserdata(_) | Value::Userdata(_) => "userdata",
            Value::String(_) => "string",
            Value::Table(_) => "table",
            Value::Function(_) => "function",
            Value::Thread(_) => "thread",
        }
    }

    /// Is it nil?
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// False for nil and false, true for all others.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Value::Nil | Value::Boolean(false))
    }

    pub(crate) fn from_raw(shared: &Rc<Shared>, state: &mut State, raw: Raw) -> Value {
        let mut handle = || Handle::new(shared, state, raw);
        match raw.tag() {
            tag::BOOLEAN => Value::Boolean(raw.payload() != 0),
            tag::INTEGER => Value::Integer(raw.raw_integer()),
            tag::FLOAT => Value::Float(raw.raw_float()),
            tag::LIGHT => Value::LightUserdata(raw.payload() as usize),
            tag::STRING => Value::String(LuaString(handle())),
            tag::TABLE => Value::Table(Table(handle())),
            tag::LUA_FUNCTION | tag::NATIVE => Value::Function(Function(handle())),
            tag::USERDATA => Value::Userdata(Userdata(handle())),
            tag::THREAD => Value::Thread(Thread(handle())),
            _ => Value::Nil,
        }
    }

    /// The value in its own state.
    ///
    /// # Panics
    /// When it belongs to another one.
    pub(crate) fn raw(&self, shared: &Rc<Shared>, state: &State) -> Raw {
        match self {
            Value::Nil => Raw::NIL,
            Value::Boolean(b) => Raw::boolean(*b),
            Value::Integer(i) => Raw::integer(*i),
            Value::Float(f) => Raw::float(*f),
            Value::LightUserdata(address) => Raw::light(*address),
            Value::String(LuaString(handle))
            | Value::Table(Table(handle))
            | Value::Function(Function(handle))
            | Value::Userdata(Userdata(handle))
            | Value::Thread(Thread(handle)) => {
                assert!(Rc::ptr_eq(shared, &handle.shared), "a value was given to a Lua that it does not belong to");
                handle.raw(state)
            }
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::LightUserdata(a), Value::LightUserdata(b)) => a == b,
            (Value::Integer(_) | Value::Float(_), Value::Integer(_) | Value::Float(_)) => {
                let number = |v: &Value| match v {
                    Value::Integer(i) => Raw::integer(*i),
                    Value::Float(f) => Raw::float(*f),
                    _ => Raw::NIL,
                };
                number(self).raw_equals(number(other))
            }
            (Value::String(LuaString(a)), Value::String(LuaString(b)))
            | (Value::Table(Table(a)), Value::Table(Table(b)))
            | (Value::Function(Function(a)), Value::Function(Function(b)))
            | (Value::Userdata(Userdata(a)), Value::Userdata(Userdata(b)))
            | (Value::Thread(Thread(a)), Value::Thread(Thread(b))) => a.same(b),
            _ => false,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(b) => write!(f, "{b}"),
            Value::Integer(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::String(s) => write!(f, "{:?}", s.to_string_lossy()),
            other => f.write_str(other.type_name()),
        }
    }
}

/// A string of Lua: bytes, not necessarily UTF-8.
#[derive(Clone)]
pub struct LuaString(pub(crate) Handle);

impl LuaString {
    /// A copy of the bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.with(|_, raw| raw.as_string().map(|s| s.bytes().to_vec()).unwrap_or_default())
    }

    /// A copy as text, invalid UTF-8 replaced.
    pub fn to_string_lossy(&self) -> String {
        String::from_utf8_lossy(&self.to_bytes()).into_owned()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.with(|_, raw| raw.as_string().map_or(0, |s| s.len()))
    }

    /// Is it the empty string?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string_lossy())
    }
}

/// A coroutine.
#[derive(Clone)]
pub struct Thread(pub(crate) Handle);

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thread")
    }
}
