-- Functions that call themselves: traces at their entries, behind their calls, and what returns lead to.

local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(20))

local function ack(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ack(m - 1, 1) end
  return ack(m - 1, ack(m, n - 1))
end
print(ack(2, 60))

-- Each other, by calls and by tail calls.
local even, odd
function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
print(even(1000), odd(1001), even(7))
local ping, pong
function ping(n) if n == 0 then return 0 end return 1 + pong(n - 1) end
function pong(n) if n == 0 then return 0 end return 2 + ping(n - 1) end
for i = 1, 5 do print(ping(100 * i)) end

-- Deep, and too deep.
local function sum(n) if n == 0 then return 0 end return n + sum(n - 1) end
for _ = 1, 3 do print(sum(20000)) end
local function endless(n) return 1 + endless(n + 1) end
for _ = 1, 3 do
  local ok, message = pcall(endless, 1)
  print(ok, (message:gsub("\n.*", "")))
end
print(sum(1000))

-- Results: none, some, all, more and fewer than wanted.
local log = {}
local function none(n) if n > 0 then none(n - 1) end log[#log + 1] = n end
for _ = 1, 30 do none(10) end
print(#log, log[1], log[#log])
local function two(n) if n == 0 then return 1, 2 end local a, b = two(n - 1) return b, a + b end
for i = 1, 40 do print(two(i % 7)) end
local function one_of(n) if n == 0 then return end local a, b, c = one_of(n - 1) return n, a, b end
for i = 1, 40 do print(one_of(i % 5)) end
local function list(n) if n == 0 then return end return n, list(n - 1) end
for i = 1, 40 do print(select("#", list(i % 6)), list(i % 6)) end
local function pack(n) if n == 0 then return {} end return { n, list(n % 4), pack(n - 1) } end
local function count(t) if type(t) ~= "table" then return 1 end local c = 0 for _, v in ipairs(t) do c = c + count(v) end return c end
print(count(pack(60)))
local function spread(...) if select("#", ...) >= 6 then return ... end return spread(0, ...) end
for i = 1, 40 do print(spread(i)) end

-- Other types now and then.
local function mixed(n)
  if n == 0 then return 0 end
  if n % 17 == 0 then return mixed(n - 1) + 0.5 end
  if n % 13 == 0 then return "1" + mixed(n - 1) end
  return mixed(n - 1) + 1
end
for i = 1, 200, 7 do io.write(tostring(mixed(i)), " ") end
print()

-- Trees.
local function build(d) if d == 0 then return { left = false, right = false } end return { left = build(d - 1), right = build(d - 1) } end
local function check(t) return t.left and 1 + check(t.left) + check(t.right) or 1 end
for d = 1, 9 do print(check(build(d))) end
local function walk(t, f) if t.left then walk(t.left, f) walk(t.right, f) else f() end end
local leaves = 0
walk(build(9), function() leaves = leaves + 1 end)
print(leaves)

-- Loops around and inside of the recursion.
local function permute(a, n, out)
  if n == 0 then out[#out + 1] = table.concat(a) return end
  for i = 1, n do
    a[i], a[n] = a[n], a[i]
    permute(a, n - 1, out)
    a[i], a[n] = a[n], a[i]
  end
end
local out = {}
permute({ "a", "b", "c", "d", "e" }, 5, out)
print(#out, out[1], out[77], out[120])

-- The function changes while it runs.
function global(n) if n == 0 then return "old" end return global(n - 1) end
for _ = 1, 60 do global(5) end
local saved = global
function global(n) if n == 0 then return "new" end return saved(n - 1) end
print(global(3), saved(3), saved(0))

-- Closures of one prototype with other variables.
local function adder(k) local function f(n) if n == 0 then return k end return f(n - 1) + k end return f end
for k = 1, 60 do io.write(adder(k)(k % 5), " ") end
print()

-- Errors from the depth, and where they come from.
local function thrower(n, v) if n == 0 then error(v, 0) end return 1 + thrower(n - 1, v) end
for i = 1, 30 do print(pcall(thrower, i, "e" .. i)) end
local function bad(n) if n == 0 then return nil + 1 end local r = bad(n - 1) return r end
for i = 1, 30 do local ok, m = pcall(bad, i) if i % 10 == 0 then print(m) end end
local function trace(n) if n == 0 then return debug.traceback("here") end local t = trace(n - 1) return t end
for i = 1, 30 do local t = trace(i) if i % 15 == 0 then print(t) end end
local function tail(n) if n == 0 then return debug.traceback("there") end return tail(n - 1) end
local function around(n) local t = tail(n) return t end
for i = 1, 40 do local t = around(i) if i == 40 then print(t) end end

-- Coroutines inside of the recursion.
local function visit(t) if t.left then visit(t.left) visit(t.right) end coroutine.yield(t) end
local n = 0
for _ in coroutine.wrap(function() visit(build(7)) end) do n = n + 1 end
print(n)

-- Metamethods.
local mt = {}
mt.__add = function(a, b) if a.v == 0 then return b end return setmetatable({ v = a.v - 1 }, mt) + setmetatable({ v = b.v + 1 }, mt) end
mt.__index = function(t, k) if k == 0 then return "bottom" end return t[k - 1] end
for i = 1, 50 do local r = setmetatable({ v = i }, mt) + setmetatable({ v = 1 }, mt) if i % 25 == 0 then print(r.v) end end
local deep = setmetatable({ v = 1 }, mt)
for i = 1, 60 do if i % 20 == 0 then print(deep[i]) else local _ = deep[i] end end

-- Variables to be closed, the collector, hooks.
local closed = 0
local function closing(k)
  if k == 0 then return 0 end
  local c <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
  return 1 + closing(k - 1)
end
for i = 1, 20 do closing(i) end
print(closed)
local function garbage(k) if k == 0 then collectgarbage("step") return {} end local t = { k } local r = garbage(k - 1) r[k] = t return r end
for i = 1, 40 do local r = garbage(i) assert(r[i][1] == i and r[1][1] == 1) end
local hooked = 0
local function hooks(k)
  if k == 0 then
    debug.sethook(function() hooked = hooked + 1 end, "r")
    return 0
  end
  return 1 + hooks(k - 1)
end
local function plain(k) if k == 0 then return 0 end return 1 + plain(k - 1) end
for _ = 1, 60 do plain(10) end
for _ = 1, 60 do hooks(10) debug.sethook() end
print(hooked)
print(debug.getinfo(1, "l").currentline)
