//! What debuggers are told of a trace: its name, the source lines that its code comes from, the calls that it has inlined, and
//! where the variables are.
//!
//! The snapshot that applies to an instruction says where the interpreter would be, in each of the frames it would have, and what
//! the slots would hold; [`places`](super::places) says where those values are. A *stretch* is code to which one snapshot applies.
//!
//! Stretches in a row of one frame form *blocks* in which a variable has one type and each line begins once. Blocks are what gdb
//! tells the copies of a line by.
//!
//! Variables take several times as long to describe as all else, so they are left out where that would cost too much.
#![forbid(unsafe_code)]

mod gaps;
mod interpreted;
mod variables;

use std::ops::Range;
use std::path;
use std::rc::Rc;

use perilune_interpreter::lua::names::{call_name, declared_name};
use perilune_interpreter::lua::source::chunk_id;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_unwind::lines::{Function, Row, Scope, ScopeKind};
use perilune_unwind::object::Symbol;

use super::allocate::Features;
use super::ir::Op;
use super::machine::MachineTrace;
use super::places::Interval;
use super::snapshot::Frame;
use super::trace::Trace;
use crate::code::publish::Publisher;
pub use gaps::{Gaps, never_run};
pub use interpreted::{
    BASE_SLOTS, InterpretedLine, LEAD, interpreted, interpreted_variables, leave_types_open, lines_to_come,
};
pub use variables::TYPES;
use variables::{Stored, Visible};

/// The description of a trace and its code, with variables if `features` are given, those of the processor that the code was made for.
/// Its files become the publisher's.
pub fn function(trace: &Trace, code: &MachineTrace, features: Option<Features>, publisher: &mut Publisher) -> Function {
    let explained = Explained::new(trace, code, features);
    let files = &mut Files { publisher, known: Vec::new() };
    let symbol = Symbol {
        name: format!("trace_{}", trace.number),
        start: code.code().start() as u64,
        size: code.code().range().len() as u64,
    };
    let (proto, pc) = trace.place(0, 0);
    let (file, line) = (files.get(proto), line(proto, pc));
    Function {
        symbol,
        name: declared_name(&proto),
        file,
        line,
        rows: explained.rows(files),
        parameters: explained.parameters(&explained.stretches, 0),
        scopes: explained.blocks(&explained.stretches, 0, files),
    }
}

/// The lines that code comes from: the offset where each begins, its file and its number.
pub fn lines(trace: &Trace, code: &MachineTrace) -> Vec<(u32, String, u32)> {
    let explained = Explained::new(trace, code, None);
    let line = |stretch: &Stretch| {
        let (proto, pc) = trace.place(stretch.snapshot, stretch.depth);
        (stretch.code.start, file_name(&proto.source), line(proto, pc))
    };
    explained.stretches.iter().map(line).collect()
}

/// Code to which one snapshot applies.
#[derive(Debug)]
struct Stretch {
    /// Its instructions.
    insts: Range<usize>,
    /// Offsets of its code.
    code: Range<u32>,
    /// The snapshot.
    snapshot: usize,
    /// Number of inlined frames.
    depth: usize,
    /// A line begins here, in the innermost frame.
    begins: bool,
    /// The variables in scope, by frame.
    visible: Vec<Rc<[Visible]>>,
}

struct Explained<'a> {
    trace: &'a Trace,
    code: &'a MachineTrace,
    /// Where values are, by value.
    places: Vec<Interval>,
    /// What lies in slots of the stack.
    stored: Stored,
    stretches: Vec<Stretch>,
}

