-- debug.traceback: functions' names in all positions, levels, tail calls, messages.
local function inner()
  print(debug.traceback("message"))
  print(debug.traceback("from 2", 2))
  print(debug.traceback())
end
local function middle()
  inner()
  return 1
end
function global_function()
  middle()
  return 2
end
local t = { field = function()
  global_function()
  return 3
end, nested = {} }
function t.nested.deep()
  t.field()
  return 4
end
function t:method()
  t.nested.deep()
  return 5
end
t:method()
local function tailer() return inner() end
tailer()
pcall(inner)
xpcall(inner, print)
local co = coroutine.wrap(function() inner() end)
co()
table.sort({ 1, 2 }, function(a, b)
  if not done then
    done = true
    print(debug.traceback("in sort"))
  end
  return a < b
end)
local mt = setmetatable({}, { __index = function(_, k)
  print(debug.traceback("index " .. k))
  return 1
end, __add = function()
  print(debug.traceback("add"))
  return 1
end, __call = function() print(debug.traceback("call")) end, __lt = function()
  print(debug.traceback("lt"))
  return true
end, __concat = function()
  print(debug.traceback("concat"))
  return ""
end, __close = function()
  print(debug.traceback("close"))
end })
local _ = mt.key
_ = mt + 1
mt()
_ = mt < mt
_ = mt .. ""
do local c <close> = mt end
for k in function(_, k)
  if not k then
    print(debug.traceback("iterator"))
    return 1
  end
end do end
print(debug.traceback({}) ~= nil, debug.traceback(nil) ~= nil, debug.traceback(5))
print(xpcall(function()
  local x = nil;
  x.y = 1
end, debug.traceback))
print(xpcall(function() error("e", 2) end, debug.traceback))
print(select(2, xpcall(error, debug.traceback, "direct")))
local function rec(n)
  if n == 0 then print(debug.traceback("deep")) else rec(n - 1) end
  return n
end
rec(30);
(function() print(debug.traceback("anonymous")) end)()
local up = function() print(debug.traceback("upvalue")) end;
(function() up() end)()
load("print(debug.traceback('loaded'))", "=loaded")()
string.gsub("x", "x", function() print(debug.traceback("gsub")) end)
local s = { [1] = function() print(debug.traceback("index 1")) end }
s[1]()
