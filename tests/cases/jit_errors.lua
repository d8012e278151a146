-- Errors raised in hot loops: caught by pcall inside and outside, with the right line and name, natives' and operators' errors.
local n, msgs = 0, {}
for i = 1, 200 do
  local ok, e = pcall(function()
    if i % 50 == 0 then error("at " .. i, 0) end
    return i
  end)
  if ok then n = n + e else msgs[#msgs + 1] = e end
end
print(n, table.concat(msgs, " "))
local function loop(t)
  local s = 0
  for i = 1, 300 do
    s = s +
      t[i]
  end
  return s
end
local t = {}
for i = 1, 300 do t[i] = i end
print(loop(t))
t[250] = nil
print(pcall(loop, t))
t[250] = "x"
print(pcall(loop, t))
t[250] = {}
print(pcall(loop, t))
t[250] = 2.5
print(pcall(loop, t))
local function fields(o)
  local s = 0
  for i = 1, 200 do
    local p = o[i % 4 + 1]
    s = s + p.x.y
  end
  return s
end
local o = {}
for i = 1, 4 do o[i] = { x = { y = i } } end
print(fields(o))
o[3].x = nil
print(pcall(fields, o))
o[3] = nil
print(pcall(fields, o))
o[3] = { x = {} }
print(pcall(fields, o))
o[3] = 5
print(pcall(fields, o))
print(pcall(fields))
local function calls(f)
  local s = 0
  for i = 1, 200 do
    if i == 150 then f = nil end
    s = s + f(i)
  end
  return s
end
print(pcall(calls, function(x) return x end))
print(pcall(calls, math.abs))
local function natives(v)
  local s = 0
  for i = 1, 200 do
    s = s + math.floor(i == 120 and v or i)
    s = s + #string.rep("a", i == 160 and v or 2)
  end
  return s
end
print(natives(3))
print(pcall(natives, {}))
print(pcall(natives, "x"))
print(pcall(natives, "7"))
print(pcall(natives, nil))
local function ops(v)
  local s = 0
  for i = 1, 200 do
    local w = i == 177 and v or i
    s = (s + w * 2 - (w & 1)) // 1
    if w < 0 then s = 0 end
  end
  return s
end
print(ops(5))
for _, v in ipairs { "a", {}, 1.5, "12", true, print } do
  print(type(v), (select(2, pcall(ops, v))))
end
local function divs(d)
  local s = 0
  for i = 1, 100 do s = s + 100 // (i == 90 and d or i) + 100 % (i == 95 and d or i) end
  return s
end
print(divs(1))
print(pcall(divs, 0))
print(pcall(divs, 0.0) )
local depth, log = 0, {}
local function nest(k)
  if k == 0 then error({ code = depth }) end
  depth = depth + 1
  local ok, e = pcall(nest, k - 1)
  depth = depth - 1
  e.code = e.code + 1
  if k % 2 == 0 then
    log[#log + 1] = e.code
    return e.code
  end
  error(e)
end
for i = 1, 30 do local ok, e = pcall(nest, 6) end
print(#log, log[#log], depth)
local cnt = 0
for i = 1, 100 do
  local ok, e = xpcall(function()
    local x = nil
    if i % 3 == 0 then return x.field end
    return i
  end, function(m)
    cnt = cnt + 1
    return m
  end)
end
print(cnt)
local function assertive(i)
  assert(i ~= 77, "no 77")
  return i
end
local sum = 0
for i = 1, 100 do
  local ok, e = pcall(assertive, i)
  sum = sum + (ok and e or #e)
end
print(sum)
print(pcall(function()
  local s = 0
  for i = 1, 150 do s = s + assertive(i) end
  return s
end))
local function tb()
  local function inner(i)
    if i == 120 then error("deep in the loop") end
    return i
  end
  local s = 0
  for i = 1, 150 do s = s + inner(i) end
  return s
end
print(xpcall(tb, debug.traceback))
local closed = 0
for i = 1, 100 do
  pcall(function()
    local c <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    if i % 2 == 0 then error("x") end
  end)
end
print(closed)
local function cmp(v)
  local c = 0
  for i = 1, 150 do if (i == 140 and v or i) < 100 then c = c + 1 end end
  return c
end
print(cmp(1))
print(pcall(cmp, "s"))
print(pcall(cmp, {}))
print(pcall(cmp, 1.5))
local function idx(k)
  local tt = {}
  for i = 1, 150 do tt[i == 140 and k or i] = i end
  return #tt
end
print(idx(5) ~= nil)
print(pcall(idx, 0 / 0))
local function cat(v)
  local s = ""
  for i = 1, 150 do s = (i == 140 and v or "a") .. i end
  return s
end
print(cat("b"))
print(pcall(cat, {}))
print(pcall(cat, true))
print(pcall(cat, 5))
