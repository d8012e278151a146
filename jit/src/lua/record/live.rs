//! Which registers are live where: what a snapshot must hold.
//!
//! A backward data-flow analysis over a prototype's original code. A register is live at an instruction if it may be read
//! before it is written. Instructions with an open number of operands read all registers from their first one on. A variable
//! is live wherever it is in scope: the debug library may look at it, for instance from the handler of an error.

#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::prototype::LocalVariable;

/// A set of registers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Registers([u64; 4]);

impl Registers {
    /// Is it in the set?
    pub fn contains(&self, r: usize) -> bool {
        r < 256 && self.0[r / 64] & 1 << (r % 64) != 0
    }

    fn add(&mut self, r: usize) {
        self.0[r / 64] |= 1 << (r % 64);
    }

    fn remove(&mut self, r: usize) {
        self.0[r / 64] &= !(1 << (r % 64));
    }

    fn add_from(&mut self, first: usize, limit: usize) {
        (first..limit).for_each(|r| self.add(r));
    }

    fn remove_from(&mut self, first: usize, limit: usize) {
        (first..limit).for_each(|r| self.remove(r));
    }

    fn union(&mut self, other: &Registers) -> bool {
        let old = *self;
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
        *self != old
    }
}

/// The registers that are live before each word of the code.
#[derive(Debug)]
pub struct Liveness(Vec<Registers>);

impl Liveness {
    /// The live registers before the instruction at `pc`.
    pub fn at(&self, pc: usize) -> Registers {
        self.0.get(pc).copied().unwrap_or_default()
    }

    /// The live registers while the instruction at `pc` waits for a metamethod. What is alive behind it is so before it, but for
    /// what the result will be assigned to, and for what it has assigned already.
    pub fn within(&self, pc: usize, w: Word) -> Registers {
        let mut live = self.at(pc);
        match bc::op(w) {
            Op::SelfOp => live.add(bc::a(w) + 1),
            // The values that wait may be more than there are registers.
            Op::Return => live.add_from(0, 256),
            _ => {}
        }
        live
    }

    /// Analyses a function with `max_stack` registers.
    pub fn new(code: &[Word], max_stack: usize, variables: &[LocalVariable]) -> Liveness {
        let mut live = vec![Registers::default(); code.len() + 2];
        let starts: Vec<usize> = starts(code);
        let mut changed = true;
        while changed {
            changed = false;
            for &pc in starts.iter().rev() {
                let mut set = Registers::default();
                for next in successors(code, pc).into_iter().flatten() {
                    set.union(&live[next]);
                }
                transfer(code, pc, max_stack, &mut set);
                changed |= live[pc].union(&set);
            }
        }
        for variable in variables {
            let scope = variable.start as usize..(variable.end as usize).min(code.len());
            live[scope].iter_mut().for_each(|set| set.add(variable.register.into()));
        }
        for (register, scope) in starts.iter().filter_map(|&pc| closing_scope(code, pc)) {
            live[scope].iter_mut().for_each(|set| set.add(register));
        }
        Liveness(live)
    }
}

fn starts(code: &[Word]) -> Vec<usize> {
    let mut list = Vec::new();
    let mut pc = 0;
    while pc < code.len() {
        list.push(pc);
        pc += bc::op(code[pc]).words();
    }
    list
}

/// The register of a variable that an instruction marks to be closed, and how far that may reach: an error closes it from anywhere.
fn closing_scope(code: &[Word], pc: usize) -> Option<(usize, std::ops::Range<usize>)> {
    let w = code[pc];
    match bc::op(w) {
        Op::Tbc => Some((bc::a(w), pc..code.len())),
        Op::TForPrep => Some((bc::a(w) + 3, pc..(pc + 1 + bc::bx(w)).min(code.len()))),
        _ => None,
    }
}

fn offset(pc: usize, distance: i64) -> Option<usize> {
    usize::try_from(pc as i64 + distance).ok()
}

/// Where control may go behind an instruction.
fn successors(code: &[Word], pc: usize) -> [Option<usize>; 2] {
    let w = code[pc];
    let op = bc::op(w);
    let next = pc + op.words();
    match op {
        Op::Jmp | Op::JmpBack | Op::JJmpBack => [offset(next, bc::jump(w).into()), None],
        Op::LFalseSkip => [Some(next + 1), None],
        Op::Eq
        | Op::Lt
        | Op::Le
        | Op::EqK
        | Op::EqI
        | Op::LtI
        | Op::LeI
        | Op::GtI
        | Op::GeI
        | Op::Test
        | Op::TestSet => [Some(next), Some(next + 1)],
        Op::ForPrep => [Some(next), offset(next, bc::bx(w) as i64)],
        Op::TForPrep => [offset(next, bc::bx(w) as i64), None],
        Op::ForLoop | Op::JForLoop | Op::TForLoop | Op::JTForLoop => [Some(next), offset(next, -(bc::bx(w) as i64))],
        Op::Return | Op::Return0 | Op::Return1 | Op::TailCall => [None, None],
        _ => [Some(next), None],
    }
}

