//! Value numbering, forwarding, dead stores, dead code.
#![forbid(unsafe_code)]

use super::*;

#[test]
fn cse_numbers_pure_operations_guards_and_calls() {
    check(
        CSE,
        "snap reexec pc=1 top=3 []
         %0 = sload.int #0
         %1 = sload.float #1
         %2 = add.int %0 1
         %3 = add.int %0 1
         lt.int! %2 10
         lt.int! %3 10
         le.int! %3 10
         %7 = call.float %1 sin
         %8 = call.float %1 sin
         %9 = call.table newtable
         %10 = call.table newtable
         snap continue pc=2 top=6 [0=%2 1=%3 2=%7 3=%8 4=%9 5=%10]",
        "snap reexec pc=1 top=3 []
         %0 = sload.int #0
         %1 = sload.float #1
         %2 = add.int %0 1
         lt.int! %2 10
         le.int! %2 10
         %5 = call.float %1 sin
         %6 = call.table newtable
         %7 = call.table newtable
         snap continue pc=2 top=6 [0=%2 1=%2 2=%5 3=%5 4=%6 5=%7]
         link interpreter",
    );
}

#[test]
fn cse_of_lookups_ends_where_the_table_changes() {
    check(
        CSE,
        "%0 = sload.table #0
         %1 = carg %0 string:0x10
         %2 = call.ptr %1 lookup
         %3 = carg %0 string:0x10
         %4 = call.ptr %3 lookup
         call %0 insert
         %6 = carg %0 string:0x10
         %7 = call.ptr %6 lookup
         vstore.int %4 0 1
         vstore.int %7 0 1",
        "%0 = sload.table #0
         %1 = carg %0 string:0x10
         %2 = call.ptr %1 lookup
         %3 = carg %0 string:0x10
         call %0 insert
         %5 = carg %0 string:0x10
         %6 = call.ptr %5 lookup
         vstore.int %2 0 1
         vstore.int %6 0 1
         link interpreter",
    );
}

#[test]
fn fwd_loads_and_stores() {
    // A field: its own store, another field, perhaps the same object.
    check(
        FWD,
        "%0 = sload.table #0
         %1 = sload.table #1
         %2 = fload.int %0 table.len
         fstore %0 table.flags 1
         %4 = fload.int %0 table.len
         fstore %0 table.len 5
         %6 = fload.int %0 table.len
         fstore %1 table.len 6
         %8 = fload.int %0 table.len
         snap continue pc=1 top=4 [0=%2 1=%4 2=%6 3=%8]",
        "%0 = sload.table #0
         %1 = sload.table #1
         %2 = fload.int %0 table.len
         fstore %0 table.flags 1
         fstore %0 table.len 5
         fstore %1 table.len 6
         %6 = fload.int %0 table.len
         snap continue pc=1 top=4 [0=%2 1=%2 2=5 3=%6]
         link interpreter",
    );
}

#[test]
fn fwd_array_elements() {
    check(
        FWD,
        "%0 = sload.int #0
         %1 = sload.table #1
         %2 = sload.table #2
         %3 = fload.ptr %1 table.array
         %4 = fload.ptr %2 table.array
         %5 = add.int %0 1
         %6 = aload.int %3 %0
         astore.int %3 %5 7
         %8 = aload.int %3 %0
         astore.float %4 %0 1.5
         %10 = aload.int %3 %0
         astore.int %4 %0 9
         %12 = aload.int %3 %0
         snap continue pc=1 top=9 [0=%6 1=%8 2=%10 3=%12]",
        "%0 = sload.int #0
         %1 = sload.table #1
         %2 = sload.table #2
         %3 = fload.ptr %1 table.array
         %4 = fload.ptr %2 table.array
         %5 = add.int %0 1
         %6 = aload.int %3 %0
         astore.int %3 %5 7
         astore.float %4 %0 1.5
         astore.int %4 %0 9
         %10 = aload.int %3 %0
         snap continue pc=1 top=9 [0=%6 1=%6 2=%6 3=%10]
         link interpreter",
    );
}

