//! Binary chunks: functions as `string.dump` writes them and `load` reads them back.
//!
//! ```text
//! header     as that of PUC Lua 5.4: "\x1bLua", 0x54, 0, "\x19\x93\r\n\x1a\n", sizes 4 8 8, 0x5678, 370.5
//! format     a 0 and the name of this format and its version; PUC Lua reads that as a number too large, and refuses it
//! function   source, lines, sizes, words of code, constants, upvalues, functions, and what debugging wants
//! ```
//!
//! Numbers are written in groups of 7 bits, the lowest first; the last group has the high bit clear. The words of the code are
//! bytecode as it was compiled, with nothing in the extra words that is counted or patched while the program runs.
//!
//! What is read is not trusted: [`verify`] accepts only code that keeps to its registers, constants and jumps, and that never
//! takes a captured variable's cell or a loop's state for a value. The interpreter and the compiler check none of this.

#![forbid(unsafe_code)]

mod flow;
mod read;
mod verify;
mod write;

pub use read::read;
pub use write::dump;

/// What all chunks begin with.
const HEADER: &[u8] = b"\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08\
    \x78\x56\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x77\x40\
    \x00perilune bytecode 1\n";

/// The kinds of constants.
mod kind {
    pub const NIL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INTEGER: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const STRING: u8 = 5;
}

/// The source of a function without debug information.
const NO_SOURCE: &[u8] = b"=?";
/// The name of an upvalue without debug information.
pub const NO_NAME: &[u8] = b"(no name)";
