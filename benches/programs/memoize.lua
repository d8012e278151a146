-- Memoized functions of one and two arguments: partitions, binomials, grid paths, Collatz lengths. Size: n.
local n = tonumber(arg and arg[1]) or 60

local calls = 0
local function memoize(f)
  local known = {}
  return function(x)
    local v = known[x]
    if v == nil then
      calls = calls + 1
      v = f(x)
      known[x] = v
    end
    return v
  end
end
local function memoize2(f)
  local known = setmetatable({}, { __index = function(t, k) local row = {} t[k] = row return row end })
  return function(x, y)
    local row = known[x]
    local v = row[y]
    if v == nil then
      calls = calls + 1
      v = f(x, y)
      row[y] = v
    end
    return v
  end
end

local P = 1000003
local partitions
partitions = memoize2(function(total, largest)
  if total == 0 then return 1 end
  if total < 0 or largest == 0 then return 0 end
  return (partitions(total, largest - 1) + partitions(total - largest, largest)) % P
end)
local binomial
binomial = memoize2(function(a, b)
  if b == 0 or a == b then return 1 end
  return (binomial(a - 1, b - 1) + binomial(a - 1, b)) % P
end)
local paths
paths = memoize2(function(x, y)
  if x == 0 or y == 0 then return 1 end
  if (x * 7 + y * 3) % 11 == 0 then return 0 end
  return (paths(x - 1, y) + paths(x, y - 1)) % P
end)
local collatz
collatz = memoize(function(k)
  if k == 1 then return 1 end
  return 1 + collatz(k % 2 == 0 and k / 2 or 3 * k + 1)
end)

print(string.format("%d %d %d", partitions(n, n), binomial(2 * n, n), paths(n, n)))
local best, at = 0, 0
for k = 1, 20 * n do
  local length = collatz(k)
  if length > best then best, at = length, k end
end
print(string.format("%d takes %d steps; %d calls", at, best, calls))
