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
  kept[round % 100] = { round }
  if round % 20000 == 0 then
    -- Compiled code has been left for that a few times, and then the compiler has looked for a debugger.
    kept[0] = nil
  end
end
