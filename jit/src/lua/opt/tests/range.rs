//! Range analysis: which checks leave a loop, and which must stay.
#![forbid(unsafe_code)]

use super::*;

/// A sum over a list, from the index in slot 0 on as often as slot 1 says.
const SUM: &str = "
    snap reexec pc=1 top=6 []
    %0 = sload.int! #0
    %1 = sload.int! #1
    %2 = sload.table! #2
    %3 = add.int %0 -1
    %4 = fload.int %2 table.len
    ult.int! %3 %4
    %6 = fload.ptr %2 table.array
    %7 = aload.int %6 %3
    %8 = sload.int! #3
    %9 = add.int %8 %7
    snap reexec pc=5 top=6 [3=%9]
    ne.int! %1 0
    %11 = add.int %1 -1
    %12 = add.int %0 1
    snap reexec pc=1 top=6 [0=%12 1=%11 3=%9]
    interrupt
    snap reexec pc=1 top=6 [0=%12 1=%11 3=%9]";

#[test]
fn range_checks_before_a_counted_loop() {
    check_loop(
        SUM,
        "snap reexec pc=1 top=6 []
         %0 = sload.int! #0
         %1 = sload.int! #1
         %2 = sload.table! #2
         %3 = add.int %0 -1
         %4 = fload.int %2 table.len
         ugt.int! %4 %3
         %6 = fload.ptr %2 table.array
         %7 = aload.int %6 %3
         %8 = sload.int! #3
         %9 = add.int %8 %7
         snap reexec pc=5 top=6 [3=%9]
         ne.int! %1 0
         %11 = add.int %1 -1
         %12 = add.int %0 1
         snap reexec pc=1 top=6 [0=%12 1=%11 3=%9]
         interrupt
         snap reexec pc=1 top=6 [0=%12 1=%11 3=%9]
         ule.int! %1 2147483647
         %15 = add.int %3 %1
         ult.int! %15 %4
         loop
         %18 = add.int %12 -1
         %20 = aload.int %6 %18
         %21 = add.int %20 %9
         snap reexec pc=5 top=6 [0=%12 1=%11 3=%21]
         ne.int! %11 0
         %23 = add.int %11 -1
         %24 = add.int %12 1
         snap reexec pc=1 top=6 [0=%24 1=%23 3=%21]
         interrupt
         phi.int %9 %21
         phi.int %11 %23
         phi.int %12 %24
         link loop",
    );
}

/// The comparisons right before the loop that is made of this, and how many checks of an index against a length are in it.
#[track_caller]
fn ranges(input: &str) -> (Vec<String>, usize) {
    let ir = close(input).unwrap_or_else(|e| panic!("{e}"));
    verify(&ir).unwrap_or_else(|e| panic!("{e}"));
    let loop_at = ir.loop_index().unwrap();
    let from = super::super::range::exit(&ir).map_or(loop_at, |exit| usize::from(ir.snapshots.get(exit).at));
    let text = ir.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == "loop").unwrap();
    let compares = ir.insts[from..loop_at].iter().filter(|inst| inst.op.is_compare()).count();
    let guards = lines[..at].iter().filter(|line| line.contains('!')).collect::<Vec<_>>();
    let before = guards[guards.len() - compares..].iter();
    let unsigned = ["ult.int!", "ugt.int!"];
    let within = lines[at..].iter().filter(|line| unsigned.iter().any(|op| line.starts_with(op))).count();
    (before.map(|line| (**line).to_owned()).collect(), within)
}

/// The loop with something put in before the count, or in another place, keeps its checks and has no guards before it.
#[track_caller]
fn stays(from: &str, to: &str) {
    assert!(SUM.contains(from), "{from}");
    assert_eq!(ranges(&SUM.replacen(from, to, 1)), (vec![], 1), "{to}");
}

const STEP: &str = "%12 = add.int %0 1";

