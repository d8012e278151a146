//! What gdb is told of blocks: a symbol and a function for each, named by the guest's symbol and address.
//!
//! There is nothing of the guest's source in it: `bt` has a frame for the block, `info symbol` and `disassemble` know it by its address. The
//! guest's own frames are memory of the guest, not of the process.
#![forbid(unsafe_code)]

use crate::code::buffer::Code;
use crate::code::publish::Telling;
use perilune_runtime::guest::symbol::Symbols;
use perilune_unwind::lines::Function;
use perilune_unwind::object::Symbol;

/// Tells gdb of each block at once if it runs this program; else nothing: guests may have many blocks, and drop them often.
pub fn detect() -> Telling {
    match Telling::detect() {
        Telling::AtOnce => Telling::AtOnce,
        Telling::Batches | Telling::Never => Telling::Never,
    }
}

/// What a block at a guest's address is called.
pub fn name(symbols: &Symbols, rip: u64) -> String {
    match symbols.find(rip) {
        Some((name, 0)) => format!("guest:{name} @{rip:#x}"),
        Some((name, offset)) => format!("guest:{name}+{offset:#x} @{rip:#x}"),
        None => format!("guest:{rip:#x}"),
    }
}

/// A block's code as gdb is told of it.
pub fn function(symbols: &Symbols, rip: u64, code: &Code) -> Function {
    let name = name(symbols, rip);
    let range = code.range();
    let symbol = Symbol { name: name.clone(), start: range.start as u64, size: range.len() as u64 };
    Function { symbol, name, file: 0, line: 0, rows: Vec::new(), parameters: Vec::new(), scopes: Vec::new() }
}
