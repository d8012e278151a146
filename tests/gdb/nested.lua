-- Interpreted functions below compiled code, in a coroutine, called back by a native function. Says so when it has run for a moment.
local function leaf(n, text)
  local list = {}
  for i = 1, n do
    list[i % 10] = i
    if i == 1000 then print("running") io.stdout:flush() end
  end
  return #text
end

local function middle(depth, f)
  if depth == 0 then return f(math.maxinteger, "some text") end
  local result = middle(depth - 1, f)
  return result + 1
end

local co = coroutine.wrap(function(a)
  local ok, result = pcall(middle, a, leaf)
  return result
end)

print((string.gsub("x", "x", function(letter) return co(3) .. letter end)))
