-- Variables to be closed, in loops that are hot, in functions that they call, and in loops over iterators with a closing value.
local log, closed = {}, 0
local mt = { __close = function(o, e) closed = closed + (o.n or 1) if e then log[#log + 1] = tostring(e):gsub("^.-:%d+: ", "") end end }
local function closer(n) return setmetatable({ n = n }, mt) end
local shared = closer(1)
for i = 1, 200 do
  local a <close> = shared
  local b <close> = nil
  local c <close> = i % 2 == 0 and closer(i) or false
end
print(closed)
closed = 0
local function f(i)
  local x <close> = shared
  if i % 5 == 0 then return end
  local y <close> = closer(10)
  return i, i * 2
end
local function g(...)
  local x <close> = closer(select("#", ...))
  return ...
end
local function h(...)
  local x <close> = shared
  do local y <close> = shared end
  return g(...)
end
local s = 0
for i = 1, 200 do
  local a, b = f(i)
  s = s + (a or 0) + (b or 0)
  s = s + select("#", h(i, i, i)) + (g()or 7)
  s = s + h(i)
end
print(s, closed)
-- Many results.
local list = {}
for i = 1, 120 do list[i] = i end
for i = 1, 60 do s = s + select("#", h(table.unpack(list))) end
for i = 1, 60 do s = s + select("#", h(table.unpack(list, 1, i))) end
for i = 1, 60 do s = s + select(-1, h(table.unpack(list, 1, i + 60))) end
print(s)

-- Loops over an iterator with a closing value, left in all ways.
closed = 0
local function range(n) return function(_, k) if k < n then return k + 1 end end, nil, 0, shared end
local function search(n, x)
  for k in range(n) do
    if k == x then return k end
  end
  return -1
end
for i = 1, 200 do
  for k in range(5) do
    if k == i % 7 then break end
    if k == i % 3 then goto continue end
    s = s + k
    ::continue::
  end
  s = s + search(4, i % 6)
end
print(s, closed)

-- Captured, and changed before it is closed.
closed = 0
for i = 1, 100 do
  local x <close> = closer(i)
  local get = function() return x.n end
  s = s + get()
end
print(s, closed)

-- The metamethod is another one, native, not there; it changes while the variable waits.
closed = 0
local other = { __close = function() closed = closed + 1000 end }
for i = 1, 150 do
  local x <close> = i <= 100 and closer(1) or setmetatable({}, other)
  if i == 50 then mt.__close = function(o) closed = closed + 10 end end
end
print(closed)
local native = setmetatable({}, { __close = rawlen })
local both = 0
local function two()
  local a <close> = native
  local b <close> = native
  local c <close> = shared
  local d <close> = native
  return 1, 2
end
for i = 1, 200 do
  local x <close> = native
  local a, b = two()
  both = both + a + b
end
print(both, closed)
for i = 1, 60 do
  local ok, e = pcall(function()
    local x <close> = setmetatable({}, { __close = error })
    local y <close> = shared
    local z <close> = i > 50 and {} or nil
  end)
  if i % 30 == 0 then print(ok, type(e) == "table" and "table" or e) end
end
for i = 1, 60 do
  local ok, e = pcall(function()
    local o = closer(1)
    local x <close> = o
    if i > 40 then setmetatable(o, nil) end
    return "fine"
  end)
  if i % 20 == 0 then print(ok, e) end
end

-- Errors: in the scope, in the metamethod, in both; caught around the loop's body, and within.
mt.__close = function(o, e)
  closed = closed + 1
  if e then log[#log + 1] = tostring(e):gsub("^.-:%d+: ", "") end
  if o.n == 3 then error("closing " .. tostring(e):gsub("^.-:%d+: ", ""), 0) end
end
closed = 0
local three = closer(3)
local function fails(i)
  local a <close> = shared
  local b <close> = i % 4 == 0 and three or nil
  local c <close> = shared
  if i % 3 == 0 then error("fails") end
  if i % 5 == 0 then local _ = nil + i end
  return i
end
local errors = {}
for i = 1, 200 do
  local ok, e = pcall(fails, i)
  e = tostring(e):gsub("^.-:%d+: ", "")
  if not ok then errors[e] = (errors[e] or 0) + 1 end
end
local keys = {}
for e, n in pairs(errors) do keys[#keys + 1] = e .. " " .. n end
table.sort(keys)
print(table.concat(keys, "\n"))
print(closed, #log, log[1], log[#log])

-- Coroutines: it yields while it closes, and is closed while it waits.
mt.__close = function(o) closed = closed + coroutine.yield("closing") end
closed = 0
local co = coroutine.wrap(function()
  for i = 1, 100 do
    local x <close> = shared
    coroutine.yield("body")
    for k in range(2) do end
  end
  return "done"
end)
local what, bodies, closings = co(), 0, 0
while what ~= "done" do
  if what == "body" then bodies = bodies + 1 else closings = closings + 1 end
  what = co(2)
end
print(bodies, closings, closed)
mt.__close = function(o) closed = closed + 1 end
closed = 0
for i = 1, 100 do
  local c = coroutine.create(function()
    local x <close> = shared
    for j = 1, 100 do
      local y <close> = shared
      if j == i then coroutine.yield() end
    end
  end)
  coroutine.resume(c)
  coroutine.close(c)
end
print(closed)

-- In recursion, and with an error that comes from far below.
closed = 0
local function down(n)
  local x <close> = shared
  if n == 0 then return 0 end
  local r = down(n - 1)
  return r + 1
end
for i = 1, 60 do s = s + down(i % 12) end
local function fall(n)
  local x <close> = shared
  if n == 0 then error(closed) end
  fall(n - 1)
  return n
end
for i = 1, 60 do pcall(fall, i % 12) end
print(s, closed)

-- What the variables and the stack look like from the metamethod.
local seen
mt.__close = function(o) seen = debug.traceback("closing", 1):gsub("%s+", " ") local k, v = debug.getlocal(2, 1) seen = seen .. k end
local function watched(first) local x <close> = shared return first, 2 end
for i = 1, 100 do watched(i) end
print(seen)
