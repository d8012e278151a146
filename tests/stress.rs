//! Runs the cases under stress, interpreted and compiled:
//!
//! - a collection at every safepoint and stacks that move at every call: an object that nothing keeps, and a pointer to where
//!   a stack was, show as a difference from the blessed output;
//! - memory that runs out at the n-th request, for one request, for good, or up to a limit: whatever comes of the case, the state
//!   must be as good as new afterwards, and own nothing that it does not give back.
//!
//! `cargo test --test stress` takes a sample, the same each time. `PERILUNE_STRESS=all cargo test --release --test stress`
//! takes all: hours. `PERILUNE_CASE=part` leaves out the cases without this in their names, `PERILUNE_STRESS=100` takes
//! that many points of time in each case.

#[path = "fuzz/random.rs"]
#[expect(dead_code, reason = "the fuzzers use more of it")]
mod random;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use perilune_interpreter::lua::api::{self, Mode};
use perilune_interpreter::lua::{exec, lib};
use perilune_runtime::lua::heap::Famine;
use perilune_runtime::lua::state::{Raised, State};
use perilune_runtime::lua::value::Value;
use random::Random;

/// Output goes to a table: what is printed is part of the case.
const PRELUDE: &str = r##"
local tostring, concat, select = tostring, table.concat, select
local out, fresh = {}, {}
output = out
debug.getregistry().fresh = fresh
function os.exit() error("the case ends the program") end
function print(...)
  local line = { ... }
  for i = 1, select("#", ...) do line[i] = tostring((select(i, ...))) end
  out[#out + 1] = concat(line, "\t") .. "\n"
end
for name, part in pairs(_G) do
  fresh[name] = part
  if type(part) == "table" and part ~= _G then
    fresh[name] = {}
    for k, v in pairs(part) do fresh[name][k] = v end
  end
end
local stdout = { write = function(self, ...) for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end return self end }
io = setmetatable({ write = function(...) return stdout:write(...) end, stdout = stdout }, { __index = io })
"##;

/// Cases that take too long when each safepoint collects, count what is collected, or need the program's own files, streams
/// and arguments.
const NOT_COLLECTED: &[&str] = &[
    "fail_",
    "io_",
    "gc",
    "collect",
    "stack_overflow",
    "weak",
    "memory",
    "traceback",
    "exit",
    "syntax_limits",
    "hello",
    "string_find",
    "string_tostring",
    "jit_library_calls",
    "lang_numbers",
    // They look into `print`, which the prelude has replaced, or into what called them.
    "debug_library",
    "debug_odd_uses",
    "binary_chunks",
];

/// Cases that leave files behind when they end early, and one whose patterns take long.
const NOT_STARVED: &[&str] = &["io_", "string_find"];

/// Uses what an error may have left in disorder. It sees the library as it was.
const PROBE: &str = r##"
debug.sethook()
local t = {}
for i = 1, 200 do t[i] = { name = "n" .. i, i * 1.5 } end
table.sort(t, function(a, b) return a.name < b.name end)
local wrap = coroutine.wrap(function(...)
  local o <close> = setmetatable({}, { __close = function() t.closed = true end })
  for _, v in ipairs { ... } do coroutine.yield(v) end
end)
local ok, message = pcall(function() local x <const> = wrap(7, 8) error({ x + wrap() }) end)
wrap()
local o = setmetatable({}, { __index = function(_, k) return k .. "!" end, __add = function(a, b) return 42 end })
local text = string.gsub(string.format(string.rep("%s %d %q", 3, "|"), "a", 1, "b", "c", 2, "d", "e", 3, "f"), "%w", string.upper)
return table.concat({ t[1].name, t[200][1], tostring(ok), message[1], tostring(t.closed), o.x, o + 1, text,
  load("local a = ... return a * 2")(21), select("#", table.unpack(t, 1, 150)) }, ",")
"##;
const PROBED: &str = r#"n1,148.5,false,15,true,x!,42,A 1 "B"|C 2 "D"|E 3 "F",42,150"#;

/// Counts the bytes that this thread has from the system.
struct Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // At the thread's very end nobody asks any more.
    let _ = BYTES.try_with(|all| all.set(all.get() + bytes));
}

