//! How a guest is executed right: decoding, one handler for each family of instructions, exceptions, and the dispatch loop.

pub mod cache;
pub mod decode;
pub mod engine;
pub mod exec;
pub mod fault;
pub mod native;
