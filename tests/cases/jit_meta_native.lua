-- Metamethods that are native functions, in hot loops; then other ones, Lua functions, or none take their place.
local mt = { __index = rawget, __newindex = rawset, __lt = rawequal, __le = rawequal, __eq = rawequal, __len = rawlen }
mt.__call, mt.__unm = rawequal, type
local a, b = setmetatable({ x = 1 }, mt), setmetatable({}, mt)

local log = {}
local function loop(from, to)
  local n, named, last = 0, 0, nil
  for i = from, to do
    if a.y == nil then n = n + 1 end
    if a[i] == nil then n = n + 10 end
    b[i], b["k" .. i % 3], b.z = i, i, i
    if a < b then n = n + 100 end
    if a <= a then n = n + 1000 end
    if a == b then n = n + 10000 end
    if not (a > b) then n = n + 100000 end
    last = -a
    named = named + #last
    n = n + #b
    if a(a) and not a(i) then n = n + 1 end
  end
  return n, named, last
end
print(loop(1, 200))
print(#b, b.k1, b.z)

-- The outcome of a comparison changes, and changes back.
local flips = 0
local this, that = a, b
for i = 1, 300 do
  if i % 3 == 0 then that = a else that = b end
  if this < that then flips = flips + 1 end
  if this <= that then flips = flips + 1000 end
  while this < that and flips % 2 == 1 do flips = flips + 1 end
end
print(flips)

-- Other functions in their place.
for i, f in ipairs { select, function(_, k) return k end, rawequal, false } do
  mt.__lt = f or nil
  mt.__index = i == 3 and "text" or f or nil
  local ok, x, y, z = pcall(function()
    local s, r = 0, 0
    for j = 1, 100 do
      local v = a["q" .. j % 2]
      if v then s = s + 1 end
      if i > 1 and i < 4 and a < b then r = r + 1 end
    end
    return s, r
  end)
  print(i, ok, ok and x or x:gsub("^.-:%d+: ", ""), y)
end

-- One result too few or too many; errors, and where they come from.
mt.__index, mt.__add, mt.__unm = table.insert, next, error
local none = 0
for i = 1, 100 do
  if a.more == nil then none = none + 1 end
  if i == 90 then mt.__index = rawlen end
end
print(none, #a, a[1])
for i = 1, 100 do
  local ok, e = pcall(function() return -a end)
  if i % 33 == 0 then print(ok, e == a) end
  ok, e = pcall(function() return a + "nothing" end)
  if i % 33 == 0 then print(ok, (tostring(e):gsub("table: %S+", "table"))) end
end

-- What is no function but can be called.
local callable = setmetatable({}, { __call = function(self, x, y) return y end })
mt.__add = callable
local sum = 0
for i = 1, 100 do sum = sum + (a + i) end
for i = 1, 100 do
  if i == 50 then mt.__add = function(_, k) return callable(a, k) end end
  sum = sum + (a + i)
end
print(sum)

-- A hook that a metamethod sets.
local hooked = 0
mt.__sub = function() return 1 end
local function count() hooked = hooked + 1 end
for i = 1, 100 do
  local _ = a - i
  if i == 90 then mt.__sub = function() debug.sethook(count, "l") return 1 end end
  if i == 95 then debug.sethook() mt.__sub = function() return 1 end end
end
print(hooked > 5)
