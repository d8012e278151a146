//! The trace viewer: `-jhtml=file` writes one page that shows the source with what became of its lines, and each trace at all its
//! stages, with its exits and links. The page needs nothing beside itself.
//!
//! What is shown of a trace is written down when the trace is made, for it may be dropped before the page is written, at the end of
//! the state; how often exits were taken is added when the trace goes.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use perilune_interpreter::lua::listing::write_code;
use perilune_interpreter::lua::names::{declared_name, local_name};
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;

use super::allocate::location_of;
use super::engine::Engine;
use super::explain;
use super::ir::{Const, Link, Op, Ref};
use super::machine::MachineTrace;
use super::record::Origin;
use super::report::leads_to;
use super::tier::Jit;
use super::trace::Trace;
use crate::code::dump;

/// The page around the data.
const TEMPLATE: &str = include_str!("page.html");
/// Where the data goes.
const PLACE: &str = "/*DATA*/";

/// The page in progress.
pub(super) struct Page {
    file: Arc<File>,
    traces: Vec<Shown>,
    /// Objects of JSON.
    aborts: Vec<String>,
    sources: BTreeSet<String>,
}

/// A trace, as JSON but for its closing brace, and how often each exit was taken.
struct Shown {
    number: u32,
    text: String,
    counts: Vec<(u32, Option<u32>)>,
    /// How often it was come to, and rounds of its loop.
    runs: [u64; 2],
    is_gone: bool,
}

impl Page {
    pub(super) fn new(file: Arc<File>) -> Page {
        Page { file, traces: Vec::new(), aborts: Vec::new(), sources: BTreeSet::new() }
    }

    /// A recording was given up.
    pub(super) fn add_abort(&mut self, place: &str, what: &str, reason: &str) {
        self.aborts.push(format!(
            "{{\"place\":{},\"what\":{},\"reason\":{}}}",
            quote(place),
            quote(what),
            quote(reason)
        ));
    }

    /// Notes how often a trace was run and its exits were taken so far.
    fn note_counts(&mut self, trace: &Trace, runs: [u64; 2], is_gone: bool) {
        if let Some(shown) = self.traces.iter_mut().rev().find(|shown| shown.number == trace.number && !shown.is_gone) {
            shown.counts = trace.exits.iter().map(|exit| (exit.count, exit.side)).collect();
            (shown.runs, shown.is_gone) = (runs, is_gone);
        }
    }

    /// Writes the page.
    fn write(&self) {
        let traces = self.traces.iter().map(|shown| {
            let side = |side: Option<u32>| side.map_or("null".into(), |n| n.to_string());
            let counts = shown.counts.iter().map(|(count, to)| format!("[{count},{}]", side(*to)));
            let counts = counts.collect::<Vec<_>>().join(",");
            let [entries, rounds] = shown.runs;
            format!("{},\"counts\":[{counts}],\"runs\":[{entries},{rounds}],\"gone\":{}}}", shown.text, shown.is_gone)
        });
        let sources = self.sources.iter().map(|name| {
            let text = fs::read(name).map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
            format!("{{\"name\":{},\"text\":{}}}", quote(name), quote(&text))
        });
        let data = format!(
            "{{\"traces\":[{}],\"aborts\":[{}],\"sources\":[{}]}}",
            traces.collect::<Vec<_>>().join(",\n"),
            self.aborts.join(",\n"),
            sources.collect::<Vec<_>>().join(",\n")
        );
        // There is nobody to tell that the page could not be written.
        let _ = (&*self.file).write_all(TEMPLATE.replacen(PLACE, &data, 1).as_bytes());
    }
}

/// A text as JSON, fit to stand within a page's script.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '<' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A trace goes, if there is one.
pub(super) fn gone(page: &mut Option<Page>, engine: &Engine, trace: Option<&Trace>) {
    if let (Some(page), Some(trace)) = (page, trace) {
        page.note_counts(trace, engine.counts(trace.number), true);
    }
}

impl Jit {
    /// At the end: writes the page, if there is one.
    pub(super) fn write_page(&mut self) {
        if let Some(mut page) = self.page.take() {
            self.traces().for_each(|trace| page.note_counts(trace, self.engine.counts(trace.number), false));
            page.write();
        }
    }

    /// Shows a new trace in the page, if there is one.
    pub(super) fn show(&mut self, number: u32) {
        let Some(mut page) = self.page.take() else { return };
        if let Some(trace) = self.trace(number) {
            let text = self.as_json(trace, &mut page.sources);
            let counts = vec![(0, None); trace.exits.len()];
            page.traces.push(Shown { number, text, counts, runs: [0; 2], is_gone: false });
        }
        self.page = Some(page);
    }

