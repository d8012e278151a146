//! Rust functions that compiled code calls: how they are described, and how a call is emitted.
//!
//! A helper is `extern "C-unwind"`: arguments and result go as the System V ABI has them, and a panic in it passes through
//! the compiled frame to whoever entered it. Its class says what may happen in it, and so what must be in memory before the
//! call.

use super::x64::Assembler;
use dynasmrt::{DynasmApi, dynasm};

/// What a helper may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Computes: does not allocate, raise, or run anything else.
    Leaf,
    /// May allocate or answer with an error; never collects garbage and never re-enters.
    Allocating,
    /// May do anything: collect, raise, run other code, look at the stack. All state must be in memory.
    Full,
}

/// A function that compiled code may call.
#[derive(Debug, Clone, Copy)]
pub struct Helper {
    /// Its name in dumps.
    pub name: &'static str,
    /// What it may do.
    pub class: Class,
    address: *const (),
}

// SAFETY: the address of a function is the same for all threads, and is only compared and called.
unsafe impl Send for Helper {}
// SAFETY: as above.
unsafe impl Sync for Helper {}

impl Helper {
    /// Describes the function at `address`; see [`helper!`](crate::helper).
    pub const fn new(name: &'static str, class: Class, address: *const ()) -> Helper {
        Helper { name, class, address }
    }

    /// Where the function is.
    pub fn address(&self) -> usize {
        self.address as usize
    }

    /// Emits the call; arguments are in their registers. Overwrites rax first: the callee may lie anywhere in memory.
    pub fn emit_call(&self, asm: &mut Assembler) {
        dynasm!(asm; .arch x64; mov rax, QWORD self.address() as i64; call rax);
    }
}

/// Describes a function by its path: `helper!(Leaf, floor)`.
#[macro_export]
macro_rules! helper {
    ($class:ident, $function:path) => {
        $crate::code::helper::Helper::new(
            stringify!($function),
            $crate::code::helper::Class::$class,
            $function as *const (),
        )
    };
}
