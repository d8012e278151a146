//! DWARF 5 for a batch of functions: which source line each instruction comes from, which call it belongs to, and where the
//! variables are.
//!
//! One compilation unit for each source file, since a unit has one name. File names should be absolute, for gdb finds the
//! source of a relative one only in the directory where it was started.
//!
//! A function holds scopes. A call that was compiled into its caller is an *inlined* scope: gdb shows it as a frame of its
//! own. A *block* holds variables; and code that was compiled more than once from the same lines (a loop of which one iteration is
//! peeled off) needs a block for each copy: gdb puts a breakpoint on one instruction for each line and block, so without them it
//! would stop in the first copy only.
//!
//! What the types of variables are is data, too ([`crate::types`]).
#![forbid(unsafe_code)]

use crate::Error;
use crate::object::Symbol;
use crate::types::{self, Expression, Type};
use gimli::write::{
    Address, AttributeValue, Dwarf, EndianVec, FileId, LineProgram, LineString, Location, LocationList, Range,
    RangeList, Sections, Unit, UnitEntryId,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian, constants};
use std::collections::BTreeMap;

/// From this offset on, up to the next row's, code comes from this line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Offset from the function's start, in bytes. Offsets do not decrease from row to row.
    pub offset: u32,
    /// Index into the batch's files.
    pub file: u32,
    /// The line, from 1 on.
    pub line: u32,
    /// A statement begins here; otherwise it is the rest of one, behind a call that was compiled into it. Breakpoints and steps
    /// stop at statements only.
    pub is_statement: bool,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type: an index into the batch's types.
    pub ty: usize,
    /// Where it is, by ranges of offsets from the function's start. Elsewhere it is "optimized out".
    pub places: Vec<(std::ops::Range<u32>, Expression)>,
}

/// A piece of compiled code.
///
/// Breakpoints on a function go to the first byte of all pieces of its name. One that begins elsewhere in the function should have
/// a byte there that is never run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Where it lies, and its own name.
    pub symbol: Symbol,
    /// The name of the function that it begins in, which backtraces show.
    pub name: String,
    /// The file where it begins, as an index into the batch's files.
    pub file: u32,
    /// The line where it begins.
    pub line: u32,
    /// Its lines, by offset.
    pub rows: Vec<Row>,
    /// Its parameters.
    pub parameters: Vec<Variable>,
    /// Its parts.
    pub scopes: Vec<Scope>,
}

impl Function {
    /// Shows all indices of files.
    pub fn for_each_file(&mut self, f: &mut impl FnMut(&mut u32)) {
        f(&mut self.file);
        self.rows.iter_mut().for_each(|row| f(&mut row.file));
        self.scopes.iter_mut().for_each(|scope| scope.for_each_file(f));
    }
}

/// A part of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Offsets from the function's start, in bytes; scopes do not overlap.
    pub range: std::ops::Range<u32>,
    /// What it is.
    pub kind: ScopeKind,
    /// The variables of a block, the parameters of a call.
    pub variables: Vec<Variable>,
    /// Its own parts.
    pub scopes: Vec<Scope>,
}

impl Scope {
    fn for_each_file(&mut self, f: &mut impl FnMut(&mut u32)) {
        if let ScopeKind::Inlined { file, .. } = &mut self.kind {
            f(file);
        }
        self.scopes.iter_mut().for_each(|scope| scope.for_each_file(f));
    }
}

/// What a part of a function is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeKind {
    /// Where variables live; or one of several copies of the same lines.
    Block,
    /// A call that was compiled into its caller.
    Inlined {
        /// The called function's name.
        name: String,
        /// Index of the file that holds the call.
        file: u32,
        /// The call's line.
        line: u32,
    },
}

/// What was compiled since the last batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Source files, absolute where they exist.
    pub files: &'a [String],
    /// The functions.
    pub functions: &'a [Function],
    /// The types of variables.
    pub types: &'a [Type],
}

const ENCODING: Encoding = Encoding { format: Format::Dwarf32, version: 5, address_size: 8 };

/// The sections of `batch`, by name.
pub fn sections(batch: Batch) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
    let mut by_file: BTreeMap<u32, Vec<&Function>> = BTreeMap::new();
    for function in batch.functions {
        by_file.entry(function.file).or_default().push(function);
    }
    let mut dwarf = Dwarf::new();
    for (file, functions) in by_file {
        add_unit(&mut dwarf, batch, file, &functions);
    }
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections)?;
    let mut result = Vec::new();
    sections.for_each(|id, data| -> Result<(), Error> {
        if !data.slice().is_empty() {
            result.push((id.name(), data.slice().to_vec()));
        }
        Ok(())
    })?;
    Ok(result)
}

