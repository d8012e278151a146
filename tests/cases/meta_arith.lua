-- Arithmetic and bitwise metamethods: which operand's is taken, order of arguments, results adjusted to one.
local function show(x) return type(x) == "table" and x.name or tostring(x) end
local function make(name)
  local mt = {}
  for _, op in ipairs { "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl", "shr",
    "bnot", "concat" } do
    mt["__" .. op] = function(a, b)
      return name .. "." .. op .. "(" .. show(a) .. "," .. show(b) .. ")", "extra"
    end
  end
  return setmetatable({ name = name }, mt)
end
local a, b = make "a", make "b"
print(a + b, a + 1, 1 + a, b + a)
print(a - 2, 2 - a, a * 3, 3 * a, a / 2, 2 / a)
print(a % 2, 2 % a, a ^ 2, 2 ^ a, -a, a // 2, 2 // a)
print(a & 1, 1 & a, a | 1, 1 | a, a ~ 1, 1 ~ a, a << 1, 1 << a, a >> 1, 1 >> a, ~a)
print(a .. "x", "x" .. a, 1 .. a, a .. 1, a .. b, "x" .. "y" .. a, a .. "x" .. "y")
print(a + "10", "10" + a, a + nil, nil + a, a & 1.5, a .. nil, a .. {} ~= nil)
print(1.5 + a, a - 0.5, 255 & a, 100 - a, a - 100, 1000000 * a, a // 1000000, -5 + a, a << 2, 2 << a, a >> 2)
print(pcall(function() return setmetatable({}, {}) + 1 end))
print(pcall(function() return a < b end))
print(pcall(function() return {} .. "x" end))
print(pcall(function() return setmetatable({}, { __add = 5 }) + 1 end))
print(setmetatable({}, { __add = setmetatable({}, { __call = function(self, x, y)
  return "callable add " .. y
end }) }) + 7)
local V = {}
V.__index = V
V.__add = function(x, y) return setmetatable({ v = x.v + y.v }, V) end
V.__eq = function(x, y) return x.v == y.v end
V.__lt = function(x, y) return x.v < y.v end
V.__le = function(x, y) return x.v <= y.v end
V.__unm = function(x) return setmetatable({ v = -x.v }, V) end
V.__len = function(x) return x.v end
V.__call = function(x, n) return x.v * n end
local function v(n) return setmetatable({ v = n }, V) end
local s = v(0)
for i = 1, 50 do s = s + v(i) end
print(s.v, #s, s(2), (-s).v, s == v(1275), s ~= v(1275), v(1) < v(2), v(2) <= v(1), v(1) > v(2), v(2) >= v(2))
string_mt = getmetatable("")
string_mt.__add = function(x, y) return "added " .. x .. y end
print("a" + "b", pcall(function() return "1" + "2" end))
