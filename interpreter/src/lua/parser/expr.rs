//! Expressions (manual §3.4).
#![forbid(unsafe_code)]

use super::super::ast::{BinaryOp, Expr, ExprId, Item, Span, UnaryOp};
use super::super::lexer::Token;
use super::super::source::Parsed;
use super::{Parser, finish_list, fold};

/// A binary operator with `and` and `or`.
#[derive(Clone, Copy)]
enum Operator {
    Binary(BinaryOp),
    And,
    Or,
}

/// The binding power of unary operators.
const UNARY_POWER: u8 = 12;

/// A binary operator's meaning and how strongly it binds to its left and to its right; `..` and `^` are the ones that
/// associate to the right.
fn binary_operator(token: Token) -> Option<(Operator, u8, u8)> {
    use BinaryOp::*;
    let (op, left, right) = match token {
        Token::Or => return Some((Operator::Or, 1, 1)),
        Token::And => return Some((Operator::And, 2, 2)),
        Token::Byte(b'<') => (Lt, 3, 3),
        Token::Byte(b'>') => (Gt, 3, 3),
        Token::Le => (Le, 3, 3),
        Token::Ge => (Ge, 3, 3),
        Token::Ne => (Ne, 3, 3),
        Token::Eq => (Eq, 3, 3),
        Token::Byte(b'|') => (BOr, 4, 4),
        Token::Byte(b'~') => (BXor, 5, 5),
        Token::Byte(b'&') => (BAnd, 6, 6),
        Token::Shl => (Shl, 7, 7),
        Token::Shr => (Shr, 7, 7),
        Token::Concat => (Concat, 9, 8),
        Token::Byte(b'+') => (Add, 10, 10),
        Token::Byte(b'-') => (Sub, 10, 10),
        Token::Byte(b'*') => (Mul, 11, 11),
        Token::Byte(b'/') => (Div, 11, 11),
        Token::IDiv => (IDiv, 11, 11),
        Token::Byte(b'%') => (Mod, 11, 11),
        Token::Byte(b'^') => (Pow, 14, 13),
        _ => return None,
    };
    Some((Operator::Binary(op), left, right))
}

