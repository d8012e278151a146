-- Lines that are interpreted: run once, in functions of all kinds, and before and behind a compiled loop.
local function inner(a, b)
  local both = a .. b
  return both
end

local function outer(n)
  local text = inner("x", n)
  local list = {text, n}
  return #list, text
end

local function fact(n)
  if n <= 1 then
    return 1
  end
  local rest = fact(n - 1)
  return n * rest
end

local total = 0
for i = 1, 300 do
  local rest = i % 3
  total = total + rest
end
local count, text = outer(total)
print(count, text, fact(5))

table.sort({3, 1, 2}, function(p, q)
  local less = p < q
  return less
end)
print((string.gsub("ab", "%w", function(letter)
  local upper = letter:upper()
  return upper
end)))

local resume = coroutine.wrap(function(k)
  local more = k + 1
  local got = coroutine.yield(more)
  local twice = got * 2
  return twice
end)
print(resume(1))
print(resume(10))

local ok, err = pcall(function()
  local deep = {}
  error("boom")
end)
print(ok, err)
local last = 1.5
print(last)
