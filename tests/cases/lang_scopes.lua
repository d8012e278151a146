-- Scopes: shadowing, blocks, functions' own names, globals against locals, repeat's condition.
x = "global"
local x = "local"
do
  local x = "inner"
  print(x)
end
print(x, _G.x)
local function f() return x end
local x = "second"
print(f(), x)
local y = y
print(y)
local z = 1
local z = z + 1
print(z)
do
  local print = function(...)
    io.write("mine ")
    _G.print(...)
  end
  print("shadowed")
end
print("normal")
local function rec(n) return n == 0 and 0 or n + rec(n - 1) end
print(rec(10))
local fact = function(n) return n end
local fact = function(n) return n == 0 and 1 or n * fact(n - 1) end
print(fact(5))
repeat local done = true until done
for i = 1, 2 do
  local i = i * 10
  print(i)
end
for i = 1, 2 do
  local function g() return i end
  print(g())
end
do
  local a = 1
  do
    local a = a + 1
    do
      local a = a + 1
      print(a)
    end
    print(a)
  end
  print(a)
end
function g1() g2 = 5 end
g1()
print(g2)
local t = { x = 1, f = function(self) return self.x end }
function t.g(x) return x end
function t:h(x) return self.x + x end
print(t:f(), t.g(7), t:h(2), t.f({ x = 9 }))
if true then local hidden = 1 end
print(hidden)
while true do
  local w = 5
  break
end
print(w)
local a <const>, b = 1, 2
do
  local a = b
  print(a)
end
local function args(a, a2, ...)
  local a = a or "default"
  return a, a2, ...
end
print(args(), args(nil, 2), args(1, 2, 3))
local function many()
  local r = {}
  for i = 1, 3 do
    local v = i
    r[#r + 1] = function()
      v = v + 1
      return v
    end
  end
  return table.unpack(r)
end
local p, q, r = many()
print(p(), p(), q(), r())
goto l1
do
  ::l2::
  print("l2")
  goto l3
end
::l1::
do
  goto l2b
  ::l2b::
  print("l1")
end
::l3::
print("l3")
