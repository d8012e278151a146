-- Library functions on tables that compiled code does by itself, with arguments that change after the loop is hot.
local Point = {}
Point.__index = Point
function Point.new(x) return setmetatable({ x = x }, Point) end
function Point:get() return self.x end
local sum, same = 0, 0
for i = 1, 200 do
  local p = Point.new(i)
  if i == 150 then p = setmetatable(p, { __index = { get = function() return 1000 end } }) p.x = nil end
  if getmetatable(p) == Point then same = same + 1 end
  sum = sum + p:get() + (rawget(p, "x") or 7) + (rawget(p, "y") == nil and 1 or 2) + (rawequal(p, i) and 5 or 0)
end
print(sum, same)

-- Finalizers and protected metatables appear late.
local finalized, guarded = 0, {}
local G = {}
for i = 1, 200 do
  if i == 120 then G.__gc = function() finalized = finalized + 1 end end
  setmetatable({}, G)
end
collectgarbage() collectgarbage()
print(finalized)
local K = {}
for i = 1, 200 do
  if i == 120 then K.__metatable = "locked" end
  local t = setmetatable({}, K)
  guarded[getmetatable(t)] = (guarded[getmetatable(t)] or 0) + 1
end
print(guarded[K], guarded.locked, pcall(setmetatable, setmetatable({}, K), {}))
print(pcall(function()
  for i = 1, 100 do setmetatable(i < 90 and {} or i, Point) end
end))
local changing = 0
for i = 1, 200 do
  local t = setmetatable({}, i % 2 == 0 and Point or K)
  if i > 100 then setmetatable(t, nil) end
  changing = changing + (getmetatable(t) == Point and 1 or getmetatable(t) == "locked" and 2 or 4)
  if i == 100 then K.__metatable = nil end
end
print(changing)

-- ipairs: holes, metamethods, growth, other values than tables.
local total, visits = 0, 0
for i = 1, 150 do
  local t = { 1, 2, 3, i % 10 > 0 and 4 or nil, 5 }
  if i == 120 then t[2] = nil end
  if i > 130 then t = setmetatable({ 10 }, { __index = function(_, k) if k < 4 then return k * 100 end end }) end
  if i > 140 then t = setmetatable({ 10 }, { __index = { 1, 2, 3, 4 } }) end
  for k, v in ipairs(t) do
    total, visits = total + k * v, visits + 1
    if k < 3 and i % 50 == 1 then t[#t + 1] = k end
  end
end
print(total, visits)
for _, s in ipairs({ "x", true, 1.5, {}, false, print }) do visits = visits + #type(s) end
print(visits, pcall(function() for i, v in ipairs(nil) do end end))

-- pairs with __pairs.
local counted = 0
for i = 1, 150 do
  local t = { a = 1, b = 2, 3 }
  if i > 100 then setmetatable(t, { __pairs = function(t) return function(_, k) if not k then return 1, 50 end end, t, nil end }) end
  for k, v in pairs(t) do counted = counted + v end
end
print(counted)

-- unpack and assert.
local out = 0
for i = 1, 200 do
  local t = { 1, 2, 3 }
  if i > 150 then t[4] = i end
  if i > 180 then t = setmetatable({}, { __index = function(_, k) return k end, __len = function() return 2 end }) end
  local a, b, c, d = table.unpack(t)
  out = out + a + b + (c or 100) + (d or 0) + select("#", table.unpack(t))
  local x, y = assert(t, i)
  out = out + y
end
print(out)
print(pcall(function()
  for i = 1, 100 do assert(i < 90 and i or nil, "late " .. i) end
end))
print(pcall(function()
  for i = 1, 100 do assert(i < 90) end
end))
