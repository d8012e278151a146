//! The text form, the verifier, and limits.
#![forbid(unsafe_code)]

use super::*;

#[test]
fn text_form_round_trip() {
    let text = "
        snap reexec pc=1 top=3 []
        %0 = sload.int! #0
        %1 = sload.float #-1
        %2 = sload.table! #2
        %3 = fload.ptr %2 table.array
        %4 = aload.int %3 %0
        %5 = fload.int %2 table.cap
        %6 = aload.float! %3 %0 %5
        lt.int! %4 100
        ult.float! %6 -0.0
        %9 = call.float sin %6
        vstore.float.notag ptr:0x1000 3 %9
        vstore.table ptr:0x1000 4 table:0xabc0
        snap continue pc=7 top=9 [-1=nil 0=1.5 3=nan:0x7ff8000000000000] call(f=%2 ret=4 base=5 want=-1 va=0) tailmeta(f=- ret=1 base=9 want=1 va=2)
        sync #4
        call native
        unsync
        link trace 7";
    let text = text.replace("call.float sin %6", "call.float %6 sin");
    let ir = read(&text);
    assert_eq!(read(&ir.to_string()).to_string(), ir.to_string());
    same(&ir, &text);
}

#[test]
fn text_form_errors_name_the_line() {
    for (text, line) in [
        ("%0 = sload.int #0\nfrobnicate", 2),
        ("%0 = add.int %1 2", 1),
        ("sload.int #99999", 1),
        ("%0 = sload.int 0", 1),
        ("snap again pc=1 top=1 []", 1),
        ("snap reexec pc=1 top=1 [2=nil 1=nil]", 1),
        ("%0 = add.int 1 2 3", 1),
        ("%0 = add.int 1", 1),
        ("link somewhere", 1),
    ] {
        assert_eq!(parse(text, HELPERS).map_err(|e| e.line).unwrap_err(), line, "{text}");
    }
}

#[test]
fn verifier_finds_broken_rules() {
    let sound = "snap reexec pc=1 top=1 []\n%0 = sload.int! #0\n";
    for (text, message) in [
        ("%1 = add.float %0 1", "operand is int, not float"),
        ("%1 = add.int %0 1.0", "operand is float, not int"),
        ("lt.int %0 1", "a comparison must be a guard"),
        ("lt.bool! true false", "bool has no order"),
        ("%1 = fload.int 12 table.len", "int is no address"),
        ("%1 = aload.int! ptr:0x10 %0", "a tag check needs the capacity"),
        ("call native", "a full call without sync"),
        ("sync #1\nbarrier table:0x10", "something between sync and call"),
        ("%1 = call.float %0 sin", "sin takes float, not int"),
        ("%1 = carg %0 %0\n%2 = carg %0 %1", "%1 has no result"),
        ("%1 = sload.nil! #1\ncstore.nil cell:0x10 %1", "%1 has no result"),
        ("loop", "loop and link do not agree"),
        ("%1 = bnot.float 1.0", "bnot has type int, not float"),
    ] {
        let ir = parse(&format!("{sound}{text}\n"), HELPERS).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(verify(&ir).map_err(|e| e.message), Err(message.to_owned()), "{text}");
    }
    let ir = parse("%0 = sload.int! #0", HELPERS).unwrap_or_else(|e| panic!("{e}"));
    assert!(verify(&ir).is_err(), "a guard without a snapshot");
    let ir = parse("snap reexec pc=1 top=1 [0=nil]\n%0 = sload.int! #0", HELPERS).unwrap_or_else(|e| panic!("{e}"));
    assert!(verify(&ir).is_ok());
}

#[test]
fn limits() {
    let mut b = Builder::new(HELPERS, OFF);
    let inst = Inst::new(Op::Add, Ty::new(Type::Int), Ref(4), Ref(4), Ref::NONE);
    let one = b.int(1);
    assert_eq!(one, Ref(4));
    let emitted = (0..=Ir::MAX_INSTS).take_while(|_| b.emit(inst).is_ok()).count();
    assert_eq!(emitted, Ir::MAX_INSTS);
    assert_eq!(b.emit(inst), Err(BuildError::TooLong));
    let mut b = Builder::new(HELPERS, OFF);
    for i in 0..=Ir::MAX_CONSTS as i64 {
        b.int(i);
    }
    assert_eq!(b.unary(Op::Neg, Ref(4)), Err(BuildError::TooManyConstants));
}
