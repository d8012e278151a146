//! Random programs: valid, and sure to end soon. Their loops are hot, and what they do differs from time to time, so that traces
//! are made and left.
//!
//! Statements stand one a line, so that a program can be reduced line by line; blocks are indented.

use super::random::Random;

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// An integer.
    Int,
    /// A float.
    Float,
    /// A string.
    Str,
    /// A boolean.
    Bool,
    /// A table with fields `x`, `y`, `s` and a sequence of integers.
    Table,
    /// Anything, nil included.
    Any,
}

const TYPES: [Type; 6] = [Type::Int, Type::Float, Type::Str, Type::Bool, Type::Table, Type::Any];

struct Variable {
    name: String,
    ty: Type,
    constant: bool,
}

/// A function that can be called.
struct Function {
    name: String,
    parameters: Vec<Type>,
    result: Type,
    cost: u64,
}

/// Statements that a program may run, about.
const MAX_COST: u64 = 60_000;

/// The class whose objects have metamethods; `show` prints what is the same everywhere.
const PRELUDE: &str = "\
local function show(...)
  local out = {...}
  for i = 1, select('#', ...) do
    local v = out[i]
    if v ~= v then out[i] = 'nan' elseif type(v) == 'table' then out[i] = 'table' else out[i] = tostring(v) end
  end
  print(table.concat(out, ' '))
end
local function value(v) return type(v) == 'table' and v.x or v end
local C = {}
C.__index = C
C.__add = function(a, b) return C.new(value(a) + value(b)) end
C.__eq = function(a, b) return a.x == b.x end
C.__lt = function(a, b) return a.x < b.x end
C.__le = function(a, b) return a.x <= b.x end
C.__concat = function(a, b) return 'c' end
C.__call = function(self, v) return v end
C.__unm, C.__shl = rawlen, rawequal
C.__pairs = function(self) return next, {self.x, q = self.y} end
C.__close = function(self, e) self.x = self.x + (e and 2 or 1) end
function C.new(x) return setmetatable({x = x, y = 0.5, s = 'c', 1, 2, 3}, C) end
function C:get(k) return self.x + k end
function C:set(v) self.x = v return self end
local K = C.new(5)
local kept, F = {}, {[0.5] = 1}
local P = setmetatable({}, {__index = function(_, k) return kept[k] or 7 end, __newindex = function(_, k, v) kept[k] = v end})
local closes = setmetatable({}, {__close = function() K.x = K.x + 1 end})
local callable = setmetatable({}, {__call = function(_, n, i) if not i then return n elseif i < n then return i + 1 end end})
local function pack(...) return {...} end
local function counted(first, ...) local b, c, d = ... return select('#', ...) + (first == d and 1 or 0) end
local function drive(f, ...)
  local co, out = coroutine.create(f), nil
  out = pack(coroutine.resume(co, ...))
  while coroutine.status(co) == 'suspended' do out = pack(coroutine.resume(co)) end
  return table.unpack(out, 1, 24)
end
local function extra(n, ...) if n < 1 then return select('#', ...), ... end return extra(n - 1, n, ...) end";

/// Handlers of errors, with which `xpcall` ends.
const HANDLERS: &[&str] = &[
    "function(m) return 'handled ' .. tostring(value(m)) end",
    "function(m) K.x = K.x + 1 return m .. 'more' end",
    "function(m) local ok, e = pcall(error, m, 0) return e end",
    // How often one is called that fails each time depends on the native stack.
    "function(m) if m ~= 'in handler' then for i = 1, 40 do K.y = K.y + i % 3 end error('in handler', 0) end return m end",
    "function(m) return (debug.traceback(tostring(value(m)), 1):gsub('%s+', ' ')) end",
    "debug.traceback",
    "value",
];

/// Native functions that fail for some arguments.
const NATIVES: &[&str] = &["utf8.char", "string.rep", "math.floor", "math.abs", "select", "table.concat", "rawlen"];