#[test]
fn fwd_mixed_elements_see_tags_and_other_types() {
    // A store of a tag, or of another type through another array, makes the check of the tag necessary again.
    let text = "snap reexec pc=1 top=9 []
         %0 = sload.int #0
         %1 = sload.int #1
         %2 = sload.int #2
         %3 = aload.int! ptr:0x100 %0 %2
         asettag.nil ptr:0x100 %1 %2
         %5 = aload.int! ptr:0x100 %0 %2
         astore.float ptr:0x100 %1 1.5
         %7 = aload.int! ptr:0x100 %0 %2
         snap continue pc=1 top=9 [0=%3 1=%5 2=%7]
         link interpreter";
    check(FWD, text, text);
}

#[test]
fn fwd_fresh_objects_are_apart() {
    check(
        FWD,
        "%0 = sload.table #0
         %1 = fload.int %0 table.len
         %2 = call.table newtable
         fstore %2 table.len 1
         %4 = fload.int %0 table.len
         %5 = sload.table #5
         %6 = fload.int %5 table.flags
         fstore %2 table.flags 1
         %8 = fload.int %5 table.flags
         %9 = fload.int %2 table.flags
         snap continue pc=1 top=9 [0=%1 1=%4 2=%6 3=%8 4=%9]",
        "%0 = sload.table #0
         %1 = fload.int %0 table.len
         %2 = call.table newtable
         fstore %2 table.len 1
         %4 = sload.table #5
         %5 = fload.int %4 table.flags
         fstore %2 table.flags 1
         %7 = fload.int %4 table.flags
         snap continue pc=1 top=9 [0=%1 1=%1 2=%5 3=%7 4=1]
         link interpreter",
    );
}

#[test]
fn fwd_slots_of_tables() {
    // Another slot of perhaps the same table is another place; behind a bare pointer it may not be.
    check(
        FWD,
        "snap reexec pc=1 top=9 []
         %0 = sload.table #0
         %1 = sload.table #1
         %2 = fload.ptr %0 table.slots
         %3 = fload.ptr %1 table.slots
         %4 = vload.float! %2 0
         vstore.float %3 1 2.5
         %6 = vload.float! %2 0
         %7 = vtag.int %2 0
         vstore.float %3 0 2.5
         %9 = vload.float! %2 0
         %10 = pval.ptr 7
         vstore.float %10 1 2.5
         %12 = vload.float! %2 0
         vstore.float %2 0 3.5
         %14 = vtag.int %2 0
         snap continue pc=1 top=9 [0=%4 1=%6 2=%7 3=%9 4=%12 5=%14]",
        "snap reexec pc=1 top=9 []
         %0 = sload.table #0
         %1 = sload.table #1
         %2 = fload.ptr %0 table.slots
         %3 = fload.ptr %1 table.slots
         %4 = vload.float! %2 0
         vstore.float %3 1 2.5
         vstore.float %3 0 2.5
         %7 = vload.float! %2 0
         %8 = pval.ptr 7
         vstore.float %8 1 2.5
         %10 = vload.float! %2 0
         vstore.float.notag %2 0 3.5
         snap continue pc=1 top=9 [0=%4 1=%4 2=3 3=%7 4=%10 5=3]
         link interpreter",
    );
}

