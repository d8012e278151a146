-- Stores that metamethods see, to tables that others look through, and under keys that are floats.
local kept = {}
local proxy = setmetatable({}, {
  __index = kept,
  __newindex = function(_, k, v) kept[k] = v end,
})
local function put(t, from, to)
  for i = from, to do
    t[i] = i
    t["k" .. i % 5] = i
    t[i + 0.5] = -i
    t.name = i
    t[true] = i
  end
end
put(proxy, 1, 200)
print(#kept, kept.k3, kept[10.5], kept.name, kept[true], next(proxy))
-- A key that the table itself has is not the metamethod's business; and then it is again.
rawset(proxy, 7, "own")
rawset(proxy, "k1", "own")
put(proxy, 1, 20)
print(rawget(proxy, 7), kept[7], rawget(proxy, "k1"), kept.k1)
proxy[7], proxy.k1 = nil, nil
put(proxy, 5, 26)
print(rawget(proxy, 7), kept[7], rawget(proxy, "k1"), kept.k1)
-- The metamethod becomes a table, a native function, and goes.
local other = {}
getmetatable(proxy).__newindex = other
put(proxy, 1, 100)
getmetatable(proxy).__newindex = rawset
put(proxy, 101, 110)
print(#other, rawget(proxy, 105), rawget(proxy, 105.5), other[105])
setmetatable(proxy, nil)
put(proxy, 111, 120)
print(rawget(proxy, 115), other[115])

-- A class counts its objects: what is found through it changes.
local Class = { count = 0 }
Class.__index = Class
local Derived = setmetatable({}, Class)
Derived.__index = Derived
local seen = 0
for i = 1, 200 do
  local o = setmetatable({}, i % 2 == 0 and Class or Derived)
  Class.count = Class.count + 1
  seen = seen + o.count
  if i % 50 == 0 then Class["extra" .. i] = i end
  if i == 150 then Derived.count = 0 end
  if i == 170 then Derived.count = nil end
  if i == 180 then Class.__newindex = function(t, k, v) rawset(t, k, v + 1) end Derived.fresh = 1 end
end
print(Class.count, seen, Class.extra150, Derived.extra50, Derived.fresh)
local frozen = setmetatable({ n = 0 }, { __newindex = error })
local User = setmetatable({}, { __index = frozen })
for i = 1, 100 do
  frozen.n = frozen.n + User.n + 1
  if frozen.n > 1000 then frozen.n = 0 end
  if i == 90 then frozen.n = nil end
  if i >= 90 then rawset(frozen, "n", 5) end
end
print(frozen.n)

-- Floats as keys; those with an integer's value are that integer.
local t, sum = {}, 0
for i = 1, 300 do
  local k = i % 7 + (i % 3) / 4
  t[k] = (t[k] or 0) + 1
  sum = sum + (t[k + 0.25] or 0)
end
local count = 0
for k, v in pairs(t) do count = count + v end
print(sum, count, t[3], t[3.0], t[3.25], t[3.75])
for i = 1, 100 do
  local ok = pcall(function() t[0 / 0] = 1 end)
  if ok or t[0 / 0] then print "NaN" end
end
local half, visited = {}, 0
for i = 1, 20 do half[i + 0.5] = i end
for round = 1, 20 do
  for k, v in pairs(half) do
    visited = visited + k * v
    if k == 5.5 and round > 10 then half[k] = round % 2 == 0 and 1 or 2.5 end
  end
end
print(visited)
local guarded = setmetatable({}, { __newindex = function(t, k, v) rawset(t, k, v * 2) end })
for i = 1, 100 do
  local k = i % 4 + 0.5
  guarded[k] = i
  if i == 60 then guarded[1.5] = nil end
end
print(guarded[0.5], guarded[1.5], guarded[2.5], guarded[3.5])
