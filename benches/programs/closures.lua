-- Counters, composition, currying and folds with closures made on hot paths. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 1500

local function counter(start)
  local n = start
  return function(by) n = n + by return n end, function() return n end
end
local function compose(...)
  local fs = { ... }
  return function(x)
    for i = #fs, 1, -1 do x = fs[i](x) end
    return x
  end
end
local function curry(f) return function(a) return function(b) return f(a, b) end end end
local function map(t, f) local r = {} for i = 1, #t do r[i] = f(t[i]) end return r end
local function fold(t, f, a) for i = 1, #t do a = f(a, t[i]) end return a end

local sum = 0
for round = 1, rounds do
  local add, get = counter(round)
  for i = 1, 20 do add(i) end
  local f = compose(function(x) return x + round end, function(x) return x * 2 end, curry(math.max)(10))
  local t = {}
  for i = 1, 20 do t[i] = i end
  local doubled = map(t, function(x) return f(x) + get() end)
  sum = (sum + fold(doubled, function(a, b) return a + b end, 0)) % 1000000007
end
print(string.format("%d", sum))