/// The name of a file of the batch, never empty: a function is described also if its file is unknown.
fn file_name(files: &[String], index: u32) -> Vec<u8> {
    let name = files.get(index as usize).map_or("?", String::as_str);
    let name = dwarf_name(name);
    if name.is_empty() { b"?".to_vec() } else { name }
}

fn add_unit(dwarf: &mut Dwarf, batch: Batch, file: u32, functions: &[&Function]) {
    let files = batch.files;
    let name = file_name(files, file);
    let directory = LineString::String(b"/".to_vec());
    let own = LineString::String(name.clone());
    let mut program = LineProgram::new(ENCODING, LineEncoding::default(), directory, None, own, None);
    let mut file_ids = FileIds { files, ids: BTreeMap::new() };
    for function in functions {
        add_rows(&mut program, &mut file_ids, function);
    }

    let mut unit = Unit::new(ENCODING, program);
    let ranges = functions
        .iter()
        .map(|f| Range::StartLength { begin: Address::Constant(f.symbol.start), length: f.symbol.size })
        .collect();
    let ranges = unit.ranges.add(RangeList(ranges));
    let root = unit.root();
    let entry = unit.get_mut(root);
    entry.set(constants::DW_AT_name, AttributeValue::String(name));
    entry.set(constants::DW_AT_comp_dir, AttributeValue::String(b"/".to_vec()));
    // gdb parses expressions in the language of the frame: of those that it knows, C's are the least surprising.
    entry.set(constants::DW_AT_language, AttributeValue::Language(constants::DW_LANG_C99));
    entry.set(constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(0)));
    entry.set(constants::DW_AT_ranges, AttributeValue::RangeListRef(ranges));
    let types = types::Entries::new(batch.types);
    let mut entries = Entries { unit, file_ids, origins: BTreeMap::new(), types };
    for function in functions {
        entries.add_function(function);
    }
    dwarf.units.add(entries.unit);
}

/// The files of a unit's line program that were used so far.
struct FileIds<'a> {
    files: &'a [String],
    ids: BTreeMap<u32, FileId>,
}

impl FileIds<'_> {
    fn get(&mut self, program: &mut LineProgram, index: u32) -> FileId {
        let directory = program.default_directory();
        let files = self.files;
        let add = || program.add_file(LineString::String(file_name(files, index)), directory, None);
        *self.ids.entry(index).or_insert_with(add)
    }
}

fn add_rows(program: &mut LineProgram, file_ids: &mut FileIds, function: &Function) {
    program.begin_sequence(Some(Address::Constant(function.symbol.start)));
    // A function's first row is at its start, or gdb has no line for its entry; what comes before the first statement is none.
    let entry = Row { offset: 0, file: function.file, line: function.line, is_statement: false };
    let lead = function.rows.first().is_none_or(|row| row.offset != 0).then_some(entry);
    for row in lead.into_iter().chain(function.rows.iter().copied()) {
        let file = file_ids.get(program, row.file);
        let target = program.row();
        target.address_offset = u64::from(row.offset);
        target.file = file;
        target.line = u64::from(row.line);
        target.is_statement = row.is_statement;
        program.generate_row();
    }
    program.end_sequence(function.symbol.size);
}

/// The entries of a unit under construction.
struct Entries<'a> {
    unit: Unit,
    file_ids: FileIds<'a>,
    /// Of functions that were inlined: the entry that all their copies refer to, by name.
    origins: BTreeMap<String, UnitEntryId>,
    types: types::Entries<'a>,
}

