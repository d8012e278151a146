-- Which of its borders #t answers for a list with holes: programs rely on it, though the manual (3.4.7) leaves it open.
local function fill(...)
  local t = {}
  for i = 1, select("#", ...) do t[i] = (select(i, ...)) end
  return #t
end
print(fill("a", nil, "b", 1, {}), fill(nil, nil, 3), fill(1, nil, 3), fill(1, nil, nil, 4), fill(1, 2, 3, nil, 5, nil, 7, 8))
print(fill(nil, 2), fill(1, nil, 3, nil, 5, 6, 7, 8, 9), fill(1, nil, 3, 4), fill(1, nil, 3, 4, nil, 6, 7, 8))
local function keys(...)
  local t = {}
  for i = 1, select("#", ...) do t[(select(i, ...))] = true end
  return #t
end
print(keys(1, 2, 4), keys(1, 3, 4), keys(2, 1), keys(3, 2, 1), keys(4, 3, 2, 1), keys(1, 4, 3))
print(keys(1, 2, 3, 5), keys(1, 2, 3, 5, 6, 7), keys(8, 7, 6, 5, 4), keys(8, 7, 6, 5, 4, 3))
local named = { n = 1 }
named[1], named[3], named[4] = 1, 3, 4
print(#named)
-- A library that unpacks what another part of it has packed.
local packed = {}
for i, v in ipairs { "meow", false, "something", 1, "rest" } do if v then packed[i] = v end end
print(select("#", table.unpack(packed)))
local list = { 1, nil, 3 }
print(#list, #{ 1, nil, 3, nil }, #{ nil, nil, 3 }, #table.pack(1, nil, 3), #{ f = 1, 1, nil, 3, nil, 5 })
