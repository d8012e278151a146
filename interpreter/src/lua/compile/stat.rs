//! Statements: assignments, control structures, scopes.
#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Op};

use super::super::ast::{Attribute, Block, Capture, Expr, ExprId, GotoId, LabelId, LocalId, Span, Stat, StatKind};
use super::Compiler;
use super::operand::{Kind, Operand};

impl Compiler<'_> {
    /// The statements of a block, in the scope around.
    pub(super) fn stats(&mut self, block: Block) {
        let ast = self.ast;
        for stat in &ast.stats[block.range()] {
            self.line = stat.line;
            self.stat(stat);
            self.line = stat.end_line;
            debug_assert!(self.free == self.var_level() || self.failure.is_some(), "a statement leaves no temporaries");
        }
    }

    /// A block with a scope of its own.
    fn block(&mut self, block: Block) {
        let outside = self.active.len();
        self.stats(block);
        self.leave_scope(outside);
    }

    /// The variables declared since there were `count` go out of scope, and those to be closed are.
    fn leave_scope(&mut self, count: usize) {
        let level = self.level_of(count as u32);
        if self.closers.last().is_some_and(|&r| r >= level) {
            self.emit_abc(Op::Close, level, 0, 0);
        }
        self.deactivate(count);
    }

    fn stat(&mut self, stat: &Stat) {
        match stat.kind {
            StatKind::Local { first, count, values } => self.local_stat(first, count, values, stat.end_line),
            StatKind::LocalFunction { local, function } => self.local_function(local, function),
            StatKind::Assign { targets, values } => self.assign(targets, values, stat.end_line),
            StatKind::Function { target, function } => {
                self.name_for_targets(&[target], &[function]);
                let target = self.target(target);
                let mut e = self.expr(function);
                self.store(&target, &mut e);
                self.free = self.var_level();
                self.fix_line(stat.line);
            }
            StatKind::Call(call) => {
                let e = self.expr(call);
                self.set_results(&e, Some(0));
                self.free = self.var_level();
            }
            StatKind::Do(block) => self.block(block),
            StatKind::While { condition, body, exit } => self.while_stat(condition, body, exit),
            StatKind::Repeat { body, condition, exit } => self.repeat_stat(body, condition, exit),
            StatKind::If { branches, otherwise } => self.if_stat(branches, otherwise),
            StatKind::NumericFor { local, range, body, exit } => self.numeric_for(local, range, body, exit, stat.line),
            StatKind::GenericFor { first, count, values, body, exit, line } => {
                self.generic_for((first, count), values, body, exit, (line, stat.end_line));
            }
            StatKind::Return(values) => self.return_stat(values, stat.end_line),
            StatKind::Goto(goto) => self.goto(goto),
            StatKind::Label(label) => {
                let level = self.level_of(self.ast.labels[label.0 as usize].level);
                self.chunk.labels[label.0 as usize].level = level;
                self.define_label(label);
            }
        }
    }

    // ----------------------------------------------------------------------------------------------------- variables

    /// Makes `count` values of a list whose last part is `last`, in the next registers.
    fn adjust(&mut self, count: u32, given: u32, last: Option<Operand>) {
        let missing = count as i64 - i64::from(given);
        match last {
            Some(e) if e.is_multiple() => self.set_results(&e, Some((missing + 1).max(0) as u32)),
            last => {
                if let Some(mut e) = last {
                    self.bring_to_next(&mut e);
                }
                if missing > 0 {
                    // Checked first, so that the registers named are real ones.
                    self.check_stack(missing as u32);
                    let free = self.free;
                    self.emit_nil(free, missing as u32);
                }
            }
        }
        if missing > 0 {
            self.reserve(missing as u32);
        } else {
            self.free = self.free.saturating_sub(-missing as u32);
        }
    }

    fn local_stat(&mut self, first: LocalId, count: u32, values: Span, end_line: u32) {
        let last_local = LocalId(first.0 + count - 1);
        self.name_for_locals(first, &self.ast.lists[values.range()]);
        if self.ast.local(last_local).constant.is_some() {
            // There are as many values, and the last one needs no register.
            let others = Span { start: values.start, len: values.len - 1 };
            let last = self.expr_list(others);
            self.line = end_line;
            self.adjust(count - 1, count - 1, last);
        } else {
            let last = self.expr_list(values);
            self.line = end_line;
            self.adjust(count, values.len, last);
        }
        self.activate(first, count);
        for n in 0..count {
            let id = LocalId(first.0 + n);
            if self.ast.local(id).attribute == Attribute::Close {
                let register = u32::from(self.chunk.registers[id.0 as usize]);
                self.closers.push(register);
                self.emit_abc(Op::Tbc, register, 0, 0);
            }
        }
        self.wrap(first, count);
    }

    fn local_function(&mut self, local: LocalId, function: ExprId) {
        self.name_for_locals(local, &[function]);
        let captured = self.ast.local(local).captured;
        if captured && self.captures(function, local) {
            // The function needs the cell that it will be stored in.
            let register = self.free;
            self.reserve(1);
            self.emit_nil(register, 1);
            self.activate(local, 1);
            self.wrap(local, 1);
            let mut e = self.expr(function);
            self.store(&Kind::Cell(register).into(), &mut e);
        } else {
            // In scope but not in use: the closure is made in the variable's register.
            self.activate(local, 1);
            self.expr(function);
            self.wrap(local, 1);
        }
        self.free = self.var_level();
        let pc = self.pc() as u32;
        if let Some(debug) = self.active.last().and_then(|a| a.debug) {
            self.proto.locals[debug].start = pc;
        }
    }

    fn captures(&self, function: ExprId, local: LocalId) -> bool {
        let Expr::Function(id) = self.ast.expr(function) else { return false };
        self.ast.function(id).upvalues.iter().any(|u| u.capture == Capture::Local(local))
    }

    /// What is assigned to: its table and key are computed, its value is not.
    fn target(&mut self, id: ExprId) -> Operand {
        match self.ast.expr(id) {
            Expr::Local(local) => self.local(local).into(),
            _ => self.expr(id),
        }
    }

    fn assign(&mut self, targets: Span, values: Span, end_line: u32) {
        let ast = self.ast;
        self.name_for_targets(&ast.lists[targets.range()], &ast.lists[values.range()]);
        let base = self.chunk.targets.len();
        for &id in &ast.lists[targets.range()] {
            let target = self.target(id);
            if targets.len > 1 {
                self.avoid_conflict(base, &target);
            }
            self.chunk.targets.push(target);
        }
        let last = self.expr_list(values);
        self.line = end_line;
        if values.len == targets.len {
            if let (Some(mut e), Some(target)) = (last, self.chunk.targets.pop()) {
                self.set_one_result(&mut e);
                self.store(&target, &mut e);
            }
        } else {
            self.adjust(targets.len, values.len, last);
        }
        while self.chunk.targets.len() > base {
            if let Some(target) = self.chunk.targets.pop() {
                let register = self.free.saturating_sub(1);
                self.store(&target, &mut Kind::Register(register).into());
            }
        }
        self.free = self.var_level();
    }

    /// A variable that is assigned to may be the table or the key of targets before it: these use a copy then.
    fn avoid_conflict(&mut self, base: usize, target: &Operand) {
        let copy = self.free;
        let mut needed = false;
        for n in base..self.chunk.targets.len() {
            let kind = self.chunk.targets[n].kind;
            let changed = match (target.kind, kind) {
                (Kind::Upvalue(n), Kind::IndexedUpvalue { table, key }) if table == n => {
                    Kind::IndexedStr { table: copy, key }
                }
                (Kind::Local(r), Kind::IndexedStr { table, key }) if table == r => {
                    Kind::IndexedStr { table: copy, key }
                }
                (Kind::Local(r), Kind::IndexedInt { table, key }) if table == r => {
                    Kind::IndexedInt { table: copy, key }
                }
                (Kind::Local(r), Kind::Indexed { table, key }) if table == r || key == r => Kind::Indexed {
                    table: if table == r { copy } else { table },
                    key: if key == r { copy } else { key },
                },
                _ => continue,
            };
            self.chunk.targets[n].kind = changed;
            needed = true;
        }
        if needed {
            match target.kind {
                Kind::Upvalue(n) => self.emit_abc(Op::GetUpval, copy, n, 0),
                Kind::Local(r) => self.emit_abc(Op::Move, copy, r, 0),
                _ => return,
            };
            self.reserve(1);
        }
    }

    // ------------------------------------------------------------------------------------------------------- control

    /// Goes on if the condition is true; answers the jumps for when it is not.
    fn condition(&mut self, condition: ExprId, line: Option<u32>) -> usize {
        let mut e = self.expr(condition);
        self.line = line.unwrap_or(self.line);
        self.go_if_true(&mut e);
        self.drop_values(e.if_false);
        e.if_false
    }

    fn while_stat(&mut self, condition: ExprId, body: Block, exit: LabelId) {
        self.chunk.labels[exit.0 as usize].level = self.var_level();
        let start = self.here();
        let otherwise = self.condition(condition, None);
        self.block(body);
        self.jump_back(start);
        self.jump_to_label(exit, otherwise);
        self.define_label(exit);
    }

    fn repeat_stat(&mut self, body: Block, condition: ExprId, exit: LabelId) {
        self.chunk.labels[exit.0 as usize].level = self.var_level();
        let start = self.here();
        let outside = self.active.len();
        self.stats(body);
        // The condition sees the body's variables, and both ways out of it close them.
        let mut e = self.expr(condition);
        if e.is_true() {
            self.leave_scope(outside);
            self.define_label(exit);
            return;
        }
        self.go_if_false(&mut e);
        let level = self.level_of(outside as u32);
        let closes = self.closers.last().is_some_and(|&r| r >= level);
        self.leave_scope(outside);
        self.jump_back(start);
        self.drop_values(e.if_true);
        if closes {
            self.patch_here(e.if_true);
            self.emit_abc(Op::Close, level, 0, 0);
        } else {
            self.jump_to_label(exit, e.if_true);
        }
        self.define_label(exit);
    }

    fn if_stat(&mut self, branches: Span, otherwise: Option<Block>) {
        let ast = self.ast;
        let branches = &ast.branches[branches.range()];
        let mut escapes = super::NO_JUMP;
        for (n, branch) in branches.iter().enumerate() {
            let next = if let Some(label) = self.forward_jump(branch.block) {
                // The block only jumps away: the condition's jump can go there itself.
                let mut e = self.expr(branch.condition);
                self.line = branch.line;
                self.go_if_false(&mut e);
                self.drop_values(e.if_true);
                self.jump_to_label(label, e.if_true);
                continue;
            } else {
                self.condition(branch.condition, Some(branch.line))
            };
            self.block(branch.block);
            if n + 1 < branches.len() || otherwise.is_some() {
                let jump = self.jump();
                escapes = self.prepend(jump, escapes);
            }
            self.patch_here(next);
        }
        if let Some(block) = otherwise {
            self.block(block);
        }
        self.patch_here(escapes);
    }

    /// The label to which the block jumps, if that is all it does, forwards and with nothing to close.
    fn forward_jump(&self, block: Block) -> Option<LabelId> {
        let [Stat { kind: StatKind::Goto(goto), .. }] = self.ast.stats[block.range()] else { return None };
        let label = self.ast.gotos[goto.0 as usize];
        if self.chunk.labels[label.0 as usize].pc.is_some() || self.close_level(label).is_some() {
            return None;
        }
        Some(label)
    }

    /// From where on a jump to the label must close variables, if it must.
    fn close_level(&self, label: LabelId) -> Option<u32> {
        let state = &self.chunk.labels[label.0 as usize];
        // Where the label comes later, the variables alive there are among those that are alive here; a loop's exit knows
        // its level from the start.
        let level = state.level.max(self.level_of(self.ast.labels[label.0 as usize].level));
        self.closers.last().filter(|&&r| r >= level).map(|_| level)
    }

    fn goto(&mut self, goto: GotoId) {
        let label = self.ast.gotos[goto.0 as usize];
        if let Some(level) = self.close_level(label) {
            self.emit_abc(Op::Close, level, 0, 0);
        }
        match self.chunk.labels[label.0 as usize].pc {
            Some(pc) => self.jump_back(pc),
            None => {
                let jump = self.jump();
                self.jump_to_label(label, jump);
            }
        }
    }

    fn numeric_for(&mut self, local: LocalId, range: Span, body: Block, exit: LabelId, line: u32) {
        let outside = self.active.len();
        let base = self.free;
        let ast = self.ast;
        for &id in &ast.lists[range.range()] {
            let mut e = self.expr(id);
            self.bring_to_next(&mut e);
        }
        if range.len == 2 {
            let register = self.free;
            self.load_int(register, 1);
            self.reserve(1);
        }
        self.activate_hidden(3);
        self.chunk.labels[exit.0 as usize].level = self.var_level();
        let prepare = self.emit(bc::abx(Op::ForPrep, base, 0));
        self.for_body(local, 1, body);
        let repeat = self.emit(bc::abx(Op::ForLoop, base, 0));
        self.fix_line(line);
        let end = self.here();
        self.set_bx(prepare, end - (prepare + 1));
        self.set_bx(repeat, end - (prepare + 1));
        self.leave_scope(outside);
        self.define_label(exit);
    }

    fn generic_for(
        &mut self,
        locals: (LocalId, u32),
        values: Span,
        body: Block,
        exit: LabelId,
        (line, end_line): (u32, u32),
    ) {
        let outside = self.active.len();
        let base = self.free;
        let last = self.expr_list(values);
        self.adjust(4, values.len, last);
        self.activate_hidden(4);
        self.closers.push(base + 3);
        self.chunk.labels[exit.0 as usize].level = self.var_level();
        self.check_stack(3); // the iterator is called behind the loop's own variables
        let prepare = self.emit(bc::abx(Op::TForPrep, base, 0));
        self.for_body(locals.0, locals.1, body);
        let call = self.here();
        self.set_bx(prepare, call - (prepare + 1));
        self.emit_abc(Op::TForCall, base, 0, locals.1);
        self.fix_line(line);
        let repeat = self.emit(bc::abx(Op::TForLoop, base, 0));
        self.fix_line(line);
        self.set_bx(repeat, self.pc() - (prepare + 1));
        // `break` comes here, too: the loop's own variable is closed on both ways.
        self.define_label(exit);
        self.line = end_line;
        self.leave_scope(outside);
    }

    /// The body of a `for` loop, whose `count` variables are set by the loop's instructions.
    fn for_body(&mut self, first: LocalId, count: u32, body: Block) {
        self.here();
        let outside = self.active.len();
        self.reserve(count);
        self.activate(first, count);
        self.wrap(first, count);
        self.block(body);
        self.leave_scope(outside);
    }

    // --------------------------------------------------------------------------------------------------------- return

    fn return_stat(&mut self, values: Span, end_line: u32) {
        let base = self.var_level();
        let Some(mut last) = self.expr_list(values) else {
            self.emit_return(base, 0);
            return;
        };
        if last.is_multiple() {
            self.set_results(&last, None);
            if let (Kind::Call(pc), 1, true) = (last.kind, values.len, self.closers.is_empty()) {
                let word = self.proto.code[pc];
                self.proto.code[pc] = bc::with_op(word, Op::TailCall);
            }
            self.line = end_line;
            self.emit(bc::abc(Op::Return, base, 0, 0, !self.closers.is_empty()));
        } else if values.len == 1 {
            let register = self.bring_to_any(&mut last);
            self.line = end_line;
            self.emit_return(register, 1);
        } else {
            self.bring_to_next(&mut last);
            self.line = end_line;
            self.emit_return(base, values.len);
        }
        self.free = self.var_level();
    }

    /// Returns `count` values from `first` on. Functions with extra arguments, and scopes with variables to be closed, need
    /// the general form.
    pub(super) fn emit_return(&mut self, first: u32, count: u32) {
        let closes = !self.closers.is_empty();
        let general = closes || self.ast.function(self.id).is_vararg;
        let word = match count {
            0 if !general => bc::abc(Op::Return0, first, 0, 0, false),
            1 if !general => bc::abc(Op::Return1, first, 0, 0, false),
            _ => bc::abc(Op::Return, first, count + 1, 0, closes),
        };
        self.emit(word);
    }
}