impl Entries<'_> {
    fn add_function(&mut self, function: &Function) {
        let Symbol { start, size, .. } = &function.symbol;
        let id = self.unit.add(self.unit.root(), constants::DW_TAG_subprogram);
        let file = self.file_ids.get(&mut self.unit.line_program, function.file);
        let entry = self.unit.get_mut(id);
        entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(&function.name)));
        entry.set(constants::DW_AT_external, AttributeValue::Flag(true));
        entry.set(constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(*start)));
        entry.set(constants::DW_AT_high_pc, AttributeValue::Udata(*size));
        entry.set(constants::DW_AT_decl_file, AttributeValue::FileIndex(Some(file)));
        entry.set(constants::DW_AT_decl_line, AttributeValue::Udata(u64::from(function.line)));
        for parameter in &function.parameters {
            self.add_variable(id, constants::DW_TAG_formal_parameter, *start, 0..*size as u32, parameter);
        }
        for scope in &function.scopes {
            self.add_scope(id, *start, scope);
        }
    }

    /// Adds a variable of a scope that covers `scope`.
    fn add_variable(
        &mut self,
        parent: UnitEntryId,
        tag: gimli::DwTag,
        function_start: u64,
        scope: std::ops::Range<u32>,
        variable: &Variable,
    ) {
        let ty = self.types.get(&mut self.unit, variable.ty);
        let location = match &variable.places[..] {
            [] => None,
            [(range, place)] if *range == scope => Some(AttributeValue::Exprloc(place.to_gimli())),
            places => {
                let list = places.iter().map(|(range, place)| Location::StartLength {
                    begin: Address::Constant(function_start + u64::from(range.start)),
                    length: range.len() as u64,
                    data: place.to_gimli(),
                });
                let list = LocationList(list.collect());
                Some(AttributeValue::LocationListRef(self.unit.locations.add(list)))
            }
        };
        let id = self.unit.add(parent, tag);
        let entry = self.unit.get_mut(id);
        entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(&variable.name)));
        entry.set(constants::DW_AT_type, AttributeValue::UnitRef(ty));
        if let Some(location) = location {
            entry.set(constants::DW_AT_location, location);
        }
    }

    fn add_scope(&mut self, parent: UnitEntryId, function_start: u64, scope: &Scope) {
        let id = match &scope.kind {
            ScopeKind::Block if !scope.variables.is_empty() => self.unit.add(parent, constants::DW_TAG_lexical_block),
            ScopeKind::Block => {
                let id = self.unit.add(parent, constants::DW_TAG_lexical_block);
                // gdb ignores a block without symbols.
                let label = self.unit.add(id, constants::DW_TAG_label);
                let address = Address::Constant(function_start + u64::from(scope.range.start));
                let entry = self.unit.get_mut(label);
                entry.set(constants::DW_AT_name, AttributeValue::String(b"block".to_vec()));
                entry.set(constants::DW_AT_low_pc, AttributeValue::Address(address));
                id
            }
            ScopeKind::Inlined { name, file, line } => {
                let origin = self.origin(name);
                let id = self.unit.add(parent, constants::DW_TAG_inlined_subroutine);
                let file = self.file_ids.get(&mut self.unit.line_program, *file);
                let entry = self.unit.get_mut(id);
                entry.set(constants::DW_AT_abstract_origin, AttributeValue::UnitRef(origin));
                entry.set(constants::DW_AT_call_file, AttributeValue::FileIndex(Some(file)));
                entry.set(constants::DW_AT_call_line, AttributeValue::Udata(u64::from(*line)));
                id
            }
        };
        let start = function_start + u64::from(scope.range.start);
        let entry = self.unit.get_mut(id);
        entry.set(constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(start)));
        entry.set(constants::DW_AT_high_pc, AttributeValue::Udata(scope.range.len() as u64));
        let tag = match scope.kind {
            ScopeKind::Block => constants::DW_TAG_variable,
            ScopeKind::Inlined { .. } => constants::DW_TAG_formal_parameter,
        };
        for variable in &scope.variables {
            self.add_variable(id, tag, function_start, scope.range.clone(), variable);
        }
        for inner in &scope.scopes {
            self.add_scope(id, function_start, inner);
        }
    }

    fn origin(&mut self, name: &str) -> UnitEntryId {
        if let Some(&id) = self.origins.get(name) {
            return id;
        }
        let id = self.unit.add(self.unit.root(), constants::DW_TAG_subprogram);
        let entry = self.unit.get_mut(id);
        entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(name)));
        entry.set(constants::DW_AT_inline, AttributeValue::Inline(constants::DW_INL_inlined));
        self.origins.insert(name.to_string(), id);
        id
    }
}

/// DWARF's strings end at a zero byte.
pub(crate) fn dwarf_name(name: &str) -> Vec<u8> {
    name.bytes().take_while(|&byte| byte != 0).collect()
}
