//! Random calls of the library's functions with arguments that nobody means well, from all places that a call can stand in: PUC's
//! results or errors, and nothing worse.
//!
//! Each call stands in a line of its own, so that a program can be reduced line by line.

use super::random::Random;

/// What the calls share. `try` prints what comes of a call; texts with addresses, and long ones, are printed in part.
const PRELUDE: &str = r#"local unpack, pack, format, gsub = table.unpack, table.pack, string.format, string.gsub
local function text(v)
  local kind = math.type(v) or type(v)
  if kind == "string" then
    v = gsub(gsub(v, "0x%x%x%x%x%x%x+", "ADDRESS"), "%c", "~")
    return #v > 200 and #v .. " bytes " .. v:sub(1, 60) or v
  elseif kind == "float" then return v ~= v and "nan" or format("%.14g", v)
  elseif kind == "integer" or kind == "nil" or kind == "boolean" then return tostring(v) end
  return kind
end
local function texts(r)
  local out = {}
  for i = 1, math.min(r.n, 8) do out[i] = text(r[i]) end
  return r.n .. ": " .. table.concat(out, " | ")
end
local yield, status, wrap, create, running = coroutine.yield, coroutine.status, coroutine.wrap, coroutine.create, coroutine.running
local function nop() end
local function same(...) return ... end
local function order(a, b) return b < a end
local function fail() error("thrown") end
local function fail_table() error({}) end
local function meta(t) return setmetatable({ 3, 1, 2, n = 3 }, t) end
local function proxy() return meta { __index = function(_, k) return k end, __newindex = nop, __len = function() return 4 end } end
local function yielder() return meta { __index = yield, __newindex = yield, __len = yield, __lt = yield, __le = yield, __eq = yield, __concat = yield,
  __call = yield, __add = yield, __tostring = yield, __pairs = yield, __close = yield, __unm = yield } end
local function thrower() return meta { __index = fail, __newindex = fail, __len = fail, __lt = fail, __le = fail, __eq = fail, __concat = fail,
  __call = fail, __add = fail, __tostring = fail, __pairs = fail, __close = fail, __gc = fail } end
local function looped() local t = {} return setmetatable(t, { __index = t, __newindex = t }) end
local function lengthy(n) return meta { __len = function() return n end } end
local function named(n) return setmetatable({}, { __name = n, __tostring = n, __metatable = n }) end
local function dead() local c = create(nop) coroutine.resume(c) return c end
local function waiting() local c = create(function(...) local x <close> = meta { __close = fail } yield(...) end) coroutine.resume(c, 1) return c end
local function deep(n) local t = {} for _ = 1, n do t = { t } end return t end
local function file(s) local f = io.tmpfile() f:write(s) f:seek("set") return f end
local function closed() local f = io.tmpfile() f:close() return f end
local function try(n, f, ...) print(n, texts(pack(pcall(f, ...)))) end
local function hot(n, f, a)
  local r
  for i = 1, 70 do r = pack(pcall(f, unpack(a(), 1, a("n")))) end
  print(n, texts(r))
end
local function inside(n, f, ...)
  local c, r = create(f), nil
  local args = pack(...)
  for i = 1, 5 do
    r = pack(coroutine.resume(c, unpack(args, 1, args.n)))
    print(n, i, status(c), texts(r))
    if status(c) == "dead" then break end
    args = pack(i, "again", nil, {})
  end
  print(n, texts(pack(pcall(coroutine.close, c))), status(c))
end
"#;

