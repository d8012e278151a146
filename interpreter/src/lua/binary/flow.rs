//! What the registers of a function hold, followed along all ways through its code.
//!
//! A register holds a value, a captured variable's cell or part of a numeric loop's state; where ways meet that disagree,
//! or what it held has been overwritten, it is not set, and must not be read. Two more things are followed: an open number of
//! values on the top, which the very next instruction must take, and the variables that wait to be closed.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};

use super::verify::{Code, Verdict};

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Unset,
    Value,
    Cell,
    /// A numeric loop's index, rounds left or step.
    Loop(u8),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Registers {
    held: Vec<Held>,
    /// From this register on there are values up to the top.
    open: Option<usize>,
    /// The variables that may wait to be closed, in order.
    closing: Vec<usize>,
}

fn claim(holds: bool, otherwise: &str) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

impl Registers {
    fn get(&self, r: usize) -> Verdict {
        claim(self.held[r] == Held::Value, "a register without a value is read")
    }

    fn get_range(&self, first: usize, count: usize) -> Verdict {
        (first..first + count).try_for_each(|r| self.get(r))
    }

    fn cell(&self, r: usize) -> Verdict {
        claim(self.held[r] == Held::Cell, "a register without a cell is read")
    }

    fn set(&mut self, r: usize, held: Held) {
        self.held[r] = held;
    }

    fn set_range(&mut self, first: usize, count: usize) {
        self.held[first..first + count].fill(Held::Value);
    }

    /// From this register on all may be overwritten.
    fn lose(&mut self, first: usize) {
        if let Some(lost) = self.held.get_mut(first..) {
            lost.fill(Held::Unset);
        }
    }

    /// Reads `count` registers, or with none given those up to the top.
    fn take(&mut self, first: usize, count: Option<usize>) -> Verdict {
        let Some(count) = count else {
            let open = self.open.take().ok_or("a number of values is not known")?;
            claim(first <= open, "values are missing below the top")?;
            return self.get_range(first, open - first);
        };
        self.get_range(first, count)
    }

    /// Results, of which there may be an open number.
    fn give(&mut self, first: usize, count: Option<usize>) {
        self.lose(first);
        match count {
            Some(count) => self.set_range(first, count),
            None => self.open = Some(first),
        }
    }

    /// Another way comes to the same place. Answers whether that changed anything.
    fn meet(&mut self, other: &Registers) -> Result<bool, String> {
        claim(self.open == other.open, "ways with different numbers of values meet")?;
        let mut changed = false;
        for r in &other.closing {
            if let Err(place) = self.closing.binary_search(r) {
                self.closing.insert(place, *r);
                changed = true;
            }
        }
        for (held, other) in self.held.iter_mut().zip(&other.held) {
            if held != other && *held != Held::Unset {
                *held = Held::Unset;
                changed = true;
            }
        }
        Ok(changed)
    }
}

/// Where an instruction goes on, and with what in the registers.
type Ways = Vec<(usize, Registers)>;

/// Follows the code from its beginning.
pub(super) fn follow(code: &Code<'_>) -> Verdict {
    let mut held = vec![Held::Unset; usize::from(code.f.max_stack)];
    held[..usize::from(code.f.parameters)].fill(Held::Value);
    let start = Registers { held, open: None, closing: Vec::new() };
    let meeting: Vec<bool> = meeting_places(code);
    let mut known: HashMap<usize, Registers> = HashMap::new();
    let mut work = vec![(0, start)];
    while let Some((mut pc, mut registers)) = work.pop() {
        loop {
            if meeting[pc] {
                if let Some(before) = known.get_mut(&pc) {
                    if !before.meet(&registers).map_err(|why| format!("{why} at instruction {pc}"))? {
                        break;
                    }
                    registers = before.clone();
                } else {
                    known.insert(pc, registers.clone());
                }
            }
            names(code, pc, &registers)?;
            let mut ways = step(code, pc, registers).map_err(|why| format!("{why} at instruction {pc}"))?;
            let Some(next) = ways.pop() else { break };
            work.append(&mut ways);
            (pc, registers) = next;
            claim(pc < code.f.code.len(), "the code has no end")?;
        }
    }
    Ok(())
}

