-- A loop in a vararg function uses its extra arguments; calls with other numbers of them come after it is hot.
local function sum(...)
  local s = 0
  for i = 1, 60 do
    local a, b, c = ...
    s = s + (a or 0) + (b or 0) * 2 + (c or 0) * 3 + select("#", ...)
    local t = { ... }
    s = s + #t + (select(-1, 7, ...) or 0)
  end
  return s
end
for i = 1, 5 do print(sum(1, 2, 3), sum(), sum(i), sum(1, nil, 3, 4), sum(1, 2), sum(1.5, "2", 3)) end

local function pick(n, ...)
  local out = {}
  for i = 1, 40 do
    for j = 1, select("#", ...) do out[#out + 1] = (select(j, ...)) end
    if #out > 30 then out = { n } end
  end
  return table.concat(out, ",")
end
print(pick(1, "a", "b"), pick(2, "x"), pick(3, 1, 2, 3, 4, 5), pick(4))

-- Many of them.
local many = {}
for i = 1, 100 do many[i] = i end
print(sum(table.unpack(many)), pick(9, table.unpack(many)))

-- Floats as keys.
local t, n = {}, 0
for i = 1, 200 do t[i / 1] = i * 2.0 t[i / 2 // 1] = i end
for i = 1, 200 do n = n + t[i * 1.0] end
print(n, #t, math.type(next(t)), pcall(function() for i = 1, 100 do t[i < 90 and 1.0 * i or 0 / 0] = 1 end end))
for i = 1, 100 do t[i + (i > 80 and 0.5 or 0.0)] = i end
print(t[90.5], t[80], t[90])
