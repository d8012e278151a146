//! Folding.
#![forbid(unsafe_code)]

use super::*;

/// What an integer or float expression over `%0` (int) and `%1` (float) folds to.
fn folded(expression: &str) -> String {
    let text = format!(
        "%0 = sload.int #0\n%1 = sload.float #1\n%2 = {expression}\nsnap continue pc=1 top=2 [0=%2]\nlink interpreter"
    );
    let ir = copy(&read(&text), Passes { dce: true, ..FOLD }).unwrap_or_else(|e| panic!("{e}"));
    let value = ir.snapshots.slots(ir.snapshots.get(0))[0].value;
    if value.is_inst() && value.index() >= 2 {
        let text = ir.inst_text(value.index());
        return text.split_once(" = ").map_or(text.clone(), |(_, t)| t.to_owned());
    }
    ir.ref_text(value)
}

#[test]
fn fold_int() {
    for (expression, expected) in [
        ("add.int 9223372036854775807 1", "-9223372036854775808"),
        ("idiv.int -7 2", "-4"),
        ("idiv.int 7 -2", "-4"),
        ("idiv.int -9223372036854775808 -1", "-9223372036854775808"),
        ("mod.int -7 3", "2"),
        ("mod.int 7 -3", "-2"),
        ("mod.int -6 3", "0"),
        ("mod.int -9223372036854775808 -1", "0"),
        ("idiv.int 1 0", "idiv.int 1 0"),
        ("shr.int -1 60", "15"),
        ("sar.int -8 1", "-4"),
        ("abs.int -9223372036854775808", "-9223372036854775808"),
        ("add.int 1 %0", "add.int %0 1"),
        ("add.int %0 0", "%0"),
        ("sub.int %0 5", "add.int %0 -5"),
        ("sub.int %0 %0", "0"),
        ("sub.int 0 %0", "neg.int %0"),
        ("mul.int %0 8", "shl.int %0 3"),
        ("mul.int %0 -1", "neg.int %0"),
        ("mul.int %0 -9223372036854775808", "mul.int %0 -9223372036854775808"),
        ("idiv.int %0 16", "sar.int %0 4"),
        ("mod.int %0 16", "band.int %0 15"),
        ("mod.int %0 -16", "mod.int %0 -16"),
        ("mod.int 16 %0", "mod.int 16 %0"),
        ("band.int %0 -1", "%0"),
        ("bor.int %0 %0", "%0"),
        ("bxor.int %0 -1", "bnot.int %0"),
        ("max.int %0 %0", "%0"),
        ("shl.int 1 %0", "shl.int 1 %0"),
        ("i2f.float 3", "3.0"),
    ] {
        assert_eq!(folded(expression), expected, "{expression}");
    }
}

#[test]
fn fold_int_chains() {
    check(
        FOLD,
        "%0 = sload.int #0
         %1 = add.int %0 5
         %2 = sub.int %1 7
         %3 = shl.int %0 40
         %4 = shl.int %3 30
         %5 = sar.int %0 40
         %6 = sar.int %5 30
         %7 = neg.int %0
         %8 = sub.int %2 %7
         snap continue pc=1 top=9 [0=%2 1=%4 2=%6 3=%8]",
        "%0 = sload.int #0
         %1 = add.int %0 5
         %2 = add.int %0 -2
         %3 = shl.int %0 40
         %4 = sar.int %0 40
         %5 = sar.int %0 63
         %6 = neg.int %0
         %7 = add.int %2 %0
         snap continue pc=1 top=9 [0=%2 1=0 2=%5 3=%7]
         link interpreter",
    );
}

#[test]
fn fold_float_keeps_signs_and_nans() {
    for (expression, expected) in [
        ("add.float %1 0.0", "add.float %1 0.0"),
        ("add.float %1 -0.0", "%1"),
        ("sub.float %1 0.0", "%1"),
        ("sub.float %1 -0.0", "sub.float %1 -0.0"),
        ("sub.float %1 %1", "sub.float %1 %1"),
        ("mul.float %1 0.0", "mul.float %1 0.0"),
        ("mul.float %1 1.0", "%1"),
        ("mul.float %1 -1.0", "mul.float %1 -1.0"),
        ("add.float 1.0 %1", "add.float 1.0 %1"),
        ("div.float %1 4.0", "mul.float %1 0.25"),
        ("div.float %1 3.0", "div.float %1 3.0"),
        ("div.float %1 0.0", "div.float %1 0.0"),
        ("div.float %1 5e-324", "div.float %1 5e-324"),
        ("div.float 1.0 -0.0", "-inf"),
        ("max.float 0.0 -0.0", "0.0"),
        ("max.float -0.0 0.0", "-0.0"),
        ("min.float nan:0x7ff8000000000000 1.0", "nan:0x7ff8000000000000"),
        ("min.float 1.0 nan:0x7ff8000000000000", "1.0"),
        ("floor.float -0.5", "-1.0"),
        ("ceil.float -0.5", "-0.0"),
    ] {
        assert_eq!(folded(expression), expected, "{expression}");
    }
}

fn guard_folds(guard: &str) -> &'static str {
    let text =
        format!("snap reexec pc=1 top=1 []\n%0 = sload.int #0\n%1 = sload.float #1\n%2 = sload.table #2\n{guard}");
    match copy(&read(&text), FOLD) {
        Ok(ir) if ir.insts.iter().any(|i| i.op.is_compare() || i.op == Op::F2i) => "kept",
        Ok(_) => "holds",
        Err(BuildError::GuardFails) => "fails",
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn fold_guards() {
    for (guard, expected) in [
        ("lt.int! 1 2", "holds"),
        ("ult.int! -1 2", "fails"),
        ("lt.float! 1.0 nan:0x7ff8000000000000", "fails"),
        ("uge.float! 1.0 nan:0x7ff8000000000000", "holds"),
        ("eq.float! 0.0 -0.0", "holds"),
        ("eq.int! %0 %0", "holds"),
        ("lt.int! %0 %0", "fails"),
        ("eq.float! %1 %1", "kept"),
        ("ne.float! %1 %1", "kept"),
        ("le.float! %1 %1", "kept"),
        ("uge.float! %1 %1", "holds"),
        ("lt.float! %1 %1", "fails"),
        ("eq.table! table:0x10 table:0x20", "fails"),
        ("ult.int! %0 0", "fails"),
        ("uge.int! %0 0", "holds"),
        ("lt.int! %0 0", "kept"),
        ("%3 = band.int %0 7\nult.int! %3 8", "holds"),
        ("%3 = band.int %0 7\nult.int! %3 7", "kept"),
        ("%3 = band.int %0 -8\nult.int! %3 8", "kept"),
        ("%3 = fload.int %2 table.len\nge.int! %3 0", "holds"),
        ("%3 = fload.int %2 table.len\n%4 = add.int %3 -1\nge.int! %4 0", "kept"),
        ("%3 = add.int %0 9223372036854775807\nge.int! %3 0", "kept"),
        ("%3 = f2i.int! 1.5", "fails"),
        ("%3 = f2i.int! 9223372036854775808.0", "fails"),
        ("%3 = f2i.int! -9223372036854775808.0", "holds"),
        ("%3 = f2i.int! %1", "kept"),
    ] {
        assert_eq!(guard_folds(guard), expected, "{guard}");
    }
}