#[test]
fn range_checks_stay_where_the_length_may_change() {
    let first = "snap reexec pc=5 top=6 [3=%9]";
    for change in [
        "fstore table:0x10 table.len %9",
        "fstore %2 table.len %3",
        "call %2 change",
        // Another table in the next iteration.
        "snap reexec pc=4 top=6 [3=%9]\n%13 = cload.table! cell:0x10",
    ] {
        let text = SUM.replacen(first, &format!("{change}\n{first}"), 1);
        let text = if change.starts_with("snap") {
            text.replace("3=%9]\n    interrupt", "2=%13 3=%9]\n    interrupt")
                .replace("1=%11 3=%9]", "1=%11 2=%13 3=%9]")
        } else {
            text
        };
        // The numbers of the text are names.
        assert_eq!(ranges(&text), (vec![], 1), "{change}");
    }
    // Storing other fields and elements does not change it.
    let text = SUM.replacen(first, &format!("fstore table:0x10 table.cap %9\nastore.int %6 %3 %9\n{first}"), 1);
    assert_eq!(ranges(&text).1, 0);
}

#[test]
fn range_checks_stay_where_the_last_index_is_not_known() {
    // The index goes on by what is not known, by nothing, or by too much.
    for step in
        ["%12 = add.int %0 %9", "%12 = mul.int %0 2", "%12 = add.int %0 2147483648", "%12 = add.int %0 -2147483648"]
    {
        stays(STEP, step);
    }
    // The count goes down otherwise, or nothing leaves at its end.
    for (from, to) in [
        ("%11 = add.int %1 -1", "%11 = add.int %1 -2"),
        ("%11 = add.int %1 -1", "%11 = add.int %1 1"),
        ("%11 = add.int %1 -1", "%11 = add.int %9 -1"),
        ("ne.int! %1 0", "ne.int! %1 1"),
        ("ne.int! %1 0", "gt.int! %1 0"),
        ("ne.int! %1 0", "ne.int! %9 0"),
    ] {
        stays(from, to);
    }
    // What a call stores in the slots is not looked at.
    let call = "snap reexec pc=4 top=6 [3=%9] call(f=true ret=1 base=4 want=1 va=0)\nsync #4\ncall native\nunsync\n";
    let text = SUM.replacen("snap reexec pc=5", &format!("{call}snap continue pc=5"), 1);
    assert_eq!(ranges(&text.replacen("fload.int %2", "fload.int table:0x10", 1)).0, Vec::<String>::new());
}

#[test]
fn range_checks_of_other_strides_and_offsets() {
    let step = |by: &str| SUM.replacen(STEP, by, 1);
    // Backwards: the last index is the smallest one.
    assert_eq!(
        ranges(&step("%12 = add.int %0 -1")),
        (vec!["ule.int! %1 2147483647".to_owned(), "ge.int! %14 0".to_owned()], 0)
    );
    assert_eq!(ranges(&step("%12 = add.int %0 -7")).1, 0);
    assert_eq!(ranges(&step("%12 = add.int %0 2147483647")).1, 0);
    // An index that is a multiple, with something that does not change.
    for index in ["%3 = mul.int %0 24", "%3 = shl.int %0 3", "%3 = mul.int %0 -3"] {
        assert_eq!(ranges(&SUM.replacen("%3 = add.int %0 -1", index, 1)).1, 0, "{index}");
    }
    for index in ["%3 = mul.int %0 4294967296", "%3 = shl.int %0 33", "%3 = mul.int %0 %0"] {
        stays("%3 = add.int %0 -1", index);
    }
}

/// A loop with several checks, given as the index's constant and the table's slot, and perhaps a guard before them.
fn several(guard: &str, checks: &[(i64, i16)], step: i64) -> String {
    let mut text = "snap reexec pc=1 top=9 []\n%0 = sload.int! #0\n%1 = sload.int! #1\n%2 = sload.int! #2\n".to_owned();
    let mut next = 3;
    text.push_str(&format!("{guard}\n"));
    next += usize::from(!guard.is_empty());
    for (k, slot) in checks {
        let (index, table, len) = (next, next + 1, next + 2);
        text.push_str(&format!(
            "%{index} = add.int %0 {k}\n%{table} = sload.table! #{slot}\n%{len} = fload.int %{table} table.len\nult.int! %{index} %{len}\n"
        ));
        next += 4;
    }
    let (count, index) = (next + 1, next + 2);
    text.push_str(&format!("ne.int! %1 0\n%{count} = add.int %1 -1\n%{index} = add.int %0 {step}\n"));
    text.push_str(&format!("snap reexec pc=1 top=9 [0=%{index} 1=%{count}]\ninterrupt\n"));
    text + &format!("snap reexec pc=1 top=9 [0=%{index} 1=%{count}]")
}