/// Places to which more than one way may lead.
fn meeting_places(code: &Code<'_>) -> Vec<bool> {
    let mut places = vec![false; code.f.code.len()];
    for pc in code.places() {
        if let Some(to) = code.target(pc) {
            places[to] = true;
        }
        if is_test(bc::op(code.word(pc))) {
            places[pc + 2] = true;
        }
    }
    places
}

fn is_test(op: Op) -> bool {
    use Op::{Eq, EqI, EqK, GeI, GtI, Le, LeI, Lt, LtI, Test, TestSet};
    matches!(op, Eq | Lt | Le | EqK | EqI | LtI | LeI | GtI | GeI | Test | TestSet)
}

/// A variable that debugging may assign to must not be part of a loop's state.
fn names(code: &Code<'_>, pc: usize, registers: &Registers) -> Verdict {
    if !registers.held.iter().any(|held| matches!(held, Held::Loop(_))) {
        return Ok(());
    }
    let alive = code.f.locals.iter().filter(|l| (l.start as usize..l.end as usize).contains(&pc));
    for local in alive.filter(|l| l.name.first() != Some(&b'(')) {
        let held = registers.held[usize::from(local.register)];
        claim(!matches!(held, Held::Loop(_)), "a loop's state is a variable")?;
    }
    Ok(())
}

/// The count that an operand stands for: 0 is an open one.
fn counted(operand: usize) -> Option<usize> {
    operand.checked_sub(1)
}

fn step(code: &Code<'_>, pc: usize, mut s: Registers) -> Result<Ways, String> {
    let w = code.word(pc);
    let op = bc::op(w);
    let (a, b) = (bc::a(w), bc::b(w));
    let takes = matches!(op, Op::Call | Op::TailCall | Op::Return | Op::SetList) && b == 0;
    claim(s.open.is_none() || takes, "a number of values gets lost")?;
    let behind = code.behind(pc);
    let target = code.target(pc).unwrap_or(behind);
    match op {
        Op::Jmp | Op::JmpBack => Ok(vec![(target, s)]),
        Op::LFalseSkip => {
            s.set(a, Held::Value);
            Ok(vec![(target, s)])
        }
        Op::Return | Op::Return0 | Op::Return1 => {
            let count = if op == Op::Return { counted(b) } else { Some(usize::from(op == Op::Return1)) };
            s.take(a, count)?;
            let closes = op == Op::Return && bc::k(w);
            claim(closes || s.closing.is_empty(), "a variable is not closed")?;
            Ok(Vec::new())
        }
        Op::ForPrep | Op::ForLoop | Op::TForPrep | Op::TForLoop => loops(op, a, (behind, target), s),
        _ if is_test(op) => test(op, w, pc, s),
        _ => {
            simple(code, pc, &mut s)?;
            Ok(vec![(behind, s)])
        }
    }
}

fn test(op: Op, w: Word, pc: usize, mut s: Registers) -> Result<Ways, String> {
    let (a, b) = (bc::a(w), bc::b(w));
    if op != Op::TestSet {
        s.get(a)?;
    }
    if matches!(op, Op::Eq | Op::Lt | Op::Le | Op::TestSet) {
        s.get(b)?;
    }
    let skipped = s.clone();
    if op == Op::TestSet {
        s.set(a, Held::Value);
    }
    Ok(vec![(pc + 2, skipped), (pc + 1, s)])
}

fn loops(op: Op, a: usize, (behind, target): (usize, usize), mut s: Registers) -> Result<Ways, String> {
    let state = [Held::Loop(0), Held::Loop(1), Held::Loop(2)];
    match op {
        Op::ForPrep => s.get_range(a, 3)?,
        Op::ForLoop => claim(s.held[a..a + 3] == state, "a loop without a state")?,
        Op::TForLoop => s.get(a + 4)?,
        _ => {
            s.get_range(a, 4)?;
            s.closing.push(a + 3);
            return Ok(vec![(target, s)]);
        }
    }
    let mut done = s.clone();
    if op != Op::TForLoop {
        s.held[a..a + 3].copy_from_slice(&state);
        s.set(a + 3, Held::Value);
        done.held[a..a + 4].fill(Held::Unset);
    }
    let (into, out) = if op == Op::ForPrep { (behind, target) } else { (target, behind) };
    Ok(vec![(out, done), (into, s)])
}

