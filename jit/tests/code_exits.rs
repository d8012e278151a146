//! Compiled code from outside: it is entered, it exits with all its registers, its jumps are turned, its memory is reused.

#![allow(clippy::useless_conversion, reason = "dynasm! converts every register number")]

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use perilune_jit::code::CodeError;
use perilune_jit::code::arena::{ALIGN, Arena};
use perilune_jit::code::buffer::Code;
use perilune_jit::code::exit::{self, ExitState, SPILL_SLOTS, spill_offset};
use perilune_jit::code::map::CodeSpace;
use perilune_jit::code::patch::Patch;
use perilune_jit::code::publish::{Publisher, Telling};
use perilune_jit::code::{dump, x64};
use perilune_unwind::lines::Function;
use perilune_unwind::object::Symbol;
use perilune_unwind::perf::PerfMap;
use std::rc::Rc;

const SIZE: usize = 1 << 20;

/// What the deoptimizer of these tests saw; compiled code's context points to it.
#[derive(Default)]
struct Seen {
    owner: u32,
    number: u32,
    general: [u64; 16],
    xmm: [[u64; 2]; 16],
    spills: Vec<u64>,
    floats: Vec<f64>,
}

/// Answers the exit's number plus 1000.
unsafe extern "C-unwind" fn observe(state: &mut ExitState, context: *mut u8) -> u64 {
    // SAFETY: these tests enter code with a `Seen` as its context.
    let seen = unsafe { &mut *context.cast::<Seen>() };
    seen.owner = state.owner();
    seen.number = state.number();
    seen.general = state.general;
    seen.xmm = state.xmm;
    seen.spills = (0..SPILL_SLOTS as u16).map(|slot| state.spill(slot)).collect();
    seen.floats = (0..16).map(|register| state.float(register)).collect();
    1000 + u64::from(state.number())
}

fn arena() -> Arena {
    Arena::new(&CodeSpace::reserve().unwrap(), SIZE, observe, None).unwrap()
}

fn enter(arena: &Arena, code: &Code, seen: &mut Seen, base: usize) -> u64 {
    // SAFETY: the code was just assembled for this arena; it takes the context and the base of these tests.
    unsafe { arena.trampoline().enter(std::ptr::from_mut(seen).cast(), base as *mut u8, code.start()) }
}

#[test]
fn an_exit_saves_every_register_and_spill_slot() {
    let arena = arena();
    let mut buffer = arena.begin(1 << 14).unwrap();
    let asm = &mut buffer.asm;
    for slot in 0..SPILL_SLOTS as u16 {
        dynasm!(asm; .arch x64; mov QWORD [rbp + spill_offset(slot)], 7000 + i32::from(slot));
    }
    for register in 0..16u8 {
        let value = i64::from(register) * 0x0101_0101_0101_0101;
        let high = value + 1;
        dynasm!(asm
            ; .arch x64
            ; mov rax, QWORD value
            ; movq Rx(register), rax
            ; mov rax, QWORD high
            ; mov [rbp + spill_offset(0)], rax
            ; movhps Rx(register), [rbp + spill_offset(0)]
        );
    }
    dynasm!(asm; .arch x64; mov QWORD [rbp + spill_offset(0)], 7000);
    for register in x64::ALLOCATABLE {
        let value = 0x7766_5544_3322_1100 + i64::from(register);
        dynasm!(asm; .arch x64; mov Rq(register), QWORD value);
    }
    let exits: Vec<_> = (0..200).map(|_| asm.new_dynamic_label()).collect();
    x64::jump(asm, exits[171]);
    exit::emit_stubs(asm, &arena.trampoline(), 0xfedc_ba98, &exits);
    let code = buffer.publish().unwrap();

    let mut seen = Seen::default();
    assert_eq!(enter(&arena, &code, &mut seen, 0xba5e), 1171);
    assert_eq!((seen.owner, seen.number), (0xfedc_ba98, 171));
    for register in x64::ALLOCATABLE {
        assert_eq!(seen.general[register as usize], 0x7766_5544_3322_1100 + u64::from(register));
    }
    assert_eq!(seen.general[x64::CONTEXT as usize], &raw const seen as u64);
    assert_eq!(seen.general[x64::BASE as usize], 0xba5e);
    let (rbp, rsp) = (seen.general[x64::FRAME as usize], seen.general[x64::STACK as usize]);
    assert_eq!(rsp % 16, 0, "aligned for calls");
    assert_eq!(rbp - rsp, (16 - exit::EXIT_STATE_OFFSET - 32) as u64, "the frame ends above the two pushed words");
    for register in 0..16 {
        let value = register as u64 * 0x0101_0101_0101_0101;
        assert_eq!(seen.xmm[register], [value, value + 1]);
        assert_eq!(seen.floats[register].to_bits(), value);
    }
    assert_eq!(seen.spills, (7000..7256).collect::<Vec<u64>>());
}

