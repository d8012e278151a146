-- Edit distance, longest common subsequence and the knapsack, by dynamic programming. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 12

local seed = 42
local function random(n) seed = (seed * 16807) % 2147483647 return seed % n end
local function word(n)
  local t = {}
  for i = 1, n do t[i] = string.char(97 + random(4)) end
  return table.concat(t)
end

local function distance(a, b)
  local previous, current = {}, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    current[0] = i
    local c = a:byte(i)
    for j = 1, #b do
      local best = previous[j - 1] + (c == b:byte(j) and 0 or 1)
      local up, left = previous[j] + 1, current[j - 1] + 1
      if up < best then best = up end
      if left < best then best = left end
      current[j] = best
    end
    previous, current = current, previous
  end
  return previous[#b]
end

local function common(a, b)
  local t = {}
  for i = 0, #a do t[i] = {} for j = 0, #b do t[i][j] = 0 end end
  for i = 1, #a do
    for j = 1, #b do
      if a:sub(i, i) == b:sub(j, j) then t[i][j] = t[i - 1][j - 1] + 1
      else t[i][j] = math.max(t[i - 1][j], t[i][j - 1]) end
    end
  end
  local out, i, j = {}, #a, #b
  while i > 0 and j > 0 do
    if a:sub(i, i) == b:sub(j, j) then
      table.insert(out, 1, a:sub(i, i))
      i, j = i - 1, j - 1
    elseif t[i - 1][j] >= t[i][j - 1] then i = i - 1
    else j = j - 1 end
  end
  return table.concat(out)
end

local function knapsack(items, capacity)
  local best = {}
  for c = 0, capacity do best[c] = 0 end
  for _, item in ipairs(items) do
    for c = capacity, item.weight, -1 do
      local with = best[c - item.weight] + item.value
      if with > best[c] then best[c] = with end
    end
  end
  return best[capacity]
end

local total, lengths = 0, 0
for _ = 1, rounds do
  local a, b = word(90), word(100)
  total = total + distance(a, b)
  local c = common(a:sub(1, 50), b:sub(1, 50))
  lengths = lengths + #c
  local items = {}
  for i = 1, 25 do items[i] = { weight = random(40) + 1, value = random(100) } end
  total = total + knapsack(items, 200)
end
print(string.format("%d %d %s", total, lengths, common("the quick brown fox jumps", "a slow brown dog jumped")))
print(string.format("%d %d", distance("kitten", "sitting"), distance("", "abc")))
