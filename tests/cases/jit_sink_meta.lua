-- Tables with metatables that need not be made; and such that must be made, since somebody notices.
local Complex = {}
Complex.__index = Complex
local function complex(re, im) return setmetatable({ re = re, im = im }, Complex) end
function Complex.__add(a, b) return complex(a.re + b.re, a.im + b.im) end
function Complex.__mul(a, b) return complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re) end
function Complex.__eq(a, b) return a.re == b.re and a.im == b.im end
function Complex.__tostring(a) return string.format("%g%+gi", a.re, a.im) end
function Complex:norm() return self.re * self.re + self.im * self.im end

local z, c, n = complex(0, 0), complex(-0.1, 0.65), 0
for i = 1, 500 do
  z = z * z + c
  if i % 100 == 0 then print(z, getmetatable(z) == Complex, z == complex(z.re, z.im), rawequal(z, z * complex(1, 0))) end
  if z:norm() > 4 then z = complex(0, 0) n = n + 1 end
end
print(z, n)

-- The metatable comes late, and is another one at times.
local A, B = { __index = { kind = "a" } }, { __index = { kind = "b" } }
local counts = { a = 0, b = 0 }
for i = 1, 300 do
  local o = { n = i }
  if i % 2 == 0 then o.even = true end
  setmetatable(o, i % 50 == 0 and B or A)
  counts[o.kind] = counts[o.kind] + (o.even and 1 or 0)
end
print(counts.a, counts.b)

-- A class changes while its objects are in hand.
local Class = { value = 1 }
Class.__index = Class
local sum = 0
for i = 1, 300 do
  local o = setmetatable({ own = i }, Class)
  if i == 200 then Class.value = 10 end
  sum = sum + o.value + o.own
  if i == 250 then Class.__index = function(_, k) return #k end end
end
print(sum)

-- Finalizers run for each.
local closed = 0
local Resource = { __gc = function(r) closed = closed + r.weight end }
for i = 1, 300 do
  local r = setmetatable({ weight = 2 }, Resource)
  if r.weight == 3 then print("never") end
end
collectgarbage()
collectgarbage()
print(closed)

-- A finalizer that the metatable gets in the middle.
local Late = {}
closed = 0
for i = 1, 300 do
  if i == 201 then Late.__gc = function() closed = closed + 1 end end
  local r = setmetatable({ weight = i }, Late)
  if r.weight == 0 then print("never") end
end
collectgarbage()
collectgarbage()
print(closed)

-- Weak values and keys go, strong ones stay.
local gone = 0
for i = 1, 300 do
  local weak = setmetatable({ value = { n = i }, name = i }, { __mode = "v" })
  local strong = { value = { n = i } }
  if i % 100 == 0 then
    collectgarbage()
    if weak.value == nil then gone = gone + 1 end
    assert(strong.value.n == i and weak.name == i)
  end
end
print(gone)
local memo = setmetatable({}, { __mode = "k" })
for i = 1, 300 do
  local key = { n = i }
  memo[key] = i
  if i % 150 == 0 then
    collectgarbage()
    local left = 0
    for k, v in pairs(memo) do left = left + 1 assert(k.n == v) end
    print(left, memo[key])
  end
end
