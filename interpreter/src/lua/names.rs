//! Names for messages: what the program calls the value in a register, and what it calls a function by.
//!
//! Neither is recorded. A local variable's name is known by its register and the place; for temporaries the code is read
//! from its start up to that place, to find the one instruction that can have set the register, and what that one loads
//! has a name. Where a jump makes this uncertain there is no name.
#![forbid(unsafe_code)]

use std::rc::Rc;

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::prototype::{Constant, LocalVariable, Prototype};

use super::binary::NO_NAME;

/// What debuggers and profilers call a function: by the name under which it is declared, where it has one.
pub fn declared_name(proto: &Proto) -> String {
    match &proto.name {
        Some(name) => String::from_utf8_lossy(name).into_owned(),
        None if proto.line_defined == 0 => "main_chunk".into(),
        None => format!("function_{}", proto.line_defined),
    }
}

/// A function whose code can be read.
pub trait FunctionCode {
    /// Number of words.
    fn len(&self) -> usize;
    /// There is no code.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A word of the code, as the compiler wrote it.
    fn word(&self, pc: usize) -> Word;
    /// The line of a word, 0 if unknown.
    fn line(&self, pc: usize) -> u32;
    /// A constant.
    fn constant(&self, index: usize) -> Option<Constant>;
    /// An upvalue's name.
    fn upvalue_name(&self, index: usize) -> Option<Rc<[u8]>>;
    /// The local variables.
    fn locals(&self) -> &[LocalVariable];
}

impl FunctionCode for Prototype {
    fn len(&self) -> usize {
        self.code.len()
    }
    fn word(&self, pc: usize) -> Word {
        self.code[pc]
    }
    fn line(&self, pc: usize) -> u32 {
        self.lines.get(pc).copied().unwrap_or(0)
    }
    fn constant(&self, index: usize) -> Option<Constant> {
        self.constants.get(index).cloned()
    }
    fn upvalue_name(&self, index: usize) -> Option<Rc<[u8]>> {
        self.upvalues.get(index).map(|u| u.name.clone())
    }
    fn locals(&self) -> &[LocalVariable] {
        &self.locals
    }
}

impl FunctionCode for Proto {
    fn len(&self) -> usize {
        self.code_len()
    }
    fn word(&self, pc: usize) -> Word {
        let patched = self.patched.borrow();
        patched
            .iter()
            .find_map(|&(at, word, extra)| match pc.checked_sub(at as usize)? {
                0 => Some(word),
                1 => Some(extra),
                _ => None,
            })
            .unwrap_or_else(|| Proto::word(self, pc))
    }
    fn line(&self, pc: usize) -> u32 {
        Proto::line(self, pc)
    }
    fn constant(&self, index: usize) -> Option<Constant> {
        if index >= self.constant_count() {
            return None;
        }
        let value = Proto::constant(self, index);
        Some(if let Some(s) = value.as_string() {
            Constant::String(s.bytes().into())
        } else if value.is_integer() {
            Constant::Integer(value.raw_integer())
        } else if value.is_float() {
            Constant::Float(value.raw_float())
        } else if value.is_nil() {
            Constant::Nil
        } else {
            Constant::Boolean(!value.is_falsy())
        })
    }
    fn upvalue_name(&self, index: usize) -> Option<Rc<[u8]>> {
        self.upvalues.get(index).map(|u| u.name.clone())
    }
    fn locals(&self) -> &[LocalVariable] {
        &self.locals
    }
}

