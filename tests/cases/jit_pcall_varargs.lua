-- pcall, select, table.pack and unpack, varargs of changing count on hot paths; sort and gsub calling back compiled closures.
local s = 0
for i = 1, 200 do
  local ok, a, b = pcall(function(x, y) return x + y, x - y end, i, 3)
  s = s + a * b
end
print(s)
local function va(...)
  local n = 0
  for k = 1, select("#", ...) do
    local v = select(k, ...)
    n = n + (v or 1)
  end
  return n
end
for i = 1, 150 do
  if i % 3 == 0 then
    s = s + va()
  elseif i % 3 == 1 then
    s = s + va(i, nil, i)
  else
    s = s + va(i, i, i, i, i)
  end
end
print(s)
local function pk(...)
  local t = table.pack(...)
  return t.n, t[t.n]
end
for i = 1, 100 do
  local n, l = pk(i, i + 1, i + 2)
  s = s + n + l
end
print(s)
local args = { 1, 2, 3, 4, 5 }
for i = 1, 150 do
  args[i % 5 + 1] = i
  s = s + math.max(table.unpack(args)) - math.min(table.unpack(args, 2, 4))
end
print(s)
local function fwd(f, ...) return f(...) end
for i = 1, 150 do s = s + fwd(fwd, fwd, va, i, 2) end
print(s)
local t = {}
for r = 1, 30 do
  for i = 1, 40 do t[i] = (i * 7919 + r) % 101 end
  table.sort(t, function(a, b) return a > b end)
  s = s + t[1] * t[40]
end
print(s)
for r = 1, 30 do
  local x = ("a1b22c333"):gsub("%d+", function(d)
    s = s + d
    return "<" .. #d .. ">"
  end)
  s = s + #x
end
print(s)
local function cnt(...) return select("#", ...) end
for i = 1, 150 do
  local a = { cnt(table.unpack({}, 1, i % 7)), i }
  s = s + a[1]
end
print(s)
local function multi(i)
  if i % 4 == 0 then
    return
  elseif i % 4 == 1 then
    return i
  elseif i % 4 == 2 then
    return i, i
  end
  return i, i, i
end
for i = 1, 200 do
  local a, b, c = multi(i)
  s = s + (a or 1) + (b or 2) + (c or 3) + cnt(multi(i)) + cnt(multi(i), multi(i))
end
print(s)
for i = 1, 100 do
  local tt = { multi(i) or 0, multi(i + 1), n = i }
  s = s + #tt
end
print(s % 100000)
local depth = 0
local function nested(n)
  if n == 0 then return 0 end
  local ok, v = pcall(nested, n - 1)
  return v + 1
end
for i = 1, 100 do depth = depth + nested(i % 10) end
print(depth)
local function tailva(n, ...)
  if n == 0 then return select("#", ...) end
  return tailva(n - 1, n, ...)
end
for i = 1, 60 do depth = depth + tailva(i % 12) end
print(depth)
local sumsq = 0
for i = 1, 200 do
  sumsq = sumsq + (function(...)
    local a, b = ...
    return a * (b or a)
  end)(i, i % 2 == 0 and i or nil)
end
print(sumsq)
local m = {}
for i = 1, 150 do
  local ok, e = pcall(next, m)
  if ok and e == nil then m[i] = true else m[e] = nil end
end
print(next(m) ~= nil or "empty")
for i = 1, 100 do
  local f = load("return " .. i .. " + ...")
  s = s + f(i)
end
print(s % 100000)
local str = 0
for i = 1, 100 do str = str + #table.concat({ multi(i) }, ",") end
print(str)
local typ = {}
for i = 1, 200 do
  local v = ({ 1, 1.5, "s", {}, print, true })[i % 6 + 1]
  local k = math.type(v) or type(v)
  typ[k] = (typ[k] or 0) + 1
end
print(typ.integer, typ.float, typ.string, typ.table, typ["function"], typ.boolean)
