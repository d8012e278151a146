//! Call frame information: writes a `Frame` as `.eh_frame` (for the unwinder) and `.debug_frame` (for gdb), and reads it back.
//!
//! Both sections hold one common entry and one frame entry. Addresses are absolute: the sections are made in the process
//! that runs the code, after its address is known. Those for [files](unwinding) are relative.
#![forbid(unsafe_code)]

use crate::Error;
use crate::frame::{Change, Frame};
use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, DebugFrame, EhFrame, EndianVec, FrameDescriptionEntry,
    FrameTable,
};
use gimli::{DwEhPe, Encoding, Format, LittleEndian, Register, UnwindSection, X86_64};

/// A word of zero ends an `.eh_frame` section; libgcc reads on until it finds one.
const TERMINATOR: [u8; 4] = [0; 4];

/// The `.eh_frame` section for `length` bytes of code at `start`, with its terminator.
pub fn eh_frame(frame: &Frame, start: u64, length: u32) -> Result<Vec<u8>, Error> {
    let mut section = EhFrame::from(EndianVec::new(LittleEndian));
    table(frame, start, length, 1, gimli::DW_EH_PE_absptr).write_eh_frame(&mut section)?;
    let mut bytes = section.0.into_vec();
    bytes.extend_from_slice(&TERMINATOR);
    Ok(bytes)
}

/// The `.debug_frame` section for `length` bytes of code at `start`.
pub fn debug_frame(frame: &Frame, start: u64, length: u32) -> Result<Vec<u8>, Error> {
    let mut section = DebugFrame::from(EndianVec::new(LittleEndian));
    table(frame, start, length, 4, gimli::DW_EH_PE_absptr).write_debug_frame(&mut section)?;
    Ok(section.0.into_vec())
}

/// What unwinders need that read a piece of code from a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwinding {
    /// The `.eh_frame` section, which begins at the first multiple of 8 behind the code.
    pub frames: Vec<u8>,
    /// The `.eh_frame_hdr` section, which follows at once.
    pub header: Vec<u8>,
}

/// For `length` bytes of code in which the rules behind the frame's last step hold from the start. Nothing in it depends on where the
/// code lies.
pub fn unwinding(frame: &Frame, length: u32) -> Result<Unwinding, Error> {
    let mut settled = Frame::new();
    frame.settled().into_iter().for_each(|change| settled.step(0, change));
    // As if the section began at 0: addresses are relative to their own place.
    let distance = u64::from(length).next_multiple_of(8);
    let mut section = EhFrame::from(EndianVec::new(LittleEndian));
    let start = 0u64.wrapping_sub(distance);
    table(&settled, start, length, 1, RELATIVE).write_eh_frame(&mut section)?;
    let mut frames = section.0.into_vec();
    frames.extend_from_slice(&TERMINATOR);
    // The common entry comes first; its length does not count itself.
    let common = frames.first_chunk().map_or(0, |length| u32::from_le_bytes(*length)) as i32 + 4;
    let size = frames.len() as i32;
    // Linux Standard Base 5.0, section 10.6.2: version, encodings, the section's place, and a table of one entry, relative to the header.
    let mut header =
        vec![1, RELATIVE.0, gimli::DW_EH_PE_udata4.0, gimli::DW_EH_PE_datarel.0 | gimli::DW_EH_PE_sdata4.0];
    for word in [-size - 4, 1, -(distance as i32) - size, common - size] {
        header.extend(word.to_le_bytes());
    }
    Ok(Unwinding { frames, header })
}

/// Addresses are relative to the place where they stand.
const RELATIVE: DwEhPe = DwEhPe(gimli::DW_EH_PE_pcrel.0 | gimli::DW_EH_PE_sdata4.0);

/// `version`: `.eh_frame` is always 1 (LSB 5.0, section 10.6), `.debug_frame` of DWARF 5 is 4.
fn table(frame: &Frame, start: u64, length: u32, version: u16, addresses: DwEhPe) -> FrameTable {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut common = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
    common.fde_address_encoding = addresses;
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

    #[test]
    fn unwinding_behind_code_is_found_by_its_header() {
        let (code, at) = (0x1003, 0x40_0000u64);
        let Unwinding { frames, header } = unwinding(&sample(), code).unwrap();
        let place = at + 0x1008;
        let bases = gimli::BaseAddresses::default().set_eh_frame(place).set_eh_frame_hdr(place + frames.len() as u64);
        let header = gimli::EhFrameHdr::new(&header, LittleEndian).parse(&bases, 8).unwrap();
        let mut section = gimli::EhFrame::new(&frames, LittleEndian);
        section.set_address_size(8);
        assert_eq!(header.eh_frame_ptr(), gimli::Pointer::Direct(place));
        for offset in [0, 1, 0x1002] {
            let table = header.table().unwrap();
            let entry =
                table.fde_for_address(&section, &bases, at + offset, |s, b, o| s.cie_from_offset(b, o)).unwrap();
            let mut context = gimli::UnwindContext::new();
            let row = entry.unwind_info_for_address(&section, &bases, &mut context, at + offset).unwrap();
            assert_eq!(row.cfa(), &gimli::CfaRule::RegisterAndOffset { register: X86_64::RBP, offset: 16 });
            assert_eq!(row.register(X86_64::RBX), Some(gimli::RegisterRule::Offset(-24)));
        }
    }
}
