//! Call frame information: writes a `Frame` as `.eh_frame` (for the unwinder) and `.debug_frame` (for gdb), and reads it back.
//!
//! Both sections hold one common entry and one frame entry. Addresses are absolute: the sections are made in the process
//! that runs the code, after its address is known.
#![forbid(unsafe_code)]

use crate::Error;
use crate::frame::{Change, Frame};
use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, DebugFrame, EhFrame, EndianVec, FrameDescriptionEntry,
    FrameTable,
};
use gimli::{Encoding, Format, LittleEndian, Register, UnwindSection, X86_64};

/// A word of zero ends an `.eh_frame` section; libgcc reads on until it finds one.
const TERMINATOR: [u8; 4] = [0; 4];

/// The `.eh_frame` section for `length` bytes of code at `start`, with its terminator.
pub fn eh_frame(frame: &Frame, start: u64, length: u32) -> Result<Vec<u8>, Error> {
    let mut section = EhFrame::from(EndianVec::new(LittleEndian));
    table(frame, start, length, 1).write_eh_frame(&mut section)?;
    let mut bytes = section.0.into_vec();
    bytes.extend_from_slice(&TERMINATOR);
    Ok(bytes)
}

/// The `.debug_frame` section for `length` bytes of code at `start`.
pub fn debug_frame(frame: &Frame, start: u64, length: u32) -> Result<Vec<u8>, Error> {
    let mut section = DebugFrame::from(EndianVec::new(LittleEndian));
    table(frame, start, length, 4).write_debug_frame(&mut section)?;
    Ok(section.0.into_vec())
}

/// `version`: `.eh_frame` is always 1 (LSB 5.0, section 10.6), `.debug_frame` of DWARF 5 is 4.
fn table(frame: &Frame, start: u64, length: u32, version: u16) -> FrameTable {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut common = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
    common.add_instruction(CallFrameInstruction::Cfa(X86_64::RSP, 8));
    common.add_instruction(CallFrameInstruction::Offset(X86_64::RA, -8));
    let mut entry = FrameDescriptionEntry::new(Address::Constant(start), length);
    for step in frame.steps() {
        let instruction = match step.change {
            Change::Cfa(register, offset) => CallFrameInstruction::Cfa(register, offset),
            Change::Saved(register, offset) => CallFrameInstruction::Offset(register, offset),
            Change::Restored(register) => CallFrameInstruction::Restore(register),
            Change::Remember => CallFrameInstruction::RememberState,
            Change::Recall => CallFrameInstruction::RestoreState,
        };
        entry.add_instruction(step.offset, instruction);
    }
    let mut table = FrameTable::default();
    let common = table.add_cie(common);
    table.add_fde(common, entry);
    table
}

/// The rules that hold at one address, as an unwinder computes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The CFA: a register and what is added to it.
    pub cfa: (Register, i64),
    /// Registers that lie in memory, by DWARF number, with their offset from the CFA.
    pub saved: Vec<(Register, i64)>,
}

/// What an `.eh_frame` section says about `address`.
pub fn eh_frame_row(section: &[u8], address: u64) -> Result<Row, Error> {
    let mut section = gimli::EhFrame::new(section, LittleEndian);
    section.set_address_size(8);
    row(&section, address)
}

/// What a `.debug_frame` section says about `address`.
pub fn debug_frame_row(section: &[u8], address: u64) -> Result<Row, Error> {
    let mut section = gimli::DebugFrame::new(section, LittleEndian);
    section.set_address_size(8);
    row(&section, address)
}

fn row<'a, S>(section: &S, address: u64) -> Result<Row, Error>
where
    S: UnwindSection<gimli::EndianSlice<'a, LittleEndian>>,
{
    let mut context = gimli::UnwindContext::new();
    let bases = gimli::BaseAddresses::default();
    let found = section.unwind_info_for_address(&bases, &mut context, address, S::cie_from_offset)?;
    let &gimli::CfaRule::RegisterAndOffset { register, offset } = found.cfa() else {
        return Err(Error::Read(gimli::Error::UnsupportedEvaluation));
    };
    let mut saved = Vec::new();
    for (register, rule) in found.registers() {
        match rule {
            gimli::RegisterRule::Offset(offset) => saved.push((*register, *offset)),
            gimli::RegisterRule::SameValue | gimli::RegisterRule::Undefined => {}
            _ => return Err(Error::Read(gimli::Error::UnsupportedEvaluation)),
        }
    }
    saved.sort_by_key(|&(register, _)| register.0);
    Ok(Row { cfa: (register, offset), saved })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// push rbp (1 byte); mov rbp, rsp (3); push rbx (1); body; ... pop rbx; pop rbp; ret.
    fn sample() -> Frame {
        let mut frame = Frame::new();
        frame.step(1, Change::Cfa(X86_64::RSP, 16));
        frame.step(1, Change::Saved(X86_64::RBP, -16));
        frame.step(4, Change::Cfa(X86_64::RBP, 16));
        frame.step(5, Change::Saved(X86_64::RBX, -24));
        frame.step(10, Change::Remember);
        frame.step(10, Change::Restored(X86_64::RBX));
        frame.step(11, Change::Restored(X86_64::RBP));
        frame.step(11, Change::Cfa(X86_64::RSP, 8));
        frame.step(12, Change::Recall);
        frame
    }

    #[test]
    fn both_sections_say_the_same_at_every_offset() {
        let (rbp, rbx, ra) = ((X86_64::RBP, -16), (X86_64::RBX, -24), (X86_64::RA, -8));
        let expected = |offset: u64| match offset {
            0 => ((X86_64::RSP, 8), vec![ra]),
            1..4 => ((X86_64::RSP, 16), vec![rbp, ra]),
            4 => ((X86_64::RBP, 16), vec![rbp, ra]),
            5..10 => ((X86_64::RBP, 16), vec![rbx, rbp, ra]),
            10 => ((X86_64::RBP, 16), vec![rbp, ra]),
            11 => ((X86_64::RSP, 8), vec![ra]),
            _ => ((X86_64::RBP, 16), vec![rbx, rbp, ra]),
        };
        let (start, length) = (0x7fff_1234_5000, 0x7000_0000);
        let eh = eh_frame(&sample(), start, length).unwrap();
        let debug = debug_frame(&sample(), start, length).unwrap();
        for offset in (0..64).chain([u64::from(length) - 1]) {
            let (cfa, saved) = expected(offset);
            let cfa = (cfa.0, i64::from(cfa.1));
            let row = Row { cfa, saved };
            assert_eq!(eh_frame_row(&eh, start + offset).unwrap(), row, "at {offset}");
            assert_eq!(debug_frame_row(&debug, start + offset).unwrap(), row, "at {offset}");
        }
        for outside in [start - 1, start + u64::from(length)] {
            assert!(eh_frame_row(&eh, outside).is_err());
            assert!(debug_frame_row(&debug, outside).is_err());
        }
        assert_eq!(eh[eh.len() - 4..], [0; 4]);
    }
}
