//! Is this a function that can be run? The operands of each instruction by themselves; [`super::flow`] follows what the
//! registers hold.

#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::function::MAX_UPVALUES;
use perilune_runtime::lua::prototype::{Constant, Prototype};
use perilune_runtime::lua::string::MAX_SHORT;

use super::flow;

pub(super) type Verdict = Result<(), String>;

/// Looks at a function and all inside of it.
pub(super) fn verify(f: &Prototype) -> Verdict {
    let code = Code::new(f)?;
    code.frame()?;
    for pc in code.places() {
        code.instruction(pc).map_err(|why| format!("{why} at instruction {pc}"))?;
    }
    flow::follow(&code)?;
    f.functions.iter().try_for_each(|inner| verify(inner))
}

/// A function whose words can be told apart.
pub(super) struct Code<'a> {
    pub f: &'a Prototype,
    /// The places where instructions begin.
    starts: Vec<bool>,
}

fn claim(holds: bool, otherwise: &str) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

impl<'a> Code<'a> {
    fn new(f: &'a Prototype) -> Result<Code<'a>, String> {
        let mut starts = vec![false; f.code.len()];
        let mut pc = 0;
        while pc < f.code.len() {
            let op = Op::from_u8(bc::op_number(f.code[pc])).ok_or("invalid instruction")?;
            claim(op == op.original(), "an instruction of compiled code")?;
            starts[pc] = true;
            pc += op.words();
        }
        claim(pc == f.code.len() && pc > 0, "an instruction is cut off")?;
        Ok(Code { f, starts })
    }

    /// The places of the instructions.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.starts.iter().enumerate().filter(|(_, start)| **start).map(|(pc, _)| pc)
    }

    pub fn word(&self, pc: usize) -> Word {
        self.f.code[pc]
    }

    /// The place behind an instruction.
    pub fn behind(&self, pc: usize) -> usize {
        pc + bc::op(self.word(pc)).words()
    }

    /// The instruction at a place, if one begins there.
    fn op_at(&self, pc: usize) -> Option<(Op, Word)> {
        let starts = self.starts.get(pc).copied().unwrap_or(false);
        starts.then(|| (bc::op(self.word(pc)), self.word(pc)))
    }

    /// What belongs to the function as a whole.
    fn frame(&self) -> Verdict {
        let f = self.f;
        claim(
            usize::from(f.max_stack) < bc::MAX_REGISTERS && f.parameters <= f.max_stack,
            "invalid number of registers",
        )?;
        claim(f.max_stack >= 1, "invalid number of registers")?;
        claim(f.upvalues.len() <= MAX_UPVALUES, "too many upvalues")?;
        claim(f.lines.is_empty() || f.lines.len() == f.code.len(), "wrong number of lines")?;
        let first = bc::op(self.word(0)) == Op::VarArgPrep;
        claim(first == f.is_vararg, "extra arguments are not prepared for")?;
        for local in &f.locals {
            let range = local.start <= local.end && local.end as usize <= f.code.len();
            claim(range && local.register < f.max_stack, "invalid local variable")?;
        }
        Ok(())
    }

    // ---- operands

    fn r(&self, register: usize) -> Verdict {
        claim(register < usize::from(self.f.max_stack), "invalid register")
    }

    fn registers(&self, list: &[usize]) -> Verdict {
        list.iter().try_for_each(|r| self.r(*r))
    }

    fn k(&self, index: usize) -> Verdict {
        claim(index < self.f.constants.len(), "invalid constant")
    }

    fn number(&self, index: usize) -> Verdict {
        let number = matches!(self.f.constants.get(index), Some(Constant::Integer(_) | Constant::Float(_)));
        claim(number, "a constant is not a number")
    }

    /// A field's name.
    fn name(&self, index: usize) -> Verdict {
        let name = matches!(self.f.constants.get(index), Some(Constant::String(s)) if s.len() <= MAX_SHORT);
        claim(name, "a constant is not a name")
    }

    fn upvalue(&self, index: usize) -> Verdict {
        claim(index < self.f.upvalues.len(), "invalid upvalue")
    }

    fn rk(&self, w: Word, index: usize) -> Verdict {
        if bc::k(w) { self.k(index) } else { self.r(index) }
    }

