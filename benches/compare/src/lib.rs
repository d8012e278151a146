//! What both comparisons share: the CPU time of a child process, and statistics of times.

pub mod child;
pub mod statistics;
