-- Fields whose names are put together where they are used: other ones each time, there or not, removed, of other types, in maps,
-- and in tables that others look through.
local function put(t, a, b, v) t[a .. b] = v end
local function look(t, a, b) return t[a .. b] end

local t, sum = { k0 = 0, k1 = 0, k2 = 0 }, 0
for i = 1, 400 do
  put(t, "k", i % 3, i)
  sum = sum + look(t, "k", (i + 1) % 3)
end
print(sum, t.k0, t.k1, t.k2)

-- A metatable whose handler changes under a computed name, while others look through it.
local meta = { __index = function() return 0 end, __len = function() return 1 end }
local object = setmetatable({}, meta)
local function get(o) return o.missing end
sum = 0
for i = 1, 300 do
  put(i % 100 == 0 and meta or t, "__ind", "ex", function() return i end)
  sum = sum + get(object)
end
print(sum, get(object))
for i = 1, 300 do
  put(i % 100 == 0 and meta or t, "__le", "n", i % 200 == 0 and function() return i end or nil)
  sum = sum + (pcall(function() return #object end) and #object or 1000)
end
print(sum, rawlen(object), #object)

-- A class that is reached through __index gets and loses methods.
local class = { one = 1 }
class.__index = class
local instance = setmetatable({}, class)
sum = 0
for i = 1, 300 do
  put(i % 7 == 0 and class or t, "o", "ne", i % 14 == 0 and i or i % 7 == 0 and 5 or i)
  sum = sum + instance.one
end
print(sum)

-- Removed, and there again; __newindex is asked only for what is not there.
local asked = 0
local watched = setmetatable({ n1 = 1, n2 = 2 }, { __newindex = function(t, k, v) asked = asked + 1 rawset(t, k, v) end })
for i = 1, 300 do
  local name = "n" .. i % 4 + 1
  watched[name] = i % 11 ~= 0 and i or nil
  sum = sum + (watched["n" .. i % 4 + 1] or 10000)
end
print(sum, asked, watched.n1, watched.n2, watched.n3, watched.n4)

-- Maps, values of several types, long names.
local map, kinds = {}, { 1, 2.5, "s", true, false }
for i = 1, 500 do
  local name = ("%d"):format(i % 50) .. (i % 60 == 0 and ("x"):rep(50) or "")
  if i % 9 ~= 0 then map[name .. ""] = kinds[i % 5 + 1] else map[name .. ""] = nil end
end
local names = {}
for k, v in pairs(map) do names[#names + 1] = #k .. tostring(v) .. k:sub(1, 3) end
table.sort(names)
print(table.concat(names, " "))

-- Objects as values, kept alive by the table alone.
local live = { a0 = {}, a1 = {}, a2 = {}, a3 = {} }
for i = 1, 2000 do
  local name = "a" .. i % 4
  live[name] = { i, live[name] and live[name][1] }
  if i % 500 == 0 then collectgarbage() end
end
print(live.a0[1], live.a1[1], live.a2[2], live.a3[2])