#[test]
fn fwd_cells_tags_and_full_calls() {
    check(
        FWD,
        "snap reexec pc=1 top=9 []
         %0 = sload.cell #0
         %1 = sload.cell #1
         %2 = cload.int! %0
         cstore.int %0 5
         %4 = cload.int! %0
         cstore.float %1 1.5
         %6 = cload.int! %0
         snap continue pc=2 top=9 [3=%2 4=%4]
         sync #4
         call native
         unsync
         snap continue pc=3 top=9 []
         %10 = cload.int! %0
         %11 = sload.int #3
         %12 = sload.int #4
         cstore.int %0 %11
         cstore.int %1 %12
         cstore.int %0 %10",
        "snap reexec pc=1 top=9 []
         %0 = sload.cell #0
         %1 = sload.cell #1
         %2 = cload.int! %0
         cstore.int.notag %0 5
         cstore.float %1 1.5
         %5 = cload.int! %0
         snap continue pc=2 top=9 [3=%2 4=5]
         sync #4
         call native
         unsync
         snap continue pc=3 top=9 []
         %9 = cload.int! %0
         %10 = sload.int #4
         cstore.int.notag %0 %2
         cstore.int %1 %10
         cstore.int %0 %9
         link interpreter",
    );
}

#[test]
fn fwd_keeps_a_check_that_will_fail() {
    let text = "snap reexec pc=1 top=9 []
         %0 = sload.cell #0
         cstore.float %0 1.5
         %2 = cload.int! %0
         snap continue pc=2 top=9 [3=%2]
         link interpreter";
    check(FWD, text, text);
}

#[test]
fn fwd_barriers_until_the_collector_runs() {
    check(
        FWD,
        "%0 = sload.table #0
         %1 = sload.table #1
         barrier %0
         barrier %0
         barrier %1
         snap reexec pc=1 top=2 []
         gcstep
         barrier %0",
        "%0 = sload.table #0
         %1 = sload.table #1
         barrier %0
         barrier %1
         snap reexec pc=1 top=2 []
         gcstep
         barrier %0
         link interpreter",
    );
}

#[test]
fn fwd_knows_nothing_of_memory_in_a_closed_loop() {
    let text = "snap reexec pc=1 top=2 []
         %0 = sload.cell #0
         %1 = cload.int! %0
         loop
         %3 = cload.int! %0
         %4 = add.int %3 1
         cstore.int %0 %4
         link loop";
    check(FWD, text, &text.replace("cstore.int %0", "cstore.int.notag %0"));
}

#[test]
fn dse_drops_what_nobody_sees() {
    check(
        DSE,
        "%0 = sload.cell #0
         %1 = sload.cell #1
         cstore.int %0 1
         cstore.int %1 2
         cstore.int.notag %0 3",
        "%0 = sload.cell #0
         %1 = sload.cell #1
         cstore.int %1 2
         cstore.int %0 3
         link interpreter",
    );
    for seen in ["%2 = cload.int %1", "snap reexec pc=1 top=1 []\neq.int! 1 2", "%2 = call.table newtable", "loop"] {
        let link = if seen == "loop" { "loop" } else { "interpreter" };
        let text =
            format!("%0 = sload.cell #0\n%1 = sload.cell #1\ncstore.int %0 1\n{seen}\ncstore.int %0 3\nlink {link}");
        let kept = copy(&read(&text), OFF).unwrap_or_else(|e| panic!("{e}"));
        let after = copy(&read(&text), DSE).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(kept.to_string(), after.to_string(), "{seen}");
    }
}

#[test]
fn dce_keeps_what_exits_and_effects_need() {
    check(
        DCE,
        "snap reexec pc=1 top=9 [1=nil]
         %0 = sload.int! #0
         %1 = add.int %0 1
         %2 = add.int %0 2
         %3 = add.int %0 3
         %4 = sload.float #4
         %5 = call.float %4 sin
         %6 = call.table newtable
         snap reexec pc=2 top=9 [1=%1]
         lt.int! %2 3
         snap reexec pc=3 top=9 [1=%3]
         %8 = mul.int %3 %3
         snap continue pc=9 top=9 []",
        "snap reexec pc=1 top=9 [1=nil]
         %0 = sload.int! #0
         %1 = add.int %0 1
         %2 = add.int %0 2
         snap reexec pc=2 top=9 [1=%1]
         lt.int! %2 3
         snap continue pc=9 top=9 []
         link interpreter",
    );
}