/// Functions of the library: those whose results are the same in each run, and that leave the system alone.
const FUNCTIONS: &[&str] = &[
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "load",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "xpcall",
    "coroutine.close",
    "coroutine.create",
    "coroutine.isyieldable",
    "coroutine.resume",
    "coroutine.running",
    "coroutine.status",
    "coroutine.wrap",
    "coroutine.yield",
    "string.byte",
    "string.char",
    "string.find",
    "string.find",
    "string.format",
    "string.format",
    "string.gmatch",
    "string.gsub",
    "string.gsub",
    "string.len",
    "string.lower",
    "string.match",
    "string.pack",
    "string.pack",
    "string.packsize",
    "string.rep",
    "string.reverse",
    "string.sub",
    "string.unpack",
    "string.unpack",
    "string.upper",
    "table.concat",
    "table.insert",
    "table.pack",
    "table.remove",
    "table.sort",
    "table.unpack",
    "math.abs",
    "math.ceil",
    "math.fmod",
    "math.floor",
    "math.log",
    "math.max",
    "math.min",
    "math.modf",
    "math.tointeger",
    "math.type",
    "math.ult",
    "utf8.char",
    "utf8.codepoint",
    "utf8.codes",
    "utf8.len",
    "utf8.offset",
    "os.difftime",
    "io.type",
    "io.lines",
    "debug.getmetatable",
    "debug.getlocal",
    "debug.getupvalue",
    "debug.setupvalue",
    "debug.getuservalue",
    "debug.setuservalue",
    "debug.traceback",
    "require",
    "package.searchpath",
    "function(a, b, c) return a.x, a[b], a[c] end",
    "function(a, b, c) a.x = b a[b] = c a[1] = b return a.x, a[1] end",
    "function(a, b, c) return a + b, a .. b, a < b, a == c, -a, ~b, a // c, a % b, a << c end",
    "function(a, b, c) return a(b, c) end",
    "function(a, b, c) local x <close> = a local y <close> = b return c end",
    "function(a, b, c) for k, v in a, b, c do return k, v end end",
    "function(a, b, c) for k, v in pairs(a) do b(k, v) end return 'done' end",
    "function(a, b, c) for i = a, b, c do return i end end",
    "function(a, b, c) return select('#', table.unpack(a, b, c)) end",
    "function(a, b, c) return load(a, b)(c) end",
    "function(a, b, c) return pcall(pcall, a, b, c) end",
    "function(a, b, c) return xpcall(a, b, c) end",
    "function(a, b, c) return file(a):read(b, c) end",
    "function(a, b, c) local f = file('12 0x1p4\\nline\\n\\nrest') return f:read(a, b, c), f:seek('cur') end",
    "function(a, b, c) return file(a):seek(b, c) end",
    "function(a, b, c) return file('abc'):setvbuf(a, b) end",
    "function(a, b, c) local f = file('') f:write(a, b, c) f:seek('set') return f:read('a') end",
    "function(a, b, c) for x, y in file('one\\ntwo\\n3'):lines(a, b) do return x, y end end",
    "function(a, b, c) return a:upper(), b:rep(3), c:len() end",
    "function(a, b, c) return string.dump(a, b) == string.dump(a, b) end",
    "function(a, b, c) coroutine.wrap(a)(b, c) end",
    "function(a, b, c) return coroutine.close(coroutine.create(a), b) end",
    "function(a, b, c) collectgarbage() return setmetatable({ a, b, c }, { __gc = a }) and collectgarbage() end",
    "function(a, b, c) return os.time { year = a, month = b, day = c } end",
    "function(a, b, c) return os.date(a, 86400) end",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "5",
    "-3",
    "7",
    "15",
    "16",
    "17",
    "36",
    "37",
    "64",
    "100",
    "255",
    "256",
    "300",
    "0xD800",
    "0x10FFFF",
    "0x7FFFFFFF",
    "0x80000000",
    "math.maxinteger",
    "math.mininteger",
    "math.maxinteger - 1",
    "math.mininteger + 1",
];

const NUMBERS: &[&str] = &[
    "0.0",
    "-0.0",
    "0.5",
    "1.5",
    "3.0",
    "-2.0",
    "1e15",
    "2^53",
    "2^63",
    "-2^63",
    "1e308",
    "1/0",
    "-1/0",
    "0/0",
    "5e-324",
    "123456.789",
];

