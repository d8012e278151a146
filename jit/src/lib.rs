//! How it is done fast: the tracing compiler.
#![allow(clippy::useless_conversion, reason = "dynasm! converts every register number")]

pub mod code;
pub mod guest;
pub mod lua;
