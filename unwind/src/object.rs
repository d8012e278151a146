//! The ELF images that gdb reads: no code in them, only where code lies and what is known about it.
//!
//! `.text` has the real address and no contents (gdb reads code from the process). Symbols belong to `.text`: absolute
//! ones would not be found by address. Call frame information goes into `.debug_frame`, which is not allocated: gdb takes
//! an allocated `.eh_frame` for one of many at address 0 and searches all of them at each registration.
//!
//! There are two kinds of images. An *arena's* covers the trampoline with its `.text` and the whole arena with its call frame
//! information. A *batch's* describes the functions compiled since the last one, without call frame information. Batches
//! matter: gdb resolves all breakpoints again at each new image.
#![forbid(unsafe_code)]

use crate::Error;
use crate::cfi;
use crate::frame::Frame;
use crate::lines::{self, Batch, Function, Row};
use object::elf;
use object::write::elf::{FileHeader, SectionHeader, Sym, Writer};
use std::ops::Range;

/// A name for a range of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// What gdb shows.
    pub name: String,
    /// The first byte of the code.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// A part of an arena's trampoline.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it lies.
    pub symbol: Symbol,
    /// Where its lines begin: offsets from its start. At none of them a statement begins, so a debugger that steps comes through
    /// them. One without lines is stepped over.
    pub lines: Vec<u32>,
}

/// The image of an arena: `frame` holds from `start` for `length` bytes, of which the trampoline's `parts` are the first.
pub fn arena_image(frame: &Frame, start: u64, length: u32, parts: &[Part]) -> Result<Vec<u8>, Error> {
    let row = |(line, offset): (u32, &u32)| Row { offset: *offset, file: 0, line, is_statement: false };
    let function = |part: &Part| Function {
        symbol: part.symbol.clone(),
        name: part.symbol.name.clone(),
        file: 0,
        line: 1,
        rows: (1..).zip(&part.lines).map(row).collect(),
        parameters: Vec::new(),
        scopes: Vec::new(),
    };
    let functions: Vec<_> = parts.iter().filter(|part| !part.lines.is_empty()).map(function).collect();
    let files = [String::from("trampoline")];
    let mut sections = lines::sections(Batch { files: &files, functions: &functions, types: &[] })?;
    sections.push((".debug_frame", cfi::debug_frame(frame, start, length)?));
    let symbols: Vec<_> = parts.iter().map(|part| part.symbol.clone()).collect();
    image(extent(&symbols), &symbols, &sections)
}

/// The image of a batch of functions with their source lines.
pub fn batch_image(batch: Batch) -> Result<Vec<u8>, Error> {
    let symbols: Vec<_> = batch.functions.iter().map(|function| function.symbol.clone()).collect();
    image(extent(&symbols), &symbols, &lines::sections(batch)?)
}

/// From the first symbol's start to the last one's end.
fn extent(symbols: &[Symbol]) -> Range<u64> {
    let start = symbols.iter().map(|symbol| symbol.start).min().unwrap_or(0);
    let end = symbols.iter().map(|symbol| symbol.start + symbol.size).max().unwrap_or(start);
    start..end
}

/// The index of `.text`: the first section after the null one.
const TEXT: u32 = 1;

fn image(text: Range<u64>, symbols: &[Symbol], sections: &[(&'static str, Vec<u8>)]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut file_header = Vec::new();
    let mut writer = Writer::new_single_phase(object::Endianness::Little, true, &mut bytes);
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        // Executable: addresses are final, in symbols as in DWARF.
        e_type: elf::ET_EXEC,
        e_machine: elf::EM_X86_64,
        e_entry: 0,
        e_flags: elf::FileFlags(0),
    })?;

    let text_name = writer.add_section_name(b".text");
    let mut placed = Vec::new();
    for (name, data) in sections {
        let offset = writer.write_align(8);
        writer.write(data);
        placed.push((writer.add_section_name(name.as_bytes()), offset, data.len() as u64));
    }
    // Names first: a symbol refers to its name by the offset in the string table.
    let names: Vec<_> = symbols.iter().map(|symbol| writer.add_string(symbol.name.as_bytes())).collect();
    writer.write_strtab()?;
    writer.write_null_symbol();
    for (symbol, name) in symbols.iter().zip(names) {
        writer.write_symbol(&Sym {
            section: Some(TEXT),
            st_name: writer.string_offset(Some(name)),
            st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, elf::STT_FUNC),
            st_other: elf::SymbolOther(0),
            st_shndx: elf::SymbolSection(0),
            st_value: symbol.start,
            st_size: symbol.size,
        });
    }
    writer.write_shstrtab()?;

    writer.write_null_section_header();
    writer.write_section_header(&SectionHeader {
        sh_name: writer.section_name_offset(Some(text_name)),
        sh_type: elf::SHT_NOBITS,
        sh_flags: elf::SectionFlags(elf::SHF_ALLOC.0 | elf::SHF_EXECINSTR.0),
        sh_addr: text.start,
        sh_offset: 0,
        sh_size: text.end - text.start,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: 16,
        sh_entsize: 0,
    });
    for (name, sh_offset, sh_size) in placed {
        writer.write_section_header(&SectionHeader {
            sh_name: writer.section_name_offset(Some(name)),
            sh_type: elf::SHT_PROGBITS,
            sh_flags: elf::SectionFlags(0),
            sh_addr: 0,
            sh_offset,
            sh_size,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 1,
            sh_entsize: 0,
        });
    }
    writer.write_strtab_section_header();
    // Only the null symbol is local.
    writer.write_symtab_section_header(1);
    writer.write_shstrtab_section_header();
    writer.write_file_header_to(&mut file_header)?;
    drop(writer);
    bytes[..file_header.len()].copy_from_slice(&file_header);
    Ok(bytes)
}
