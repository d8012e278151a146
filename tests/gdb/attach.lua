-- Runs until it is killed. Calls `rare` too seldom for that to be compiled soon. Says so when it has run for a moment.
local function rare(k)
  local name = "k" .. k
  local copy = name .. name
  return copy
end

local function work(n)
  local sum = 0
  for i = 1, n do sum = sum + i % 3 end
  return sum
end

local period, names, total = tonumber(arg[1]), {}, 0
for i = 1, math.maxinteger do
  total = total + work(1000)
  if i == 500 then
    print("running")
    io.stdout:flush()
  end
  if i % period == 0 then names[i % 7] = rare(i) end
end
