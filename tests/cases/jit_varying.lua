-- Places where tables of many shapes meet: fields, methods' receivers and metatables that differ each time.

-- Reading and writing a field of tables of many shapes.
local makers = {}
for i = 1, 12 do
  makers[i] = load("return { a" .. i .. " = 1, b" .. i % 3 .. " = 2, kind = 'k" .. i % 4 .. "', n = " .. i .. " }")
end
makers[#makers + 1] = function() return { kind = "none" } end
makers[#makers + 1] = function() return setmetatable({ n = 100 }, { __index = { kind = "inherited" } }) end
local many = {}
for i = 1, 280 do many[i] = makers[i * 5 % #makers + 1]() end

local function count(list)
  local seen, sum = {}, 0
  for _, t in ipairs(list) do
    local kind = t.kind
    seen[kind] = (seen[kind] or 0) + 1
    if t.n then sum = sum + t.n end
    t.n = (t.n or 0) + 1
    t.mark = kind
  end
  return sum, seen
end
for _ = 1, 6 do
  local sum, seen = count(many)
  print(sum, seen.k0, seen.k1, seen.k2, seen.k3, seen.none, seen.inherited)
end

-- Weak tables made each time: their metatables differ, and none has __index or __newindex.
local function walk(node, seen)
  if seen[node] then return 0 end
  seen[node] = true
  local n = 1
  for i = 1, #node do n = n + walk(node[i], seen) end
  return n
end
local tree = { {}, { {}, {} }, { { {} } } }
tree[4] = tree[2]
local total = 0
for _ = 1, 200 do total = total + walk(tree, setmetatable({}, { __mode = "k" })) end
print(total)

-- Tables with and without a metatable that has nothing to say.
local function has(t, k) return t[k] ~= nil end
local weak, found, sets = { __mode = "k" }, 0, {}
for i = 1, 120 do
  sets[i] = { i }
  if i < 60 or i % 3 == 0 then setmetatable(sets[i], weak) end
end
for i = 1, 120 do
  if has(sets[i], tree) then found = found + 1 end
end
print(found)

-- A metatable that lacks a metamethod gets it while compiled code looks at many such metatables.
local function read(t) return t.missing end
local function write(t, v) t.other = v end
local objects = {}
for i = 1, 40 do objects[i] = setmetatable({}, { ["x" .. i % 20] = i }) end
local got, written = 0, 0
for round = 1, 30 do
  for i = 1, 40 do
    if read(objects[i]) then got = got + 1 end
    write(objects[i], round)
    objects[i].other = nil
  end
  if round == 20 then getmetatable(objects[7]).__index = function() return true end end
  if round == 22 then getmetatable(objects[9]).__newindex = function() written = written + 1 end end
  if round == 25 then getmetatable(objects[7]).__index = nil end
end
print(got, written)

-- Fields that are there in tables whose metatable asks for new ones only.
local log = 0
local function guarded(i)
  local t = setmetatable({}, { __newindex = function(t, k, v) log = log + 1 rawset(t, k, v) end })
  if i % 3 ~= 0 then rawset(t, "f" .. i % 15, 0) rawset(t, "value", 0) end
  return t
end
local list = {}
for i = 1, 60 do list[i] = guarded(i) end
for round = 1, 20 do
  for i = 1, 60 do
    list[i].value = round
    if round % 5 == 0 and i % 7 == 0 then list[i].value = nil end
  end
end
print(log)

-- A store to tables with very many fields, which others do not look through; in the end one of them is a metatable.
local function large(n)
  local t = {}
  for i = 1, 600 do t["k" .. i] = i end
  t.__index = { x = n }
  return t
end
local function set(t, holder) t.__index = holder end
local plain, meta = {}, large(100)
for i = 1, 12 do plain[i] = large(i) end
local object = setmetatable({}, meta)
local function sum() local s = 0 for _ = 1, 60 do s = s + object.x end return s end
print(sum())
for k = 1, 12 do for i = 1, 12 do set(plain[i], { x = k }) end end
plain[12] = meta
for k = 1, 12 do
  for i = 1, 12 do set(plain[i], { x = k }) end
  io.write(sum(), " ")
end
print(sum())

-- The same with computed keys.
local names = { "__index", "x", "y" }
local function store(t, k, v) t[k] = v end
plain[12] = large(1)
for k = 1, 24 do for i = 1, 12 do store(plain[i], names[k % 3 + 1], { x = k }) end end
plain[12] = meta
for k = 1, 24 do
  for i = 1, 12 do store(plain[i], names[k % 3 + 1], { x = k }) end
  io.write(sum(), " ")
end
print(sum())

-- Metatables that lead back to the table itself.
local function look(t) return t.absent end
local function assign(t) t.absent = 1 end
local loop = {}
setmetatable(loop, { __index = loop, __newindex = loop })
for i = 1, 60 do
  local a, m = pcall(look, loop)
  if i % 20 == 0 then print(a, m) end
end
loop = {}
setmetatable(loop, { __newindex = loop })
for i = 1, 60 do
  local a, m = pcall(assign, loop)
  if i % 20 == 0 then print(a, m) end
end
