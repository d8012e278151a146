-- Function definitions and calls in all their syntactic forms.
local t = { a = { b = {} } }
function t.a.b.f(x) return x end
function t.a.b:m(x) return self == t.a.b, x end
print(t.a.b.f(1), t.a.b:m(2))
print(type(function() end), (function(x) return x * 2 end)(4), #(function(...)
  return { ... }
end)(1, 2, 3))
local f = function(...) return ... end
print(f "string", f [[long]], f { 1 }[1] == nil, (f { 1 })[1], f "a" .. "b", #f "abc")
print(("x"):rep(3), ("%d"):format(5), #"abc", ({ 1, 2 })[1], ("abc"):upper():lower():len())
local s = "method"
print(s:sub(1, 2), s:upper(), (s .. "s"):len())
local function defaults(a, b)
  b = b or a
  return a, b
end
print(defaults(1), defaults(1, 2), (defaults(3)))
local function ret() return end
print(ret(), select("#", ret()), (ret()))
local function nested()
  return (function() return (function() return 1, 2 end)() end)()
end
print(nested())
local chain = {}
function chain:add(x)
  self[#self + 1] = x
  return self
end
print(table.concat(chain:add(1):add(2):add(3), "+"))
local function early(x)
  if x then return "early" end
  do return "late" end
end
print(early(true), early(false))
local function loops()
  for i = 1, 10 do
    for j = 1, 10 do if i * j == 42 then return i, j end end
  end
end
print(loops())
local compose = function(f, g) return function(...) return f(g(...)) end end
print(compose(math.sqrt, function(a, b) return a * a + b * b end)(3, 4))
local ops = { ["+"] = function(a, b) return a + b end, ["-"] = function(a, b)
  return a - b
end }
print(ops["+"](1, 2), ops["-"](1, 2))
local function curry(f, n, ...)
  local a = { ... }
  if #a >= n then return f(table.unpack(a)) end
  return function(x)
    local b = { table.unpack(a) }
    b[#b + 1] = x
    return curry(f, n, table.unpack(b))
  end
end
print(curry(function(a, b, c) return a .. b .. c end, 3)(1)(2)(3))
local Y = function(f)
  return (function(x) return x(x) end)(function(x)
    return f(function(...) return x(x)(...) end)
  end)
end
print(Y(function(self)
  return function(n) return n == 0 and 1 or n * self(n - 1) end
end)(10)) ;
(function() print("after a semicolon") end)()
local big = {}
for i = 1, 200 do big[i] = "a" .. i end
local fbig = load("return function(" .. table.concat(big, ",") .. ") return a1, a200 end")()
print(fbig(1))
local args = {}
for i = 1, 200 do args[i] = i end
print(fbig(table.unpack(args)))
print(select("#", load("return " .. ("nil,"):rep(100) .. "nil")()))
print(pcall(load("local a <close> = 4")))
