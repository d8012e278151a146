-- Calls on hot paths: several results, nils, methods, closures, deep inlining, recursion, tail calls, varargs.
local function two(a) return a, a + 1 end
local function three(a) return a, two(a) end
local s = 0
for i = 1, 200 do
  local a, b, c = three(i)
  s = s + a * 100 + b * 10 + c
  local d, e = (two(i))
  s = s + d + (e or 7)
end
print(s)
local function none() end
local n = 0
for i = 1, 200 do if none() == nil then n = n + select("#", none()) + 1 end end
print(n)
local function opt(a, b, c) return (a or 1) + (b or 10) + (c or 100) end
n = 0
for i = 1, 100 do n = n + opt() + opt(i) + opt(i, i) + opt(i, i, i, i) end
print(n)
local function l0(x) return x + 1 end
local function l1(x) return l0(x) * 2 end
local function l2(x) return l1(x) - l0(x) end
local function l3(x) return l2(l1(x)) % 10007 end
local function l4(x) return l3(l2(x)) + l1(x) end
local function l5(x) return l4(l3(x)) % 10007 end
local r = 0
for i = 1, 300 do r = (r + l5(i)) % 100003 end
print(r)
local function fib(k)
  if k < 2 then return k end
  return fib(k - 1) + fib(k - 2)
end
for i = 1, 3 do print(fib(16 + i)) end
local function fact(k) return k <= 1 and 1 or k * fact(k - 1) end
for i = 1, 60 do r = fact(i) end
print(r)
local function sumto(k, acc)
  if k == 0 then return acc end
  return sumto(k - 1, acc + k)
end
for i = 1, 50 do r = sumto(i * 20, 0) end
print(r)
local odd
local function even(k)
  if k == 0 then return true end
  return odd(k - 1)
end
function odd(k)
  if k == 0 then return false end
  return even(k - 1)
end
n = 0
for i = 1, 100 do if even(i) then n = n + i end end
print(n)
local function ack(m, k)
  if m == 0 then
    return k + 1
  elseif k == 0 then
    return ack(m - 1, 1)
  else
    return ack(m - 1, ack(m, k - 1))
  end
end
print(ack(2, 9), ack(3, 4))
local obj = { v = 0 }
function obj:add(k)
  self.v = self.v + k
  return self
end
function obj.static(k) return k * 2 end
for i = 1, 200 do
  obj:add(i):add(-1)
  obj.v = obj.v + obj.static(i)
end
print(obj.v)
local fs = {}
for k = 1, 4 do fs[k] = function(x) return x * k end end
s = 0
for i = 1, 400 do s = s + fs[i % 4 + 1](i) end
print(s)
local function va(...)
  local a, b = ...
  return (a or 0) + (b or 0) + select("#", ...)
end
s = 0
for i = 1, 200 do s = s + va() + va(i) + va(i, i) + va(i, i, i) end
print(s)
local function pass(...) return ... end
s = 0
for i = 1, 200 do
  local a, b, c = pass(i, i + 1)
  s = s + a + b + (c or 0)
  s = s + (pass(i, 5)) + select("#", pass())
end
print(s)
local function apply(f, ...) return f(...) end
s = 0
for i = 1, 200 do
  s = s + apply(math.max, i, 100) + apply(function(a, b)
    return a - b
  end, i, 3) + apply(select, "#", i, i, i)
end
print(s)
local function mk(i)
  return function()
    i = i + 1
    return i
  end
end
s = 0
for i = 1, 150 do
  local c = mk(i)
  s = s + c() + c()
end
print(s)
local function deep(k)
  if k == 0 then return 0 end
  return 1 + deep(k - 1)
end
s = 0
for i = 1, 120 do s = s + deep(i) end
print(s)
local function many(a, b, c, d, e, f, g, h, i, j, k, l)
  return l, k, j, i, h, g, f, e, d, c, b, a
end
s = 0
for i = 1, 100 do
  local a, b, c, d, e, f, g, h, i2, j, k, l = many(i, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
  s = s + a * 2 + b * 3 + l
end
print(s)
local t = setmetatable({}, { __call = function(self, x, y) return x + (y or 1) end })
s = 0
for i = 1, 150 do s = s + t(i) + t(i, 2) end
print(s)
local function tail(a) return two(a) end
s = 0
for i = 1, 150 do
  local x, y = tail(i)
  s = s + x + y
end
print(s)
local function last(...) return (select(select("#", ...), ...)) end
s = 0
for i = 1, 100 do s = s + last(1, 2, i) + last(i) end
print(s)