/// A program in the making.
pub struct Program {
    pub(super) random: Random,
    lines: Vec<String>,
    indent: usize,
    variables: Vec<Variable>,
    functions: Vec<Function>,
    names: usize,
    /// How often the place is passed, about.
    times: u64,
    pub(super) cost: u64,
    /// Loops around the place, in the same function.
    loops: usize,
    /// Errors are caught here.
    caught: bool,
    in_function: bool,
}

impl Program {
    /// The program of a seed.
    pub fn text(seed: u64) -> String {
        let mut program = Program {
            random: Random::new(seed),
            lines: PRELUDE.lines().map(str::to_string).collect(),
            indent: 0,
            variables: Vec::new(),
            functions: Vec::new(),
            names: 0,
            times: 1,
            cost: 0,
            loops: 0,
            caught: false,
            in_function: false,
        };
        for ty in TYPES {
            program.declare(ty);
        }
        for _ in 0..6 + program.random.below(10) {
            program.statement(3);
        }
        for _ in 0..program.random.below(3) {
            program.scan();
        }
        program.show_all();
        program.lines.join("\n") + "\n"
    }

    pub(super) fn line(&mut self, text: &str) {
        self.lines.push(format!("{}{text}", "  ".repeat(self.indent)));
        self.cost += self.times;
    }

    pub(super) fn risky(&self) -> bool {
        self.caught
    }

    pub(super) fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// A variable of a type in scope.
    pub(super) fn variable(&mut self, ty: Type) -> Option<String> {
        self.choose(ty, true)
    }

    fn choose(&mut self, ty: Type, constants: bool) -> Option<String> {
        let good = |v: &&Variable| v.ty == ty && (constants || !v.constant);
        let count = self.variables.iter().filter(good).count();
        if count == 0 {
            return None;
        }
        // The last ones are the most likely.
        let n = self.random.below(count).max(self.random.below(count));
        self.variables.iter().filter(good).nth(n).map(|v| v.name.clone())
    }

    /// A call of a function, if one is known and there is time for it. It is no part of an expression, since the order in which an
    /// expression reads variables and calls what changes them is nobody's business (manual §3.4).
    fn call(&mut self) {
        let known: Vec<usize> =
            (0..self.functions.len()).filter(|n| self.cost + self.functions[*n].cost * self.times < MAX_COST).collect();
        if known.is_empty() {
            return self.declare(Type::Int);
        }
        let n = known[self.random.below(known.len())];
        self.cost += self.functions[n].cost * self.times;
        let parameters = self.functions[n].parameters.clone();
        let arguments: Vec<String> = parameters.iter().map(|ty| self.expression(*ty, 2)).collect();
        let (name, ty) = (self.name("v"), self.functions[n].result);
        self.line(&format!("local {name} = {}({})", self.functions[n].name, arguments.join(", ")));
        self.variables.push(Variable { name, ty, constant: false });
    }

    fn declare(&mut self, ty: Type) {
        let value = self.expression(ty, 2);
        let name = self.name("v");
        // PUC takes `x and false or nil` for a constant, which shows in the names of messages.
        let constant = self.random.chance(10) && !matches!(ty, Type::Bool | Type::Any);
        self.line(&format!("local {name}{} = {value}", if constant { " <const>" } else { "" }));
        self.variables.push(Variable { name, ty, constant });
    }

