-- __call, __tostring, __name, __metatable, __len, __concat, __pairs, and setmetatable's rules.
local c = setmetatable({}, { __call = function(self, ...)
  return select("#", ...), ...
end })
print(c(1, nil, 3))
print(c())
print(pcall(c, 5))
print(select(2, pcall(pcall, c, 6)))
local cc = setmetatable({}, { __call = c })
print((select("#", cc(1, 2))))
print((function(...) return c(...) end)(7, 8))
local obj = { m = c }
print(obj.m(1))
print(select("#", obj:m(1)))
local function tail(...) return c(...) end
print(tail("t"))
local deep = c
for _ = 1, 10 do deep = setmetatable({}, { __call = deep }) end
print(deep("x") == 11)
print(pcall(function() setmetatable({}, { __call = 5 })() end))
print(pcall(function()
  local t = {}
  t()
end))
print(pcall(function()
  local t = { f = {} }
  t.f()
end))
print(getmetatable(setmetatable({}, { __metatable = "locked" })), pcall(setmetatable, setmetatable({},
  { __metatable = "locked" }), {}))
print(getmetatable("").__index == string, getmetatable(5), getmetatable(nil), getmetatable(print))
print(pcall(setmetatable, {}, 5))
print(pcall(setmetatable, 5, {}))
print(pcall(setmetatable, {}))
print(getmetatable(setmetatable({}, nil)))
print(tostring(setmetatable({}, { __tostring = function(s)
  return "str"
end, __name = "N" })), (tostring(setmetatable({}, { __name = "N" })):gsub(": .*", "")))
print(pcall(function() return setmetatable({}, { __name = "N" }) + 1 end))
print(pcall(function()
  return #setmetatable({}, { __len = function() error("len!", 0) end })
end))
print(pcall(string.rep, setmetatable({}, { __name = "N" })))
print(#setmetatable({}, { __len = function() return "any" end }), pcall(table.concat, setmetatable({},
  { __len = function()
  return "x"
end })))
local con = setmetatable({}, { __concat = function(a, b)
  return (type(a) == "table" and "T" or a) .. "+" .. (type(b) == "table" and "T" or b)
end })
print("a" .. con, con .. "b", con .. con, 1 .. con, "a" .. "b" .. con .. "c" .. "d")
for k, v in pairs(setmetatable({ 1 }, { __pairs = function(t)
  return function(_, k)
    k = (k or 0) + 1
    if k < 4 then return k, k * k end
  end, t, nil
end })) do
  io.write(k, ":", v, " ")
end
print()
local mt = {}
local t = setmetatable({}, mt)
print(pcall(function() return t + 1 end))
mt.__add = function() return "now" end
print(t + 1)
mt.__add = nil
print(pcall(function() return t + 1 end))
mt.__index = { late = 1 }
print(t.late)
mt.__index = nil
print(t.late)
print(rawlen(setmetatable({ 1, 2 }, { __len = function()
  return 9
end })), rawequal(t, setmetatable({}, mt)), rawget(setmetatable({}, { __index = { a = 1 } }), "a"))
local w = setmetatable({}, { __unm = function() return "neg" end, __bnot = function()
  return "bnot"
end, __len = function()
  return "len"
end })
print(-w, ~w, #w)
local inh = setmetatable({}, { __index = setmetatable({}, { __add = function()
  return "no"
end }) })
print(pcall(function() return inh + 1 end))
local idx = 0
local counting = setmetatable({}, { __index = function(_, k)
  idx = idx + 1
  return idx
end })
print(counting.a, counting.a, counting.b)
print(#counting, next(counting))
