-- Many functions with a hot loop each, which live for a moment only: their traces go with them.

local template = [[
  local n, t, sum = ..., { %d, %d }, 0
  for i = 1, n do
    sum = sum + t[1] * i + t[2]
  end
  return sum
]]

collectgarbage()
local function round(count)
  local total = 0
  for i = 1, count do
    local f = load(template:format(i, i % 7), "=chunk" .. i)
    total = total + f(100)
  end
  collectgarbage()
  collectgarbage()
  return total
end

print(round(500))
local before = collectgarbage("count")
print(round(2000))
local after = collectgarbage("count")
print("memory stays bounded", after - before < 200)

-- Closures of one function share its trace, and the trace outlives them.
local function maker()
  return function(n)
    local sum = 0
    for i = 1, n do sum = sum + i end
    return sum
  end
end
local total = 0
for i = 1, 500 do
  total = total + maker()(i)
  if i % 100 == 0 then collectgarbage() end
end
print(total)

-- A function that is dropped while it runs.
local results = {}
for i = 1, 50 do
  local code = [[
    local drop, n = ...
    local sum = 0
    for i = 1, n do
      sum = sum + i
      string.gsub("a", "a", drop)
    end
    return sum
  ]]
  results[i] = load(code)(function() if i % 10 == 0 then collectgarbage() end end, 70)
end
print(results[1], results[50])
