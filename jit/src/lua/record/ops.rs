//! The instructions, one by one: what each of them does to the slots that the recording knows.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};

use super::super::helpers::H;
use super::super::ir::{Ref, Type};
use super::{Abort, Next, Rec, Recorder};

impl Recorder {
    /// Records the instruction at the current pc.
    pub(super) fn instruction(&mut self) -> Rec<Next> {
        let w = self.proto.word(self.pc as usize);
        let (a, b) = (bc::a(w), bc::b(w));
        match bc::op(w) {
            Op::Move => {
                let value = self.get(b)?;
                self.assign(a, value)
            }
            Op::LoadI => {
                let value = self.b.int(bc::sbx(w).into());
                self.assign(a, value)
            }
            Op::LoadF => {
                let value = self.b.float(bc::sbx(w).into());
                self.assign(a, value)
            }
            Op::LoadK => self.load_constant(a, bc::bx(w)),
            Op::LoadKX => self.load_constant(a, self.proto.word(self.pc as usize + 1) as usize),
            Op::LoadFalse | Op::LFalseSkip => self.assign(a, Ref::FALSE),
            Op::LoadTrue => self.assign(a, Ref::TRUE),
            Op::LoadNil => {
                (a..=a + b).for_each(|r| self.set(r, Ref::NIL));
                Ok(Next::More)
            }
            Op::GetUpval => {
                let (value, _) = self.upvalue(b)?;
                self.assign(a, value)
            }
            Op::SetUpval => self.op_set_upvalue(w),
            Op::NewCell => self.new_cell(a),
            Op::GetCell => {
                let actual = self.actual(b).as_cell().ok_or(Abort::Reason("no cell"))?.get();
                let cell = self.get(b)?;
                let ty = Type::from_tag(actual.tag()).ok_or(Abort::Reason("internal value in a cell"))?;
                let value = self.b.cload(cell, ty)?;
                self.assign(a, value)
            }
            Op::SetCell => {
                let cell = self.get(a)?;
                let value = if bc::k(w) { self.value_constant(self.proto.constant(b))? } else { self.get(b)? };
                self.set_cell(cell, value)
            }
            Op::GetTabUp => self.op_get_tab_up(w),
            Op::GetTable | Op::GetI => self.op_get_table(w),
            Op::GetField => self.op_get_field(w),
            Op::SetTabUp => self.op_set_tab_up(w),
            Op::SetTable | Op::SetI => self.op_set_table(w),
            Op::SetField => self.op_set_field(w),
            Op::NewTable => self.op_new_table(w),
            Op::SelfOp => self.op_self(w),
            op @ (Op::AddI
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
            | Op::ShlI
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
            | Op::Shr) => self.op_arith(w, op),
            op @ (Op::Unm | Op::BNot | Op::Not) => self.op_unary(w, op),
            Op::Len => self.op_length(w),
            Op::Concat => self.op_concat(w),
            Op::Close => self.close(a),
            Op::Tbc => self.close_later(a),
            Op::Jmp => Ok(Next::More),
            Op::JmpBack | Op::JJmpBack => self.op_jump_back(w),
            op @ (Op::Eq | Op::EqK | Op::EqI) => self.op_equal(w, op),
            op @ (Op::Lt | Op::Le | Op::LtI | Op::LeI | Op::GtI | Op::GeI) => self.op_order(w, op),
            Op::Test => self.op_test(w, a),
            Op::TestSet => self.op_test(w, b),
            Op::Call => self.op_call(w),
            Op::TailCall => self.op_tail_call(w),
            Op::Return | Op::Return0 | Op::Return1 => self.op_return(w),
            Op::ForPrep => self.op_for_prep(w),
            Op::ForLoop | Op::JForLoop => self.op_for_loop(w),
            Op::TForPrep => self.op_tfor_prep(w),
            Op::TForCall => self.op_tfor_call(w),
            Op::TForLoop | Op::JTForLoop => self.op_tfor_loop(w),
            Op::SetList => self.op_set_list(w),
            Op::Closure => self.closure(w),
            Op::VarArg => self.op_vararg(w),
            Op::VarArgPrep => self.op_vararg_prep(),
        }
    }

    fn assign(&mut self, register: usize, value: Ref) -> Rec<Next> {
        self.set(register, value);
        Ok(Next::More)
    }

    fn load_constant(&mut self, register: usize, index: usize) -> Rec<Next> {
        let value = self.value_constant(self.proto.constant(index))?;
        self.assign(register, value)
    }

    fn new_cell(&mut self, a: usize) -> Rec<Next> {
        let value = self.get(a)?;
        let cell = self.call_helper(H::CellNew, &[])?;
        self.b.cstore(cell, value)?;
        self.assign(a, cell)
    }

    fn closure(&mut self, w: Word) -> Rec<Next> {
        let proto = self.proto.functions[bc::bx(w)];
        // Nothing comes between the function and its cells: it must not be seen without them.
        let mut cells = Vec::with_capacity(proto.upvalues.len());
        for upvalue in &proto.upvalues {
            let index = usize::from(upvalue.index);
            cells.push(if upvalue.in_register {
                self.get(index)?
            } else {
                let parent = self.function()?;
                self.b.upval(parent, index as u16)?
            });
        }
        self.pinned.protos.push(proto);
        let (address, count) = (self.b.ptr(proto.address() as u64), self.b.int(cells.len() as i64));
        let f = self.call_helper(H::ClosureNew, &[address, count])?;
        for (n, cell) in cells.into_iter().enumerate() {
            self.b.ustore(f, n as u16, cell)?;
        }
        self.assign(bc::a(w), f)
    }
}
