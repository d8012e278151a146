-- Iterators that compose: map, filter, take, zip, chain, enumerate, window, by closures and by stateless functions.
local function range(a, b, c)
  c = c or 1
  local i = a - c
  return function()
    i = i + c
    if (c > 0 and i <= b) or (c < 0 and i >= b) then return i end
  end
end
local function map(f, it)
  return function()
    local v = it()
    if v ~= nil then return f(v) end
  end
end
local function filter(p, it)
  return function()
    while true do
      local v = it()
      if v == nil or p(v) then return v end
    end
  end
end
local function take(n, it)
  return function()
    if n > 0 then
      n = n - 1
      return it()
    end
  end
end
local function zip(a, b)
  return function()
    local x, y = a(), b()
    if x ~= nil and y ~= nil then return x, y end
  end
end
local function chain(...)
  local its, k = { ... }, 1
  return function()
    while its[k] do
      local v = its[k]()
      if v ~= nil then return v end
      k = k + 1
    end
  end
end
local function collect(it)
  local t = {}
  for v in it do t[#t + 1] = v end
  return t
end
local function fold(f, a, it)
  for v in it do a = f(a, v) end
  return a
end
print(table.concat(collect(map(function(x) return x * x end, filter(function(x)
  return x % 2 == 1
end, range(1, 20)))), " "))
print(table.concat(collect(take(5, map(function(x)
  return x * 2
end, range(1, math.huge)))), " "))
for a, b in zip(range(1, 3), range(10, 1, -3)) do io.write(a, ":", b, " ") end
print()
print(table.concat(collect(chain(range(1, 3), range(7, 9), range(5, 4), range(0, 0))), ","))
print(fold(function(a, b) return a + b end, 0, map(function(x)
  return x / 2
end, range(1, 1000))))
local function window(t, n)
  return function(s, i)
    i = i + 1
    if i + n - 1 <= #s then return i, table.unpack(s, i, i + n - 1) end
  end, t, 0
end
for i, a, b in window({ 1, 4, 9, 16 }, 2) do io.write(i, ":", b - a, " ") end
print()
local function sorted(t)
  local ks = {}
  for k in pairs(t) do ks[#ks + 1] = k end
  table.sort(ks)
  local i = 0
  return function()
    i = i + 1
    return ks[i], t[ks[i]]
  end
end
for k, v in sorted { b = 2, a = 1, c = 3 } do io.write(k, v, " ") end
print()
local function rev(t)
  return function(s, i)
    i = i - 1
    if i > 0 then return i, s[i] end
  end, t, #t + 1
end
for i, v in rev { "x", "y", "z" } do io.write(i, v, " ") end
print()
local function primes()
  local found = {}
  return coroutine.wrap(function()
    local n = 2
    while true do
      local p = true
      for _, q in ipairs(found) do
        if q * q > n then break end
        if n % q == 0 then
          p = false
          break
        end
      end
      if p then
        found[#found + 1] = n
        coroutine.yield(n)
      end
      n = n + 1
    end
  end)
end
print(table.concat(collect(take(20, primes())), " "))
local function group(it, n)
  return function()
    local g = {}
    for i = 1, n do
      g[i] = it()
      if g[i] == nil then break end
    end
    if #g > 0 then return g end
  end
end
for g in group(range(1, 7), 3) do io.write("(", table.concat(g, " "), ")") end
print()
local lines = 0
for l in ("a\nbb\n\nccc\n"):gmatch("([^\n]*)\n") do
  lines = lines + 1
  io.write("[", l, "]")
end
print(lines)
local s = 0
for r = 1, 30 do
  s = s + fold(function(a, b) return a ~ b end, 0, filter(function(x)
    return x & r == 0
  end, range(1, 200)))
end
print(s)
