//! Small traces on a stack and objects made of plain memory.

use std::cell::Cell;

use super::*;
use crate::lua::ir::helper::{Access, Class};
use crate::lua::ir::parse::parse;
use crate::lua::ir::verify::verify;
use crate::lua::opt::Passes;
use crate::lua::opt::copy::copy;

/// A stack with the base at slot 2.
pub struct Plain {
    pub stack: [(u64, u8); 16],
    frames: Vec<usize>,
    due: u32,
    interrupt_after: Cell<u32>,
    barriers: Vec<u64>,
}

impl Plain {
    pub fn set_interrupt_after(&mut self, checks: u32) {
        self.interrupt_after.set(checks);
    }

    pub fn frames_balance(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn new(values: &[(Type, u64)]) -> Plain {
        let mut stack = [(0, 0); 16];
        for (slot, &(ty, payload)) in stack[2..].iter_mut().zip(values) {
            *slot = (payload, ty.tag());
        }
        Plain { stack, frames: vec![], due: 0, interrupt_after: u32::MAX.into(), barriers: vec![] }
    }
}

impl Host for Plain {
    fn state(&self) -> *mut () {
        (&raw const *self).cast_mut().cast()
    }
    fn base(&self) -> *mut u8 {
        (&raw const self.stack[2]).cast_mut().cast()
    }
    fn push_frames(&mut self, ir: &Ir, snapshot: &Snapshot, values: &Values<'_>) {
        let frames = ir.snapshots.frames(snapshot);
        frames.iter().for_each(|f| assert_ne!(values.get(f.function), 0));
        self.frames.push(frames.len());
    }
    fn pop_frames(&mut self) {
        assert!(self.frames.pop().is_some());
    }
    fn collection_due(&mut self, _: isize) -> bool {
        self.due > 0
    }
    fn collect(&mut self) -> bool {
        self.due -= 1;
        self.due > 0
    }
    fn interrupted(&self) -> bool {
        self.interrupt_after.set(self.interrupt_after.get() - 1);
        self.interrupt_after.get() == 0
    }
    fn barrier(&mut self, object: u64) {
        self.barriers.push(object);
    }
}

extern "C-unwind" fn mix(state: *mut Plain, a: u64, x: f64, b: u64, y: f64) -> f64 {
    assert!(!state.is_null());
    a as f64 + x * b as f64 - y
}

extern "C-unwind" fn refuse(_: *mut Plain, x: u64) -> u64 {
    u64::from(x == 13)
}

extern "C-unwind" fn native(state: *mut Plain) -> u64 {
    // SAFETY: the evaluator hands on its host, and borrows nothing of it during a call.
    let host = unsafe { &mut *state };
    assert_eq!(host.frames, [1]);
    assert_eq!(host.stack[3], (8, Type::Int.tag()));
    host.stack[5] = (f64::to_bits(2.5), Type::Float.tag());
    0
}

const fn row(
    name: &'static str,
    args: &'static [Type],
    result: Type,
    class: Class,
    failure: Failure,
    f: Entry,
) -> Helper {
    Helper { name, args, result, class, access: Access::Writes(0), failure, entry: f }
}

const MIX: &[Type] = &[Type::Int, Type::Float, Type::Int, Type::Float];

pub fn erase(f: *const ()) -> Entry {
    // SAFETY: only the evaluator calls it, by the types that the table of helpers states.
    unsafe { std::mem::transmute::<*const (), Entry>(f) }
}

fn helpers() -> &'static [Helper] {
    Box::leak(Box::new([
        row("mix", MIX, Type::Float, Class::Leaf, Failure::Never, erase(mix as *const ())),
        row("refuse", &[Type::Int], Type::Void, Class::Allocating, Failure::NonZero, erase(refuse as *const ())),
        row("native", &[], Type::Void, Class::Full, Failure::Never, erase(native as *const ())),
    ]))
}

