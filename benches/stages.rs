//! Criterion benchmarks of single stages: starting, compiling source, the interpreter's loop, tables, calls, strings, allocation,
//! coroutines, making and entering a trace, and the stages of making one.
//!
//! `cargo bench -p perilune --bench stages [-- part of a name]`. Whole programs are compared by the package `perilune-compare`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use perilune::{Function, Lua, Options};
use std::fmt::Write;
use std::hint::black_box;

/// A function with many statements of all kinds.
fn source() -> String {
    let mut text = String::new();
    for i in 0..200 {
        writeln!(
            text,
            "local function f{i}(a, b, ...)\n  local t = {{ x = a, y = {{ b, ... }}, [{i}] = 'text{i}' }}\n  for k = 1, #t.y do\n    \
             if t.y[k] == b and a ~= nil then t.x = t.x + k * {i} elseif not b then goto out end\n  end\n  ::out::\n  \
             return t.x, function() return t, a .. b end\nend\n_G.g{i} = f{i}"
        )
        .expect("writing to a string cannot fail");
    }
    // A function may have 200 locals; parted into blocks there may be more.
    format!("do\n{text}\nend\n")
}

/// Benchmarks a Lua function that `code` returns, called with the number of its rounds.
fn lua(c: &mut Criterion, name: &str, jit: bool, code: &str) {
    let lua = Lua::with_options(&Options::new().jit(jit));
    let function: Function = lua.eval(code).expect("the benchmark compiles");
    c.bench_function(name, |b| {
        b.iter(|| function.call::<()>(black_box(1000)).expect("the benchmark runs"));
    });
}

fn starting(c: &mut Criterion) {
    c.bench_function("start: a state with its library", |b| b.iter(Lua::new));
}

fn compiling(c: &mut Criterion) {
    let text = source();
    let lua = Lua::new();
    c.bench_function("compile: 200 functions", |b| {
        b.iter(|| lua.load(black_box(&text)).into_function().expect("it compiles"));
    });
}

/// What the interpreter does 1000 times in each: with the JIT off.
fn interpreting(c: &mut Criterion) {
    for (name, body) in [
        ("dispatch: integer arithmetic", "s = s + i * 2 - (i & 3)"),
        ("dispatch: float arithmetic", "s = s * 0.5 + i / 3.0"),
        ("dispatch: branches", "if i % 2 == 0 then s = s + 1 elseif i < 500 then s = s - 1 else s = s + 2 end"),
        ("table: array load and store", "a[i % 64 + 1] = a[(i + 7) % 64 + 1]"),
        ("table: field load and store", "o.x = o.x + 1; o.y = o.x"),
        ("table: inherited method", "o:step(i)"),
        ("table: string key from a variable", "o[keys[i % 4 + 1]] = i"),
        ("table: append and remove", "a[#a + 1] = i; a[#a] = nil"),
        ("call: Lua function", "s = f(s, i)"),
        ("call: native function", "s = floor(i)"),
        ("call: pcall", "pcall(f, i, 1)"),
        ("allocate: table with two fields", "o2 = { x = i, y = i }"),
        ("allocate: array of three", "o2 = { i, i, i }"),
        ("allocate: closure", "o2 = function() return i end"),
        ("string: byte", "s = byte(text, i % 40 + 1)"),
        ("string: sub", "s2 = sub(text, i % 40 + 1, i % 40 + 4)"),
        ("string: concatenation", "s2 = 'x' .. i"),
        ("coroutine: resume and yield", "co(i)"),
    ] {
        lua(c, name, false, &around(body));
    }
}

/// The same with the JIT on: mostly the speed of traces.
fn tracing(c: &mut Criterion) {
    lua(c, "trace: integer arithmetic", true, &around("s = s + i * 2 - (i & 3)"));
    lua(c, "trace: field load and store", true, &around("o.x = o.x + 1; o.y = o.x"));
    lua(c, "trace: Lua function", true, &around("s = f(s, i)"));
    c.bench_function("trace: record, compile and drop", |b| {
        b.iter_batched(
            Lua::new,
            |lua| lua.exec("local s = 0 for i = 1, 200 do s = s + i end").expect("it runs"),
            BatchSize::PerIteration,
        );
    });
}