    /// A block: what is declared in it ends with it.
    pub(super) fn block(&mut self, head: &str, tail: &str, body: impl FnOnce(&mut Program)) {
        self.line(head);
        let (variables, functions) = (self.variables.len(), self.functions.len());
        self.indent += 1;
        body(self);
        self.indent -= 1;
        self.variables.truncate(variables);
        self.functions.truncate(functions);
        self.line(tail);
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..1 + self.random.below(4) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        if self.cost > MAX_COST {
            return self.line("show('enough')");
        }
        let ty = TYPES[self.random.below(TYPES.len())];
        match self.random.below(if depth == 0 { 10 } else { 28 }) {
            0 => self.declare(ty),
            1..=4 => self.assignment(ty),
            5 | 6 => self.store(),
            7 => self.show(ty),
            8 => self.call(),
            9 => self.rare_store(),
            10 | 11 => self.branches(depth - 1),
            12..=16 => self.any_loop(depth - 1),
            17 | 18 if !self.in_function => self.function(depth - 1),
            19 | 20 => self.protected(depth - 1),
            21 => self.coroutine(depth - 1),
            22 => self.closures(),
            23 => self.varying(),
            24 | 25 => self.call(),
            26 => {
                let (name, object) = (self.name("c"), self.object(1));
                self.block(&format!("do local {name} <close> = {object}"), "end", |p| p.statements(depth - 1));
            }
            _ => self.block("do", "end", |p| p.statements(depth - 1)),
        }
    }

    fn assignment(&mut self, ty: Type) {
        let Some(name) = self.choose(ty, false) else { return self.declare(ty) };
        let value = self.expression(ty, 3);
        match ty {
            Type::Str => self.line(&format!("{name} = ({value}):sub(1, 30)")),
            Type::Int if self.random.chance(30) => self.line(&format!("{name} = {name} + {value}")),
            Type::Float if self.random.chance(30) => self.line(&format!("{name} = {name} * 0.5 + {value}")),
            _ => self.line(&format!("{name} = {value}")),
        }
        if self.random.chance(8)
            && let Some(other) = self.choose(ty, false)
        {
            self.line(&format!("{name}, {other} = {other}, {name}"));
        }
    }

    /// An assignment to a part of a table.
    fn store(&mut self) {
        let Some(table) = self.choose(Type::Table, true) else { return self.declare(Type::Table) };
        let int = self.expression(Type::Int, 2);
        match self.random.below(8) {
            0 | 1 => self.line(&format!("{table}.x = {int}")),
            2 => {
                let float = self.expression(Type::Float, 2);
                self.line(&format!("{table}.y = {float}"));
            }
            3 => self.line(&format!("{table}[#{table} % 20 + 1] = {int}")),
            4 => self.line(&format!("{table}[{int} % 3 + 1] = {int}")),
            5 => self.line(&format!("if #{table} < 30 then table.insert({table}, {int}) end")),
            6 => self.line(&format!("if #{table} > 3 then table.remove({table}) end")),
            _ => {
                let any = self.expression(Type::Any, 1);
                self.line(&format!("{table}.extra = {any}"));
            }
        }
    }

    /// A store that a metamethod sees, to a class, under a float; a list of any length.
    fn rare_store(&mut self) {
        let (int, other) = (self.expression(Type::Int, 1), self.expression(Type::Int, 1));
        match self.random.below(6) {
            0 => self.line(&format!("P[{int} % 5] = {other}")),
            1 => self.line(&format!("P['k' .. {int} % 3] = {other}")),
            2 => {
                let any = self.expression(Type::Any, 1);
                self.line(&format!("F[{int} % 8 / 4] = {any}"));
            }
            3 => self.line(&format!("C.count = (C.count or 0) + {int} % 3")),
            4 => {
                let name = self.name("v");
                self.line(&format!("local {name} = extra({int} % 6, {other})"));
                self.variables.push(Variable { name, ty: Type::Int, constant: false });
            }
            _ => {
                let name = self.name("v");
                let float = self.expression(Type::Float, 1);
                self.line(&format!("local {name} = select('#', extra({int} % 4, {float}))"));
                self.variables.push(Variable { name, ty: Type::Int, constant: false });
            }
        }
    }

    fn show(&mut self, ty: Type) {
        let value = self.expression(ty, 2);
        // Not all of what a hot loop says.
        match self.loops {
            0 => self.line(&format!("show({value})")),
            _ => {
                let int = self.expression(Type::Int, 0);
                self.line(&format!("if {int} % 16 == 3 then show({value}) end"));
            }
        }
    }

