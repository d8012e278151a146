-- load: strings, functions in pieces, names, modes, environments; _ENV; dofile and require are left to others.
print(load("return 1 + 1")(), load("x_global = 5")(), x_global, load("return ...")(1, 2))
local parts, i = { "return ", "1", "+", "2" }, 0
print(load(function()
  i = i + 1
  return parts[i]
end)())
print(pcall(load, function() return {} end))
print(pcall(load, function() error("reader", 0) end))
print(type(load(function() return nil end)))
print(type(load("")))
local env = { y = 10 }
local f = load("y = y + 1 return y", "chunk", "t", env)
print(f(), f(), env.y, y)
print(load("return _ENV", "c", "t", env)() == env, load("return 1", "c", "b"))
print(load("\27Lua", "c", "t"))
print(type(load("return", "=name")))
print(pcall(load("error('x')", "@file.lua")))
print(pcall(load("error('x')", "=named")))
print(pcall(load("error('x')", "code line")))
print(pcall(load("error('x')", "first line\nsecond")))
print(pcall(load("error('x')", ("y"):rep(100))))
print(pcall(load("error('x')", "@" .. ("z"):rep(100))))
print(pcall(load("error('x')", "=" .. ("w"):rep(100))))
print(pcall(load("\n\n\nerror('line 4')", "=l")))
do
  local _ENV = { print = print }
  print(x_global, print ~= nil)
  z = 1
  print(z)
end
print(z)
local function sandbox(_ENV)
  a = 1
  b = a + 1
  return _ENV
end
local s = sandbox {}
print(s.a, s.b, a)
local function counter()
  local n = 0
  return load("local get = ... return get()")(function()
    n = n + 1
    return n
  end)
end
print(counter())
do
  local _ENV <const> = setmetatable({}, { __index = _G, __newindex = function(t, k, v)
    rawset(t, k, v .. "!")
  end })
  name = "set"
  print(name, _ENV.name, _G.name)
end
print(_G._G == _G, _G.print == print, _ENV == _G, type(_VERSION))
setmetatable(_G, { __index = function(_, k) return "undefined " .. k end, __newindex = function(t, k, v)
  rawset(t, k, v)
  io.write("new ", k, "\n")
end })
print(something)
another = 5
print(another)
another = 6
setmetatable(_G, nil)
print(something)
local big = {}
for k = 1, 3000 do
  big[k] = "local function f" .. k .. "() return " .. k .. " end " .. (k % 150 == 0 and "" or "")
end
print(load(table.concat(big, "\n", 1, 190) .. " return f190()")())
for _, code in ipairs { "return 5,", "return (", "x = = 2" } do print(load(code)) end
print(select("#", load("return")()))
print(#string.format("%s", load("return 1")) > 0)
print(pcall(load, nil))
print(pcall(load))
print(pcall(load, "x", 5, 6))
print(load("return 1", nil, nil, nil)())
print(load("return a", "n", "t", { a = "from env" })())
print(pcall(load("return a.b", "n", "t", {})))
goto done
do print("skipped") end
::done::
print(load("goto e; ::e:: return 'labels'")())
