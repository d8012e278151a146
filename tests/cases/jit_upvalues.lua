-- Upvalues read, written, shared and captured anew in hot loops; globals redefined midway.
local n = 0
local function inc(k)
  n = n + k
  return n
end
for i = 1, 200 do
  inc(i)
  if i == 100 then n = 0.5 end
end
print(n)
local fs = {}
for i = 1, 150 do
  local c = i
  fs[i] = function(d)
    c = c + d
    return c
  end
end
local s = 0
for r = 1, 3 do for i = 1, 150 do s = s + fs[i](r) end end
print(s)
local function make()
  local a, b = 0, 1
  return function()
    a, b = b, a + b
    return a
  end, function() return a, b end, function(x, y)
    a, b = x, y
  end
end
local nxt, get, set = make()
for i = 1, 60 do nxt() end
print(get())
set(1.0, 1)
for i = 1, 60 do nxt() end
print(get())
set("1", 2)
print(pcall(nxt))
print(nxt())
local cap = {}
for i = 1, 200 do
  local x = i
  if i % 50 == 0 then
    cap[#cap + 1] = function()
      x = x + 1
      return x + i
    end
  end
  x = x * 2
  s = s + x
end
for k = 1, #cap do s = s + cap[k]() + cap[k]() end
print(s)
local outer = 0
for i = 1, 100 do
  local function f()
    outer = outer + i
    local function g()
      outer = outer + 1
      return outer
    end
    return g()
  end
  s = s + f()
end
print(outer, s)
function gf(x) return x + 1 end
s = 0
for i = 1, 200 do
  s = s + gf(i)
  if i == 100 then function gf(x) return x * 2 end end
  if i == 150 then gf = math.floor end
end
print(s)
gv = 1
for i = 1, 200 do
  gv = gv + i % 3
  if i == 60 then gv = gv + 0.25 end
  if i == 120 then gv = tostring(gv) end
end
print(gv)
local print_count = 0
local old = tostring
tostring = function(x)
  print_count = print_count + 1
  return old(x)
end
for i = 1, 150 do
  local _ = tostring(i)
  if i == 75 then tostring = old end
end
print(print_count)
local state = { on = true }
local function step() if state.on then n = n + 1 else n = n - 1 end end
for i = 1, 200 do
  step()
  if i == 150 then state = { on = false } end
end
print(n)
local up1, up2 = 1, 2
local function swap() up1, up2 = up2, up1 end
for i = 1, 101 do swap() end
print(up1, up2)
local const = 42
local function useconst(x) return x + const end
s = 0
for i = 1, 200 do s = s + useconst(i) end
print(s)
local loops = {}
for i = 1, 5 do
  local j = 0
  while j < 30 do
    j = j + 1
    local k = j
    if j == 15 then
      loops[#loops + 1] = function()
        k = k + 1
        j = j + 0
        return k, j
      end
    end
  end
end
for i = 1, 5 do print(loops[i]()) end
local rec
rec = function(k)
  if k > 0 then
    n = n + k
    return rec(k - 1)
  end
  return n
end
for i = 1, 30 do rec(10) end
print(n)
do
  local _ENV = { s = 0 }
  for i = 1, 200 do
    s = s + i
    t = s
  end
  n2 = s
end
print(n2)
