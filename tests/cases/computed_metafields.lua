-- What caches know of a metatable does not hold any more when a compiled loop changes it under a name put together there.
local function put(t, a, b, v) t[a .. b] = v end
local one, two = { x = 1 }, { x = 2 }
local meta, plain = { __index = one }, { __index = one }
local object = setmetatable({}, meta)
local function look() return object.x end
print(look(), look(), look())
local tables, firsts, seconds = {}, {}, {}
for i = 1, 300 do tables[i], firsts[i], seconds[i] = plain, two, one end
tables[250] = meta
for i = 1, 300 do put(tables[i], "__ind", "ex", firsts[i]) end
print(look(), look())
for i = 1, 300 do put(tables[i], "__ind", "ex", seconds[i]) end
print(look(), look())
