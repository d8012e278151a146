-- Permutations by recursion with swaps, by Heap's method through a coroutine, and by lexicographic steps. Size: elements.
local n = tonumber(arg and arg[1]) or 7

local function recursive(n)
  local t, count, sum = {}, 0, 0
  for i = 1, n do t[i] = i end
  local function go(k)
    if k == 1 then
      count = count + 1
      sum = (sum * 3 + t[1] * t[n] + count) % 99991
      return
    end
    for i = 1, k do
      t[i], t[k] = t[k], t[i]
      go(k - 1)
      t[i], t[k] = t[k], t[i]
    end
  end
  go(n)
  return count, sum
end

local function heap(t, k)
  if k == 1 then coroutine.yield(t) return end
  for i = 1, k do
    heap(t, k - 1)
    local j = k % 2 == 0 and i or 1
    t[j], t[k] = t[k], t[j]
  end
end

local function following(t)
  local n = #t
  local i = n - 1
  while i > 0 and t[i] >= t[i + 1] do i = i - 1 end
  if i == 0 then return false end
  local j = n
  while t[j] <= t[i] do j = j - 1 end
  t[i], t[j] = t[j], t[i]
  local a, b = i + 1, n
  while a < b do
    t[a], t[b] = t[b], t[a]
    a, b = a + 1, b - 1
  end
  return true
end

local count, sum = recursive(n)
print(string.format("%d %d", count, sum))
local t, seen, hash = {}, 0, 0
for i = 1, n do t[i] = i end
for p in coroutine.wrap(function() heap(t, n) end) do
  seen = seen + 1
  hash = (hash * 5 + p[1] + 10 * p[2]) % 99991
end
print(string.format("%d %d", seen, hash))
local l, steps = {}, 1
for i = 1, n do l[i] = i end
while following(l) do steps = steps + 1 end
print(steps, table.concat(l, ","))
