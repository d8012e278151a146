//! Functions with a counted loop over a list, called often: indices that run out of the list, lists that change while they are gone
//! through, and objects, functions, lists and strings that one iteration makes and a later one, or an exit, sees. No list gets holes: where it
//! ends then is nobody's business.

use super::program::Program;

/// How an element is loaded: with an offset, so that some are not there. `$k` is a small constant, `$m` a larger one.
const LOADS: &[&str] = &[
    "local v = t[i]",
    "local v = t[i]",
    "local v = t[i + $k]",
    "local v = t[i - $k]",
    "local v = t[i * 2 - $k]",
    "local v = t[n - i + $k]",
    "local v = t[(i - 1) % #t + 1]",
    "local v = t[#t - i]",
    "local v = rawget(t, i + $k)",
    "local v = select(2, next(t, rawget(t, i) and i or nil))",
    "local v = (t[i] or 1) + (t[i + 1] or 2) - (t[i - 1] or 0)",
];

/// What is done where there is none, or no number.
const MISSES: &[&str] = &[
    "if not v then break end",
    "if not v then break end",
    "if not v then return a, p.x, last end",
    "if not v then missed = missed + 1 v = 1 end",
    "if not v then goto next end",
    "v = v or i",
    // The sum is an error.
    "if not v then a = a + v end",
];