#[test]
fn every_stub_leaves_with_its_own_number() {
    let arena = arena();
    for count in [1, 15, 16, 17, 128, 129, 300] {
        let mut buffer = arena.begin(16 * count + exit::stubs_bound(count)).unwrap();
        let asm = &mut buffer.asm;
        let exits: Vec<_> = (0..count).map(|_| asm.new_dynamic_label()).collect();
        let mut entries = Vec::new();
        for &exit in &exits {
            asm.align(ALIGN, 0xcc);
            entries.push(asm.offset().0);
            dynasm!(asm; .arch x64; xor eax, eax; test eax, eax);
            x64::jump_if(asm, x64::Condition::Equal, exit);
        }
        let before = asm.offset().0;
        exit::emit_stubs(asm, &arena.trampoline(), count as u32, &exits);
        assert!(asm.offset().0 - before <= exit::stubs_bound(count));
        let code = buffer.publish().unwrap();
        for (number, entry) in entries.into_iter().enumerate() {
            let mut seen = Seen::default();
            let context = (&raw mut seen).cast();
            // SAFETY: each entry is a test and a jump to its exit.
            let answer = unsafe { arena.trampoline().enter(context, context, code.start() + entry) };
            assert_eq!(answer, 1000 + number as u64);
            assert_eq!((seen.owner, seen.number), (count as u32, number as u32));
        }
    }
}

/// Registers that belong to the caller come back as they were, however compiled code leaves.
#[test]
fn callee_saved_registers_survive() {
    let arena = arena();
    let mut buffer = arena.begin(256).unwrap();
    let asm = &mut buffer.asm;
    let exit = asm.new_dynamic_label();
    for register in 0..16u8 {
        if ![x64::CONTEXT, x64::FRAME, x64::STACK].contains(&register) {
            dynasm!(asm; .arch x64; mov Rq(register), -1);
        }
    }
    x64::jump(asm, exit);
    exit::emit_stubs(asm, &arena.trampoline(), 1, &[exit]);
    let code = buffer.publish().unwrap();

    // A second piece of code checks the first one: it fills the callee-saved registers, calls the trampoline, and compares.
    let mut outer = arena.begin(512).unwrap();
    let asm = &mut outer.asm;
    let (start, epilogue) = (arena.trampoline().range().start, arena.trampoline().epilogue());
    dynasm!(asm
        ; .arch x64
        ; mov r12, 1212
        ; mov r13, 1313
        ; mov r14, 1414
        ; mov r15, 1515
        ; mov [rbp + spill_offset(3)], rbx
        ; mov rdi, rbx
        ; xor esi, esi
        ; mov rdx, QWORD code.start() as i64
        ; mov rax, QWORD start as i64
        ; call rax
        ; cmp rbx, [rbp + spill_offset(3)]
        ; jne >wrong
        ; cmp r12, 1212
        ; jne >wrong
        ; cmp r13, 1313
        ; jne >wrong
        ; cmp r14, 1414
        ; jne >wrong
        ; cmp r15, 1515
        ; jne >wrong
        ; jmp extern epilogue
        ; wrong:
        ; xor eax, eax
        ; jmp extern epilogue
    );
    let outer = outer.publish().unwrap();
    let mut seen = Seen::default();
    assert_eq!(enter(&arena, &outer, &mut seen, 0), 1000);
    assert_eq!(seen.owner, 1);
}

/// Code that answers `value`, or what a patched jump at its start leads to.
fn answering(arena: &Arena, value: i32) -> (Code, usize) {
    let mut buffer = arena.begin(ALIGN).unwrap();
    let asm = &mut buffer.asm;
    let next = asm.new_dynamic_label();
    let site = x64::jump(asm, next);
    let epilogue = arena.trampoline().epilogue();
    dynasm!(asm; .arch x64; =>next; mov eax, value; jmp extern epilogue);
    let code = buffer.publish().unwrap();
    let site = code.start() + site;
    (code, site)
}

