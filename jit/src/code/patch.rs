//! Turning jumps of published code to another target.
//!
//! Only displacements are written, never an instruction's first byte: there gdb may have put a breakpoint, and it will write
//! back what it saved. (Forcing a guard to fail does write opcodes; it is meant for testing only.)
#![forbid(unsafe_code)]

use super::CodeError;
use super::arena::Arena;
use super::x64::{Condition, DISPLACEMENT};
use std::ops::Range;

/// A jump to be turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// The address of its rel32 displacement.
    pub site: usize,
    /// The address that it shall lead to.
    pub target: usize,
}

impl<H> Arena<H> {
    /// Writes the displacements of all patches; on error, of none. However many there are, the protection is switched
    /// once forth and back.
    pub fn patch(&self, patches: &[Patch]) -> Result<(), CodeError> {
        let displacements: Vec<_> = patches.iter().map(|&patch| self.displacement(patch)).collect::<Result<_, _>>()?;
        let Some(start) = patches.iter().map(|patch| patch.site).min() else { return Ok(()) };
        let end = patches.iter().map(|patch| patch.site + DISPLACEMENT).max().unwrap_or(start);
        self.space().write(start..end, |bytes| {
            for (patch, displacement) in patches.iter().zip(displacements) {
                let at = patch.site - start;
                bytes[at..at + DISPLACEMENT].copy_from_slice(&displacement);
            }
        })?;
        Ok(())
    }

    /// Makes the `jcc rel32` whose displacement is at `site` jump always: it becomes `nop; jmp rel32`.
    pub fn force(&self, site: usize) -> Result<(), CodeError> {
        self.check(site - 2..site + DISPLACEMENT, Patch { site, target: site })?;
        Ok(self.space().write(site - 2..site, |opcode| opcode.copy_from_slice(&[0x90, 0xe9]))?)
    }

    /// Takes [`Arena::force`] back: the jump has this condition again.
    pub fn release(&self, site: usize, condition: Condition) -> Result<(), CodeError> {
        self.check(site - 2..site + DISPLACEMENT, Patch { site, target: site })?;
        let opcode = [0x0f, 0x80 | condition as u8];
        Ok(self.space().write(site - 2..site, |bytes| bytes.copy_from_slice(&opcode))?)
    }

    /// What a jump with its displacement at `site` leads to.
    pub fn target(&self, site: usize) -> Result<usize, CodeError> {
        self.check(site..site + DISPLACEMENT, Patch { site, target: site })?;
        let bytes = self.space().read(site..site + DISPLACEMENT);
        let displacement = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok((site + DISPLACEMENT).wrapping_add_signed(displacement as isize))
    }

    /// A displacement counts from the end of its instruction, which is its own end.
    fn displacement(&self, patch: Patch) -> Result<[u8; DISPLACEMENT], CodeError> {
        let Patch { site, target } = patch;
        self.check(site..site + DISPLACEMENT, patch)?;
        let distance = target as i64 - (site + DISPLACEMENT) as i64;
        i32::try_from(distance).map(i32::to_le_bytes).map_err(|_| CodeError::Reach { site, target })
    }

    fn check(&self, bytes: Range<usize>, patch: Patch) -> Result<(), CodeError> {
        let range = self.range();
        if range.start <= bytes.start && bytes.end <= range.end {
            Ok(())
        } else {
            Err(CodeError::Reach { site: patch.site, target: patch.target })
        }
    }
}
