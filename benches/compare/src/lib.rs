//! What both comparisons share: command lines, the CPU time of a child process, and statistics of times.

pub mod child;
pub mod command;
pub mod statistics;