    fn show_all(&mut self) {
        let names: Vec<(String, Type)> = self.variables.iter().map(|v| (v.name.clone(), v.ty)).collect();
        for (name, ty) in names {
            match ty {
                Type::Table => {
                    self.line(&format!("show('{name}', {name}.x, {name}.y, #{name}, {name}[1], {name}[#{name}])"));
                }
                _ => self.line(&format!("show('{name}', {name})")),
            }
        }
    }

    fn branches(&mut self, depth: usize) {
        let condition = self.expression(Type::Bool, 2);
        let tail = if self.random.chance(50) { "else" } else { "end" };
        self.block(&format!("if {condition} then"), tail, |p| p.statements(depth));
        if tail == "else" {
            self.indent += 1;
            let variables = self.variables.len();
            self.statements(depth);
            self.variables.truncate(variables);
            self.indent -= 1;
            self.line("end");
        }
    }

    /// A loop of any kind, passed so often as there is time for.
    fn any_loop(&mut self, depth: usize) {
        let wanted = [3, 10, 30, 70, 120][self.random.below(5)];
        let left = MAX_COST.saturating_sub(self.cost) / (self.times * 12);
        let count = wanted.min(left).max(1);
        let times = self.times;
        self.times *= count;
        self.loops += 1;
        let i = self.name("i");
        let last = self.loop_tail();
        match self.random.below(12) {
            9 => {
                let (object, x) = (self.object(1), self.name("x"));
                self.loop_block(
                    &format!("for _, {x} in pairs({object}) do local {i} = math.tointeger({x}) or 1"),
                    &i,
                    depth,
                    last,
                );
            }
            10 => {
                let (n, x) = (self.name("n"), self.name("x"));
                let (start, limit) = (self.expression(Type::Float, 1), self.expression(Type::Float, 1));
                let step = self.random.pick(&["1", "0.25", "-1", "-1e307", "1e15"]).to_string();
                self.line(&format!("local {n} = 0"));
                let head =
                    format!("for {x} = {start}, {limit}, {step} do {n} = {n} + 1 if {n} > {count} then break end");
                self.loop_block(&format!("{head} local {i} = {n}"), &i, depth, last);
            }
            0..=4 => self.numeric_loop(&i, count, depth, last),
            5 => self.counted_loop(&i, count, depth, last, "while"),
            6 => self.counted_loop(&i, count, depth, last, "repeat"),
            7 => {
                let table = self.choose(Type::Table, true).unwrap_or_else(|| "K".into());
                self.loop_block(&format!("for _, {i} in ipairs({table}) do"), &i, depth, last);
            }
            8 => {
                let next = self.random.pick(&[
                    "(function(n, i) if i < n then return i + 1 end end)",
                    "setmetatable({}, {__call = function(_, n, i) if i < n then return i + 1 end end})",
                ]);
                self.loop_block(&format!("for {i} in {next}, {count}, 0 do"), &i, depth, last);
            }
            _ => {
                let code = self.expression(Type::Str, 1);
                self.loop_block(
                    &format!("for w in ({code} .. 'abcabc'):gmatch('.') do local {i} = w:byte()"),
                    &i,
                    depth,
                    last,
                );
            }
        }
        self.loops -= 1;
        self.times = times;
    }