#[test]
fn range_guards_are_for_the_outermost_index_of_each_table() {
    let found = |checks: &[(i64, i16)], step| ranges(&several("", checks, step));
    // Slots 3 and 4: two tables, three indices each.
    let checks = [(-1, 3), (1, 3), (-2, 3), (-5, 4), (-3, 4), (-9, 4)];
    let (before, within) = found(&checks, 1);
    assert_eq!((before.len(), within), (3, 0), "{before:?}");
    let ir = close(&several("", &checks, 1)).unwrap().to_string();
    assert!(ir.contains("%7 = add.int %0 1\n") && ir.contains(" = add.int %7 %1\nult"), "{ir}");
    // Backwards one guard does for all tables: the smallest index is not negative.
    let (before, within) = found(&checks, -1);
    assert_eq!((before.len(), within), (2, 0), "{before:?}");
    let ir = close(&several("", &checks, -1)).unwrap().to_string();
    assert!(ir.contains("%17 = add.int %0 -9\n") && ir.contains(" = sub.int %17 %1\nge"), "{ir}");
}

#[test]
fn range_checks_behind_a_guard_of_the_index_need_no_count() {
    let with = |guard: &str, step: i64| ranges(&several(guard, &[(1, 3)], step));
    let guard = |last: &str| (vec![last.to_owned()], 0);
    // %0 is at most %2 - 1, or %2: the index is one more.
    assert_eq!(with("lt.int! %0 %2", 1), guard("ult.int! %2 %6"));
    assert_eq!(with("gt.int! %2 %0", 1), guard("ult.int! %2 %6"));
    for text in ["le.int! %0 %2", "ge.int! %2 %0"] {
        let found = with(text, 3);
        assert!(found.1 == 0 && found.0.len() == 1 && found.0[0] != "ult.int! %2 %6", "{text}: {found:?}");
    }
    let ir = close(&several("le.int! %0 %2", &[(1, 3), (-1, 3), (5, 3)], 3)).unwrap().to_string();
    assert!(ir.contains(" = add.int %2 5\n"), "{ir}");
    assert_eq!(with("lt.int! %0 100", 1), guard("ult.int! 100 %6"));
    let (before, within) = ranges(&several("le.int! %0 9223372036854775806", &[(5, 3)], 1));
    assert_eq!(
        (before[0].split(' ').nth(1), within),
        (Some("-9223372036854775805"), 0),
        "a sum that wraps is no index"
    );
    // A guard that says nothing of the largest index, or comes later, or whose limit changes, leaves it to the count.
    for (guard, step) in
        [("gt.int! %0 %2", 1), ("le.int! %2 %0", 1), ("ne.int! %0 %2", 1), ("lt.int! %0 %2", -1), ("lt.int! %0 %1", 1)]
    {
        assert_eq!(with(guard, step).0[0], "ule.int! %1 2147483647", "{guard}");
    }
    let late = several("", &[(1, 3)], 1).replace("%9", "%10").replace("%8", "%9");
    let late = late.replacen("ne.int! %1 0", "ne.int! %1 0\nlt.int! %0 %2", 1);
    assert_eq!(ranges(&late).0[0], "ule.int! %1 2147483647");
}

#[test]
fn range_checks_stay_where_the_loop_begins_with_an_object_of_its_own() {
    let first = "snap reexec pc=5 top=6 [3=%9]";
    let made = "%13 = carg 1 0\n%14 = carg %13 ptr:0x100\n%15 = call.table %14 tablenew";
    let text = SUM.replacen(first, &format!("{made}\n{first}"), 1);
    assert_eq!(ranges(&text).1, 0);
    assert_eq!(ranges(&text.replace("1=%11 3=%9]", "1=%11 3=%9 4=%15]")), (vec![], 1));
}
