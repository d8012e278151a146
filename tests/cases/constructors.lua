-- Table constructors: positions, keys, calls at the end, nesting, many items, separators.
local function three() return 1, 2, 3 end
local t = { three(), three() }
print(#t, t[4])
t = { three(), (three()) }
print(#t)
t = { (three()) }
print(#t)
t = { three(), nil }
print(t[1], t[2])
t = { [1] = "a", "b" }
print(t[1])
t = { "b", [1] = "a" }
print(t[1])
t = { x = 1, ["y z"] = 2, [3] = 3, [three()] = "first" }
print(t.x, t["y z"], t[3], t[1])
t = { 1, 2; 3, n = 4; }
print(#t, t.n)
t = { { { "deep" } } }
print(t[1][1][1])
t = { f = function() return "called" end }
print(t.f())
t = { x = { y = { z = 5 } } }
print(t.x.y.z)
t.x.y.z = t.x.y.z + 1
print(t.x.y.z, t["x"]["y"]["z"])
local big = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
  30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, three() }
print(#big, big[51], big[55])
local parts = {}
for i = 1, 300 do parts[i] = tostring(i) end
local f = load("return {" .. table.concat(parts, ",") .. "}")
t = f()
print(#t, t[300], t[50], t[51])
for i = 1, 300 do parts[i] = "k" .. i .. "=" .. i end
t = load("return {" .. table.concat(parts, ",") .. "}")()
print(t.k1, t.k150, t.k300)
for i = 1, 300 do parts[i] = ("x%d"):format(i) end
local g = load("local " .. table.concat(parts, ",", 1, 200) .. " = ... return x1, x200")
print(g(1, 2))
print(select(2, load("local " .. table.concat(parts, ",", 1, 201), "=c")))
t = { [1.0] = "float key", [2^53] = "big" }
print(t[1], next(t) ~= nil, t[2^53 | 0])
print(pcall(load "return { [nil] = 1 }"))
print(pcall(load "return { [0/0] = 1 }"))
local s = setmetatable({}, { __index = { three } })
print(#{ s[1]() })
print(#{ n = 1, three() }, #{ three(), x = 1 })
t = { "a", nil, "c", n = 3 }
print(t[3], t.n)
t = { nil, nil, 3 }
print(t[3])
print(({ 10, 20, 30 })[2], ({ a = 1 }).a, #{ ... }, ({ n = 0, ... }).n)
