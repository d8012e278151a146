-- The product of two square matrices held as rows. Size: rows.
local n = tonumber(arg and arg[1]) or 70

local function generate(n, seed)
  local m, scale = {}, seed / n / n
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = scale * (i - j) * (i + j - 2) end
    m[i] = row
  end
  return m
end

local function multiply(a, b, n)
  local columns, c = {}, {}
  for j = 1, n do
    local column = {}
    for k = 1, n do column[k] = b[k][j] end
    columns[j] = column
  end
  for i = 1, n do
    local row, out = a[i], {}
    for j = 1, n do
      local column, sum = columns[j], 0.0
      for k = 1, n do sum = sum + row[k] * column[k] end
      out[j] = sum
    end
    c[i] = out
  end
  return c
end

local c = multiply(generate(n, 1.0), generate(n, 2.0), n)
local half = n / 2 - n / 2 % 1
print(string.format("%.9f %.9f", c[half + 1][half + 1], c[1][n]))