#[test]
fn patched_jumps_lead_elsewhere() {
    let arena = arena();
    let mut seen = Seen::default();
    let codes: Vec<_> = (0..400).map(|value| answering(&arena, value)).collect();
    let own: Vec<_> = codes.iter().map(|(_, site)| arena.target(*site).unwrap()).collect();
    // Each leads to the next one's body; the last one stays.
    let patches: Vec<_> = (0..399).map(|n| Patch { site: codes[n].1, target: own[n + 1] }).collect();
    arena.patch(&patches).unwrap();
    arena.patch(&[]).unwrap();
    for (n, (code, site)) in codes.iter().enumerate() {
        assert_eq!(enter(&arena, code, &mut seen, 0), (n as u64 + 1).min(399));
        assert_eq!(arena.target(*site).unwrap(), own[(n + 1).min(399)]);
    }
    // Nothing is written if one of them is impossible.
    let good = Patch { site: codes[0].1, target: own[0] };
    for (site, target) in [(arena.range().end - 3, own[0]), (arena.range().start - 1, own[0]), (codes[1].1, 0)] {
        assert!(matches!(arena.patch(&[good, Patch { site, target }]), Err(CodeError::Reach { .. })));
    }
    assert_eq!(enter(&arena, &codes[0].0, &mut seen, 0), 1);
    no_page_is_writable_and_executable(&arena);
}

#[test]
fn a_forced_guard_fails() {
    let arena = arena();
    let mut buffer = arena.begin(64).unwrap();
    let asm = &mut buffer.asm;
    let exits = [asm.new_dynamic_label(), asm.new_dynamic_label()];
    dynasm!(asm; .arch x64; xor eax, eax; test eax, eax);
    let site = x64::jump_if(asm, x64::Condition::NotEqual, exits[0]);
    x64::jump(asm, exits[1]);
    exit::emit_stubs(asm, &arena.trampoline(), 9, &exits);
    let code = buffer.publish().unwrap();
    let site = code.start() + site;
    let mut seen = Seen::default();
    assert_eq!(enter(&arena, &code, &mut seen, 0), 1001);
    arena.force(site).unwrap();
    assert_eq!(enter(&arena, &code, &mut seen, 0), 1000);
}

fn no_page_is_writable_and_executable(arena: &Arena) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut executable = 0;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, _) = range.split_once('-').unwrap();
        assert!(!rest.starts_with("rwx"), "{line}");
        if arena.range().contains(&usize::from_str_radix(start, 16).unwrap()) {
            assert!(rest.starts_with("r-xp") || rest.starts_with("---p"), "{line}");
            executable += usize::from(rest.starts_with("r-xp"));
        }
    }
    assert!(executable > 0);
}

#[test]
fn memory_is_reused_and_bounded() {
    let arena = arena();
    assert_eq!(arena.used(), 0);
    let (first, _) = answering(&arena, 1);
    let (second, _) = answering(&arena, 2);
    let start = first.start();
    assert_eq!(first.bytes().len(), first.range().len());
    drop(first);
    let (third, _) = answering(&arena, 3);
    assert_eq!(third.start(), start, "the hole is used again");
    let mut seen = Seen::default();
    assert_eq!(enter(&arena, &third, &mut seen, 0), 3);
    assert_eq!(enter(&arena, &second, &mut seen, 0), 2);
    assert!(matches!(arena.begin(SIZE), Err(CodeError::Full { .. })));
    assert!(matches!(arena.begin(usize::MAX), Err(CodeError::Full { .. })));

    let mut buffer = arena.begin(ALIGN).unwrap();
    for _ in 0..=ALIGN {
        buffer.asm.push(0x90);
    }
    assert!(matches!(buffer.publish(), Err(CodeError::TooLong { claimed: ALIGN, length: 17 })));
    let mut buffer = arena.begin(ALIGN).unwrap();
    let nowhere = buffer.asm.new_dynamic_label();
    x64::jump(&mut buffer.asm, nowhere);
    assert!(matches!(buffer.publish(), Err(CodeError::Assemble(_))));
    drop((second, third));
    assert_eq!(arena.used(), 0);
}

#[test]
fn arenas_of_one_space_reach_each_other() {
    let space = CodeSpace::reserve().unwrap();
    let near = Arena::new(&space, SIZE, observe, None).unwrap();
    let far = space.range().end - near.range().end - SIZE;
    space.cut(far).unwrap();
    let far = Arena::new(&space, SIZE, observe, None).unwrap();
    assert!(matches!(Arena::new(&space, 1, observe, None), Err(CodeError::Full { .. })));
    let (code, site) = answering(&near, 1);
    let (other, _) = answering(&far, 2);
    near.patch(&[Patch { site, target: other.start() }]).unwrap();
    let mut seen = Seen::default();
    assert_eq!(enter(&near, &code, &mut seen, 0), 2);
    drop((near, far));
    assert_eq!(Rc::strong_count(&space), 3, "code holds its arena, which holds the space");
}

