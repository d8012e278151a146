-- Loops whose bounds checks are made before them, and whatever may be wrong with that.
local function list(n, f) local t = {} for i = 1, n do t[i] = f and f(i) or i end return t end
local function often(n, f, ...) local r for _ = 1, n do r = f(...) end return r end

-- The whole list, parts of it, with neighbours; forwards, backwards, in steps.
local function sum(t, from, to, step) local s = 0 for i = from, to, step do s = s + t[i] end return s end
local t = list(60)
for _, range in ipairs { { 1, 60, 1 }, { 60, 1, -1 }, { 5, 9, 1 }, { 1, 60, 7 }, { 60, 1, -7 }, { 3, 2, 1 }, { 4, 4, 1 }, { 1, 60, 59 } } do
  print(range[1], range[2], range[3], often(70, sum, t, table.unpack(range)))
end
local function smooth(t, out) for i = 2, #t - 1 do out[i] = t[i - 1] + t[i] * 2 + t[i + 1] end return out[2] + out[#t - 1] end
print(often(70, smooth, t, list(60)))
local function stride(t) local s = 0 for i = 0, 14 do s = s * 3 % 1009 + t[i * 4 + 1] + t[4 * i + 4] end return s end
print(often(70, stride, t))
local function from(t, at) local s = 0 for i = 1, 10 do s = s + t[at + i] - t[at - i] end return s end
print(often(70, from, t, 30))

local function twice(t, n) local s = 0 for i = 1, n do s = s + t[i * 2 + 20] end return s end
print(often(70, twice, t, 20), pcall(often, 70, twice, t, math.maxinteger), pcall(often, 70, twice, t, 21))

-- One step too far: an error, nil, a metamethod.
print(pcall(often, 200, sum, t, 1, 61, 1))
print(pcall(often, 200, sum, t, 60, 0, -1))
print(pcall(often, 200, sum, t, 1, math.maxinteger, 1))
print(pcall(often, 200, sum, t, 1, math.maxinteger, 1 << 40))
print(pcall(often, 200, sum, t, 60, math.mininteger, -1))
print(pcall(often, 200, sum, t, math.maxinteger - 1, math.maxinteger, 1))
print(pcall(often, 200, sum, t, math.mininteger, math.maxinteger, 1 << 62))
print(often(200, sum, setmetatable(list(10), { __index = function(_, k) return k * 1000 end }), -3, 20, 1))
local function ends(t, n) for i = 1, n do if t[i] == nil then return i end end return 0 end
print(often(300, ends, t, 1000), often(300, ends, t, 60), often(300, ends, t, 61))
local function pairs_of(t) local s = 0 for i = 1, #t do s = s + t[i] * (t[i + 1] or 1) end return s end
print(often(300, pairs_of, t))
local function around(t, n) -- of n, with its neighbours in a ring
  local s = 0
  for i = 1, n do s = s + t[i > 1 and i - 1 or n] * t[i] + t[i < n and i + 1 or 1] end
  return s
end
print(often(300, around, t, 60), often(300, around, t, 59), pcall(often, 300, around, t, 61))
local function climb(t, n) local i, s = 1, 0 while i <= n do s = s + t[i] i = i + 1 end return s end
print(often(300, climb, t, 60), pcall(often, 300, climb, t, 61))
print(pcall(often, 5, climb, setmetatable({}, { __index = function() return 0 end }), 1000))