/// What is read at `RK(index)`.
fn rk(s: &Registers, w: Word, index: usize) -> Verdict {
    if bc::k(w) { Ok(()) } else { s.get(index) }
}

/// Instructions that go on behind themselves.
fn simple(code: &Code<'_>, pc: usize, s: &mut Registers) -> Verdict {
    let w = code.word(pc);
    let op = bc::op(w);
    let (a, b, c) = (bc::a(w), bc::b(w), bc::c(w));
    match op {
        Op::SetUpval => return s.get(a),
        Op::SetTabUp => return rk(s, w, c),
        Op::SetTable => return s.get(a).and(s.get(b)).and(rk(s, w, c)),
        Op::SetI | Op::SetField => return s.get(a).and(rk(s, w, c)),
        Op::SetCell => return s.cell(a).and(rk(s, w, b)),
        Op::VarArgPrep => return Ok(()),
        Op::NewCell => {
            s.get(a)?;
            s.set(a, Held::Cell);
            return Ok(());
        }
        Op::Close => {
            s.closing.retain(|r| *r < a);
            return Ok(());
        }
        Op::Tbc => {
            s.get(a)?;
            claim(s.closing.last().is_none_or(|last| *last < a), "variables are closed out of order")?;
            s.closing.push(a);
            return Ok(());
        }
        _ => {}
    }
    match op {
        Op::LoadNil => s.set_range(a, b + 1),
        Op::SelfOp => {
            s.get(b)?;
            s.set_range(a, 2);
        }
        Op::Call => {
            s.take(a, (b > 0).then_some(b))?;
            s.give(a, counted(c));
        }
        Op::TailCall => {
            s.take(a, (b > 0).then_some(b))?;
            claim(s.closing.is_empty(), "a variable is not closed")?;
            s.give(a, None);
        }
        Op::TForCall => {
            s.get_range(a, 4)?;
            s.give(a + 4, Some(c));
        }
        Op::VarArg => s.give_above(a, counted(c)),
        Op::SetList => {
            s.get(a)?;
            s.take(a + 1, if b == 0 { None } else { Some(b) })?;
        }
        Op::Concat => {
            s.get_range(a, b)?;
            s.give(a, Some(1));
        }
        Op::NewTable => s.give(a, Some(1)),
        Op::Closure => {
            captures(code, bc::bx(w), a, s)?;
            s.give(a, Some(1));
        }
        _ => {
            reads(op, b, c, s)?;
            s.set(a, Held::Value);
        }
    }
    Ok(())
}

/// The operands of instructions that compute a value.
fn reads(op: Op, b: usize, c: usize, s: &Registers) -> Verdict {
    use Op::{Add, BAnd, BOr, BXor, Div, GetTable, IDiv, Mod, Mul, Pow, Shl, Shr, Sub};
    match op {
        Op::LoadI | Op::LoadF | Op::LoadK | Op::LoadKX | Op::LoadFalse | Op::LoadTrue => Ok(()),
        Op::GetUpval | Op::GetTabUp => Ok(()),
        Op::GetCell => s.cell(b),
        GetTable | Add | Sub | Mul | Mod | Pow | Div | IDiv | BAnd | BOr | BXor | Shl | Shr => s.get(b).and(s.get(c)),
        _ => s.get(b),
    }
}

/// What a new closure captures is there, below it.
fn captures(code: &Code<'_>, function: usize, a: usize, s: &Registers) -> Verdict {
    for upvalue in &code.f.functions[function].upvalues {
        let index = usize::from(upvalue.index);
        if upvalue.in_register {
            claim(index < a, "invalid register")?;
            s.cell(index)?;
        } else {
            claim(index < code.f.upvalues.len(), "invalid upvalue")?;
        }
    }
    Ok(())
}

impl Registers {
    /// As [`Registers::give`], where what lies above a known number of values stays.
    fn give_above(&mut self, first: usize, count: Option<usize>) {
        match count {
            Some(count) => self.set_range(first, count),
            None => self.give(first, None),
        }
    }
}
