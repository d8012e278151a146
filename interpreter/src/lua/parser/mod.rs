//! The parser: from tokens to a syntax tree with resolved names (manual §3.3, §3.4, §9).
//!
//! A recursive descent over the grammar, cut by it: statements in `stat`, expressions in `expr`; `scope` finds what names
//! and labels mean while they are read, so that no pass over the tree is needed for it and errors come in the order of
//! the text; `fold` computes constant expressions, which has to happen here because `<const>` variables that stand for
//! constants decide what is an upvalue.
//!
//! Nesting is limited to [`MAX_LEVELS`], as in C Lua, and that bounds the recursion here and in the compiler.
#![forbid(unsafe_code)]

mod expr;
mod fold;
mod scope;
mod session;
mod stat;
#[cfg(test)]
mod tests;

use super::ast::{Ast, Block, Branch, Expr, ExprId, FunctionId, Item, LocalId, Span, Stat};
use super::lexer::{Lexer, Near, Token};
use super::source::{Parsed, SyntaxError};
use super::symbol::Symbol;
pub use session::Variable;

/// Limit on nested statements, expressions and assignment targets: C Lua's 200 less what it has in use itself when a
/// script calls `load`.
pub const MAX_LEVELS: u32 = 198;

/// Largest source text in bytes: places in it fit into 31 bits.
pub const MAX_SOURCE: usize = (1 << 31) - 1;

/// Parses a chunk; `chunk` is its name, with `@` or `=` in front where it has one.
pub fn parse(src: &[u8], chunk: &[u8]) -> Parsed<Ast> {
    parse_with(src, chunk, None)
}

/// Parses a chunk of a session: it finds the variables that are known, and those that it declares at its outermost level
/// become the session's (but for `<close>` variables and `_ENV`).
pub fn parse_session(src: &[u8], chunk: &[u8], known: &[Variable]) -> Parsed<Ast> {
    parse_with(src, chunk, Some(known))
}

fn parse_with(src: &[u8], chunk: &[u8], session: Option<&[Variable]>) -> Parsed<Ast> {
    let mut lexer = Lexer::new(src, chunk);
    if src.len() > MAX_SOURCE {
        return Err(lexer.error("chunk is too large", Near::Nothing));
    }
    let env = lexer.symbols.intern(b"_ENV");
    let mut parser = Parser {
        token: lexer.next_token()?,
        span: lexer.span(),
        lexer,
        ahead: None,
        last_line: 1,
        levels: 0,
        ast: Ast::default(),
        env,
        functions: Vec::new(),
        blocks: Vec::new(),
        visible: Vec::new(),
        labels: Vec::new(),
        gotos: Vec::new(),
        session: None,
        pending_exprs: Vec::new(),
        pending_items: Vec::new(),
        pending_stats: Vec::new(),
        pending_branches: Vec::new(),
    };
    parser.main_function(session)?;
    parser.ast.symbols = parser.lexer.symbols;
    Ok(parser.ast)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token to look at, and its place in the source.
    token: Token,
    span: (usize, usize),
    /// One token more, where the grammar needs it.
    ahead: Option<(Token, (usize, usize))>,
    /// The line of the last token that was consumed.
    last_line: u32,
    levels: u32,
    ast: Ast,
    env: Symbol,
    /// The functions around the place that is being read, innermost last.
    functions: Vec<scope::FunctionScope>,
    /// Their blocks.
    blocks: Vec<scope::BlockScope>,
    /// Their local variables, those included that are declared but not visible yet.
    visible: Vec<LocalId>,
    /// The labels of these blocks.
    labels: Vec<scope::ActiveLabel>,
    /// Jumps whose label has not been seen.
    gotos: Vec<scope::PendingGoto>,
    /// The variables of the session that the chunk belongs to.
    session: Option<Vec<LocalId>>,
    // Lists in the making; a finished one moves to the tree as a whole, so that it lies there in one piece.
    pending_exprs: Vec<ExprId>,
    pending_items: Vec<Item>,
    pending_stats: Vec<Stat>,
    pending_branches: Vec<Branch>,
}

