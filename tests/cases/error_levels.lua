-- error with levels and values of every type; pcall, xpcall, nested handlers, assert.
local function f(level) error("msg", level) end
local function g(level) f(level) end
for level = 0, 3 do print(level, pcall(g, level)) end
print(pcall(error))
print(pcall(error, nil))
print(pcall(error, 5))
print(pcall(error, true))
print(pcall(error, "s", 1))
print(pcall(error, "s", 2))
local t = {}
print(select(2, pcall(error, t)) == t)
print(pcall(function() error("here") end))
print(pcall(function() error("here", 2) end))
print(pcall(function() error(12.5) end))
print(xpcall(function() error("a", 0) end, function(m) return m .. "b" end))
print(xpcall(function(...) return select("#", ...), ... end, print, 1, nil, 3))
print(xpcall(error, function(m) return type(m) end))
print(pcall(xpcall))
print(pcall(xpcall, print))
print(xpcall(function() error("first", 0) end, function(m) error("second", 0) end))
print(xpcall(function() local x = nil + 1 end, function(m)
  return (m:gsub("^.-:%d+: ", ""))
end))
print(pcall(pcall))
print(pcall(pcall, error))
print(pcall(pcall, error, "x"))
print(select("#", pcall(function() return nil, nil end)))
print(pcall(assert, false))
print(pcall(assert, nil, "custom"))
print(pcall(assert, false, { 1 }) == false, assert(1, 2, 3))
print(pcall(assert))
print(select("#", assert(1, nil, nil)))
print(pcall(assert, nil, nil))
local function thrower()
  local ok, e = pcall(error, "inner", 0)
  error("outer+" .. e, 0)
end
print(pcall(thrower))
local depth = 0
local function rec()
  depth = depth + 1
  local ok, e = pcall(function() if depth < 5 then rec() else error("bottom", 0) end end)
  if not ok then error(e .. depth, 0) end
end
print(pcall(rec))
print(pcall(setmetatable({}, { __call = function() error("called", 0) end })))
print(pcall(nil))
print(pcall(5))
print(pcall({}))
local ok, e = pcall(error, setmetatable({}, { __tostring = function() return "obj" end }))
print(ok, tostring(e))
for i = 1, 3 do
  local ok, m = pcall(function()
    if i == 2 then error("second", 0) end
    return i
  end)
  print(i, ok, m)
end
print(xpcall(function() return "fine", 2 end, error))
print(select(2, xpcall(function() error() end, function(...)
  return select("#", ...)
end)))
local co = coroutine.wrap(function() return pcall(error, "in co", 2) end)
print(co())
print(pcall(string.rep))
print(pcall(function() string.rep() end))
print(pcall(function() ("x"):rep({}) end))
print(pcall(function()
  local s = string
  s.rep("x", {})
end))
local function lvl2()
  local function check(x) if type(x) ~= "number" then error("number expected", 3) end end
  local function api(x) check(x) end
  api("no")
end
print(pcall(lvl2))
print(tostring(nil) .. "", pcall(function() return nil .. "" end))
print(pcall(next, {}, {}))
print(pcall(load, 5))
print(load("x ="))
print(load("x = }", "=name"))
print(load("x = }", "@file.lua"))
print(load("x = }", "code\nmore"))
print(load("x = }", ("long"):rep(30)))
