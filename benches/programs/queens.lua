-- All placements of n queens by backtracking. Size: the board.
local n = tonumber(arg and arg[1]) or 7

local solutions, first = 0, nil
local columns, rising, falling, place = {}, {}, {}, {}
for i = 1, 2 * n do rising[i], falling[i] = false, false end
for i = 1, n do columns[i] = false end

local function try(row)
  if row > n then
    solutions = solutions + 1
    if not first then first = table.concat(place, " ") end
    return
  end
  for c = 1, n do
    local up, down = row + c, row - c + n
    if not columns[c] and not rising[up] and not falling[down] then
      columns[c], rising[up], falling[down] = true, true, true
      place[row] = c
      try(row + 1)
      columns[c], rising[up], falling[down] = false, false, false
    end
  end
end

try(1)
print(string.format("%d queens: %d solutions, first %s", n, solutions, first))
