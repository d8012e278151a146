-- pcall, xpcall and errors in compiled loops.
local function id(...) return ... end
local function add(a, b) return a + b end
local s = 0
for i = 1, 200 do local ok, v = pcall(add, i, 1) s = s + v end
print(s)
-- Results: none, one, all.
local n = 0
for i = 1, 100 do pcall(add, i, i) local ok = pcall(add, i, i) n = n + select("#", pcall(id, i, nil, i)) + (ok and 1 or 0) end
print(n)
-- Nested, and through tail calls.
local function tail(f, ...) return f(...) end
for i = 1, 100 do
  local a, b, c, d = pcall(pcall, add, i, 2)
  local e, f = pcall(tail, add, i, 3)
  local g, h, j = pcall(function(x) return pcall(add, x, 4) end, i)
  if i % 50 == 0 then print(a, b, c, d, e, f, g, h, j) end
end
-- Errors: values, messages with and without position, levels.
local function raise(v, level) error(v, level) end
local function raise1(v) error(v) end
local values = { "text", 12, 1.5, true, {}, print }
for i = 1, 240 do
  local v = values[i % #values + 1]
  local ok, e = pcall(raise1, v)
  if i > 234 then print(ok, type(e), e == v, type(e) == "string" and e) end
end
for i = 1, 120 do
  local ok, e = pcall(raise, "m" .. i, i % 4)
  if i % 30 < 4 then print(ok, e) end
end
for i = 1, 80 do local ok, e = pcall(raise1) if i == 80 then print(ok, e) end end
for i = 1, 80 do local ok, e = pcall(error) if i == 80 then print(ok, e) end end
for i = 1, 80 do local ok, e = pcall(error, "no position " .. i) if i % 40 == 0 then print(ok, e) end end
for i = 1, 80 do local ok, e = pcall(error, { i }) if i % 40 == 0 then print(ok, e[1]) end end
-- From the depth of inlined calls, through loops and other protected calls that let it pass.
local function deep(k, v) if k == 0 then error(v, 0) end deep(k - 1, v) return 1 end
for i = 1, 100 do
  local ok, e = pcall(function(x)
    local ok, e = pcall(deep, 2, x)
    error(e .. "!", 0)
  end, "e" .. i)
  if i % 50 == 0 then print(ok, e) end
end
-- Half of the time.
local good, bad = 0, 0
local function sometimes(i) if i % 2 == 0 then error("even") end return i end
for i = 1, 400 do local ok, e = pcall(sometimes, i) if ok then good = good + e else bad = bad + #e end end
print(good, bad)
-- assert.
for i = 1, 100 do
  local ok, e = pcall(function(x) assert(x < 50, "too large") return x end, i)
  if i % 25 == 0 then print(ok, e) end
end
for i = 1, 100 do local ok, e = pcall(function(x) assert(x) end, i % 2 == 0) if i > 98 then print(ok, e) end end
for i = 1, 100 do local ok, e = pcall(function(x) assert(nil, x) end, i % 2 == 0 and i or nil) if i > 98 then print(ok, e) end end
-- Errors of instructions and of native functions.
for i = 1, 120 do
  local ok, e = pcall(function(x) if x > 60 then return x.y.z end return x end, i)
  if i % 40 == 0 then print(ok, e) end
end
for i = 1, 120 do
  local ok, e = pcall(string.rep, i > 60 and {} or "x", 2)
  if i % 40 == 0 then print(ok, e) end
end
for i = 1, 120 do
  local ok, e = pcall(function(x) return #string.rep("x", x) + (x > 60 and nil or 1) end, i)
  if i % 40 == 0 then print(ok, e) end
end
-- xpcall: handlers that see the stack.
local handled = 0
local function handler(e) handled = handled + 1 return "handled " .. tostring(e) end
for i = 1, 120 do
  local ok, e, more = xpcall(sometimes, handler, i)
  if i > 118 then print(ok, e, more) end
end
print(handled)
for i = 1, 60 do
  local ok, e = xpcall(deep, function(e) return debug.traceback(e, 1) end, 2, "x")
  if i == 60 then print(e) end
end
for i = 1, 100 do local ok, a, b, c = xpcall(id, print, i, i + 1) if i == 100 then print(ok, a, b, c) end end
for i = 1, 100 do local ok, a = xpcall(add, handler, i, {}) if i == 100 then print(ok, a) end end
for i = 1, 50 do local ok, e = pcall(xpcall) if i == 50 then print(ok, e) end end
for i = 1, 50 do local ok, e = pcall(pcall) if i == 50 then print(ok, e) end end
-- pcall passed on, and replaced.
local p = pcall
for i = 1, 120 do
  if i == 61 then p = function(f, ...) return "mine", f(...) end end
  local ok, v = p(add, i, i)
  if i % 60 < 2 then print(ok, v) end
end
-- Variables to be closed on the way out.
local order = {}
local function closing(i)
  local c <close> = setmetatable({}, { __close = function(_, e) order[#order + 1] = tostring(e) end })
  if i % 3 == 0 then error("three", 0) end
  return i
end
for i = 1, 90 do pcall(closing, i) end
print(#order, order[1], order[2], order[3])
-- Metamethods that raise.
local mt = { __add = function(a, b) error("no sum", 0) end, __index = function(t, k) error("no " .. k, 0) end }
local o = setmetatable({}, mt)
for i = 1, 100 do
  local ok, e = pcall(function() return o + 1 end)
  local ok2, e2 = pcall(function() return o.field end)
  if i == 100 then print(ok, e, ok2, e2) end
end
-- Yields across pcall.
local co = coroutine.wrap(function()
  for i = 1, 100 do
    local ok, v = pcall(function(x) local y = coroutine.yield(x) if y % 10 == 0 then error("ten", 0) end return y end, i)
    if not ok or i % 25 == 0 then io.write(tostring(ok), " ", tostring(v), "; ") end
  end
  return "end"
end)
local v = co()
while v ~= "end" do v = co(v) end
print()
-- Deep recursion through pcall.
local function nest(k) if k == 0 then error("bottom", 0) end local ok, e = pcall(nest, k - 1) error(e, 0) end
for i = 1, 60 do local ok, e = pcall(nest, 10) if i == 60 then print(ok, e) end end
local function overflow(k) local ok, e = pcall(overflow, k + 1) if not ok then return k, e end return ok, e end
for _ = 1, 3 do local k, e = overflow(1) print(type(k), (tostring(e):gsub("%d+", "N"))) end
-- Native functions called by pcall: what they see of the stack, few and many results, errors that sort's comparator raises.
local seen
for i = 1, 80 do local ok, t = pcall(debug.traceback, "t", 1) seen = t end
print(seen)
for i = 1, 80 do seen = table.pack(pcall(table.unpack, { 1, 2, 3, nil, 5 }, 1, i % 7)) end
print(seen.n, table.unpack(seen, 1, seen.n))
for i = 1, 80 do
  local ok, e = pcall(table.sort, { 3, 2, 1, i }, function(a, b) if i > 40 then error("no order", 0) end return a < b end)
  if i % 40 == 0 then print(ok, e) end
end
for i = 1, 80 do pcall(tostring) local ok = pcall(tostring, i) local a, b, c = pcall(math.max, i, 2) if i == 80 then print(ok, a, b, c) end end