-- The list becomes shorter or longer, or another one, in the loop.
local function shrink(n)
  local t, s = list(n), 0
  for i = 1, n do
    s = s + (t[i] or 1000)
    if i % 3 == 0 then t[#t] = nil end
  end
  return s
end
print(often(50, shrink, 100))
local function cut(n)
  local t, s = list(n), 0
  for i = 1, n do
    local v = t[i]
    if not v then s = s + 0.5 else s = s + v end
    if i == n // 2 then for k = n, n // 2 + 5, -1 do t[k] = nil end end
  end
  return s
end
print(often(50, cut, 80))
local function grow(n) local t, s = { 1 }, 0 for i = 1, n do s = s + t[i] t[#t + 1] = i t[i] = s % 7 end return s, #t end
print(often(50, grow, 80))
local function alias(a, b, n) local s = 0 for i = 1, n do s = s + a[i] b[n - i + 1] = s % 10 if i > n - 3 then b[#b] = nil end end return s end
for _ = 1, 80 do local a = list(70) local ok, what = pcall(alias, a, a, 70) t[1] = ok and what or 0 end
print(t[1], alias(list(70), list(70), 70))
t[1] = 1
local function rows(g) local s = 0 for i = 1, #g do for k = 1, 5 do s = s + g[k][i] end end return s end
local g = list(40, function(i) return list(40 + i % 3) end)
print(often(20, rows, g))
g[4] = list(20, function() return 2 end)
print(pcall(often, 20, rows, g))
local function other(g) local t, s = g[1], 0 for i = 1, 40 do s = s + (t[i] or 7) t = g[i] end return s end
print(often(60, other, g))

-- Elements of one iteration are those of the next one's neighbours.
local function relax(t, n) for i = 2, n do t[i] = (t[i - 1] + t[i]) % 1000003 end return t[n] end
local function back(t, n) for i = n, 1, -1 do t[i] = t[i + 1] + t[i] % 7 end return t[1] end
local function skip(t, n) for i = 3, n do t[i] = t[i - 2] * 3 % 1009 + 1 end return t[n] end
local function mixed(t, n) for i = 2, n do t[i] = i % 5 == 0 and "five" or i if t[i - 1] == "five" then t[1] = t[1] + 1 end end return t[1] end
print(often(40, relax, list(60), 60), often(40, back, list(61), 60), often(40, skip, list(60), 60), often(40, mixed, list(60), 60))
local function both(a, b, n) for i = 2, n do a[i] = b[i - 1] + 1 b[i] = a[i - 1] + 2 end return a[n] + b[n] end
local one = list(50)
print(often(40, both, one, one, 50), often(40, both, list(50), one, 50))

-- The loop that checks its indices itself carries on what the other one has begun: values in two variables that part, constants, tables.
local function parts(t, n)
  local a, b, last, flag, count = 0, 0, nil, false, 0.0
  local p = { x = 0, y = 0 }
  for i = 1, n do
    local v = t[i]
    if not v then break end
    a, b = b, a + v
    if i % 9 == 0 then a = b end
    flag, last, count = not flag, i, count + 0.5
    p = { x = p.x + v, y = p.y - i }
  end
  return a, b, last, flag, count, p.x, p.y
end
for _, n in ipairs { 3, 55, 100, 60, 61, 1 } do
  for _ = 1, 150 do parts(t, n) end
  print(n, parts(t, n))
end
local function strings(t, n) local s = "" for i = 1, n do local v = t[i] if not v then return s end s = v .. s:sub(1, 5) end return s end
for _ = 1, 200 do strings(t, 1000) end
print(strings(t, 1000), strings(t, 30))
local function calls(t, n) local s = 0 for i = 1, n do local v = t[i] if not v then return s end s = s + select("#", table.unpack({ v, v }, 1, v % 3)) end return s end
for _ = 1, 200 do calls(t, 1000) end
print(calls(t, 1000))

-- Objects that one iteration makes and the next one looks into: that loop has to load what the other one has known.
local function vectors(t, n) local p = { x = 0, y = 0 } for i = 1, n do local v = t[i] if not v then break end p = { x = p.x + v, y = p.y - i } end return p.x, p.y end
local function lists(t, n) local l = { 1, 2 } for i = 1, n do local v = t[i] if not v then break end l = { l[2] + v, l[1] } end return l[1], l[2] end
local function closures(t, n)
  local f = function() return 0 end
  for i = 1, n do
    local v = t[i]
    if not v then break end
    local before = f() + v
    f = function() return before end
  end
  return f()
end
local function sometimes(t, n) -- one path makes an object, the other one changes it
  local p, q = { x = 0 }, { x = 1 }
  for i = 1, n do
    local v = t[i]
    if not v then break end
    if i % 2 == 0 then p = { x = q.x } else p.x = p.x + v q = p end
  end
  return p.x, q.x, p == q
end
for _, f in ipairs { vectors, lists, closures, sometimes } do
  for _ = 1, 150 do f(t, 100) end
  print(f(t, 100))
  print(f(t, 60))
end
