-- Shortest ways through a maze with walls and mud: A*, with a binary heap. Size: searches.
local searches = tonumber(arg and arg[1]) or 4
local w, h = 60, 40

local seed = 12345
local function random(n) seed = (seed * 16807) % 2147483647 return seed % n end

local cost = {}
for i = 1, w * h do
  local r = random(100)
  cost[i] = r < 28 and 0 or (r < 45 and 5 or 1)
end

local function search(sx, sy, tx, ty)
  local start, goal = (sy - 1) * w + sx, (ty - 1) * w + tx
  local best, from, closed = { [start] = 0 }, {}, {}
  local heap, keys, size = { start }, { 0 }, 1
  local expanded = 0
  local function push(v, key)
    size = size + 1
    local i = size
    while i > 1 do
      local p = math.floor(i / 2)
      if keys[p] <= key then break end
      heap[i], keys[i] = heap[p], keys[p]
      i = p
    end
    heap[i], keys[i] = v, key
  end
  local function pop()
    local top, v, key = heap[1], heap[size], keys[size]
    size = size - 1
    local i = 1
    while 2 * i <= size do
      local c = 2 * i
      if c < size and keys[c + 1] < keys[c] then c = c + 1 end
      if keys[c] >= key then break end
      heap[i], keys[i] = heap[c], keys[c]
      i = c
    end
    heap[i], keys[i] = v, key
    return top
  end
  while size > 0 do
    local at = pop()
    if at == goal then
      local length, step = 0, at
      while step do length, step = length + 1, from[step] end
      return best[at], length, expanded
    end
    if not closed[at] then
      closed[at] = true
      expanded = expanded + 1
      local x = (at - 1) % w + 1
      local y = (at - x) / w + 1
      for d = 1, 4 do
        local nx, ny = x, y
        if d == 1 then nx = x + 1 elseif d == 2 then nx = x - 1 elseif d == 3 then ny = y + 1 else ny = y - 1 end
        if nx >= 1 and nx <= w and ny >= 1 and ny <= h then
          local to = (ny - 1) * w + nx
          local c = cost[to]
          if c > 0 and not closed[to] then
            local g = best[at] + c
            if not best[to] or g < best[to] then
              best[to], from[to] = g, at
              push(to, g + math.abs(nx - tx) + math.abs(ny - ty))
            end
          end
        end
      end
    end
  end
  return nil, 0, expanded
end

local total, steps, opened, none = 0, 0, 0, 0
for i = 1, searches do
  local c, length, expanded = search(random(w) + 1, random(h) + 1, random(w) + 1, random(h) + 1)
  if c then total = total + c else none = none + 1 end
  steps, opened = steps + length, opened + expanded
end
print(string.format("cost %d, %d steps, %d cells opened, %d without a way", total, steps, opened, none))
