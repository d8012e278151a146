//! Cells and Lua functions that the trace makes: forwarding of their parts, and sinking.
#![forbid(unsafe_code)]

use super::*;

/// A cell that holds `%0`, captured by two functions; the second one has captured a cell of its parent's as well.
const MADE: &str = "
    snap reexec pc=1 top=4 []
    %0 = sload.int! #0
    %1 = sload.function! #-1
    %2 = upval.cell %1 0
    %3 = call.cell cellnew
    cstore.int %3 %0
    %5 = carg ptr:0x100 1
    %6 = call.function %5 closurenew
    ustore %6 0 %3
    %8 = carg ptr:0x200 2
    %9 = call.function %8 closurenew
    ustore %9 0 %2
    ustore %9 1 %3
    ";
const EXIT: &str = "snap reexec pc=2 top=4 [1=%6]\nlt.int! %0 10\n";

#[track_caller]
fn check_more(passes: Passes, rest: &str, expected: &str) {
    check_made(passes, MADE, rest, expected);
}

/// Which of cell, first and second function are made.
fn made(rest: &str) -> String {
    let found = after_sinking(&ended(&format!("{MADE}{EXIT}{rest}")));
    let names = [(3, "cell"), (6, "first"), (9, "second")];
    names
        .into_iter()
        .filter(|(at, _)| found.insts[*at].op == Op::Call)
        .map(|(_, name)| name)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn sink_tells_exits_what_functions_consist_of() {
    // The cell is one, whoever shares it, and holds what it does where the snapshot was taken; an inlined call names its function.
    check_more(
        SINK,
        "snap reexec pc=2 top=4 [1=%6]
         lt.int! %0 10
         cstore.float %3 1.5
         snap reexec pc=3 top=6 [1=%9 2=%6 3=%3] call(f=%9 ret=9 base=2 want=1 va=0)
         lt.int! %0 5",
        "%1 = sload.function! #-1
         %2 = upval.cell %1 0
         %3 = unbuilt.cell
         %6 = unbuilt.function
         %9 = unbuilt.function
         snap reexec pc=2 top=4 [1=%6] {%3: %0} {%6: ptr:0x100 %3}
         lt.int! %0 10
         snap reexec pc=3 top=6 [1=%9 2=%6 3=%3] {%3: 1.5} {%6: ptr:0x100 %3} {%9: ptr:0x200 %2 %3} call(f=%9 ret=9 base=2 want=1 va=0)
         lt.int! %0 5
         link interpreter",
    );
    // Only as the function of a call.
    let call = "snap reexec pc=3 top=6 [] call(f=%6 ret=9 base=2 want=1 va=0)\nlt.int! %0 5";
    check_more(
        SINK,
        call,
        "%1 = sload.function! #-1
         %3 = unbuilt.cell
         %6 = unbuilt.function
         %9 = unbuilt.function
         snap reexec pc=3 top=6 [] {%3: %0} {%6: ptr:0x100 %3} call(f=%6 ret=9 base=2 want=1 va=0)
         lt.int! %0 5
         link interpreter",
    );
}

#[test]
fn sink_follows_a_function_in_its_own_cell() {
    check_more(
        SINK,
        "cstore.function %3 %6
         barrier %3
         snap reexec pc=2 top=4 [1=%6]
         lt.int! %0 10",
        "%1 = sload.function! #-1
         %3 = unbuilt.cell
         %6 = unbuilt.function
         %9 = unbuilt.function
         snap reexec pc=2 top=4 [1=%6] {%3: %6} {%6: ptr:0x100 %3}
         lt.int! %0 10
         link interpreter",
    );
}

#[test]
fn sink_keeps_what_others_see_of_functions() {
    assert_eq!(made(""), "");
    // Loads that were not forwarded, a tag, an identity; the cell of a function that is made is made.
    assert_eq!(made("%20 = cload.int %3"), "");
    assert_eq!(made("%20 = cload.int! %3\nlt.int! %20 %0"), "cell");
    assert_eq!(made("%20 = ctag.int %3\nlt.int! %20 %0"), "cell");
    assert_eq!(made("%20 = upval.cell %9 0\n%21 = cload.int! %20\nlt.int! %21 %0"), "cell second");
    assert_eq!(made("%20 = fload.ptr %6 function.proto\neq.ptr! %20 ptr:0x100"), "cell first");
    assert_eq!(made("%20 = sload.function! #2\nne.function! %20 %6"), "cell first");
    // Stored into something that was there; an upvalue that is not there.
    assert_eq!(made("%20 = sload.cell! #2\ncstore.function %20 %6"), "cell first");
    assert_eq!(made("ustore %1 0 %3"), "cell");
    assert_eq!(made("ustore %6 1 %3"), "cell first");
    // What a cell holds that is made.
    assert_eq!(made("%20 = sload.cell! #2\ncstore.function %3 %6\n%21 = ctag.int %3\nlt.int! %21 %0"), "cell first");
    // Code stores the slots, or the frames.
    assert_eq!(made("snap reexec pc=3 top=4 [1=%3]\nsync #2\ncall native\nunsync"), "cell");
    let call = "call(f=%6 ret=9 base=2 want=1 va=0)";
    assert_eq!(made(&format!("snap reexec pc=3 top=4 [] {call}\nsync #2\ncall native\nunsync")), "cell first");
    assert_eq!(made(&format!("snap reexec pc=3 top=4 [1=%9 2=%0] {call}\nargs #2\ncall bare\nunsync")), "");
    assert_eq!(made("snap reexec pc=3 top=4 [1=%9 2=%6]\nargs #2\ncall bare\nunsync"), "cell first");
    // Another trace goes on.
    assert_eq!(made(&format!("snap reexec pc=3 top=4 [] {call}\nlink trace 3")), "cell first");
}

#[test]
fn forwards_the_parts_of_functions() {
    // The prototype that a function was made with, a cell by its place, what that holds.
    check_more(
        FWD,
        "%20 = fload.ptr %9 function.proto
         eq.ptr! %20 ptr:0x200
         %22 = upval.cell %9 1
         %23 = cload.int! %22
         lt.int! %23 10
         %25 = upval.cell %9 0
         %26 = cload.int! %25
         lt.int! %26 10
         %28 = upval.cell %1 0
         %29 = cload.int! %28
         lt.int! %29 11",
        "%1 = sload.function! #-1
         %2 = upval.cell %1 0
         %3 = call.cell cellnew
         cstore.int %3 %0
         %5 = carg ptr:0x100 1
         %6 = call.function %5 closurenew
         ustore %6 0 %3
         %8 = carg ptr:0x200 2
         %9 = call.function %8 closurenew
         ustore %9 0 %2
         ustore %9 1 %3
         eq.ptr! ptr:0x200 ptr:0x200
         lt.int! %0 10
         %14 = cload.int! %2
         lt.int! %14 10
         lt.int! %14 11
         link interpreter",
    );
    // A function that was there may be any one: only other upvalues are the same still. What is in the cells is not known then.
    let known = |store: &str, load: &str| {
        let text = format!("{MADE}%20 = sload.function! #1\n{store}\n{load}\neq.cell! %22 %22\n{EXIT}");
        let found = copy(&read(&text), FWD).unwrap_or_else(|e| panic!("{e}"));
        found.insts.iter().filter(|inst| inst.op == Op::Upval).count() == 1
    };
    assert!(known("ustore %20 0 %3", "%22 = upval.cell %9 1"));
    assert!(known("ustore %20 1 %3", "%22 = upval.cell %9 0"));
    assert!(known("ustore %20 1 %3", "%22 = upval.cell %1 0"));
    assert!(!known("ustore %20 0 %3", "%22 = upval.cell %1 0"));
    assert!(!known("", "%22 = upval.cell %20 0"));
}

/// A body of a loop that makes a cell and a function, which the next iteration calls from slot 1.
fn looping(value: &str, rest: &str) -> String {
    format!(
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #0
         %1 = sload.function! #1
         %2 = fload.ptr %1 function.proto
         eq.ptr! %2 ptr:0x100
         %4 = upval.cell %1 0
         %5 = cload.int! %4
         %6 = add.int %0 %5
         %7 = call.cell cellnew
         cstore.int %7 {value}
         %9 = carg ptr:0x100 1
         %10 = call.function %9 closurenew
         ustore %10 0 %7
         {rest}
         snap reexec pc=5 top=9 [0=%6 1=%10]
         lt.int! %6 100
         snap reexec pc=1 top=9 [0=%6 1=%10]"
    )
}

#[test]
fn sink_carries_functions_around_the_loop() {
    check_loop(
        &looping("%0", ""),
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #0
         %1 = sload.function! #1
         %2 = fload.ptr %1 function.proto
         eq.ptr! %2 ptr:0x100
         %4 = upval.cell %1 0
         %5 = cload.int! %4
         %6 = add.int %5 %0
         %7 = unbuilt.cell
         %10 = unbuilt.function
         snap reexec pc=5 top=9 [0=%6 1=%10] {%7: %0} {%10: ptr:0x100 %7}
         lt.int! %6 100
         loop
         %14 = add.int %6 %0
         %15 = unbuilt.cell
         %18 = unbuilt.function
         snap reexec pc=5 top=9 [0=%14 1=%18] {%15: %6} {%18: ptr:0x100 %15}
         lt.int! %14 100
         phi.int %0 %6
         phi.int %6 %14
         link loop",
    );
}

/// A loop in which the function of the iteration before is seen, from before the loop %4 with the cell %3 in it.
fn carrying(value: &str, proto: &str, rest: &str) -> (usize, usize) {
    let input = format!(
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #0
         %1 = sload.int! #2
         %2 = carg ptr:0x100 1
         %3 = call.cell cellnew
         cstore.int %3 %1
         %5 = call.function %2 closurenew
         ustore %5 0 %3
         loop
         snap reexec pc=2 top=9 [0=%0 1=%5]
         lt.int! %0 100
         %10 = add.int %0 1
         %11 = call.cell cellnew
         cstore.{value}
         %13 = carg ptr:{proto} 1
         %14 = call.function %13 closurenew
         ustore %14 0 %11
         {rest}
         phi.int %0 %10
         phi.function %5 %14
         link loop"
    );
    sunk(&input)
}

#[test]
fn sink_needs_functions_that_can_be_carried() {
    assert_eq!(carrying("int %11 %10", "0x100", ""), (2, 2));
    // Another prototype, another type in the cell, a cell that has changed since it was made, one that is used.
    assert_eq!(carrying("int %11 %10", "0x300", ""), (0, 0));
    assert_eq!(carrying("float %11 1.5", "0x100", ""), (0, 0));
    assert_eq!(carrying("int %11 %10", "0x100", "cstore.int %3 %10"), (0, 0));
    assert_eq!(carrying("int %11 %10", "0x100", "%20 = cload.int! %3\nlt.int! %20 %0"), (0, 0));
}
