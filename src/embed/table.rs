//! Tables.
#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;

use perilune_runtime::lua::heap::{Gc, OutOfMemory};
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::table::{SetError, Table as RawTable};
use perilune_runtime::lua::value::Value as Raw;

use super::shared::Shared;
use super::value::Handle;
use super::{Error, FromLua, IntoLua, Lua, Result, Value, machine};

/// A table.
#[derive(Clone)]
pub struct Table(pub(crate) Handle);

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table")
    }
}

impl Table {
    fn lua(&self) -> Lua {
        Lua::borrowed(&self.0.shared)
    }

    fn shared(&self) -> &Rc<Shared> {
        &self.0.shared
    }

    fn with<R>(&self, f: impl FnOnce(&mut State, Gc<RawTable>) -> R) -> R {
        self.0.with(|state, raw| {
            let table = raw.as_table().expect("a table's handle holds a table");
            f(state, table)
        })
    }

    /// `t[key]`, `__index` respected.
    ///
    /// # Errors
    /// Those of metamethods, or a value that cannot be converted.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.lua();
        let key = key.into_lua(&lua)?;
        let value = self.with(|state, table| {
            let key = key.raw(self.shared(), state);
            let value = table.get(key);
            if !value.is_nil() || table.metatable().is_none() {
                return Ok(Value::from_raw(self.shared(), state, value));
            }
            machine::operate(self.shared(), state, machine::index, &[Raw::from(table), key])
        })?;
        lua.unpack(value)
    }

    /// `t[key] = value`, `__newindex` respected.
    ///
    /// # Errors
    /// Those of metamethods; when the key is nil or not a number; when there is no memory.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.lua();
        let (key, value) = (key.into_lua(&lua)?, value.into_lua(&lua)?);
        self.with(|state, table| {
            let (key, value) = (key.raw(self.shared(), state), value.raw(self.shared(), state));
            if table.metatable().is_none() {
                return assign(self.shared(), state, table, key, value);
            }
            machine::operate(self.shared(), state, machine::set_index, &[Raw::from(table), key, value]).map(|_| ())
        })
    }

    /// `rawget(t, key)`
    ///
    /// # Errors
    /// When the value cannot be converted.
    pub fn raw_get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.lua();
        let key = key.into_lua(&lua)?;
        let value = self.with(|state, table| {
            let value = table.get(key.raw(self.shared(), state));
            Value::from_raw(self.shared(), state, value)
        });
        lua.unpack(value)
    }

    /// `rawset(t, key, value)`
    ///
    /// # Errors
    /// When the key is nil or not a number, or there is no memory.
    pub fn raw_set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.lua();
        let (key, value) = (key.into_lua(&lua)?, value.into_lua(&lua)?);
        self.with(|state, table| {
            let (key, value) = (key.raw(self.shared(), state), value.raw(self.shared(), state));
            assign(self.shared(), state, table, key, value)
        })
    }

    /// `#t`, `__len` respected.
    ///
    /// # Errors
    /// Those of the metamethod.
    pub fn len(&self) -> Result<i64> {
        let length = self.with(|state, table| {
            if table.metatable().is_none() {
                return Ok(Value::Integer(table.length()));
            }
            machine::operate(self.shared(), state, machine::length, &[Raw::from(table)])
        })?;
        self.lua().unpack(length)
    }

    /// `#t` without metamethods.
    pub fn raw_len(&self) -> i64 {
        self.with(|_, table| table.length())
    }

    /// Does it have no entry at all?
    pub fn is_empty(&self) -> bool {
        self.with(|_, table| table.entry_from(0).is_none())
    }

    /// `t[#t + 1] = value`
    ///
    /// # Errors
    /// As [`Table::set`].
    pub fn push(&self, value: impl IntoLua) -> Result<()> {
        self.set(self.len()? + 1, value)
    }

    /// Calls the function in a field.
    ///
    /// # Errors
    /// When there is no function, and those of the call.
    pub fn call<R: super::FromLuaMulti>(&self, name: impl IntoLua, args: impl super::IntoLuaMulti) -> Result<R> {
        self.get::<super::Function>(name)?.call(args)
    }

    /// All entries, as `next` finds them. Existing fields may be assigned meanwhile; a new one may end the iteration with an
    /// error.
    pub fn pairs(&self) -> Pairs {
        Pairs { table: self.clone(), key: Some(Value::Nil) }
    }

    /// The metatable.
    pub fn metatable(&self) -> Option<Table> {
        self.with(|state, table| {
            let meta = table.metatable()?;
            Some(Table(Handle::new(self.shared(), state, Raw::from(meta))))
        })
    }

    /// Sets the metatable.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn set_metatable(&self, meta: Option<&Table>) -> Result<()> {
        let lua = self.lua();
        let meta = meta.into_lua(&lua)?;
        self.with(|state, table| {
            let meta = meta.raw(self.shared(), state).as_table();
            machine::make(self.shared(), state, |state| table.set_metatable(&mut state.heap, meta))?;
            machine::note_finalizer(state, Raw::from(table));
            Ok(())
        })
    }
}

fn assign(shared: &Rc<Shared>, state: &mut State, table: Gc<RawTable>, key: Raw, value: Raw) -> Result<()> {
    let wrong_key = |text: &str| Ok(Err(Error::new(text)));
    machine::make(shared, state, |state| match table.set(&mut state.heap, key, value) {
        Ok(()) => Ok(Ok(())),
        Err(SetError::NilKey) => wrong_key("table index is nil"),
        Err(SetError::NanKey) => wrong_key("table index is NaN"),
        Err(SetError::OutOfMemory) => Err(OutOfMemory),
    })?
}

/// The entries of a table.
pub struct Pairs {
    table: Table,
    key: Option<Value>,
}

impl Iterator for Pairs {
    type Item = Result<(Value, Value)>;

    fn next(&mut self) -> Option<Result<(Value, Value)>> {
        let key = self.key.take()?;
        let shared = self.table.shared();
        let entry = self.table.with(|state, table| {
            let key = key.raw(shared, state);
            let entry = table.next(key).map_err(|_| Error::new("invalid key to 'next'"))?;
            Ok(entry.map(|(key, value)| (Value::from_raw(shared, state, key), Value::from_raw(shared, state, value))))
        });
        if let Ok(Some((key, _))) = &entry {
            self.key = Some(key.clone());
        }
        entry.transpose()
    }
}