fn around(body: &str) -> String {
    format!(
        "local floor, byte, sub, pcall = math.floor, string.byte, string.sub, pcall
         local s, s2, o2, text = 0, '', nil, ('the quick brown fox jumps over the lazy dog')
         local a, keys = {{}}, {{ 'p', 'q', 'r', 's' }} for i = 1, 64 do a[i] = i end
         local class = {{ step = function(self, k) self.x = k end }} class.__index = class
         local o = setmetatable({{ x = 0, y = 0 }}, class)
         local function f(x, y) return x + y end
         local co = coroutine.wrap(function(x) while true do x = coroutine.yield(x) end end)
         return function(n) for i = 1, n do {body} end end"
    )
}

/// A loop whose trace has some hundred IR instructions.
#[cfg(feature = "jit")]
const LOOP: &str = "local o, a, s = { x = 1, y = 2.5, n = 0 }, {}, 0
    for i = 1, 100 do a[i] = i * 3 end
    for i = 1, 100 do
      o.x = o.x + a[i] * 2
      o.y = o.y * 0.5 + o.x / 3
      if a[i] % 2 == 0 then o.n = o.n + 1 else s = s + (o.x & 7) end
      a[i] = a[i] ~ s
      s = s + #a + a[100 - i + 1]
    end";

/// The stages of making a trace: of a loop as it is recorded, in machine code, for debuggers.
#[cfg(feature = "jit")]
fn making_traces(c: &mut Criterion) {
    use perilune_interpreter::lua::api::{Mode, load};
    use perilune_interpreter::lua::{call::call_value, lib::open_libraries};
    use perilune_jit::lua::allocate::{self, Features, allocate};
    use perilune_jit::lua::machine::{Machine, MachineOptions};
    use perilune_jit::lua::opt::{Passes, copy::copy};
    use perilune_jit::lua::{options::Options, tier::Jit};
    use perilune_runtime::lua::{state::State, value::Value};
    use std::rc::Rc;

    let mut state = State::new();
    open_libraries(&mut state).expect("a new state has room");
    Jit::install(&mut state, Options::default());
    let function = load(&mut state, LOOP.as_bytes(), b"=loop", Mode::Text, Value::NIL).expect("it compiles");
    call_value(&mut state, Value::from(function), &[]).expect("it runs");
    let traces = Jit::find(&mut state).expect("it is installed").traces();
    let ir = traces.map(|trace| Rc::clone(&trace.ir)).max_by_key(|ir| ir.insts.len()).expect("the loop was compiled");
    let live = ir.insts.iter().filter(|inst| inst.op.name() != "nop").count();

    c.bench_function(&format!("making a trace: all passes over {live} IR"), |b| b.iter(|| copy(&ir, Passes::ALL)));
    let options = allocate::Options { features: Features::detect(), ..allocate::Options::default() };
    c.bench_function(&format!("making a trace: registers of {live} IR"), |b| b.iter(|| allocate(&ir, options)));
    let mut machine = Machine::new(MachineOptions::default()).expect("there is room for code");
    let mut number = 0;
    c.bench_function(&format!("making a trace: registers, code, publishing and dropping of {live} IR"), |b| {
        b.iter(|| {
            number = (number + 1) % 1000;
            machine.compile(&state, number, Rc::clone(&ir), None, 0).expect("it compiles");
            machine.drop_trace(number).expect("it was there");
        });
    });
    c.bench_function(
        &format!("making a trace: a run of 200 iterations, recording {live} IR and all that follows"),
        |b| {
            b.iter_batched(Lua::new, |lua| lua.exec(LOOP).expect("it runs"), BatchSize::PerIteration);
        },
    );
}

#[cfg(not(feature = "jit"))]
fn making_traces(_: &mut Criterion) {}

criterion_group!(stages, starting, compiling, interpreting, tracing, making_traces);
criterion_main!(stages);
