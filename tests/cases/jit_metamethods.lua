-- Metamethods on hot paths, and metatables that appear, change and vanish in the middle of a loop.
local V = {}
V.__index = V
local function v(x, y) return setmetatable({ x = x, y = y }, V) end
V.__add = function(a, b) return v(a.x + b.x, a.y + b.y) end
V.__mul = function(a, k) return v(a.x * k, a.y * k) end
V.__eq = function(a, b) return a.x == b.x and a.y == b.y end
V.__lt = function(a, b) return a.x < b.x end
V.__le = function(a, b) return a.x <= b.x end
V.__unm = function(a) return v(-a.x, -a.y) end
V.__len = function(a) return a.x + a.y end
V.__call = function(a, k) return a.x + k end
V.__concat = function(a, b)
  return (type(a) == "table" and a.x or a) .. "|" .. (type(b) == "table" and b.x or b)
end
V.__idiv = function(a, k) return v(a.x // k, a.y // k) end
V.__band = function(a, k) return a.x & k end
local a = v(0, 0)
for i = 1, 200 do a = a + v(i, 1) * 2 end
print(a.x, a.y, #a)
local n = 0
for i = 1, 200 do
  local b = v(i % 5, 0)
  if b == v(3, 0) then n = n + 1 end
  if b < v(2, 0) then n = n + 10 end
  if b <= v(2, 0) then n = n + 100 end
  if b > v(3, 0) then n = n + 1000 end
  if b ~= v(1, 0) then n = n + 10000 end
  n = n + #-b + b(i) + (b & 1) + (b // 2).x
end
print(n)
local s = ""
for i = 1, 5 do s = s .. (v(i, 0) .. i) .. (i .. v(i, 1)) end
print(s)
local t = {}
local r = 0
for i = 1, 200 do
  r = r + (t[i] or 0)
  if i == 100 then setmetatable(t, { __index = function(_, k) return k end }) end
  if i == 150 then setmetatable(t, nil) end
end
print(r)
local u = setmetatable({}, {})
r = 0
for i = 1, 200 do
  local ok, e = pcall(function() return u + i end)
  if ok then r = r + e end
  if i == 80 then
    getmetatable(u).__add = function(_, k) return k end
  elseif i == 120 then
    getmetatable(u).__add = function(_, k) return -k end
  elseif i == 160 then
    getmetatable(u).__add = nil
  end
end
print(r)
local log = {}
local w = setmetatable({}, { __newindex = function(tt, k, val)
  log[#log + 1] = k
  if k % 10 == 0 then rawset(tt, k, val) end
end })
for i = 1, 100 do w[i] = i end
print(#log, w[50], w[51])
for i = 1, 100 do w[i] = -i end
print(#log, w[50])
local arr = { 1, 2, 3 }
r = 0
for i = 1, 150 do
  r = r + (arr[4] or 0) + #arr
  if i == 75 then
    setmetatable(arr, { __len = function() return 1000 end, __index = { [4] = 5 } })
  end
end
print(r)
local eqs = { setmetatable({}, { __eq = function() return true end }), setmetatable({}, { __eq = function()
  return false
end }), {} }
r = 0
for i = 1, 300 do
  if eqs[i % 3 + 1] == eqs[(i + 1) % 3 + 1] then r = r + i end
  if eqs[1] == eqs[1] then r = r + 1 end
end
print(r)
r = 0
for i = 1, 200 do
  local x = i % 50 == 0 and v(i, i) or i
  r = r + (type(x) == "table" and #(x + x) or x + x)
end
print(r)
local tl = setmetatable({}, { __index = function(_, k)
  if k == 77 then error("index 77", 0) end
  return k * 2
end })
local errs = 0
r = 0
for i = 1, 150 do
  local ok, e = pcall(function() return tl[i] end)
  if ok then r = r + e else errs = errs + 1 end
end
print(r, errs)
local chain = { deep = 1 }
for i = 1, 5 do chain = setmetatable({}, { __index = chain }) end
r = 0
for i = 1, 200 do
  r = r + chain.deep
  if i == 100 then getmetatable(getmetatable(chain).__index).__index.deep = 10 end
end
print(r)
local cmp = setmetatable({ 5 }, { __lt = function(x, y)
  return (type(x) == "table" and x[1] or x) < (type(y) == "table" and y[1] or y)
end })
r = 0
for i = 1, 100 do
  if cmp < i then r = r + 1 end
  if i < cmp then r = r + 100 end
end
print(r)
local cc = setmetatable({}, { __close = function() r = r + 1 end })
for i = 1, 100 do
  local x <close> = cc
  if i % 10 == 0 then goto next end
  r = r + 2
  ::next::
end
print(r)