const STRINGS: &[&str] = &[
    "''",
    "'a'",
    "'abc'",
    "'hello world'",
    "'10'",
    "'0x10'",
    "'1e1'",
    "' 5 '",
    "'5.5'",
    "'-3'",
    "'nan'",
    "'\\0'",
    "'a\\0b'",
    "('x'):rep(100)",
    "('ab'):rep(5000)",
    "'n'",
    "'l'",
    "'L'",
    "'a'",
    "'*a'",
    "'*n'",
    "'k'",
    "'v'",
    "'kv'",
    "'w'",
    "'#'",
    "'set'",
    "'cur'",
    "'end'",
    "'full'",
    "'no'",
    "'line'",
    "'return 1'",
    "'return ...'",
    "'x ='",
    "'b'",
    "'bt'",
    "'=name'",
    "'@file'",
    "'äöü€😀'",
    "'\\xff\\xfe'",
    "'\\u{7FFFFFFF}'",
    "'?'",
    "'./?.lua'",
    "';'",
    "'\\xe4'",
    "'thrown'",
    "'S'",
    "'nSltufrL'",
    "'>S'",
    "'!%c'",
    "'!%Y-%m-%d %H:%M:%S'",
    "'!*t'",
    "'%Ex'",
    "'%OY'",
];

const PATTERNS: &[&str] = &[
    "'.'",
    "'.-'",
    "'(.)'",
    "'()'",
    "'(()'",
    "'())'",
    "'%'",
    "'%a+'",
    "'[a-z]*'",
    "'[^a]'",
    "'['",
    "'[]'",
    "'[]]'",
    "'[^]'",
    "'[%]'",
    "'[%a-z]'",
    "'[a-%%]'",
    "'%b()'",
    "'%bx'",
    "'%b'",
    "'%f[%w]'",
    "'%f'",
    "'^a'",
    "'^'",
    "'$'",
    "'a$'",
    "'^$'",
    "'%1'",
    "'(.)%1'",
    "'(a*)b?%1'",
    "'%d+'",
    "'%s*'",
    "'(a)(b)(c)'",
    "('(a)'):rep(32)",
    "('(a)'):rep(33)",
    "('a-'):rep(40) .. 'b'",
    "('.-'):rep(3) .. 'z'",
    "('('):rep(300)",
    "'[a-'",
    "'%g%p%u%x%z'",
    "'\\0'",
    "'[\\0-\\xff]+'",
    "'.*.*x'",
    "'%0'",
    "'%9'",
    "'[^%s]+'",
    "'(%w+) (%w+)'",
];

const REPLACEMENTS: &[&str] =
    &["'%0%0'", "'%1'", "'%2'", "'%'", "'%%'", "'%x'", "'-'", "{ a = 1, b = true, c = false }", "''", "'%1%0'"];

const FORMATS: &[&str] = &[
    "'%d'",
    "'%5d|%-5d|%05d'",
    "'%+d% d'",
    "'%i'",
    "'%u'",
    "'%c'",
    "'%x%X%#x'",
    "'%o%#o'",
    "'%e%E'",
    "'%g%G'",
    "'%f'",
    "'%.3f'",
    "'%a%A'",
    "'%10.4s'",
    "'%s%s%s'",
    "'%.s'",
    "'%.20s'",
    "'%-10q'",
    "'%q'",
    "'%q%q%q'",
    "'%'",
    "'%%'",
    "'%z'",
    "'%5'",
    "'%100d'",
    "'%.100f'",
    "'%99.99f'",
    "'%1.2.3d'",
    "'%--5d'",
    "'%+s'",
    "'%#s'",
    "'%0s'",
    "'% q'",
    "'%p'",
    "'%10p'",
    "'%.5p'",
    "'%lld'",
    "'%.0f'",
    "'%+.3g'",
    "'%#.0f'",
    "'%.3d'",
    "'%+.14g'",
    "'%5c'",
    "'%.c'",
    "'%n'",
];

