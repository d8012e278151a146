-- __index and __newindex: tables, functions, chains, rawget and rawset, missing keys, loops.
local base = { x = 1, greet = function(self) return "hi " .. (self.name or "?") end }
base.__index = base
local d = setmetatable({ y = 2 }, base)
print(d.x, d.y, d.z, d:greet(), rawget(d, "x"))
d.name = "d"
print(d:greet())
base.x = 10
print(d.x)
d.x = 5
print(d.x, base.x)
d.x = nil
print(d.x)
local e = setmetatable({}, { __index = d })
print(e.y, e.x, e.name, e:greet(), e.nothing)
local f = setmetatable({}, { __index = function(t, k) return k .. "!" end })
print(f.a, f[1], f[true == true and "k"], rawget(f, "a"))
local log = {}
local g = setmetatable({}, { __newindex = function(t, k, v)
  log[#log + 1] = tostring(k) .. "=" .. tostring(v)
  rawset(t, k, v)
end })
g.a = 1
g.a = 2
g[1] = "x"
g[1] = "y"
g.b = nil
g.b = 3
print(table.concat(log, " "), g.a, g[1], g.b)
local store = {}
local h = setmetatable({}, { __index = store, __newindex = store })
h.k = 5
h[1] = 6
print(rawget(h, "k"), h.k, store.k, #h, #store, h[1])
local deep = {}
local top = deep
for i = 1, 50 do top = setmetatable({}, { __index = top, __newindex = top }) end
deep.far = "found"
print(top.far)
top.set = 1
print(deep.set, rawget(top, "set"))
local loop = {}
setmetatable(loop, { __index = loop, __newindex = loop })
print(pcall(function() return loop.x end))
print(pcall(function() loop.x = 1 end))
local p = setmetatable({}, { __index = setmetatable({}, { __index = function(t, k)
  return "from the second " .. tostring(k)
end }) })
print(p.q, p[1])
print(pcall(function()
  local n = setmetatable({}, { __index = 5 })
  return n.x
end))
print(pcall(function()
  local n = setmetatable({}, { __newindex = 5 })
  n.x = 1
end))
print(setmetatable({}, { __index = "abc" }).len == string.len)
print(pcall(function() return (nil).x end))
print(pcall(function() return (5).x end))
print(pcall(function() return (true)[1] end))
print(("x").len == string.len, ("abc"):len())
debug.setmetatable(5, { __index = { double = function(n) return n * 2 end }, __call = function(n, m)
  return n + m
end })
print((5):double(), (7)(3), (2.5):double())
debug.setmetatable(5, nil)
debug.setmetatable(nil, { __index = function(_, k) return "nil." .. k end })
print((nil).foo)
debug.setmetatable(nil, nil)
print(pcall(function() return (nil).foo end))
local cnt = 0
local lazy = setmetatable({}, { __index = function(t, k)
  cnt = cnt + 1
  local v = k * k
  t[k] = v
  return v
end })
for i = 1, 3 do for k = 1, 5 do io.write(lazy[k], " ") end end
print(cnt)
local ro = setmetatable({}, { __index = { v = 1 }, __newindex = function(_, k)
  error("read-only: " .. k, 2)
end })
print(ro.v, pcall(function() ro.v = 2 end))
local gt = setmetatable({}, { __index = _G })
local env = load("x = 5 return x, print ~= nil, _G.x", "c", "t", gt)
print(env())
print(gt.x, x)
local arr = setmetatable({}, { __index = function(_, i)
  if i <= 3 then return i * i end
end })
for i, v in ipairs(arr) do io.write(i, "=", v, " ") end
print(#arr)