    /// How some passes of a loop end early.
    fn loop_tail(&mut self) -> &'static str {
        ["", "", "", "break", "goto"][self.random.below(5)]
    }

    fn loop_block(&mut self, head: &str, i: &str, depth: usize, last: &str) {
        let ends = last == "goto";
        let label = self.name("next");
        self.block(head, "end", |p| {
            p.variables.push(Variable { name: i.into(), ty: Type::Int, constant: false });
            if p.random.chance(30) {
                p.varying();
            }
            if ends {
                // What is behind the label sees no variable that is declared in between.
                let condition = p.expression(Type::Bool, 1);
                p.line(&format!("if {condition} then goto {label} end"));
                p.block("do", "end", |p| p.statements(depth));
                p.line(&format!("::{label}::"));
                return;
            }
            p.statements(depth);
            if last == "break" {
                let condition = p.expression(Type::Bool, 2);
                p.line(&format!("if {condition} and {i} % 50 == 49 then break end"));
            }
        });
    }

    fn numeric_loop(&mut self, i: &str, count: u64, depth: usize, last: &str) {
        let head = match self.random.below(8) {
            0 => format!("for {i} = {count}, 1, -1 do"),
            1 => format!("for {i} = 1, {}, 3 do", count * 3),
            2 => format!("for {i} = math.maxinteger - {}, math.maxinteger do", count.min(60)),
            3 => format!("for {i} = math.mininteger + {}, math.mininteger, -2 do", count.min(60)),
            4 => {
                let f = self.name("f");
                format!("for {f} = 0.5, {count} do local {i} = {f} // 1 | 0")
            }
            5 => {
                let bound = self.expression(Type::Int, 1);
                format!("for {i} = 1, {bound} % {count} do")
            }
            _ => format!("for {i} = 1, {count} do"),
        };
        self.loop_block(&head, i, depth, last);
    }

    fn counted_loop(&mut self, i: &str, count: u64, depth: usize, last: &str, kind: &str) {
        let n = self.name("n");
        self.line(&format!("local {n} = 0"));
        if kind == "while" {
            self.loop_block(&format!("while {n} < {count} do {n} = {n} + 1 local {i} = {n}"), i, depth, last);
            return;
        }
        let other = self.expression(Type::Bool, 1);
        self.block("repeat", &format!("until {n} >= {count} or {other} and {n} > 20"), |p| {
            p.line(&format!("{n} = {n} + 1"));
            p.variables.push(Variable { name: n.clone(), ty: Type::Int, constant: true });
            p.block("do", "end", |p| p.statements(depth));
        });
    }

    fn function(&mut self, depth: usize) {
        let name = self.name("fn");
        let parameters: Vec<Type> = (0..self.random.below(4)).map(|_| TYPES[self.random.below(TYPES.len())]).collect();
        let result = TYPES[self.random.below(TYPES.len())];
        let mut names: Vec<String> = parameters.iter().map(|_| self.name("p")).collect();
        let before = (self.cost, self.times, self.loops, self.caught);
        let start = self.variables.len();
        let variadic = self.random.chance(25);
        let fixed = names.clone();
        if variadic {
            names.push("...".into());
        }
        (self.cost, self.times, self.loops, self.in_function) = (0, 40, 0, true);
        self.block(&format!("local function {name}({})", names.join(", ")), "end", |p| {
            for (name, ty) in fixed.iter().zip(&parameters) {
                p.variables.push(Variable { name: name.clone(), ty: *ty, constant: false });
            }
            if variadic {
                let n = p.name("v");
                p.line(&format!("local {n} = select('#', ...) + #{{...}}"));
                p.variables.push(Variable { name: n, ty: Type::Int, constant: false });
            }
            p.statements(depth.min(2));
            if p.random.chance(30) {
                let (condition, value) = (p.expression(Type::Bool, 1), p.expression(result, 1));
                p.line(&format!("if {condition} then return {value} end"));
            }
            let value = p.expression(result, 2);
            // A value is called by a tail call here; it answers its argument.
            let call = if p.random.chance(15) { format!("K({value})") } else { value };
            p.line(&format!("return {call}"));
        });
        self.variables.truncate(start);
        let cost = (self.cost / 40).max(2);
        (self.cost, self.times, self.loops, self.caught) = before;
        self.in_function = false;
        self.functions.push(Function { name, parameters, result, cost });
    }

    /// A call whose errors are caught and shown.
    fn protected(&mut self, depth: usize) {
        let (ok, e) = (self.name("ok"), self.name("e"));
        let caught = std::mem::replace(&mut self.caught, true);
        let loops = std::mem::take(&mut self.loops);
        let handler = if self.random.chance(35) { "xpcall" } else { "pcall" };
        let tail = if handler == "xpcall" { format!("end, {})", self.random.pick(HANDLERS)) } else { "end)".into() };
        self.block(&format!("local {ok}, {e} = {handler}(function()"), &tail, |p| {
            if p.random.chance(15) {
                p.line("local closing <close> = setmetatable({}, {__close = function(_, e) K.x = K.x + (e and 1 or 2) end})");
            }
            p.statements(depth);
            let (condition, value) = (p.expression(Type::Bool, 2), p.expression(Type::Any, 1));
            let native = p.random.pick(NATIVES);
            match p.random.below(6) {
                0 => p.line(&format!("if {condition} then error({value}) end")),
                4 => p.line(&format!("if {condition} then return {native}({value}) end")),
                5 => p.line(&format!("if {condition} then local r = {native}({value}) show(r) end")),
                1 => p.line(&format!("if {condition} then error('said ' .. tostring(value({value})), 2) end")),
                2 => p.line(&format!("assert({condition}, 'asserted')")),
                _ => {}
            }
            let value = p.expression(Type::Any, 3);
            p.line(&format!("return {value}"));
        });
        (self.caught, self.loops) = (caught, loops);
        self.line(&format!("show({ok}, value({e}))"));
        if self.random.chance(15) {
            let value = self.expression(Type::Any, 1);
            let callee = self.random.pick(&["K", "C.new", "math.floor", "C"]);
            self.line(&format!("show(pcall({callee}, {value}))"));
        }
    }

    fn coroutine(&mut self, depth: usize) {
        let (co, v) = (self.name("co"), self.name("v"));
        let count = 2 + self.random.below(40) as u64;
        let (times, loops) = (self.times, std::mem::take(&mut self.loops));
        let caught = std::mem::replace(&mut self.caught, true);
        self.times *= count;
        self.block(&format!("local {co} = coroutine.create(function(a)"), "end)", |p| {
            p.block(&format!("for {v} = 1, {count} do"), "end", |p| {
                p.variables.push(Variable { name: v.clone(), ty: Type::Int, constant: false });
                p.statements(depth.min(1));
                let value = p.expression(Type::Any, 1);
                p.line(&format!("a = coroutine.yield({value}, a)"));
            });
            p.line("return 'done'");
        });
        (self.times, self.loops, self.caught) = (times * count, loops + 1, caught);
        let int = self.expression(Type::Int, 1);
        self.block(&format!("for {v} = 1, {} do", count + 2), "end", |p| {
            p.line(&format!("local ok, a, b = coroutine.resume({co}, {int})"));
            p.line(&format!("if {v} % 8 == 1 or not ok then show(ok, value(a), b, coroutine.status({co})) end"));
        });
        (self.times, self.loops) = (times, loops);
    }

    /// Closures that share variables of a loop.
    fn closures(&mut self) {
        let (list, i) = (self.name("list"), self.name("i"));
        let (value, other) = (self.expression(Type::Int, 1), self.expression(Type::Int, 1));
        self.line(&format!("local {list} = {{}}"));
        self.line(&format!(
            "for {i} = 1, 12 do local n = {i} + {value} {list}[{i}] = function(d) n = n + d return n, {i} end end"
        ));
        self.cost += self.times * 40;
        self.line(&format!("for {i} = 1, 60 do {list}[{i} % 12 + 1]({other}) end"));
        self.line(&format!("show({list}[1](1), {list}[12](0))"));
    }

    /// A variable whose type is not always the same.
    fn varying(&mut self) {
        let Some(name) = self.choose(Type::Any, false) else { return self.declare(Type::Any) };
        let (int, ty) = (self.expression(Type::Int, 1), TYPES[self.random.below(4)]);
        let (value, other) = (self.expression(ty, 1), self.expression(Type::Int, 1));
        let every = 2 + self.random.below(30);
        self.line(&format!("if {int} % {every} == 0 then {name} = {value} else {name} = {other} end"));
    }
}
