-- Allocation in hot loops with collections in between: tables, strings, closures, weak tables, finalizers, cycles.
local live = {}
for i = 1, 20000 do
  local t = { i, { i + 1 } }
  live[i % 100 + 1] = t
  if i % 3 == 0 then t.self = t end
end
local s = 0
for i = 1, 100 do s = s + live[i][1] + live[i][2][1] end
print(s)
local strs = {}
for i = 1, 5000 do strs[i % 50 + 1] = "str" .. i .. ("x"):rep(i % 60) end
s = 0
for i = 1, 50 do s = s + #strs[i] end
print(s)
local fs = {}
for i = 1, 10000 do fs[i % 20 + 1] = function() return i end end
s = 0
for i = 1, 20 do s = s + fs[i]() end
print(s)
local list
for i = 1, 20000 do list = { next = i % 500 ~= 0 and list or nil, v = i } end
s = 0
local l = list
while l do
  s = s + l.v
  l = l.next
end
print(s)
for i = 1, 200 do
  local t = {}
  for j = 1, 50 do t[j] = j * 1.5 end
  if i % 50 == 0 then collectgarbage() end
  s = s + t[50]
end
print(s)
local weak = setmetatable({}, { __mode = "v" })
local strong = {}
for i = 1, 3000 do
  local o = { i }
  weak[i] = o
  if i % 100 == 0 then strong[#strong + 1] = o end
end
collectgarbage()
local alive = 0
for i = 1, 3000 do if weak[i] then alive = alive + 1 end end
print(alive, #strong)
local fin = 0
for i = 1, 500 do setmetatable({}, { __gc = function() fin = fin + 1 end }) end
collectgarbage()
collectgarbage()
print(fin)
local keyed = setmetatable({}, { __mode = "k" })
local keys = {}
for i = 1, 1000 do
  local k = {}
  keyed[k] = i
  if i % 10 == 0 then keys[#keys + 1] = k end
end
collectgarbage()
s = 0
for i = 1, #keys do s = s + keyed[keys[i]] end
local n = 0
for _ in pairs(keyed) do n = n + 1 end
print(s, n)
for i = 1, 300 do
  collectgarbage("step")
  local t = { a = { b = { c = i } } }
  s = s + t.a.b.c
end
print(s)
local big = {}
for i = 1, 300 do
  big[i] = {}
  for j = 1, 30 do big[i][j] = { i * j } end
end
collectgarbage()
s = 0
for i = 1, 300 do for j = 1, 30 do s = s + big[i][j][1] end end
print(s)
collectgarbage("generational")
for i = 1, 20000 do
  local t = { i }
  live[i % 100 + 1] = { t, live[i % 100 + 1] and live[i % 100 + 1][1] }
end
s = 0
for i = 1, 100 do s = s + live[i][1][1] end
print(s)
collectgarbage("incremental")
local cyc = {}
for i = 1, 2000 do
  local a, b = {}, {}
  a.b, b.a = b, a
  cyc[i % 10 + 1] = a
end
s = 0
for i = 1, 10 do if cyc[i].b.a == cyc[i] then s = s + 1 end end
print(s)
local co = {}
for i = 1, 500 do
  co[i % 30 + 1] = coroutine.wrap(function()
    local t = { i }
    coroutine.yield(t)
    return t[1]
  end)
  co[i % 30 + 1]()
end
collectgarbage()
s = 0
for i = 1, 30 do s = s + co[i]() end
print(s)
local old = {}
for i = 1, 100 do old[i] = {} end
collectgarbage()
for r = 1, 50 do
  for i = 1, 100 do old[i].x = { r, i } end
  if r % 10 == 0 then collectgarbage("step") end
end
collectgarbage()
s = 0
for i = 1, 100 do s = s + old[i].x[1] * old[i].x[2] end
print(s)
local up
local function keep()
  up = { up and up[1] or 0 }
  up[1] = up[1] + 1
  return up
end
for i = 1, 5000 do keep() end
collectgarbage()
print(up[1])
local con = ""
for i = 1, 300 do
  con = con .. i % 10
  local junk = con .. "junk"
end
print(#con, con:sub(-5))
