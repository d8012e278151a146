-- Tables that go from one iteration to the next without being made: what they consist of is carried around the loop.
local function vector(x, y) return { x = x, y = y } end

-- Both parts are loaded in the loop.
local v = vector(0, 0.0)
for i = 1, 300 do
  v = vector(v.x + i, v.y + 0.5)
  if i % 100 == 0 then print(v.x, v.y) end
end
print(v.x, v.y)

-- A part that nobody loads, one that stays, and one that is a constant at first.
local step = 3
local w = { n = 0, step = step, last = 0, odd = 7 }
for i = 1, 300 do
  w = { n = w.n + w.step, step = step, last = i, odd = i % 2 }
  if i % 120 == 0 then print(w.n, w.step, w.last, w.odd) end
end

-- What the table before held has a meaning of its own in the loop.
local a, b = 1, 2
local p = { x = a, y = b }
for i = 1, 90 do
  p = { x = b, y = a }
  a, b = b, (a + b) % 1000
  if i % 30 == 0 then print(p.x, p.y, a, b) end
end
print(p.x, p.y, a, b)

-- The one before, and the one before that.
local older, old, new = vector(0, 0), vector(1, 1), vector(2, 2)
for i = 1, 200 do
  older, old, new = old, new, vector(old.x + new.x & 0xffff, i)
  if i % 75 == 0 then print(older.x, older.y, old.x, old.y, new.x, new.y) end
end
print(older.y, old.y, new.y)

-- Two change places.
local left, right = vector(1, 2), vector(3, 4)
for i = 1, 200 do
  left, right = right, left
  if i % 3 == 0 then left = vector(i, right.x) end
  if i % 90 == 0 then print(left.x, left.y, right.x, right.y) end
end

-- A table in a table, both carried.
local ray = { from = vector(0, 1), to = vector(1, 0), length = 0 }
for i = 1, 300 do
  ray = { from = ray.to, to = vector(ray.from.x + 1, i), length = ray.length + 1 }
  if i % 110 == 0 then print(ray.from.x, ray.from.y, ray.to.x, ray.to.y, ray.length) end
end

-- One that was there before the loop is changed in it, and another one takes its place.
local acc = { n = 0, of = "first" }
for i = 1, 300 do
  acc.n = acc.n + i
  if i % 100 == 0 then
    print(acc.of, acc.n)
    acc = { n = 0, of = i }
  end
end

-- Changed in the iteration behind the one that made it.
local last = { n = 0, seen = 0 }
for i = 1, 300 do
  last.seen = last.seen + 1
  local this = { n = i, seen = last.seen }
  last.n = -1
  if i % 100 == 0 then print(last.n, last.seen, this.n, this.seen) end
  last = this
end

-- A list grows for a while; its nodes are real.
local list
for i = 1, 150 do list = { value = i, next = list } end
local sum, n = 0, 0
while list do sum, n, list = sum + list.value, n + 1, list.next end
print(sum, n)

-- A loop that is left and entered again, with what it had in hand.
local q = vector(0, 0)
for i = 1, 40 do
  for j = 1, 40 do q = vector(q.x + 1, q.y + j) end
  q.x = q.x - 1
  if i % 13 == 0 then print(q.x, q.y) end
end

-- The type of a part changes.
local t = { v = 1 }
for i = 1, 300 do
  local x = t.v
  if i % 97 == 0 then x = tostring(x) elseif type(x) == "string" then x = 0.5 end
  t = { v = x + 1 }
end
print(t.v)
