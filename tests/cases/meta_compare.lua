-- __eq, __lt, __le: when they are called, with what, and that results become booleans.
local log = {}
local mt = { __eq = function(a, b)
  log[#log + 1] = "eq" .. (a.n or "?") .. (b.n or "?")
  return (a.n or 0) % 10 == (b.n or 0) % 10
end, __lt = function(a, b)
  log[#log + 1] = "lt"
  return 1
end, __le = function(a, b)
  log[#log + 1] = "le"
  return nil
end }
local function o(n) return setmetatable({ n = n }, mt) end
local a, b, c = o(1), o(11), o(2)
print(a == b, a == c, a ~= b, a == a, a == 1, a == nil, 1 == a, a == {})
print(a < b, a <= b, a > b, a >= b, a < 1 == true, 1 > a)
print(table.concat(log, " "))
print(rawequal(a, b), rawequal(a, a))
local other = setmetatable({ n = 21 }, { __eq = function() return "truthy" end })
print(a == other, other == a, other == {}, {} == other)
print(pcall(function() return {} < {} end))
print(pcall(function() return {} <= 1 end))
print(pcall(function() return "a" < 1 end))
print(pcall(function() return nil < nil end))
print(pcall(function() return print < print end))
print(pcall(function()
  return setmetatable({}, { __le = function() return true end }) < {}
end))
print(setmetatable({}, { __lt = function(_, x) return x end }) < 5, setmetatable({}, { __lt = function(_, x)
  return not x
end }) < 5)
if a < c then print("branch") end
while a <= c do print("never") end
print(not (a < c), (a < c) and 1 or 2)
local t = { a, b, c }
for i = 1, 3 do for j = 1, 3 do io.write(tostring(t[i] == t[j]), " ") end end
print()
print("x" == setmetatable({}, { __eq = function() return true end }), pcall(function()
  return 1 < a, 1.5 <= a, a < "s"
end))
local n = 0
local m = { __lt = function(x, y)
  n = n + 1
  return x.v < y.v
end }
local list = {}
for i = 1, 5 do list[i] = setmetatable({ v = (i * 3) % 5 }, m) end
table.sort(list)
for i = 1, 5 do io.write(list[i].v, " ") end
print(n > 0)
