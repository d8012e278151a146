-- Yielding across pcall, xpcall, iterators, sort's refusal, errors that cross coroutines.
local co = coroutine.wrap(function()
  local ok, v = pcall(function()
    local x = coroutine.yield("in pcall")
    if x == "fail" then error("failed", 0) end
    return x
  end)
  coroutine.yield(ok, v)
  ok, v = pcall(function()
    coroutine.yield("again")
    error({ 5 })
  end)
  return ok, type(v)
end)
print(co())
print(co("fail"))
print(co())
print(co())
local x = coroutine.wrap(function()
  return xpcall(function()
    local v = coroutine.yield(1)
    error("e" .. v, 0)
  end, function(m)
    return "handled " .. m
  end)
end)
print(x())
print(x("!"))
local deep = coroutine.wrap(function()
  return pcall(pcall, pcall, function() return coroutine.yield("deep") end)
end)
print(deep())
print(deep("back"))
local it = coroutine.wrap(function()
  for k in function(_, c) return coroutine.yield(c) end do io.write("k=", k, " ") end
  return "done"
end)
print(it())
print(it("a"))
print(it("b"))
print(it(nil))
print(pcall(coroutine.wrap(function()
  table.sort({ 3, 2, 1 }, function(a, b)
    coroutine.yield()
    return a < b
  end)
end)))
print(pcall(coroutine.wrap(function()
  ("abc"):gsub(".", function() coroutine.yield() end)
end)))
print(pcall(coroutine.wrap(function() return load(function() coroutine.yield() end) end)))
local inner = coroutine.create(function()
  local ok, e = pcall(error, "caught inside")
  coroutine.yield(e)
  error("not caught")
end)
print(coroutine.resume(inner))
print(coroutine.resume(inner))
print(coroutine.status(inner))
print(coroutine.resume(inner))
local log = {}
local sch = {}
for i = 1, 3 do
  sch[i] = coroutine.create(function()
    for k = 1, i do
      local ok = pcall(function()
        if k == 2 then error("x") end
        coroutine.yield(i * 10 + k)
      end)
      log[#log + 1] = tostring(ok)
    end
  end)
end
local alive = true
while alive do
  alive = false
  for i = 1, 3 do
    local ok, v = coroutine.resume(sch[i])
    if ok and coroutine.status(sch[i]) ~= "dead" then
      alive = true
      io.write(tostring(v), " ")
    end
  end
end
print(table.concat(log, " "))
local c2 = coroutine.wrap(function()
  local t <close> = setmetatable({}, { __close = function()
    print("closing", coroutine.isyieldable())
    coroutine.yield("from close")
    print("closed")
  end })
  coroutine.yield(1)
  return 2
end)
print(c2())
print(c2())
print(c2())
print(coroutine.close(coroutine.create(print)))
local cl = coroutine.create(function() coroutine.yield() end)
coroutine.resume(cl)
print(coroutine.close(cl), coroutine.status(cl), coroutine.resume(cl))
local er = coroutine.create(function() error("dead with error", 0) end)
coroutine.resume(er)
print(coroutine.close(er))
print(pcall(coroutine.close, coroutine.running()))
local ww = coroutine.wrap(function()
  local inner2 = coroutine.wrap(function() error("from the inner one") end)
  inner2()
end)
print(pcall(ww))
print(select(2, coroutine.resume(coroutine.create(function() return pcall(error) end))))
local tb = coroutine.create(function()
  local function f() coroutine.yield() end
  f()
end)
coroutine.resume(tb)
print(debug.traceback(tb))
print(debug.traceback(tb, "msg"))
print(debug.traceback(tb, nil, 1))
local sum = 0
local prod = coroutine.wrap(function()
  for i = 1, 1000 do coroutine.yield(i) end
  return nil
end)
while true do
  local v = prod()
  if not v then break end
  sum = sum + v
end
print(sum)
local ta = coroutine.wrap(function(...) return coroutine.yield(...) end)
print(ta(1, 2, 3))
print(ta(4, 5))
local st = {}
for i = 1, 100 do
  st[i] = coroutine.create(function(a)
    local b = coroutine.yield(a + i)
    return a * b
  end)
end
local tot = 0
for i = 1, 100 do
  local _, v = coroutine.resume(st[i], i)
  tot = tot + v
end
for i = 100, 1, -1 do
  local _, v = coroutine.resume(st[i], 2)
  tot = tot + v
end
print(tot)