// SAFETY: hands on what it is asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let memory = unsafe { System.alloc(layout) };
        count(if memory.is_null() { 0 } else { layout.size() as isize });
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Who runs the cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Engine {
    Interpreter,
    #[cfg(feature = "jit")]
    Compiler,
}

const ENGINES: &[Engine] = &[
    Engine::Interpreter,
    #[cfg(feature = "jit")]
    Engine::Compiler,
];

/// A state with the library and the prelude.
fn state(engine: Engine) -> Box<State> {
    let mut st = State::new();
    lib::open_libraries(&mut st).expect("the library opens");
    match engine {
        Engine::Interpreter => {}
        #[cfg(feature = "jit")]
        Engine::Compiler => {
            let options = perilune_jit::lua::options::Options { hotloop: 2, hotexit: 2, ..Default::default() };
            perilune_jit::lua::tier::Jit::install(&mut st, options);
        }
    }
    run(&mut st, PRELUDE.as_bytes(), "=prelude").expect("it runs").expect("it runs");
    st
}

/// Loads a text and calls it for one result. The outer error: there was no memory even for the call.
fn run(st: &mut State, text: &[u8], name: &str) -> Result<Result<Value, Value>, Raised> {
    let env = Value::from(st.globals);
    let chunk = match api::load(st, text, name.as_bytes(), Mode::Text, env) {
        Ok(chunk) => chunk,
        Err(_) => return Err(Raised),
    };
    let top = st.top();
    st.push(Value::from(chunk))?;
    let outcome = api::call_protected(st, 0, 1)?;
    let value = st.slot(top);
    st.set_top(top);
    Ok(outcome.map(|()| value))
}

struct Case {
    name: String,
    text: Vec<u8>,
    expected: Vec<u8>,
}

/// The cases but those with one of these in their names.
fn cases(left_out: &[&str]) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("the cases are there").flatten().map(|f| f.path()).collect();
    files.sort();
    let only = std::env::var("PERILUNE_CASE").unwrap_or_default();
    let mut found = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "lua")) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains(&only) && !left_out.iter().any(|part| name.contains(part)) {
            let text = std::fs::read(path).expect("the case can be read");
            let expected = std::fs::read(path.with_extension("out")).expect("the case is blessed");
            found.push(Case { name, text, expected });
        }
    }
    assert!(!found.is_empty(), "no case has such a name");
    found
}

fn output(st: &mut State, case: &Case) -> Vec<u8> {
    let env = Value::from(st.globals);
    match run(st, &case.text, &format!("@{}.lua", case.name)).expect("there is memory") {
        Err(error) => api::error_text(st, error),
        Ok(_) => {
            let output = api::get_field(st, env, "output").expect("the prelude sets it").as_table().expect("a table");
            (1..=output.length()).filter_map(|i| api::to_bytes(output.get_int(i))).flatten().collect()
        }
    }
}