const PACKS: &[&str] = &[
    "'b'",
    "'B'",
    "'h'",
    "'i4'",
    "'I2'",
    "'<i3'",
    "'>i7'",
    "'=l'",
    "'j'",
    "'J'",
    "'T'",
    "'f'",
    "'d'",
    "'n'",
    "'i16'",
    "'i17'",
    "'i0'",
    "'I'",
    "'s'",
    "'s1'",
    "'s16'",
    "'z'",
    "'c3'",
    "'c0'",
    "'c'",
    "'x'",
    "'!4i4'",
    "'!8 b Xi4'",
    "'X'",
    "'Xz'",
    "'!3'",
    "'!17'",
    "' < > ='",
    "'bhilj'",
    "'i1i1i1'",
    "'c2147483647'",
    "'c99999999999999999999'",
    "'!16i16'",
    "'y'",
    "'s0'",
    "'!2bi4'",
    "'zs1'",
    "'<!4 i3 Xi4 i1'",
    "'x' .. ('i8'):rep(30)",
];

const FUNCTION_VALUES: &[&str] = &[
    "nop",
    "same",
    "fail",
    "fail_table",
    "order",
    "yield",
    "string.upper",
    "tostring",
    "next",
    "pairs({})",
    "error",
    "wrap(same)",
    "wrap(yield)",
    "function() return nil end",
    "function(...) return select('#', ...) .. ' ', ... end",
    "function(a) yield(a) return a end",
    "pcall",
    "function() return {} end",
    "setmetatable",
    "string.rep",
    "coroutine.running",
    "debug.traceback",
    "function() return 'return 1', nil end",
    "function() yield() error('late') end",
    "function() local x <close> = meta { __close = yield } return 'closing' end",
    "load('return ...')",
    "function(m) return m, m end",
    "function() error() end",
    "function(...) return yield(yield(...)) end",
];

const TABLES: &[&str] = &[
    "{}",
    "{ 1, 2, 3 }",
    "{ 3, 1, 2 }",
    "{ 'b', 'a', 'c' }",
    "{ 1, nil, 3 }",
    "{ 'x', 1, 2.5 }",
    "{ n = 3 }",
    "{ 1, 2, 'x', {} }",
    "proxy()",
    "yielder()",
    "thrower()",
    "looped()",
    "lengthy(-5)",
    "lengthy(2)",
    "lengthy('x')",
    "lengthy(2.5)",
    "lengthy(1.0)",
    "lengthy(math.maxinteger)",
    "named('My')",
    "named(5)",
    "named({})",
    "deep(300)",
    "meta { __metatable = false }",
    "meta { __index = 'x' }",
    "meta { __call = same }",
    "meta { __call = meta { __call = same } }",
    "meta { __close = nop }",
    "meta { __mode = 'kv' }",
    "meta { __mode = 5 }",
    "meta(nil)",
    "{ pi = 3.25 }",
    "meta { __lt = same, __concat = same, __unm = same, __eq = same }",
    "meta { __pairs = function() return same, 1, 2 end }",
    "{ 1.5, 2.5, 0/0, 1 }",
    "meta { __gc = fail }",
    "meta { __tostring = function() return 'text' end }",
    "{ __gc = true }",
];

const OTHERS: &[&str] = &[
    "nil",
    "nil",
    "true",
    "false",
    "io.stdin",
    "io.stdout",
    "closed()",
    "file('abc\\n12')",
    "create(same)",
    "create(yield)",
    "dead()",
    "waiting()",
    "running()",
    "create(fail)",
];

