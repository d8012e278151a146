-- A loop that takes some time.
local function busy(n)
  local sum = 0
  for i = 1, n do
    sum = sum + i % 7 * 0.5
  end
  return sum
end
print(busy(100000000))
