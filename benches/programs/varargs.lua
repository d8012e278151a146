-- Functions of any number of arguments and results: sums, packing, partial application, reversal. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 1200
local unpack = table.unpack or unpack

local function sum(...)
  local s = 0
  for i = 1, select("#", ...) do s = s + (select(i, ...)) end
  return s
end
local function add(first, ...)
  if first == nil then return 0 end
  return first + add(...)
end
local function largest(...)
  local t, m = { ... }, -math.huge
  for i = 1, #t do if t[i] > m then m = t[i] end end
  return m
end
local function partial(f, ...)
  local bound, n = { ... }, select("#", ...)
  return function(...)
    local all = { unpack(bound, 1, n) }
    for i = 1, select("#", ...) do all[n + i] = (select(i, ...)) end
    return f(unpack(all, 1, n + select("#", ...)))
  end
end
local function reversed(a, ...)
  if a == nil then return end
  local t = { reversed(...) }
  t[#t + 1] = a
  return unpack(t)
end
local function pass(...) return ... end
local function count(...) return select("#", ...) end

local total = 0
for i = 1, rounds do
  total = total + sum(1, 2, 3, i, i % 5) + add(i, 1, 2, 3) + largest(i % 7, 3, i % 11, 5)
  total = total + partial(sum, 1, i)(2, 3) + count(pass(i, nil, nil)) + count(pass())
  local a, b, c = reversed(i, 2, 3)
  total = total + a * 2 + b * 3 + c
  total = total + count(pass(1, 2), pass(3, 4), (pass(5, 6)))
end
print(string.format("%d", total))
