-- Protected calls: errors as control flow, rethrowing, handlers, errors with tables, and calls that go well. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 4000

local Failure = {}
Failure.__index = Failure
Failure.__tostring = function(f) return "failure " .. f.code end
local function fail(code) error(setmetatable({ code = code }, Failure)) end

local function parse(s)
  local n = tonumber(s)
  if not n then error("not a number: " .. s, 0) end
  if n < 0 then fail(-n) end
  return n
end
local function retry(times, f, ...)
  local ok, result
  for _ = 1, times do
    ok, result = pcall(f, ...)
    if ok then return result end
  end
  error(result, 0)
end

local inputs = { "12", "x7", "-3", "99", "", "1e2" }
local good, bad, codes, handled = 0, 0, 0, 0
for i = 1, rounds do
  local ok, result = pcall(parse, inputs[i % #inputs + 1])
  if ok then good = good + result
  elseif getmetatable(result) == Failure then codes = codes + result.code
  else bad = bad + #result end
  ok, result = xpcall(function() return parse(inputs[(i + 1) % #inputs + 1]) + 1 end, function(m)
    handled = handled + 1
    return m
  end)
  if i % 8 == 0 then
    ok, result = pcall(retry, 2, parse, inputs[i / 8 % #inputs + 1])
    if not ok then bad = bad + 1 end
  end
end
print(string.format("%d %d %d %d", good, bad, codes, handled))
print(tostring(select(2, pcall(fail, 5))), select(2, pcall(parse, "abc")))
