-- Quicksort, merge sort, heapsort, shell sort, insertion sort, radix sort and table.sort on the same numbers. Size: elements.
local n = tonumber(arg and arg[1]) or 700
local floor = math.floor

local seed = 7
local function random(m) seed = (seed * 16807) % 2147483647 return seed % m end

local function quick(t, lo, hi)
  while lo < hi do
    local p, i, j = t[floor((lo + hi) / 2)], lo, hi
    repeat
      while t[i] < p do i = i + 1 end
      while p < t[j] do j = j - 1 end
      if i <= j then
        t[i], t[j] = t[j], t[i]
        i, j = i + 1, j - 1
      end
    until i > j
    if j - lo < hi - i then
      quick(t, lo, j)
      lo = i
    else
      quick(t, i, hi)
      hi = j
    end
  end
end

local function merge(t)
  local a, b, width, n = t, {}, 1, #t
  while width < n do
    for lo = 1, n, 2 * width do
      local mid, hi = math.min(lo + width, n + 1), math.min(lo + 2 * width, n + 1)
      local i, j = lo, mid
      for k = lo, hi - 1 do
        if i < mid and (j >= hi or a[i] <= a[j]) then b[k] = a[i] i = i + 1
        else b[k] = a[j] j = j + 1 end
      end
    end
    a, b = b, a
    width = width * 2
  end
  return a
end

local function heap(t)
  local n = #t
  local function sift(root, last)
    local v = t[root]
    while 2 * root <= last do
      local child = 2 * root
      if child < last and t[child] < t[child + 1] then child = child + 1 end
      if t[child] <= v then break end
      t[root] = t[child]
      root = child
    end
    t[root] = v
  end
  for i = floor(n / 2), 1, -1 do sift(i, n) end
  for last = n, 2, -1 do
    t[1], t[last] = t[last], t[1]
    sift(1, last - 1)
  end
end

local function shell(t)
  local gap = floor(#t / 2)
  while gap > 0 do
    for i = gap + 1, #t do
      local v, j = t[i], i
      while j > gap and t[j - gap] > v do
        t[j] = t[j - gap]
        j = j - gap
      end
      t[j] = v
    end
    gap = floor(gap / 2)
  end
end

local function insertion(t)
  for i = 2, #t do
    local v, j = t[i], i - 1
    while j > 0 and t[j] > v do
      t[j + 1] = t[j]
      j = j - 1
    end
    t[j + 1] = v
  end
end

local function radix(t)
  local digit = 1
  while digit < 1000000 do
    local buckets = {}
    for d = 0, 9 do buckets[d] = {} end
    for i = 1, #t do
      local b = buckets[floor(t[i] / digit) % 10]
      b[#b + 1] = t[i]
    end
    local k = 0
    for d = 0, 9 do
      for i = 1, #buckets[d] do k = k + 1 t[k] = buckets[d][i] end
    end
    digit = digit * 10
  end
end

local source = {}
for i = 1, n do source[i] = random(1000000) end
local function check(name, sort)
  local t = {}
  for i = 1, n do t[i] = source[i] end
  t = sort(t) or t
  local hash = 0
  for i = 1, n do
    if i > 1 then assert(t[i - 1] <= t[i], name) end
    hash = (hash * 33 + t[i]) % 1000003
  end
  print(string.format("%-10s %d", name, hash))
end
check("quick", function(t) quick(t, 1, #t) end)
check("merge", merge)
check("heap", heap)
check("shell", shell)
if n <= 5000 then check("insertion", insertion) else check("insertion", quick and function(t) shell(t) insertion(t) end) end
check("radix", radix)
check("table.sort", function(t) table.sort(t) end)
check("by order", function(t) table.sort(t, function(a, b) return a < b end) end)
