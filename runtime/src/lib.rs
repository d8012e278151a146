//! What exists: the values, heap and state of the machines that perilune runs. Nothing here runs any code of theirs.

pub mod guest;
pub mod lua;