impl<'a> Explained<'a> {
    fn new(trace: &'a Trace, code: &'a MachineTrace, features: Option<Features>) -> Explained<'a> {
        let places = features.map_or_else(Vec::new, |f| code.places.intervals(&code.ir, &code.layout, f));
        let mut explained = Explained { trace, code, places, stored: Stored::default(), stretches: Vec::new() };
        explained.stretches = explained.find_stretches();
        if features.is_some() {
            explained.stored = Stored::new(&trace.ir);
            explained.find_variables();
        }
        explained
    }

    /// The offset of an instruction's code; behind the last one, of the end of the trace's own code.
    fn offset(&self, at: usize) -> u32 {
        self.code.layout.offset(at) as u32
    }

    fn frames(&self, snapshot: usize) -> &[Frame] {
        let snapshots = &self.trace.ir.snapshots;
        if snapshot < snapshots.len() { snapshots.frames(snapshots.get(snapshot)) } else { &[] }
    }

    fn find_stretches(&self) -> Vec<Stretch> {
        let ir = &self.trace.ir;
        let snapshots = ir.snapshots.by_inst(ir.insts.len());
        let loop_at = ir.loop_index();
        let marked = ir.insts.iter().any(|inst| inst.op == Op::Line);
        let mut stretches: Vec<Stretch> = Vec::new();
        // The line and the instruction that each frame came to last.
        let mut seen: Vec<(u32, usize)> = Vec::new();
        let mut start = 0;
        for at in 1..=ir.insts.len() {
            let goes_on = at < ir.insts.len() && snapshots[at] == snapshots[at - 1] && Some(at) != loop_at;
            let (insts, code) = (start..at, self.offset(start)..self.offset(at));
            if goes_on || code.is_empty() && at < ir.insts.len() {
                start = if goes_on { start } else { at };
                continue;
            }
            if loop_at == Some(start) {
                // All lines of the loop begin once more.
                seen.clear();
            }
            let snapshot = snapshots[start].unwrap_or_default().into();
            let depth = self.frames(snapshot).len();
            let (proto, pc) = self.trace.place(snapshot, depth);
            seen.truncate(depth + 1);
            seen.resize(depth + 1, (0, 0));
            let here = (line(proto, pc), pc);
            let mut ops = ir.insts[insts.clone()].iter().map(|inst| inst.op);
            let begins = if marked {
                ops.any(|op| op == Op::Line)
            } else {
                // At its end the trace asks whether to go on where the line begins: that is not the line.
                let idle = ops.all(|op| matches!(op, Op::Interrupt | Op::Gcstep | Op::Nop | Op::Loop | Op::Phi));
                let last = if idle { here } else { std::mem::replace(&mut seen[depth], here) };
                last.0 != here.0 || pc < last.1
            };
            stretches.push(Stretch { insts, code, snapshot, depth, begins, visible: Vec::new() });
            start = at;
        }
        stretches
    }

    fn rows(&self, files: &mut Files<'_>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut last = None;
        for stretch in &self.stretches {
            let (proto, pc) = self.trace.place(stretch.snapshot, stretch.depth);
            let line = line(proto, pc);
            let here = (line, self.frames(stretch.snapshot).iter().map(call).collect::<Vec<_>>());
            if stretch.begins || last.as_ref() != Some(&here) {
                rows.push(Row {
                    offset: stretch.code.start,
                    file: files.get(proto),
                    line,
                    is_statement: stretch.begins,
                });
                last = Some(here);
            }
        }
        rows
    }

    /// The blocks of a frame of this depth, in stretches that all belong to it or to what it calls.
    fn blocks(&self, stretches: &[Stretch], depth: usize, files: &mut Files<'_>) -> Vec<Scope> {
        let parameters = self.stable_parameters(stretches, depth);
        let mut scopes = Vec::new();
        let mut begin = 0;
        let mut known: Option<Vec<Visible>> = None;
        let mut lines: Vec<u32> = Vec::new();
        for (n, stretch) in stretches.iter().enumerate() {
            let is_own = stretch.depth == depth;
            let (proto, pc) = self.trace.place(stretch.snapshot, depth);
            let line = line(proto, pc);
            let repeats = is_own && stretch.begins && lines.contains(&line);
            let visible = (is_own || known.is_none()).then(|| {
                let is_other = |v: &&Visible| !parameters.iter().any(|p| p.local == v.local);
                stretch.visible(depth).iter().filter(is_other).cloned().collect::<Vec<_>>()
            });
            if let Some(visible) = visible
                && (repeats || known.as_ref() != Some(&visible))
            {
                if let Some(known) = known.replace(visible) {
                    scopes.push(self.block(&stretches[begin..n], depth, &known, files));
                }
                lines.clear();
                begin = n;
            }
            if is_own && stretch.begins {
                lines.push(line);
            }
        }
        if let Some(known) = known {
            scopes.push(self.block(&stretches[begin..], depth, &known, files));
        }
        scopes
    }

    fn block(&self, stretches: &[Stretch], depth: usize, visible: &[Visible], files: &mut Files<'_>) -> Scope {
        Scope {
            range: range(stretches),
            kind: ScopeKind::Block,
            variables: visible.iter().map(|v| self.variable(stretches, depth, v)).collect(),
            scopes: self.calls(stretches, depth, files),
        }
    }

    /// The calls that a frame of this depth makes.
    fn calls(&self, stretches: &[Stretch], depth: usize, files: &mut Files<'_>) -> Vec<Scope> {
        let made = |stretch: &Stretch| self.frames(stretch.snapshot).get(depth).map(call);
        let mut scopes = Vec::new();
        for part in stretches.chunk_by(|a, b| made(a) == made(b)) {
            let (first, range) = (&part[0], range(part));
            if first.depth == depth || range.is_empty() {
                continue;
            }
            let ((caller, pc), (callee, _)) =
                (self.trace.place(first.snapshot, depth), self.trace.place(first.snapshot, depth + 1));
            let name = match (&callee.name, call_name(&*caller, pc)) {
                (None, Some((_, name))) => String::from_utf8_lossy(&name).into_owned(),
                _ => declared_name(&callee),
            };
            scopes.push(Scope {
                range,
                kind: ScopeKind::Inlined { name, file: files.get(caller), line: line(caller, pc) },
                variables: self.parameters(part, depth + 1),
                scopes: self.blocks(part, depth + 1, files),
            });
        }
        scopes
    }
}

fn range(stretches: &[Stretch]) -> Range<u32> {
    match stretches {
        [first, .., last] => first.code.start..last.code.end,
        [only] => only.code.clone(),
        [] => 0..0,
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
        let file = self.publisher.file(&file_name(&proto.source));
        self.known.push((proto.address(), file));
        file
    }
}

/// What debuggers call a chunk: an absolute path if it comes from a file.
fn file_name(source: &[u8]) -> String {
    match source {
        [b'@', name @ ..] => {
            let name = String::from_utf8_lossy(name).into_owned();
            path::absolute(&name).map_or(name, |path| path.to_string_lossy().into_owned())
        }
        other => String::from_utf8_lossy(&chunk_id(other)).into_owned(),
    }
}
