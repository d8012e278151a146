-- The math library, all but random numbers of unknown seed.
print(math.abs(-5), math.abs(5.5), math.abs(-0.0), math.abs(math.mininteger), math.ceil(1.2), math.ceil(-1.2),
  math.floor(1.8), math.floor(-1.8), math.floor(5), math.ceil(1e300), math.floor(-1e300))
print(math.max(1, 2.5, -1), math.max(2, 2.0), math.max(2.0, 2), math.min(3, 1, 2), math.min(1), math.max(-0.0, 0.0),
  math.min(0.0, -0.0))
print(math.sqrt(16), math.sqrt(2), math.sqrt(-1) ~= math.sqrt(-1), math.exp(0), math.exp(1), math.log(1), math.log(8,
  2), math.log(100, 10), math.log(27, 3), math.log(0), math.log(1024, 2), math.log(2.718281828459045))
print(math.sin(0), math.cos(0), math.sin(1), math.cos(1), math.tan(1), math.asin(1), math.acos(1), math.acos(0.5),
  math.atan(1), math.atan(1, 2), math.atan(-1, -1), math.atan(0, -1), math.atan(1, 0), math.sin(1e6))
print(math.fmod(7, 3), math.fmod(-7, 3), math.fmod(7, -3), math.fmod(7.5, 2), math.fmod(-7.5, 2), math.fmod(5,
  math.huge), math.fmod(math.mininteger, -1))
print(math.modf(3.7), math.modf(-3.7), math.modf(5), math.modf(math.huge), math.modf(-math.huge))
print(math.tointeger(3.0), math.tointeger(3.5), math.tointeger("3"), math.tointeger(2^63), math.tointeger(-2^63),
  math.type(1), math.type(1.0), math.type("1"), math.type(nil))
print(math.ult(1, 2), math.ult(-1, 2), math.ult(1, -1), math.ult(math.maxinteger, math.mininteger))
print(math.huge, -math.huge, math.pi, math.maxinteger, math.mininteger)
print(math.rad(180), math.deg(math.pi), math.floor(2^31 + 0.5), math.floor(2^62), math.ceil(2^63), math.floor(-2^63))
print(math.floor(0.5), math.floor(-0.5), math.ceil(-0.5), math.ceil(0.5), math.floor(3.0), math.floor("3.7"))
for _, name in ipairs { "abs", "ceil", "floor", "sqrt", "sin", "max", "min", "fmod", "log", "ult", "modf", "type",
  "tointeger" } do
  -- C evaluates the arguments of fmod in any order.
  if name ~= "fmod" then print(name, pcall(math[name])) end
  if name ~= "max" and name ~= "min" and name ~= "fmod" then print(name, pcall(math[name], {})) end
end
print(pcall(math.fmod, 1, 0))
print(pcall(math.fmod, 1.0, 0) == true, pcall(math.ult, 1.5, 2))
print(pcall(math.log, 1, {}))
math.randomseed(42)
local a, b, c = math.random(), math.random(10), math.random(5, 7)
math.randomseed(42)
print(a == math.random(), b == math.random(10), c == math.random(5, 7), a >= 0 and a < 1, b >= 1 and b <= 10, c >= 5 and
  c <= 7)
print(pcall(math.random, 0) == true, pcall(math.random, 2, 1))
print(pcall(math.random, 1, 2, 3))
print(pcall(math.random, 1.5))
for _ = 1, 100 do
  local r = math.random(3)
  assert(r == 1 or r == 2 or r == 3)
end
print(math.random(math.mininteger, math.maxinteger) ~= nil, math.random(7, 7))
math.randomseed(123, 456)
print(math.random(1000000), math.random(1000000), math.random(), math.random(0), math.random(-10, 10), math.random(3.0))
math.randomseed(99)
print(math.random(1 << 40), math.random(), math.random(6), math.random(6), math.random(6), math.random(6))
