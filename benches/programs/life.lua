-- Conway's game of life on a torus, from a glider gun's neighbourhood of patterns. Size: generations.
local generations = tonumber(arg and arg[1]) or 40
local w, h = 48, 32

local function empty()
  local g = {}
  for y = 1, h do
    local row = {}
    for x = 1, w do row[x] = 0 end
    g[y] = row
  end
  return g
end

local grid, spare = empty(), empty()
local function put(x, y, rows)
  for dy, row in ipairs(rows) do
    for dx = 1, #row do
      if row:sub(dx, dx) == "#" then grid[y + dy][x + dx] = 1 end
    end
  end
end
put(2, 2, { ".#.", "..#", "###" })
put(20, 10, { ".##", "##.", ".#." })
put(34, 20, { "###", "#..", ".#." })

for _ = 1, generations do
  for y = 1, h do
    local up, row, down = grid[y > 1 and y - 1 or h], grid[y], grid[y < h and y + 1 or 1]
    local out = spare[y]
    for x = 1, w do
      local l, r = x > 1 and x - 1 or w, x < w and x + 1 or 1
      local n = up[l] + up[x] + up[r] + row[l] + row[r] + down[l] + down[x] + down[r]
      if n == 3 or (n == 2 and row[x] == 1) then out[x] = 1 else out[x] = 0 end
    end
  end
  grid, spare = spare, grid
end

local alive = 0
for y = 1, h do
  local line = {}
  for x = 1, w do
    alive = alive + grid[y][x]
    line[x] = grid[y][x] == 1 and "#" or "."
  end
  if y % 4 == 0 then print(table.concat(line)) end
end
print(string.format("%d alive", alive))