    /// Items that so much code can put into a table's constructor.
    fn items(&self, pc: usize) -> Verdict {
        claim(self.word(pc + 1) as usize <= self.f.code.len() * 256, "a table is too large")
    }

    /// The target of a jump.
    pub fn target(&self, pc: usize) -> Option<usize> {
        let w = self.word(pc);
        let behind = self.behind(pc) as i64;
        let to = match bc::op(w) {
            Op::Jmp | Op::JmpBack => behind + i64::from(bc::jump(w)),
            Op::ForPrep | Op::TForPrep => behind + bc::bx(w) as i64,
            Op::ForLoop | Op::TForLoop => behind - bc::bx(w) as i64,
            Op::LFalseSkip => behind + 1,
            _ => return None,
        };
        usize::try_from(to).ok()
    }

    fn jump(&self, pc: usize) -> Verdict {
        let to = self.target(pc);
        claim(to.is_some_and(|to| self.op_at(to).is_some()), "invalid jump")?;
        claim(!self.f.is_vararg || to != Some(0), "extra arguments are prepared for twice")?;
        // Only back edges are asked whether the program shall stop.
        let back = to.is_some_and(|to| to <= pc);
        let is_back = matches!(bc::op(self.word(pc)), Op::JmpBack | Op::ForLoop | Op::TForLoop);
        claim(back == is_back, "a jump goes the wrong way")
    }

    /// A test is followed by the jump that it controls, and by what comes when it is skipped.
    fn test(&self, pc: usize) -> Verdict {
        let jump = self.op_at(pc + 1).is_some_and(|(op, _)| op == Op::Jmp);
        claim(jump && self.op_at(pc + 2).is_some(), "a test without a jump")
    }

    /// The instructions that make up a loop belong together.
    fn matching(&self, pc: usize, other: Option<usize>, op: Op) -> Verdict {
        let found = other.and_then(|at| self.op_at(at));
        claim(found.is_some_and(|(o, w)| o == op && bc::a(w) == bc::a(self.word(pc))), "a loop is in pieces")
    }

    fn numeric_loop(&self, pc: usize, op: Op) -> Verdict {
        self.r(bc::a(self.word(pc)) + 3)?;
        self.jump(pc)?;
        let to = self.target(pc);
        if op == Op::ForLoop {
            return self.matching(pc, to.and_then(|to| to.checked_sub(1)), Op::ForPrep);
        }
        let repeat = to.and_then(|to| to.checked_sub(2));
        self.matching(pc, repeat, Op::ForLoop)?;
        claim(repeat.and_then(|at| self.target(at)) == Some(pc + 1), "a loop is in pieces")
    }

    fn generic_loop(&self, pc: usize, op: Op) -> Verdict {
        self.r(bc::a(self.word(pc)) + 6)?;
        match op {
            Op::TForPrep => {
                self.jump(pc)?;
                let call = self.target(pc);
                self.matching(pc, call, Op::TForCall)?;
                let repeat = call.and_then(|at| self.target(at + 1));
                claim(repeat == Some(pc + 1), "a loop is in pieces")
            }
            Op::TForCall => {
                let results = bc::c(self.word(pc));
                claim(results > 0, "a loop without variables")?;
                self.r(bc::a(self.word(pc)) + 3 + results)?;
                self.matching(pc, Some(pc + 1), Op::TForLoop)
            }
            _ => {
                self.jump(pc)?;
                self.matching(pc, pc.checked_sub(1), Op::TForCall)?;
                self.matching(pc, self.target(pc).and_then(|to| to.checked_sub(1)), Op::TForPrep)
            }
        }
    }

    fn call(&self, pc: usize, op: Op) -> Verdict {
        let w = self.word(pc);
        let (a, b, c) = (bc::a(w), bc::b(w), bc::c(w));
        self.r(a + b.max(1) - 1)?;
        if op == Op::Call {
            return self.r(a + c.max(2) - 2);
        }
        let next = self.op_at(pc + 1);
        let returns = next.is_some_and(|(op, w)| op == Op::Return && bc::a(w) == a && bc::b(w) == 0);
        claim(returns, "a tail call without a return")
    }

