-- A side trace begins with closures that its parent has not made, and keeps some: with all of their cells, and one cell for each
-- variable, whoever shares it.
local function account(balance)
  local log = 0
  local function deposit(x) balance = balance + x log = log + 1 return balance end
  local function state() return balance, log end
  return deposit, state
end

local function check(kept)
  local sum, whole = 0, 0
  for _, pair in ipairs(kept) do
    local deposit, state = pair[1], pair[2]
    local before, n = state()
    deposit(7)
    local after, m = state()
    if after == before + 7 and m == n + 1 then whole = whole + 1 end
    sum = sum + after
  end
  return #kept, whole, sum
end

-- by one branch, by one of two, in a side trace of a side trace
local kept, other, rare = {}, {}, {}
for i = 1, 900 do
  local deposit, state = account(i)
  if i % 3 == 0 then
    deposit(1)
    kept[#kept + 1] = { deposit, state }
    if i % 7 == 0 then deposit(2) rare[#rare + 1] = { deposit, state } end
  elseif i % 5 == 0 then
    other[#other + 1] = { deposit, state }
  else
    deposit(3)
  end
end
print(check(kept)) print(check(other)) print(check(rare))

-- left again: the side trace does not need it either
do
  local sum = 0
  for i = 1, 900 do
    local deposit, state = account(i)
    if i % 4 == 0 then deposit(5) else deposit(6) end
    if i % 3 == 0 then sum = sum + state() end
  end
  print(sum)
end

-- an exit in the callee becomes a side trace: its frame's function was not made
do
  local hits, sum = {}, 0
  local function call(f, x) return f(x) end
  for i = 1, 900 do
    local k = i
    sum = sum + call(function(x)
      if x % 3 == 0 then
        k = k + 1
        if x % 9 == 0 then hits[#hits + 1] = k end
        return k
      end
      return x
    end, i)
  end
  print(sum, #hits, hits[1], hits[#hits])
end

-- carried around the loop
do
  local last, seen = function() return 0 end, {}
  for i = 1, 600 do
    if i % 5 == 0 then seen[#seen + 1] = last end
    local was = last()
    last = function() return was + i end
  end
  local sum = 0
  for _, f in ipairs(seen) do sum = sum + f() end
  print(#seen, sum, last())
end

-- a function in its own cell, kept by a side trace
do
  local kept, sum = {}, 0
  for i = 1, 600 do
    local function f(n) if n == 0 then return i end return f(n - 1) end
    if i % 4 == 0 then kept[#kept + 1] = f else sum = sum + f(1) end
  end
  for _, f in ipairs(kept) do sum = sum + f(6) end
  print(#kept, sum)
end
