-- A loop whose trace was made for a path that is hardly taken any more, and leaves at once where nothing can be recorded.
local function dead(queue, n)
  local alive = 0
  for i = 1, n do
    if queue[i] then
      alive = alive + (coroutine.wrap(function() return coroutine.isyieldable() and 1 or 2 end)())
    end
  end
  return alive
end
local queue = {}
for i = 1, 100 do queue[i] = false end
print(dead(queue, 100))
for i = 1, 100 do queue[i] = true end
local total = 0
for round = 1, 60 do total = total + dead(queue, 100) end
print(total)
-- The same loop on the other path again, and from a loop that was compiled to lead to it.
local function both(a, b)
  local s = 0
  for i = 1, 40 do s = s + dead(i % 2 == 0 and a or b, 10) end
  return s
end
local empty = {}
for i = 1, 10 do empty[i] = false end
print(both(empty, empty), both(queue, empty), both(empty, queue), both(queue, queue))
for i = 1, 100 do queue[i] = i % 10 == 0 end
for round = 1, 30 do total = total + dead(queue, 100) end
print(total)
