-- Functions that call themselves, and coroutines, until they are compiled.
local function fib(n)
  if n < 2 then
    return n
  end
  local left = fib(n - 1)
  local right = fib(n - 2)
  return left + right
end

local function produce(limit)
  for i = 1, limit do
    local square = i * i
    local answer = coroutine.yield(square)
    if answer == "stop" then
      return i
    end
  end
  return "done"
end

local sum = fib(9)
local next_square = coroutine.wrap(produce)
local value = next_square(150)
for round = 1, 149 do
  local text = "round" .. round
  sum = sum + value
  value = next_square(round)
end
print(sum, value, fib(5))
