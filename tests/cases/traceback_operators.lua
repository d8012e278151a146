-- Who has called the handler of an error, as a traceback tells it.
local function H(e) return debug.traceback(e) end
local function f(a, b) return a // b end
print(xpcall(f, H, 1, 0))
print(xpcall(function(a) local t = {} t = a + t return t end, H, 1))
print(xpcall(function(a) return a % 0 end, H, 1))
print(xpcall(function(a) return a < {} end, H, 1))
print(xpcall(function(a) return a .. {} end, H, 1))
print(xpcall(function(a) return #a end, H, 1))
print(xpcall(function(a) return a.x.y end, H, {}))
print(xpcall(function(a) return a() end, H, {}))
print(xpcall(function(a) return 1 < a end, H, {}))
print(xpcall(function(a) return 1 & a end, H, 1.5))
print(xpcall(function(a) for i = 1, 10, 0 do end end, H, 1.5))
print(xpcall(function(a) return -a end, H, {}))
print(xpcall(function(a) a.x = 1 end, H, nil))
-- Operators that functions stand for call these, also with integers on one side.
local M = setmetatable({}, { __idiv = function(a, b) return H("here") end, __mod = function(a, b) return H("there") end })
print((M // 1), (7 % M))
print(xpcall(function(a) return "7" // a end, H, 0))
for i = 1, 100 do
  local ok, e = xpcall(function(n) return i % n end, H, i < 100 and i or 0)
  if not ok then print(e) end
end