#[test]
fn dce_drops_phis_that_only_feed_themselves() {
    let text = |slots: &str, add: &str, phi: &str| {
        format!(
            "snap reexec pc=1 top=9 []
             %0 = sload.int! #0
             %1 = add.int %0 3
             lt.int! %1 5
             loop
             %4 = add.int %0 1
             {add}
             snap reexec pc=2 top=9 [0=%4{slots}]
             lt.int! %4 100
             phi.int %0 %4
             {phi}
             link loop"
        )
    };
    let (add, phi) = ("%5 = add.int %1 1", "phi.int %1 %5");
    check(DCE, &text(" 1=%5", add, phi), &text(" 1=%5", add, phi));
    check(DCE, &text("", add, phi), &text("", "", ""));
}

#[test]
fn fwd_knows_a_new_table() {
    check(
        FWD,
        "snap reexec pc=1 top=1 []
         %0 = sload.table #0
         %1 = carg 2 0
         %2 = carg %1 ptr:0x40
         %3 = call.table %2 tablenew
         %4 = fload.ptr %3 table.shape
         eq.ptr! %4 ptr:0x40
         %6 = fload.ptr %3 table.meta
         %7 = fload.int %3 table.len
         %8 = fload.int %3 table.extra
         %9 = fload.ptr %3 table.slots
         vstore.int %9 0 %7
         vstore.int %9 1 %8
         fstore %3 table.shape ptr:0x50
         %13 = fload.ptr %3 table.shape
         %14 = fload.ptr %0 table.shape
         fstore %3 table.meta %13
         fstore %3 table.hash %14
         fstore %3 table.array %6",
        "snap reexec pc=1 top=1 []
         %0 = sload.table #0
         %1 = carg 2 0
         %2 = carg %1 ptr:0x40
         %3 = call.table %2 tablenew
         eq.ptr! ptr:0x40 ptr:0x40
         %5 = fload.ptr %3 table.slots
         vstore.int %5 0 0
         vstore.int %5 1 131074
         fstore %3 table.shape ptr:0x50
         %9 = fload.ptr %0 table.shape
         fstore %3 table.meta ptr:0x50
         fstore %3 table.hash %9
         fstore %3 table.array ptr:0x0
         link interpreter",
    );
}

#[test]
fn fwd_of_a_new_table_ends_where_others_may_change_it() {
    // A store to what may be the same table, since it was loaded behind it; a call that changes tables.
    check(
        FWD,
        "snap reexec pc=1 top=1 []
         %0 = sload.table #0
         %1 = carg 2 0
         %2 = carg %1 ptr:0x40
         %3 = call.table %2 tablenew
         %4 = fload.ptr %0 table.slots
         vstore.table %4 0 %3
         %6 = vload.table! %4 1
         fstore %6 table.shape ptr:0x50
         %8 = fload.ptr %3 table.shape
         vstore.int %4 2 1
         fstore %3 table.hash %8
         %11 = fload.int %3 table.len
         call %3 change
         %13 = fload.int %3 table.len
         vstore.int %4 3 %11
         vstore.int %4 4 %13",
        "snap reexec pc=1 top=1 []
         %0 = sload.table #0
         %1 = carg 2 0
         %2 = carg %1 ptr:0x40
         %3 = call.table %2 tablenew
         %4 = fload.ptr %0 table.slots
         vstore.table %4 0 %3
         %6 = vload.table! %4 1
         fstore %6 table.shape ptr:0x50
         %8 = fload.ptr %3 table.shape
         vstore.int %4 2 1
         fstore %3 table.hash %8
         call %3 change
         %12 = fload.int %3 table.len
         vstore.int %4 3 0
         vstore.int %4 4 %12
         link interpreter",
    );
}

