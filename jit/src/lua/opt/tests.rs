//! IR text in, passes, IR text out. Each condition of a pass that keeps it right has a case that fails without it.

#![forbid(unsafe_code)]

mod arrays;
mod closures;
mod fold;
mod forward;
mod peel;
mod range;
mod sink;
mod text;

use super::Passes;
use super::copy::{copy, copy_into};
use super::peel::{Inherited, peel};
use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::helper::Entry;
use crate::lua::ir::parse::parse;
use crate::lua::ir::verify::verify;
use crate::lua::ir::{Access, Alias, Class, Failure, Helper, Inst, Ir, Op, Ref, Ty, Type};

extern "C-unwind" fn never() {}

const fn helper(name: &'static str, args: &'static [Type], result: Type, class: Class, access: Access) -> Helper {
    Helper { name, args, result, class, access, failure: Failure::Never, entry: never as Entry }
}

static HELPERS: &[Helper] = &[
    helper("sin", &[Type::Float], Type::Float, Class::Leaf, Access::Pure),
    helper("lookup", &[Type::Table, Type::String], Type::Ptr, Class::Leaf, Access::Reads(Alias::Lookup.bit())),
    helper("newtable", &[], Type::Table, Class::Allocating, Access::Fresh),
    helper("insert", &[Type::Table], Type::Void, Class::Allocating, Access::Writes(Alias::Lookup.bit())),
    helper("native", &[], Type::Void, Class::Full, Access::Writes(0)),
    helper("bare", &[], Type::Void, Class::Allocating, Access::Writes(Alias::Slot.bit())),
    helper("tablenew", &[Type::Int, Type::Int, Type::Ptr], Type::Table, Class::Allocating, Access::Fresh),
    helper("change", &[Type::Table], Type::Void, Class::Allocating, Access::Writes(Alias::Field.bit())),
    helper("arraynew", &[Type::Table, Type::Int], Type::Ptr, Class::Allocating, Access::Fresh),
    helper("cellnew", &[], Type::Cell, Class::Allocating, Access::Fresh),
    helper("closurenew", &[Type::Ptr, Type::Int], Type::Function, Class::Allocating, Access::Fresh),
    helper("find", &[Type::Table, Type::String], Type::Ptr, Class::Leaf, Access::Reads(Alias::Field.bit())),
];

const OFF: Passes = Passes::NONE;
const FOLD: Passes = Passes { fold: true, ..OFF };
const CSE: Passes = Passes { cse: true, ..OFF };
const FWD: Passes = Passes { fwd: true, ..OFF };
const SINK: Passes = Passes { sink: true, dce: true, ..OFF };
const DSE: Passes = Passes { dse: true, ..OFF };
const DCE: Passes = Passes { dce: true, ..OFF };

fn read(text: &str) -> Ir {
    let ir = parse(text, HELPERS).unwrap_or_else(|e| panic!("{e} in\n{text}"));
    verify(&ir).unwrap_or_else(|e| panic!("{e} in\n{text}"));
    ir
}

fn same(found: &Ir, expected: &str) {
    let trim = |s: &str| s.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    let (found_text, expected) = (trim(&found.to_string()), trim(expected));
    assert!(found_text == expected, "found:\n{found_text}\n\nexpected:\n{expected}\n");
    verify(found).unwrap_or_else(|e| panic!("{e} in\n{found_text}"));
}

#[track_caller]
fn check(passes: Passes, input: &str, expected: &str) {
    let found = copy(&read(input), passes).unwrap_or_else(|e| panic!("{e}"));
    same(&found, expected);
}

/// The snapshot of a trace's end, of which nothing is needed there.
const END: &str = "snap reexec pc=99 top=4 []\n";

/// The same text with the snapshot of its end, where the interpreter goes on.
fn ended(text: &str) -> String {
    match text.split_once("link interpreter") {
        Some((body, _)) => format!("{body}\n{END}link interpreter"),
        None if text.contains("link") => text.to_owned(),
        None => format!("{text}\n{END}"),
    }
}

/// Checks what is left of objects that `made` makes of `%0`, which it loads first, and of what follows it.
#[track_caller]
fn check_made(passes: Passes, made: &str, rest: &str, expected: &str) {
    let kept = "snap reexec pc=1 top=4 []\n%0 = sload.int! #0\n";
    check(passes, &ended(&format!("{made}{rest}")), &ended(&format!("{kept}{expected}")));
}

/// The text with the passes that sink objects, verified.
fn after_sinking(text: &str) -> Ir {
    let found = copy(&read(text), SINK).unwrap_or_else(|e| panic!("{e}"));
    verify(&found).unwrap_or_else(|e| panic!("{e} in\n{found}"));
    found
}

/// How many objects are sunk before the loop of a text and in it.
fn sunk(text: &str) -> (usize, usize) {
    let found = after_sinking(text);
    let (before, body) = found.insts.split_at(found.loop_index().unwrap());
    let count = |insts: &[Inst]| insts.iter().filter(|inst| inst.op == Op::Unbuilt).count();
    (count(before), count(body))
}

/// Emits the input as a recording with all passes on and closes the loop.
fn close(input: &str) -> Result<Ir, BuildError> {
    let ir = read(input);
    let mut b = Builder::new(HELPERS, Passes::ALL);
    copy_into(&ir, &mut b)?;
    peel(&mut b, &Inherited::default())?;
    Ok(b.finish())
}

#[track_caller]
fn check_loop(input: &str, expected: &str) {
    same(&close(input).unwrap_or_else(|e| panic!("{e}")), expected);
}
