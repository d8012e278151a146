-- Library functions called from hot loops, mixed, some replaced midway, through locals, fields and globals.
local floor, max, sub, insert, concat = math.floor, math.max, string.sub, table.insert, table.concat
local s = 0
for i = 1, 300 do s = s + floor(i / 7) + max(i, 50, 100) + #sub("hello", i % 5 + 1) end
print(s)
local t = {}
for i = 1, 200 do
  insert(t, i)
  if #t > 20 then table.remove(t, 1) end
end
print(concat(t, ","))
for i = 1, 200 do
  s = s + (tonumber(tostring(i)) or 0) + (type(i) == "number" and 1 or 0) + select("#", i, i) + rawlen(t) + (rawequal(i,
    i) and 1 or 0) + rawget(t, 1)
end
print(s)
for i = 1, 100 do
  s = s + math.abs(-i) + math.ceil(i / 3) + math.sqrt(i * i) + math.min(i, 7) + (math.tointeger(i + 0.0) or 0) +
    math.fmod(i, 5)
end
print(s)
for i = 1, 150 do
  local a, b = math.modf(i / 4)
  s = s + a + b + math.exp(0) + math.pi * 0
end
print(s)
local ipairs_sum = 0
for i = 1, 100 do
  for k, v in ipairs({ i, i + 1 }) do ipairs_sum = ipairs_sum + k * v end
  for k, v in pairs({ x = i }) do ipairs_sum = ipairs_sum + v end
  local k, v = next({ [i] = i })
  ipairs_sum = ipairs_sum + k + v
end
print(ipairs_sum)
local mt = { __index = function(_, k) return k end }
for i = 1, 100 do
  local o = setmetatable({}, mt)
  s = s + o[i] + (getmetatable(o) == mt and 1 or 0)
end
print(s)
local orig = math.floor
math.floor = function(x) return -orig(x) end
for i = 1, 100 do
  s = s + math.floor(i + 0.5)
  if i == 50 then math.floor = orig end
end
print(s)
local out = {}
for i = 1, 100 do
  out[#out + 1] = string.format("%03d", i)
  if i % 25 == 0 then out = { concat(out):sub(-9) } end
end
print(out[1])
local rnd = 0
math.randomseed(7)
for i = 1, 200 do
  local r = math.random(10)
  rnd = rnd + (r >= 1 and r <= 10 and 1 or 0)
  local f = math.random()
  rnd = rnd + (f >= 0 and f < 1 and 1 or 0)
end
print(rnd)
for i = 1, 100 do
  assert(i > 0, "positive")
  assert(true)
end
local up = 0
for i = 1, 100 do
  up = up + #("%s-%d"):format("x", i) + ("abc"):len() + ("a,b"):find(",", 1, true) + (("k=v"):match("=(%a)") == "v" and
    1 or 0)
end
print(up)
local written = 0
for i = 1, 120 do
  if i % 40 == 0 then
    io.write(i, " ", i / 2, " ", "s", "\n")
    written = written + 1
  end
end
print(written)
local clock = 0
for i = 1, 100 do
  local c = os.clock()
  if c >= 0 then clock = clock + 1 end
  if os.time() > 0 then clock = clock + 1 end
end
print(clock)
local unp = 0
for i = 1, 100 do
  local a, b, c = table.unpack({ i, i * 2, i * 3 })
  unp = unp + a + b + c
end
print(unp)
local err = 0
for i = 1, 60 do
  if not pcall(error, i) then err = err + 1 end
  if not pcall(string.char, 300) then err = err + 1 end
end
print(err)
for i = 1, 100 do
  if i == 60 then string.len = function() return 1000 end end
  s = s + ("abc"):len()
end
print(s)
