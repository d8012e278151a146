-- Table constructors with holes, and with lists of any length; closures of many variables, shared or not.
local lengths, sums = {}, 0
for i = 1, 200 do
  local none = nil
  local t = { i, none, i + 1 }
  local u = { none, none, 1.5 }
  local v = { none, "x", none, [2] = 9, [7] = 7, k = i }
  local w = { i, none }
  sums = sums + #t + #u + t[3] + u[3] + v[7] + #w + (t[2] or 1000) + (v[2] == "x" and 1 or 0) + (v[1] or 0)
  u[2] = i
  t[2] = "y"
  sums = sums + u[2] + #t
  lengths[#t] = (lengths[#t] or 0) + 1
end
print(sums, lengths[3])
local function pack(...) return { ... }, { n = select("#", ...), ... }, { 0, ... }, { ..., 0 } end
local function list(n) return table.unpack({ 1, nil, 3, nil, 5.5, nil, "7" }, 1, n) end
local checks = 0
for i = 1, 300 do
  local a, b, c, d = pack(list(i % 8))
  checks = checks + b.n + (a[1] or 100) + (a[3] or 100) + (b[5] or 100) + (c[2] or 0) + #d + (a[2] and 1e6 or 0)
  if #c > 7 and c[8] ~= "7" then checks = checks + 1e6 end
end
print(checks)

-- Five and seven captured variables, some of them also an outer function's.
local outer = 0
local adders, s = {}, 0
for i = 1, 200 do
  local a, b, c, d, e, f, g = i, i + 0.5, tostring(i), { i }, i % 2 == 0, nil, i
  local get = function()
    a = a + 1
    outer = outer + 1
    return a + b + #c + d[1] + (e and 1 or 0) + (f or 0) + g
  end
  local set = function(x) a, b, c, d, e, f, g = x, x, "", { x }, true, x, x end
  s = s + get() + get()
  set(i)
  s = s + get()
  if i % 50 == 0 then adders[#adders + 1] = get end
end
print(s, outer)
for _, get in ipairs(adders) do s = s + get() end
collectgarbage()
for _, get in ipairs(adders) do s = s + get() end
print(s, outer)
for i = 1, 4 do
  local n = 1
  while debug.getupvalue(adders[1], n) do n = n + 1 end
  if i < 4 then print(n, debug.upvalueid(adders[i], 1) ~= debug.upvalueid(adders[i + 1], 1)) end
end
