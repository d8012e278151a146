-- Tables that only exits see: each loop leaves its compiled code with such a table in hand, in a different way.
local function point(x, y) return { x = x, y = y } end

-- It escapes at an exit alone.
local kept
local sum = 0
for i = 1, 200 do
  local p = point(i, i * 0.5)
  if i == 150 then kept = p end
  sum = sum + p.x + p.y
end
print(sum, kept.x, kept.y)

-- Two names for one table, and two tables that look alike.
local results = {}
for i = 1, 200 do
  local p = point(i, -i)
  local q, r = p, point(i, -i)
  if i % 67 == 0 then
    q.x = "changed"
    results[#results + 1] = p.x .. " " .. r.x .. " " .. tostring(p == q) .. " " .. tostring(p == r)
  end
end
print(table.concat(results, "; "))

-- One in another, and two in each other.
results = {}
for i = 1, 200 do
  local a = { name = "a", n = i }
  local b = { name = "b", other = a }
  a.other = b
  local c = { inner = { inner = a, n = i + 1 }, again = b }
  if i % 60 == 0 then
    assert(a.other.other == a and c.inner.inner == c.again.other and c.again.other.other == b)
    results[#results + 1] = a.other.name .. b.other.name .. c.inner.inner.n .. " " .. c.inner.n
  end
end
print(table.concat(results, "; "))

-- A table that refers to itself.
for i = 1, 200 do
  local a = { n = i }
  a.self = a
  if i == 180 then print(a.self.self.self == a, a.self.n) end
end

-- Fields that are written after a check, more than once, and with values of all kinds.
results = {}
for i = 1, 200 do
  local p = { a = i, b = true, c = false, d = 1.5, e = "text", f = print, g = 0 }
  p.a = p.a + 1
  if i % 3 == 0 then p.g = p.g + 1 end
  p.a = p.a * 2
  if i % 50 == 0 then
    results[#results + 1] = table.concat({ p.a, tostring(p.b), tostring(p.c), p.d, p.e, tostring(p.f == print), p.g }, ",")
  end
  p.e = nil
  p.b = i
  if i % 70 == 0 then results[#results + 1] = tostring(p.e) .. p.b end
end
print(table.concat(results, "; "))

-- Fields that the constructor had no room for.
results = {}
for i = 1, 200 do
  local p = {}
  p.x = i
  p.y = i + 1
  local q = { x = 1 }
  q.y, q.z, q.w, q.v, q.u = 2, 3, i, 5, 6
  if i % 90 == 0 then
    local names = {}
    for k, v in pairs(q) do names[#names + 1] = k .. v end
    table.sort(names)
    results[#results + 1] = p.x + p.y .. table.concat(names)
  end
end
print(table.concat(results, "; "))

-- Live in the frames of inlined calls.
local log = {}
local function inner(p, i)
  if i % 80 == 0 then log[#log + 1] = p.x .. "/" .. p.y end
  return p.x
end
local function outer(i)
  local p = point(i, i + 1)
  local x = inner(p, i)
  p.y = p.y + x
  return p.y
end
sum = 0
for i = 1, 200 do sum = sum + outer(i) end
print(sum, table.concat(log, " "))

-- Compared with others, and with itself.
local fixed = {}
local same, other = 0, 0
for i = 1, 200 do
  local p = point(i, i)
  local q = i % 40 == 0 and fixed or p
  if p == q then same = same + 1 else other = other + 1 end
  if p == fixed or q == nil or rawequal(p, fixed) then other = other + 1000 end
end
print(same, other)
