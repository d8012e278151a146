//! Allocation sinking.
#![forbid(unsafe_code)]

use super::*;

/// A table with two slots of which `%0` is the first; what follows decides.
const MADE: &str = "
    snap reexec pc=1 top=4 []
    %0 = sload.int! #0
    %1 = carg 2 0
    %2 = carg %1 ptr:0x100
    %3 = call.table %2 tablenew
    %4 = fload.ptr %3 table.slots
    vstore.int %4 0 %0
    fstore %3 table.shape ptr:0x200
    barrier %3
    ";

#[track_caller]
fn escapes(rest: &str) {
    let found = after_sinking(&format!("{MADE}{rest}"));
    assert!(!found.insts.iter().any(|inst| inst.op == Op::Unbuilt), "sunk:\n{found}");
}

#[track_caller]
fn check_more(rest: &str, expected: &str) {
    check_made(SINK, MADE, rest, expected);
}

#[test]
fn sink_tells_exits_what_a_table_consists_of() {
    // As it is where each snapshot was taken: what is stored later is not there yet.
    check_more(
        "snap reexec pc=2 top=4 [1=%3]
         lt.int! %0 10
         fstore %3 table.meta ptr:0x300
         vstore.float %4 1 1.5
         vstore.int %4 0 7
         fstore %3 table.shape ptr:0x400
         snap reexec pc=3 top=4 [1=%3 2=%3]
         lt.int! %0 5",
        "%3 = unbuilt.table
         snap reexec pc=2 top=4 [1=%3] {%3: ptr:0x200 ptr:0x0 0 0 0 %0 nil}
         lt.int! %0 10
         snap reexec pc=3 top=4 [1=%3 2=%3] {%3: ptr:0x400 ptr:0x300 0 0 0 7 1.5}
         lt.int! %0 5
         link interpreter",
    );
}

#[test]
fn sink_follows_tables_in_tables() {
    check_more(
        "%9 = call.table %2 tablenew
         %10 = fload.ptr %9 table.slots
         vstore.table %10 1 %3
         vstore.table %4 1 %9
         snap reexec pc=2 top=4 [1=%9]
         lt.int! %0 10",
        "%3 = unbuilt.table
         %8 = unbuilt.table
         snap reexec pc=2 top=4 [1=%8] {%3: ptr:0x200 ptr:0x0 0 0 0 %0 %8} {%8: ptr:0x100 ptr:0x0 0 0 0 nil %3}
         lt.int! %0 10
         link interpreter",
    );
}

#[test]
fn sink_leaves_a_trace_of_what_nobody_sees() {
    // What waits for a finalizer must not wait for ever: the collector's check counts.
    check_more(
        "snap reexec pc=2 top=4 [1=%0]
         lt.int! %0 10",
        "%3 = unbuilt.table\nsnap reexec pc=2 top=4 [1=%0]\nlt.int! %0 10\nlink interpreter",
    );
}

#[test]
fn sink_keeps_what_others_see() {
    let exit = "snap reexec pc=2 top=4 [1=%3]\nlt.int! %0 10\n";
    for rest in [
        // Helpers; memory; checks; loads that were not forwarded.
        "call %3 change",
        "%9 = sload.table! #2\n%10 = fload.ptr %9 table.slots\nvstore.table %10 0 %3",
        "%9 = sload.cell! #2\ncstore.table %9 %3",
        "%9 = sload.table! #2\nne.table! %9 %3",
        "%9 = fload.int %3 table.len\nlt.int! %9 %0",
        "%9 = vload.int %4 0\nlt.int! %9 %0",
        "eq.ptr! %4 ptr:0x500",
        // A slot that is not there; a shape that varies; another field.
        "vstore.int %4 2 %0",
        "%9 = sload.table! #2\n%10 = fload.ptr %9 table.shape\nfstore %3 table.shape %10",
        "fstore %3 table.flags 1",
        // Held by something that is made.
        "%9 = call.table %2 tablenew\n%10 = fload.ptr %9 table.slots\nvstore.table %10 0 %3\ncall %9 change",
        // Code stores the slots.
        "snap reexec pc=3 top=4 [1=%3]\nsync #2\ncall native\nunsync",
        "snap reexec pc=3 top=4 [1=%3]\nargs #1\ncall bare\nunsync",
    ] {
        escapes(&ended(&format!("{rest}\n{exit}")));
    }
    escapes(&format!("{exit}snap reexec pc=3 top=4 [1=%3]\nlink trace 3"));
    escapes(&format!("{exit}snap reexec pc=3 top=4 [1=%3]\nlink return 1 1"));
    escapes(&format!("{exit}snap reexec pc=3 top=4 [1=%3]\nlink interpreter"));
}

