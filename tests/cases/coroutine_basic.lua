-- create, resume, yield, status, wrap, isyieldable, running: values in and out, dead ones, errors.
local co = coroutine.create(function(a, b)
  print("start", a, b)
  local c = coroutine.yield(a + b)
  print("got", c)
  local d, e = coroutine.yield(c * 2, "two")
  print("got", d, e)
  return "end", 99
end)
print(coroutine.status(co))
print(coroutine.resume(co, 1, 2))
print(coroutine.status(co))
print(coroutine.resume(co, 10))
print(coroutine.resume(co, "x", "y"))
print(coroutine.status(co))
print(coroutine.resume(co))
print(coroutine.resume(co))
local w = coroutine.wrap(function(...)
  local n = select("#", ...)
  while true do n = n + select("#", coroutine.yield(n)) end
end)
print(w(1, 2), w(), w(1, 2, 3), w(nil))
print(pcall(coroutine.wrap(function() error("inside") end)))
print(pcall(coroutine.wrap(function() error({ code = 1 }) end)) == false)
print(pcall(coroutine.wrap(function()
  local x = nil;
  x.y = 1
end)))
local dead = coroutine.wrap(function() return 1 end)
dead()
print(pcall(dead))
print(coroutine.resume(coroutine.create(function() error("msg", 0) end)))
print(coroutine.resume(coroutine.create(function() error() end)))
print(select("#", coroutine.resume(coroutine.create(function() end))))
print(coroutine.isyieldable(), coroutine.wrap(function()
  return coroutine.isyieldable()
end)(), select(2, coroutine.running()))
coroutine.wrap(function()
  print(select(2, coroutine.running()), coroutine.status(coroutine.running()))
end)()
print(pcall(coroutine.yield, 1))
print(pcall(coroutine.resume, 1))
print(pcall(coroutine.create, 1))
print(pcall(coroutine.create))
print(pcall(coroutine.status, {}))
print(pcall(coroutine.wrap))
local outer
outer = coroutine.create(function()
  local inner = coroutine.create(function()
    print("outer is", coroutine.status(outer))
    print(coroutine.resume(outer))
  end)
  coroutine.resume(inner)
  print(coroutine.resume(coroutine.running()))
end)
coroutine.resume(outer)
local function gen(n)
  return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end)
end
for v in gen(4) do io.write(v, " ") end
print()
local function perm(a, n)
  n = n or #a
  if n <= 1 then
    coroutine.yield(table.concat(a))
  else
    for i = 1, n do
      a[n], a[i] = a[i], a[n]
      perm(a, n - 1)
      a[n], a[i] = a[i], a[n]
    end
  end
end
for p in coroutine.wrap(function() perm({ "a", "b", "c" }) end) do io.write(p, " ") end
print()
local nest = coroutine.wrap(function()
  for v in gen(3) do for u in gen(v) do coroutine.yield(v * 10 + u) end end
end)
local r = nest()
while r do
  io.write(r, " ")
  r = nest()
end
print()
local t = setmetatable({}, { __index = function(_, k)
  return coroutine.yield(k)
end, __add = function(a, b) return coroutine.yield("add") end, __call = function(_, x)
  return coroutine.yield("call" .. x)
end, __eq = function() return coroutine.yield("eq") end, __lt = function()
  return coroutine.yield("lt")
end, __concat = function() return coroutine.yield("concat") end, __len = function()
  return coroutine.yield("len")
end, __newindex = function(_, k, v)
  coroutine.yield("set" .. k .. v)
end })
local m = coroutine.wrap(function()
  local a = t.key
  local b = t + 1
  local c = t(5)
  local d = t == setmetatable({}, getmetatable(t))
  local e = t < t
  local f = t .. "x"
  local g = #t
  t.k = 3
  if t < 1 then h = "true branch" end
  return a, b, c, d, e, f, g, h
end)
print(m())
print(m("A"))
print(m("B"))
print(m("C"))
print(m(1))
print(m(false))
print(m("F"))
print(m("G"))
print(m())
print(m(true))
local many = coroutine.wrap(function(...) while true do coroutine.yield(...) end end)
print(select("#", many(table.unpack({}, 1, 100))))
local deep = 0
local function rec(n)
  if n == 0 then coroutine.yield("bottom") else rec(n - 1) end
  deep = deep + 1
end
local rc = coroutine.wrap(function()
  rec(500)
  return deep
end)
print(rc(), rc())
