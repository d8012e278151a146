//! Functions: calling them, and making them of Rust closures.
#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;

use perilune_interpreter::lua::listing::write_code;
use perilune_interpreter::lua::source::chunk_id;
use perilune_interpreter::lua::{api, error};
use perilune_runtime::lua::function::{Proto, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::value::Value as Raw;

use super::shared::Shared;
use super::value::Handle;
use super::{Error, FromLuaMulti, IntoLuaMulti, Lua, Mismatch, Result, Value, machine};

/// A function, of Lua or of Rust.
#[derive(Clone)]
pub struct Function(pub(crate) Handle);

impl Function {
    /// Calls it.
    ///
    /// # Errors
    /// Those of the function, or results that cannot be converted.
    pub fn call<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        Lua::borrowed(&self.0.shared).call(&Value::Function(self.clone()), args)
    }
}

impl Function {
    /// The bytecode of a Lua function as text, one line for each instruction, followed by that of each function inside of
    /// it under a line that says which; none of a native function.
    pub fn listing(&self) -> Option<String> {
        self.0.with(|_, raw| {
            let mut text = String::new();
            write_functions(&mut text, raw.as_lua_function()?.proto());
            Some(text)
        })
    }
}

fn write_functions(text: &mut String, proto: Gc<Proto>) {
    write_code(text, &*proto);
    for inner in &proto.functions {
        let name = inner.name.as_deref().map(|name| format!(" {}", String::from_utf8_lossy(name))).unwrap_or_default();
        let (chunk, line) = (chunk_id(&inner.source), inner.line_defined);
        text.push_str(&format!("function{name} <{}:{line}>\n", String::from_utf8_lossy(&chunk)));
        write_functions(text, *inner);
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("function")
    }
}

/// Why a native function's closure has no results.
pub(super) enum Failure {
    Error(Error),
    Mismatch(Mismatch),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl From<Mismatch> for Failure {
    fn from(mismatch: Mismatch) -> Failure {
        Failure::Mismatch(mismatch)
    }
}

type Body = dyn Fn(&Lua, Vec<Value>) -> Result<Vec<Value>, Failure>;

/// What the native function [`dispatch`] finds in its first captured value.
struct Callback {
    shared: Rc<Shared>,
    body: Rc<Body>,
}

/// A function of a closure over values.
pub(super) fn native(
    lua: &Lua,
    body: impl Fn(&Lua, Vec<Value>) -> Result<Vec<Value>, Failure> + 'static,
) -> Result<Function> {
    let shared = lua.shared();
    let body: Rc<Body> = Rc::new(body);
    shared.with(|state| {
        let function = machine::make(shared, state, |state| {
            let callback = Callback { shared: Rc::clone(shared), body: Rc::clone(&body) };
            let holder = state.heap.userdata(Box::new(callback), 0)?;
            state.heap.native(dispatch, Special::None, &[Raw::from(holder)])
        })?;
        Ok(Function(Handle::new(shared, state, Raw::from(function))))
    })
}

/// The native function of all closures: finds the one it stands for and calls it, with the state lent to it.
fn dispatch(state: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let holder = state.slot(f.base as usize - 1).as_native().and_then(|native| native.value(0).as_userdata());
    let found = holder.and_then(|holder| {
        let data = holder.data.borrow();
        let callback = data.as_ref()?.downcast_ref::<Callback>()?;
        Some((Rc::clone(&callback.shared), Rc::clone(&callback.body)))
    });
    let Some((shared, body)) = found else {
        return Err(api::error(state, format_args!("the closure of a native function is gone")));
    };
    let args: Vec<Raw> = (0..f.count as usize).map(|i| state.arg(f, i)).collect();
    let args: Vec<Value> = args.into_iter().map(|raw| Value::from_raw(&shared, state, raw)).collect();
    let lua = Lua::borrowed(&shared);
    match shared.lend(state, || body(&lua, args)) {
        Ok(results) => {
            state.check_stack(results.len())?;
            for value in &results {
                let raw = value.raw(&shared, state);
                state.push(raw)?;
            }
            Ok(results.len() as u32)
        }
        Err(Failure::Mismatch(mismatch)) => Err(api::arg_error(state, f, mismatch.index, &mismatch.message)),
        Err(Failure::Error(failure)) => Err(match failure.value() {
            Some(value) => {
                let raw = value.raw(&shared, state);
                state.raise(raw)
            }
            None => error::error_at(state, 1, failure.message_bytes()),
        }),
    }
}
