//! Machine code: what every code generator of the project shares. It knows no language and no guest.
//!
//! ```text
//! Arena::begin -> Buffer --assemble--> Buffer::publish -> Code --drop--> free
//!                 (final address known)                   (read and execute)
//! ```
//!
//! | file | what it holds |
//! | --- | --- |
//! | `x64` | the roles of registers, conditions, the few instructions that are emitted the same everywhere |
//! | `map` | the reserved range of addresses and its protection |
//! | `arena` | a part of it with a trampoline and an allocator |
//! | `buffer` | code in progress, and published code |
//! | `trampoline` | how Rust enters compiled code: the fixed frame |
//! | `exit` | how compiled code leaves: exit stubs and the exit state |
//! | `patch` | turning jumps of published code to another target |
//! | `encode` | instructions with their shortest operands |
//! | `helper` | Rust functions that compiled code calls |
//! | `publish` | what outsiders are told of published code; when dropped code may be reused |
//! | `dump` | disassembly |
//!
//! *The frame.* A trampoline makes one frame of fixed size for whatever code it enters; the code has no prologue, does not
//! move rsp, and jumps freely to other code of the arena. So spill slots and the exit state lie at constant offsets from
//! rbp, one frame description covers the arena, and rsp is 16-aligned at every call out of it (System V ABI, 3.2.2). Nothing
//! is kept below rsp: calls are everywhere.
//!
//! *Protection.* No page is ever writable and executable at once. The mapping is private: gdb cannot insert a breakpoint
//! into a shared one.

pub mod arena;
pub mod buffer;
pub mod dump;
pub mod encode;
pub mod exit;
pub mod helper;
pub mod map;
pub mod patch;
pub mod publish;
pub mod trampoline;
pub mod x64;

use std::{fmt, io};

/// Why code could not be made. All of these leave what was published before as it was.
#[derive(Debug)]
pub enum CodeError {
    /// The operating system refused memory or a change of protection.
    Memory(io::Error),
    /// No free block of the arena is large enough.
    Full {
        /// Bytes asked for.
        wanted: usize,
    },
    /// The code is longer than the block that was claimed for it.
    TooLong {
        /// Bytes claimed.
        claimed: usize,
        /// Bytes assembled.
        length: usize,
    },
    /// The code does not assemble: a label without a place, or a target out of reach.
    Assemble(dynasmrt::DynasmError),
    /// A jump to be patched, or its new target, lies outside the arena's range.
    Reach {
        /// Address of the displacement.
        site: usize,
        /// Address of the target.
        target: usize,
    },
    /// The frame could not be described to unwinder and debugger.
    Describe(perilune_unwind::Error),
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeError::Memory(error) => write!(f, "memory for machine code: {error}"),
            CodeError::Full { wanted } => write!(f, "no room for {wanted} bytes of machine code"),
            CodeError::TooLong { claimed, length } => {
                write!(f, "{length} bytes of machine code in a block of {claimed}")
            }
            CodeError::Assemble(error) => write!(f, "machine code does not assemble: {error}"),
            CodeError::Reach { site, target } => write!(f, "jump at {site:#x} cannot lead to {target:#x}"),
            CodeError::Describe(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for CodeError {}

impl From<io::Error> for CodeError {
    fn from(error: io::Error) -> Self {
        CodeError::Memory(error)
    }
}

impl From<dynasmrt::DynasmError> for CodeError {
    fn from(error: dynasmrt::DynasmError) -> Self {
        CodeError::Assemble(error)
    }
}

impl From<perilune_unwind::Error> for CodeError {
    fn from(error: perilune_unwind::Error) -> Self {
        CodeError::Describe(error)
    }
}
