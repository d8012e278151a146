-- Captured variables: sharing, loops, fresh ones per iteration, recursion, nested levels.
local function counter()
  local n = 0
  return function() n = n + 1 return n end, function() return n end, function(v) n = v end
end
local inc, get, set = counter()
inc() inc() print(get()) set(10) inc() print(get())
local inc2, get2 = counter() inc2() print(get(), get2())
local fs = {}
for i = 1, 3 do local j = i * 2 fs[i] = { function() j = j + 1 return i, j end, function() return j end } end
print(fs[1][1]()) print(fs[1][1]()) print(fs[1][2](), fs[2][2](), fs[3][2]())
local gs = {}
local i = 1
while i <= 3 do local k = i gs[i] = function() k = k + 10 return k + i end i = i + 1 end
print(gs[1](), gs[2](), gs[1]())
local hs = {}
repeat local r = #hs hs[#hs + 1] = function() return r end until r >= 2
print(hs[1](), hs[2](), hs[3]())
local function fact(n) if n <= 1 then return 1 end return n * fact(n - 1) end
print(fact(20))
local even, odd
function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
print(even(10), odd(7), even(1001))
local function levels()
  local a = 1
  return function()
    local b = a + 1
    return function()
      local c = a + b
      a = a + 1 b = b + 1
      return function() return a, b, c end
    end
  end
end
local l = levels()()
print(l()()) print(l()())
local function args(a, b, ...) local f = function() a = a + 1 return a, b end b = b * 2 return f end
local f = args(1, 2) print(f()) print(f())
do local x = 1 local function get() return x end x = 2 print(get()) local x = 3 print(get(), x) end
local function self() return self end print(self() == self)
local t = {} for k, v in ipairs { "a", "b" } do t[k] = function() return k, v end end print(t[1]()) print(t[2]())
local many = {}
do
  local a, b, c, d, e, f, g, h = 1, 2, 3, 4, 5, 6, 7, 8
  many.sum = function() return a + b + c + d + e + f + g + h end
  many.inc = function() a, b, c, d, e, f, g, h = a + 1, b + 1, c + 1, d + 1, e + 1, f + 1, g + 1, h + 1 end
end
many.inc() many.inc() print(many.sum())
print((function(...) local a, b = ... return (function() return a, b end)() end)(1, 2))