/// Kinds of arguments, and what is known of where a function wants which.
fn kinds(function: &str, place: usize) -> &'static [&'static [&'static str]] {
    match (function, place) {
        ("string.format", 0) => &[FORMATS, FORMATS, FORMATS, STRINGS],
        ("string.pack" | "string.unpack" | "string.packsize", 0) => &[PACKS, PACKS, PACKS, PACKS, STRINGS],
        ("string.find" | "string.match" | "string.gmatch" | "string.gsub", 1) => {
            &[PATTERNS, PATTERNS, PATTERNS, STRINGS]
        }
        ("string.gsub", 2) => &[REPLACEMENTS, FUNCTION_VALUES, STRINGS, TABLES],
        ("string.find" | "string.match" | "string.gmatch" | "string.gsub" | "string.unpack", _) => &[STRINGS, INTEGERS],
        (
            "table.concat" | "table.insert" | "table.remove" | "table.sort" | "table.unpack" | "next" | "ipairs"
            | "pairs",
            0,
        ) => &[TABLES, TABLES, TABLES, TABLES, OTHERS],
        ("table.sort", 1) | ("xpcall" | "pcall" | "coroutine.wrap" | "coroutine.create" | "load", _) => {
            &[FUNCTION_VALUES, FUNCTION_VALUES, STRINGS, OTHERS]
        }
        ("coroutine.close" | "coroutine.status" | "coroutine.resume", 0) => &[OTHERS],
        _ if function.starts_with("math.") => &[INTEGERS, NUMBERS, INTEGERS, NUMBERS, STRINGS],
        _ if function.starts_with("string.") || function.starts_with("utf8.") => {
            &[STRINGS, INTEGERS, STRINGS, INTEGERS, OTHERS]
        }
        _ => &[INTEGERS, NUMBERS, STRINGS, FUNCTION_VALUES, TABLES, OTHERS],
    }
}

fn argument(random: &mut Random, function: &str, place: usize) -> &'static str {
    let any: &[&[&str]] = &[INTEGERS, NUMBERS, STRINGS, FUNCTION_VALUES, TABLES, OTHERS];
    let kinds = if random.chance(80) { kinds(function, place) } else { any };
    let kind = kinds[random.below(kinds.len())];
    random.pick(kind)
}

/// What would take too long, or a lot of memory, in PUC, too: large numbers as counts and limits.
fn is_endless(function: &str, arguments: &[&str]) -> bool {
    let large = |a: &&str| ["integer", "0x", "e15", "e308", "^", "1/0"].iter().any(|part| a.contains(part));
    let counts = ["table.", "function", "utf8.char", "string.rep"].iter().any(|f| function.starts_with(f));
    counts && arguments.iter().any(large) && !matches!(function, "table.unpack" | "table.concat" | "table.pack")
}

/// What may set the variable `_ENV` that all functions of the program share, or shows what a frame has beside variables.
fn looks_inside(function: &str, arguments: &[&str]) -> bool {
    let first = arguments.first();
    let in_lua = |f: &&str| f.contains("function") || ["nop", "same", "fail", "fail_table", "order"].contains(f);
    match function {
        "debug.setupvalue" => first.is_some_and(in_lua),
        "debug.getlocal" => first.is_some_and(|f| !FUNCTION_VALUES.contains(f)),
        _ => false,
    }
}

/// A program of so many calls.
pub fn text(seed: u64, calls: usize) -> String {
    let mut random = Random::new(seed);
    let mut program = PRELUDE.to_string();
    let mut made = 0;
    while made < calls {
        let function = random.pick(FUNCTIONS);
        let arguments: Vec<&str> = (0..random.below(5)).map(|i| argument(&mut random, function, i)).collect();
        if is_endless(function, &arguments) || looks_inside(function, &arguments) {
            continue;
        }
        made += 1;
        let list = arguments.join(", ");
        let value = if function.starts_with("function") { format!("({function})") } else { function.to_string() };
        let comma = if list.is_empty() { "" } else { ", " };
        let count = arguments.len();
        program += &match random.below(8) {
            0 | 1 => format!("try({made}, {value}{comma}{list})\n"),
            2 => format!("try({made}, function() return {value}({list}) end)\n"),
            3 => format!("try({made}, function() local a, b = {value}({list}) return b, a end)\n"),
            4 | 5 => format!("inside({made}, {value}{comma}{list})\n"),
            6 => format!(
                "inside({made}, function() local r = pack(pcall({value}{comma}{list})) return unpack(r, 1, r.n) end)\n"
            ),
            _ => format!("hot({made}, {value}, function(n) return n and {count} or {{ {list} }} end)\n"),
        };
    }
    program
}
