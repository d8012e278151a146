//! What only files and folders promise: the direction of names between rooms, where `unsafe` may stand, that each file says what it
//! is for, and that files and functions stay short enough to be read.
//!
//! The exceptions below are named one by one, and each must still be needed: the lists can only shrink. This test lies here since
//! the trace compiler is the crate that sees all others.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that may contain `unsafe`: heap cells and object layout, the interpreter's loop and accessors, code buffers, entries and
/// helpers, registration with the system's unwinder and debugger, and what calls C in tests and benchmarks. A name that ends
/// in `/` stands for a folder.
const UNSAFE_ROOMS: &[&str] = &[
    // Heap cells and the layout of objects.
    "runtime/src/lua/debugger.rs",
    "runtime/src/lua/frames.rs",
    "runtime/src/lua/function.rs",
    "runtime/src/lua/heap/",
    "runtime/src/lua/shape.rs",
    "runtime/src/lua/state.rs",
    "runtime/src/lua/string.rs",
    "runtime/src/lua/string/",
    "runtime/src/lua/table/",
    "runtime/src/lua/thread.rs",
    "runtime/src/lua/userdata.rs",
    "runtime/src/lua/value.rs",
    // The socket between the machines, which hands out raw pointers.
    "runtime/src/lua/tier.rs",
    // The interpreter's loop and its accessors.
    "interpreter/src/lua/exec/",
    // The host's vector and floating-point units, which the guest's instructions run on.
    "interpreter/src/guest/native.rs",
    // Code buffers, entries, exits, helpers.
    "jit/src/code/",
    "jit/src/lua/ir/helper.rs",
    "jit/src/lua/helpers.rs",
    "jit/src/lua/machine.rs",
    "jit/src/lua/machine/random/",
    "jit/src/lua/entry.rs",
    "jit/src/lua/lines.rs",
    // Entry, exits and helpers of the guest's compiled code.
    "jit/src/guest/tier.rs",
    "jit/src/guest/trampoline.rs",
    // What stands between compiled code and the interpreter, and works on the raw state.
    "jit/src/lua/deopt.rs",
    "jit/src/lua/engine.rs",
    "jit/src/lua/record/mod.rs",
    "jit/src/lua/sites.rs",
    "jit/src/lua/tier.rs",
    "jit/src/lua/trace.rs",
    // The one place of the embedding face that touches the state itself, and the handler of a signal.
    "src/embed/shared.rs",
    "src/cli/signal.rs",
    // Settings of the C library's allocator.
    "src/cli/memory.rs",
    // Operations on objects by their layout, as compiled code does them.
    "jit/src/lua/eval.rs",
    "jit/src/lua/eval/",
    // Registration with the debugger and the system's unwinder.
    "unwind/src/gdb.rs",
    "unwind/src/jitdump.rs",
    "unwind/src/register.rs",
    // Tests that run generated code.
    "jit/tests/code_exits.rs",
    "jit/tests/code_frames.rs",
    "jit/tests/gdb.rs",
    // The host's processor, as the reference of the guest's.
    "interpreter/tests/guest/native.rs",
    // Counts what the system's allocator gives.
    "tests/stress.rs",
    // What calls C.
    "interpreter/src/lua/calendar.rs",
    "benches/compare/src/child.rs",
    "benches/peers/luajit/src/main.rs",
    "tests/oracle/src/bin/puc.rs",
    "tests/repl.rs",
];

/// Files longer than `FILE_LIMIT`.
const LONG_FILES: &[&str] = &[
    // The dispatch of the interpreter, which loses its registers when it is cut.
    "interpreter/src/lua/exec/execute.rs",
];

/// Functions longer than `FUNCTION_LIMIT`, as `file: function`.
const LONG_FUNCTIONS: &[&str] = &[
    // One match over all instructions each.
    "interpreter/src/lua/exec/execute.rs: execute",
    "jit/src/lua/record/live.rs: transfer",
    "jit/src/lua/record/ops.rs: instruction",
];

/// Lines of code a file may have, without comments, blank lines and test modules.
const FILE_LIMIT: usize = 600;

/// Lines of code a function may have, counted likewise.
const FUNCTION_LIMIT: usize = 70;

/// The folders that hold Rust of this project.
const FOLDERS: &[&str] = &["runtime", "interpreter", "jit", "unwind", "src", "tests", "benches", "examples"];

