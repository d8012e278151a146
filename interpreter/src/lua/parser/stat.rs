//! Statements (manual §3.3).
#![forbid(unsafe_code)]

use super::super::ast::{Attribute, Block, Branch, Expr, ExprId, LabelId, LocalId, Span, Stat, StatKind};
use super::super::lexer::Token;
use super::super::source::Parsed;
use super::super::symbol::Symbol;
use super::{Parser, finish_list};

impl Parser<'_> {
    /// The block ends here; `until` ends one only where its scope goes on.
    fn at_block_end(&self, with_until: bool) -> bool {
        match self.token {
            Token::Else | Token::Elseif | Token::End | Token::Eof => true,
            Token::Until => with_until,
            _ => false,
        }
    }

    /// Statements up to the block's end.
    pub(super) fn stat_list(&mut self) -> Parsed<Block> {
        let base = self.pending_stats.len();
        while !self.at_block_end(true) {
            let is_return = self.token == Token::Return;
            self.statement()?;
            if is_return {
                break;
            }
        }
        Ok(self.finish_block(base))
    }

    /// A block with a scope of its own, a loop's if there is an exit.
    fn block(&mut self, exit: Option<LabelId>) -> Parsed<Block> {
        self.open_block(exit);
        let block = self.stat_list()?;
        self.close_block()?;
        Ok(block)
    }

    pub(super) fn push(&mut self, kind: StatKind, line: u32) {
        self.pending_stats.push(Stat { kind, line, end_line: self.last_line });
    }

    fn statement(&mut self) -> Parsed<()> {
        let line = self.lexer.line;
        self.enter_level()?;
        match self.token {
            Token::Byte(b';') => self.advance()?,
            Token::If => self.if_stat(line)?,
            Token::While => self.while_stat(line)?,
            Token::Do => {
                self.advance()?;
                let block = self.block(None)?;
                self.expect_closing(Token::End, Token::Do, line)?;
                self.push(StatKind::Do(block), line);
            }
            Token::For => self.for_stat(line)?,
            Token::Repeat => self.repeat_stat(line)?,
            Token::Function => self.function_stat(line)?,
            Token::Local => {
                self.advance()?;
                if self.token == Token::Function {
                    self.advance()?;
                    self.local_function()?;
                } else {
                    self.local_stat(line)?;
                }
            }
            Token::DoubleColon => {
                self.advance()?;
                let name = self.expect_name()?;
                self.label_stat(name, line)?;
            }
            Token::Return => {
                self.advance()?;
                self.return_stat(line)?;
            }
            Token::Break => {
                self.advance()?;
                let goto = self.break_out(line);
                self.push(StatKind::Goto(goto), line);
            }
            Token::Goto => {
                self.advance()?;
                let line = self.lexer.line;
                let name = self.expect_name()?;
                let goto = self.goto(name, line);
                self.push(StatKind::Goto(goto), line);
            }
            _ => self.expr_stat(line)?,
        }
        self.levels -= 1;
        Ok(())
    }

    fn if_stat(&mut self, line: u32) -> Parsed<()> {
        let base = self.pending_branches.len();
        let mut otherwise = None;
        loop {
            self.advance()?;
            let condition = self.expr()?;
            let line = self.lexer.line;
            self.expect(Token::Then)?;
            let block = self.block(None)?;
            self.pending_branches.push(Branch { condition, line, block });
            match self.token {
                Token::Elseif => continue,
                Token::Else => {
                    self.advance()?;
                    otherwise = Some(self.block(None)?);
                }
                _ => {}
            }
            break;
        }
        self.expect_closing(Token::End, Token::If, line)?;
        let branches = finish_list(&mut self.pending_branches, base, &mut self.ast.branches);
        self.push(StatKind::If { branches, otherwise }, line);
        Ok(())
    }

    fn while_stat(&mut self, line: u32) -> Parsed<()> {
        self.advance()?;
        let condition = self.expr()?;
        self.expect(Token::Do)?;
        let exit = self.new_label();
        self.open_block(Some(exit));
        let body = self.block(None)?;
        self.expect_closing(Token::End, Token::While, line)?;
        self.close_block()?;
        self.push(StatKind::While { condition, body, exit }, line);
        Ok(())
    }

    fn repeat_stat(&mut self, line: u32) -> Parsed<()> {
        self.advance()?;
        let exit = self.new_label();
        self.open_block(Some(exit));
        self.open_block(None);
        let body = self.stat_list()?;
        self.expect_closing(Token::Until, Token::Repeat, line)?;
        let condition = self.expr()?;
        self.close_block()?;
        self.close_block()?;
        self.push(StatKind::Repeat { body, condition, exit }, line);
        Ok(())
    }

    fn for_stat(&mut self, line: u32) -> Parsed<()> {
        self.advance()?;
        let exit = self.new_label();
        self.open_block(Some(exit)); // the scope of the loop's hidden variables
        let name = self.expect_name()?;
        let kind = match self.token {
            Token::Byte(b'=') => self.numeric_for(name, exit)?,
            Token::Byte(b',') | Token::In => self.generic_for(name, exit)?,
            _ => return Err(self.error("'=' or 'in' expected")),
        };
        self.expect_closing(Token::End, Token::For, line)?;
        self.close_block()?;
        self.push(kind, line);
        Ok(())
    }

    fn numeric_for(&mut self, name: Symbol, exit: LabelId) -> Parsed<StatKind> {
        self.declare_hidden(3)?;
        let local = self.declare(name)?;
        self.advance()?;
        let start = self.expr()?;
        self.expect(Token::Byte(b','))?;
        let limit = self.expr()?;
        let range = if self.accept_byte(b',')? {
            let step = self.expr()?;
            self.list_of(&[start, limit, step])
        } else {
            self.list_of(&[start, limit])
        };
        self.show(3);
        let body = self.for_body(1)?;
        Ok(StatKind::NumericFor { local, range, body, exit })
    }

    fn generic_for(&mut self, name: Symbol, exit: LabelId) -> Parsed<StatKind> {
        self.declare_hidden(4)?;
        let first = self.declare(name)?;
        let mut count = 1;
        while self.accept_byte(b',')? {
            let name = self.expect_name()?;
            self.declare(name)?;
            count += 1;
        }
        self.expect(Token::In)?;
        let line = self.lexer.line;
        let values = self.expr_list()?;
        self.show(4);
        let body = self.for_body(count as usize)?;
        Ok(StatKind::GenericFor { first, count, values, body, exit, line })
    }

    /// `do` and the body of a `for` loop, in whose scope the `count` variables become visible.
    fn for_body(&mut self, count: usize) -> Parsed<Block> {
        self.expect(Token::Do)?;
        self.open_block(None);
        self.show(count);
        let body = self.block(None)?;
        self.close_block()?;
        Ok(body)
    }

    fn function_stat(&mut self, line: u32) -> Parsed<()> {
        self.advance()?;
        let name_line = self.lexer.line;
        let name = self.expect_name()?;
        let mut target = self.variable(name, name_line)?;
        while self.is_byte(b'.') {
            target = self.field(target)?;
        }
        let is_method = self.is_byte(b':');
        if is_method {
            target = self.field(target)?;
        }
        let function = self.function_body(is_method, line)?;
        self.assign_to(target)?;
        self.push(StatKind::Function { target, function }, line);
        Ok(())
    }

    fn local_function(&mut self) -> Parsed<()> {
        let name = self.expect_name()?;
        let local = self.declare(name)?;
        let line = self.lexer.line;
        if self.is_shared(name) {
            self.visible.pop();
            let target = self.give(local, line)?;
            let function = self.function_body(false, line)?;
            self.push(StatKind::Function { target, function }, line);
            return Ok(());
        }
        self.show(1);
        let function = self.function_body(false, line)?;
        self.push(StatKind::LocalFunction { local, function }, line);
        Ok(())
    }

    fn attribute(&mut self) -> Parsed<Attribute> {
        if !self.accept_byte(b'<')? {
            return Ok(Attribute::Regular);
        }
        let name = self.expect_name()?;
        self.expect(Token::Byte(b'>'))?;
        match self.lexer.symbols.text(name) {
            b"const" => Ok(Attribute::Const),
            b"close" => Ok(Attribute::Close),
            other => {
                let message = format!("unknown attribute '{}'", String::from_utf8_lossy(other));
                Err(self.semantic_error(&message))
            }
        }
    }

    fn local_stat(&mut self, line: u32) -> Parsed<()> {
        let first = LocalId(self.ast.locals.len() as u32);
        let mut last;
        let mut count = 0;
        let mut has_close = false;
        let mut shared = true;
        loop {
            let name = self.expect_name()?;
            last = self.declare(name)?;
            shared &= self.is_shared(name);
            let attribute = self.attribute()?;
            self.ast.locals[last.0 as usize].attribute = attribute;
            if attribute == Attribute::Close {
                if has_close {
                    return Err(self.semantic_error("multiple to-be-closed variables in local list"));
                }
                has_close = true;
            }
            count += 1;
            if !self.accept_byte(b',')? {
                break;
            }
        }
        let values = if self.accept_byte(b'=')? { self.expr_list()? } else { Span::default() };
        if shared && !has_close {
            return self.give_all(first, count, values, line);
        }
        // With as many values as variables, a last variable that is constant and gets a constant stands for it.
        if values.len == count && self.ast.local(last).attribute == Attribute::Const {
            let value = self.ast.expr(self.ast.lists[values.range()][count as usize - 1]);
            if value.is_constant() {
                self.ast.locals[last.0 as usize].constant = Some(value);
            }
        }
        self.show(count as usize);
        self.push(StatKind::Local { first, count, values }, line);
        Ok(())
    }

    fn label_stat(&mut self, name: Symbol, line: u32) -> Parsed<()> {
        self.expect(Token::DoubleColon)?;
        while self.is_byte(b';') || self.token == Token::DoubleColon {
            self.statement()?;
        }
        self.check_repeated_label(name)?;
        let last = self.at_block_end(false);
        let label = self.define_label(name, line, last)?;
        self.push(StatKind::Label(label), line);
        Ok(())
    }

    fn return_stat(&mut self, line: u32) -> Parsed<()> {
        let values = if self.at_block_end(true) || self.is_byte(b';') { Span::default() } else { self.expr_list()? };
        self.push(StatKind::Return(values), line);
        self.accept_byte(b';')?;
        Ok(())
    }

    fn expr_stat(&mut self, line: u32) -> Parsed<()> {
        let e = self.suffixed_expr()?;
        if self.is_byte(b'=') || self.is_byte(b',') {
            return self.assignment(e, line);
        }
        if !matches!(self.ast.expr(e), Expr::Call { .. } | Expr::Method { .. }) {
            return Err(self.error("syntax error"));
        }
        self.push(StatKind::Call(e), line);
        Ok(())
    }

    fn assignment(&mut self, first: ExprId, line: u32) -> Parsed<()> {
        let levels = self.levels;
        let base = self.pending_exprs.len();
        let mut target = first;
        loop {
            if !matches!(
                self.ast.expr(target),
                Expr::Local(_) | Expr::ConstLocal(_) | Expr::Upvalue(_) | Expr::Index { .. }
            ) {
                return Err(self.error("syntax error"));
            }
            self.assign_to(target)?;
            self.pending_exprs.push(target);
            if !self.accept_byte(b',')? {
                break;
            }
            target = self.suffixed_expr()?;
            self.enter_level()?;
        }
        let targets = finish_list(&mut self.pending_exprs, base, &mut self.ast.lists);
        self.expect(Token::Byte(b'='))?;
        let values = self.expr_list()?;
        self.levels = levels;
        self.push(StatKind::Assign { targets, values }, line);
        Ok(())
    }
}
