//! Loop peeling.
#![forbid(unsafe_code)]

use super::*;

const COUNTING: &str = "
    snap reexec pc=1 top=4 []
    %0 = sload.int! #0
    %1 = sload.int! #1
    %2 = sload.float! #2
    %3 = i2f.float %1
    %4 = add.float %2 %3
    %5 = add.int %0 1
    snap reexec pc=5 top=4 [0=%5 2=%4]
    le.int! %5 %1
    snap reexec pc=5 top=4 [0=%5 2=%4]
    interrupt
    snap reexec pc=1 top=4 [0=%5 2=%4]";

#[test]
fn peel_hoists_invariants_and_carries_the_rest() {
    check_loop(
        COUNTING,
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = sload.int! #1
         %2 = sload.float! #2
         %3 = i2f.float %1
         %4 = add.float %2 %3
         %5 = add.int %0 1
         snap reexec pc=5 top=4 [0=%5 2=%4]
         le.int! %5 %1
         interrupt
         loop
         %9 = add.float %4 %3
         %10 = add.int %5 1
         snap reexec pc=5 top=4 [0=%10 2=%9]
         le.int! %10 %1
         interrupt
         phi.float %4 %9
         phi.int %5 %10
         link loop",
    );
}

#[test]
fn peel_carries_stored_values_and_swapped_slots() {
    // The cell's value goes round; 0 and 1 change places in each iteration.
    check_loop(
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = sload.int! #1
         %2 = sload.cell! #2
         %3 = cload.int! %2
         %4 = add.int %3 %0
         cstore.int %2 %4
         snap reexec pc=5 top=4 [0=%1 1=%0]
         lt.int! %4 %1
         snap reexec pc=1 top=4 [0=%1 1=%0]",
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = sload.int! #1
         %2 = sload.cell! #2
         %3 = cload.int! %2
         %4 = add.int %3 %0
         cstore.int.notag %2 %4
         snap reexec pc=5 top=4 [0=%1 1=%0]
         lt.int! %4 %1
         loop
         %8 = add.int %4 %1
         cstore.int.notag %2 %8
         snap reexec pc=5 top=4 [0=%0 1=%1]
         lt.int! %8 %0
         phi.int %0 %1
         phi.int %1 %0
         phi.int %4 %8
         link loop",
    );
}

#[test]
fn peel_overlays_slots_until_a_sync() {
    // Slot 0 is in memory after the sync; slot 1 is written behind it and only listed up to the next sync.
    check_loop(
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = add.int %0 1
         snap reexec pc=2 top=4 [0=%1]
         sync #2
         call native
         unsync
         snap continue pc=3 top=4 []
         %5 = sload.int! #2
         %6 = add.int %5 1
         snap reexec pc=4 top=4 [1=%6]
         lt.int! %6 100
         snap reexec pc=1 top=4 [1=%6]",
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = add.int %0 1
         snap reexec pc=2 top=4 [0=%1]
         sync #2
         call native
         unsync
         snap continue pc=3 top=4 []
         %5 = sload.int! #2
         %6 = add.int %5 1
         snap reexec pc=4 top=4 [1=%6]
         lt.int! %6 100
         loop
         %9 = add.int %1 1
         snap reexec pc=2 top=4 [0=%9 1=%6]
         sync #2
         call native
         unsync
         snap continue pc=3 top=4 []
         %13 = sload.int! #2
         %14 = add.int %13 1
         snap reexec pc=4 top=4 [1=%14]
         lt.int! %14 100
         phi.int %1 %9
         phi.int %6 %14
         link loop",
    );
}

#[test]
fn peel_overlays_slots_behind_calls_without_frames() {
    // What the call has not stored is as it was at the loop's end; what it may have written is in memory.
    check_loop(
        "snap reexec pc=1 top=4 [2=5]
         args #2
         call bare
         unsync
         snap reexec pc=2 top=4 []
         %3 = sload.int! #0
         %4 = sload.int! #2
         %5 = add.int %4 %3
         snap reexec pc=3 top=4 [0=%5]
         lt.int! %5 100
         snap reexec pc=1 top=4 [0=%5 2=%4]",
        "snap reexec pc=1 top=4 [2=5]
         args #2
         call bare
         unsync
         snap reexec pc=2 top=4 []
         %3 = sload.int! #0
         %4 = sload.int! #2
         %5 = add.int %4 %3
         snap reexec pc=3 top=4 [0=%5]
         lt.int! %5 100
         loop
         snap reexec pc=1 top=4 [0=%5 2=5]
         args #2
         call bare
         unsync
         snap reexec pc=2 top=4 [0=%5]
         %11 = sload.int! #2
         %12 = add.int %11 %5
         snap reexec pc=3 top=4 [0=%12]
         lt.int! %12 100
         phi.int %5 %12
         link loop",
    );
}

