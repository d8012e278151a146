-- A value that a hot loop compares or calls is replaced by another one of the same type, and floats that stood for integers
-- cease to.

local function f() return "f" end
local function g() return "g" end

local pairs_of = {
  { name = "boolean", true, false },
  { name = "integer", 1, 2 },
  { name = "float", 1.5, 2.5 },
  { name = "string", "one", "two" },
  { name = "table", {}, {} },
  { name = "function", f, g },
  { name = "native function", math.floor, math.ceil },
  { name = "userdata", io.stdout, io.stderr },
  { name = "light userdata", debug.upvalueid(function() return f, g end, 1), debug.upvalueid(function() return f, g end, 2) },
  { name = "thread", coroutine.create(f), coroutine.create(g) },
}

local compare = [[
  local one, other = ...
  local v, n = one, 0
  for i = 1, 200 do
    if i == 101 then v = other end
    if v == one then n = n + 1 end
  end
  local m = 0
  v = one
  for i = 1, 200 do
    if i == 101 then v = other end
    if v ~= other then m = m + 1 end
  end
  return n, m
]]

local keys = [[
  local one, other = ...
  local t = { [one] = 1, [other] = 2 }
  local k, n = one, 0
  for i = 1, 200 do
    if i == 101 then k = other end
    n = n + t[k]
  end
  return n
]]

for _, p in ipairs(pairs_of) do
  print(p.name, "compared", load(compare)(p[1], p[2]))
  print(p.name, "as key", load(keys)(p[1], p[2]))
end

-- Callees.

local function called(first, second, ...)
  local callee, results = first, {}
  for i = 1, 200 do
    if i == 101 then callee = second end
    results[i] = callee(...)
  end
  return results[1], results[100], results[101], results[200]
end

local template = [[
  local first, second, x = ...
  local callee, results = first, {}
  for i = 1, 200 do
    if i == 101 then callee = second end
    results[i] = callee(x)
  end
  return results[1], results[100], results[101], results[200]
]]

print("Lua functions", load(template)(f, g))
print("native functions", load(template)(math.floor, math.ceil, 1.5))
print("a native and a Lua function", load(template)(math.floor, function(x) return x end, 1.5))
print("closures of one function", (function()
  local function make(n) return function(x) return n + x end end
  return load(template)(make(1), make(100), 1)
end)())
print("library functions", called(math.max, math.min, 1, 2))

do
  local results = {}
  local saved = math.abs
  for i = 1, 200 do
    if i == 101 then math.abs = function(x) return x end end
    if i == 151 then math.abs = math.floor end
    results[i] = math.abs(-1.5)
  end
  math.abs = saved
  print("a replaced library function", results[1], results[100], results[101], results[151], results[200])
end

do
  local methods = { __index = { get = function() return "first" end } }
  local object, results = setmetatable({}, methods), {}
  for i = 1, 200 do
    if i == 101 then methods.__index = { get = function() return "second" end } end
    if i == 151 then object.get = function() return "own" end end
    results[i] = object:get()
  end
  print("methods", results[1], results[100], results[101], results[151], results[200])
end

-- Floats that are integers, and then are not.

local function elements(change)
  local t, x, sum = { 10, 20, 30, 40 }, 1.0, 0
  for i = 1, 200 do
    if i == 101 then x = change end
    sum = sum + (t[x] or 1000)
  end
  return sum
end
for _, change in ipairs { 2.5, 2.0, -1.5, 1e300, 1 / 0, 0 / 0 } do
  print("element", change, load([[
    local t, x, sum, change = { 10, 20, 30, 40 }, 1.0, 0, ...
    for i = 1, 200 do
      if i == 101 then x = change end
      sum = sum + (t[x] or 1000)
    end
    return sum
  ]])(change))
end
print("elements", elements(3.0), elements(3.5))

for _, change in ipairs { 2.5, 2 ^ 63, -2 ^ 63, -2 ^ 64, 1e300, 1 / 0, 0 / 0 } do
  print("rounded", change, load([[
    local floor, ceil, x, change, last, kind = math.floor, math.ceil, 1.5, ...
    for i = 1, 200 do
      if i == 101 then x = change end
      last, kind = floor(x) + ceil(x), math.type(floor(x))
    end
    return last == last and last or "nan", kind
  ]])(change))
end

for _, change in ipairs { 2.0, 2.5, 1e300 } do
  print("bits", change, pcall(load([[
    local x, last, change = 1.0, 0, ...
    for i = 1, 200 do
      if i == 101 then x = change end
      last = last + (x | 8)
    end
    return last
  ]], "=bits"), change))
end
