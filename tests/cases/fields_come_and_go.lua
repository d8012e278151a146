-- Fields that are assigned nil and come back at places whose inline caches know them, with and without metamethods that must see it.
local log = {}
local function node(link) return { link = link, id = 1 } end
local function other(link) return { id = 2, tag = "o", link = link } end
local makers = { node, other, function(l) return { a = 1, b = 2, link = l } end }

local function cut(p) p.link = nil end
local function tie(p, q) p.link = q end
local total = 0
for i = 1, 60 do
  local p = makers[i % 3 + 1](makers[1]())
  cut(p)
  assert(p.link == nil and next(p) ~= nil)
  local n = 0
  for k in pairs(p) do n = n + 1 assert(k ~= "link") end
  tie(p, p)
  assert(p.link == p)
  cut(p)
  cut(p)
  total = total + n
end
print("plain", total)

-- The same places, and a metatable that learns of absent fields.
local seen = 0
local watched = { __newindex = function(t, k, v) seen = seen + 1 rawset(t, k, v) end }
for i = 1, 60 do
  local p = setmetatable(node(i), watched)
  cut(p)
  tie(p, i)
  tie(p, i + 1)
  assert(rawget(p, "link") == i + 1)
end
print("seen", seen)

-- __newindex arrives after the caches have learned that there is none.
local late = {}
local made = {}
for i = 1, 60 do
  local p = setmetatable(makers[i % 3 + 1](i), late)
  made[i] = p
  cut(p)
  if i == 40 then late.__newindex = function(t, k, v) log[#log + 1] = k end end
  tie(p, i)
end
print("late", #log, made[39].link, made[41].link)

-- A class whose methods go and come back while instances look through it.
local Class = { name = function() return "first" end }
Class.__index = Class
local function call(o) return o.name and o.name() or "none" end
local function drop(c) c.name = nil end
local function set(c, f) c.name = f end
local object, words = setmetatable({}, Class), {}
for i = 1, 60 do
  words[#words + 1] = call(object)
  if i % 3 == 1 then drop(Class) elseif i % 3 == 2 then set(Class, function() return "again" end) end
end
print(table.concat(words, " ", 1, 7), #words)

-- Tables with many computed keys, whose fields are found by hash.
local map = {}
for i = 1, 50 do map["k" .. i] = i end
local function get(m) return m.k7 end
local function put(m, v) m.k7 = v end
local sum = 0
for i = 1, 60 do
  sum = sum + (get(map) or 100)
  if i % 2 == 0 then put(map, nil) else put(map, i) end
end
print("map", sum, map.k7, map.k8)
local missing = 0
for i = 1, 60 do if map.nowhere == nil then missing = missing + 1 end map.fresh = map.fresh and map.fresh + 1 or 1 end
print(missing, map.fresh)
for i = 1, 60 do map.comes = i map.comes = nil end
print(map.comes)

-- Powers of two and other constants, of both signs.
local function parts(x)
  return x % 8, x // 8, x % -8, x // -8, x % 1, x // 1, x % 7, x // 7, x % math.mininteger, x // 4611686018427387904
end
for _, x in ipairs { 0, 1, -1, 7, 8, -8, -9, 1000003, math.maxinteger, math.mininteger } do print(x, parts(x)) end
print(9.5 % 8, -9.5 // 8, -1.0 % 1)
