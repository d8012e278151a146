//! The guest machine, as data: an AMD64 processor, its memory, its devices.
//!
//! [`machine::Machine`] holds all of it. Nothing here executes an instruction: the interpreter (`perilune-interpreter`) and a
//! translator that is plugged into it by [`tier`] do, and both work on these types. Virtual time is the number of
//! instructions retired, so that a run can be repeated exactly.

#![forbid(unsafe_code)]

pub mod bus;
pub mod cpu;
pub mod device;
pub mod exception;
pub mod exit;
pub mod image;
pub mod layout;
pub mod machine;
pub mod memory;
pub mod paging;
pub mod snapshot;
pub mod symbol;
pub mod tier;
pub mod tlb;
