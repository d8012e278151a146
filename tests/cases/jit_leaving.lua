-- Loops that return the first or second time around, nearly always or nearly never, and functions with extra arguments that call
-- themselves.
local function find(t, x)
  for i = 1, #t do
    if t[i] == x then return i, t end
  end
end
local s = 0
for i = 1, 3000 do s = s + find({ 1, 2, 3 }, 2) end
for i = 1, 300 do s = s + (find({ 1, 2, 3 }, i % 5) or 100) end
print(s)
local function first(t)
  for k, v in pairs(t) do
    if v > 1 then return k end
  end
  return "none"
end
local counts = {}
for i = 1, 3000 do
  local k = first { a = 1, b = i % 50 == 0 and 0 or 2 }
  counts[k] = (counts[k] or 0) + 1
end
print(counts.b, counts.none)
local function again(n, acc) if n == 0 then return acc end return again(n - 1, acc + n) end
local function leave(n)
  for i = 1, 3 do
    if i == 2 then return again(n, i) end
  end
end
local function native(n)
  local i = 0
  while true do
    i = i + 1
    if i == 2 then return math.max(n, i) end
  end
end
for i = 1, 3000 do s = s + leave(i % 10) + native(i % 5) end
print(s)
local function several(...)
  local n = 0
  repeat
    n = n + 1
    if n == 2 then return n, ... end
  until n > 5
end
for i = 1, 2000 do s = s + select("#", several(i, i)) + select("#", several()) + select(3, several(1, i)) end
print(s)
local function closing(t)
  for i = 1, 2 do
    local x <close> = t
    if i == 2 then return x.n end
  end
end
local closed = setmetatable({ n = 1 }, { __close = function(t) t.n = t.n + 1 end })
for i = 1, 2000 do s = s + closing(closed) end
print(s, closed.n)

local function sum(a, ...) if a then return a + sum(...) end return 0 end
local function count(n, ...) if n == 0 then return select("#", ...) end return count(n - 1, n, ...) end
local function reverse(n, x, ...) if n > 0 then local function f(...) return ... end return reverse(n - 1, ...), x end return "end" end
local function tree(depth, ...)
  if depth == 0 then return ... end
  return tree(depth - 1, depth, ...), tree(depth - 1, ...)
end
local function fixed(n, ...)
  if n < 2 then return n end
  local a, b = ...
  return fixed(n - 1, a, b) + fixed(n - 2, b, a, nil)
end
for i = 1, 100 do
  s = s + sum(1, 2, 3, 4, 5, 6, 7, i) + sum() + sum(table.unpack({}, 1, 0)) + count(i % 30) + select("#", tree(3, i, i))
  s = s + #tostring(reverse(4, 1, 2, 3, 4, 5))
end
s = s + fixed(15, 1, 2) + fixed(12) + fixed(10, 1, 2, 3, 4)
print(s)
local function build(...) return { n = select("#", ...), ... } end
local function walk(n, ...) local t = build(...) if n == 0 then return t.n, t[1], t[t.n] end return walk(n - 1, n, ...) end
for i = 1, 100 do
  local n, a, b = walk(i % 20, "x")
  s = s + n
  if i > 98 then print(n, a, b) end
end
local depth = 0
local function endless(...) depth = depth + 1 return 1 + endless(depth, ...) end
local ok, e = pcall(endless)
print(ok, tostring(e):match("stack overflow"), depth > 100)
local co = coroutine.wrap(function(...)
  local function pass(n, ...) if n == 0 then return coroutine.yield(...) end return (pass(n - 1, n, ...)) end
  while true do pass(8, ...) end
end)
for i = 1, 100 do s = s + select("#", co(i, i)) end
print(s)