/// Turns what is live behind an instruction into what is live before it.
fn transfer(code: &[Word], pc: usize, max: usize, set: &mut Registers) {
    let w = code[pc];
    let (a, b, c) = (bc::a(w), bc::b(w), bc::c(w));
    let operands = |set: &mut Registers, first: usize, count: usize| {
        set.add_from(first, if count == 0 { max } else { (first + count).min(max) });
    };
    match bc::op(w) {
        Op::Move
        | Op::GetI
        | Op::GetField
        | Op::Unm
        | Op::BNot
        | Op::Not
        | Op::Len
        | Op::GetCell
        | Op::AddI
        | Op::AddK
        | Op::SubK
        | Op::MulK
        | Op::ModK
        | Op::PowK
        | Op::DivK
        | Op::IDivK
        | Op::BAndK
        | Op::BOrK
        | Op::BXorK
        | Op::ShrI
        | Op::ShlI => {
            set.remove(a);
            set.add(b);
        }
        Op::GetTable
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Mod
        | Op::Pow
        | Op::Div
        | Op::IDiv
        | Op::BAnd
        | Op::BOr
        | Op::BXor
        | Op::Shl
        | Op::Shr => {
            set.remove(a);
            set.add(b);
            set.add(c);
        }
        Op::LoadI
        | Op::LoadF
        | Op::LoadK
        | Op::LoadKX
        | Op::LoadFalse
        | Op::LFalseSkip
        | Op::LoadTrue
        | Op::GetUpval
        | Op::GetTabUp => set.remove(a),
        // A new temporary: those above are free.
        Op::NewTable => set.remove_from(a, max),
        // So is this. A closure captures the cells of registers; which ones its prototype says.
        Op::Closure => {
            set.remove_from(a, max);
            set.add_from(0, a);
        }
        Op::LoadNil => set.remove_from(a, (a + b + 1).min(max)),
        Op::SetUpval | Op::NewCell | Op::Tbc => set.add(a),
        // To-be-closed variables are found in their slots.
        Op::Close => set.add_from(a, max),
        Op::SetCell => {
            set.add(a);
            if !bc::k(w) {
                set.add(b);
            }
        }
        Op::SetTabUp => {
            if !bc::k(w) {
                set.add(c);
            }
        }
        Op::SetTable => {
            set.add(a);
            set.add(b);
            if !bc::k(w) {
                set.add(c);
            }
        }
        Op::SetI | Op::SetField => {
            set.add(a);
            if !bc::k(w) {
                set.add(c);
            }
        }
        Op::SelfOp => {
            set.remove(a);
            set.remove(a + 1);
            set.add(b);
        }
        Op::Concat => {
            set.add_from(a, a + b);
        }
        Op::Eq | Op::Lt | Op::Le => {
            set.add(a);
            set.add(b);
        }
        Op::EqK | Op::EqI | Op::LtI | Op::LeI | Op::GtI | Op::GeI | Op::Test => set.add(a),
        // R[A] is written on one way out only: it stays live if it is live on the other.
        Op::TestSet => set.add(b),
        Op::Call => {
            set.remove_from(a, if c == 0 { max } else { (a + c - 1).min(max) });
            operands(set, a, b);
        }
        Op::TailCall => operands(set, a, b),
        Op::Return => {
            if b == 0 {
                set.add_from(a, max);
            } else {
                set.add_from(a, a + b - 1);
            }
            // To-be-closed variables are found in their slots.
            if bc::k(w) {
                set.add_from(0, max);
            }
        }
        Op::Return1 => set.add(a),
        Op::ForPrep => set.add_from(a, a + 3),
        Op::ForLoop | Op::JForLoop => {
            set.remove(a + 3);
            set.add_from(a, a + 3);
        }
        Op::TForPrep => set.add_from(a, a + 4),
        Op::TForCall => {
            set.remove_from(a + 4, (a + 4 + c).min(max));
            set.add_from(a, a + 4);
        }
        Op::TForLoop | Op::JTForLoop => {
            set.add(a + 4);
            set.add_from(a, a + 4);
        }
        Op::SetList => {
            set.add(a);
            if b == 0 {
                set.add_from(a, max);
            } else {
                set.add_from(a, a + b + 1);
            }
        }
        Op::VarArg => {
            if c != 0 {
                set.remove_from(a, (a + c - 1).min(max));
            }
        }
        Op::VarArgPrep | Op::Return0 | Op::Jmp | Op::JmpBack | Op::JJmpBack => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_keeps_what_its_head_reads() {
        // r0 = r0 + r1; r2 = r0; back to the start; r3 is never read.
        let code = [
            bc::abc(Op::Add, 0, 0, 1, false),
            bc::abc(Op::Move, 2, 0, 0, false),
            bc::sj(Op::JmpBack, -4),
            0,
            bc::abc(Op::Return1, 2, 0, 0, false),
        ];
        let live = Liveness::new(&code, 4, &[]);
        let head = live.at(0);
        assert!(head.contains(0) && head.contains(1));
        assert!(!head.contains(2) && !head.contains(3));
        assert!(live.at(4).contains(2));
        assert!(!live.at(1).contains(2));
    }
}
