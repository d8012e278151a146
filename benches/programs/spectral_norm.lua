-- The largest singular value of an infinite matrix, by the power method. Size: rows.
local n = tonumber(arg and arg[1]) or 60

local function a(i, j)
  local s = i + j - 1
  return 1.0 / (s * (s - 1) * 0.5 + i)
end

local function times(x, y)
  for i = 1, n do
    local sum = 0.0
    for j = 1, n do sum = sum + x[j] * a(i, j) end
    y[i] = sum
  end
end

local function transposed_times(x, y)
  for i = 1, n do
    local sum = 0.0
    for j = 1, n do sum = sum + x[j] * a(j, i) end
    y[i] = sum
  end
end

local u, v, t = {}, {}, {}
for i = 1, n do u[i] = 1.0 end
for _ = 1, 10 do
  times(u, t) transposed_times(t, v)
  times(v, t) transposed_times(t, u)
end
local top, bottom = 0.0, 0.0
for i = 1, n do
  top = top + u[i] * v[i]
  bottom = bottom + v[i] * v[i]
end
print(string.format("%.9f", math.sqrt(top / bottom)))
