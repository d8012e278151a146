-- Every form of loop, hot: float steps, negative steps, captured variables, while, repeat, goto, large steps.
local s = 0
for x = 0.0, 10.0, 0.1 do s = s + x end
print(string.format("%.9f", s))
s = 0
for x = 100, 1, -1 do s = s + x end
for x = 100, 1, -3 do s = s * 3 % 10007 + x end
print(s)
s = 0
for x = 5, 0, -0.05 do s = s + x end
print(string.format("%.9f", s))
s = 0
for x = 1, 1000000, 9999 do s = s + x end
print(s)
local fs = {}
for i = 1, 150 do
  fs[i] = function()
    i = i + 1
    return i
  end
end
s = 0
for i = 1, 150 do s = s + fs[i]() + fs[i]() end
print(s)
for r = 1, 3 do
  local i = 0
  while i < 150 do
    i = i + 1
    s = s + i
  end
  repeat
    i = i - 1
    local done = i < 10
    s = s - 1
  until done
  ::top::
  if i < 200 then
    i = i + 1
    goto top
  end
  s = s + i
end
print(s)
for i = 1, 200 do
  i = i * 2
  s = s + i
end
print(s)
local function lim(n) return n end
for i = lim(1), lim(150), lim(2) do s = s + i end
print(s)
local a, b, c = 1, 150, 1.5
for i = a, b, c do
  s = s + i
  a, b, c = 0, 0, 0
end
print(s)
s = 0
for i = 1, math.huge do
  s = s + i
  if i >= 200 then break end
end
print(s)
s = 0
for i = 1.5, 200 do s = s + i end
print(s)
for i = 10, 1 do s = -1 end
print(s)
local k = 0
while true do
  k = k + 1
  if k % 2 == 0 then goto cont end
  if k > 301 then break end
  s = s + k
  ::cont::
end
print(s, k)
local n = 300
repeat
  n = n - 1
  if n % 2 == 1 then goto skip end
  s = s + n
  ::skip::
until n == 0
print(s)
for _ = 1, 3 do
  local j = 200
  while j > 0 do j = j - 7 end
  s = s + j
end
print(s)
local t = {}
for i = 1, 100 do t[i] = i end
for r = 1, 3 do
  for i, v in ipairs(t) do s = s + i * v end
  for k, v in pairs(t) do s = s + v end
  for k, v in next, t do s = s - v end
end
print(s)
local d = { a = 1, b = 2, c = 3 }
for r = 1, 100 do for k, v in pairs(d) do s = s + v end end
print(s)
local function range(n)
  local i = 0
  return function()
    i = i + 1
    if i <= n then return i, i * i end
  end
end
for r = 1, 3 do for a1, b1 in range(100) do s = s + a1 + b1 end end
print(s)
local function iter(st, i) if i < st then return i + 1 end end
for r = 1, 5 do for i in iter, 100, 0 do s = s + i end end
print(s)
for w in ("one two three four five six seven eight nine ten "):rep(10):gmatch("%a+") do
  s = s + #w
end
print(s)
local cnt = 0
for i = -100, 100 do
  if i == 0 then goto zero end
  cnt = cnt + 1000 // i
  ::zero::
end
print(cnt)
for i = 1, 10 do for j = i, 10 - i do cnt = cnt + j end end
print(cnt)
local x, y, z = 0, 1, 2
for i = 1, 100 do x, y, z = y, z, x end
print(x, y, z)
for i = 1, 101 do x, y = y, x end
print(x, y)
local p, q = 0, 1
for i = 1, 90 do p, q = q, p + q end
print(p, q)
local a1, a2, a3, a4, a5 = 1, 2, 3, 4, 5
for i = 1, 1003 do a1, a2, a3, a4, a5 = a3, a5, a1, a2, a4 end
print(a1, a2, a3, a4, a5)
local f1, f2, f3 = 1.5, 2.5, 3.5
for i = 1, 100 do
  f1, f2, f3 = f2, f3, f1
  if i % 2 == 0 then f1, f2 = f2, f1 end
end
print(f1, f2, f3)
local m1, m2 = 1, 2.5
for i = 1, 101 do m1, m2 = m2, m1 end
print(m1, m2)
local g, l = 0, 0
for i = 1, 100 do
  g = l
  l = i
end
print(g, l)
local u, v, w2 = 0, 0, 0
for i = 1, 100 do
  u = v
  v = w2
  w2 = i + u
end
print(u, v, w2)
