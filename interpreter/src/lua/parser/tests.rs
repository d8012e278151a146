//! What the parser says to bad programs: the texts are C Lua 5.4.8's. And what it makes of names.

use super::parse;
use crate::lua::ast::{Ast, Capture, Expr, StatKind};

fn error(src: &str) -> String {
    parse(src.as_bytes(), b"=c").map_or_else(|e| e.to_string(), |_| "no error".into())
}

#[track_caller]
fn check(src: &str, expected: &str) {
    assert_eq!(error(src), expected, "{src}");
}

#[track_caller]
fn accepted(src: &str) -> Ast {
    parse(src.as_bytes(), b"=c").unwrap_or_else(|e| panic!("{src}: {e}"))
}

#[test]
fn unexpected_tokens() {
    check("x = = 1", "c:1: unexpected symbol near '='");
    check("x x", "c:1: syntax error near 'x'");
    check("x", "c:1: syntax error near <eof>");
    check("x = ", "c:1: unexpected symbol near <eof>");
    check("if x then\n\n", "c:3: 'end' expected (to close 'if' at line 1) near <eof>");
    check("if x then", "c:1: 'end' expected near <eof>");
    check("f(1, 2", "c:1: ')' expected near <eof>");
    check("f(\n1 2", "c:2: ')' expected (to close '(' at line 1) near '2'");
    check("end", "c:1: <eof> expected near 'end'");
    check("return 1 x", "c:1: <eof> expected near 'x'");
    check("for i do end", "c:1: '=' or 'in' expected near 'do'");
    check("for 1 = 2", "c:1: <name> expected near '1'");
    check("for i = 1 do end", "c:1: ',' expected near 'do'");
    check("local function 1", "c:1: <name> expected near '1'");
    check("function f(a,) end", "c:1: <name> or '...' expected near ')'");
    check("function f(..., a) end", "c:1: ')' expected near ','");
    check("a.1 = 2", "c:1: syntax error near '.1'");
    check("a.b:c = 1", "c:1: function arguments expected near '='");
    check("x = }", "c:1: unexpected symbol near '}'");
    check("x = {1 2}", "c:1: '}' expected near '2'");
    check("x = 'abc' 'd'", "c:1: unexpected symbol near ''d''");
    check("'ab\\65' = 1", "c:1: unexpected symbol near ''abA''");
    check("[==[\nab]==] = 1", "c:2: unexpected symbol near '[==[ab]==]'");
    check("(a) = 1", "c:1: syntax error near '='");
    check("a, f() = 1", "c:1: syntax error near '='");
    check("(f())", "c:1: syntax error near <eof>");
    check("goto 1", "c:1: <name> expected near '1'");
    check("repeat x = 1", "c:1: 'until' expected near <eof>");
    check("x = \0", "c:1: unexpected symbol");
    check("x = 1 'a\0b'", "c:1: unexpected symbol near ''a'");
    check("x = $", "c:1: unexpected symbol near '$'");
    check("x = \u{e9}", "c:1: unexpected symbol near '<\\195>'");
    check("x = function() return ... end", "c:1: cannot use '...' outside a vararg function near '...'");
    check("a = 1;;;; b = 2; return;", "no error");
    check("a = {1, 2; 3, x = 1, [1] = 2,}", "no error");
}

#[test]
fn labels_and_jumps() {
    check("goto x", "c:1: no visible label 'x' for <goto> at line 1");
    check("do ::x:: end goto x", "c:1: no visible label 'x' for <goto> at line 1");
    check("\nbreak", "c:2: break outside loop at line 2");
    check("while 1 do local function f() break end end", "c:1: break outside loop at line 1");
    check("::x:: x = 1\n::x::", "c:2: label 'x' already defined on line 1");
    // Labels in a row are defined from the last one on.
    check("::x::\n::x::", "c:2: label 'x' already defined on line 2");
    check("::x:: do ::x:: end", "c:1: label 'x' already defined on line 1");
    check("do ::x:: end ::x::", "no error");
    check("goto x; local y; ::x:: y = 1", "c:1: <goto x> at line 1 jumps into the scope of local 'y'");
    check("goto x; local y; ::x::", "no error");
    check("do goto x; local y; ::x:: ; ::z:: end", "no error");
    check("repeat goto x; local y; ::x:: until y", "c:1: <goto x> at line 1 jumps into the scope of local 'y'");
    check("for i = 1, 2 do for j = 1, 2 do goto on end ::on:: end", "no error");
    check("::top:: do goto top end", "no error");
    check("function f() goto x end ::x::", "c:1: no visible label 'x' for <goto> at line 1");
}

#[test]
fn attributes() {
    check("local x <const> = 1; x = 2", "c:1: attempt to assign to const variable 'x'");
    check("local x <const> = f(); x = 2", "c:1: attempt to assign to const variable 'x'");
    check("local x <close> = f(); x = 2", "c:1: attempt to assign to const variable 'x'");
    check("local x <const> = f(); function g() x = 2 end", "c:1: attempt to assign to const variable 'x'");
    check("local x <const> = 1; function x() end", "c:1: attempt to assign to const variable 'x'");
    check("local x <const> = 1; a, x = 2", "c:1: attempt to assign to const variable 'x'");
    check("local x <const> = {}; x.y = 2", "no error");
    check("local x <konst> = 1", "c:1: unknown attribute 'konst'");
    check("local x <close>, y <close> = 1", "c:1: multiple to-be-closed variables in local list");
}

