//! The lexer: from the bytes of a chunk to tokens (manual §3.1).
//!
//! A token is a small Copy value; names and strings are [`Symbol`]s. The text of the current token is remembered as its
//! place in the source, for messages ("near ..."); a string's is put together again from its symbol, since messages show
//! strings with their escapes resolved. [`Lexer::line`] is the line where the last token read ends.
#![forbid(unsafe_code)]

use perilune_runtime::lua::number::{self, Number};
use perilune_runtime::lua::string::c_string;

use super::source::{Parsed, SyntaxError, chunk_id};
use super::symbol::{Symbol, Symbols};

/// A token.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "reserved words and operators are named after themselves")]
pub enum Token {
    And,
    Break,
    Do,
    Else,
    Elseif,
    End,
    False,
    For,
    Function,
    Goto,
    If,
    In,
    Local,
    Nil,
    Not,
    Or,
    Repeat,
    Return,
    Then,
    True,
    Until,
    While,
    /// `//`
    IDiv,
    /// `..`
    Concat,
    /// `...`
    Dots,
    /// `==`
    Eq,
    /// `>=`
    Ge,
    /// `<=`
    Le,
    /// `~=`
    Ne,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `::`
    DoubleColon,
    /// The end of the chunk.
    Eof,
    Float(f64),
    Int(i64),
    Name(Symbol),
    Str(Symbol),
    /// Any other byte: an operator, a bracket, or something that no program contains.
    Byte(u8),
}

impl Token {
    /// The text of a token that always has the same one; none for names, strings, numerals and single bytes.
    fn fixed_text(self) -> Option<&'static str> {
        Some(match self {
            Token::And => "and",
            Token::Break => "break",
            Token::Do => "do",
            Token::Else => "else",
            Token::Elseif => "elseif",
            Token::End => "end",
            Token::False => "false",
            Token::For => "for",
            Token::Function => "function",
            Token::Goto => "goto",
            Token::If => "if",
            Token::In => "in",
            Token::Local => "local",
            Token::Nil => "nil",
            Token::Not => "not",
            Token::Or => "or",
            Token::Repeat => "repeat",
            Token::Return => "return",
            Token::Then => "then",
            Token::True => "true",
            Token::Until => "until",
            Token::While => "while",
            Token::IDiv => "//",
            Token::Concat => "..",
            Token::Dots => "...",
            Token::Eq => "==",
            Token::Ge => ">=",
            Token::Le => "<=",
            Token::Ne => "~=",
            Token::Shl => "<<",
            Token::Shr => ">>",
            Token::DoubleColon => "::",
            _ => return None,
        })
    }

    /// How messages call this kind of token ("`'end'` expected").
    pub fn describe(self) -> String {
        if let Some(text) = self.fixed_text() {
            return format!("'{text}'");
        }
        match self {
            Token::Byte(c @ b' '..=b'~') => format!("'{}'", char::from(c)),
            Token::Byte(c) => format!("'<\\{c}>'"),
            Token::Float(_) => "<number>".into(),
            Token::Int(_) => "<integer>".into(),
            Token::Name(_) => "<name>".into(),
            Token::Str(_) => "<string>".into(),
            _ => "<eof>".into(),
        }
    }
}

fn reserved(name: &[u8]) -> Option<Token> {
    Some(match name {
        b"and" => Token::And,
        b"break" => Token::Break,
        b"do" => Token::Do,
        b"else" => Token::Else,
        b"elseif" => Token::Elseif,
        b"end" => Token::End,
        b"false" => Token::False,
        b"for" => Token::For,
        b"function" => Token::Function,
        b"goto" => Token::Goto,
        b"if" => Token::If,
        b"in" => Token::In,
        b"local" => Token::Local,
        b"nil" => Token::Nil,
        b"not" => Token::Not,
        b"or" => Token::Or,
        b"repeat" => Token::Repeat,
        b"return" => Token::Return,
        b"then" => Token::Then,
        b"true" => Token::True,
        b"until" => Token::Until,
        b"while" => Token::While,
        _ => return None,
    })
}

