-- next and pairs: clearing while traversing, all keys once, keys of every type.
local t = { 10, 20, 30, a = 1, b = 2, [1.5] = 3, [true] = 4, [false] = 5, [-1] = 6, [2^53] = 7 }
local n, sum = 0, 0
for k, v in pairs(t) do
  n = n + 1
  sum = sum + v
end
print(n, sum)
for k in pairs(t) do t[k] = nil end
print(next(t))
for i = 1, 50 do
  t[i] = i
  t["s" .. i] = i
  t[i + 0.5] = i
end
n, sum = 0, 0
for k, v in pairs(t) do
  n = n + 1
  sum = sum + v
  t[k] = v + 1
end
print(n, sum)
sum = 0
for k, v in pairs(t) do
  sum = sum + v
  if v % 2 == 0 then t[k] = nil end
end
print(sum)
n = 0
for _ in pairs(t) do n = n + 1 end
print(n)
local f = function() end
local keys = { f, t, print, "x", 1, 1.25, true }
local u = {}
for i, k in ipairs(keys) do u[k] = i end
n = 0
for k, v in pairs(u) do
  assert(keys[v] == k)
  n = n + 1
end
print(n)
print(next({ 5 }), next({ a = 1 }), next({}, nil), pcall(next, {}, 1))
print(pcall(next))
print(pcall(next, 1))
print(type(pairs({})), select("#", pairs({})))
local k, v = next({ x = "y" })
print(k, v)
local order = {}
for i, v in ipairs({ "a", "b", "c", nil, "e" }) do order[#order + 1] = i .. v end
print(table.concat(order, " "))
local seq = {}
for k2, v2 in pairs({ "a", "b", "c", "d" }) do seq[#seq + 1] = k2 .. v2 end
print(table.concat(seq, " "))
local cleared = {}
for i = 1, 20 do cleared["k" .. i] = i end
for key in pairs(cleared) do cleared[key] = nil end
for i = 1, 20 do assert(cleared["k" .. i] == nil) end
cleared.new = 1
print(next(cleared))
local grown = { 1, 2, 3 }
for i = 4, 40 do grown[i] = i end
grown.x = 1
n = 0
for _ in next, grown do n = n + 1 end
print(n)
local mixed = {}
for i = 1, 10 do mixed[i] = i end
for i = 1, 10, 2 do mixed[i] = nil end
n = 0
for i2 in pairs(mixed) do n = n + i2 end
print(n)
