//! perilune: Lua 5.4 with a tracing JIT, to embed in Rust programs.
//!
//! A [`Lua`] is a state of its own: globals, heap, compiled code. Rust code runs scripts in it, calls their functions, gives
//! them functions and values, and gets errors as [`Error`], with the traceback.
//!
//! ```
//! use perilune::{Lua, Result};
//!
//! fn main() -> Result<()> {
//!     let lua = Lua::new();
//!     lua.globals().set("shout", lua.function(|_, text: String| Ok(text.to_uppercase()))?)?;
//!     let answer: String = lua.eval("shout('hello') .. '!'")?;
//!     assert_eq!(answer, "HELLO!");
//!     Ok(())
//! }
//! ```
//!
//! Values that Rust code holds ([`Table`], [`Function`], ...) are handles: they keep their object alive, and let go when they
//! are dropped. Numbers, booleans, strings, options, vectors, maps and tuples are converted both ways
//! ([`IntoLua`], [`FromLua`]). [`Options`] limits memory; an [`Interrupt`] stops a program that runs for too long, compiled or
//! not, from another thread.

#![debugger_visualizer(gdb_script_file = "gdb_script.py")]

mod embed;
pub mod guest;
mod script;

pub use embed::{
    Arguments, Bytes, Chunk, Entry, Error, FromLua, FromLuaMulti, Function, Interrupt, IntoLua, IntoLuaMulti, Lua,
    LuaString, Mismatch, Options, Pairs, Profile, Profiler, Result, Session, Table, Thread, Trace, Userdata, Value,
    Values,
};
