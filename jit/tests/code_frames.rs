//! Frames of compiled code as an unwinder sees them: panics and backtraces of Rust functions that compiled code called.

#![allow(clippy::useless_conversion, reason = "dynasm! converts every register number")]

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use perilune_jit::code::arena::Arena;
use perilune_jit::code::buffer::Code;
use perilune_jit::code::exit::{ExitState, spill_offset};
use perilune_jit::code::helper::{Class, Helper};
use perilune_jit::code::map::CodeSpace;
use perilune_jit::{code::x64, helper};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

unsafe extern "C-unwind" fn no_exit(_: &mut ExitState, _: *mut u8) -> u64 {
    unreachable!("the code of these tests does not exit")
}

fn arena() -> Arena {
    Arena::new(&CodeSpace::reserve().unwrap(), 1 << 20, no_exit, None).unwrap()
}

/// Code that overwrites all callee-saved registers but its roles, calls `helper` with its context, and answers what that
/// answered. Preceded by `lead` traps, so that calls happen in many places.
fn calling(arena: &Arena, helper: &Helper, lead: usize) -> (Code, usize) {
    let mut buffer = arena.begin(lead + 64).unwrap();
    let asm = &mut buffer.asm;
    for _ in 0..lead {
        asm.push(0xcc);
    }
    let epilogue = arena.trampoline().epilogue();
    dynasm!(asm
        ; .arch x64
        ; mov r12, -1
        ; mov r13, r12
        ; mov r15, r12
        ; mov [rbp + spill_offset(255)], r12
        ; mov rdi, Rq(x64::CONTEXT)
    );
    helper.emit_call(asm);
    dynasm!(asm; .arch x64; jmp extern epilogue);
    let code = buffer.publish().unwrap();
    let entry = code.start() + lead;
    (code, entry)
}

/// What compiled code's context points to.
struct Context<'a> {
    arena: &'a Arena,
    /// Entries of further code to call, innermost last.
    entries: Vec<usize>,
    log: Vec<String>,
    backtrace: String,
}

struct Noisy<'a>(&'a mut Vec<String>, &'static str);

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.0.push(format!("dropped {}", self.1));
    }
}

#[inline(never)]
fn enter(context: &mut Context, entry: usize) -> u64 {
    let trampoline = context.arena.trampoline();
    // SAFETY: entries are those of `calling`, whose code lives as long as the tests; it takes a `Context`.
    unsafe { trampoline.enter(std::ptr::from_mut(context).cast(), std::ptr::null_mut(), entry) }
}

/// Calls compiled code again as long as there is some; then panics.
extern "C-unwind" fn nested_panic(context: &mut Context) -> u64 {
    match context.entries.pop() {
        Some(entry) => {
            let answer = enter(context, entry);
            context.log.push("not reached".into());
            answer
        }
        None => {
            let _noisy = Noisy(&mut context.log, "innermost");
            panic_any(42_u32)
        }
    }
}

extern "C-unwind" fn backtrace_helper(context: &mut Context) -> u64 {
    context.backtrace = std::backtrace::Backtrace::force_capture().to_string();
    7
}

fn context(arena: &Arena) -> Context<'_> {
    Context { arena, entries: Vec::new(), log: Vec::new(), backtrace: String::new() }
}

#[test]
fn a_panic_crosses_compiled_frames() {
    let arena = arena();
    let panicking = helper!(Full, nested_panic);
    assert_eq!((panicking.name, panicking.class), ("nested_panic", Class::Full));
    let codes: Vec<_> = [0, 1, 100, 9000].map(|lead| calling(&arena, &panicking, lead)).into();
    let mut context = context(&arena);
    for round in 0..3 {
        context.entries = codes.iter().map(|(_, entry)| *entry).collect();
        context.log.clear();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut log = Vec::new();
            let _noisy = Noisy(&mut log, "outermost");
            let entry = context.entries.pop().unwrap();
            enter(&mut context, entry)
        }));
        assert_eq!(outcome.unwrap_err().downcast_ref::<u32>(), Some(&42), "round {round}");
        assert_eq!(context.log, ["dropped innermost"]);
        assert!(context.entries.is_empty());
    }
}

/// Registers of the caller are what they were, also when a panic comes through: the loop's variables live in them.
#[test]
fn a_panic_restores_callee_saved_registers() {
    let arena = arena();
    let (_code, entry) = calling(&arena, &helper!(Full, nested_panic), 3);
    let mut sums = [0_u64; 6];
    for round in 1..=50_u64 {
        let mut context = context(&arena);
        assert!(catch_unwind(AssertUnwindSafe(|| enter(&mut context, entry))).is_err());
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum += round * (index as u64 + 1);
        }
    }
    assert_eq!(sums, [1, 2, 3, 4, 5, 6].map(|factor| 1275 * factor));
}

#[test]
fn a_backtrace_shows_both_sides() {
    let arena = arena();
    let (_code, entry) = calling(&arena, &helper!(Full, backtrace_helper), 77);
    let mut context = context(&arena);
    assert_eq!(enter(&mut context, entry), 7);
    let position = |name| context.backtrace.find(name).unwrap_or_else(|| panic!("{name} in {}", context.backtrace));
    assert!(position("backtrace_helper") < position("a_backtrace_shows_both_sides"));
}

/// Two arenas, one of them gone: the other one is still described.
#[test]
fn dropping_an_arena_leaves_the_others() {
    let space = CodeSpace::reserve().unwrap();
    let gone = Arena::new(&space, 1 << 16, no_exit, None).unwrap();
    let kept = Arena::new(&space, 1 << 16, no_exit, None).unwrap();
    drop(calling(&gone, &helper!(Full, nested_panic), 0));
    drop(gone);
    let (_code, entry) = calling(&kept, &helper!(Full, nested_panic), 0);
    let mut context = context(&kept);
    assert!(catch_unwind(AssertUnwindSafe(|| enter(&mut context, entry))).is_err());
}
