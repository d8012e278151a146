-- sort: orders, stability not assumed, comparison functions, errors.
local function show(t) print(table.concat(t, " ")) end
local t = { 5, 2, 8, 1, 9, 3 }
table.sort(t)
show(t)
table.sort(t, function(a, b) return a > b end)
show(t)
t = { "pear", "apple", "fig", "Banana" }
table.sort(t)
show(t)
table.sort(t, function(a, b) return #a < #b or #a == #b and a < b end)
show(t)
t = { 3, 1.5, 2, -0.0, 1e10, -7 }
table.sort(t)
show(t)
t = {}
table.sort(t)
show(t)
t = { 1 }
table.sort(t)
show(t)
t = { 2, 1 }
table.sort(t)
show(t)
t = {}
for i = 1, 200 do t[i] = (i * 7919) % 1009 end
table.sort(t)
local ok = true
for i = 2, 200 do ok = ok and t[i - 1] <= t[i] end
print(ok, t[1], t[200])
t = {}
for i = 1, 100 do t[i] = i % 3 end
table.sort(t)
show(t)
t = {}
for i = 1, 50 do t[i] = { k = i % 5, v = i } end
table.sort(t, function(a, b)
  if a.k ~= b.k then return a.k < b.k end
  return a.v < b.v
end)
local out = {}
for i = 1, 50 do out[i] = t[i].k .. ":" .. t[i].v end
show(out)
print(pcall(table.sort, { 1, "x", 2 }))
print(pcall(table.sort, { 1, {}, 2 }))
print(pcall(table.sort, { {}, {} }))
print(pcall(table.sort, { 3, 2, 1 }, 5))
print(pcall(table.sort, { 1, 2, 3 }, function() error("cmp", 0) end))
print(pcall(table.sort))
print(pcall(table.sort, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function() return true end))
local mt = { __lt = function(a, b) return a.v < b.v end }
t = {}
for i = 1, 10 do t[i] = setmetatable({ v = (i * 3) % 11 }, mt) end
table.sort(t)
for i = 1, 10 do io.write(t[i].v, " ") end
print()
local calls = 0
t = { 4, 3, 2, 1 }
table.sort(t, function(a, b)
  calls = calls + 1
  return a < b
end)
print(calls > 0, table.concat(t))
t = setmetatable({}, { __len = function() return 3 end, __index = function(_, i)
  return 4 - i
end, __newindex = function(x, i, v)
  rawset(x, i, v)
end })
table.sort(t)
show { rawget(t, 1) or "-", rawget(t, 2) or "-", rawget(t, 3) or "-" }
print(pcall(table.sort, setmetatable({}, { __len = function()
  return math.maxinteger
end })))
print(select(2, pcall(table.sort, { 1, 2, 3 }, function(a, b)
  return coroutine.yield()
end)))
