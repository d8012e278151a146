-- Singly and doubly linked lists: build, reverse, merge sort, filter, and a cache that drops the least recently used. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 12

local seed = 17
local function random(n) seed = (seed * 16807) % 2147483647 return seed % n end

local function from_random(n)
  local list
  for _ = 1, n do list = { value = random(10000), next = list } end
  return list
end
local function reverse(l)
  local r
  while l do l, l.next, r = l.next, r, l end
  return r
end
local function merge(a, b)
  local head = {}
  local tail = head
  while a and b do
    if a.value <= b.value then tail.next, a = a, a.next else tail.next, b = b, b.next end
    tail = tail.next
  end
  tail.next = a or b
  return head.next
end
local function sort(l)
  if not l or not l.next then return l end
  local slow, fast = l, l.next
  while fast and fast.next do slow, fast = slow.next, fast.next.next end
  local second = slow.next
  slow.next = nil
  return merge(sort(l), sort(second))
end
local function filter(l, keep)
  local head = { next = l }
  local at = head
  while at.next do
    if keep(at.next.value) then at = at.next else at.next = at.next.next end
  end
  return head.next
end

local Cache = {}
Cache.__index = Cache
function Cache.new(size)
  local c = setmetatable({ size = size, count = 0, map = {}, hits = 0, misses = 0, ring = {} }, Cache)
  c.ring.next, c.ring.previous = c.ring, c.ring
  return c
end
local function unlink(e) e.previous.next, e.next.previous = e.next, e.previous end
function Cache:front(e)
  local r = self.ring
  e.next, e.previous = r.next, r
  r.next.previous = e
  r.next = e
end
function Cache:get(key, make)
  local e = self.map[key]
  if e then
    self.hits = self.hits + 1
    unlink(e)
  else
    self.misses = self.misses + 1
    e = { key = key, value = make(key) }
    self.map[key] = e
    self.count = self.count + 1
    if self.count > self.size then
      local old = self.ring.previous
      unlink(old)
      self.map[old.key] = nil
      self.count = self.count - 1
    end
  end
  self:front(e)
  return e.value
end

local hash, kept, cached = 0, 0, 0
local cache = Cache.new(64)
for round = 1, rounds do
  local l = sort(reverse(from_random(300)))
  l = filter(l, function(v) return v % 3 ~= round % 3 end)
  while l do
    hash = (hash * 13 + l.value) % 1000003
    kept = kept + 1
    cached = cached + cache:get(l.value % 100, function(k) return k * k end)
    l = l.next
  end
end
print(string.format("%d %d %d, %d hits, %d misses", hash, kept, cached, cache.hits, cache.misses))
