-- Metamethods that are Lua functions, in hot loops: each kind, with changes after the loop is hot, and with errors in them.
local V = {}
V.__index = V
local function vec(x, y) return setmetatable({ x = x, y = y }, V) end
function V.__add(a, b) return vec(a.x + b.x, a.y + b.y) end
function V.__sub(a, b)
  if type(a) == "number" then return vec(a - b.x, a - b.y) end
  if type(b) == "number" then return vec(a.x - b, a.y - b) end
  return vec(a.x - b.x, a.y - b.y)
end
function V.__mul(a, b)
  if type(a) == "number" then return vec(a * b.x, a * b.y) end
  if type(b) == "number" then return vec(a.x * b, a.y * b) end
  return a.x * b.x + a.y * b.y
end
function V.__unm(a) return vec(-a.x, -a.y) end
function V.__len(a) return a.x * a.x + a.y * a.y end
function V.__eq(a, b) return a.x == b.x and a.y == b.y end
function V.__lt(a, b) return #a < #b end
function V.__le(a, b) return #a <= #b end
function V.__call(self, k, ...) return self.x * k, select("#", ...), ... end
function V.__shl(a, n) return vec(a.x << n, a.y << n) end
function V.__idiv(a, n) return vec(a.x // n, a.y // n), "dropped" end
function V.__tostring(v) return "(" .. v.x .. "," .. v.y .. ")" end

local s, count, less, equal = vec(0, 0), 0, 0, 0
for i = 1, 200 do
  local v = vec(i, i % 7)
  s = s + v - 1 * v + (2 - v) * 2 - v * 1
  s = -(-s) // 1 << 0
  count = count + (v * v) % 5 + #v
  if v < s then less = less + 1 end
  if v <= vec(i, 3) then less = less + 2 end
  if v == vec(i, 3) then equal = equal + 1 end
  if v ~= s then equal = equal + 10 end
  if not (v > s) then less = less + 100 end
  local a, n, b = v(2, i, "x")
  count = count + a + n + b
end
print(tostring(s), count, less, equal)

-- Comparisons with numbers; the metamethod sees the number as it is written.
local seen = {}
local C = { __lt = function(a, b) seen[math.type(a) or math.type(b)] = true return (tonumber(a) or a.n) < (tonumber(b) or b.n) end }
C.__le = function(a, b) return not C.__lt(b, a) end
local c, hits = setmetatable({ n = 5 }, C), 0
for i = 1, 200 do
  c.n = i % 11
  if c < 5 then hits = hits + 1 end
  if c > 5.0 then hits = hits + 10 end
  if c <= 3 then hits = hits + 100 end
  if c >= 7 then hits = hits + 1000 end
end
print(hits, seen.integer, seen.float)

-- __index and __newindex functions, by field, by element, through a chain; the result may be anything.
local log = 0
local base = setmetatable({}, { __index = function(t, k) log = log + 1 if k == "none" then return nil end return k end })
local derived = setmetatable({}, { __index = base })
local w = setmetatable({}, { __newindex = function(t, k, v) rawset(t, k, v * 2) end })
local total, nils = 0, 0
for i = 1, 200 do
  total = total + #derived.abc + derived[i] + base[i]
  if base.none == nil and derived.none == nil then nils = nils + 1 end
  w.field = i
  w.field = nil
  rawset(w, "field", nil)
  w.other = i
end
print(total, nils, log, w.field, w.other)

-- Methods found by a function.
local Dynamic = setmetatable({}, { __index = function(_, name) return function(self, n) return name .. n .. #self end end })
local d, last = setmetatable({ 1, 2 }, { __index = Dynamic }), nil
for i = 1, 120 do last = d:go(i) .. d:stop(i) end
print(last)

-- Each time another receiver.
local methods = { go = function(self, n) return "go" .. self.id + n end, stop = function(self) return "stop" .. self.id end }
local shared = { __index = function(_, name) return methods[name] end }
local receivers, text = {}, ""
for i = 1, 10 do receivers[i] = setmetatable({ id = i }, shared) end
for i = 1, 150 do
  local r = receivers[i * 7 % 10 + 1]
  local other = i
  text = r:go(other) .. r:stop() .. text:sub(1, 40)
end
print(text)

-- The handler changes, then disappears.
local M = { __add = function(a, b) return 1 end }
local m, sum = setmetatable({}, M), 0
for i = 1, 300 do
  if i == 150 then M.__add = function(a, b) return 100 end end
  if i == 250 then M.__add = math.max and function() return 10000 end end
  sum = sum + (m + i)
end
print(sum)
M.__add = nil
print(pcall(function()
  local n = 0
  for i = 1, 100 do
    if i == 60 then setmetatable(m, { __add = function() return 7 end }) end
    n = n + (i < 60 and 1 or m + 1)
    if i == 90 then setmetatable(m, nil) end
  end
  return n
end))

-- Errors inside, and tail calls of metamethods: tracebacks and messages.
local E = {}
local function fail(a, b) error("no sum of " .. a.n .. " and " .. b) end
E.__add = function(a, b) if b > 95 then return fail(a, b) end return b end
E.__index = function(t, k) return t.n.x.y end
local e = setmetatable({ n = 3 }, E)
print(select(2, xpcall(function()
  local n = 0
  for i = 1, 100 do n = n + (e + i) end
end, debug.traceback)))
print(pcall(function()
  local n = 0
  for i = 1, 100 do if i == 99 then n = n + e.unknown end n = n + (e + i % 50) end
end))

-- Recursion through metamethods ends.
local R = {}
R.__index = function(t, k) return t[k + 1] end
local r = setmetatable({}, R)
print(pcall(function() for i = 1, 100 do local x = rawget(r, i) end return r[1] end))
local depth = 0
R.__index = function(t, k) if k > 150 then return k end depth = depth + 1 return t[k + 1] end
for i = 1, 60 do local x = r[100 + i % 50] end
print(depth, r[1])
