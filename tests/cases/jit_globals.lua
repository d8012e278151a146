-- Globals in compiled loops: tables of so many names are hash tables, whose nodes move and go.
local function run(n, f) for i = 1, n do f(i) end end

count = 0
for i = 1, 200 do count = count + 1 end
print(count)

-- A library function is replaced in the middle of a loop, and taken away.
local log = {}
local floor = math.floor
for i = 1, 200 do
  if i == 120 then math.floor = function(x) return -x end end
  if i == 160 then math.floor = floor end
  log[i] = math.floor(i + 0.5)
end
print(log[119], log[120], log[159], log[160], log[200])

function twice(x) return x * 2 end
local sum = 0
for i = 1, 200 do
  if i == 100 then twice = function(x) return x * 3 end end
  sum = sum + twice(i)
end
print(sum)
for i = 1, 200 do
  if i == 150 then twice = nil end
  local ok = pcall(function() return twice(i) end)
  if i % 50 == 0 then print(i, ok) end
end

-- The table of globals grows: all nodes move.
extra = "e"
local text = ""
for i = 1, 400 do
  if i % 4 == 0 then _G["name" .. i] = i end
  text = extra .. i
end
print(text, name400)

-- A key is removed, others take its place, and it comes back.
value = 1
local found = 0
for i = 1, 300 do
  if i == 100 then
    value = nil
    for k = 1, 300 do _G["v" .. k] = k end
    for k = 1, 300 do _G["v" .. k] = nil end
    collectgarbage()
    for k = 1, 100 do _G["w" .. k] = k end
  end
  if i == 200 then value = 7 end
  found = found + (value or 100)
end
print(found)

-- Stores of other types, of nil, and of new objects.
for i = 1, 200 do
  if i % 3 == 0 then state = i elseif i % 3 == 1 then state = i .. "" else state = { i } end
  if i == 180 then collectgarbage() end
end
print(state[1])
for i = 1, 200 do
  flag = i
  if i % 2 == 0 then flag = nil end
  if flag and i > 197 then print(flag) end
end

-- Two tables that take turns under the same name, of different sizes, with and without the key.
local one, two = setmetatable({}, { __index = _G }), setmetatable({}, { __index = _G })
for k = 1, 80 do one["k" .. k] = k end
for k = 1, 600 do two["k" .. k] = -k end
local total = 0
run(300, function(i)
  local t = i % 60 < 30 and one or two
  total = total + t.k7 + t.k80
  t.k3 = t.k3 + 1
end)
print(total, one.k3, two.k3)

-- An _ENV of its own.
local function env(t)
  local _ENV = t
  for i = 1, 150 do x = x + i end
  return x
end
print(env({ x = 1 }), env(one.k1 and setmetatable({ x = 2 }, { __index = one })))
for k = 1, 80 do two["z" .. k] = k end
two.x = 5
print(env(two))