/// The tokens of reserved words.
const RESERVED: [Token; 22] = {
    use Token::*;
    [
        And, Break, Do, Else, Elseif, End, False, For, Function, Goto, If, In, Local, Nil, Not, Or, Repeat, Return,
        Then, True, Until, While,
    ]
};

/// The reserved words (manual §3.1).
pub fn reserved_words() -> impl Iterator<Item = &'static str> {
    RESERVED.iter().filter_map(|token| token.fixed_text())
}

/// Is it a reserved word?
pub fn is_reserved(name: &[u8]) -> bool {
    reserved(name).is_some()
}

/// What an error message says that it is near to.
#[derive(Clone, Copy)]
pub enum Near<'t> {
    /// Nothing.
    Nothing,
    /// The end of the chunk.
    Eof,
    /// This text.
    Text(&'t [u8]),
}

#[inline]
fn is_name_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

/// Reads tokens from the bytes of a chunk.
pub struct Lexer<'a> {
    src: &'a [u8],
    pos: usize,
    /// The line where the last token read ends, from 1.
    pub line: u32,
    /// Where the last token read begins and ends in the source.
    span: (usize, usize),
    /// The names and strings seen so far.
    pub symbols: Symbols,
    /// Where strings with escapes are put together.
    buffer: Vec<u8>,
    chunk: &'a [u8],
}

impl<'a> Lexer<'a> {
    /// A lexer for the chunk `chunk` (its name, with `@` or `=` where it has one).
    pub fn new(src: &'a [u8], chunk: &'a [u8]) -> Self {
        Lexer { src, pos: 0, line: 1, span: (0, 0), symbols: Symbols::default(), buffer: Vec::new(), chunk }
    }

    /// Where the last token read lies in the source.
    pub fn span(&self) -> (usize, usize) {
        self.span
    }

    /// An error at the current line.
    #[cold]
    pub fn error(&self, message: &str, near: Near<'_>) -> Box<SyntaxError> {
        let mut text = chunk_id(self.chunk);
        text.extend_from_slice(format!(":{}: {message}", self.line).as_bytes());
        match near {
            Near::Nothing => {}
            Near::Eof => text.extend_from_slice(b" near <eof>"),
            Near::Text(near) => {
                text.extend_from_slice(b" near ");
                text.extend_from_slice(near);
            }
        }
        let place = match near {
            Near::Nothing => None,
            Near::Eof => Some(self.src.len()),
            Near::Text(_) => Some(self.span.0),
        };
        Box::new(SyntaxError { message: text, unsaid_line: None, place })
    }

    /// An error near `token`, which was read last or before the one that lies at `span`.
    #[cold]
    pub fn error_near(&self, message: &str, token: Token, span: (usize, usize)) -> Box<SyntaxError> {
        let near = match token {
            Token::Eof => return self.error(message, Near::Eof),
            Token::Byte(0) => return self.error(message, Near::Nothing),
            Token::Name(_) | Token::Int(_) | Token::Float(_) => quote(&self.src[span.0..span.1]),
            Token::Str(s) => {
                let (open, close) = self.delimiters(span);
                quote(&[open, self.symbols.text(s), close].concat())
            }
            other => other.describe().into_bytes(),
        };
        let mut error = self.error(message, Near::Text(&near));
        error.place = Some(span.0);
        error
    }

    fn delimiters(&self, (start, end): (usize, usize)) -> (&[u8], &[u8]) {
        let text = &self.src[start..end];
        let n = if text.first() == Some(&b'[') { 2 + text[1..].iter().take_while(|&&c| c == b'=').count() } else { 1 };
        (&text[..n], &text[text.len() - n..])
    }

