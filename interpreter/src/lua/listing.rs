//! Bytecode as text, for dumps and tests: a line for each instruction with its place, line, operands, and what they mean.
#![forbid(unsafe_code)]

use std::fmt::Write;

use perilune_runtime::lua::bytecode::{self as bc, Extra, Layout, Op};
use perilune_runtime::lua::number;
use perilune_runtime::lua::prototype::{Constant, Prototype};

use super::names::FunctionCode;

/// The text of a function and of those inside it.
pub fn listing(f: &Prototype) -> String {
    let mut out = String::new();
    write_function(&mut out, f, "main");
    out
}

fn write_function(out: &mut String, f: &Prototype, path: &str) {
    let dots = if f.is_vararg { "+" } else { "" };
    // Writing into a string cannot fail.
    let _ = writeln!(
        out,
        "function {path} <{},{}>: parameters {}{dots}, registers {}, caches {}",
        f.line_defined, f.last_line_defined, f.parameters, f.max_stack, f.caches
    );
    for (n, u) in f.upvalues.iter().enumerate() {
        let place = if u.in_register { 'R' } else { 'U' };
        let constant = if u.constant { " constant" } else { "" };
        let _ = writeln!(out, "  U{n} {} = {place}{}{constant}", String::from_utf8_lossy(&u.name), u.index);
    }
    for l in &f.locals {
        let cell = if l.in_cell { " cell" } else { "" };
        let _ = writeln!(out, "  R{} {} {}..{}{cell}", l.register, String::from_utf8_lossy(&l.name), l.start, l.end);
    }
    write_code(out, f);
    for (n, inner) in f.functions.iter().enumerate() {
        write_function(out, inner, &format!("{path}.{n}"));
    }
}

/// Appends the instructions of a function, one a line.
pub fn write_code(out: &mut String, f: &impl FunctionCode) {
    let mut pc = 0;
    while pc < f.len() {
        let _ = writeln!(out, "{pc:5} [{}] {}", f.line(pc), instruction(f, pc));
        pc += bc::op(f.word(pc)).words();
    }
}

/// The text of the instruction at `pc`.
pub fn instruction(f: &impl FunctionCode, pc: usize) -> String {
    let word = f.word(pc);
    let op = bc::op(word);
    let mut text = format!("{:<11}", op.text());
    let mut operands: Vec<String> = Vec::new();
    match op.layout() {
        Layout::Abc => {
            let count = abc_operands(op);
            operands.extend([bc::a(word), bc::b(word), bc::c(word)][..count].iter().map(usize::to_string));
            if bc::k(word) {
                operands.push("k".into());
            }
        }
        Layout::ABx => operands.extend([bc::a(word).to_string(), bc::bx(word).to_string()]),
        Layout::AsBx => operands.extend([bc::a(word).to_string(), bc::sbx(word).to_string()]),
        Layout::J => operands.push(bc::jump(word).to_string()),
    }
    if op.extra() == Extra::Wide {
        operands.push(format!("({})", f.word(pc + 1)));
    }
    text.push_str(&operands.join(" "));
    let note = note(f, pc);
    if !note.is_empty() {
        let _ = write!(text, " ; {note}");
    }
    text
}

/// How many of `A`, `B` and `C` an instruction uses.
fn abc_operands(op: Op) -> usize {
    match op {
        Op::LoadKX
        | Op::LoadFalse
        | Op::LFalseSkip
        | Op::LoadTrue
        | Op::NewCell
        | Op::Close
        | Op::Tbc
        | Op::Return0
        | Op::Return1
        | Op::VarArgPrep
        | Op::Test => 1,
        Op::Move
        | Op::LoadNil
        | Op::GetUpval
        | Op::SetUpval
        | Op::GetCell
        | Op::SetCell
        | Op::NewTable
        | Op::Unm
        | Op::BNot
        | Op::Not
        | Op::Len
        | Op::Concat
        | Op::Eq
        | Op::Lt
        | Op::Le
        | Op::EqK
        | Op::EqI
        | Op::TestSet
        | Op::TailCall
        | Op::Return
        | Op::SetList => 2,
        _ => 3,
    }
}

fn note(f: &impl FunctionCode, pc: usize) -> String {
    let word = f.word(pc);
    let (b, c) = (bc::b(word), bc::c(word));
    let after = pc as i64 + bc::op(word).words() as i64;
    let rk = |index: usize| if bc::k(word) { constant(f, index) } else { String::new() };
    let upvalue = |n: usize| match f.upvalue_name(n) {
        Some(name) => String::from_utf8_lossy(&name).into_owned(),
        None => "?".into(),
    };
    let joined = |parts: &[String]| parts.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    match bc::op(word) {
        Op::LoadK => constant(f, bc::bx(word)),
        Op::LoadKX => constant(f, f.word(pc + 1) as usize),
        Op::GetUpval | Op::SetUpval => upvalue(b),
        Op::GetTabUp => joined(&[upvalue(b), constant(f, c)]),
        Op::GetField | Op::SelfOp => constant(f, c),
        Op::SetTabUp => joined(&[upvalue(bc::a(word)), constant(f, b), rk(c)]),
        Op::SetField => joined(&[constant(f, b), rk(c)]),
        Op::SetTable | Op::SetI => rk(c),
        Op::SetCell => rk(b),
        Op::AddK | Op::SubK | Op::MulK | Op::ModK | Op::PowK | Op::DivK | Op::IDivK => constant(f, c),
        Op::BAndK | Op::BOrK | Op::BXorK => constant(f, c),
        Op::AddI | Op::ShrI | Op::ShlI => bc::sc(word).to_string(),
        Op::EqK => constant(f, b),
        Op::EqI | Op::LtI | Op::LeI | Op::GtI | Op::GeI => bc::sb(word).to_string(),
        Op::Jmp | Op::JmpBack | Op::JJmpBack => format!("to {}", after + i64::from(bc::jump(word))),
        Op::ForPrep | Op::TForPrep => format!("to {}", after + bc::bx(word) as i64),
        Op::ForLoop | Op::TForLoop | Op::JForLoop | Op::JTForLoop => format!("to {}", after - bc::bx(word) as i64),
        _ => String::new(),
    }
}

fn constant(f: &impl FunctionCode, index: usize) -> String {
    match f.constant(index) {
        Some(Constant::Nil) => "nil".into(),
        Some(Constant::Boolean(b)) => b.to_string(),
        Some(Constant::Integer(i)) => i.to_string(),
        Some(Constant::Float(x)) => String::from_utf8_lossy(&number::to_text(number::Number::Float(x))).into_owned(),
        Some(Constant::String(s)) => format!("\"{}\"", s.escape_ascii()),
        None => "?".into(),
    }
}