fn unary_operator(token: Token) -> Option<UnaryOp> {
    Some(match token {
        Token::Not => UnaryOp::Not,
        Token::Byte(b'-') => UnaryOp::Neg,
        Token::Byte(b'~') => UnaryOp::BNot,
        Token::Byte(b'#') => UnaryOp::Len,
        _ => return None,
    })
}

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> Parsed<ExprId> {
        self.sub_expr(0)
    }

    /// An expression whose operators bind more strongly than `power`.
    fn sub_expr(&mut self, power: u8) -> Parsed<ExprId> {
        self.enter_level()?;
        let mut left = if let Some(op) = unary_operator(self.token) {
            let line = self.lexer.line;
            self.advance()?;
            let operand = self.sub_expr(UNARY_POWER)?;
            let folded = fold::unary(op, self.ast.expr(operand));
            self.new_expr(folded.unwrap_or(Expr::Unary(op, operand)), line)
        } else {
            self.simple_expr()?
        };
        while let Some((op, left_power, right_power)) = binary_operator(self.token)
            && left_power > power
        {
            let line = self.lexer.line;
            self.advance()?;
            let right = self.sub_expr(right_power)?;
            left = self.operation(op, left, right, line);
        }
        self.levels -= 1;
        Ok(left)
    }

    fn operation(&mut self, op: Operator, left: ExprId, right: ExprId, line: u32) -> ExprId {
        let (a, b) = (self.ast.expr(left), self.ast.expr(right));
        match op {
            // A constant on the left decides; what stays counts as one value even if it is a call.
            Operator::And if a.is_constant() && !matches!(a, Expr::Nil | Expr::False) => self.single(right, line),
            Operator::Or if matches!(a, Expr::Nil | Expr::False) => self.single(right, line),
            Operator::And => self.new_expr(Expr::And(left, right), line),
            Operator::Or => self.new_expr(Expr::Or(left, right), line),
            Operator::Binary(op) => {
                self.new_expr(fold::binary(op, a, b).unwrap_or(Expr::Binary(op, left, right)), line)
            }
        }
    }

    /// The expression cut to one value, and no variable any more.
    fn single(&mut self, e: ExprId, line: u32) -> ExprId {
        match self.ast.expr(e) {
            Expr::Local(_) | Expr::Upvalue(_) | Expr::Index { .. } => self.new_expr(Expr::Paren(e), line),
            multiple if multiple.is_multiple() => self.new_expr(Expr::Paren(e), line),
            _ => e,
        }
    }

    fn simple_expr(&mut self) -> Parsed<ExprId> {
        let line = self.lexer.line;
        let expr = match self.token {
            Token::Float(f) => Expr::Float(f),
            Token::Int(i) => Expr::Int(i),
            Token::Str(s) => Expr::Str(s),
            Token::Nil => Expr::Nil,
            Token::True => Expr::True,
            Token::False => Expr::False,
            Token::Dots => {
                if !self.is_vararg() {
                    return Err(self.error("cannot use '...' outside a vararg function"));
                }
                Expr::Vararg
            }
            Token::Byte(b'{') => return self.table(),
            Token::Function => {
                self.advance()?;
                let line = self.lexer.line;
                return self.function_body(false, line);
            }
            _ => {
                let e = self.suffixed_expr()?;
                if let Expr::ConstLocal(id) = self.ast.expr(e) {
                    self.ast.exprs[e.0 as usize] = self.ast.local(id).constant.unwrap_or(Expr::Nil);
                }
                return Ok(e);
            }
        };
        self.advance()?;
        Ok(self.new_expr(expr, line))
    }

    fn primary_expr(&mut self) -> Parsed<ExprId> {
        let line = self.lexer.line;
        match self.token {
            Token::Name(name) => {
                self.advance()?;
                self.variable(name, line)
            }
            Token::Byte(b'(') => {
                self.advance()?;
                let e = self.expr()?;
                self.expect_closing(Token::Byte(b')'), Token::Byte(b'('), line)?;
                Ok(self.single(e, line))
            }
            _ => Err(self.error("unexpected symbol")),
        }
    }

    /// A variable or a value with fields and calls behind it.
    pub(super) fn suffixed_expr(&mut self) -> Parsed<ExprId> {
        let mut e = self.primary_expr()?;
        loop {
            match self.token {
                Token::Byte(b'.') => e = self.field(e)?,
                Token::Byte(b'[') => {
                    let object = self.value_of(e);
                    let key = self.bracketed_key()?;
                    e = self.new_expr(Expr::Index { object, key }, self.last_line);
                }
                Token::Byte(b':') => {
                    self.advance()?;
                    let name = self.expect_name()?;
                    let object = self.value_of(e);
                    let (args, line) = self.call_args()?;
                    e = self.new_expr(Expr::Method { object, name, args }, line);
                }
                Token::Byte(b'(' | b'{') | Token::Str(_) => {
                    let callee = self.value_of(e);
                    let (args, line) = self.call_args()?;
                    e = self.new_expr(Expr::Call { callee, args }, line);
                }
                _ => return Ok(e),
            }
        }
    }

    /// A variable that stands for a constant becomes that constant.
    fn value_of(&mut self, e: ExprId) -> ExprId {
        if let Expr::ConstLocal(id) = self.ast.expr(e) {
            self.ast.exprs[e.0 as usize] = self.ast.local(id).constant.unwrap_or(Expr::Nil);
        }
        e
    }

    /// `.name` after `object`; also `:name` where a method is defined.
    pub(super) fn field(&mut self, object: ExprId) -> Parsed<ExprId> {
        self.advance()?;
        let line = self.lexer.line;
        let name = self.expect_name()?;
        let object = self.value_of(object);
        let key = self.new_expr(Expr::Str(name), line);
        Ok(self.new_expr(Expr::Index { object, key }, line))
    }

    fn bracketed_key(&mut self) -> Parsed<ExprId> {
        self.advance()?;
        let key = self.expr()?;
        self.expect(Token::Byte(b']'))?;
        Ok(key)
    }

    /// The arguments of a call, and the line that the call belongs to.
    fn call_args(&mut self) -> Parsed<(Span, u32)> {
        let line = self.lexer.line;
        let args = match self.token {
            Token::Byte(b'(') => {
                self.advance()?;
                let args = if self.is_byte(b')') { Span::default() } else { self.expr_list()? };
                self.expect_closing(Token::Byte(b')'), Token::Byte(b'('), line)?;
                args
            }
            Token::Byte(b'{') => {
                let table = self.table()?;
                self.list_of(&[table])
            }
            Token::Str(s) => {
                let string = self.new_expr(Expr::Str(s), line);
                self.advance()?;
                self.list_of(&[string])
            }
            _ => return Err(self.error("function arguments expected")),
        };
        Ok((args, line))
    }

    pub(super) fn list_of(&mut self, exprs: &[ExprId]) -> Span {
        let start = self.ast.lists.len() as u32;
        self.ast.lists.extend_from_slice(exprs);
        Span { start, len: exprs.len() as u32 }
    }

    /// One or more expressions with commas in between.
    pub(super) fn expr_list(&mut self) -> Parsed<Span> {
        let base = self.pending_exprs.len();
        loop {
            let e = self.expr()?;
            self.pending_exprs.push(e);
            if !self.accept_byte(b',')? {
                return Ok(finish_list(&mut self.pending_exprs, base, &mut self.ast.lists));
            }
        }
    }

    fn table(&mut self) -> Parsed<ExprId> {
        let line = self.lexer.line;
        self.expect(Token::Byte(b'{'))?;
        let base = self.pending_items.len();
        while !self.is_byte(b'}') {
            let line = self.lexer.line;
            let token = self.token;
            let key = match token {
                Token::Name(name) if self.look_ahead()? == Token::Byte(b'=') => {
                    self.advance()?;
                    Some(self.new_expr(Expr::Str(name), line))
                }
                Token::Byte(b'[') => Some(self.bracketed_key()?),
                _ => None,
            };
            if key.is_some() {
                self.expect(Token::Byte(b'='))?;
            }
            let value = self.expr()?;
            self.pending_items.push(Item { key, value, line: self.last_line });
            if !self.accept_byte(b',')? && !self.accept_byte(b';')? {
                break;
            }
        }
        self.expect_closing(Token::Byte(b'}'), Token::Byte(b'{'), line)?;
        let items = finish_list(&mut self.pending_items, base, &mut self.ast.items);
        Ok(self.new_expr(Expr::Table(items), line))
    }

    /// A function from its parameters on; `line` is where `function` stands.
    pub(super) fn function_body(&mut self, is_method: bool, line: u32) -> Parsed<ExprId> {
        let id = self.open_function(line);
        self.expect(Token::Byte(b'('))?;
        let mut parameters = 0;
        if is_method {
            let name = self.lexer.symbols.intern(b"self");
            self.declare(name)?;
            parameters += 1;
        }
        let mut is_vararg = false;
        while parameters == usize::from(is_method) && !self.is_byte(b')') || self.accept_byte(b',')? {
            match self.token {
                Token::Name(name) => {
                    self.advance()?;
                    self.declare(name)?;
                    parameters += 1;
                }
                Token::Dots => {
                    self.advance()?;
                    is_vararg = true;
                    break;
                }
                _ => return Err(self.error("<name> or '...' expected")),
            }
        }
        self.show(parameters);
        let function = &mut self.ast.functions[id.0 as usize];
        function.parameters = parameters as u32;
        function.is_vararg = is_vararg;
        self.expect(Token::Byte(b')'))?;
        let body = self.stat_list()?;
        let end_line = self.lexer.line;
        self.expect_closing(Token::End, Token::Function, line)?;
        self.close_function(id, body, end_line)?;
        Ok(self.new_expr(Expr::Function(id), end_line))
    }
}
