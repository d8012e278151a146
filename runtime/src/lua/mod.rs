//! The Lua machine's data: values and the heap they live in, what the compiler makes, stacks and the state.

pub mod bytecode;
pub mod debugger;
pub mod decimal;
pub mod event;
pub mod frames;
pub mod function;
pub mod heap;
pub mod layout;
pub mod lookup;
pub mod number;
pub mod prototype;
pub mod shape;
pub mod state;
pub mod string;
pub mod table;
pub mod thread;
pub mod tier;
pub mod userdata;
pub mod value;
