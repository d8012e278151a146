-- which lines and events hooks see
local function lines(source)
  local seen, f = {}, assert(load(source, "=s"))
  debug.sethook(function(_, line) seen[#seen + 1] = line end, "l")
  f()
  debug.sethook()
  seen[#seen] = nil
  print(table.concat(seen, " "))
end
lines "local a = 1\nif\na\nthen\n a = 2\nelse\n a = 3\nend"
lines "local b = { 1 }\nlocal a = b[1]\n +\n\n b[1]"
lines "local b = { 1 }\nlocal a = b[1]\n ..\n\n b[1]"
lines "local b\nlocal a = b\n or\n 2\n and\n 3"
lines "for i, v in ipairs { 'a', 'b' } do\n local x = v\nend\nlocal z"
lines "local function f(a)\n local function g() return a end\n return g\nend\nf(1)()"
lines "while true do\n if true\n then break\n end\nend\nlocal a"
print(pcall(load "\n\nfor k in\n 3 do end"))
-- events of a coroutine that has not started, of pcall and of closing
local events = {}
local co = coroutine.create(function() coroutine.yield(1) pcall(error) return 2 end)
debug.sethook(co, function(e) events[#events + 1] = e end, "cr")
repeat until not coroutine.resume(co)
print(table.concat(events, " "))
events = {}
local function f(...)
  local a <close> = setmetatable({}, { __close = function() events[#events + 1] = "closed" end })
  return ...
end
debug.sethook(function(e) events[#events + 1] = e .. ":" .. tostring(debug.getinfo(2, "n").name) end, "r")
local r = { f(1, 2) }
debug.sethook()
print(table.concat(events, " "), #r)
-- what is handed over
local function transfer(e)
  local info, values = debug.getinfo(2, "rn"), {}
  for i = info.ftransfer, info.ftransfer + info.ntransfer - 1 do values[#values + 1] = tostring(select(2, debug.getlocal(2, i))) end
  print(e, info.name, table.concat(values, ","))
end
local function g(a, ...) return a, ... end
debug.sethook(transfer, "cr")
g(1, 2, 3)
math.max(4, 5)
debug.sethook()
print(debug.getinfo(1, "r").ftransfer, debug.getinfo(1, "r").ntransfer)
-- lines that have code; those of captured parameters are not among them
local function active(f)
  local list, first = {}, debug.getinfo(f, "S").linedefined
  for line in pairs(debug.getinfo(f, "L").activelines) do list[#list + 1] = line - first end
  table.sort(list)
  print(table.concat(list, " "))
end
active(function(a)

  return function() return a end
end)
active(function(...)

  local x = ...
end)
-- temporaries can be changed
local function change() print(debug.setlocal(2, 3, 100)) return 1 end
local function sum(a, b) return (a + b) + change() end
print(sum(1, 2))
-- but not a loop's state, and nothing breaks
for i = 1, 3 do
  for n = 1, 20 do if n > 3 then pcall(debug.getlocal, 1, n) end end
end
print(getmetatable(debug.getregistry()._HOOKKEY).__mode)
