-- Variables that are changed from outside while a hot loop runs compiled.

-- A local variable of the caller, by a native function.
do
  local x, sum = 1, 0
  for i = 1, 200 do
    if i % 50 == 0 then
      debug.setlocal(1, 1, i)
    end
    sum = sum + x
  end
  print("setlocal", x, sum)
end

-- The same from compiled code, each time.
do
  local x, sum = 1, 0
  for i = 1, 200 do
    debug.setlocal(1, 1, i)
    sum = sum + x
  end
  print("setlocal each time", x, sum)
end

-- From a function that a native function calls, two levels up, and with another type.
do
  local texts = {}
  for i = 1, 200 do texts[i] = i == 150 and "b" or "a" end
  local function outer(change)
    local x, log, before = 1, {}
    local function set(text)
      change(text)
      return text
    end
    for i = 1, 200 do
      before = x
      local t = string.gsub(texts[i], ".", set)
      log[#log + 1] = type(x) == "number" and x + 1 or x .. "!"
    end
    return log[100], log[149], log[150], log[200], x, before
  end
  for _, value in ipairs { 41, 1.5, "text" } do
    print("two levels up", outer(function(text)
      if text == "b" then
        -- This function, set, gsub, outer.
        local name = debug.setlocal(4, 2, value)
        if name ~= "x" then error("not x but " .. tostring(name)) end
      end
    end))
  end
end

-- The callers of a function that compiled code has inlined.
do
  local function poke(level, value) return (debug.setlocal(level, 1, value)) end
  local function middle(i)
    local a = i
    if poke(2, i * 2) ~= "i" then error("not i") end
    return a + i
  end
  local total = 0
  for i = 1, 200 do
    total = total + middle(i)
  end
  print("inlined callers", total)
  local function main()
    local sum, n = 0, 0
    for i = 1, 200 do
      n = n + 1
      poke(3, i)
      sum = sum + n
    end
    return sum, n
  end
  print("a caller of the loop", (function()
    local first = 0
    local sum, n = main()
    return first, sum, n
  end)())
  local function own()
    local sum, n = 0, 0
    for i = 1, 200 do
      n = n + 1
      poke(2, i)
      sum = sum + n
    end
    return sum, n
  end
  print("the loop's own", own())
end

-- Captured variables.
do
  local x, sum = 1, 0
  local function get() return x end
  for i = 1, 200 do
    debug.setupvalue(get, 1, i % 3 == 0 and i or i + 0.5)
    sum = sum + get() + x
  end
  print("setupvalue", x, sum)
end
do
  local a, b, sum = 1, 1000, 0
  local function get_a() return a end
  local function get_b() return b end
  local function get() return a end
  for i = 1, 200 do
    debug.upvaluejoin(get, 1, i % 3 == 0 and get_a or get_b, 1)
    a, b = a + 1, b + 2
    sum = sum + get()
  end
  print("upvaluejoin", a, b, sum)
end
do
  local a, b = 1, "one"
  local function get() return a end
  local function other() return b end
  local log, texts = {}, {}
  for i = 1, 200 do texts[i] = i == 150 and "b" or "a" end
  local function join(c)
    if c == "b" then debug.upvaluejoin(get, 1, other, 1) end
  end
  for i = 1, 200 do
    local before = get()
    local text = string.gsub(texts[i], ".", join)
    log[i] = get()
  end
  print("upvaluejoin", log[1], log[149], log[150], log[200])
end

-- Metatables of types.
do
  local old = getmetatable("")
  local log = {}
  for i = 1, 200 do
    local s = "text"
    log[i] = s:len()
    if i == 150 then
      debug.setmetatable("", { __index = { len = function() return "changed" end } })
    end
  end
  debug.setmetatable("", old)
  print("metatable of strings", log[1], log[150], log[151], log[200])
  for i = 1, 200 do
    debug.setmetatable("", i == 150 and { __index = { len = function() return "called" end } } or old)
    log[i] = ("text"):len()
  end
  debug.setmetatable("", old)
  print("metatable of strings", log[1], log[149], log[150], log[151], log[200])
  local ok, message = pcall(function()
    for i = 1, 200 do
      local n = ("text"):len()
      if i == 150 then debug.setmetatable("", nil) end
    end
  end)
  debug.setmetatable("", old)
  print(ok, message)
end
do
  local log = {}
  for i = 1, 200 do
    log[i] = pcall(function() return (5)() end)
    if i == 100 then debug.setmetatable(5, { __call = function() return "called" end }) end
  end
  debug.setmetatable(5, nil)
  print("metatable of numbers", log[1], log[100], log[101], log[200])
end
do
  debug.setmetatable(nil, { __index = function(_, key) return key end })
  local log = {}
  for i = 1, 200 do
    log[i] = (nil).x
    if i == 150 then debug.setmetatable(nil, { __index = function() return "other" end }) end
  end
  debug.setmetatable(nil, nil)
  print("metatable of nil", log[1], log[150], log[151], log[200])
end