/// What one iteration does. `$c` is a condition that is sometimes true.
const ACTS: &[&str] = &[
    "a = a + v",
    "a = (a * 31 + v) % 1009",
    "b = b * 0.5 + v",
    "b, a = a, b",
    "last = i",
    "flag = not flag",
    "p = {x = p.x + v, y = p.y - i}",
    "p = {x = p.y, y = v}",
    "p.x = p.x + v",
    "p = {x = q.y, y = q.x + v} q = {x = p.x, y = i}",
    "if $c then q = p end",
    "if $c then p, q = q, p end",
    "if $c then p = {x = v, y = p.x} else p.x = p.x + 1 end",
    "if p == q then a = a + 1 end",
    "q = {x = v, y = i, up = $c and p or nil}",
    "if q.up then a = a + q.up.x end",
    "l = {v, l[1], i}",
    "l = {l[2], l[1]}",
    "l[#l + 1] = i if #l > 6 then l = {v} end",
    "local w = {} w[1] = v w[2] = i w[3] = l[1] l = w",
    "local w = {} w[1] = i if $c then l = w end",
    "l = pack(v, table.unpack(l, 1, 3))",
    "l = table.pack(v, i) a = a + l.n",
    "l = {v, i, nil}",
    "l[1] = 0.5 + i",
    "a = a + select('#', table.unpack(l)) + #l",
    "a = a + pack(v, i, l[1])[2]",
    "local c = v local g = function(d) c = c + d return c end h = g",
    "local c, d = i, v local up, get = function() c = c + d end, function() return c end up() a = a + get() if $c then h = get end",
    "local c = i local one, two = function() c = c + 1 return c end, function() c = c * 2 return c end if $c then h = one h2 = two end",
    "a = a + (h(1) or 0) % 100",
    "if $c then h, h2 = h2, h end",
    "local self = function() return h2 end if $c then h3 = self end",
    "local c = p h3 = function() p = c return q.x end",
    "s = s .. i",
    "s = s .. v .. ','",
    "local old = s s = s .. 'x' if $c then keep[#keep % 5 + 1] = old end",
    "if $c then keep[#keep % 5 + 1] = s end",
    "if s == keep[1] then a = a + 1 end",
    "if $c then s = s:sub(1, 700) end",
    "local u, w = s .. 'u', s .. 'w' a = a + (u < w and 1 or 2) + #u",
    "if t[i] then t[i] = v + 1 end",
    "if t[i] then t[i] = a end",
    "if v and t[i - 1] then t[i - 1] = v end",
    "if i > 0 and i <= #t then t[i + 1] = i end",
    "t[#t + 1] = i if #t > 90 then for k = #t, 40, -1 do t[k] = nil end end",
    "if $c then t[#t] = nil end",
    "if $c and t[i] then t[i] = i + 0.5 end",
    "if i == #t then t[i] = nil end",
    "if i == $m then setmetatable(t, {__index = function(_, k) return k end, __newindex = function() a = a + 1 end}) end",
    "if i == $m then setmetatable(t, nil) end",
    "if i == $m then t = other end",
    "if i == $m then t.x = i end",
    "if $c and v then table.insert(t, 1, v) table.remove(t) end",
    "if i == $m then collectgarbage() end",
    "if i == $m then collectgarbage('step') end",
    "if $c then local z <close> = closes a = a + 1 end",
    "local ok, e = pcall(function() if $c then error(p) end return v end) a = a + (ok and e or e.x)",
    "local ok, e = pcall(function() if $c then local none = nil return none.x end return v end) a = a + (ok and e or 1) last = e",
    "local ok, e = xpcall(function() if $c then error('at ' .. i) end return v end, function(m) return #m end) a = a + e",
    "local ok, e = pcall(string.rep, v) a = a + #tostring(e)",
    "a = a + #(('a,b;c'):gsub('%p', function(m) if $c and m == ';' then return 'yes' end p = {x = p.x + 1, y = i} end))",
    "local ok, e = pcall(string.gsub, 'abc', '%a', function(m) if $c and m == 'b' then error(m .. i, 0) end end) last = e",
    "a = a + select('#', ('k'):gmatch($c and 'k' or 'x')())",
    "local ok, e = pcall(function() for k = flag and '2' or v, $c and '3' or 'x' do return k end end) last = e",
    "local e = counted(string.unpack($c and 'zi1' or 'i1i1', 'a\\0bc')) a = a + e",
    "local e = counted(pcall(string.unpack, $c and 'i9' or 'i1i1', 'abcd')) a = a + e",
    "local e = counted(select('#', v, i) > 1 and v, table.unpack(l)) a = a + e",
    "for m in ('k=1, j=22'):gmatch('%a=(%d+)') do a = a + #m end",
    "if coroutine.isyieldable() and $c then coroutine.yield(a, p.x) end",
    "a = a + callable(v)",
    "local ok, e = pcall(callable, v) a = a + e",
    "local function again(m) if m > 0 then return again(m - 1) end return l end a = a + #again(3)",
    "local r = use(p, function(d) a = a + 1 return v + d end) a = a + r",
    "a = a + use({x = v, y = #l}, function(d) q = {x = d, y = v} return d end)",
    "local function inner(o) if $c then p = o o = {x = i, y = o.x} end return o.y end a = a + inner({x = a, y = v}) % 1000",
    "local o = {x = v, y = i} o.me = o if $c then q = o.me elseif o.me ~= o then a = a + 1 end",
    "if $c then return a, p.x + q.y, l[1], 'left' end",
    "if $c then break end",
    "if $c then limit = limit - 1 end",
];

/// Where the loop goes.
const HEADS: &[&str] = &[
    "for i = 1, n do",
    "for i = 1, n do",
    "for i = n, 1, -1 do",
    "for i = $k, n, 2 do",
    "for i = n, -1, -3 do",
    "for i = 1, #t do",
    "for i = 2, #t - 1 do",
    "for i = math.maxinteger - n, math.maxinteger do",
    "for i = 1, math.maxinteger do if i > 150 then break end",
    "for i = n, math.mininteger, -1 do if i < -20 then break end",
    "for i = 1, limit do",
    "local i = 0 while i < limit do i = i + 1",
    "local i = n + 1 while i > 1 do i = i - 1",
    "local i = -1 while i <= n do i = i + 2",
    "for i in callable, n, 0 do",
    "for j = 1, 3 do for i = j, n do",
    "for j = 2, 0, -1 do for i = n, j + $k, -1 do",
];

