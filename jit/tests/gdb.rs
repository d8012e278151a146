//! What gdb shows of compiled code. Each session runs `gdb --batch` on this program itself, which then plays the subject: it
//! publishes code by hand, as a compiler would, and runs it.
//!
//! There is no test harness: gdb shall see the frames down to `main`, and tests of a harness run on other threads.

#![allow(clippy::useless_conversion, reason = "dynasm! converts every register number")]

#[path = "gdb/session.rs"]
mod session;

use dynasmrt::{DynasmApi, dynasm};
use perilune_jit::code::arena::Arena;
use perilune_jit::code::buffer::Code;
use perilune_jit::code::exit::{self, ExitState};
use perilune_jit::code::map::CodeSpace;
use perilune_jit::code::patch::Patch;
use perilune_jit::code::publish::{Publisher, Telling};
use perilune_jit::{code::x64, helper};
use perilune_unwind::lines::{Function, Row, Scope, ScopeKind};
use perilune_unwind::object::Symbol;
use session::{assert_frames, frames};
use std::process::ExitCode;

/// The source that the hand-made code claims to come from.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/sample.lua");

/// Set in the environment of the subject.
const SUBJECT: &str = "PERILUNE_GDB_SUBJECT";

fn main() -> ExitCode {
    if std::env::var_os(SUBJECT).is_some() {
        subject();
        return ExitCode::SUCCESS;
    }
    if !session::is_there("gdb sessions with code made by hand") {
        return ExitCode::SUCCESS;
    }
    let sessions: [(&str, fn()); 5] = [
        ("a_backtrace_from_a_helper_reaches_main", a_backtrace_from_a_helper_reaches_main),
        ("every_instruction_of_the_trampoline_has_a_backtrace", every_instruction_of_the_trampoline_has_a_backtrace),
        ("a_line_breakpoint_stops_in_every_copy", a_line_breakpoint_stops_in_every_copy),
        ("retired_code_is_forgotten", retired_code_is_forgotten),
        ("breakpoints_survive_patching", breakpoints_survive_patching),
    ];
    let mut failed = 0;
    for (name, session) in sessions {
        let outcome = std::panic::catch_unwind(session);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += usize::from(outcome.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs gdb's commands with this program as the inferior; answers what gdb and the program wrote.
fn gdb(commands: &[&str]) -> String {
    let program = std::env::current_exe().unwrap();
    session::gdb(&[program.to_str().unwrap()], commands, |gdb| {
        gdb.env(SUBJECT, "1");
    })
}

fn a_backtrace_from_a_helper_reaches_main() {
    let transcript = gdb(&["break inspected", "run", "bt", "info symbol $rip", "up", "info symbol $pc", "kill"]);
    let inlined = format!("double () at {SOURCE}:2");
    let outer = format!("trace_12 () at {SOURCE}:6");
    assert_frames(&transcript, &["inspected (", &inlined, &outer, "run_code (", "subject (", "main (", "_start ("]);
    assert!(transcript.contains("  return inspected(x)"), "the source line is shown:\n{transcript}");
    assert!(transcript.contains("trace_12 + "), "the symbol is found by address:\n{transcript}");
}

fn every_instruction_of_the_trampoline_has_a_backtrace() {
    let steps = 14;
    let walk = format!("set $step = 0\nwhile $step < {steps}\nx/i $pc\nbt -1\nstepi\nset $step = $step + 1\nend\n");
    let file = std::env::temp_dir().join(format!("perilune-gdb-{}", std::process::id()));
    std::fs::write(&file, walk).unwrap();
    let source = format!("source {}", file.display());
    for (at, part) in [("perilune_enter", "push   %rbp"), ("perilune_leave", "lea    ")] {
        let stop = format!("break *{at}");
        let transcript = gdb(&["break ready", "run", &stop, "continue", &source, "kill"]);
        assert!(transcript.contains(part), "{transcript}");
        let whole = frames(&transcript).iter().filter(|frame| frame.contains("_start (")).count();
        assert_eq!(whole, steps, "{transcript}");
    }
    std::fs::remove_file(&file).unwrap();
}

fn a_line_breakpoint_stops_in_every_copy() {
    let stop = format!("break {SOURCE}:7");
    // The program runs trace_12; then trace_12 and, from there, trace_13. Each stops twice.
    let goon = ["continue"; 6];
    let transcript = gdb(&[&[stop.as_str(), "run", "info breakpoints"], &goon[..]].concat());
    for (name, expected) in [("trace_12", 4), ("trace_13", 2)] {
        let here = format!("{name} () at {SOURCE}:7");
        let stops = transcript.lines().filter(|line| line.starts_with("Breakpoint 1") && line.ends_with(&here));
        assert_eq!(stops.count(), expected, "{transcript}");
    }
    assert!(transcript.contains("local y = i"), "{transcript}");
    assert!(transcript.contains("exited normally"), "{transcript}");
}

fn retired_code_is_forgotten() {
    let transcript = gdb(&[
        "break ready",
        "break gone",
        "run",
        "info address trace_12",
        "continue",
        "info address trace_12",
        "info address trace_13",
        "kill",
    ]);
    assert!(transcript.contains("Symbol \"trace_12\" is a function"), "{transcript}");
    assert!(transcript.contains("No symbol \"trace_12\" in current context"), "{transcript}");
    assert!(transcript.contains("Symbol \"trace_13\" is a function"), "{transcript}");
}

fn breakpoints_survive_patching() {
    let transcript = gdb(&["break ready", "run", "break *trace_13", "continue", "bt", "delete", "continue"]);
    assert_frames(&transcript, &["#0  trace_13", "run_code (", "main ("]);
    assert!(transcript.contains("exited normally"), "{transcript}");
}

/// Called by compiled code.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C-unwind" fn inspected(calls: &mut u64) {
    *calls += 1;
}

/// Everything is published.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ready(calls: u64) {
    std::hint::black_box(calls);
}

/// `trace_12` is gone.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gone(calls: u64) {
    std::hint::black_box(calls);
}

