-- A function that is made for pcall, xpcall or a metamethod alone is not made.
do
  local sum, failed = 0, {}
  local t = {}
  for i = 1, 10 do t[i] = i end
  for i = 1, 400 do
    local ok, v = pcall(function()
      if i % 100 == 0 then error({ code = i }) end
      return t[i % 10 + 1] * 2
    end)
    if ok then sum = sum + v else failed[#failed + 1] = v.code end
  end
  print(sum, table.concat(failed, " "))
end

do
  local traces, sum = {}, 0
  for i = 1, 300 do
    local ok, v = xpcall(function(x)
      if i % 110 == 0 then error("at " .. i, 0) end
      return x + i
    end, function(m) return "handled " .. m .. " " .. i end, 1)
    if ok then sum = sum + v else traces[#traces + 1] = v end
  end
  print(sum, table.concat(traces, "; "))
end

-- an error below: the message names the function and the upvalue
do
  local messages = {}
  for i = 1, 300 do
    local limit = i % 120 == 0 and "no number" or i
    local ok, m = pcall(function() return limit + 1 end)
    if not ok then messages[#messages + 1] = m:gsub("^.-:%d+: ", "") end
  end
  print(table.concat(messages, "; "))
end

-- tail calls, varargs, metamethods
do
  local function tail(f, ...) return f(...) end
  local kept, sum = {}, 0
  for i = 1, 300 do
    local f = function(...)
      local n = select("#", ...)
      if i % 80 == 0 then kept[#kept + 1] = function() return i + n end end
      return n + i
    end
    sum = sum + tail(f, i, i, i)
    local o = setmetatable({}, { __add = function(a, b) if i % 75 == 0 then kept[#kept + 1] = function() return a == b or i end end return i end })
    sum = sum + (o + 1)
  end
  for _, f in ipairs(kept) do sum = sum + f() end
  print(#kept, sum)
end

-- coroutines: what lies in a frame that is left for another one
do
  local sum = 0
  for i = 1, 100 do
    local step = coroutine.wrap(function(a)
      local get = function() return a + i end
      for k = 1, 3 do a = coroutine.yield(get() + k) end
      return get()
    end)
    for k = 1, 4 do sum = sum + step(k) end
  end
  print(sum)
end
