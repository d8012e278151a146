-- Fields that are added to tables in compiled loops: constructors, growing objects, metatables, fields that were removed.
local function show(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for i, k in ipairs(keys) do keys[i] = k .. "=" .. tostring(t[k]) end
  return table.concat(keys, " ")
end

-- Constructors whose fields change their types, and are nil at times.
local last
for i = 1, 300 do
  last = { a = i, b = i * 0.5, c = i % 7 == 0 and "s" or nil, d = i % 5 ~= 0 and i or false }
  if i % 100 == 0 then print(show(last)) end
end

-- Objects that get one field after the other, past the room that they have.
local names = 0
for i = 1, 200 do
  local o = {}
  o.a = i
  o.b = i + 1
  o.c = i + 2
  if i % 3 == 0 then o.d = i end
  o.e = "e"
  if i % 4 == 0 then o.f = o.a else o.g = o.b end
  o.h, o.i, o.j = o.a, o.b, o.c
  for _ in pairs(o) do names = names + 1 end
  if i % 90 == 0 then print(show(o)) end
end
print(names)

-- The same shape with and without room for another field.
local function fill(o, k) o.x = k o.y = k + 1 return o end
local sum = 0
for i = 1, 300 do
  local o = i % 3 == 0 and { p = 1, q = 2 } or i % 3 == 1 and { p = 1, q = 2, r = nil, s = nil } or { x = 0, y = 0, p = 1, q = 2 }
  fill(o, i)
  sum = sum + o.x + o.y + o.p + o.q
end
print(sum)

-- First many with room, then many without: the same shape, made in two ways.
local made = {}
for i = 1, 100 do
  local o = {}
  o.p = i
  o.q = i
  made[i] = o
end
for i = 101, 300 do made[i] = { p = i, q = i } end
for i = 1, 300 do
  local o = made[i]
  o.x, o.y, o.z = i, i, i
end
sum = 0
for i = 1, 300 do
  local o = made[i]
  sum = sum + o.p + o.q * 2 + o.x * 3 + o.y * 5 + o.z * 7
end
print(sum)

-- A field that was removed comes back; so does one of a table that others look through.
local log = 0
local base = { z = 1 }
base.__index = base
for i = 1, 200 do
  local o = setmetatable({ v = i }, base)
  log = log + o.z
  o.z = i
  o.z = nil
  log = log + o.z
  o.z = 2
  log = log + o.z + o.v
  if i == 150 then base.z = 5 end
end
print(log)

-- Metatables: the same for all, one of many, with __newindex, with __mode, with __gc, set when there are fields and when not.
local classes = {}
for k = 1, 3 do classes[k] = { __index = function(_, n) return n .. k end } end
local seen = {}
local watched = setmetatable({}, { __newindex = function(t, k, v) seen[#seen + 1] = k rawset(t, k, v) end })
local text
for i = 1, 240 do
  local o = setmetatable({}, classes[i % 3 + 1])
  o.own = i
  text = o.other .. o.own
  local p = { one = 1 }
  setmetatable(p, classes[1])
  p.two = text
  text = p.two .. p.three
  if i % 80 == 0 then watched["k" .. i] = i end
end
print(text, #seen, seen[1], seen[3])
local weak = { __mode = "v" }
for i = 1, 150 do
  local w = setmetatable({ {}, i }, weak)
  w.name = {}
  if i % 50 == 0 then collectgarbage() print(w[1], w[2], w.name) end
end
local closed = 0
local ends = { __gc = function() closed = closed + 1 end }
for i = 1, 150 do
  local g = setmetatable({}, ends)
  g.x = i
end
collectgarbage()
collectgarbage()
print(closed)

-- A metatable that becomes one in the loop, and whose fields change meanwhile.
local late = {}
for i = 1, 200 do
  local o = setmetatable({ n = i }, late)
  if i == 120 then late.__index = { extra = "x" } end
  if i == 160 then late.__newindex = function(t, k, v) rawset(t, k, v * 2) end end
  o.m = i
  if i % 40 == 0 then print(o.n, o.m, o.extra) end
end

-- New fields hold new objects while the collector works.
local chain
for i = 1, 3000 do
  local node = {}
  node.value = { i }
  node.text = "t" .. i
  node.next = chain
  chain = i % 50 == 0 and nil or node
end
print(chain == nil)
local keep = {}
for i = 1, 2000 do
  local o = keep[i % 20 + 1] or {}
  keep[i % 20 + 1] = i % 60 < 20 and {} or o
  o.item = { i, name = "n" .. i }
  o.again = o.item
end
local total = 0
for i = 1, 20 do
  local o = keep[i]
  if o.item then total = total + o.item[1] + #o.again.name end
end
print(total)
