-- Endless recursion of every kind is an error that can be caught, again and again.
local function head(m)
  m = tostring(m)
  return m:match("stack overflow") or m:match("C stack overflow") or m
end
local function f() return 1 + f() end
print(head(select(2, pcall(f))))
local depth = 0
local function g()
  depth = depth + 1
  g()
end
print(head(select(2, pcall(g))))
print(depth > 10000)
local t = setmetatable({}, { __index = function(t, k) return t[k] end })
print(head(select(2, pcall(function() return t.x end))))
local m = setmetatable({}, { __add = function(a, b) return a + b end })
print(head(select(2, pcall(function() return m + 1 end))))
local c = setmetatable({}, { __concat = function(a, b) return a .. b end })
print(head(select(2, pcall(function() return c .. "" end))))
local e = setmetatable({}, { __eq = function(a, b)
  return a == setmetatable({}, getmetatable(a))
end })
print(head(select(2, pcall(function()
  return e == setmetatable({}, getmetatable(e))
end))))
local s = setmetatable({}, { __tostring = function(s) return tostring(s) end })
print(head(select(2, pcall(tostring, s))))
local function sorter() table.sort({ 1, 2, 3 }, sorter) end
print(head(select(2, pcall(sorter))))
local function gs() return ("x"):gsub("x", gs) end
print(head(select(2, pcall(gs))))
local function viapcall(n)
  local ok, err = pcall(viapcall, n + 1)
  if not ok then error(err, 0) end
  return ok
end
print(head(select(2, pcall(viapcall, 1))))
local function cor() return coroutine.wrap(cor)() end
print(head(select(2, pcall(cor))))
local function tail(n)
  if n == 0 then return "tail calls do not overflow" end
  return tail(n - 1)
end
print(tail(1000000))
local function va(...) return select("#", ...) + va(1, ...) end
print(head(select(2, pcall(va))))
local function mutual1(n) return 1 + mutual2(n) end
function mutual2(n) return 1 + mutual1(n) end
print(head(select(2, pcall(mutual1, 1))))
print(head(select(2, pcall(f))))
local function deep(n)
  if n == 0 then return 0 end
  return 1 + deep(n - 1)
end
print(deep(10000), deep(15000))
print(pcall(string.rep, "x", -1), #select(2, pcall(string.rep, "ab", 10)))
print(select(2, xpcall(f, function(m) return head(m) end)))
local co = coroutine.create(f)
print(head(select(2, coroutine.resume(co))))
print(coroutine.status(co))
print(select("#", table.unpack({}, 1, 10000)))
print(pcall(table.unpack, {}, 1, 10000000))
local l = load("return " .. ("a."):rep(100) .. "b", "=x")
print(pcall(l))
