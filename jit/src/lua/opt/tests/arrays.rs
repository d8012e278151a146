//! Tables with elements that the trace makes: forwarding of what is known of their arrays, and sinking.
#![forbid(unsafe_code)]

use super::*;

/// A table with two integers (tag 2), in an array that has room for seven, and one slot.
const MADE: &str = "
    snap reexec pc=1 top=4 []
    %0 = sload.int! #0
    %1 = carg 1 0
    %2 = carg %1 ptr:0x100
    %3 = call.table %2 tablenew
    %4 = carg %3 2
    %5 = call.ptr %4 arraynew
    fstore %3 table.array %5
    fstore %3 table.cap 7
    astore.int %5 0 %0
    astore.int %5 1 5
    fstore %3 table.arraykind 2
    fstore %3 table.len 2
    ";
const EXIT: &str = "snap reexec pc=2 top=4 [1=%3]\nlt.int! %0 10\n";

#[track_caller]
fn check_more(rest: &str, expected: &str) {
    check_made(SINK, MADE, rest, expected);
}

/// Whether the table is made.
fn is_made(rest: &str) -> bool {
    let found = after_sinking(&ended(&format!("{MADE}{EXIT}{rest}")));
    found.insts[3].op == Op::Call
}

#[test]
fn sink_tells_exits_the_elements() {
    // As they are at each snapshot: replaced, appended, of another kind each.
    check_more(
        "snap reexec pc=2 top=4 [1=%3]
         lt.int! %0 10
         astore.int %5 1 6
         astore.int %5 2 %0
         fstore %3 table.len 3
         snap reexec pc=3 top=4 [1=%3]
         lt.int! %0 9
         fstore %3 table.arraykind 255
         astore.float %5 0 1.5
         asettag.float %5 0 7
         snap reexec pc=4 top=4 [1=%3]
         lt.int! %0 8",
        "%3 = unbuilt.table
         snap reexec pc=2 top=4 [1=%3] {%3: ptr:0x100 ptr:0x0 2 7 2 %0 5 nil}
         lt.int! %0 10
         snap reexec pc=3 top=4 [1=%3] {%3: ptr:0x100 ptr:0x0 2 7 3 %0 6 %0 nil}
         lt.int! %0 9
         snap reexec pc=4 top=4 [1=%3] {%3: ptr:0x100 ptr:0x0 255 7 3 1.5 6 %0 nil}
         lt.int! %0 8
         link interpreter",
    );
}

#[test]
fn sink_keeps_what_others_see_of_arrays() {
    assert!(!is_made(""));
    // Loads that were not forwarded; an index that is not constant, or too large; a capacity that is not.
    assert!(is_made("%20 = aload.int %5 0\nlt.int! %20 %0"));
    assert!(is_made("%20 = fload.ptr %3 table.array\n%21 = aload.int %20 0\nlt.int! %21 %0"));
    assert!(is_made("%20 = fload.int %3 table.len\nlt.int! %20 %0"));
    assert!(is_made("astore.int %5 %0 5"));
    assert!(is_made("astore.int %5 7 5"));
    assert!(is_made("astore.int %5 -1 5"));
    assert!(is_made("fstore %3 table.len %0"));
    assert!(is_made("%20 = atag.int %5 0 7\nlt.int! %20 %0"));
    // A tag of something else than what was just stored.
    assert!(!is_made("astore.float %5 0 0.5\nasettag.float %5 0 7\nfstore %3 table.arraykind 255"));
    assert!(is_made("astore.int %5 0 1\nasettag.float %5 0 7"));
    assert!(is_made("asettag.int %5 0 7"));
    // The memory of another table, or of none.
    assert!(is_made("%20 = sload.table! #2\nfstore %20 table.array %5"));
    assert!(is_made("%20 = sload.ptr #2\nfstore %3 table.array %20"));
    assert!(is_made("%20 = carg %3 9\n%21 = call.ptr %20 arraynew\nfstore %3 table.array %21"));
    // A helper sees it, alone or with the same arguments.
    assert!(is_made("call %3 change"));
    // What it holds that is made, and what holds it.
    assert!(is_made(
        "%20 = carg 1 0\n%21 = carg %20 ptr:0x100\n%22 = call.table %21 tablenew
        %23 = fload.ptr %22 table.slots\nvstore.table %23 0 %3\ncall %22 change"
    ));
}

#[test]
fn sink_leaves_large_arrays_alone() {
    let large = MADE.replace("carg %3 2", "carg %3 40");
    let found = after_sinking(&format!("{large}{EXIT}"));
    assert_eq!(found.insts[3].op, Op::Call, "{found}");
}

#[test]
fn sink_follows_what_elements_hold() {
    check_more(
        "%20 = carg 0 0
         %21 = carg %20 ptr:0x100
         %22 = call.table %21 tablenew
         %23 = carg %22 1
         %24 = call.ptr %23 arraynew
         fstore %22 table.array %24
         fstore %22 table.cap 7
         astore.table %24 0 %3
         fstore %22 table.arraykind 6
         fstore %22 table.len 1
         snap reexec pc=2 top=4 [1=%22]
         lt.int! %0 10",
        "%3 = unbuilt.table
         %14 = unbuilt.table
         snap reexec pc=2 top=4 [1=%14] {%3: ptr:0x100 ptr:0x0 2 7 2 %0 5 nil} {%14: ptr:0x100 ptr:0x0 6 7 1 %3}
         lt.int! %0 10
         link interpreter",
    );
}

/// How many loads are left of these, behind the table and the array %101 of another one.
fn loads_left(rest: &str) -> usize {
    let other =
        "%100 = sload.table! #1\n%101 = fload.ptr %100 table.array\n%102 = aload.int %101 0\n%103 = sload.table! #2\n";
    let text = format!("snap reexec pc=0 top=4 []\n{other}{MADE}{rest}\n{EXIT}");
    let found = copy(&read(&text), FWD).unwrap_or_else(|e| panic!("{e}"));
    let loads = |inst: &&Inst| matches!(inst.op, Op::Fload | Op::Aload | Op::Atag);
    found.insts.iter().filter(loads).count() - 2
}

#[test]
fn forwards_what_is_known_of_a_new_array() {
    // Its memory, kind, length and capacity; elements by index.
    let fields = ["ptr %3 table.array", "int %3 table.len", "int %3 table.arraykind", "int %3 table.cap"];
    for field in fields {
        assert_eq!(loads_left(&format!("%20 = fload.{field}")), 0, "{field}");
    }
    assert_eq!(loads_left("%20 = fload.ptr %3 table.array\n%21 = aload.int %20 1"), 0);
    assert_eq!(loads_left("%20 = aload.int %5 2"), 1);
    // What other tables have stays known, whenever their memory was asked for.
    assert_eq!(loads_left("%20 = aload.int %101 0"), 0);
    let store = "%21 = fload.ptr %103 table.array\n%22 = aload.int %21 0\nastore.int %5 0 8";
    assert_eq!(loads_left(&format!("{store}\n%23 = aload.int %21 0")), 2);
    // Not so if it may be the new one.
    assert_eq!(loads_left(&format!("%20 = sload.table! #3\n{store}\n%23 = aload.int %21 0").replace("%103", "%20")), 3);
}
