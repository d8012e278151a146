//! Binary chunks: what is dumped is accepted and does the same; what is damaged is refused with a message or runs without
//! harm, whatever bytes were changed.

use perilune_interpreter::lua::api::{self, Mode};
use perilune_interpreter::lua::binary;
use perilune_interpreter::lua::lib;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::Value;

/// Programs with all kinds of instructions.
const SOURCES: &[&str] = &[
    "local a, b = ... return a and b or 1, not a",
    "local t = { 1, 2, x = 3, [4] = 5, ... } for k, v in pairs(t) do t[k] = v .. k end return #t, t.x",
    "local n = 0 for i = 1, 10 do n = n + i * 2 - i // 3 % 7 ~ 5 end for i = 2.5, 0, -0.5 do n = n ^ 1 / i end return n",
    "local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return f(8)",
    "local s = 0 local function up(...) s = s + select('#', ...) return ... end return s, up(up(1, 2, 3))",
    "local o = setmetatable({}, { __close = function() end }) do local c <close> = o local d <const> = 5 if d > 4 then goto out end end ::out:: return o",
    "local i = 0 while true do i = i + 1 local x repeat local y = i x = function() return y end until i > 3 if i >= 9 then break end end return i",
    "local o = { v = 1 } function o:m(...) self.v = self.v + 1 return self, ... end return o:m(1):m(2, 3).v, o.v == 3, -o.v, ~o.v, #'abc'",
    "goto a ::b:: do return 'x' < 'y', 1 <= 2.5, 3 ~= '3', nil == false end ::a:: local z = z goto b",
];

fn state() -> Box<State> {
    let mut st = State::new();
    lib::open_libraries(&mut st).expect("the library opens");
    st
}

fn dump(st: &mut State, source: &str, strip: bool) -> Vec<u8> {
    let env = Value::from(st.globals);
    let function = api::load(st, source.as_bytes(), b"=source", Mode::Text, env).expect("the source is right");
    binary::dump(function.proto(), strip)
}

/// Runs a chunk for a limited time, with nothing in its reach but some values: a hook ends it.
const RUNNER: &str = r#"
local chunk, hook, insert = ...
local env = { pairs = pairs, select = select, setmetatable = setmetatable }
local f, message = load(chunk, "=chunk", "b", env)
if not f then return message end
local function run()
  local co = coroutine.create(f)
  debug.sethook(co, function() error("it takes too long") end, "", 2000)
  for i = 1, 5 do coroutine.resume(co, i, "x") end
  coroutine.close(co)
  collectgarbage()
end
pcall(run)
return true
"#;

/// What the runner says of a chunk.
fn try_chunk(st: &mut State, chunk: &[u8]) -> Option<String> {
    let env = Value::from(st.globals);
    let runner = api::load(st, RUNNER.as_bytes(), b"=runner", Mode::Text, env).expect("it is right");
    let text = st.string(chunk).expect("there is room");
    st.push(Value::from(runner)).expect("there is room");
    st.push(Value::from(text)).expect("there is room");
    api::call_protected(st, 1, 1).expect("there is room").expect("the runner catches errors");
    let top = st.top() - 1;
    let answer = st.slot(top);
    st.set_top(top);
    answer.as_string().map(|s| s.to_lossy())
}

#[test]
fn what_is_dumped_is_accepted_and_stays_the_same() {
    let mut st = state();
    for source in SOURCES {
        for strip in [false, true] {
            let chunk = dump(&mut st, source, strip);
            let env = Value::from(st.globals);
            let again = api::load(&mut st, &chunk, b"=again", Mode::Binary, env);
            let again = again.unwrap_or_else(|_| panic!("{source} is refused"));
            assert_eq!(binary::dump(again.proto(), strip), chunk, "{source}");
        }
    }
}

#[test]
fn every_beginning_of_a_chunk_is_refused_as_truncated() {
    let mut st = state();
    for source in SOURCES {
        let chunk = dump(&mut st, source, false);
        for end in 0..chunk.len() {
            let why = binary::read(&chunk[..end]).expect_err("it is not whole");
            assert!(why.contains("truncated"), "{source}, {end} bytes: {why}");
        }
    }
}

#[test]
fn damaged_chunks_do_no_harm() {
    let mut st = state();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |limit: usize| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 33) as usize % limit
    };
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..20000 {
        let source = SOURCES[round % SOURCES.len()];
        let mut chunk = dump(&mut st, source, round % 2 == 0);
        // Behind the header, which is compared byte for byte.
        let body = 52;
        for _ in 0..=next(3) {
            let at = body + next(chunk.len() - body);
            match next(3) {
                0 => chunk[at] ^= 1 << next(8),
                1 => chunk[at] = next(256) as u8,
                _ => chunk[at] = chunk[body + next(chunk.len() - body)],
            }
        }
        match try_chunk(&mut st, &chunk) {
            Some(message) => {
                assert!(message.starts_with("chunk: bad binary format ("), "{message}");
                refused += 1;
            }
            None => accepted += 1,
        }
    }
    assert!(refused > 4000 && accepted > 2000, "both happen: {refused} and {accepted}");
}
