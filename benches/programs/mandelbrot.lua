-- Counts the points of a grid that stay in the Mandelbrot set. Size: points a side.
local n = tonumber(arg and arg[1]) or 64
local limit = 50

local inside, sum = 0, 0
for py = 0, n - 1 do
  local ci = 2.0 * py / n - 1.0
  for px = 0, n - 1 do
    local cr = 2.0 * px / n - 1.5
    local zr, zi, zr2, zi2 = 0.0, 0.0, 0.0, 0.0
    local k = 0
    while k < limit and zr2 + zi2 <= 4.0 do
      zi = 2.0 * zr * zi + ci
      zr = zr2 - zi2 + cr
      zr2, zi2 = zr * zr, zi * zi
      k = k + 1
    end
    if k == limit then inside = inside + 1 end
    sum = sum + k
  end
end
print(string.format("%d inside, %d iterations", inside, sum))