/// Runs a text, as it stands and with what the passes make of it; both must end alike. Answers the exit's pc and what
/// its snapshot lists.
fn run_text(text: &str, host: impl Fn() -> Plain) -> (u32, Vec<(i16, Type, u64)>, Plain) {
    let ir = parse(text, helpers()).unwrap_or_else(|e| panic!("{e}"));
    let optimized = copy(&ir, Passes::ALL).unwrap_or_else(|e| panic!("{e}"));
    let run_one = |ir: &Ir| {
        verify(ir).unwrap_or_else(|e| panic!("{e}"));
        let mut host = host();
        // SAFETY: the texts of this file access the host's stack and constants that are objects of the test.
        let result = unsafe { run(ir, &mut host, None) };
        let snapshot = ir.snapshots.get(result.snapshot());
        let values = result.values(ir);
        let slots = ir.snapshots.slots(snapshot).iter();
        let slots = slots.map(|s| (s.slot, values.typed(s.value).0, values.get(s.value))).collect::<Vec<_>>();
        (snapshot.pc, slots, host)
    };
    let (pc, slots, host) = run_one(&ir);
    let (other_pc, other_slots, other_host) = run_one(&optimized);
    assert_eq!((pc, &slots, host.stack), (other_pc, &other_slots, other_host.stack));
    (pc, slots, host)
}

fn float(f: f64) -> u64 {
    f.to_bits()
}

#[test]
fn loop_with_phis() {
    let text = "
        snap reexec pc=1 top=3 []
        %0 = sload.int! #0
        %1 = sload.int! #1
        %2 = sload.float! #2
        loop
        snap reexec pc=5 top=3 [0=%0 1=%1 2=%2]
        lt.int! %0 100
        %5 = add.int %0 %1
        %6 = i2f.float %5
        %7 = add.float %2 %6
        phi.int %0 %1
        phi.int %1 %5
        phi.float %2 %7
        link loop";
    let (pc, slots, _) = run_text(text, || Plain::new(&[(Type::Int, 0), (Type::Int, 1), (Type::Float, float(0.5))]));
    assert_eq!((pc, slots), (5, vec![(0, Type::Int, 144), (1, Type::Int, 233), (2, Type::Float, float(608.5))]));
}

#[test]
fn guards_leave() {
    let nan = f64::NAN.to_bits();
    for (guard, x, leaves) in [
        ("%9 = sload.int! #0", (Type::Float, 0), true),
        ("%9 = sload.int! #0", (Type::Int, 0), false),
        ("%9 = sload.nil! #0", (Type::Bool, 0), true),
        ("%9 = sload.float #0\nlt.float! %9 1.0", (Type::Float, nan), true),
        ("%9 = sload.float #0\nuge.float! %9 1.0", (Type::Float, nan), false),
        ("%9 = sload.float #0\neq.float! %9 0.0", (Type::Float, float(-0.0)), false),
        ("%9 = sload.int #0\nult.int! %9 10", (Type::Int, -1i64 as u64), true),
        ("%9 = sload.int #0\nlt.int! %9 10", (Type::Int, -1i64 as u64), false),
        ("%9 = sload.float #0\n%10 = f2i.int! %9", (Type::Float, float(2.5)), true),
        ("%9 = sload.float #0\n%10 = f2i.int! %9", (Type::Float, float(2.0)), false),
        ("%9 = sload.float #0\n%10 = f2i.int! %9", (Type::Float, float(9.3e18)), true),
        ("%9 = sload.int #0\ncall! %9 refuse", (Type::Int, 13), true),
        ("%9 = sload.int #0\ncall! %9 refuse", (Type::Int, 12), false),
    ] {
        let text = format!("snap reexec pc=1 top=1 []\n{guard}\nsnap reexec pc=2 top=1 []\nlink interpreter");
        let (pc, ..) = run_text(&text, || Plain::new(&[x]));
        assert_eq!(pc == 1, leaves, "{guard}");
    }
}

