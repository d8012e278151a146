//! Userdata: Rust values in Lua's hands.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use perilune_runtime::lua::value::Value as Raw;

use super::value::Handle;
use super::{IntoLua, Lua, Result, Table, machine};

/// A Rust value that Lua code can hold and pass on. What Lua code can do with it, its metatable says.
#[derive(Clone)]
pub struct Userdata(pub(crate) Handle);

impl fmt::Debug for Userdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("userdata")
    }
}

impl Userdata {
    pub(super) fn new<T: 'static>(lua: &Lua, value: T) -> Result<Userdata> {
        let shared = lua.shared();
        let value = Rc::new(RefCell::new(value));
        shared.with(|state| {
            let userdata = machine::make(shared, state, |state| state.heap.userdata(Box::new(Rc::clone(&value)), 0))?;
            Ok(Userdata(Handle::new(shared, state, Raw::from(userdata))))
        })
    }

    /// The value, if it is a `T` that came from [`Lua::userdata`].
    pub fn get<T: 'static>(&self) -> Option<Rc<RefCell<T>>> {
        self.0.with(|_, raw| {
            let userdata = raw.as_userdata()?;
            let data = userdata.data.borrow();
            data.as_ref()?.downcast_ref::<Rc<RefCell<T>>>().cloned()
        })
    }

    /// The metatable.
    pub fn metatable(&self) -> Option<Table> {
        self.0.with(|state, raw| {
            let meta = raw.as_userdata()?.metatable()?;
            Some(Table(Handle::new(&self.0.shared, state, Raw::from(meta))))
        })
    }

    /// Sets the metatable.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn set_metatable(&self, meta: Option<&Table>) -> Result<()> {
        let shared = &self.0.shared;
        let meta = meta.into_lua(&Lua::borrowed(shared))?;
        self.0.with(|state, raw| {
            let meta = meta.raw(shared, state).as_table();
            let userdata = raw.as_userdata().expect("a userdata's handle holds a userdata");
            machine::make(shared, state, |state| userdata.set_metatable(&mut state.heap, meta))?;
            machine::note_finalizer(state, raw);
            Ok(())
        })
    }
}
