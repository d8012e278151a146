//! The guest machine: an AMD64 processor with memory and devices, hosted in this process without hardware virtualization.
//!
//! A [`Machine`] is loaded with an image and run until it exits: because the guest ended, because the budget of instructions is
//! used up, or because it did something that was asked to be told of.
//!
//! ```
//! use perilune::guest::{Budget, Exit, Gpa, Machine, Register, Start};
//!
//! fn main() -> Result<(), perilune::guest::Error> {
//!     // mov eax, edi; add eax, 2; out 0xf4, eax
//!     let code = [0x89, 0xf8, 0x83, 0xc0, 0x02, 0xe7, 0xf4];
//!     let mut machine = Machine::builder().memory(1 << 20).build()?;
//!     machine.load_flat(&code, Gpa(0x8000), Start::Long)?;
//!     machine.set(Register::Rdi, 40);
//!     assert_eq!(machine.run(Budget::Instructions(100)), Exit::Debug(42));
//!     assert_eq!(machine.instructions(), 3);
//!     Ok(())
//! }
//! ```
//!
//! Time is virtual: one nanosecond for each instruction, so that a run repeats exactly. Addresses in the guest's memory are
//! [`Gva`] (what instructions use) or [`Gpa`] (behind the page tables), which cannot be mixed up.

#![forbid(unsafe_code)]

mod exit;
mod hook;
mod machine;
mod register;
mod translation;

pub use exit::{Budget, Error, Exit};
pub use hook::{Action, Filter, HookId};
pub use machine::{Builder, Gpa, Gva, Machine, Snapshot, Stopper};
pub use perilune_runtime::guest::exit::Reason;
pub use perilune_runtime::guest::image::Start;
pub use register::Register;
pub use translation::Translation;
