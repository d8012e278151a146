//! Disassembly of published code, one line for each instruction, with names for the addresses it refers to.
#![forbid(unsafe_code)]

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, SymbolResolver, SymbolResult};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it is.
    pub address: usize,
    /// Its length in bytes.
    pub length: usize,
    /// Its text, in Intel's syntax: `mov rax,[rbp-30h]`.
    pub text: String,
}

/// Asks for a name of an address.
struct Names<F>(F);

impl<F: FnMut(u64) -> Option<String>> SymbolResolver for Names<F> {
    fn symbol(&mut self, _: &Instruction, _: u32, _: Option<u32>, address: u64, _: u32) -> Option<SymbolResult<'_>> {
        (self.0)(address).map(|name| SymbolResult::with_string(address, name))
    }
}

/// Disassembles `code`, which lies at `start`. `name` is asked for every address and immediate number that an instruction
/// mentions; what it does not know is shown as a number.
pub fn disassemble(code: &[u8], start: usize, name: impl FnMut(u64) -> Option<String> + 'static) -> Vec<Line> {
    let mut decoder = Decoder::with_ip(64, code, start as u64, DecoderOptions::NONE);
    let mut formatter = IntelFormatter::with_options(Some(Box::new(Names(name))), None);
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    let mut lines = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        lines.push(Line { address: instruction.ip() as usize, length: instruction.len(), text });
    }
    lines
}
