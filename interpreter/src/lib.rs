//! How it is done right: the interpreters, which compiled code is held against.

pub mod guest;
pub mod lua;