/// A body of a loop that makes a table with two slots, of which the first holds `first` and the second `second`, in slot 1.
fn looping(before: &str, first: &str, second: &str, rest: &str) -> String {
    format!(
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #0
         %1 = sload.int! #2
         {before}
         %3 = carg 2 0
         %4 = carg %3 ptr:0x100
         %5 = call.table %4 tablenew
         %6 = fload.ptr %5 table.slots
         vstore.int %6 0 {first}
         vstore.int %6 1 {second}
         fstore %5 table.shape ptr:0x200
         %10 = add.int %0 1
         {rest}"
    )
}

const LOADED: &str = "
    %2 = sload.table! #1
    %20 = fload.ptr %2 table.shape
    eq.ptr! %20 ptr:0x200
    %21 = fload.ptr %2 table.slots
    %22 = vload.int! %21 0
    %23 = add.int %22 %1
    ";

#[test]
fn sink_carries_parts_around_the_loop() {
    // The first part is loaded in the loop and has a phi; the second gets one; the table needs none.
    check_loop(
        &looping(
            LOADED,
            "%23",
            "%0",
            "snap reexec pc=5 top=9 [0=%10 1=%5]\nlt.int! %10 100\nsnap reexec pc=1 top=9 [0=%10 1=%5]",
        ),
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #0
         %1 = sload.int! #2
         %2 = sload.table! #1
         %3 = fload.ptr %2 table.shape
         eq.ptr! %3 ptr:0x200
         %5 = fload.ptr %2 table.slots
         %6 = vload.int! %5 0
         %7 = add.int %6 %1
         %10 = unbuilt.table
         %15 = add.int %0 1
         snap reexec pc=5 top=9 [0=%15 1=%10] {%10: ptr:0x200 ptr:0x0 0 0 0 %7 %0}
         lt.int! %15 100
         loop
         %18 = add.int %7 %1
         %21 = unbuilt.table
         %26 = add.int %15 1
         snap reexec pc=5 top=9 [0=%26 1=%21] {%21: ptr:0x200 ptr:0x0 0 0 0 %18 %15}
         lt.int! %26 100
         phi.int %7 %18
         phi.int %15 %26
         link loop",
    );
}

/// A loop whose table has one slot: `left` in the table of the iteration before, `right` in that of this one.
fn carrying(before: &str, left: &str, right: &str, rest: &str) -> String {
    format!(
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #0
         %1 = sload.int! #2
         {before}
         %2 = carg 1 0
         %3 = carg %2 ptr:0x100
         %4 = call.table %3 tablenew
         %5 = fload.ptr %4 table.slots
         vstore.{left}
         loop
         snap reexec pc=2 top=9 [0=%0 1=%4]
         lt.int! %0 100
         %10 = add.int %0 1
         %11 = call.table %3 tablenew
         %12 = fload.ptr %11 table.slots
         vstore.{right}
         {rest}
         phi.int %0 %10
         phi.table %4 %11
         link loop"
    )
}

/// The same as a text: the loop's snapshot says `parts`, and the phis are `phis`.
#[track_caller]
fn carries(input: &str, parts: &str, phis: &str) {
    let text = after_sinking(input).to_string();
    let told: Vec<&str> = text.lines().filter_map(|l| Some(l.split_once('{')?.1.trim_end_matches('}'))).collect();
    let carried: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("phi.")).collect();
    assert_eq!((told.join("; "), carried.join("; ")), (parts.to_owned(), phis.to_owned()), "{text}");
}

