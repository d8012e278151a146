-- A native function below interpreted frames, below a compiled loop, below interpreted frames.
local config = {depth = 2, [10] = "ten", "first"}
title = "deep"

local function probe(level, label)
  local kept = {level, label}
  -- Its own call of a native function: the interpreter runs this.
  return os.getenv(kept[2]) or level
end

local function hot(n, f)
  local sum = 0
  for i = 1, n do
    -- Not a function that traces know: sort calls back.
    local pair = {i, 0}
    table.sort(pair, function(a, b) f(a, "SORT") return a < b end)
    sum = sum + #pair
  end
  return sum
end

local function main()
  return hot(100, probe)
end

print(main(), config.depth)