/// Moves the elements from `base` on to the end of `to`.
fn finish_list<T>(from: &mut Vec<T>, base: usize, to: &mut Vec<T>) -> Span {
    let span = Span { start: to.len() as u32, len: (from.len() - base) as u32 };
    to.extend(from.drain(base..));
    span
}

impl Parser<'_> {
    /// Goes on to the next token.
    fn advance(&mut self) -> Parsed<()> {
        self.last_line = self.lexer.line;
        if let Some((token, span)) = self.ahead.take() {
            (self.token, self.span) = (token, span);
        } else {
            self.token = self.lexer.next_token()?;
            self.span = self.lexer.span();
        }
        Ok(())
    }

    /// The token after the current one.
    fn look_ahead(&mut self) -> Parsed<Token> {
        if let Some((token, _)) = self.ahead {
            return Ok(token);
        }
        let token = self.lexer.next_token()?;
        self.ahead = Some((token, self.lexer.span()));
        Ok(token)
    }

    /// An error near the current token.
    #[cold]
    fn error(&self, message: &str) -> Box<SyntaxError> {
        self.lexer.error_near(message, self.token, self.span)
    }

    /// An error of meaning, which is not about the current token.
    #[cold]
    fn semantic_error(&self, message: &str) -> Box<SyntaxError> {
        self.lexer.error(message, Near::Nothing)
    }

    #[cold]
    fn expected(&self, token: Token) -> Box<SyntaxError> {
        self.error(&format!("{} expected", token.describe()))
    }

    fn is_byte(&self, c: u8) -> bool {
        matches!(self.token, Token::Byte(t) if t == c)
    }

    /// Skips this byte if it comes next.
    fn accept_byte(&mut self, c: u8) -> Parsed<bool> {
        if !self.is_byte(c) {
            return Ok(false);
        }
        self.advance()?;
        Ok(true)
    }

    /// Skips a token that must come next.
    fn expect(&mut self, token: Token) -> Parsed<()> {
        if self.token != token {
            return Err(self.expected(token));
        }
        self.advance()
    }

    /// Skips the token that closes what `open` opened at `line`.
    fn expect_closing(&mut self, close: Token, open: Token, line: u32) -> Parsed<()> {
        if self.token == close {
            return self.advance();
        }
        if line == self.lexer.line {
            return Err(self.expected(close));
        }
        let (close, open) = (close.describe(), open.describe());
        Err(self.error(&format!("{close} expected (to close {open} at line {line})")))
    }

    fn expect_name(&mut self) -> Parsed<Symbol> {
        let Token::Name(name) = self.token else { return Err(self.expected(Token::Name(self.env))) };
        self.advance()?;
        Ok(name)
    }

    /// Enters a construct that may contain itself; the caller takes one off `levels` when it leaves.
    fn enter_level(&mut self) -> Parsed<()> {
        self.levels += 1;
        if self.levels > MAX_LEVELS {
            return Err(Box::new(SyntaxError {
                message: b"C stack overflow".to_vec(),
                unsaid_line: Some(self.lexer.line),
                place: Some(self.span.0),
            }));
        }
        Ok(())
    }

    fn new_expr(&mut self, expr: Expr, line: u32) -> ExprId {
        let id = ExprId(self.ast.exprs.len() as u32);
        self.ast.exprs.push(expr);
        self.ast.lines.push(line);
        id
    }

    fn main_function(&mut self, session: Option<&[Variable]>) -> Parsed<()> {
        let id = self.open_main();
        self.session = session.map(|known| self.know(known));
        debug_assert_eq!(id, FunctionId(0));
        let body = self.stat_list()?;
        if self.token != Token::Eof {
            return Err(self.expected(Token::Eof));
        }
        self.close_function(id, body, self.last_line)
    }

    /// The statements of a block have been read: those from `base` on.
    fn finish_block(&mut self, base: usize) -> Block {
        finish_list(&mut self.pending_stats, base, &mut self.ast.stats)
    }
}
