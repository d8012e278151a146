//! How it is explained to the outside: call frame information, gdb, perf. Knows neither Lua nor the guest.
//!
//! Compiled code is a black box to whatever walks the stack from outside: the unwinder of Rust's panics, `std::backtrace`,
//! gdb, perf. Each of them reads a format of its own; all of them are written here, from descriptions that are plain data.
//!
//! | file | who reads it |
//! | --- | --- |
//! | `frame` | nobody: how a prologue changes the frame, as data |
//! | `cfi` | turns that into `.eh_frame` (unwinder) and `.debug_frame` (gdb), and reads either back |
//! | `register` | libgcc's unwinder, told of an `.eh_frame` section |
//! | `lines` | gdb: DWARF of functions, source lines and variables |
//! | `types` | gdb: types of variables, and where these are |
//! | `object` | gdb: the ELF image around all that |
//! | `gdb` | gdb: the list of images it watches |
//! | `perf` | perf: a text file of names |
//! | `jitdump` | perf: names, lines and code |
//!
//! *One entry for a whole arena.* Compiled code shares one fixed frame, set up by a trampoline at the arena's start. So one
//! frame description covers the arena to its end, however much code it comes to hold. An entry per piece of code would
//! make every panic of the process slow: libgcc sorts all of them before it unwinds the first frame.

pub mod cfi;
pub mod frame;
pub mod gdb;
pub mod jitdump;
pub mod lines;
pub mod object;
pub mod perf;
pub mod register;
pub mod types;

use std::fmt;

/// Why a description could not be written. Neither happens for addresses of this machine and sizes below 4 GB.
#[derive(Debug)]
pub enum Error {
    /// Call frame information or DWARF.
    Dwarf(gimli::write::Error),
    /// The ELF image.
    Image(::object::write::Error),
    /// The section read back holds no row for the address, or is not well-formed.
    Read(gimli::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Dwarf(error) => write!(f, "cannot write debug information: {error}"),
            Error::Image(error) => write!(f, "cannot write an ELF image: {error}"),
            Error::Read(error) => write!(f, "cannot read call frame information: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<gimli::write::Error> for Error {
    fn from(error: gimli::write::Error) -> Self {
        Error::Dwarf(error)
    }
}

impl From<::object::write::Error> for Error {
    fn from(error: ::object::write::Error) -> Self {
        Error::Image(error)
    }
}

impl From<gimli::Error> for Error {
    fn from(error: gimli::Error) -> Self {
        Error::Read(error)
    }
}
