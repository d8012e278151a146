//! What `-jv` and `-jdump` say about traces.

#![forbid(unsafe_code)]

use perilune_interpreter::lua::listing::write_code;
use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;

use super::ir::{self, Link};
use super::options::Verbosity;
use super::record::Origin;
use super::tier::Jit;
use super::trace::Trace;

impl Jit {
    /// The place of a trace's beginning, and what begins there.
    pub(super) fn describe(&self, proto: Gc<Proto>, origin: Origin) -> (String, String) {
        let place = |proto: Gc<Proto>, pc: usize| {
            let chunk = perilune_interpreter::lua::source::chunk_id(&proto.source);
            format!("{}:{}", String::from_utf8_lossy(&chunk), proto.line(pc))
        };
        match origin {
            Origin::Loop(site) => {
                let w = proto.original_code()[site as usize];
                let next = i64::from(site) + 2;
                let head = match bc::op(w) {
                    Op::JmpBack => next + i64::from(bc::jump(w)),
                    _ => next - bc::bx(w) as i64,
                };
                (place(proto, head as usize), "loop".to_string())
            }
            Origin::Entry => (place(proto, 0), format!("function at line {}", proto.line_defined)),
            Origin::Return { pc, .. } => (place(proto, pc as usize - 1), "return".to_string()),
            Origin::Exit { parent, exit } => {
                let (proto, pc) = self.trace(parent).map_or((proto, 0), |t| t.innermost(exit as usize));
                (place(proto, pc), format!("exit {parent}/{exit}"))
            }
        }
    }

    /// A trace in one line.
    pub fn summary(&self, trace: &Trace) -> String {
        let (place, what) = self.describe(trace.proto, trace.origin);
        let link = leads_to(trace.ir.link);
        let live = trace.ir.insts.iter().filter(|i| i.op != ir::Op::Nop).count();
        let number = trace.number;
        let (bytes, places) = (self.engine.code_size(number), self.engine.places_size(number));
        let (length, exits) = (trace.length, trace.exits.len());
        format!(
            "trace {number} {place} {what}: {length} bytecodes, {live} IR, {exits} exits, {bytes}+{places} bytes, {link}"
        )
    }

    /// A trace's machine code as text.
    pub fn machine_code(&self, trace: &Trace) -> String {
        self.engine.listing(trace.number)
    }

    /// Tells of a new trace as much as is wanted.
    pub(super) fn report(&self, number: u32) {
        let Some(trace) = self.trace(number) else { return };
        if self.options().verbosity == Verbosity::Silent {
            return;
        }
        self.options().say(format_args!("{}\n", self.summary(trace)));
        if self.options().verbosity == Verbosity::Dump {
            self.dump(trace);
        }
    }

    fn dump(&self, trace: &Trace) {
        let mut bytecode = String::new();
        write_code(&mut bytecode, &*trace.proto);
        self.options().say(format_args!("---- trace {}: bytecode of its function\n{bytecode}", trace.number));
        if let Some(ir) = &trace.recorded {
            self.options().say(format_args!("---- trace {}: IR as recorded\n{ir}", trace.number));
        }
        self.options().say(format_args!("---- trace {}: IR\n{}", trace.number, trace.ir));
        self.options().say(format_args!("---- trace {}: machine code\n{}", trace.number, self.machine_code(trace)));
    }
}

/// Where a trace leads at its end.
pub(super) fn leads_to(link: Link) -> String {
    match link {
        Link::Loop => "loop".to_string(),
        Link::Trace(n) => format!("-> trace {n}"),
        Link::TailCall(n) => format!("-> trace {n}, tail call"),
        Link::Return { .. } => "-> caller".to_string(),
        Link::Switch { .. } => "-> coroutine".to_string(),
        Link::Interpreter => "-> interpreter".to_string(),
    }
}