#[test]
fn limits() {
    let locals: String = (0..201).map(|i| format!("local a{i}\n")).collect();
    check(&locals, "c:202: too many local variables (limit is 200) in main function near <eof>");
    check(
        &format!("\nfunction f() {locals} end"),
        "c:203: too many local variables (limit is 200) in function at line 2 near 'end'",
    );
    let declare = |n: usize, from: usize| {
        let names: Vec<String> = (from..from + n).map(|i| format!("v{i}")).collect();
        format!("local {}\n", names.join(","))
    };
    let uses: String = (0..256).map(|i| format!("v{i}=1 ")).collect();
    check(
        &format!("{}function f()\n{}function g() {uses} end end", declare(180, 0), declare(100, 180)),
        "c:4: too many upvalues (limit is 255) in function at line 4 near '='",
    );
    let nest =
        |open: &str, middle: &str, close: &str, n: usize| format!("{}{middle}{}", open.repeat(n), close.repeat(n));
    check(&format!("x = {}", nest("(", "1", ")", 196)), "no error");
    check(&format!("x = {}", nest("(", "1", ")", 197)), "C stack overflow");
    check(&format!("x = {}", nest("(", "1", ")", 20_000)), "C stack overflow");
    check(&nest("do ", "", " end", 198), "no error");
    check(&nest("do ", "", " end", 199), "C stack overflow");
    check(&format!("x = {}a", "a .. ".repeat(20_000)), "C stack overflow");
    check(&format!("x = {}a", "- ".repeat(20_000)), "C stack overflow");
    check(&format!("x = {}a", "a ^ ".repeat(20_000)), "C stack overflow");
    check(&format!("x = {}", "{".repeat(20_000)), "C stack overflow");
    check(&format!("x = {}", "f{".repeat(20_000)), "C stack overflow");
    check(&"function f() ".repeat(20_000), "C stack overflow");
    check(&format!("{}y = 1", "a,".repeat(196)), "no error");
    check(&format!("{}y = 1", "a,".repeat(197)), "C stack overflow");
}

#[test]
fn long_chains_are_no_nesting() {
    accepted(&format!("x = a{}", " + a".repeat(100_000)));
    accepted(&format!("x = a{}", " and a".repeat(100_000)));
    accepted(&format!("x = a{}", ".a".repeat(100_000)));
    accepted(&format!("f{}", "()".repeat(100_000)));
    accepted(&format!("if a then {} end", "elseif a then ".repeat(100_000)));
    accepted(&format!("while a do {} end", "if a then break end ".repeat(100_000)));
}

#[test]
fn constants_are_folded() {
    let text = |src: &str| {
        let ast = accepted(&format!("return {src}"));
        let Some(StatKind::Return(values)) = ast.stats.last().map(|s| s.kind) else { panic!("no return") };
        let expr = ast.expr(ast.lists[values.range()][0]);
        match expr {
            Expr::Str(s) => String::from_utf8_lossy(ast.symbols.text(s)).into_owned(),
            Expr::Binary(op, ..) => format!("{op:?}"),
            Expr::Unary(op, ..) => format!("{op:?}"),
            other => format!("{other:?}"),
        }
    };
    for (src, expected) in [
        ("1 + 2 * 3", "Int(7)"),
        ("2^10", "Float(1024.0)"),
        ("7 // 2", "Int(3)"),
        ("-7 // 2.0", "Float(-4.0)"),
        ("7 % -3", "Int(-2)"),
        ("1 / 0", "Div"),
        ("1 // 0", "IDiv"),
        ("1 % 0.0", "Mod"),
        ("0.0 * 1", "Mul"),
        ("-0.0", "Neg"),
        ("-0", "Int(0)"),
        ("1e308 * 10", "Float(inf)"),
        ("3 & 5 | 8 ~ 1", "Int(9)"),
        ("1 << 62 << 1", "Int(-9223372036854775808)"),
        ("~0", "Int(-1)"),
        ("1.5 & 1", "BAnd"),
        ("2.0 | 1", "Int(3)"),
        ("not nil", "True"),
        ("not 0", "False"),
        ("1 < 2", "Lt"),
        ("'a' .. 'b'", "Concat"),
        ("'1' + 1", "Add"),
        ("true and 5", "Int(5)"),
        ("nil or 'x'", "x"),
        ("-2^2", "Float(-4.0)"),
        ("9223372036854775807 + 1", "Int(-9223372036854775808)"),
    ] {
        assert_eq!(text(src), expected, "{src}");
    }
}

#[test]
fn names_are_resolved() {
    let ast = accepted(
        "local a, b, c <const> = 1, 2, 3
         local function f(p) a = c; return function() return b + p + c, x end end
         local d <const> = c * 2",
    );
    let of = |name: &str| {
        let found = ast.locals.iter().find(|l| ast.symbols.text(l.name) == name.as_bytes());
        *found.unwrap_or_else(|| panic!("no local {name}"))
    };
    assert_eq!((of("a").captured, of("a").assigned), (true, true));
    assert_eq!((of("b").captured, of("b").assigned), (true, false));
    assert_eq!((of("p").captured, of("p").assigned), (true, false));
    assert!(matches!(of("c").constant, Some(Expr::Int(3))) && !of("c").captured);
    assert!(matches!(of("d").constant, Some(Expr::Int(6))));
    let names = |f: usize| -> Vec<String> {
        ast.functions[f]
            .upvalues
            .iter()
            .map(|u| format!("{} {:?}", String::from_utf8_lossy(ast.symbols.text(u.name)), u.capture))
            .collect()
    };
    assert_eq!(names(0), ["_ENV Environment"]);
    assert_eq!(names(1), ["a Local(LocalId(1))", "b Local(LocalId(2))", "_ENV Upvalue(0)"]);
    assert_eq!(names(2), ["b Upvalue(1)", "p Local(LocalId(5))", "_ENV Upvalue(2)"]);
    assert!(matches!(ast.functions[1].upvalues[0].capture, Capture::Local(_)));
}