#[test]
fn memory_of_objects() {
    // A table whose array has room for 4 elements: integers, with a float in place 2.
    let array: [u64; 5] = [10, 11, float(1.5), 13, u64::from_le_bytes([2, 2, 3, 2, 0, 0, 0, 0])];
    let cell = [0u64, 7, 2];
    let address = |p: &[u64]| p.as_ptr().expose_provenance();
    let table: [Cell<u64>; 7] = Default::default();
    table[1].set(address(&array) as u64);
    let table_address = (&raw const table).expose_provenance() as u64;
    let text = format!(
        "snap reexec pc=1 top=3 []
         %0 = sload.table! #0
         %1 = sload.int! #1
         %2 = fload.int %0 table.len
         ult.int! %1 %2
         %3 = fload.ptr %0 table.array
         %4 = fload.int %0 table.cap
         %5 = aload.float! %3 %1 %4
         %6 = atag.int %3 %1 %4
         %7 = aload.int %3 3
         fstore %0 table.len 3
         %8 = fload.int %0 table.len
         barrier %0
         %9 = cload.int! cell:{cell:#x}
         %10 = ctag.int cell:{cell:#x}
         %11 = byte.int ptr:{tags:#x} 1
         %12 = padd.ptr ptr:{array:#x} 8
         %13 = vload.int %12 0
         %14 = carg %1 %5
         %15 = carg %14 %7
         %16 = carg %15 2.0
         %17 = call.float %16 mix
         snap continue pc=9 top=20 [0=%5 1=%6 2=%7 3=%8 4=%9 5=%10 6=%11 7=%13 8=%17]
         link interpreter",
        cell = address(&cell),
        tags = address(&array[4..]),
        array = address(&array),
    );
    let (pc, slots, host) = run_text(&text, || {
        table[2].set(4 | 4 << 32);
        Plain::new(&[(Type::Table, table_address), (Type::Int, 2)])
    });
    assert_eq!(pc, 9);
    let values: Vec<u64> = slots.iter().map(|s| s.2).collect();
    assert_eq!(values, [float(1.5), 3, 13, 3, 7, 2, 2, 11, float(2.0 + 1.5 * 13.0 - 2.0)]);
    assert_eq!(host.barriers, [table_address]);
    assert_eq!(table[2].get(), 3 | 4 << 32);
}

#[test]
fn sync_full_call_and_stores() {
    let target: [Cell<u64>; 4] = Default::default();
    let text = format!(
        "%0 = sload.int #0
         %1 = add.int %0 1
         vstore.bool ptr:{address:#x} 1 true
         vstore.int.notag ptr:{address:#x} 0 %1
         snap reexec pc=2 top=3 [1=%1] call(f=function:0x10 ret=4 base=5 want=1 va=0)
         sync #3
         call native
         unsync
         snap continue pc=3 top=4 []
         %8 = sload.float! #3
         snap continue pc=4 top=4 [2=%8]
         link interpreter",
        address = (&raw const target).expose_provenance()
    );
    let (pc, slots, host) = run_text(&text, || Plain::new(&[(Type::Int, 7)]));
    assert_eq!((pc, slots), (4, vec![(2, Type::Float, float(2.5))]));
    assert!(host.frames.is_empty());
    let written = target.map(|w| w.get());
    assert_eq!((written[0], written[2], written[3] & 0xff), (8, 1, 1));
    assert_eq!(written[1], 0, "no tag");
}

#[test]
fn collector_and_interrupt() {
    let text = "
        snap reexec pc=1 top=3 []
        %0 = sload.int! #0
        loop
        snap reexec pc=2 top=3 [0=%0]
        gcstep
        snap reexec pc=3 top=3 [0=%0]
        interrupt
        %4 = add.int %0 1
        phi.int %0 %4
        link loop";
    let due = |due: u32| move || Plain { due, ..Plain::new(&[(Type::Int, 0)]) };
    let (pc, slots, host) = run_text(text, due(3));
    // The third step says that the trace must leave; the slot has been stored for it.
    assert_eq!((pc, slots), (2, vec![(0, Type::Int, 2)]));
    assert_eq!(host.stack[2], (2, Type::Int.tag()));
    let (pc, slots, _) = run_text(text, || Plain { interrupt_after: 5.into(), ..Plain::new(&[(Type::Int, 0)]) });
    assert_eq!((pc, slots), (3, vec![(0, Type::Int, 4)]));
}

#[test]
fn side_traces_see_their_parents_values() {
    let parent = parse("%0 = sload.int #0\n%1 = add.int %0 5\nlink interpreter", &[]).unwrap_or_else(|e| panic!("{e}"));
    let side = format!("%0 = pval.int {}\n%1 = add.int %0 1\nsnap reexec pc=1 top=1 [0=%1]", Ref::inst(1).0);
    let side = parse(&side, &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut host = Plain::new(&[(Type::Int, 36)]);
    // SAFETY: only the host's stack is read.
    let (first, second) = unsafe {
        let first = run(&parent, &mut host, None);
        let second = run(&side, &mut host, Some(first.values(&parent)));
        (first, second)
    };
    assert_eq!(first.exit, Exit::End { snapshot: 0 });
    assert_eq!(second.values(&side).typed(Ref::inst(1)), (Type::Int, 42));
}