    fn as_json(&self, trace: &Trace, sources: &mut BTreeSet<String>) -> String {
        let (place, what) = self.describe(trace.proto, trace.origin);
        let (proto, pc) = trace.place(0, 0);
        let parent = match trace.origin {
            Origin::Exit { parent, exit } => format!("[{parent},{exit}]"),
            Origin::Loop(_) | Origin::Entry | Origin::Return { .. } => "null".into(),
        };
        let link = match trace.ir.link {
            Link::Loop => trace.number.to_string(),
            Link::Trace(target) | Link::TailCall(target) => target.to_string(),
            Link::Return { .. } | Link::Switch { .. } | Link::Interpreter => "null".into(),
        };
        let mut bytecode = String::new();
        write_code(&mut bytecode, &*proto);
        let live = trace.ir.insts.iter().filter(|i| i.op != Op::Nop).count();
        let fields = [
            ("name", quote(&declared_name(&proto))),
            ("place", quote(&place)),
            ("what", quote(&what)),
            ("line", proto.line(pc).to_string()),
            ("parent", parent),
            ("link", link),
            ("leads", quote(&leads_to(trace.ir.link))),
            ("bytes", self.engine.code_size(trace.number).to_string()),
            ("bytecodes", trace.length.to_string()),
            ("insts", live.to_string()),
            ("bytecode", quote(&bytecode)),
            ("recorded", quote(&trace.recorded.as_ref().map_or(String::new(), ToString::to_string))),
            ("ir", quote(&trace.ir.to_string())),
        ];
        let mut text = format!("{{\"number\":{}", trace.number);
        for (name, value) in fields {
            let _ = write!(text, ",\"{name}\":{value}");
        }
        let machine = self.engine.machine();
        let leave = machine.map_or(0, |m| m.arena().trampoline().epilogue());
        let code = machine.and_then(|m| m.get(trace.number));
        let _ = write!(text, ",\"exits\":[{}]", exits(trace, code).join(","));
        let loop_at = code.and_then(|code| Some(code.layout.offset(code.ir.loop_index()?)));
        let _ = write!(text, ",\"loop\":{}", loop_at.map_or("null".into(), |offset| offset.to_string()));
        let _ = write!(
            text,
            ",\"code\":[{}]",
            code.map_or(String::new(), |code| machine_code(trace, code, leave, sources))
        );
        text
    }
}

/// The machine code, an array for each instruction: offset, text, file and line.
fn machine_code(trace: &Trace, code: &MachineTrace, leave: usize, sources: &mut BTreeSet<String>) -> String {
    let lines = explain::lines(trace, code);
    let start = code.code().start();
    let mut bytes = code.code().bytes();
    bytes.truncate(code.layout.end);
    let mut out = Vec::new();
    let (mut names, own) = (code.names(leave), code.code().range());
    let within =
        move |address: u64| own.contains(&(address as usize)).then(|| format!("+{:x}", address as usize - own.start));
    for line in dump::disassemble(&bytes, start, move |address| names(address).or_else(|| within(address))) {
        let offset = line.address - start;
        let at = lines.partition_point(|(from, _, _)| *from as usize <= offset);
        let (file, number) = at.checked_sub(1).map_or(("", 0), |n| (lines[n].1.as_str(), lines[n].2));
        if !sources.contains(file) {
            sources.insert(file.to_owned());
        }
        out.push(format!("[{offset},{},{},{number},{}]", quote(&line.text), quote(file), line.length));
    }
    out.join(",")
}

/// What each exit rebuilds.
fn exits(trace: &Trace, code: Option<&MachineTrace>) -> Vec<String> {
    let snapshots = &trace.ir.snapshots;
    let places = |r: Ref, number: usize| {
        let exit = code?.exits.iter().find(|exit| exit.snapshot == number)?;
        location_of(&exit.locations, r).map(|location| location.to_string())
    };
    let place = |r: Ref, number: usize| match trace.ir.constant(r) {
        Some(c) => constant(c),
        None if trace.ir.is_unbuilt(r) => format!("unbuilt %{}", r.index()),
        None => places(r, number).unwrap_or_else(|| format!("%{}", r.index())),
    };
    let show = |number: usize| {
        let snapshot = snapshots.get(number);
        let (proto, pc) = trace.innermost(number);
        let frames = snapshots.frames(snapshot);
        let names: Vec<String> =
            (0..=frames.len()).rev().map(|depth| quote(&declared_name(&trace.place(number, depth).0))).collect();
        let objects = snapshots.objects(snapshot).iter().map(|unbuilt| {
            let parts: Vec<String> = snapshots.parts(unbuilt).iter().map(|r| place(*r, number)).collect();
            quote(&format!("{} = {{{}}}", place(unbuilt.object, number), parts.join(" ")))
        });
        let slots = snapshots.slots(snapshot).iter().map(|slot| {
            let depth = frames.partition_point(|frame| frame.base <= slot.slot);
            let base = depth.checked_sub(1).map_or(0, |inner| frames[inner].base);
            let (owner, pc) = trace.place(number, depth);
            let name = name(owner, slot.slot - base, pc);
            quote(&format!("{name} = {} ({})", place(slot.value, number), trace.ir.ty(slot.value).name()))
        });
        format!(
            "{{\"mode\":{},\"line\":{},\"frames\":[{}],\"slots\":[{}]}}",
            quote(snapshot.mode.name()),
            proto.line(pc),
            names.join(","),
            slots.chain(objects).collect::<Vec<_>>().join(",")
        )
    };
    (0..snapshots.len()).map(show).collect()
}

/// A register by the name of its variable, where it has one.
fn name(proto: Gc<Proto>, register: i16, pc: usize) -> String {
    let Ok(number) = usize::try_from(register) else { return "function".into() };
    match local_name(&*proto, pc, number) {
        Some(variable) => String::from_utf8_lossy(&variable.name).into_owned(),
        None => format!("R{register}"),
    }
}

fn constant(c: Const) -> String {
    match c {
        Const::Nil => "nil".into(),
        Const::Bool(b) => b.to_string(),
        Const::Int(i) => i.to_string(),
        Const::Float(f) => format!("{f:?}"),
        Const::Object(_, address) | Const::Ptr(address) => format!("{address:#x}"),
    }
}
