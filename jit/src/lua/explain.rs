//! What debuggers are told of a trace: its name, the source lines that its code comes from, and the calls that it has inlined.
//!
//! The snapshot that applies to an instruction says where the interpreter would be, in each of the frames it would have.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::path;

use perilune_interpreter::lua::names::call_name;
use perilune_interpreter::lua::source::chunk_id;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_unwind::lines::{Function, Row, Scope, ScopeKind};
use perilune_unwind::object::Symbol;

use super::machine::MachineTrace;
use super::snapshot::Frame;
use super::trace::Trace;
use crate::code::publish::Publisher;

/// The description of a trace and its code. Its files become the publisher's.
pub fn function(trace: &Trace, code: &MachineTrace, publisher: &mut Publisher) -> Function {
    let files = &mut Files { publisher, known: Vec::new() };
    let explained = Explained { trace, code, snapshots: trace.ir.snapshots.by_inst(trace.ir.insts.len()) };
    let symbol = Symbol {
        name: format!("trace_{}", trace.number),
        start: code.code().start() as u64,
        size: code.code().range().len() as u64,
    };
    let (proto, pc) = explained.place(0, 0);
    let (file, line) = (files.get(proto), line(proto, pc));
    let all = trace.ir.insts.len();
    let scopes = match trace.ir.loop_index() {
        // The first iteration and the loop come from the same lines.
        Some(at) => [0..at, at..all].map(|range| explained.copy(range, files)).into(),
        None => explained.calls(0..all, 0, files),
    };
    Function { symbol, file, line, rows: explained.rows(files), scopes }
}

struct Explained<'a> {
    trace: &'a Trace,
    code: &'a MachineTrace,
    /// The snapshot that applies to each instruction.
    snapshots: Vec<Option<u16>>,
}

impl Explained<'_> {
    fn snapshot(&self, at: usize) -> Option<usize> {
        self.snapshots.get(at).copied().flatten().map(usize::from)
    }

    /// The inlined frames at an instruction, outermost first.
    fn frames(&self, at: usize) -> &[Frame] {
        let snapshots = &self.trace.ir.snapshots;
        self.snapshot(at).map_or(&[], |number| snapshots.frames(snapshots.get(number)))
    }

    /// The function of a frame and the instruction that it is at: frame 0 is the one that the trace was entered in.
    fn place(&self, at: usize, frame: usize) -> (Gc<Proto>, usize) {
        self.trace.place(self.snapshot(at).unwrap_or_default(), frame)
    }

    /// The offset of an instruction's code; behind the last one, of the end of the trace's own code.
    fn offset(&self, at: usize) -> u32 {
        self.code.layout.insts.get(at).copied().unwrap_or(self.code.layout.end) as u32
    }

    fn rows(&self, files: &mut Files<'_>) -> Vec<Row> {
        let loop_at = self.trace.ir.loop_index();
        let mut rows: Vec<Row> = Vec::new();
        let (mut last, mut last_snapshot) = (None, None);
        for at in 0..self.trace.ir.insts.len() {
            let offset = self.offset(at);
            let snapshot = Some((self.snapshot(at), loop_at.is_some_and(|start| at >= start)));
            if offset == self.offset(at + 1) || snapshot == last_snapshot {
                continue;
            }
            last_snapshot = snapshot;
            let frames = self.frames(at);
            let (proto, pc) = self.place(at, frames.len());
            let line = line(proto, pc);
            // A row for each scope, also where the line goes on.
            let here = (line, frames.iter().map(call).collect::<Vec<_>>(), loop_at.is_some_and(|start| at >= start));
            if last.as_ref() != Some(&here) {
                rows.push(Row { offset, file: files.get(proto), line });
                last = Some(here);
            }
        }
        rows
    }

    fn range(&self, insts: &Range<usize>) -> Range<u32> {
        self.offset(insts.start)..self.offset(insts.end)
    }

    fn copy(&self, insts: Range<usize>, files: &mut Files<'_>) -> Scope {
        let range = self.range(&insts);
        Scope { range, kind: ScopeKind::Copy, scopes: self.calls(insts, 0, files) }
    }

    /// The calls that frames of a depth make in a range of instructions.
    fn calls(&self, insts: Range<usize>, depth: usize, files: &mut Files<'_>) -> Vec<Scope> {
        let mut scopes = Vec::new();
        let mut at = insts.start;
        while at < insts.end {
            let made = |at: usize| self.frames(at).get(depth).map(call);
            let (first, mut end) = (made(at), at + 1);
            while end < insts.end && (self.snapshots[end] == self.snapshots[end - 1] || made(end) == first) {
                end += 1;
            }
            let range = self.range(&(at..end));
            if first.is_some() && !range.is_empty() {
                let (caller, pc) = self.place(at, depth);
                let name = match call_name(&*caller, pc) {
                    Some((_, name)) => String::from_utf8_lossy(&name).into_owned(),
                    None => format!("function at line {}", self.place(at, depth + 1).0.line_defined),
                };
                let kind = ScopeKind::Inlined { name, file: files.get(caller), line: line(caller, pc) };
                scopes.push(Scope { range, kind, scopes: self.calls(at..end, depth + 1, files) });
            }
            at = end;
        }
        scopes
    }
}

/// The line of an instruction. Debuggers count from 1.
fn line(proto: Gc<Proto>, pc: usize) -> u32 {
    proto.line(pc).max(1)
}

/// What tells one inlined call from another.
fn call(frame: &Frame) -> (usize, u32, i16) {
    (frame.proto, frame.return_pc, frame.base)
}

/// The publisher's numbers of the sources that functions come from.
struct Files<'a> {
    publisher: &'a mut Publisher,
    /// By the function's address.
    known: Vec<(usize, u32)>,
}

impl Files<'_> {
    fn get(&mut self, proto: Gc<Proto>) -> u32 {
        if let Some((_, file)) = self.known.iter().find(|(address, _)| *address == proto.address()) {
            return *file;
        }
        let file = self.publisher.file(&name(&proto.source));
        self.known.push((proto.address(), file));
        file
    }
}

/// What debuggers call a chunk: an absolute path if it comes from a file.
fn name(source: &[u8]) -> String {
    match source {
        [b'@', name @ ..] => {
            let name = String::from_utf8_lossy(name).into_owned();
            path::absolute(&name).map_or(name, |path| path.to_string_lossy().into_owned())
        }
        other => String::from_utf8_lossy(&chunk_id(other)).into_owned(),
    }
}
