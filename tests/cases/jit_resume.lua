-- Coroutines resumed from compiled loops.
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local s = 0
for i in gen(500) do s = s + i end
print(s)
-- resume with values both ways.
local co = coroutine.create(function(a, b)
  local n = 0
  while true do a, b = coroutine.yield(a + b, n) n = n + 1 end
end)
local sum = 0
for i = 1, 300 do local ok, v, n = coroutine.resume(co, i, i) sum = sum + v + n end
print(sum, coroutine.status(co))
-- Open results, and none.
local many = coroutine.wrap(function() local i = 0 while true do i = i + 1 coroutine.yield(table.unpack({ 1, 2, 3, 4 }, 1, i % 5)) end end)
local count = 0
for i = 1, 200 do count = count + select("#", many()) end
for i = 1, 100 do many() end
print(count)
-- One inside of another.
local function filter(p, g) return coroutine.wrap(function() for v in g do if p(v) then coroutine.yield(v) end end end) end
local t = {}
for v in filter(function(v) return v % 3 == 0 end, filter(function(v) return v % 2 == 0 end, gen(300))) do t[#t + 1] = v end
print(#t, t[1], t[#t])
-- The end, errors, dead coroutines.
for round = 1, 3 do
  local c = coroutine.create(function() for i = 1, 70 do coroutine.yield(i) end error("over", 0) end)
  for i = 1, 73 do local ok, v = coroutine.resume(c) if i > 69 then print(i, ok, v) end end
end
local w = coroutine.wrap(function() for i = 1, 70 do coroutine.yield(i) end error({ code = 7 }) end)
local last
local ok, e = pcall(function() for i = 1, 100 do last = w() end end)
print(ok, e.code)
print(last)
local w2 = coroutine.wrap(function() for i = 1, 70 do coroutine.yield(i) end error("message") end)
print(pcall(function() for i = 1, 100 do last = w2() end end))
print(pcall(w2))
-- Changes that a coroutine makes to what the loop has at hand.
local shared, cell = { 0 }, 0
local changer = coroutine.wrap(function() while true do shared[1] = shared[1] + 1 cell = cell + 2 if shared[1] == 150 then shared[1] = "text" end coroutine.yield() end end)
local log = 0
for i = 1, 149 do changer() log = log + shared[1] + cell end
print(log)
print(pcall(function() for i = 1, 10 do changer() log = log + #shared[1] end end))
print(log)
-- The running coroutine, from inside; yields out of compiled loops and calls.
local function inner(n) for i = 1, n do if i % 40 == 0 then coroutine.yield(coroutine.isyieldable(), i) end end return n end
local function run(n) local r = 0 for i = 1, n do r = r + inner(i * 20) end return r end
local c = coroutine.create(run)
local lines = 0
while true do
  local ok, a, b = coroutine.resume(c, 30)
  lines = lines + 1
  if coroutine.status(c) == "dead" then print(ok, a, b, lines) break end
end
-- A loop that resumes itself, and its own resumer.
local me
me = coroutine.create(function() for i = 1, 100 do local ok, e = coroutine.resume(me) if i == 100 then coroutine.yield(ok, e) end end end)
print(coroutine.resume(me))
-- Collection with suspended coroutines.
local weak = setmetatable({}, { __mode = "k" })
for i = 1, 300 do
  local g = coroutine.wrap(function(x) local y = { x } coroutine.yield(y) end)
  weak[g(i)] = true
  if i % 100 == 0 then collectgarbage() end
end
collectgarbage()
print(next(weak))
-- close in a loop, with variables to be closed.
local closed = 0
for i = 1, 120 do
  local k = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end }) coroutine.yield() end)
  coroutine.resume(k)
  coroutine.close(k)
end
print(closed)
-- Tracebacks from inside.
local tb = coroutine.wrap(function() while true do coroutine.yield(debug.traceback("t")) end end)
local text
for i = 1, 100 do text = tb() end
print(text)
-- Deeply nested resumes.
local function depth(n) if n == 0 then return 0 end return 1 + coroutine.wrap(depth)(n - 1) end
for i = 1, 60 do local d = depth(8) if i == 60 then print(d) end end
print(pcall(depth, 150))
-- What a loop holds in its registers while the collector runs in the coroutine that it has resumed.
local function hold(n)
  local collect = coroutine.wrap(function() while true do for i = 1, 3 do collectgarbage() end coroutine.yield({}) end end)
  local sum = 0
  for i = 1, n do
    local a, b, c = { i }, { i + 1 }, { tostring(i) }
    local d = collect()
    sum = sum + a[1] + b[1] + #c[1] + #d
  end
  return sum
end
print(hold(150))
