//! The Lua machine: from source to bytecode, its interpreter and its library.

pub mod api;
pub mod ast;
pub mod binary;
pub mod calendar;
pub mod call;
pub mod compile;
pub mod coroutine;
pub mod error;
pub mod exec;
pub mod lexer;
pub mod lib;
pub mod listing;
pub mod load;
pub mod meta;
pub mod names;
pub mod parser;
pub mod source;
pub mod symbol;
