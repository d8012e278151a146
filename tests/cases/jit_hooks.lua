-- Hooks that are set while a hot loop runs compiled, and loops that are compiled when a hook is set.

local function lines_of(set)
  local seen = {}
  local function hook(event, line) seen[#seen + 1] = event .. (line and " " .. line or "") end
  set(hook)
  debug.sethook()
  return table.concat(seen, ",")
end

-- The masks for a number of rounds: the last ones have this one.
local function masks(n, last, mask, none)
  local list = {}
  for i = 1, n do list[i] = i > n - last and mask or none or "" end
  return list
end

-- By the loop itself, which calls the function each time.
print("sethook", lines_of(function(hook)
  local sum, mask = 0, masks(204, 4, "l")
  for i = 1, 204 do
    debug.sethook(hook, mask[i])
    sum = sum + i
    sum = sum + 1
  end
end))

-- From inside of a native function that the loop calls.
print("callback", lines_of(function(hook)
  local sum, limit = 0, 200
  local function set(text)
    if sum == limit then debug.sethook(hook, "l") end
    return text
  end
  for i = 1, 203 do
    local text = string.gsub("a", "a", set)
    sum = sum + 1
    if sum == 202 then debug.sethook() end
  end
end))

print("callback, calls", lines_of(function(hook)
  local sum = 0
  local function set(text)
    if sum == 200 then debug.sethook(hook, "cr") end
    return text
  end
  for i = 1, 203 do
    local text = string.gsub("a", "a", set)
    sum = sum + #text
    if sum == 202 then debug.sethook() end
  end
end))
print("a native function as callback", lines_of(function(hook)
  local list = { "b", "a", "c" }
  for i = 1, 3 do
    debug.sethook(hook, "crl")
    local text = string.gsub("a", "a", string.upper)
    table.sort(list, rawequal)
    debug.sethook()
  end
end))

-- In a function that the loop calls, which compiled code has inlined.
print("inlined", lines_of(function(hook)
  local sum, mask = 0, masks(202, 2, "l")
  local function inner(i)
    debug.sethook(hook, mask[i])
    return i
  end
  for i = 1, 202 do
    sum = sum + inner(i)
    sum = sum + 1
  end
end))

-- Calls and returns.
print("calls", lines_of(function(hook)
  local sum, mask = 0, masks(203, 2, "cr")
  local function inner(i) return i + 1 end
  for i = 1, 203 do
    debug.sethook(hook, mask[i])
    sum = inner(sum)
    sum = inner(sum)
  end
end))

-- A loop that is compiled before the hook is set.
local function loop(n)
  local sum = 0
  for i = 1, n do
    sum = sum + i
  end
  return sum
end
loop(200)
print("compiled before", lines_of(function(hook)
  debug.sethook(hook, "l")
  loop(2)
end))
print("and after", loop(200))

-- A count that ends an endless loop.
local function endless(body)
  debug.sethook(function() error("too long", 0) end, "", 1000)
  local ok, message = pcall(body)
  debug.sethook()
  return ok, message
end
local function forever() local n = 0 while true do n = n + 1 end end
print("endless", endless(forever))
local function forever_for() for _ = 1, math.huge do end end
print("endless", endless(forever_for))
local function step(n) return n + 1 end
local function forever_calls() local n = 0 repeat n = step(n) until n < 0 end
print("endless", endless(forever_calls))

-- Set by the loop itself, to end it.
do
  local n, counts = 0, masks(300, 1, 1, 0)
  local function stop()
    debug.sethook()
    error("stopped", 0)
  end
  local ok, message = pcall(function()
    while true do
      n = n + 1
      debug.sethook(stop, "", counts[n])
    end
  end)
  print("stopped", ok, message, n)
end

-- A hook's own code may run compiled, and sets another hook.
do
  local calls, sum = 0, 0
  local function work(n) local s = 0 for i = 1, n do s = s + i end return s end
  debug.sethook(function()
    calls = calls + 1
    sum = sum + work(200)
    if calls == 3 then debug.sethook() end
  end, "l")
  for i = 1, 10 do
    sum = sum + 1
  end
  print("in the hook", calls, sum)
end

-- The hook of a coroutine is its own.
do
  local seen = {}
  local co = coroutine.create(function()
    local sum = 0
    for i = 1, 300 do
      sum = sum + i
      if i % 100 == 0 then coroutine.yield(sum) end
    end
    return sum
  end)
  print("coroutine", coroutine.resume(co))
  debug.sethook(co, function(_, line) seen[line] = (seen[line] or 0) + 1 end, "l")
  local sum = 0
  for i = 1, 200 do sum = sum + i end
  print("coroutine", coroutine.resume(co))
  debug.sethook(co)
  print("coroutine", coroutine.resume(co))
  local lines = {}
  for line, count in pairs(seen) do lines[#lines + 1] = line .. ":" .. count end
  table.sort(lines)
  print(table.concat(lines, " "), sum)
end