    fn instruction(&self, pc: usize) -> Verdict {
        let w = self.word(pc);
        let op = bc::op(w);
        let (a, b, c) = (bc::a(w), bc::b(w), bc::c(w));
        match op {
            Op::LoadI | Op::LoadF | Op::LoadFalse | Op::LoadTrue | Op::NewCell | Op::Close | Op::Tbc => self.r(a),
            Op::Move | Op::GetCell | Op::GetI | Op::AddI | Op::ShrI | Op::ShlI => self.registers(&[a, b]),
            Op::Unm | Op::BNot | Op::Not | Op::Len => self.registers(&[a, b]),
            Op::LoadK => self.r(a).and(self.k(bc::bx(w))),
            Op::LoadKX => self.r(a).and(self.k(self.word(pc + 1) as usize)),
            Op::LFalseSkip => self.r(a).and(claim(self.op_at(pc + 1).is_some(), "invalid jump")).and(self.jump(pc)),
            Op::LoadNil => self.r(a + b),
            Op::GetUpval | Op::SetUpval => self.r(a).and(self.upvalue(b)),
            Op::SetCell => self.r(a).and(self.rk(w, b)),
            Op::GetTabUp => self.r(a).and(self.upvalue(b)).and(self.name(c)),
            Op::GetField => self.registers(&[a, b]).and(self.name(c)),
            Op::SetTabUp => self.upvalue(a).and(self.name(b)).and(self.rk(w, c)),
            Op::SetTable => self.registers(&[a, b]).and(self.rk(w, c)),
            Op::SetI => self.r(a).and(self.rk(w, c)),
            Op::SetField => self.r(a).and(self.name(b)).and(self.rk(w, c)),
            Op::NewTable => self.r(a).and(self.items(pc)),
            Op::SetList => self.r(a + b).and(self.items(pc)),
            Op::SelfOp => self.registers(&[a + 1, b]).and(self.name(c)),
            Op::AddK | Op::SubK | Op::MulK | Op::ModK | Op::PowK | Op::DivK | Op::IDivK => {
                self.registers(&[a, b]).and(self.number(c))
            }
            Op::BAndK | Op::BOrK | Op::BXorK => self.registers(&[a, b]).and(self.number(c)),
            Op::GetTable | Op::Add | Op::Sub | Op::Mul | Op::Mod | Op::Pow | Op::Div | Op::IDiv => {
                self.registers(&[a, b, c])
            }
            Op::BAnd | Op::BOr | Op::BXor | Op::Shl | Op::Shr => self.registers(&[a, b, c]),
            Op::Concat => claim(b >= 2, "nothing is concatenated").and(self.r(a + b.max(1) - 1)),
            Op::Jmp | Op::JmpBack => self.jump(pc),
            Op::Eq | Op::Lt | Op::Le | Op::TestSet => self.registers(&[a, b]).and(self.test(pc)),
            Op::EqK => self.r(a).and(self.k(b)).and(self.test(pc)),
            Op::EqI | Op::LtI | Op::LeI | Op::GtI | Op::GeI | Op::Test => self.r(a).and(self.test(pc)),
            Op::Call | Op::TailCall => self.call(pc, op),
            Op::Return if b >= 2 => self.r(a + b - 2),
            Op::Return => Ok(()),
            Op::Return0 => claim(!self.f.is_vararg, "a return leaves extra arguments"),
            Op::Return1 => self.r(a).and(claim(!self.f.is_vararg, "a return leaves extra arguments")),
            Op::ForPrep | Op::ForLoop => self.numeric_loop(pc, op),
            Op::TForPrep | Op::TForCall | Op::TForLoop => self.generic_loop(pc, op),
            Op::Closure => self.r(a).and(claim(bc::bx(w) < self.f.functions.len(), "invalid function")),
            Op::VarArg => {
                claim(self.f.is_vararg, "there are no extra arguments").and(self.r(a)).and(self.r(a + c.max(2) - 2))
            }
            Op::VarArgPrep => {
                claim(pc == 0 && a == usize::from(self.f.parameters), "extra arguments are not prepared for")
            }
            Op::JJmpBack | Op::JForLoop | Op::JTForLoop => Err("an instruction of compiled code".into()),
        }
    }
}
