-- Messages name the variable: local, upvalue, global, field, method, constant, and the kind of operation.
local function e(f, ...) print((select(2, pcall(f, ...)))) end
local up
e(function()
  local a;
  a.b = 1
end)
e(function()
  local a;
  return a.b
end)
e(function()
  local a;
  a()
end)
e(function()
  local a;
  a.b.c = 1
end)
e(function()
  local a = {};
  a.b.c = 1
end)
e(function()
  local a = {};
  return a.b.c.d
end)
e(function() return up.x end)
e(function() up.x = 1 end)
e(function() up() end)
e(function() return up + 1 end)
e(function() return up .. "x" end)
e(function() return #up end)
e(function() return -up end)
e(function() return up < 1 end)
e(function() return undefined.x end)
e(function() undefined() end)
e(function() undefined.x = 1 end)
e(function() return undefined + 1 end)
e(function() return 1 + undefined end)
e(function() return "x" .. undefined end)
e(function() return undefined .. "x" end)
e(function() return #undefined end)
e(function()
  local t = {}
  t.f()
end)
e(function()
  local t = {}
  t:m()
end)
e(function()
  local t = {}
  t.a.b:m()
end)
e(function()
  local t = { a = {} }
  t.a.b()
end)
e(function()
  local t = {}
  t[1]()
end)
e(function()
  local t = {}
  local k = "key"
  t[k]()
end)
e(function()
  local t = {}
  local k = "key"
  return t[k].x
end)
e(function()
  local t = {}
  return t[1].x
end)
e(function()
  local t = {}
  return t[1][2]
end)
e(function()
  local t = {}
  return t[1.5].x
end)
e(function()
  local t = {}
  return t[true].x
end)
e(function() string.nothing() end)
e(function() ("x"):nothing() end)
e(function() math.foo.bar() end)
e(function() print.x.y = 1 end)
e(function() return print.x end)
e(function() return (1).x end)
e(function() return (1)() end)
e(function() return ("x")() end)
e(function() return ("x").y.z end)
e(function() return (true).x end)
e(function()
  local a = {}
  return a + 1
end)
e(function()
  local a = {}
  return 1 + a
end)
e(function()
  local a = "x"
  return a + 1
end)
e(function()
  local a, b = {}, {}
  return a .. b
end)
e(function()
  local a = {}
  return a < 1
end)
e(function()
  local a = {}
  return a < {}
end)
e(function() return 1 < "2" end)
e(function() return nil > 1 end)
e(function() return {} >= {} end)
e(function() return print < print end)
e(function()
  local a = 1.5
  return a | 1
end)
e(function()
  local a = {}
  return a & 1
end)
e(function()
  local a = "x"
  return 1 | a
end)
e(function() return 2^53 | 1, 2^64 | 1 end)
e(function()
  local a
  return ~a
end)
e(function()
  local a
  return -a
end)
e(function()
  local a = {}
  return -a
end)
e(function()
  local a = "abc"
  return -a
end)
e(function()
  local a
  return a << 1
end)
e(function() return 1 << {} end)
e(function()
  local t = { x = {} }
  return t.x + 1
end)
e(function()
  local t = { x = "s" }
  return t.x * 2
end)
e(function()
  local t = {}
  return t.x.y.z
end)
e(function()
  local t = {}
  t.x = t.y + 1
end)
e(function()
  local t = {}
  return t.a .. "x"
end)
e(function()
  local t = {}
  return 10 // t.zero
end)
e(function()
  local t = { n = 0 }
  return 10 // t.n
end)
e(function() return 1 % 0 end)
e(function() for i = 1, nil do end end)
e(function() for i = "a", 2 do end end)
e(function() for i = 1, 2, {} do end end)
e(function() for i = 1, 2, 0 do end end)
e(function() for k in nil do end end)
e(function() for k in pairs() do end end)
e(function() for k in undefined do end end)
e(function()
  local t = {}
  for k in t.x do end
end)
e(function() for k in 5 do end end)
e(function()
  local t = setmetatable({}, { __index = function(_, k) return nil end })
  return t.x.y
end)
e(function()
  local t = setmetatable({}, { __newindex = function(t, k, v) error("no " .. k) end })
  t.x = 1
end)
e(function()
  local t = {}
  t[nil] = 1
end)
e(function()
  local t = {}
  t[0 / 0] = 1
end)
e(function() return math.floor({}) end)
e(function() return ("x"):rep() end)
e(function() return ("x"):rep("y") end)
e(function() string.rep("x", -1, {}) end)
e(function(...)
  local a, b = ...
  return a.x
end)
e(function(a) return a.x.y end, {})
e(function(a, b) return a + b end, 1)
e(function(...) return (...).x end)
e(function(...) return ... + 1 end, {})
e(function()
  local function f() end
  return f().x
end)
e(function()
  local function f() return nil end
  f().x = 1
end)
e(function() return (up or undefined).x end)
e(function()
  local a <const> = nil
  return a.x
end)
e(function()
  local a = up;
  local b = a;
  return b.field
end)
e(function()
  local t = { { {} } }
  return t[1][1][1][1]
end)
e(function()
  local _ENV = {}
  return foo.bar
end)
e(function()
  local _ENV = {}
  foo()
end)
e(function()
  local _ENV = nil
  return foo
end)
e(function() return _ENV.undefined_thing.x end)
e(function()
  goto l
  ::l::
  undefined.method:call()
end)
e(function()
  local s = "str"
  s.x = 1
end)
e(function()
  local n = 5
  n.x = 1
end)
e(function()
  local n = 5
  return n.x.y
end)
e(function()
  local f = print
  f.x = 1
end)
e(function() return undefined_function(1)(2) end)
e(function()
  local a = { b = { c = {} } }
  a.b.c.d()
end)
e(function()
  local a = { b = { c = {} } }
  a.b.c:d()
end)
e(function()
  local a = { b = {} }
  a.b["x y"]()
end)
e(function()
  local a = { b = {} }
  a.b[10]()
end)
e(function()
  local a = { b = {} }
  local i = 10
  a.b[i]()
end)
e(function()
  local very_long_name_for_a_local_variable_indeed;
  very_long_name_for_a_local_variable_indeed()
end)
