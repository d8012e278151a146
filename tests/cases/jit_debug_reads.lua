-- What the debug library shows of a function whose loop runs compiled: variables that the program does not use any more, too.

local function locals(level)
  local list = {}
  for n = 1, 12 do
    local name, value = debug.getlocal(level + 1, n)
    if not name then break end
    if name:sub(1, 1) ~= "(" and type(value) ~= "function" and type(value) ~= "table" then
      list[#list + 1] = name .. "=" .. tostring(value)
    end
  end
  return table.concat(list, " ")
end

-- From the handler of an error: the function that has failed is two levels up.
local function handler(message) return message .. ": " .. locals(3) end
local function fails(n, limit)
  local unused = "kept"
  for i = 1, n do
    local x = i * 2
    local y = x + 0.5
    local z = tostring(y)
    if i > limit then error("boom", 0) end
  end
end
print(xpcall(fails, handler, 200, 150))
print(xpcall(fails, handler, 200, 3))

-- An error of the machine itself.
local function adds(list)
  local sum = 0
  for i = 1, #list do
    local before, double = sum, i * 2
    local element = list[i]
    sum = sum + element
  end
  return sum
end
local list = {}
for i = 1, 200 do list[i] = i end
list[180] = {}
print(xpcall(adds, function(message)
  local shown = locals(2)
  return message .. ": " .. shown
end, list))

-- From a function that compiled code calls, of its callers.
local seen
local function peek(level)
  seen = locals(level)
  return seen
end
do
  local function inner(i)
    local three = i * 3
    local text = peek(2)
    return #text
  end
  local function outer()
    local total = 0
    for i = 1, 200 do
      local five = i * 5
      total = total + inner(i)
    end
    return total
  end
  print("callee", outer(), seen)
end
do
  local function callback() seen = locals(3) end
  local function loop()
    local last
    for i = 1, 200 do
      local seven = i * 7
      local text = "a"
      last = string.gsub(text, "a", callback)
    end
    return last
  end
  print("callback", loop(), seen)
end
do
  local function innermost(i)
    local shown = locals(3)
    return shown
  end
  local function middle(i)
    local dead = i + 1000
    local result = innermost(i)
    return result
  end
  local function loop()
    local results = {}
    for i = 1, 200 do
      local also = i - 1000
      results[i % 2] = middle(i)
    end
    return results[0]
  end
  print("caller's caller", loop())
end

-- Extra arguments, and a coroutine that waits.
do
  local function varargs(...)
    local a = ...
    return (select(2, debug.getlocal(1, -2)))
  end
  local sum = 0
  for i = 1, 200 do
    sum = sum + varargs(i, i * 2)
  end
  print("extra arguments", sum)
  local co = coroutine.create(function()
    for i = 1, 300 do
      local dead = i * 11
      local text = "x"
      if i == 250 then coroutine.yield(#text) end
    end
  end)
  print(coroutine.resume(co))
  for n = 1, 7 do
    local name, value = debug.getlocal(co, 1, n)
    if name and name:sub(1, 1) ~= "(" then print(name, value) end
  end
end

-- A hook that is set at the end of a hot loop.
do
  local shown = {}
  local function loop(n)
    local sum = 0
    for i = 1, n do
      local half = i // 2
      sum = sum + 1
      if sum == 190 then
        debug.sethook(function(_, line) shown[#shown + 1] = locals(2) end, "l")
      end
    end
    debug.sethook()
    return sum
  end
  print("hook", loop(192), table.concat(shown, "; "))
end