#[test]
fn cases_survive_collections_and_moving_stacks() {
    let mut failures = Vec::new();
    let cases = cases(NOT_COLLECTED);
    for case in &cases {
        for engine in ENGINES {
            let mut st = state(*engine);
            st.heap.stress = true;
            st.heap.debt = 1;
            st.move_stacks = true;
            let found = output(&mut st, case);
            if found != case.expected {
                let lines = String::from_utf8_lossy(&found);
                let wanted = String::from_utf8_lossy(&case.expected);
                let differ = lines.lines().zip(wanted.lines()).find(|(a, b)| a != b);
                failures.push(format!("{} ({engine:?}): {differ:?}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// How memory runs out.
#[derive(Clone, Copy, Debug)]
enum Shortage {
    /// At these requests.
    Famine(Famine),
    /// When so many bytes more are in use.
    Limit(usize),
}

/// Runs a case with too little memory, and then the probe. Answers how many requests for memory the case made.
fn starve(engine: Engine, case: &Case, shortage: Shortage, checks_leaks: bool) -> u64 {
    let before = BYTES.get();
    let mut st = state(engine);
    let stands = |st: &State| (st.thread, st.thread.frames().len(), st.top(), st.nesting);
    let stood = stands(&st);
    let most = match shortage {
        Shortage::Famine(famine) => {
            st.heap.set_famine(Some(famine));
            famine.after
        }
        Shortage::Limit(bytes) => {
            st.heap.set_limit(st.heap.used() + bytes);
            0
        }
    };
    // Either outcome is right.
    let outcome = run(&mut st, &case.text, &format!("@{}.lua", case.name));
    let made = most - st.heap.famine().map_or(0, |famine| famine.after);
    st.heap.set_famine(None);
    st.heap.set_limit(usize::MAX);
    if outcome.is_err() {
        st.take_error();
        st.thread.frames().clear();
        st.set_top(stood.2);
    }
    assert!(stands(&st) == stood, "all calls have ended");
    probe(&mut st);
    exec::finalize_all(&mut st);
    drop(st);
    if checks_leaks {
        assert_eq!(BYTES.get(), before, "bytes that the state did not give back");
    }
    made
}

/// The state is usable, with a collection at every safepoint.
fn probe(st: &mut State) {
    // The case may have changed the library, hooks, metatables, and how the collector works.
    st.type_metas = [None; 12];
    st.thread.hook_mask.set(0);
    st.heap.set_running(true);
    st.heap.stress = true;
    st.heap.debt = 1;
    let fresh = api::get_field(st, Value::from(st.registry), "fresh").expect("there is memory");
    let chunk = api::load(st, PROBE.as_bytes(), b"=probe", Mode::Text, fresh).expect("it is a chunk");
    let top = st.top();
    st.push(Value::from(chunk)).expect("there is room");
    let text = match api::call_protected(st, 0, 1).expect("there is room") {
        Ok(()) => api::to_bytes(st.slot(top)).unwrap_or_default(),
        Err(error) => api::error_text(st, error),
    };
    st.set_top(top);
    assert_eq!(String::from_utf8_lossy(&text), PROBED);
    st.heap.stress = false;
}

/// The points of time to be tried, of `all`.
fn points(random: &mut Random, all: u64) -> Vec<u64> {
    match std::env::var("PERILUNE_STRESS").ok().as_deref() {
        Some("all") => (0..all).collect(),
        number => {
            let number = number.map_or(2, |n| n.parse().expect("PERILUNE_STRESS is a number, or all"));
            (0..number).map(|_| random.next() % all).collect()
        }
    }
}

/// Small programs that ask for memory in each way there is: of these each request fails once.
const EVERY: &[(&str, &str)] = &[
    (
        "strings",
        r##"local s = ("long"):rep(3000) .. "x" .. 1 .. 2.5
        local t = {}
        for i = 1, 4 do t[i] = pcall(function() return s:upper(), s:reverse() .. i, s:gsub("g", "%0" .. i), s:sub(5), ("%s%q"):format(s, s) end) end
        return table.concat({ s, s }, ","), string.pack("zs", s, s), utf8.char(228, 8364), tostring(t), load("return '" .. s .. "'")()"##,
    ),
    (
        "growing strings",
        r##"local kept, s, t = {}, ("s"):rep(600), ("t"):rep(600)
        for i = 1, 90 do
          s, t = s .. "0123456789" .. i, t .. s
          kept[i % 7] = { s, s .. "fork", pcall(function() return s .. {} end) }
          if #t > 20000 then t = s end
        end
        return #s, #t"##,
    ),
    (
        "tables",
        r##"local t, u, mt = {}, {}, { __index = function(t, k) return k end, __len = function() return 3 end }
        for i = 1, 300 do t[i] = i % 100 == 0 and "x" or i u[i * 1.5] = t end
        for i = 1, 70 do u["name" .. i] = { a = i, b = i, c = setmetatable({ i, x = i }, mt) } end
        table.insert(t, 1, t) table.move(t, 1, 200, 2, {}) table.sort(t, function(a, b) return tostring(a) < tostring(b) end)
        return { table.unpack(t, 1, 100) }, table.pack(t, nil, u), next(u), { t, u, 1.5, n = 1, [10] = 2, table.unpack(t, 1, 60) }"##,
    ),
    (
        "calls",
        r##"local list = {}
        local function f(n, ...) local v = n list[#list + 1] = function() v = v + 1 return v end return n < 30 and f(n + 1, n, ...) or select("#", ...) end
        f(1)
        local function deep(n) local a <close> = setmetatable({}, { __close = function() n = n - 1 end }) if n < 40 then deep(n + 1) else error({ n }) end end
        local ok, e = xpcall(deep, function(m) return { m, debug.traceback("x") } end, 1)
        for i = 1, 5 do local c = coroutine.wrap(function(...) for j = 1, 3 do coroutine.yield(j, ...) end end) c(i) pcall(c) end
        setmetatable({}, { __gc = function() list = { list } end }) collectgarbage()
        return pcall(string.dump, f), debug.getinfo(1), io.type(io.tmpfile()), os.date("*t", 0), string.format("%p", list)"##,
    ),
    (
        "loops",
        r##"local P = { add = function(a, b) return { x = a.x + b.x, y = { a.y } } end }
        P.__index, P.__add = P, function(a, b) return setmetatable(P.add(a, b), P) end
        local sum, parts = setmetatable({ x = 0, y = 0 }, P), {}
        for i = 1, 60 do
          local p = setmetatable({ x = i, y = i + 0.5 }, P)
          sum = sum + p parts[#parts + 1] = "p" .. i .. tostring(p.y) parts[i] = function() return p end
          if i % 20 == 0 then pcall(error, { i }) end
        end
        return sum.x, #parts"##,
    ),
];

#[test]
fn every_request_for_memory_may_fail() {
    let mut failures = Vec::new();
    for (name, text) in EVERY {
        let case = Case { name: (*name).to_string(), text: text.as_bytes().to_vec(), expected: Vec::new() };
        for engine in ENGINES {
            let all = starve(*engine, &case, Shortage::Famine(Famine { after: u64::MAX, lasts: 0 }), false);
            assert!(all > 100, "{name} asks for memory: {all}");
            for after in 0..all {
                // One that fails finds most; a lasting famine adds what happens on the way out.
                for lasts in [1, u64::MAX].into_iter().take(if after % 5 == 0 { 2 } else { 1 }) {
                    let shortage = Shortage::Famine(Famine { after, lasts });
                    if std::panic::catch_unwind(|| starve(*engine, &case, shortage, true)).is_err() {
                        failures.push(format!("{name} ({engine:?}): {shortage:?}"));
                    }
                }
            }
            println!("{name} ({engine:?}): {all} requests");
        }
    }
    assert!(failures.is_empty(), "{} runs went wrong:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn cases_survive_a_lack_of_memory() {
    let mut random = Random::new(1);
    let (mut count, mut failures) = (0, Vec::new());
    for case in cases(NOT_STARVED) {
        println!("{}", case.name);
        for engine in ENGINES {
            // What is made once in a process is no leak.
            let all = starve(*engine, &case, Shortage::Famine(Famine { after: u64::MAX, lasts: 0 }), false);
            for after in points(&mut random, all) {
                let lasts = 2 + random.next() % 50;
                let limit = Shortage::Limit(random.next() as usize % (1 << (10 + random.below(14))));
                let famines = [1, lasts, u64::MAX].map(|lasts| Shortage::Famine(Famine { after, lasts }));
                for shortage in famines.into_iter().chain([limit]) {
                    count += 1;
                    if std::panic::catch_unwind(|| starve(*engine, &case, shortage, true)).is_err() {
                        failures.push(format!("{} ({engine:?}): {shortage:?}", case.name));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} runs went wrong:\n{}", failures.len(), failures.join("\n"));
}