/// A name and what kind of thing it names: `("local", "x")`.
pub type Named = (&'static str, Rc<[u8]>);

fn unknown() -> Rc<[u8]> {
    b"?"[..].into()
}

/// The local variable that lies in a register at a place of the code.
pub fn local_name(f: &impl FunctionCode, pc: usize, register: usize) -> Option<&LocalVariable> {
    let alive = |l: &&LocalVariable| l.start as usize <= pc && pc < l.end as usize;
    f.locals().iter().filter(alive).find(|l| usize::from(l.register) == register)
}

/// What the program calls the value in a register when the instruction at `pc` runs.
pub fn object_name(f: &impl FunctionCode, pc: usize, register: usize) -> Option<Named> {
    let mut at = Some(pc);
    if let Some(simple) = simple_name(f, &mut at, register) {
        return Some(simple);
    }
    let at = at?;
    let word = f.word(at);
    match bc::op(word) {
        Op::GetTabUp => Some((table_kind(f.upvalue_name(bc::b(word))), constant_text(f, bc::c(word)))),
        Op::GetField => Some((register_table_kind(f, at, bc::b(word)), constant_text(f, bc::c(word)))),
        Op::GetTable => {
            let mut pc = Some(at);
            let key = match simple_name(f, &mut pc, bc::c(word)) {
                Some(("constant", name)) => name,
                _ => unknown(),
            };
            // A method whose name is not among the first constants.
            let method = bc::b(word) == bc::a(word) + 1 && bc::c(word) == bc::a(word) + 2;
            Some((if method { "method" } else { register_table_kind(f, at, bc::b(word)) }, key))
        }
        Op::GetI => Some(("field", b"integer index"[..].into())),
        Op::SelfOp => Some(("method", constant_text(f, bc::c(word)))),
        _ => None,
    }
}

/// What the program calls an upvalue.
pub fn upvalue_name(f: &impl FunctionCode, index: usize) -> Option<Named> {
    let name = f.upvalue_name(index)?;
    Some(("upvalue", if &name[..] == NO_NAME { unknown() } else { name }))
}

/// What the instruction at `pc` calls: a function by its name, or a metamethod. None if there is no name for it.
pub fn call_name(f: &impl FunctionCode, pc: usize) -> Option<Named> {
    let word = f.word(pc);
    match bc::op(word) {
        Op::Call | Op::TailCall => object_name(f, pc, bc::a(word)),
        Op::TForCall => Some(("for iterator", b"for iterator"[..].into())),
        op => {
            let event = operator_event(op, bc::k(word))?;
            Some(("metamethod", event.text().trim_start_matches('_').as_bytes().into()))
        }
    }
}

/// The metamethod that an instruction may call; `k` is the instruction's bit.
pub fn operator_event(op: Op, k: bool) -> Option<Event> {
    Some(match op {
        Op::SelfOp | Op::GetTabUp | Op::GetTable | Op::GetI | Op::GetField => Event::Index,
        Op::SetTabUp | Op::SetTable | Op::SetI | Op::SetField => Event::NewIndex,
        Op::AddI | Op::AddK | Op::Add => Event::Add,
        Op::SubK | Op::Sub => Event::Sub,
        Op::MulK | Op::Mul => Event::Mul,
        Op::ModK | Op::Mod => Event::Mod,
        Op::PowK | Op::Pow => Event::Pow,
        Op::DivK | Op::Div => Event::Div,
        Op::IDivK | Op::IDiv => Event::IDiv,
        Op::BAndK | Op::BAnd => Event::BAnd,
        Op::BOrK | Op::BOr => Event::BOr,
        Op::BXorK | Op::BXor => Event::BXor,
        Op::ShrI if k => Event::Shl,
        Op::ShlI | Op::Shl => Event::Shl,
        Op::ShrI | Op::Shr => Event::Shr,
        Op::Unm => Event::Unm,
        Op::BNot => Event::BNot,
        Op::Len => Event::Len,
        Op::Concat => Event::Concat,
        Op::Eq => Event::Eq,
        Op::Lt | Op::LtI | Op::GtI => Event::Lt,
        Op::Le | Op::LeI | Op::GeI => Event::Le,
        Op::Close | Op::Return => Event::Close,
        _ => return None,
    })
}

fn constant_text(f: &impl FunctionCode, index: usize) -> Rc<[u8]> {
    match f.constant(index) {
        Some(Constant::String(text)) => text,
        _ => unknown(),
    }
}

/// Fields of `_ENV` are globals.
fn table_kind(table: Option<Rc<[u8]>>) -> &'static str {
    if table.is_some_and(|name| *name == b"_ENV"[..]) { "global" } else { "field" }
}

fn register_table_kind(f: &impl FunctionCode, pc: usize, register: usize) -> &'static str {
    match simple_name(f, &mut Some(pc), register) {
        Some(("local" | "upvalue", name)) => table_kind(Some(name)),
        _ => "field",
    }
}

/// The name of a variable or string constant in a register. Where there is none, `pc` is left at the instruction that set
/// the register, if there is one.
fn simple_name(f: &impl FunctionCode, pc: &mut Option<usize>, register: usize) -> Option<Named> {
    let mut register = register;
    loop {
        let at = (*pc)?;
        if let Some(local) = local_name(f, at, register) {
            return Some(("local", local.name.clone()));
        }
        *pc = setter(f, at, register);
        let word = f.word((*pc)?);
        match bc::op(word) {
            Op::Move if bc::b(word) < bc::a(word) => register = bc::b(word),
            Op::GetCell => return Some(("local", local_name(f, (*pc)?, bc::b(word))?.name.clone())),
            Op::GetUpval => return upvalue_name(f, bc::b(word)),
            Op::LoadK => return string_name(f, bc::bx(word)),
            Op::LoadKX => return string_name(f, f.word((*pc)? + 1) as usize),
            _ => return None,
        }
    }
}

fn string_name(f: &impl FunctionCode, index: usize) -> Option<Named> {
    match f.constant(index)? {
        Constant::String(text) => Some(("constant", text)),
        _ => None,
    }
}

