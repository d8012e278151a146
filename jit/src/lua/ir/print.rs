//! The text form of an IR. `parse` reads it back.
//!
//! ```text
//! snap reexec pc=12 top=5 [1=%2 2=1.5] call(f=%4 ret=10 base=5 want=1 va=0)
//! %0 = sload.int! #1
//! %1 = fload.ptr %0 table.array
//! lt.int! %0 100
//! link loop
//! ```
//!
//! `%n` is the result of instruction `n`, counted from 0 with dropped instructions (they are not printed). A `!` marks
//! a guard. A snapshot stands before the first instruction that it applies to; behind its slots are the unbuilt objects with
//! their parts: `{%8: ptr:0x10 ptr:0x0 0 0 0 %2 nil}` is a table of shape 0x10, without metatable and elements, with two
//! slots; `{%8: ptr:0x10 ptr:0x0 3 7 2 %2 4}` has none of these, but two elements: their kind, the array's capacity and its length stand
//! before them. `{%9: ptr:0x20 %7}` is a function of prototype 0x20 with one upvalue, `{%7: %2}` a cell. Constants stand where they are
//! used: `nil`, `true`, `12`, `1.5`, `nan:0x7ff8000000000000`, `table:0x5580`, `ptr:0x5580`.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter, Write};

use super::{Const, Inst, Ir, Link, Op, Operand, Ref, Type};
use crate::lua::snapshot::Snapshot;

impl Display for Const {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Const::Nil => f.write_str("nil"),
            Const::Bool(b) => write!(f, "{b}"),
            Const::Int(i) => write!(f, "{i}"),
            Const::Float(x) if x.is_nan() => write!(f, "nan:{:#x}", x.to_bits()),
            Const::Float(x) => write!(f, "{x:?}"),
            Const::Object(ty, p) => write!(f, "{}:{p:#x}", ty.name()),
            Const::Ptr(p) => write!(f, "ptr:{p:#x}"),
        }
    }
}

impl Display for Ir {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut snapshots = self.snapshots.iter().peekable();
        for (at, inst) in self.insts.iter().enumerate() {
            while let Some(snapshot) = snapshots.next_if(|s| s.at as usize <= at) {
                writeln!(f, "{}", self.snapshot_text(snapshot))?;
            }
            if inst.op != Op::Nop {
                writeln!(f, "{}", self.inst_text(at))?;
            }
        }
        for snapshot in snapshots {
            writeln!(f, "{}", self.snapshot_text(snapshot))?;
        }
        match self.link {
            Link::Loop => writeln!(f, "link loop"),
            Link::Trace(number) => writeln!(f, "link trace {number}"),
            Link::TailCall(number) => writeln!(f, "link tailcall {number}"),
            Link::Return { first, count } => writeln!(f, "link return {first} {count}"),
            Link::Switch { register, arguments, wanted } => writeln!(f, "link switch {register} {arguments} {wanted}"),
            Link::Interpreter => writeln!(f, "link interpreter"),
        }
    }
}

impl Ir {
    /// A reference as text.
    pub fn ref_text(&self, r: Ref) -> String {
        match self.constant(r) {
            Some(c) => c.to_string(),
            None if r.is_none() => "-".to_owned(),
            None => format!("%{}", r.index()),
        }
    }

    /// Instruction `at` as a line of text.
    pub fn inst_text(&self, at: usize) -> String {
        let inst = &self.insts[at];
        let mut out = String::new();
        if names_result(inst) {
            out = format!("%{at} = ");
        }
        out.push_str(inst.op.name());
        if inst.base() != Type::Void {
            out.push('.');
            out.push_str(inst.base().name());
        }
        if inst.ty.is_notag() {
            out.push_str(".notag");
        }
        if inst.ty.is_guard() {
            out.push('!');
        }
        for (n, kind) in inst.op.operands().into_iter().enumerate() {
            let operand = inst.operand(n);
            // Writing to a string cannot fail.
            let _ = match kind {
                Operand::No => Ok(()),
                Operand::Opt if operand.is_none() => Ok(()),
                Operand::Ref | Operand::Opt => write!(out, " {}", self.ref_text(operand)),
                Operand::Imm => write!(out, " {}", operand.0),
                Operand::Slot => write!(out, " #{}", operand.0 as i16),
                Operand::Field => write!(out, " {}", inst.field().name()),
                Operand::Helper => write!(out, " {}", self.helper(inst).name),
            };
        }
        out
    }

    /// A snapshot as a line of text.
    pub fn snapshot_text(&self, snapshot: &Snapshot) -> String {
        let slots: Vec<String> =
            self.snapshots.slots(snapshot).iter().map(|s| format!("{}={}", s.slot, self.ref_text(s.value))).collect();
        let mut out =
            format!("snap {} pc={} top={} [{}]", snapshot.mode.name(), snapshot.pc, snapshot.top, slots.join(" "));
        for unbuilt in self.snapshots.objects(snapshot) {
            let parts: Vec<String> = self.snapshots.parts(unbuilt).iter().map(|r| self.ref_text(*r)).collect();
            let _ = write!(out, " {{{}: {}}}", self.ref_text(unbuilt.object), parts.join(" "));
        }
        for frame in self.snapshots.frames(snapshot) {
            let function = self.ref_text(frame.function);
            let _ = write!(
                out,
                " {}(f={function} ret={} base={} want={} va={}",
                frame.kind.name(),
                frame.return_pc,
                frame.base,
                frame.wanted,
                frame.varargs
            );
            if frame.pending > 0 {
                let _ = write!(out, " pend={}", frame.pending);
            }
            out.push(')');
        }
        out
    }
}

/// Whether other instructions can refer to it.
pub(super) fn names_result(inst: &Inst) -> bool {
    inst.has_result() || inst.op == Op::Carg
}