    #[inline]
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.src.get(self.pos + ahead).copied()
    }

    /// The text from where the current token begins to `pos`, in quotes.
    fn near_so_far(&self) -> Vec<u8> {
        quote(&self.src[self.span.0..self.pos])
    }

    /// Reads the next token.
    pub fn next_token(&mut self) -> Parsed<Token> {
        loop {
            let Some(c) = self.peek(0) else {
                self.span = (self.pos, self.pos);
                return Ok(Token::Eof);
            };
            self.span.0 = self.pos;
            match c {
                b'\n' | b'\r' => self.newline(),
                b' ' | b'\t' | 0x0b | 0x0c => self.pos += 1,
                b'-' if self.peek(1) == Some(b'-') => self.comment()?,
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let token = self.name();
                    self.span.1 = self.pos;
                    return Ok(token);
                }
                _ => {
                    let token = self.other(c)?;
                    self.span.1 = self.pos;
                    return Ok(token);
                }
            }
        }
    }

    /// Skips a line's end: one of `\n`, `\r`, `\r\n`, `\n\r`.
    #[inline]
    fn newline(&mut self) {
        let first = self.src[self.pos];
        self.pos += 1;
        if let Some(second @ (b'\n' | b'\r')) = self.peek(0)
            && second != first
        {
            self.pos += 1;
        }
        self.line += 1;
    }

    fn name(&mut self) -> Token {
        let start = self.pos;
        let len = self.src[start..].iter().position(|&c| !is_name_byte(c)).unwrap_or(self.src.len() - start);
        self.pos += len;
        let text = &self.src[start..start + len];
        if (2..=8).contains(&len)
            && let Some(token) = reserved(text)
        {
            return token;
        }
        Token::Name(self.symbols.intern(text))
    }

    /// A token of one byte, or of two if the second is one of those given.
    #[inline]
    fn operator(&mut self, first: u8, longer: &[(u8, Token)]) -> Token {
        self.pos += 1;
        for &(second, token) in longer {
            if self.peek(0) == Some(second) {
                self.pos += 1;
                return token;
            }
        }
        Token::Byte(first)
    }

    fn other(&mut self, c: u8) -> Parsed<Token> {
        Ok(match c {
            b'=' => self.operator(c, &[(b'=', Token::Eq)]),
            b'<' => self.operator(c, &[(b'=', Token::Le), (b'<', Token::Shl)]),
            b'>' => self.operator(c, &[(b'=', Token::Ge), (b'>', Token::Shr)]),
            b'/' => self.operator(c, &[(b'/', Token::IDiv)]),
            b'~' => self.operator(c, &[(b'=', Token::Ne)]),
            b':' => self.operator(c, &[(b':', Token::DoubleColon)]),
            b'"' | b'\'' => return self.string(c),
            b'[' => match self.long_bracket(b'[') {
                Ok(level) => return self.long_string(level),
                Err(0) => self.operator(c, &[]),
                Err(signs) => {
                    self.pos += 1 + signs;
                    return Err(self.error("invalid long string delimiter", Near::Text(&self.near_so_far())));
                }
            },
            b'.' => match (self.peek(1), self.peek(2)) {
                (Some(b'.'), Some(b'.')) => {
                    self.pos += 3;
                    Token::Dots
                }
                (Some(b'.'), _) => {
                    self.pos += 2;
                    Token::Concat
                }
                (Some(b'0'..=b'9'), _) => return self.numeral(),
                _ => self.operator(c, &[]),
            },
            b'0'..=b'9' => return self.numeral(),
            _ => self.operator(c, &[]),
        })
    }

    fn numeral(&mut self) -> Parsed<Token> {
        let start = self.pos;
        // After a leading point, too: `.0x1` is one malformed numeral.
        self.pos += usize::from(self.src[start] == b'.');
        let hex = self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X'));
        if hex {
            self.pos += 2;
        }
        while let Some(c) = self.peek(0) {
            let exponent = if hex { matches!(c, b'p' | b'P') } else { matches!(c, b'e' | b'E') };
            if exponent {
                self.pos += 1;
                if matches!(self.peek(0), Some(b'+' | b'-')) {
                    self.pos += 1;
                }
            } else if c.is_ascii_hexdigit() || c == b'.' {
                self.pos += 1;
            } else {
                break;
            }
        }
        // A letter that touches a numeral spoils it and is shown.
        if self.peek(0).is_some_and(|c| c.is_ascii_alphabetic() || c == b'_') {
            self.pos += 1;
        }
        match number::parse(&self.src[start..self.pos]) {
            Some(Number::Int(i)) => Ok(Token::Int(i)),
            Some(Number::Float(f)) => Ok(Token::Float(f)),
            None => Err(self.error("malformed number", Near::Text(&self.near_so_far()))),
        }
    }

    /// The level of the long bracket that opens or closes at `pos`; else how many `=` follow the bracket there.
    fn long_bracket(&self, bracket: u8) -> Result<usize, usize> {
        let signs = self.src[self.pos + 1..].iter().take_while(|&&c| c == b'=').count();
        if self.peek(1 + signs) == Some(bracket) { Ok(signs) } else { Err(signs) }
    }

    fn comment(&mut self) -> Parsed<()> {
        self.pos += 2;
        if self.peek(0) == Some(b'[')
            && let Ok(level) = self.long_bracket(b'[')
        {
            return self.long_text(level, "comment", |_, _| {});
        }
        let rest = &self.src[self.pos..];
        self.pos += rest.iter().position(|&c| matches!(c, b'\n' | b'\r')).unwrap_or(rest.len());
        Ok(())
    }

    fn long_string(&mut self, level: usize) -> Parsed<Token> {
        self.buffer.clear();
        self.long_text(level, "string", |buffer, piece| buffer.extend_from_slice(piece))?;
        Ok(Token::Str(self.symbols.intern(&self.buffer)))
    }

    /// Reads what is between long brackets, the brackets included, and hands it on with its line ends made `\n`.
    fn long_text(&mut self, level: usize, what: &str, keep: impl Fn(&mut Vec<u8>, &[u8])) -> Parsed<()> {
        let line = self.line;
        self.pos += level + 2;
        if matches!(self.peek(0), Some(b'\n' | b'\r')) {
            self.newline();
        }
        loop {
            let rest = &self.src[self.pos..];
            let plain = rest.iter().position(|&c| matches!(c, b'\n' | b'\r' | b']')).unwrap_or(rest.len());
            keep(&mut self.buffer, &rest[..plain]);
            self.pos += plain;
            match self.peek(0) {
                None => {
                    let message = format!("unfinished long {what} (starting at line {line})");
                    return Err(self.error(&message, Near::Eof));
                }
                Some(b']') => {
                    let found = self.long_bracket(b']');
                    if found == Ok(level) {
                        self.pos += level + 2;
                        return Ok(());
                    }
                    keep(&mut self.buffer, b"]");
                    self.pos += 1;
                }
                Some(_) => {
                    keep(&mut self.buffer, b"\n");
                    self.newline();
                }
            }
        }
    }

    fn string(&mut self, quote_mark: u8) -> Parsed<Token> {
        self.pos += 1;
        self.buffer.clear();
        let mut escaped = false;
        loop {
            let rest = &self.src[self.pos..];
            let stop = |&c: &u8| c == quote_mark || matches!(c, b'\\' | b'\n' | b'\r');
            let plain = rest.iter().position(stop).unwrap_or(rest.len());
            let text = &rest[..plain];
            self.pos += plain;
            match self.peek(0) {
                Some(c) if c == quote_mark => {
                    self.pos += 1;
                    if !escaped {
                        return Ok(Token::Str(self.symbols.intern(text)));
                    }
                    self.buffer.extend_from_slice(text);
                    return Ok(Token::Str(self.symbols.intern(&self.buffer)));
                }
                Some(b'\\') => {
                    self.buffer.extend_from_slice(text);
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => {
                    self.buffer.extend_from_slice(text);
                    let near = self.near_in_string(&[]);
                    return Err(self.error("unfinished string", Near::Text(&near)));
                }
                None => return Err(self.error("unfinished string", Near::Eof)),
            }
        }
    }

    /// What has been read of a string, with its escapes resolved, and the bytes of an unfinished one.
    fn near_in_string(&self, escape: &[u8]) -> Vec<u8> {
        quote(&[&self.src[self.span.0..=self.span.0], &self.buffer, escape].concat())
    }

    /// An error in the escape sequence that began at `start`; the byte at `pos` is shown as well.
    #[cold]
    fn escape_error<T>(&self, start: usize, message: &str) -> Parsed<T> {
        let end = (self.pos + 1).min(self.src.len());
        let near = self.near_in_string(&self.src[start..end]);
        Err(self.error(message, Near::Text(&near)))
    }

    fn escape(&mut self) -> Parsed<()> {
        let start = self.pos;
        self.pos += 1;
        let Some(c) = self.peek(0) else { return Ok(()) };
        let byte = match c {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'"' | b'\'' => c,
            b'\n' | b'\r' => {
                self.newline();
                self.buffer.push(b'\n');
                return Ok(());
            }
            b'z' => {
                self.pos += 1;
                while let Some(c) = self.peek(0)
                    && number::is_space(c)
                {
                    if matches!(c, b'\n' | b'\r') { self.newline() } else { self.pos += 1 }
                }
                return Ok(());
            }
            b'x' => {
                let high = self.hex_digit(start)?;
                let low = self.hex_digit(start)?;
                (high << 4 | low) as u8
            }
            b'u' => return self.utf8_escape(start),
            b'0'..=b'9' => return self.decimal_escape(start),
            _ => return self.escape_error(start, "invalid escape sequence"),
        };
        self.pos += 1;
        self.buffer.push(byte);
        Ok(())
    }

    /// Goes on by one byte, which must be a hexadecimal digit.
    fn hex_digit(&mut self, start: usize) -> Parsed<u32> {
        self.pos += 1;
        match self.peek(0).and_then(|c| char::from(c).to_digit(16)) {
            Some(d) => Ok(d),
            None => self.escape_error(start, "hexadecimal digit expected"),
        }
    }

    fn decimal_escape(&mut self, start: usize) -> Parsed<()> {
        let mut value = 0;
        for _ in 0..3 {
            let Some(c @ b'0'..=b'9') = self.peek(0) else { break };
            value = value * 10 + u32::from(c - b'0');
            self.pos += 1;
        }
        if value > 255 {
            return self.escape_error(start, "decimal escape too large");
        }
        self.buffer.push(value as u8);
        Ok(())
    }

    fn utf8_escape(&mut self, start: usize) -> Parsed<()> {
        self.pos += 1;
        if self.peek(0) != Some(b'{') {
            return self.escape_error(start, "missing '{'");
        }
        let mut value = self.hex_digit(start)?;
        self.pos += 1;
        while let Some(d) = self.peek(0).and_then(|c| char::from(c).to_digit(16)) {
            if value > 0x7fff_ffff >> 4 {
                return self.escape_error(start, "UTF-8 value too large");
            }
            value = value << 4 | d;
            self.pos += 1;
        }
        if self.peek(0) != Some(b'}') {
            return self.escape_error(start, "missing '}'");
        }
        self.pos += 1;
        push_utf8(value, &mut self.buffer);
        Ok(())
    }
}

