//! Expressions: constants, variables, calls, functions and table constructors.
//!
//! Operations and calls are compiled along their leftmost parts in a loop, so that long chains of them need no stack.
#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op};

use super::super::ast::{Expr, ExprId, FunctionId, LocalId, Span, UnaryOp};
use super::super::symbol::Symbol;
use super::Compiler;
use super::operand::{Kind, Operand};

/// How many elements of a constructor are collected in registers before they are stored.
const FIELDS_PER_FLUSH: u32 = 50;

impl Compiler<'_> {
    /// Compiles an expression.
    pub(super) fn expr(&mut self, id: ExprId) -> Operand {
        let base = self.chunk.spine.len();
        let mut at = id;
        let mut e = loop {
            let left = match self.ast.expr(at) {
                Expr::Index { object, .. } | Expr::Method { object, .. } => object,
                Expr::Call { callee, .. } => callee,
                Expr::Binary(_, left, _) | Expr::And(left, _) | Expr::Or(left, _) | Expr::Paren(left) => left,
                leaf => {
                    self.line = self.ast.line(at);
                    break self.leaf(leaf);
                }
            };
            self.chunk.spine.push(at);
            at = left;
        };
        while self.chunk.spine.len() > base {
            if let Some(outer) = self.chunk.spine.pop() {
                e = self.apply(outer, e);
            }
        }
        e
    }

    /// An operation on an operand that is its leftmost part.
    fn apply(&mut self, id: ExprId, mut e: Operand) -> Operand {
        let line = self.ast.line(id);
        match self.ast.expr(id) {
            Expr::Paren(_) => self.discharge(&mut e),
            Expr::Index { key, .. } => {
                self.bring_to_any_or_upvalue(&mut e);
                let mut key = self.expr(key);
                self.bring_to_any_or_constant(&mut key);
                self.line = line;
                return self.indexed(&mut e, &mut key);
            }
            Expr::Method { name, args, .. } => {
                let base = self.method(&mut e, name);
                return self.call(base, args, line);
            }
            Expr::Call { args, .. } => {
                let base = self.bring_to_next(&mut e);
                return self.call(base, args, line);
            }
            Expr::And(_, right) => {
                self.line = line;
                self.go_if_true(&mut e);
                let mut right = self.expr(right);
                self.discharge(&mut right);
                self.concat_lists(&mut right, &e);
                return right;
            }
            Expr::Or(_, right) => {
                self.line = line;
                self.go_if_false(&mut e);
                let mut right = self.expr(right);
                self.discharge(&mut right);
                self.concat_lists(&mut right, &e);
                return right;
            }
            Expr::Binary(op, _, right) => {
                self.line = line;
                return self.binary(op, e, right, line);
            }
            _ => {}
        }
        e
    }

    /// The jumps of the left operand of `and` or `or` leave the whole.
    fn concat_lists(&mut self, right: &mut Operand, left: &Operand) {
        self.concat(&mut right.if_false, left.if_false);
        self.concat(&mut right.if_true, left.if_true);
    }

    fn leaf(&mut self, expr: Expr) -> Operand {
        let kind = match expr {
            Expr::Nil => Kind::Nil,
            Expr::True => Kind::True,
            Expr::False => Kind::False,
            Expr::Int(i) => Kind::Int(i),
            Expr::Float(f) => Kind::Float(f),
            Expr::Str(s) => Kind::Str(s),
            Expr::Vararg => Kind::Vararg(self.emit_abc(Op::VarArg, 0, 0, 1)),
            Expr::Local(id) => self.local(id),
            Expr::Upvalue(n) => Kind::Upvalue(u32::from(n)),
            Expr::Function(id) => self.closure(id),
            Expr::Table(items) => return self.table(items),
            Expr::Unary(op, operand) => return self.unary(op, operand),
            Expr::ConstLocal(id) => return self.leaf(self.ast.local(id).constant.unwrap_or(Expr::Nil)),
            // The rest has a leftmost part.
            Expr::Index { .. }
            | Expr::Call { .. }
            | Expr::Method { .. }
            | Expr::Binary(..)
            | Expr::And(..)
            | Expr::Or(..)
            | Expr::Paren(_) => Kind::Nil,
        };
        kind.into()
    }

    pub(super) fn local(&self, id: LocalId) -> Kind {
        let register = u32::from(self.chunk.registers[id.0 as usize]);
        if self.ast.local(id).captured { Kind::Cell(register) } else { Kind::Local(register) }
    }

    fn closure(&mut self, id: FunctionId) -> Kind {
        let index = self.children.len() as u32;
        self.children.push(id);
        if index > bc::MAX_BX {
            self.fail(format!("too many functions (limit is {})", bc::MAX_BX));
            return Kind::Nil;
        }
        let pc = self.emit(bc::abx(Op::Closure, 0, index));
        // The closure goes to a register of its own: it may capture the one that it is assigned to.
        let mut e = Operand::from(Kind::Pending(pc));
        Kind::Register(self.bring_to_next(&mut e))
    }

    fn unary(&mut self, op: UnaryOp, operand: ExprId) -> Operand {
        let line = self.line;
        let mut e = self.expr(operand);
        let op = match op {
            UnaryOp::Not => {
                self.negate(&mut e);
                return e;
            }
            UnaryOp::Neg => Op::Unm,
            UnaryOp::BNot => Op::BNot,
            UnaryOp::Len => Op::Len,
        };
        let register = self.bring_to_any(&mut e);
        self.free_operand(&e);
        let pc = self.emit_abc(op, 0, register, 0);
        self.fix_line(line);
        Kind::Pending(pc).into()
    }

    /// `R[A+1] := object; R[A] := object[name]`; answers `A`.
    fn method(&mut self, object: &mut Operand, name: Symbol) -> u32 {
        let object_register = self.bring_to_any(object);
        let key = self.short_key(name);
        self.free_operand(object);
        let base = self.free;
        self.reserve(2);
        match key {
            Some(k) => {
                self.emit_abc(Op::SelfOp, base, object_register, k);
            }
            None => {
                self.emit_abc(Op::Move, base + 1, object_register, 0);
                self.reserve(1);
                let k = self.string_constant(name);
                self.emit_load_constant(base + 2, k);
                self.emit_abc(Op::GetTable, base, base + 1, base + 2);
                self.free -= 1;
            }
        }
        base
    }

    /// Calls what is in `R[base]` with arguments behind those that are in registers already.
    fn call(&mut self, base: u32, args: Span, line: u32) -> Operand {
        let open = self.arguments(args);
        let count = if open { 0 } else { self.free - base };
        let pc = self.emit_abc(Op::Call, base, count, 2);
        self.fix_line(line);
        self.free = base + 1;
        Kind::Call(pc).into()
    }

    /// Brings arguments into the next registers; answers whether the last one gives as many as it has.
    fn arguments(&mut self, args: Span) -> bool {
        let Some(mut last) = self.expr_list(args) else { return false };
        if last.is_multiple() {
            self.set_results(&last, None);
            return true;
        }
        self.bring_to_next(&mut last);
        false
    }

    /// Compiles expressions, all but the last one into the next registers.
    pub(super) fn expr_list(&mut self, list: Span) -> Option<Operand> {
        let ast = self.ast;
        let (last, others) = ast.lists[list.range()].split_last()?;
        for &id in others {
            let mut e = self.expr(id);
            self.bring_to_next(&mut e);
        }
        Some(self.expr(*last))
    }

    fn table(&mut self, items: Span) -> Operand {
        let ast = self.ast;
        let list = &ast.items[items.range()];
        let pc = self.emit_wide(bc::abc(Op::NewTable, 0, 0, 0, false), 0);
        let mut table = Operand::from(Kind::Pending(pc));
        let register = self.bring_to_next(&mut table);
        let (mut named, mut stored, mut waiting) = (0u32, 0u32, 0u32);
        for (n, item) in list.iter().enumerate() {
            if let Some(key) = item.key {
                let free = self.free;
                let mut key = self.expr(key);
                self.bring_to_any_or_constant(&mut key);
                let target = self.indexed(&mut Kind::Register(register).into(), &mut key);
                let mut value = self.expr(item.value);
                self.line = item.line;
                self.store(&target, &mut value);
                self.free = free;
                named += 1;
                continue;
            }
            let mut value = self.expr(item.value);
            if n + 1 == list.len() && value.is_multiple() {
                self.set_results(&value, None);
                self.emit_wide(bc::abc(Op::SetList, register, 0, 0, false), stored);
                stored += waiting;
                waiting = 0;
                self.free = register + 1;
                continue;
            }
            self.bring_to_next(&mut value);
            waiting += 1;
            if waiting == FIELDS_PER_FLUSH {
                self.set_list(register, &mut stored, &mut waiting);
            }
        }
        if waiting > 0 {
            self.set_list(register, &mut stored, &mut waiting);
        }
        self.set_b(pc, named.min(bc::MAX_ABC));
        self.proto.code[pc + 1] = stored;
        Kind::Register(register).into()
    }

    /// Stores the elements that wait in the registers behind the table.
    fn set_list(&mut self, table: u32, stored: &mut u32, waiting: &mut u32) {
        self.emit_wide(bc::abc(Op::SetList, table, *waiting, 0, false), *stored);
        *stored += *waiting;
        *waiting = 0;
        self.free = table + 1;
    }
}