#[test]
fn cse_of_lookups_goes_on_over_stores_to_new_tables() {
    check(
        CSE,
        "%0 = sload.table #0
         %1 = sload.table #1
         %2 = carg 2 0
         %3 = carg %2 ptr:0x40
         %4 = call.table %3 tablenew
         %5 = carg %0 string:0x10
         %6 = call.ptr %5 find
         fstore %4 table.shape ptr:0x50
         %8 = carg %0 string:0x10
         %9 = call.ptr %8 find
         fstore %1 table.shape ptr:0x50
         %11 = carg %0 string:0x10
         %12 = call.ptr %11 find
         vstore.int %6 0 1
         vstore.int %9 1 1
         vstore.int %12 2 1",
        "%0 = sload.table #0
         %1 = sload.table #1
         %2 = carg 2 0
         %3 = carg %2 ptr:0x40
         %4 = call.table %3 tablenew
         %5 = carg %0 string:0x10
         %6 = call.ptr %5 find
         fstore %4 table.shape ptr:0x50
         %8 = carg %0 string:0x10
         fstore %1 table.shape ptr:0x50
         %10 = carg %0 string:0x10
         %11 = call.ptr %10 find
         vstore.int %6 0 1
         vstore.int %6 1 1
         vstore.int %11 2 1
         link interpreter",
    );
}

#[test]
fn fwd_tells_hash_nodes_from_slots() {
    // A store to slots leaves the node as it was, one to another node or behind any pointer may not.
    check(
        FWD,
        "snap reexec pc=1 top=1 []
         %0 = sload.table #0
         %1 = sload.ptr #1
         %2 = fload.ptr %0 table.hash
         %3 = padd.ptr %2 48
         %4 = padd.ptr %2 80
         %5 = fload.ptr %0 table.slots
         %6 = vload.int! %3 1
         vstore.int %5 0 1
         %8 = vload.int! %3 1
         vstore.int %4 1 %8
         %10 = vload.int! %3 1
         vstore.int %1 0 %10
         %12 = vload.int! %3 1
         vstore.int %5 0 %12
         %14 = vload.int! %5 1
         vstore.int %3 1 7
         %16 = vload.int! %5 1
         vstore.int %5 2 %16
         vstore.int %5 3 %14",
        "snap reexec pc=1 top=1 []
         %0 = sload.table #0
         %1 = sload.ptr #1
         %2 = fload.ptr %0 table.hash
         %3 = padd.ptr %2 48
         %4 = padd.ptr %2 80
         %5 = fload.ptr %0 table.slots
         %6 = vload.int! %3 1
         vstore.int %5 0 1
         vstore.int %4 1 %6
         %9 = vload.int! %3 1
         vstore.int %1 0 %9
         %11 = vload.int! %3 1
         vstore.int %5 0 %11
         %13 = vload.int! %5 1
         vstore.int.notag %3 1 7
         vstore.int %5 2 %13
         vstore.int %5 3 %13
         link interpreter",
    );
}

#[test]
fn calls_without_frames_write_the_slots_from_the_first_on() {
    check(
        FWD,
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #1
         %1 = sload.int! #4
         snap reexec pc=2 top=9 [3=7 4=%0]
         args #4
         call bare
         unsync
         snap reexec pc=3 top=9 [3=7]
         %5 = sload.int! #1
         %6 = sload.int! #4
         %7 = add.int %5 %6
         snap continue pc=4 top=9 [2=%7]
         link interpreter",
        "snap reexec pc=1 top=9 []
         %0 = sload.int! #1
         %1 = sload.int! #4
         snap reexec pc=2 top=9 [3=7 4=%0]
         args #4
         call bare
         unsync
         snap reexec pc=3 top=9 [3=7]
         %5 = sload.int! #4
         %6 = add.int %0 %5
         snap continue pc=4 top=9 [2=%6]
         link interpreter",
    );
}
