-- Coroutines resumed, yielding and finishing inside hot loops; loops inside coroutines; errors through them.
local gen = coroutine.wrap(function()
  local i = 0
  while true do
    i = i + 1
    coroutine.yield(i)
  end
end)
local s = 0
for i = 1, 300 do s = s + gen() end
print(s)
local function each(n)
  return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * 2) end end)
end
for r = 1, 3 do for a, b in each(100) do s = s + a * b end end
print(s)
local co = coroutine.create(function(a)
  local t = 0
  for i = 1, 200 do
    t = t + a
    if i % 20 == 0 then a = coroutine.yield(t) end
  end
  return "done", t
end)
local ok, v, w = true, nil, nil
for i = 1, 15 do
  ok, v, w = coroutine.resume(co, i)
  if coroutine.status(co) == "dead" then break end
  s = s + v
end
print(ok, v, w, s)
print(coroutine.resume(co))
local made = 0
for i = 1, 200 do
  local c = coroutine.create(function(x)
    local y = coroutine.yield(x + 1)
    return x + y
  end)
  local _, a = coroutine.resume(c, i)
  local _, b = coroutine.resume(c, 10)
  made = made + a + b
end
print(made)
local prod = coroutine.create(function()
  for i = 1, 150 do coroutine.yield(i % 3 == 0 and i + 0.5 or i) end
end)
local total = 0
while true do
  local _, x = coroutine.resume(prod)
  if not x then break end
  total = total + x
end
print(total)
local function tree(d)
  if d > 0 then
    tree(d - 1)
    coroutine.yield(d)
    tree(d - 1)
  end
end
local seen = 0
for x in coroutine.wrap(function() tree(8) end) do seen = seen * 3 % 10007 + x end
print(seen)
local shared = 0
local cs = {}
for k = 1, 5 do
  cs[k] = coroutine.wrap(function()
    for i = 1, 100 do
      shared = shared + k * i
      if i % 10 == k then coroutine.yield() end
    end
  end)
end
for i = 1, 10 do for k = 1, 5 do pcall(cs[k]) end end
print(shared)
local errs = 0
for i = 1, 100 do
  local c = coroutine.wrap(function()
    for j = 1, 10 do if j == i % 12 then error("e" .. j, 0) end end
    return 0
  end)
  local ok2, e = pcall(c)
  if not ok2 then errs = errs + #e end
end
print(errs)
local inp = coroutine.wrap(function()
  local sum = 0
  for i = 1, 100 do
    local ok3, got = pcall(function()
      local x = coroutine.yield(i)
      if x % 7 == 0 then error(x, 0) end
      return x
    end)
    sum = sum + (ok3 and got or -got)
  end
  return sum
end)
inp()
local last
for i = 1, 100 do last = inp(i) end
print(last)
local y = 0
local loop = coroutine.wrap(function()
  local acc = 0
  for i = 1, 1000 do
    acc = acc + i
    if i % 100 == 0 then coroutine.yield(acc) end
  end
  return acc
end)
for i = 1, 11 do y = y + loop() end
print(y)
local deepco
for i = 1, 40 do
  local prev = deepco
  deepco = coroutine.wrap(function()
    local v2 = prev and prev() or 0
    for k = 1, 20 do v2 = v2 + 1 end
    coroutine.yield(v2)
  end)
end
print(deepco())
local mt = setmetatable({}, { __add = function(a, b) return coroutine.yield(b) end })
local mc = coroutine.wrap(function()
  local r = 0
  for i = 1, 100 do r = r + (mt + i) end
  return r
end)
local z = mc()
for i = 1, 100 do z = mc(i * 2) end
print(z)
local run = {}
for i = 1, 100 do
  run[i] = coroutine.wrap(function(...)
    local n = select("#", ...)
    for k = 1, 5 do n = n + select("#", coroutine.yield(n, ...)) end
    return n
  end)
end
local rs = 0
for i = 1, 100 do rs = rs + run[i](1, nil, 3) end
for k = 1, 5 do for i = 1, 100 do rs = rs + run[i](k) end end
print(rs)
local st = 0
for i = 1, 150 do
  local c = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(c)
  if coroutine.status(c) == "suspended" then st = st + 1 end
  coroutine.close(c)
  if coroutine.status(c) == "dead" then st = st + 1 end
end
print(st, coroutine.isyieldable())