#[track_caller]
fn loop_escapes(input: &str) {
    assert_eq!(sunk(input), (0, 0), "{input}");
}

#[test]
fn sink_needs_parts_that_can_be_carried() {
    let counter = "phi.int %0 %10";
    let with = |left: &str, right: &str, rest: &str| {
        carrying("", &format!("int %5 0 {left}"), &format!("int %12 0 {right}"), rest)
    };
    // It has a phi; it gets one; it stays the same.
    carries(&with("%0", "%10", ""), "%4: ptr:0x100 ptr:0x0 0 0 0 %0", "int %0 %9");
    carries(&with("%1", "%10", ""), "%4: ptr:0x100 ptr:0x0 0 0 0 %1", "int %0 %9; int %1 %9");
    carries(&with("%1", "%1", ""), "%4: ptr:0x100 ptr:0x0 0 0 0 %1", "int %0 %9");
    carries(&with("7", "7", ""), "%4: ptr:0x100 ptr:0x0 0 0 0 7", "int %0 %9");
    assert!(with("%0", "%10", "").contains(counter));
    // Its phi leads elsewhere; it means something else in the loop; a constant cannot be carried.
    loop_escapes(&with("%0", "%0", ""));
    loop_escapes(&with("%0", "7", ""));
    loop_escapes(&with("%1", "%10", "lt.int! %1 9"));
    loop_escapes(&with("7", "%10", ""));
    // Its type changes; its shape does; it has no phi.
    loop_escapes(&carrying("", "int %5 0 %1", "float %12 0 1.5", ""));
    loop_escapes(&with("%0", "%10", "fstore %11 table.shape ptr:0x200"));
    loop_escapes(&with("%0", "%10", "fstore %11 table.meta ptr:0x200"));
    // It is the right side of another phi, where it means what it was.
    let before = "%20 = sload.int! #4";
    let other = carrying(before, "int %5 0 %1", "int %12 0 %10", "snap reexec pc=3 top=9 [4=%20]\nlt.int! %10 9");
    loop_escapes(&other.replace("phi.int %0 %10", "phi.int %0 %10\nphi.int %20 %1"));
    // The table of the iteration before changes.
    loop_escapes(&with("%1", "%10", "vstore.int %5 0 %0"));
    loop_escapes(&with("%0", "%10", "fstore %4 table.meta ptr:0x200\nfstore %11 table.meta ptr:0x200"));
}

#[test]
fn sink_keeps_what_a_phi_joins_with_something_else() {
    let joined = carrying("%20 = sload.table! #5", "int %5 0 %0", "int %12 0 %10", "");
    assert_eq!(sunk(&joined.replace("phi.table %4 %11", "phi.table %4 %20")), (0, 1));
    let left = joined.replace("[0=%0 1=%4]", "[0=%0 1=%20]");
    // The one of the other side is not seen any more.
    assert_eq!(sunk(&left.replace("phi.table %4 %11", "phi.table %20 %11")), (1, 0));
}

#[test]
fn sink_takes_what_is_the_same_in_all_of_the_loop() {
    let outer =
        |left: &str| carrying("", &format!("int %5 0 {left}"), "int %12 0 %10", "").replace("phi.table %4 %11", "");
    carries(&outer("%1"), "%4: ptr:0x100 ptr:0x0 0 0 0 %1", "int %0 %9");
    // The loop's own table is not seen.
    assert_eq!(sunk(&outer("%0")), (0, 1));
}

#[test]
fn sink_asks_for_a_snapshot_of_the_loop() {
    let input = carrying("", "int %5 0 %0", "int %12 0 %10", "");
    let snapshot = "snap reexec pc=2 top=9 [0=%0 1=%4]";
    let early = input.replace(snapshot, "").replace("loop\n", &format!("{snapshot}\nlt.int! %0 50\nloop\n"));
    loop_escapes(&early);
}