#[test]
fn peel_does_not_share_snapshots_across_the_loop() {
    // The last snapshot of the first iteration and the first of the copy read alike, but 0 is carried.
    check_loop(
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = add.int %0 1
         snap reexec pc=1 top=4 [0=%1]
         interrupt",
        "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = add.int %0 1
         snap reexec pc=1 top=4 [0=%1]
         interrupt
         loop
         %4 = add.int %1 1
         snap reexec pc=1 top=4 [0=%4]
         interrupt
         phi.int %1 %4
         link loop",
    );
    check_loop(
        "snap reexec pc=1 top=4 []
         interrupt
         %1 = sload.int! #0
         %2 = add.int %1 1
         snap reexec pc=1 top=4 [0=%2]
         barrier table:0x10
         interrupt",
        "snap reexec pc=1 top=4 []
         interrupt
         %1 = sload.int! #0
         %2 = add.int %1 1
         snap reexec pc=1 top=4 [0=%2]
         barrier table:0x10
         interrupt
         loop
         snap reexec pc=1 top=4 [0=%2]
         interrupt
         %7 = add.int %2 1
         snap reexec pc=1 top=4 [0=%7]
         interrupt
         phi.int %2 %7
         link loop",
    );
}

#[test]
fn peel_does_not_list_dead_slots() {
    check_loop(
        "snap reexec pc=1 top=1 []
         interrupt
         %1 = sload.int! #3
         snap reexec pc=2 top=4 [3=7]
         interrupt",
        "snap reexec pc=1 top=1 []
         interrupt
         %1 = sload.int! #3
         snap reexec pc=2 top=4 [3=7]
         interrupt
         loop
         snap reexec pc=1 top=1 []
         interrupt
         snap reexec pc=2 top=4 [3=7]
         interrupt
         link loop",
    );
}

#[test]
fn peel_finds_type_instability() {
    for slot in ["0=1.5", "0=nil", "0=%1"] {
        let text = format!(
            "snap reexec pc=1 top=4 []
             %0 = sload.int! #0
             %1 = i2f.float %0
             snap reexec pc=1 top=4 [{slot}]"
        );
        assert_eq!(close(&text).err(), Some(BuildError::TypeInstability), "{slot}");
    }
    // A value that goes round through memory: an integer at first, then a float.
    let text = "snap reexec pc=1 top=4 []
         %0 = sload.int! #0
         %1 = sload.float! #1
         %2 = i2f.float %0
         snap reexec pc=1 top=4 [1=%0]";
    assert_eq!(close(text).err(), Some(BuildError::TypeInstability));
    let text = "snap reexec pc=1 top=4 []
         %0 = sload.nil! #0
         snap reexec pc=1 top=4 [0=1]";
    assert_eq!(close(text).err(), Some(BuildError::TypeInstability));
}

#[test]
fn peel_finds_loops_that_end() {
    let text = "snap reexec pc=1 top=4 []
         %0 = sload.bool! #0
         eq.bool! %0 true
         snap reexec pc=1 top=4 [0=false]";
    assert_eq!(close(text).err(), Some(BuildError::GuardFails));
}

#[test]
fn peel_leaves_the_builder_alone_on_errors() {
    let ir = read("snap reexec pc=1 top=4 []\n%0 = sload.int! #0\nsnap reexec pc=1 top=4 [0=1.5]");
    let mut b = Builder::new(HELPERS, Passes::ALL);
    copy_into(&ir, &mut b).unwrap_or_else(|e| panic!("{e}"));
    let before = b.ir().to_string();
    assert!(peel(&mut b, &Inherited::default()).is_err());
    assert_eq!(b.ir().to_string(), before);
    assert_eq!(b.unary(Op::Neg, Ref::inst(0)), Ok(Ref::inst(1)));
}

/// A running product over a list: an element is made from the one before it.
const CHAIN: &str = "
    snap reexec pc=1 top=4 []
    %0 = sload.int! #0
    %1 = sload.table! #1
    %2 = fload.ptr %1 table.array
    %3 = add.int %0 -2
    %4 = aload.float %2 %3
    %5 = mul.float %4 0.5
    %6 = add.int %0 -1
    astore.float %2 %6 %5
    %8 = add.int %0 1
    snap reexec pc=5 top=4 [0=%8]
    interrupt
    snap reexec pc=1 top=4 [0=%8]";

#[test]
fn peel_carries_elements_that_the_next_iteration_reads() {
    let found = |text: &str| close(text).unwrap().to_string();
    let text = found(CHAIN);
    let (_, body) = text.split_once("loop\n").unwrap();
    assert!(!body.contains("aload") && body.contains("astore.float %2 ") && body.contains("phi.float %5 "), "{text}");
    // Not if it is another element, or the index goes on by more, or something may have stored another one there.
    for (from, to) in [
        ("%3 = add.int %0 -2", "%3 = add.int %0 -3"),
        ("%3 = add.int %0 -2", "%3 = add.int %0 0"),
        ("%8 = add.int %0 1", "%8 = add.int %0 2"),
        ("%8 = add.int %0 1", "%8 = add.int %0 -1"),
        ("%8 = add.int %0 1", "%8 = mul.int %0 3"),
    ] {
        let text = found(&CHAIN.replacen(from, to, 1));
        let (_, body) = text.split_once("loop\n").unwrap();
        assert!(body.contains("aload"), "{to}: {text}");
    }
    let text = CHAIN.replace("%8", "%9").replacen("%9 =", "astore.float ptr:0x10 %0 1.5\n%9 =", 1);
    let text = found(&text);
    assert!(text.split_once("loop\n").unwrap().1.contains("aload"), "{text}");
}

