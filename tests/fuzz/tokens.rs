//! Random sequences of tokens, and programs with some of their tokens changed: what a lexer and a parser must survive, and refuse
//! in the same words.

use super::random::Random;

/// Tokens, and parts of tokens.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "goto",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "^",
    "#",
    "&",
    "~",
    "|",
    "<<",
    ">>",
    "==",
    "~=",
    "<=",
    ">=",
    "<",
    ">",
    "=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "::",
    ";",
    ":",
    ",",
    ".",
    "..",
    "...",
    "a",
    "b",
    "x1",
    "_",
    "_ENV",
    "self",
    "<const>",
    "<close>",
    "< const >",
    "<other>",
    "0",
    "1",
    "42",
    "3.5",
    "1e3",
    "0x10",
    "0xA.8p1",
    "1e",
    "0x",
    "3..2",
    "1.5.2",
    "0x1p",
    "5a",
    ".5",
    "9223372036854775808",
    "1e400",
    "0xffffffffffffffffff",
    "'a'",
    "\"b\"",
    "''",
    "'\\n\\t\\\\'",
    "'\\x41'",
    "'\\x4'",
    "'\\65'",
    "'\\999'",
    "'\\u{48}'",
    "'\\u{110000000}'",
    "'\\u{}'",
    "'\\u41'",
    "'\\q'",
    "'\\z  b'",
    "'open",
    "\"a\nb\"",
    "'\\\nb'",
    "[[long]]",
    "[==[ ]] ]==]",
    "[=[open",
    "[=x",
    "--comment\n",
    "--[[ c ]]",
    "--[==[ open",
    "\n",
    "\r\n",
    " ",
    "\t",
    "@",
    "$",
    "!",
    "`",
    "?",
    "\\",
    "\0",
    "\u{e9}",
    "\u{1}",
    "goto a",
    "::a::",
    "break;",
    "local x",
    "x = 1",
    "f()",
    "f{}",
    "f'a'",
    "return",
    "end end",
    "then end",
];

/// A text of the seed, as its tokens.
pub fn text(random: &mut Random, programs: &[Vec<String>]) -> Vec<String> {
    if random.chance(30) {
        let count = 1 + random.below(14);
        return (0..count).map(|_| spaced(random)).collect();
    }
    // A piece of a program, whole statements or not, with a few changes.
    let program = &programs[random.below(programs.len())];
    let starts: Vec<usize> = (1..program.len()).filter(|i| program[i - 1].contains('\n')).collect();
    let start = if random.chance(80) { starts[random.below(starts.len())] } else { random.below(program.len()) };
    // Most often whole lines.
    let ends: Vec<usize> = starts.iter().copied().filter(|end| *end > start).take(6).collect();
    let end = match random.chance(80) && !ends.is_empty() {
        true => ends[random.below(ends.len())],
        false => (start + 1 + random.below(60)).min(program.len()),
    };
    let mut tokens = program[start..end].to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(tokens.len().max(1)).min(tokens.len());
        match random.below(4) {
            0 => tokens.insert(at, spaced(random)),
            1 if at < tokens.len() => drop(tokens.remove(at)),
            2 if at < tokens.len() => tokens[at] = spaced(random),
            _ if at < tokens.len() => {
                let other = random.below(tokens.len());
                tokens.swap(at, other);
            }
            _ => {}
        }
    }
    tokens
}

/// A word, most often with space behind it.
fn spaced(random: &mut Random) -> String {
    let word = random.pick(WORDS);
    if random.chance(85) { format!("{word} ") } else { word.to_string() }
}

/// The words of a program, with the space behind them.
pub fn split(program: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut last = 1;
    for c in program.chars() {
        let now = class(c);
        match tokens.last_mut() {
            Some(token) if now == 1 || now == 0 && last == 0 => token.push(c),
            _ => tokens.push(c.to_string()),
        }
        last = now;
    }
    tokens
}
