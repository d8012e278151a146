-- xpcall of all kinds of functions, with all kinds of handlers, and what a handler sees of it.
print(xpcall(error, print, "a"))
print(xpcall(function(...) return select("#", ...), ... end, print, 1, 2, 3))
print(pcall(xpcall))
print(pcall(xpcall, print))
print(pcall(xpcall, print, 1))
print(xpcall(coroutine.wrap(function(...) local a = coroutine.yield(...) error("in co") end), function(m) return "h:" .. m end, 1))
local co = coroutine.wrap(function() return xpcall(function() local x = coroutine.yield(1) error("after " .. x) end, function(m) return "H " .. m end) end)
print(co()) print(co("y"))
print(xpcall(function() error("1") end, function(m) error("2") end))
print(select(2, xpcall(function() local t = nil; return t.x end, debug.traceback)))
print(xpcall(xpcall, function(m) return "outer " .. m end, error, function(m) return "inner " .. tostring(m) end, "zz"))
print(xpcall(setmetatable({}, {__call = function(self, a) return a end}), print, 5))
print(xpcall(nil, function(m) return "h " .. m end))
local function deep(n) if n == 0 then error("deep") end return (deep(n - 1)) end
print(xpcall(deep, function(m) return #debug.traceback(m) > 100 end, 50))
local function f() error("x") end
print(xpcall(f, function(m)
  for level = 1, 6 do
    local i = debug.getinfo(level, "Slnf")
    if i then print(level, i.what, i.name, i.short_src, i.func == xpcall, i.func == f, i.func==error) end
  end
  return debug.traceback(m)
end))
-- A handler that cannot run, since it would yield; afterwards yields are possible as before.
local co = coroutine.wrap(function()
  for _ = 1, 3 do print(xpcall(error, coroutine.yield, "x")) end
  print(coroutine.isyieldable())
  coroutine.yield("yielded")
  return "returned"
end)
print(co(), co())
