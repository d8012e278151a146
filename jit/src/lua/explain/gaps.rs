//! Lines of which nothing can be told yet, in files of which something is told.
//!
//! A breakpoint on a line that debuggers do not know is one on the next line that they know. As long as only traces are told of, that
//! would be any later line, perhaps of another function, and the program would stop there. So all lines before it are told of by bytes
//! that are never run; the breakpoint finds its place when the program has noticed the debugger.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use dynasmrt::DynasmApi;
use perilune_unwind::lines::{Function, Row};
use perilune_unwind::object::Symbol;
use rustc_hash::FxHashMap;

use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::buffer::Code;
use crate::code::publish::Publisher;

/// How far the lines of files are told of.
#[derive(Debug, Default)]
pub struct Gaps {
    /// The last line, by file.
    known: FxHashMap<String, u32>,
    bytes: Vec<Code>,
}

impl Gaps {
    /// The descriptions of all lines before those of these functions that were not told of.
    pub fn fill<'a>(
        &mut self,
        functions: impl Iterator<Item = &'a Function>,
        arena: &Arena,
        publisher: &Publisher,
    ) -> Vec<Function> {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for row in functions.flat_map(|function| &function.rows) {
            let line = last.entry(row.file).or_default();
            *line = row.line.max(*line);
        }
        let gap = |(file, last): (u32, u32)| {
            // What has no absolute name is no file.
            let name = publisher.file_name(file).filter(|name| name.starts_with('/'))?;
            let known = self.known.get(name).copied().unwrap_or_default();
            let lines = known + 1..last;
            let code = never_run(arena, lines.len()).ok().filter(|_| !lines.is_empty())?;
            self.known.insert(name.to_string(), last);
            let function = Function {
                symbol: Symbol {
                    name: "lines_not_reached".to_string(),
                    start: code.start() as u64,
                    size: lines.len() as u64,
                },
                name: "lines_not_reached".to_string(),
                file,
                line: lines.start,
                rows: (0..).zip(lines).map(|(offset, line)| Row { offset, file, line, is_statement: true }).collect(),
                parameters: Vec::new(),
                scopes: Vec::new(),
            };
            self.bytes.push(code);
            Some(function)
        };
        last.into_iter().filter_map(gap).collect()
    }
}

/// So many bytes that are never run.
pub fn never_run(arena: &Arena, count: usize) -> Result<Code, CodeError> {
    let mut buffer = arena.begin(count)?;
    (0..count).for_each(|_| buffer.asm.push(0xcc));
    buffer.publish()
}
