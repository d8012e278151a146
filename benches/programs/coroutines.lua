-- Generators, a producer and a consumer with a filter between, and a round-robin scheduler. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 60

local yield, wrap = coroutine.yield, coroutine.wrap

local function range(n) return wrap(function() for i = 1, n do yield(i) end end) end

local function producer(n) return coroutine.create(function() for i = 1, n do yield(i * i) end return nil end) end
local function filter(source)
  return coroutine.create(function()
    while true do
      local _, v = coroutine.resume(source)
      if v == nil then return nil end
      if v % 3 ~= 0 then yield(v) end
    end
  end)
end
local function consume(source)
  local sum = 0
  while true do
    local _, v = coroutine.resume(source)
    if v == nil then return sum end
    sum = sum + v
  end
end

local function schedule(n, turns)
  local queue, log = {}, 0
  for id = 1, n do
    queue[id] = wrap(function()
      for t = 1, turns + id do log = (log * 7 + id * t) % 1000003 yield(true) end
      return false
    end)
  end
  local alive = n
  while alive > 0 do
    for id = 1, n do
      if queue[id] and not queue[id]() then
        queue[id] = false
        alive = alive - 1
      end
    end
  end
  return log
end

local function walk(t) -- in order, recursively
  if t then
    walk(t[1]) yield(t[2]) walk(t[3])
  end
end
local function tree(lo, hi)
  if lo > hi then return nil end
  local mid = (lo + hi - (lo + hi) % 2) / 2
  return { tree(lo, mid - 1), mid, tree(mid + 1, hi) }
end

local a, b, c, d = 0, 0, 0, 0
for round = 1, rounds do
  for i in range(100) do a = a + i end
  b = b + consume(filter(producer(100)))
  c = c + schedule(6, 15)
  local t = tree(1, 63)
  for v in wrap(function() walk(t) end) do d = d + v end
end
print(string.format("%d %d %d %d", a, b, c, d))
