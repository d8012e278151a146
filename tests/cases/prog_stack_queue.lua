-- Stacks, queues, deques and rings by closures and by methods.
local function Stack()
  local items, n = {}, 0
  return { push = function(...)
    for _, v in ipairs { ... } do
      n = n + 1
      items[n] = v
    end
    return n
  end, pop = function()
    if n == 0 then return nil, "empty" end
    local v = items[n]
    items[n] = nil
    n = n - 1
    return v
  end, size = function()
    return n
  end }
end
local s = Stack()
s.push(1, 2, 3)
print(s.pop(), s.pop(), s.size(), s.pop(), s.pop())
local Deque = {}
Deque.__index = Deque
function Deque.new() return setmetatable({ first = 0, last = -1 }, Deque) end
function Deque:pushleft(v)
  self.first = self.first - 1
  self[self.first] = v
end
function Deque:pushright(v)
  self.last = self.last + 1
  self[self.last] = v
end
function Deque:popleft()
  local v = self[self.first]
  if self.first > self.last then error("deque is empty", 2) end
  self[self.first] = nil
  self.first = self.first + 1
  return v
end
function Deque:popright()
  if self.first > self.last then error("deque is empty", 2) end
  local v = self[self.last]
  self[self.last] = nil
  self.last = self.last - 1
  return v
end
Deque.__len = function(d) return d.last - d.first + 1 end
local d = Deque.new()
for i = 1, 1000 do if i % 3 == 0 then d:pushleft(i) else d:pushright(i) end end
local sum = 0
for i = 1, 500 do sum = sum + d:popleft() * 2 + d:popright() end
print(sum, #d, pcall(d.popleft, d))
local ring, head = {}, 0
for i = 0, 9 do ring[i] = 0 end
for i = 1, 995 do
  ring[head] = i
  head = (head + 1) % 10
end
print(head, ring[0], ring[4], ring[5], ring[9])
local function priority()
  local heap = {}
  return function(v)
    heap[#heap + 1] = v
    local i = #heap
    while i > 1 and heap[i // 2] > heap[i] do
      heap[i // 2], heap[i] = heap[i], heap[i // 2]
      i = i // 2
    end
  end, function()
    local top = heap[1]
    heap[1] = heap[#heap]
    heap[#heap] = nil
    local i = 1
    while true do
      local m = i
      for c = 2 * i, 2 * i + 1 do if heap[c] and heap[c] < heap[m] then m = c end end
      if m == i then return top end
      heap[i], heap[m] = heap[m], heap[i]
      i = m
    end
  end
end
local push, pop = priority()
for i = 1, 300 do push(i * 7919 % 1009) end
local last, ok = -1, true
for i = 1, 300 do
  local v = pop()
  ok = ok and v >= last
  last = v
end
print(ok, last, pop())
