-- A side trace begins with an object that its parent has not made, and keeps it: all of it must be there, the metatable too.
local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return a.x + b.x end
local function vector(x, y) return setmetatable({ x = x, y = y, next = nil }, Vector) end

local function check(kept, first)
  local whole, sum = 0, 0
  for _, v in ipairs(kept) do
    if getmetatable(v) == Vector and v.y == -v.x and rawget(v, "next") == first then whole = whole + 1 end
    sum = sum + (v + v)
  end
  return #kept, whole, sum
end

-- by one branch, by one of two, in a side trace of a side trace
local kept, other, rare = {}, {}, {}
for i = 1, 600 do
  local v = vector(i, -i)
  if i % 3 == 0 then
    kept[#kept + 1] = v
    if i % 7 == 0 then rare[#rare + 1] = v end
  elseif i % 5 == 0 then
    other[#other + 1] = v
  end
end
print(check(kept)) print(check(other)) print(check(rare))

-- one object in another, both kept
local pairs_kept = {}
for i = 1, 400 do
  local inner = vector(i, -i)
  local outer = setmetatable({ x = i, y = -i, inner = inner }, Vector)
  if i % 4 == 1 then pairs_kept[#pairs_kept + 1] = outer end
end
do
  local same, inner = 0, {}
  for _, o in ipairs(pairs_kept) do
    if getmetatable(o) == Vector then same = same + 1 end
    inner[#inner + 1] = o.inner
  end
  print(same, check(pairs_kept), check(inner))
end

-- a metatable of each object's own, without one, and one that only the interpreter asks for
local function collect(make, n)
  local found = {}
  for i = 1, n do
    local o = make(i)
    if i % 3 == 2 then found[#found + 1] = o end
  end
  return found
end
local found = collect(function(i) return setmetatable({ n = i }, { __index = Vector, __len = function() return i end }) end, 300)
local sum = 0
for _, o in ipairs(found) do sum = sum + #o end
print(#found, sum)
found = collect(function(i) return { n = i } end, 300)
sum = 0
for _, o in ipairs(found) do if getmetatable(o) == nil then sum = sum + o.n end end
print(#found, sum)
local named = { __name = "Named" }
found = collect(function(i) return setmetatable({ n = i }, named) end, 300)
sum = 0
for _, o in ipairs(found) do if tostring(o):find("^Named: ") then sum = sum + 1 end end
print(#found, sum)

-- carried around the loop
do
  local last, seen = vector(0, 0), {}
  for i = 1, 500 do
    if i % 5 == 0 then seen[#seen + 1] = last end
    last = vector(last.x + 1, last.y - 1)
  end
  print(check(seen)) print(check({ last }))
end
