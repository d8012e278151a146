//! Code in progress, and published code: two types, so that nothing unfinished can be entered or patched.
#![forbid(unsafe_code)]

use super::CodeError;
use super::arena::Block;
use super::x64::Assembler;
use dynasmrt::DynasmApi;
use std::ops::Range;

/// `int3`: fills what must not be run.
const TRAP: u8 = 0xcc;

/// Code that is being assembled for a block of an arena; its bytes are not there yet.
pub struct Buffer {
    /// Give this to `dynasm!`. It knows the final address: targets elsewhere in the arena are written `extern address`.
    pub asm: Assembler,
    block: Block,
    bound: usize,
}

impl Buffer {
    pub(super) fn new(block: Block, bound: usize) -> Buffer {
        // Of what code has about one label in 64 bytes and one jump in 32 at most, as a guess.
        let asm = Assembler::new_with_capacity(block.range().start, bound, 0, 0, bound / 64, 0, bound / 32);
        Buffer { asm, block, bound }
    }

    /// Where the code will start.
    pub fn start(&self) -> usize {
        self.block.range().start
    }

    /// The address of the next instruction.
    pub fn address(&self) -> usize {
        self.start() + self.asm.offset().0
    }

    /// Resolves all labels and writes the code to its block.
    pub fn publish(self) -> Result<Code, CodeError> {
        let Buffer { asm, mut block, bound } = self;
        let bytes = asm.finalize()?;
        if bytes.len() > block.range().len() {
            return Err(CodeError::TooLong { claimed: bound, length: bytes.len() });
        }
        block.shrink(bytes.len());
        block.shared.space.write(block.range(), |target| {
            let (code, padding) = target.split_at_mut(bytes.len());
            code.copy_from_slice(&bytes);
            padding.fill(TRAP);
        })?;
        Ok(Code { block, length: bytes.len() })
    }
}

/// Published code: readable and executable. Dropping it frees its memory, so it must not be on any stack then, and nothing
/// may lead to it.
#[derive(Debug)]
pub struct Code {
    block: Block,
    length: usize,
}

impl Code {
    /// Its first byte.
    pub fn start(&self) -> usize {
        self.block.range().start
    }

    /// Its addresses, without padding.
    pub fn range(&self) -> Range<usize> {
        self.start()..self.start() + self.length
    }

    /// A copy of its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.block.shared.space.read(self.range())
    }
}
