-- Runs until it is killed. Says so when there is compiled code.
local function work(n)
  local acc = 0
  for i = 1, n do
    local square = i * i
    acc = acc + square % 7
  end
  return acc
end
local sum, kept = 0, {}
for round = 1, math.maxinteger do
  sum = sum + work(100)
  if round == 1000 then
    print("running")
    io.stdout:flush()
  end
  -- Compiled code is left for the collector, and then the compiler looks for a debugger.
  kept[round % 100] = { round }
end