#[test]
fn disassembly_names_addresses() {
    let arena = arena();
    let mut buffer = arena.begin(64).unwrap();
    let (start, asm) = (buffer.start(), &mut buffer.asm);
    let exit = asm.new_dynamic_label();
    dynasm!(asm; .arch x64; mov rax, [rbp + spill_offset(0)]; cmp rax, 0x7f);
    x64::jump_if(asm, x64::Condition::Greater, exit);
    dynasm!(asm; .arch x64; call extern start);
    exit::emit_stubs(asm, &arena.trampoline(), 5, &[exit]);
    let code = buffer.publish().unwrap();
    let saver = arena.trampoline().saver();
    let name = move |address: u64| match address as usize {
        address if address == start => Some("trace_5".to_string()),
        address if address == saver => Some("exit".to_string()),
        _ => None,
    };
    let lines = dump::disassemble(&code.bytes(), code.start(), name);
    let texts: Vec<_> = lines.iter().map(|line| line.text.clone()).collect();
    let stub = format!("jg {:#x}", start + 24);
    assert_eq!(texts, ["mov rax, [rbp-0x30]", "cmp rax, 0x7f", &stub, "call trace_5", "push 0", "push 5", "jmp exit"]);
    assert_eq!(lines.iter().map(|line| line.length).sum::<usize>(), code.range().len());
    assert_eq!(lines[0].address, code.start());
}

fn described(publisher: &mut Publisher, code: &Code, name: &str) {
    let file = publisher.file("=nowhere");
    let symbol = Symbol { name: name.into(), start: code.start() as u64, size: code.range().len() as u64 };
    let name = "f".to_string();
    let function = Function { symbol, name, file, line: 1, rows: vec![], parameters: vec![], scopes: vec![] };
    publisher.announce(vec![(function, code)]).unwrap();
}

#[test]
fn retired_code_stays_while_it_may_run() {
    let arena = arena();
    let mut publisher = Publisher::new(Telling::Batches, &[]);
    let activations = publisher.activations();
    let size = answering(&arena, 0).0.range().len();
    let outer = activations.begin();
    publisher.retire(answering(&arena, 1).0);
    assert_eq!(publisher.reclaim().unwrap(), 0, "the outer activation may be in it");
    let inner = activations.begin();
    drop(inner);
    assert_eq!(publisher.reclaim().unwrap(), 0);
    drop(outer);
    let later = activations.begin();
    publisher.retire(answering(&arena, 2).0);
    assert_eq!(publisher.reclaim().unwrap(), size, "the first one was retired before the later activation began");
    assert_eq!(publisher.reclaim().unwrap(), 0);
    drop(later);
    assert_eq!(publisher.reclaim().unwrap(), size);
    assert_eq!(arena.used(), 0);
}

#[test]
fn functions_are_named_until_they_are_freed() {
    let arena = arena();
    let mut publisher = Publisher::new(Telling::Batches, &[]);
    let map = std::env::temp_dir().join(format!("perilune-names-{}.map", std::process::id()));
    publisher.name_for_perf(PerfMap::open(&map).unwrap());
    let codes: Vec<_> = (0..250).map(|value| answering(&arena, value).0).collect();
    for (number, code) in codes.iter().enumerate() {
        described(&mut publisher, code, &format!("trace_{number}"));
    }
    let lines = std::fs::read_to_string(&map).unwrap();
    std::fs::remove_file(&map).unwrap();
    assert_eq!(lines.lines().count(), 250);
    assert!(lines.contains(&format!(
        "{:x} {:x} trace_249 f =nowhere:1\n",
        codes[249].start(),
        codes[249].range().len()
    )));
    let inside: Vec<_> = codes.iter().map(|code| code.range().end - 1).collect();
    let named = |publisher: &Publisher, number: usize| publisher.name_at(inside[number]).map(str::to_string);
    for number in 0..250 {
        assert_eq!(named(&publisher, number), Some(format!("trace_{number}")));
    }
    assert_eq!(publisher.name_at(arena.trampoline().epilogue()), None);
    let mut codes: Vec<_> = codes.into_iter().map(Some).collect();
    for number in (0..250).filter(|number| number % 3 != 1 || *number < 100) {
        publisher.retire(codes[number].take().unwrap());
    }
    publisher.reclaim().unwrap();
    for (number, code) in codes.iter().enumerate() {
        assert_eq!(named(&publisher, number), code.is_some().then(|| format!("trace_{number}")));
    }
}
