//! The embedding face: a safe API over the machine. `shared` is the one room that touches the state itself.

mod compiler;
mod convert;
mod error;
mod function;
mod lua;
mod machine;
mod profile;
mod session;
mod shared;
mod table;
mod userdata;
mod value;

pub use compiler::Trace;
pub use convert::{Arguments, Bytes, FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, Values};
pub use error::{Error, Mismatch, Result};
pub use function::Function;
pub use lua::{Chunk, Interrupt, Lua, Options};
pub use profile::{Profile, Profiler};
pub use session::{Entry, Session};
pub use table::{Pairs, Table};
pub use userdata::Userdata;
pub use value::{LuaString, Thread, Value};