/// The loop in a side trace: its slots hold what the parent had in registers.
fn in_side_trace(slots: &[(i16, Ref)], end: &str) -> Result<Ir, BuildError> {
    let ir = read(&format!(
        "%0 = pval.int 1
         %1 = pval.float 2
         snap reexec pc=1 top=6 [0=%0 1=%1]
         %2 = add.int %0 1
         %3 = mul.float %1 2.0
         %4 = sload.int! #5
         snap reexec pc=2 top=6 [0=%2 1=%1]
         lt.int! %2 %4
         snap reexec pc=1 top=6 {end}
         interrupt
         snap reexec pc=1 top=6 {end}"
    ));
    let mut b = Builder::new(HELPERS, Passes::ALL);
    copy_into(&ir, &mut b)?;
    peel(&mut b, &Inherited { insts: 2, slots: slots.to_vec() })?;
    Ok(b.finish())
}

#[test]
fn peel_carries_what_a_side_trace_inherits() {
    let (i, x) = (Ref::inst(0), Ref::inst(1));
    let ir = in_side_trace(&[(0, i), (1, x)], "[0=%2 1=%3]").unwrap();
    let text = ir.to_string();
    let (before, body) = text.split_once("loop\n").unwrap();
    assert_eq!((before.matches("pval").count(), body.matches("pval").count()), (2, 0), "{text}");
    assert!(body.contains("phi.float %3 ") && body.contains("phi.int %2 "), "{text}");
    // Two variables that began with one value, and go on alike, or part.
    assert!(in_side_trace(&[(0, i), (1, x), (2, i)], "[0=%2 1=%3 2=%2]").is_ok());
    assert_eq!(in_side_trace(&[(0, i), (1, x), (2, i)], "[0=%2 1=%3 2=%0]").unwrap_err(), BuildError::TypeInstability);
    // A constant stays what it is; a value stays of its type.
    assert!(in_side_trace(&[(0, i), (1, x), (3, Ref::NIL)], "[0=%2 1=%3 3=nil]").is_ok());
    let flag = in_side_trace(&[(0, i), (1, x), (3, Ref::FALSE)], "[0=%2 1=%3 3=true]");
    assert_eq!(flag.unwrap_err(), BuildError::TypeInstability);
    for end in ["[0=%2 1=%3 3=true]", "[0=%2 1=%3 3=%2]", "[0=%2 1=%0 3=nil]"] {
        let found = in_side_trace(&[(0, i), (1, x), (3, Ref::NIL)], end);
        assert_eq!(found.unwrap_err(), BuildError::TypeInstability, "{end}");
    }
    // What a call stores in the slots no snapshot tells.
    let ir = read(
        "%0 = pval.int 1
         snap reexec pc=1 top=6 [0=%0]
         %1 = add.int %0 1
         snap reexec pc=2 top=6 [0=%1] call(f=true ret=1 base=4 want=1 va=0)
         sync #4
         call native
         unsync
         snap continue pc=1 top=6 []
         interrupt
         snap reexec pc=1 top=6 []",
    );
    let mut b = Builder::new(HELPERS, Passes::ALL);
    copy_into(&ir, &mut b).unwrap();
    let inherited = Inherited { insts: 1, slots: vec![(0, i)] };
    assert_eq!(peel(&mut b, &inherited).unwrap_err(), BuildError::TypeInstability);
}

#[test]
fn peel_does_not_carry_objects_that_a_side_trace_has_made() {
    // What the first iteration loads from it is a value of the parent's, and that it is no other object is known as well.
    let ir = read(
        "%0 = pval.int 1
         %1 = call.cell cellnew
         cstore.int %1 %0
         snap reexec pc=1 top=6 [0=%1]
         %3 = cload.int! %1
         %4 = add.int %3 1
         %5 = call.cell cellnew
         cstore.int %5 %4
         snap reexec pc=1 top=6 [0=%5]
         interrupt
         snap reexec pc=1 top=6 [0=%5]",
    );
    let mut b = Builder::new(HELPERS, Passes::ALL);
    copy_into(&ir, &mut b).unwrap();
    let inherited = Inherited { insts: 3, slots: vec![(0, Ref::inst(1))] };
    assert_eq!(peel(&mut b, &inherited).unwrap_err(), BuildError::TypeInstability);
}