/// Appends the UTF-8 form of a value below 2^31, in the original definition with up to six bytes.
fn push_utf8(value: u32, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    // n continuation bytes carry 6n bits, the first byte 6 - n more.
    let n = (1..=5).find(|n| value >> (6 * n + 6 - n) == 0).unwrap_or(5);
    out.push((0xff00u32 >> (n + 1)) as u8 | (value >> (6 * n)) as u8);
    for i in (0..n).rev() {
        out.push(0x80 | (value >> (6 * i) & 0x3f) as u8);
    }
}

/// A text in quotes, up to its first zero byte: C strings end there.
fn quote(text: &[u8]) -> Vec<u8> {
    [b"'", c_string(text), b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(src: &[u8]) -> Result<Vec<String>, String> {
        let mut lexer = Lexer::new(src, b"=c");
        let mut out = Vec::new();
        loop {
            match lexer.next_token().map_err(|e| e.to_string())? {
                Token::Eof => return Ok(out),
                Token::Int(i) => out.push(format!("{i}")),
                Token::Float(f) => out.push(format!("{f:?}")),
                Token::Name(s) => out.push(String::from_utf8_lossy(lexer.symbols.text(s)).into()),
                Token::Str(s) => out.push(format!("\"{}\"", lexer.symbols.text(s).escape_ascii())),
                other => out.push(other.describe()),
            }
        }
    }

    #[track_caller]
    fn check(src: &str, expected: &str) {
        assert_eq!(lex(src.as_bytes()).map(|t| t.join(" ")).unwrap_or_else(|e| e), expected);
    }

    #[test]
    fn tokens() {
        check("a<b<=c<<d", "a '<' b '<=' c '<<' d");
        check("a//b/c~d~=e", "a '//' b '/' c '~' d '~=' e");
        check("...,..,.:::", "'...' ',' '..' ',' '.' '::' ':'");
        check("if x_1 then _end end", "'if' x_1 'then' _end 'end'");
        check("-- c\na --[[ b\n\nc ]] d --[==[ ]] ]=] ]==] e --", "a d e");
        check("a\r\nb\n\rc\r\rd \u{b}\u{c}", "a b c d");
        check("\0$", "'<\\0>' '$'");
    }

    #[test]
    fn numerals() {
        check("3 3.0 3.1416 314.16e-2 0.31416E1 .5", "3 3.0 3.1416 3.1416 3.1416 0.5");
        check(
            "0xff 0xBEBADA 0x0.1E 0xA23p-4 0X1.921FB54442D18P+1",
            "255 12499674 0.1171875 162.1875 3.141592653589793",
        );
        check("9223372036854775807 9223372036854775808", "9223372036854775807 9.223372036854776e18");
        check("3x", "c:1: malformed number near '3x'");
        check("3..2", "c:1: malformed number near '3..2'");
        check("0xep1", "28.0");
        check("0x", "c:1: malformed number near '0x'");
        check("1e+", "c:1: malformed number near '1e+'");
        check(".0xb.", "c:1: malformed number near '.0xb.'");
        check("08_", "c:1: malformed number near '08_'");
    }

    #[test]
    fn strings() {
        check(
            r#""a\n\\\"\'\065\x41\z
              b""#,
            r#""a\n\\\"\'AAb""#,
        );
        check("'a\\\nb' 'a\\\r\nb'", r#""a\nb" "a\nb""#);
        check(r"'\u{48}\u{7FF}\u{20AC}\u{10FFFF}'", r#""H\xdf\xbf\xe2\x82\xac\xf4\x8f\xbf\xbf""#);
        check(r"'\u{7FFFFFFF}' '\u{3FFFFFF}'", r#""\xfd\xbf\xbf\xbf\xbf\xbf" "\xfb\xbf\xbf\xbf\xbf""#);
        check("[[\na]]b]==]]] [==[x]=]]==] [[\r\n\r\ny]]", r#""a" b ']' '==' ']' ']' ']' "x]=]" "\ny""#);
    }

    #[test]
    fn errors_in_strings() {
        check("x = \"abc", "c:1: unfinished string near <eof>");
        check("x = 'abc\n'", "c:1: unfinished string near ''abc'");
        check("'a\\065\n", "c:1: unfinished string near ''aA'");
        check(r"'ab\qc'", r"c:1: invalid escape sequence near ''ab\q'");
        check(r"'\400'", r"c:1: decimal escape too large near ''\400''");
        check(r"'\xg0'", r"c:1: hexadecimal digit expected near ''\xg'");
        check(r"'\x4g'", r"c:1: hexadecimal digit expected near ''\x4g'");
        check(r"'\u41'", r"c:1: missing '{' near ''\u4'");
        check(r"'\u{}'", r"c:1: hexadecimal digit expected near ''\u{}'");
        check(r"'\u{41'", r"c:1: missing '}' near ''\u{41''");
        check(r"'\u{80000000}'", r"c:1: UTF-8 value too large near ''\u{80000000'");
        check("\n[[a\nb", "c:3: unfinished long string (starting at line 2) near <eof>");
        check("--[==[a\nb", "c:2: unfinished long comment (starting at line 1) near <eof>");
        check("[=a", "c:1: invalid long string delimiter near '[='");
        check("'\\", "c:1: unfinished string near <eof>");
    }
}