/// A source file and its code: the text with comments, strings and character literals blanked out, lines kept.
struct Source {
    name: String,
    text: String,
    code: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into(), code: blank(text) }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    for folder in FOLDERS {
        walk(&root.join(folder), &mut files);
    }
    files.sort();
    let name = |file: &Path| file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
    files.iter().map(|file| Source::new(&name(file), &fs::read_to_string(file).expect("readable"))).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("the folder can be read").path()) {
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Blanks out comments, strings and character literals.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = hidden(&bytes[at..], at.checked_sub(1).map(|i| bytes[i]));
        if length == 0 {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..at + length].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at += length;
        }
    }
    String::from_utf8(out).expect("whole characters are blanked")
}

/// The length of the comment or literal at the head of `text`, which follows `before`; 0 when there is none.
fn hidden(text: &[u8], before: Option<u8>) -> usize {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match text {
        [b'/', b'/', ..] => text.iter().position(|b| *b == b'\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => {
            let (mut depth, mut i) = (0, 0);
            while i < text.len() {
                match &text[i..] {
                    [b'/', b'*', ..] => (depth, i) = (depth + 1, i + 2),
                    [b'*', b'/', ..] => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            i
        }
        [b'"', ..] => quoted(text, b'"'),
        [b'r', rest @ ..] if !before.is_some_and(|b| word(b) && b != b'b' && b != b'c') => {
            let hashes = rest.iter().take_while(|b| **b == b'#').count();
            if rest.get(hashes) != Some(&b'"') {
                return 0;
            }
            let end: Vec<u8> = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let body = &rest[hashes + 1..];
            let close = body.windows(end.len()).position(|w| w == end).unwrap_or(body.len());
            (1 + hashes + 1 + close + end.len()).min(text.len())
        }
        [b'\'', b'\\', ..] => quoted(text, b'\''),
        // A character literal has its closing quote after one character; a lifetime has none.
        [b'\'', rest @ ..] => {
            let width = std::str::from_utf8(&rest[..rest.len().min(4)])
                .unwrap_or_else(|e| std::str::from_utf8(&rest[..e.valid_up_to()]).unwrap_or(""))
                .chars()
                .next()
                .map_or(0, char::len_utf8);
            if width > 0 && rest.get(width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut i = 1;
    while i < text.len() && text[i] != quote {
        i += if text[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(text.len())
}

/// Whether `word` stands in `code` as a whole word; answers its byte offsets.
fn words<'t>(code: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !code[..*at].chars().next_back().is_some_and(part) && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// Whether `code` names the module `name` as a segment of a path: `name::` or `::name`.
fn names_module(code: &str, name: &str) -> bool {
    words(code, name).any(|at| code[..at].ends_with("::") || code[at + name.len()..].starts_with("::"))
}

/// The offset behind the brace that closes the first one in `code`.
fn block_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at + 1),
            '}' => depth -= 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// `code` without its test modules.
fn without_tests(code: &str) -> String {
    let mut left = code.to_string();
    while let Some(at) = left.find("#[cfg(test)]") {
        let end = block_end(&left[at..]).map_or(at + "#[cfg(test)]".len(), |length| at + length);
        left.replace_range(at..end, "");
    }
    left
}

fn lines_of_code(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// The functions in `code` with their lengths.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let rest = &code[at + 2..];
        let name: String = rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue; // a function pointer's type
        }
        // The body's brace: a semicolon inside the brackets of an array type ends nothing.
        let mut brackets = 0;
        let body = rest.char_indices().find(|(_, c)| {
            match c {
                '[' | '(' => brackets += 1,
                ']' | ')' => brackets -= 1,
                _ => {}
            }
            *c == '{' || (*c == ';' && brackets == 0)
        });
        if let Some((start, '{')) = body
            && let Some(length) = block_end(&rest[start..])
        {
            found.push((name, lines_of_code(&rest[..start + length])));
        }
    }
    found
}

/// Whether `list` names `file`, itself or by its folder.
fn listed(list: &[&str], file: &str) -> bool {
    list.iter().any(|entry| *entry == file || (entry.ends_with('/') && file.starts_with(entry)))
}

/// Whether a test or a benchmark: rules of length and rooms are for the product.
fn product(file: &str) -> bool {
    !file.starts_with("tests/")
        && !file.contains("/tests/")
        && !file.ends_with("/tests.rs")
        && !file.starts_with("benches/")
}

/// What `source` breaks of the rules on names and words.
fn breaches(source: &Source) -> Vec<String> {
    let Source { name, text, code } = source;
    let mut found = Vec::new();
    let mut claim = |wrong: bool, what: &str| {
        if wrong {
            found.push(format!("{name}: {what}"));
        }
    };
    claim(!text.starts_with("//!"), "does not open with a doc comment that says what it is for");
    for name in ["todo", "unimplemented", "dbg"] {
        let called = words(code, name).any(|at| code[at + name.len()..].starts_with('!'));
        claim(called, &format!("has {name}!"));
    }
    let in_room =
        |room: &str| name.split('/').any(|part| part == room || part == format!("{room}.rs")) && name.contains("/src/");
    claim(in_room("lua") && names_module(code, "guest"), "the Lua machine names the guest machine");
    claim(in_room("guest") && names_module(code, "lua"), "the guest machine names the Lua machine");
    let shared = name.starts_with("jit/src/code") || name.starts_with("unwind/");
    claim(shared && (names_module(code, "lua") || names_module(code, "guest")), "a shared room names a machine");
    let outside = ["interpreter/", "unwind/", "src/", "examples/"].iter().any(|folder| name.starts_with(folder));
    claim(outside && names_module(code, "layout"), "only the trace compiler may know the layout of objects");
    let has_unsafe = words(code, "unsafe").next().is_some();
    claim(has_unsafe && !listed(UNSAFE_ROOMS, name), "has `unsafe` outside the rooms for it");
    found
}

#[test]
fn rooms_and_words() {
    let all: Vec<String> = sources().iter().flat_map(breaches).collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn rooms_for_unsafe_are_needed() {
    let sources = sources();
    for room in UNSAFE_ROOMS {
        let used = sources.iter().any(|s| listed(&[room], &s.name) && words(&s.code, "unsafe").next().is_some());
        assert!(used, "{room} needs no `unsafe`: take it off the list");
    }
}

#[test]
fn files_and_functions_are_short() {
    let (mut wrong, mut long) = (String::new(), Vec::new());
    for source in sources().iter().filter(|source| product(&source.name)) {
        let code = without_tests(&source.code);
        let lines = lines_of_code(&code);
        if lines > FILE_LIMIT {
            long.push(source.name.clone());
            if !LONG_FILES.contains(&source.name.as_str()) {
                let _ = writeln!(wrong, "{}: {lines} lines of code, {FILE_LIMIT} are allowed", source.name);
            }
        }
        for (function, lines) in functions(&code) {
            if lines > FUNCTION_LIMIT {
                let entry = format!("{}: {function}", source.name);
                if !LONG_FUNCTIONS.contains(&entry.as_str()) {
                    let _ = writeln!(wrong, "{entry} has {lines} lines of code, {FUNCTION_LIMIT} are allowed");
                }
                long.push(entry);
            }
        }
    }
    for entry in LONG_FILES.iter().chain(LONG_FUNCTIONS) {
        if !long.iter().any(|name| name == entry) {
            let _ = writeln!(wrong, "{entry} is short enough: take it off the list");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Each rule finds what it is there for.
#[test]
fn the_rules_find_breaches() {
    let check = |name: &str, text: &str, wanted: &str| {
        let found = breaches(&Source::new(name, text)).join("\n");
        assert!(
            if wanted.is_empty() { found.is_empty() } else { found.contains(wanted) },
            "{name} {text:?}: {found:?}"
        );
    };
    check("src/a.rs", "//! A.\nfn f() {}", "");
    check("src/a.rs", "fn f() {}", "doc comment");
    check("src/a.rs", "//! A.\nfn f() { todo!() }", "todo!");
    check("src/a.rs", "//! A.\nfn f() { let s = \"todo!() unsafe\"; } // unsafe todo!()", "");
    check("src/a.rs", "//! A.\nfn f() { unsafe { g() } }", "unsafe");
    check(
        "src/a.rs",
        "//! A.\nfn f<'a>(x: &'a str) { let c = 'u'; let r = r#\"unsafe \"\" \"#; unsafe { g() } }",
        "unsafe",
    );
    check("src/a.rs", "//! A.\n#![forbid(unsafe_code)]", "");
    check("runtime/src/lua/a.rs", "//! A.\nuse crate::guest::cpu;", "guest");
    check("runtime/src/lua/a.rs", "//! A.\nlet guest = 1;", "");
    check("jit/src/guest/a.rs", "//! A.\nuse perilune_runtime::lua;", "Lua");
    check("jit/src/code/a.rs", "//! A.\nuse crate::lua::ir;", "shared room");
    check("interpreter/src/lua/a.rs", "//! A.\nuse perilune_runtime::lua::layout;", "layout");
    check("jit/src/lua/a.rs", "//! A.\nuse perilune_runtime::lua::layout;", "");
}

#[test]
fn lengths_are_counted() {
    let text = "fn a() {\n    // comment\n\n    b(\"}\");\n}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\nfn d(x: [u8; 4]) -> fn(u8) { e }\n";
    let code = without_tests(&blank(text));
    assert_eq!(lines_of_code(&code), 4);
    assert_eq!(functions(&code), [("a".to_string(), 3), ("d".to_string(), 1)]);
}