/// Conditions that are true now and then.
const CONDITIONS: &[&str] =
    &["i % $k == 0", "i == $m", "i > $m", "v % $k == 1", "a % 8 == 3", "flag", "(i & 31) == 9", "#l == $k", "last"];

impl Program {
    fn filled(&mut self, text: &str) -> String {
        let mut text = text.to_string();
        while let Some(at) = text.find('$') {
            let with = match &text[at + 1..=at + 1] {
                "c" => self.random.pick(CONDITIONS).to_string(),
                "k" => (1 + self.random.below(5)).to_string(),
                _ => (3 + self.random.below(70)).to_string(),
            };
            text.replace_range(at..at + 2, &with);
        }
        text
    }

    /// A list, a function that goes through it, and calls of that.
    pub(super) fn scan(&mut self) {
        let (list, scan) = (self.name("list"), self.name("scan"));
        let len = [0, 5, 20, 60, 61][self.random.below(5)];
        let element = self.random.pick(&["i", "i", "i % 7", "i * 0.5", "i % 9 == 0 and 'x' or i"]).to_string();
        self.line(&format!("local {list}, other = {{}}, {{4, 5, 6}}"));
        self.line(&format!("for i = 1, {len} do {list}[i] = {element} end"));
        self.block(&format!("local function {scan}(t, n)"), "end", |p| {
            p.line("local a, b, last, flag, missed, limit = 0, 0.5, nil, false, 0, n");
            p.line("local p, q, l, s, keep = {x = 0, y = 0}, {x = 1, y = 2}, {1, 2}, ('s'):rep(600), {}");
            p.line("local h, h2, h3 = function(d) return d end, function() return 7 end, function() return p.y end");
            p.line("local function use(o, f) local held = {o, f} if o.x % 7 == 3 then return f(held[1].y) % 100 end return o.x % 10 end");
            let head = p.random.pick(HEADS);
            let head = p.filled(head);
            let tail = if head.contains(" do for ") { "end end" } else { "end" };
            p.block(&head, tail, |p| p.iteration());
            p.line("return a, b, last, flag, missed, p.x, p.y, q.x, q.y, l[1], l[2], l[3], #l, #s, h(1), h2(2), h3() == h2, keep[1] == s, #keep, t[1], t[#t], #t");
        });
        let (times, most) = (20 + self.random.below(80), [3, 30, 60, 61, 75, 100][self.random.below(6)]);
        self.cost += times as u64 * 300;
        let call = match self.random.below(5) {
            0 => format!("drive({scan}, {list}, {most})"),
            1 => format!("pcall({scan}, {list}, {most} - r % 3)"),
            2 => format!("pcall({scan}, r % 9 == 0 and other or {list}, {most})"),
            3 => format!("pcall({scan}, {{table.unpack({list})}}, {most})"),
            _ => format!("pcall({scan}, {list}, {most})"),
        };
        self.block(&format!("for r = 1, {times} do"), "end", |p| {
            p.line(&format!("if r % 10 == 1 then show({call}) else {call} end"));
        });
        self.line(&format!("show({call})").replace("r %", "5 %"));
    }

    fn iteration(&mut self) {
        let pick = |p: &mut Program, from: &[&'static str]| {
            let text = p.random.pick(from);
            p.filled(text)
        };
        let (load, miss) = (pick(self, LOADS), pick(self, MISSES));
        self.line(&load);
        self.line(&miss);
        if self.random.chance(80) {
            self.line("if type(v) ~= 'number' then v = 3 end");
        }
        self.block("do", "end", |p| {
            for _ in 0..1 + p.random.below(6) {
                let act = pick(p, ACTS);
                // What leaves is the last of its block.
                p.line(&format!("do {act} end"));
            }
        });
        self.line("::next::");
    }
}