/// The instruction before `end` that set a register last, if it certainly ran.
fn setter(f: &impl FunctionCode, end: usize, register: usize) -> Option<usize> {
    let mut found = None;
    let mut conditional_until = 0;
    let mut pc = 0;
    while pc < end {
        let word = f.word(pc);
        let op = bc::op(word);
        let a = bc::a(word);
        let changes = match op {
            Op::LoadNil => (a..=a + bc::b(word)).contains(&register),
            Op::TForCall => register >= a + 2,
            Op::Call | Op::TailCall => register >= a,
            Op::Jmp => {
                let target = (pc as i64 + 1 + i64::from(bc::jump(word))) as usize;
                if target <= end && target > conditional_until {
                    conditional_until = target;
                }
                false
            }
            _ => sets_a(op) && register == a,
        };
        if changes {
            found = if pc < conditional_until { None } else { Some(pc) };
        }
        pc += op.words();
    }
    found
}

/// The instruction sets the register `A`. A cell made of a variable leaves it the same variable.
fn sets_a(op: Op) -> bool {
    !matches!(
        op,
        Op::SetUpval
            | Op::NewCell
            | Op::SetCell
            | Op::SetTabUp
            | Op::SetTable
            | Op::SetI
            | Op::SetField
            | Op::Close
            | Op::Tbc
            | Op::Jmp
            | Op::JmpBack
            | Op::JJmpBack
            | Op::Eq
            | Op::Lt
            | Op::Le
            | Op::EqK
            | Op::EqI
            | Op::LtI
            | Op::LeI
            | Op::GtI
            | Op::GeI
            | Op::Test
            | Op::Return
            | Op::Return0
            | Op::Return1
            | Op::TForPrep
            | Op::TForCall
            | Op::SetList
            | Op::VarArgPrep
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lua::compile::compile;

    /// Names what the last instruction `op` of the last function in `src` takes from the register that `pick` says.
    fn name(src: &str, op: Op, pick: fn(Word) -> usize) -> String {
        let mut f = compile(src.as_bytes(), b"=c").unwrap();
        while let Some(inner) = f.functions.last().cloned() {
            f = inner;
        }
        let (mut pc, mut at) = (0, None);
        while pc < f.code.len() {
            let here = bc::op(f.code[pc]);
            at = if here == op { Some(pc) } else { at };
            pc += here.words();
        }
        let at = at.unwrap_or_else(|| panic!("no {op:?} in {src}"));
        match object_name(&*f, at, pick(f.code[at])) {
            Some((kind, name)) => format!("{kind} '{}'", String::from_utf8_lossy(&name)),
            None => "?".into(),
        }
    }

    #[test]
    fn called_functions_have_names() {
        for (src, expected) in [
            ("print(1)", "global 'print'"),
            ("local f; f()", "local 'f'"),
            ("local t; t.x.y()", "field 'y'"),
            ("local t; t:m()", "method 'm'"),
            ("local f; return function() f() end", "upvalue 'f'"),
            ("local t; t[1]()", "field 'integer index'"),
            ("local t, k; t[k]()", "field '?'"),
            ("local _ENV; x()", "global 'x'"),
            ("local _ENV = {}; return function() x() end", "global 'x'"),
            ("('x')()", "constant 'x'"),
            ("(a or b)()", "?"),
            ("local a; (a.b and a.c)()", "?"),
            ("local a <const> = 1; local f; f(a)", "local 'f'"),
        ] {
            assert_eq!(name(src, Op::Call, bc::a), expected, "{src}");
        }
        let src = "local f; do local g = function() return f end end f()";
        let main = compile(src.as_bytes(), b"=c").unwrap();
        let call = main.code.iter().rposition(|&w| bc::op_number(w) == Op::Call as u8).unwrap();
        assert_eq!(object_name(&*main, call, bc::a(main.code[call])).map(|n| n.0), Some("local"));
    }

    #[test]
    fn operands_have_names() {
        assert_eq!(name("local x; return x.y.z", Op::GetField, bc::b), "field 'y'");
        assert_eq!(name("return a.b + 1", Op::AddI, bc::b), "field 'b'");
        assert_eq!(name("local s; return s .. 'x' .. nil", Op::Concat, |w| bc::a(w) + 1), "constant 'x'");
        assert_eq!(name("local x = 1; local y = x; return -y", Op::Unm, bc::b), "local 'y'");
    }

    #[test]
    fn metamethods_are_called_by_operators() {
        let f = compile(b"local a, b = 1, 2; local c = a << 5; local d = a.x; for k in a do end", b"=c").unwrap();
        let mut names = Vec::new();
        let mut pc = 0;
        while pc < f.code.len() {
            names.extend(call_name(&*f, pc).map(|(kind, name)| format!("{kind} {}", String::from_utf8_lossy(&name))));
            pc += bc::op(f.code[pc]).words();
        }
        let expected =
            ["metamethod shl", "metamethod index", "for iterator for iterator", "metamethod close", "metamethod close"];
        assert_eq!(names, expected);
    }
}