unsafe extern "C-unwind" fn deoptimize(state: &mut ExitState, _: *mut u8) -> u64 {
    u64::from(state.number())
}

#[inline(never)]
fn run_code(arena: &Arena, code: &Code, calls: &mut u64) -> u64 {
    // SAFETY: the code of this file takes a counter as its context.
    let answer =
        unsafe { arena.trampoline().enter(std::ptr::from_mut(calls).cast(), std::ptr::null_mut(), code.start()) };
    std::hint::black_box(answer)
}

/// Two copies of the sample's loop body, each with the call of `double` inlined; then a jump that can be patched.
fn assemble_trace(arena: &Arena, publisher: &mut Publisher, name: &str) -> (Code, usize) {
    let file = publisher.file(SOURCE);
    let mut buffer = arena.begin(256).unwrap();
    let asm = &mut buffer.asm;
    let exits = [asm.new_dynamic_label()];
    let (mut rows, mut scopes) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let start = asm.offset().0 as u32;
        rows.push(Row { offset: start, file, line: 6, is_statement: true });
        dynasm!(asm; .arch x64; mov rdi, Rq(x64::CONTEXT));
        let call = asm.offset().0 as u32;
        rows.push(Row { offset: call, file, line: 2, is_statement: true });
        helper!(Full, inspected).emit_call(asm);
        let after = asm.offset().0 as u32;
        rows.push(Row { offset: after, file, line: 7, is_statement: true });
        dynasm!(asm; .arch x64; mov r12, 1; xor eax, eax);
        let kind = ScopeKind::Inlined { name: "double".into(), file, line: 6 };
        let inlined = Scope { range: call..after, kind, variables: vec![], scopes: Vec::new() };
        scopes.push(Scope {
            range: start..asm.offset().0 as u32,
            kind: ScopeKind::Block,
            variables: vec![],
            scopes: vec![inlined],
        });
    }
    rows.push(Row { offset: asm.offset().0 as u32, file, line: 5, is_statement: true });
    let site = x64::jump(asm, exits[0]);
    exit::emit_stubs(asm, &arena.trampoline(), 12, &exits);
    let code = buffer.publish().unwrap();
    let symbol = Symbol { name: name.into(), start: code.start() as u64, size: code.range().len() as u64 };
    publisher
        .announce(vec![(
            Function { name: name.into(), symbol, file, line: 5, rows, parameters: vec![], scopes },
            &code,
        )])
        .unwrap();
    let site = code.start() + site;
    (code, site)
}

/// What gdb watches: runs `trace_12`, then links it to `trace_13`, runs both, and drops the first one.
fn subject() {
    let space = CodeSpace::reserve().unwrap();
    let arena = Arena::new(&space, 1 << 20, deoptimize, None).unwrap();
    let mut publisher = Publisher::new(Telling::AtOnce, &[]);
    let (first, site) = assemble_trace(&arena, &mut publisher, "trace_12");
    let (second, _) = assemble_trace(&arena, &mut publisher, "trace_13");
    assert_eq!(publisher.name_at(first.start() + 3), Some("trace_12"));
    assert_eq!(publisher.name_at(second.start() + 3), Some("trace_13"));
    let mut calls = 0;
    ready(calls);
    run_code(&arena, &first, &mut calls);
    assert_eq!(calls, 2);
    arena.patch(&[Patch { site, target: second.start() }]).unwrap();
    run_code(&arena, &first, &mut calls);
    assert_eq!(calls, 6);
    publisher.retire(first);
    publisher.reclaim().unwrap();
    gone(calls);
}
