-- A simulation of customers at counters, driven by a heap of events with a comparison function. Size: customers.
local customers = tonumber(arg and arg[1]) or 1500

local Heap = {}
Heap.__index = Heap
function Heap.new(less) return setmetatable({ n = 0, less = less }, Heap) end
function Heap:push(v)
  local less = self.less
  local i = self.n + 1
  self.n = i
  while i > 1 do
    local p = (i - i % 2) / 2
    if not less(v, self[p]) then break end
    self[i] = self[p]
    i = p
  end
  self[i] = v
end
function Heap:pop()
  local less, n = self.less, self.n
  if n == 0 then return nil end
  local top, v = self[1], self[n]
  self[n] = nil
  n = n - 1
  self.n = n
  if n > 0 then
    local i = 1
    while true do
      local c = 2 * i
      if c > n then break end
      if c < n and less(self[c + 1], self[c]) then c = c + 1 end
      if not less(self[c], v) then break end
      self[i] = self[c]
      i = c
    end
    self[i] = v
  end
  return top
end

local seed = 2024
local function random(n) seed = (seed * 16807) % 2147483647 return seed % n + 1 end

local events = Heap.new(function(a, b)
  if a.time ~= b.time then return a.time < b.time end
  return a.id < b.id
end)
local counters, waiting, served, waited, longest = 3, {}, 0, 0, 0
local first, last = 1, 0
local clock = 0
for id = 1, customers do
  clock = clock + random(10)
  events:push { time = clock, id = id, kind = "arrive", patience = random(3) }
end
local left = 0
local handlers = {}
local function serve(e, now)
  counters = counters - 1
  waited = waited + now - e.time
  events:push { time = now + random(35), id = e.id + customers, kind = "leave" }
end
function handlers.arrive(e)
  if counters > 0 then serve(e, e.time)
  elseif last - first + 1 > 20 * e.patience then left = left + 1
  else
    last = last + 1
    waiting[last] = e
    longest = math.max(longest, last - first + 1)
  end
end
function handlers.leave(e)
  counters = counters + 1
  served = served + 1
  if first <= last then
    local next_one = waiting[first]
    waiting[first] = nil
    first = first + 1
    serve(next_one, e.time)
  end
end
local now = 0
while true do
  local e = events:pop()
  if not e then break end
  assert(e.time >= now)
  now = e.time
  handlers[e.kind](e)
end
print(string.format("%d served, %d left, %d waited in all, longest queue %d, closed at %d", served, left, waited, longest, now))
