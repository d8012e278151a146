-- Field access with one and with many shapes, fields added in loops, removed, dictionaries, inherited ones.
local p = { x = 1, y = 2 }
for i = 1, 200 do
  p.x = p.x + p.y
  p.y = p.y + 1
end
print(p.x, p.y)
local shapes = { { x = 1 }, { y = 0, x = 2 }, { z = 0, y = 0, x = 3 }, { x = 4, w = 1 }, { a = 1, b = 2, c = 3,
  x = 5 } }
local s = 0
for i = 1, 500 do
  local o = shapes[i % 5 + 1]
  s = s + o.x
  o.x = o.x + 1
end
print(s)
local o = {}
for i = 1, 100 do o["f" .. i] = i end
s = 0
for i = 1, 100 do s = s + o["f" .. i] end
print(s)
for i = 1, 100 do
  local q = {}
  q.a = i
  q.b = i * 2
  q.c = q.a + q.b
  if i % 10 == 0 then q.d = 1 end
  s = s + q.c + (q.d or 0)
end
print(s)
local r = {}
for i = 1, 200 do
  r.count = (r.count or 0) + 1
  if i == 100 then r.count = nil end
end
print(r.count)
local base = { kind = "base", get = function(self) return self.v end }
base.__index = base
local derived = setmetatable({ get2 = function(self) return self:get() * 2 end }, base)
derived.__index = derived
local objs = {}
for i = 1, 10 do objs[i] = setmetatable({ v = i }, i % 2 == 0 and base or derived) end
s = 0
for i = 1, 300 do
  local ob = objs[i % 10 + 1]
  s = s + ob:get()
  if ob.get2 then s = s + ob:get2() end
  if ob.kind ~= "base" then s = s + 1e9 end
end
print(s)
for i = 1, 200 do
  if i == 120 then base.get = function(self) return -self.v end end
  s = s + objs[1]:get()
end
print(s)
for i = 1, 200 do
  if i == 100 then derived.get = function() return 1000 end end
  s = s + objs[1]:get() + objs[2]:get()
end
print(s)
derived.get = nil
for i = 1, 100 do
  s = s + objs[1]:get()
  if i == 50 then
    setmetatable(derived, { __index = function(_, k)
      return function() return #k end
    end })
  end
end
print(s)
local k1, k2 = "alpha", "beta"
local d = {}
for i = 1, 200 do
  local k = i % 2 == 0 and k1 or k2
  d[k] = (d[k] or 0) + i
end
print(d.alpha, d.beta)
local cfg = { deep = { er = { value = 1 } } }
for i = 1, 150 do
  cfg.deep.er.value = cfg.deep.er.value + i % 3
  if i == 75 then cfg.deep = { er = { value = 1000 } } end
end
print(cfg.deep.er.value)
local miss = {}
s = 0
for i = 1, 200 do
  if miss.field then s = s + miss.field end
  if i == 100 then miss.field = 5 end
  if i == 150 then miss.field = false end
end
print(s)
local mt = {}
local lazy = setmetatable({}, mt)
s = 0
for i = 1, 200 do
  s = s + (lazy.val or 0)
  if i == 50 then
    mt.__index = { val = 1 }
  elseif i == 100 then
    mt.__index = function() return 10 end
  elseif i == 150 then
    rawset(lazy, "val", 100)
  end
end
print(s)
local g = 0
for i = 1, 200 do
  counter = (counter or 0) + 1
  g = g + counter
end
print(g, counter)
for i = 1, 100 do
  if i == 50 then math.floor2 = function(x) return x // 1 end end
  s = s + (math.floor2 and math.floor2(i + 0.5) or 0)
end
print(s)
local nt = {}
for i = 1, 150 do nt[i] = { id = i, name = "n" .. i, flag = i % 3 == 0 } end
local c = 0
for _, e in ipairs(nt) do
  if e.flag then c = c + e.id end
  e.flag = nil
  e.extra = #e.name
end
for _, e in ipairs(nt) do c = c + e.extra + (e.flag and 1 or 0) end
print(c)
local ro = setmetatable({}, { __newindex = function(t, k, v) rawset(t, k, v * 2) end })
for i = 1, 150 do
  ro.v = i
  ro["k" .. i % 3] = i
end
print(ro.v, ro.k0, ro.k1, ro.k2)
local cls = {}
cls.__index = cls
for i = 1, 200 do
  local inst = setmetatable({}, cls)
  inst.n = i
  s = s + inst.n
  if i == 100 then
    cls.n = 7
    cls.__index = nil
  end
  if i > 100 and inst.missing then s = 0 end
end
print(s)
