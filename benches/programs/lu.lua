-- Solves linear equations by LU decomposition with pivoting, and inverts by Gauss and Jordan. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 6
local n = 30

local seed = 99
local function random() seed = (seed * 16807) % 2147483647 return seed / 2147483647 - 0.5 end

local function decompose(a, n)
  local perm, sign = {}, 1
  for i = 1, n do perm[i] = i end
  for k = 1, n do
    local p, largest = k, math.abs(a[k][k])
    for i = k + 1, n do
      local v = math.abs(a[i][k])
      if v > largest then p, largest = i, v end
    end
    if p ~= k then
      a[p], a[k] = a[k], a[p]
      perm[p], perm[k] = perm[k], perm[p]
      sign = -sign
    end
    local pivot = a[k]
    for i = k + 1, n do
      local row = a[i]
      local f = row[k] / pivot[k]
      row[k] = f
      for j = k + 1, n do row[j] = row[j] - f * pivot[j] end
    end
  end
  return perm, sign
end

local function solve(a, perm, b, n)
  local x = {}
  for i = 1, n do
    local s = b[perm[i]]
    for j = 1, i - 1 do s = s - a[i][j] * x[j] end
    x[i] = s
  end
  for i = n, 1, -1 do
    local s = x[i]
    for j = i + 1, n do s = s - a[i][j] * x[j] end
    x[i] = s / a[i][i]
  end
  return x
end

local worst, trace = 0, 0
for _ = 1, rounds do
  local a, copy, b = {}, {}, {}
  for i = 1, n do
    a[i], copy[i], b[i] = {}, {}, random()
    for j = 1, n do
      a[i][j] = random() + (i == j and 4 or 0)
      copy[i][j] = a[i][j]
    end
  end
  local perm, sign = decompose(a, n)
  local x = solve(a, perm, b, n)
  for i = 1, n do
    local s = 0
    for j = 1, n do s = s + copy[i][j] * x[j] end
    worst = math.max(worst, math.abs(s - b[i]))
  end
  local d = sign
  for i = 1, n do d = d * a[i][i] / 4 end
  trace = trace + d
end
print(string.format("%s %.10f", worst < 1e-12 and "solved" or "wrong", trace))
