-- Heat in a plate by Gauss-Seidel and by Jacobi with two grids. Size: sweeps.
local sweeps = tonumber(arg and arg[1]) or 20
local n = 60

local function plate()
  local g = {}
  for y = 1, n do
    g[y] = {}
    for x = 1, n do g[y][x] = 0.0 end
  end
  for x = 1, n do g[1][x], g[n][x] = 100.0, 25.0 end
  for y = 1, n do g[y][1] = 50.0 end
  return g
end

local function seidel(g)
  local change = 0.0
  for y = 2, n - 1 do
    local up, row, down = g[y - 1], g[y], g[y + 1]
    for x = 2, n - 1 do
      local v = 0.25 * (up[x] + down[x] + row[x - 1] + row[x + 1])
      local d = v - row[x]
      if d < 0 then d = -d end
      if d > change then change = d end
      row[x] = v
    end
  end
  return change
end

local function jacobi(from, to)
  for y = 2, n - 1 do
    local up, row, down, out = from[y - 1], from[y], from[y + 1], to[y]
    for x = 2, n - 1 do out[x] = 0.25 * (up[x] + down[x] + row[x - 1] + row[x + 1]) end
  end
end

local a, b, c, change = plate(), plate(), plate(), 0
for _ = 1, sweeps do
  change = seidel(a)
  jacobi(b, c)
  b, c = c, b
end
local sa, sb = 0, 0
for y = 1, n do for x = 1, n do sa, sb = sa + a[y][x], sb + b[y][x] end end
print(string.format("%.6f %.6f %.6f", change, sa, sb))
