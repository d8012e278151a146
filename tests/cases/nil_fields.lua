-- Fields that a constructor sets to nil have a slot and no value: nothing may see the difference.
local function keys(t)
  local found = {}
  for k in pairs(t) do found[#found + 1] = tostring(k) end
  table.sort(found)
  return table.concat(found, " ")
end

-- traversal and length do not see them; order of assignment does not matter
for i = 1, 200 do
  local t = { a = 1, b = nil, c = nil, d = 4 }
  if i % 3 == 0 then t.c = i end
  if i % 2 == 0 then t.b = i end
  if i % 3 == 1 then t.c = -i end
  if i > 190 then print(i, keys(t), t.a, t.b, t.c, t.d) end
end
print(next({ x = nil, y = nil }), rawlen({ x = nil }), #{ x = nil })

-- removed and set again while they are traversed
do
  local t = { a = 1, b = nil, c = 3, d = nil }
  for k in pairs(t) do t[k] = nil t.b = nil end
  print(next(t))
  t.d = 9
  print(next(t))
end

-- a metatable is asked for them, read and written
local class = { name = "class", right = "inherited right" }
local asked = 0
local watched = { __index = function(t, k) asked = asked + 1 return k .. "?" end }
local function new(meta, left)
  return setmetatable({ left = left, right = nil, up = nil }, meta)
end
local sum = 0
for i = 1, 300 do
  local plain = new({ __index = class }, i)
  if plain.right == "inherited right" then sum = sum + 1 end
  if plain.up == nil then sum = sum + 1 end
  plain.right = i
  if plain.right == i then sum = sum + 1 end
  plain.right = nil
  if plain.right == "inherited right" then sum = sum + 1 end
  local other = new(watched, i)
  if other.up == "up?" then sum = sum + 1 end
  other.up = 7
  if other.up == 7 then sum = sum + 1 end
end
print(sum, asked)

-- the class gets the field later, and loses it again
do
  local meta = { __index = { } }
  local objects = {}
  for i = 1, 100 do objects[i] = new(meta, i) end
  local function count()
    local n = 0
    for i = 1, #objects do if objects[i].up then n = n + 1 end end
    return n
  end
  print(count(), count())
  meta.__index.up = true
  print(count(), count())
  meta.__index.up = nil
  print(count(), count())
  setmetatable(meta.__index, { __index = { up = 1 } })
  print(count(), count())
  meta.__index = nil
  print(count(), count())
end

-- __newindex sees assignments to them, and to those that were removed
do
  local log = {}
  local meta = { __newindex = function(t, k, v) log[#log + 1] = k rawset(t, k, v) end }
  for i = 1, 150 do
    local t = new(meta, i)
    t.left = i + 1
    t.right = i
    t.right = i + 1
    t.right = nil
    t.right = i + 2
    t.up = nil
  end
  local counted = {}
  for _, k in ipairs(log) do counted[k] = (counted[k] or 0) + 1 end
  print(#log, counted.left, counted.right, counted.up)
end

-- a __newindex that comes later
do
  local meta = {}
  local seen = 0
  local function fill(t, v) t.up = v end
  for i = 1, 200 do
    local t = new(meta, i)
    if i == 150 then meta.__newindex = function() seen = seen + 1 end end
    fill(t, i)
    if i == 149 or i == 150 then print(i, t.up, seen) end
  end
  print(seen)
end

do
  local meta, seen, objects = {}, 0, {}
  for i = 1, 200 do objects[i] = new(meta, i) end
  local function fill(from, to)
    for i = from, to do objects[i].up = i end
  end
  fill(1, 100)
  meta.__newindex = function() seen = seen + 1 end
  fill(101, 200)
  print(objects[100].up, objects[101].up, seen)
  -- what has a value is not asked for
  for i = 1, 100 do objects[i].up = nil end
  fill(90, 110)
  print(objects[90].up, objects[110].up, seen)
end

-- the same instruction reads values, inherited ones, and values again
do
  local function right(o) return o.right end
  local found = {}
  local objects = {}
  for i = 1, 3 do objects[i] = new({ __index = class }, i) end
  for i = 1, 300 do
    local o = objects[i % 3 + 1]
    if i % 7 == 0 then o.right = i elseif i % 7 == 4 then o.right = nil end
    local r = tostring(right(o))
    found[r] = (found[r] or 0) + 1
  end
  print(found["inherited right"], found["7"], found["294"])
end

-- nil to a field that is absent, of tables with and without room, of a class, of globals
do
  local t = {}
  for i = 1, 200 do t.x = nil t.y = i t.z = nil t.w = nil t.v = nil t.u = nil end
  print(keys(t))
  local meta = {}
  local o = setmetatable({ a = 1 }, { __index = meta })
  for i = 1, 200 do meta.x = nil meta["y"] = nil if o.x ~= nil then error("x") end end
  meta.x = 5
  print(o.x, keys(meta))
  for i = 1, 200 do some_global = nil end
  print(some_global, rawget(_G, "some_global"))
end

-- as many as somebody likes; then it is a map
do
  local t = { a = nil, b = nil, c = nil, d = nil, e = nil, f = nil, g = nil, h = nil, i = nil, j = nil, k = 1 }
  for n = 1, 600 do t["key" .. n] = n end
  t.a = 1
  for n = 1, 600 do t["key" .. n] = nil end
  print(keys(t))
end

-- a tree whose nodes get their fields in any order
do
  local Node = {}
  Node.__index = Node
  local root
  local function insert(key)
    local node = setmetatable({ key = key, left = nil, right = nil, parent = nil }, Node)
    local at = root
    if not at then root = node return end
    while true do
      if key < at.key then
        if at.left then at = at.left else at.left = node node.parent = at return end
      else
        if at.right then at = at.right else at.right = node node.parent = at return end
      end
    end
  end
  local x = 7
  for i = 1, 400 do x = (x * 137 + 11) % 1009 insert(x) end
  local function walk(n) if not n then return 0, 0 end
    local a, d = walk(n.left) local b, e = walk(n.right)
    return a + b + 1, (d > e and d or e) + 1
  end
  print(walk(root))
end
