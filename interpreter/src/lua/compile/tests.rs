//! Source to bytecode text.

use super::compile;
use crate::lua::listing::write_code;
use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::prototype::Prototype;
use std::rc::Rc;

fn prototype(src: &str) -> Rc<Prototype> {
    compile(src.as_bytes(), b"=c").unwrap_or_else(|e| panic!("{src}: {e}"))
}

/// The instructions of the function, without places and lines.
fn text(f: &Prototype) -> String {
    let mut out = String::new();
    write_code(&mut out, f);
    let line = |l: &str| {
        let words: Vec<&str> = l.split_whitespace().skip(2).collect();
        words.join(" ")
    };
    out.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Checks the code of a main function but for its first and last instruction.
#[track_caller]
fn check(src: &str, expected: &str) {
    let code = text(&prototype(src));
    let body = code.strip_prefix("VARARGPREP 0\n").and_then(|c| c.rsplit_once('\n')).map_or("", |(body, _)| body);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(body, expected.join("\n"), "\n{src}\n{body}");
}

/// Checks the whole code of the first function in `src`.
#[track_caller]
fn check_inner(src: &str, expected: &str) {
    let code = text(&prototype(src).functions[0]);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(code, expected.join("\n"), "\n{src}\n{code}");
}

#[test]
fn values() {
    check(
        "local a, b, c, d, e, f = 1, 2.0, 2.5, 'x', nil, true",
        "LOADI 0 1\nLOADF 1 2\nLOADK 2 0 ; 2.5\nLOADK 3 1 ; \"x\"\nLOADNIL 4 0\nLOADTRUE 5",
    );
    check("local a, b = 100000, -0.0", "LOADK 0 0 ; 100000\nLOADF 1 0\nUNM 1 1");
    check("local a; local b, c", "LOADNIL 0 2");
    check("local a, b = f()", "GETTABUP 0 0 0 ; _ENV \"f\"\nCALL 0 1 3");
    check("local a = f(), 1", "GETTABUP 0 0 0 ; _ENV \"f\"\nCALL 0 1 2\nLOADI 1 1");
    check("local a, b = ...", "VARARG 0 0 3");
    check("local a = ((...))", "VARARG 0 0 2");
    check("local a <const>, b <const> = 5, 'x'; return a, b", "LOADI 0 5\nMOVE 1 0\nLOADK 2 0 ; \"x\"\nRETURN 1 3");
}

#[test]
fn operators() {
    check("local a, b; a = a + b", "LOADNIL 0 1\nADD 0 0 1");
    check(
        "local a; a = a + 1; a = 1 + a; a = a - 1",
        "LOADNIL 0 0\nADDI 0 0 128 ; 1\nADDI 0 0 128 k ; 1\nSUBK 0 0 0 ; 1",
    );
    check(
        "local a; a = a * 2.5; a = 2 * a; a = 2 / a",
        "LOADNIL 0 0\nMULK 0 0 0 ; 2.5\nMULK 0 0 1 k ; 2\nLOADI 1 2\nDIV 0 1 0",
    );
    check(
        "local a; a = a & 7; a = 7 | a; a = a ~ 1.0",
        "LOADNIL 0 0\nBANDK 0 0 0 ; 7\nBORK 0 0 0 k ; 7\nLOADF 1 1\nBXOR 0 0 1",
    );
    check(
        "local a; a = a << 3; a = 3 << a; a = a >> 3",
        "LOADNIL 0 0\nSHRI 0 0 124 k ; -3\nSHLI 0 0 130 ; 3\nSHRI 0 0 130 ; 3",
    );
    check("local a; a = -a; a = #a; a = ~a; a = not a", "LOADNIL 0 0\nUNM 0 0\nLEN 0 0\nBNOT 0 0\nNOT 0 0");
    check("local a; a = a .. 'x' .. a", "LOADNIL 0 0\nMOVE 1 0\nLOADK 2 0 ; \"x\"\nMOVE 3 0\nCONCAT 1 3\nMOVE 0 1");
    check(
        "local a, b; a = (a .. b) .. a",
        "LOADNIL 0 1\nMOVE 2 0\nMOVE 3 1\nCONCAT 2 2\nMOVE 3 0\nCONCAT 2 2\nMOVE 0 2",
    );
}

#[test]
fn conditions() {
    check("local a, b; a = a < b", "LOADNIL 0 1\nLT 0 1 k\nJMP 1 ; to 5\nLFALSESKIP 0\nLOADTRUE 0");
    check("local a, b; a = a > b", "LOADNIL 0 1\nLT 1 0 k\nJMP 1 ; to 5\nLFALSESKIP 0\nLOADTRUE 0");
    check("local a, b; a = a and b", "LOADNIL 0 1\nTEST 0\nJMP 1 ; to 5\nMOVE 0 1");
    check("local a, b, c; c = a or b", "LOADNIL 0 2\nTESTSET 2 0 k\nJMP 1 ; to 5\nMOVE 2 1");
    check("local a; if a == nil then a = 1 end", "LOADNIL 0 0\nEQK 0 0 ; nil\nJMP 1 ; to 5\nLOADI 0 1");
    check("local a; if a ~= 5 then a = 1 end", "LOADNIL 0 0\nEQI 0 132 k ; 5\nJMP 1 ; to 5\nLOADI 0 1");
    check("local a; if not a then a = 1 end", "LOADNIL 0 0\nTEST 0 k\nJMP 1 ; to 5\nLOADI 0 1");
    check("local a; if 1 < a then a = 1 end", "LOADNIL 0 0\nGTI 0 128 0 ; 1\nJMP 1 ; to 5\nLOADI 0 1");
    check("local a; if a >= 1.0 then a = 1 end", "LOADNIL 0 0\nGEI 0 128 1 ; 1\nJMP 1 ; to 5\nLOADI 0 1");
    check(
        "local a; if a then a = 1 elseif 2 then a = 2 else a = 3 end",
        "LOADNIL 0 0\nTEST 0\nJMP 2 ; to 6\nLOADI 0 1\nJMP 3 ; to 9\nLOADI 0 2\nJMP 1 ; to 9\nLOADI 0 3",
    );
}

#[test]
fn loops() {
    check("local a; while a do a = 1 end", "LOADNIL 0 0\nTEST 0\nJMP 3 ; to 7\nLOADI 0 1\nJMPBACK -5 ; to 2");
    check(
        "while true do if x then break end end",
        "GETTABUP 0 0 0 ; _ENV \"x\"\nTEST 0 k\nJMP 2 ; to 7\nJMPBACK -6 ; to 1",
    );
    check("local a; repeat a = 1 until a", "LOADNIL 0 0\nLOADI 0 1\nTEST 0 k\nJMP 2 ; to 7\nJMPBACK -5 ; to 2");
    check("local a; repeat a = 1 until true", "LOADNIL 0 0\nLOADI 0 1");
    check(
        "for i = 1, 2 do local x = i end",
        "LOADI 0 1\nLOADI 1 2\nLOADI 2 1\nFORPREP 0 3 ; to 8\nMOVE 4 3\nFORLOOP 0 3 ; to 5",
    );
    check(
        "for k, v in f do break end",
        "GETTABUP 0 0 0 ; _ENV \"f\"\nLOADNIL 1 2\nTFORPREP 0 1 ; to 6\nJMP 3 ; to 9\nTFORCALL 0 0 2\nTFORLOOP 0 4 ; to 5\nCLOSE 0",
    );
    check("do local i; ::top:: i = 1; goto top end", "LOADNIL 0 0\nLOADI 0 1\nJMPBACK -3 ; to 2");
    check("local i; goto on; i = 1; ::on:: i = 2", "LOADNIL 0 0\nJMP 1 ; to 4\nLOADI 0 1\nLOADI 0 2");
}

#[test]
fn assignments() {
    check("local a, b; a, b = b, a", "LOADNIL 0 1\nMOVE 2 1\nMOVE 1 0\nMOVE 0 2");
    check("local a, i; i, a[i] = 1, 2", "LOADNIL 0 1\nLOADI 2 1\nSETTABLE 0 1 0 k ; 2\nMOVE 1 2");
    // The index is the old value of what the same statement assigns.
    check("local a, i; a[i], i = 1, 2", "LOADNIL 0 1\nMOVE 2 1\nLOADI 3 1\nLOADI 1 2\nSETTABLE 0 2 3");
    check("x = 1; y = x", "SETTABUP 0 0 1 k ; _ENV \"x\" 1\nGETTABUP 0 0 0 ; _ENV \"x\"\nSETTABUP 0 2 0 ; _ENV \"y\"");
    check(
        "local t; t.x, t[1], t[t] = 1",
        "LOADNIL 0 0\nLOADI 1 1\nLOADNIL 2 1\nSETTABLE 0 0 3\nSETI 0 1 2\nSETFIELD 0 0 1 ; \"x\"",
    );
    check(
        "local t = {1, 2, x = 3, [4] = 5, f()}",
        "NEWTABLE 0 2 (2)
         LOADI 1 1
         LOADI 2 2
         SETFIELD 0 0 1 k ; \"x\" 3
         SETI 0 4 2 k ; 5
         GETTABUP 3 0 3 ; _ENV \"f\"
         CALL 3 1 0
         SETLIST 0 0 (0)",
    );
}

#[test]
fn calls() {
    check("f(1, g())", "GETTABUP 0 0 0 ; _ENV \"f\"\nLOADI 1 1\nGETTABUP 2 0 1 ; _ENV \"g\"\nCALL 2 1 0\nCALL 0 0 1");
    check("local t; t:m(...)", "LOADNIL 0 0\nSELF 1 0 0 ; \"m\"\nVARARG 3 0 0\nCALL 1 0 1");
    check("return f(1)", "GETTABUP 0 0 0 ; _ENV \"f\"\nLOADI 1 1\nTAILCALL 0 2\nRETURN 0 0");
    check(
        "local c <close> = f; return c(1)",
        "GETTABUP 0 0 0 ; _ENV \"f\"\nTBC 0\nMOVE 1 0\nLOADI 2 1\nCALL 1 2 0\nRETURN 1 0 k",
    );
    check_inner("function f(a) return a end", "RETURN1 0\nRETURN0 1");
    check_inner("function f(a, ...) return a end", "VARARGPREP 1\nRETURN 0 2\nRETURN 1 1");
}

#[test]
fn captured_variables_live_in_cells() {
    check(
        "local a; a = a + 1; return function() return a end",
        "LOADNIL 0 0
         NEWCELL 0
         GETCELL 1 0
         ADDI 1 1 128 ; 1
         SETCELL 0 1
         CLOSURE 1 0
         RETURN 1 2",
    );
    check_inner(
        "local function f(a, b) return function() return b end end",
        "NEWCELL 1\nCLOSURE 2 0\nRETURN1 2\nRETURN0 2",
    );
    check("local function f() return f end", "LOADNIL 0 0\nNEWCELL 0\nCLOSURE 1 0\nSETCELL 0 1");
    check("local function f() end; local g = function() return f end", "CLOSURE 0 0\nNEWCELL 0\nCLOSURE 1 1");
    check(
        "for i = 1, 2 do local f = function() return i end end",
        "LOADI 0 1\nLOADI 1 2\nLOADI 2 1\nFORPREP 0 4 ; to 9\nNEWCELL 3\nCLOSURE 4 0\nFORLOOP 0 4 ; to 5",
    );
    let f = prototype("local a, b = 1, 2; local f = function() b = a; return function() return a, b end end");
    let sources = |f: &Prototype| -> Vec<String> {
        f.upvalues
            .iter()
            .map(|u| {
                let name = String::from_utf8_lossy(&u.name);
                format!("{name} {} {} {}", if u.in_register { "R" } else { "U" }, u.index, u.constant)
            })
            .collect()
    };
    assert_eq!(sources(&f), ["_ENV R 0 true"]);
    assert_eq!(sources(&f.functions[0]), ["b R 1 false", "a R 0 true"]);
    assert_eq!(sources(&f.functions[0].functions[0]), ["a U 1 true", "b U 0 false"]);
}

#[test]
fn variables_to_be_closed() {
    check("do local c <close> = f end", "GETTABUP 0 0 0 ; _ENV \"f\"\nTBC 0\nCLOSE 0");
    check(
        "while x do local c <close> = f; break end",
        "GETTABUP 0 0 0 ; _ENV \"x\"
         TEST 0
         JMP 8 ; to 13
         GETTABUP 0 0 1 ; _ENV \"f\"
         TBC 0
         CLOSE 0
         JMP 3 ; to 13
         CLOSE 0
         JMPBACK -12 ; to 1",
    );
    check(
        "repeat local c <close> = f until c",
        "GETTABUP 0 0 0 ; _ENV \"f\"\nTBC 0\nTEST 0 k\nJMP 3 ; to 9\nCLOSE 0\nJMPBACK -8 ; to 1\nCLOSE 0",
    );
}

#[test]
fn many_constants() {
    let fields: String = (0..300).map(|i| format!("x = t.f{i}; ")).collect();
    let f = prototype(&format!("local t; {fields}"));
    let code = text(&f);
    assert!(code.contains("LOADK 1 256 ; \"f255\"\nGETTABLE 1 0 1"), "{code}");
    let numbers: String = (0..140_000).map(|i| format!("{i}.5,")).collect();
    let f = prototype(&format!("return {{{numbers}}}"));
    let words: Vec<u8> = f.code.iter().map(|&w| bc::op_number(w)).collect();
    assert!(words.contains(&(Op::LoadKX as u8)));
    let long = "x".repeat(41);
    let f = text(&prototype(&format!("local t; t.{long} = 1; t:{long}()")));
    assert!(f.contains("SETTABLE 0 1 1 k") && f.contains("MOVE 2 0\nLOADK 3 0") && f.contains("GETTABLE 1 2 3"), "{f}");
}

#[test]
fn limits() {
    let error = |src: &str| compile(src.as_bytes(), b"=c").map_or_else(|e| e.to_string(), |_| "none".into());
    let list = |n: usize| vec!["a"; n].join(",");
    assert_eq!(error(&format!("f({})", list(253))), "none");
    assert_eq!(error(&format!("f({})", list(254))), "c:1: function or expression needs too many registers");
    assert_eq!(error(&format!("\nreturn {}", list(255))), "c:2: function or expression needs too many registers");
    assert_eq!(error(&format!("local x = {}", list(1000))), "c:1: function or expression needs too many registers");
    let body = "x = 1 ".repeat(70_000);
    assert_eq!(error(&format!("for i = 1, 2 do {body} end")), "c:1: control structure too long");
    assert_eq!(error(&format!("while a do {body} end")), "none");
}

#[test]
fn long_chains_are_compiled() {
    let n = 100_000;
    for src in [
        format!("x = a{}", " + a".repeat(n)),
        format!("x = a{}", " and a".repeat(n)),
        format!("x = a{}", " or a".repeat(n)),
        format!("x = a{}", " < a".repeat(n)),
        format!("x = a{}", ".a".repeat(n)),
        format!("f{}", "()".repeat(n)),
        format!("x{}", ":m()".repeat(n)),
        format!("if a then {} end", "elseif a then ".repeat(n)),
        format!("while a do {} end", "if a then break end ".repeat(n)),
    ] {
        prototype(&src);
    }
}

#[test]
fn lines() {
    let f = prototype("local a\n=\nf(\n1\n)\na = a\n+\nb\n");
    let of = |op: Op| {
        let pc = f.code.iter().position(|&w| bc::op_number(w) == op as u8).unwrap();
        f.lines[pc]
    };
    assert_eq!([of(Op::Call), of(Op::LoadI), of(Op::Add), of(Op::Return)], [3, 4, 7, 8]);
}
