-- Integer overflow, -0.0, NaN, division and remainder signs, shifts and conversions in hot loops.
local x = math.maxinteger - 100
for i = 1, 200 do x = x + 1 end
print(x)
x = math.mininteger + 100
for i = 1, 200 do x = x - 1 end
print(x)
x = 1
for i = 1, 100 do x = x * 3 end
print(x)
x = 1
for i = 1, 70 do x = x << 1 end
print(x)
x = 1
for i = 1, 70 do x = x * 2 end
print(x)
x = -1
for i = 1, 70 do x = x >> 1 end
print(x)
x = math.mininteger
for i = 1, 100 do x = -x // 1 end
print(x)
local z = 0.0
local neg, pos = 0, 0
for i = 1, 200 do
  z = z * -1
  if 1 / z < 0 then neg = neg + 1 else pos = pos + 1 end
end
print(neg, pos, z)
local mz = -0.0
for i = 1, 100 do mz = mz + 0.0 * -1 end
print(mz, 1 / mz)
for i = 1, 100 do mz = mz + 0 end
print(1 / mz)
local k = 0
for i = 1, 100 do
  local w = (i - 50) * 0.0
  if w == 0 then k = k + 1 end
  if 1 / w > 0 then k = k + 1000 end
end
print(k)
local nan = 0 / 0
local c = { 0, 0, 0, 0, 0, 0, 0, 0 }
for i = 1, 150 do
  local y = i % 3 == 0 and nan or i * 1.0
  if y == y then c[1] = c[1] + 1 end
  if y ~= y then c[2] = c[2] + 1 end
  if y < 75 then c[3] = c[3] + 1 end
  if y > 75 then c[4] = c[4] + 1 end
  if y <= 75 then c[5] = c[5] + 1 end
  if y >= 75 then c[6] = c[6] + 1 end
  if not (y < 75) then c[7] = c[7] + 1 end
  if not (y >= 75) then c[8] = c[8] + 1 end
end
print(table.concat(c, " "))
local s = 0
for i = -100, 100 do
  if i ~= 0 then
    s = s * 3 + (1000 // i) + (1000 % i) + (-1000 // i) * 2 + (-1000 % i) + i // 7 + i % 7 + i // -7 + i % -7
  end
end
print(s)
local f = 0.0
for i = -100, 100 do
  if i ~= 0 then
    f = f + 1000.5 // i + 1000.5 % i + -1000.5 // i + -1000.5 % i + i // 7.5 + i % -7.5 + i % 7.5
  end
end
print(f)
for i = 1, 100 do f = f + i % math.huge - i % -math.huge * 0 end
print(f ~= f, f)
local q = 0
for i = 1, 130 do
  q = q ~ (i << (i % 70)) ~ (i >> (i % 66)) ~ (-i >> (i % 64)) ~ (i << -(i % 5)) ~ (i >> -(i % 5))
end
print(q)
q = 0
for i = 1, 150 do q = q + (i & 0xf) + (i | 8) + (i ~ 5) + ~i + (i & -i) end
print(q)
q = 0
for i = 1, 150 do q = q + (i * 1.0 & 7) + (2.0 ^ (i % 10) | 1) end
print(q)
local e = 0
for i = 1, 150 do
  local ok = pcall(function() return i / 2 & 1 end)
  if not ok then e = e + 1 end
end
print(e)
local d = 0
for i = 1, 200 do d = d + i / 4 + i // 4 + i % 4 + i ^ 2 end
print(d)
d = 1
for i = 1, 200 do d = d / 1.01 + 1 end
print(string.format("%.12f", d))
for i = 1, 1000 do
  d = d * 1e10
  if d > 1e300 then d = 1 end
end
print(d)
local inf = 1
for i = 1, 400 do inf = inf * 10.0 end
print(inf, -inf, inf - inf ~= inf - inf)
local tiny = 1
for i = 1, 400 do tiny = tiny / 10 end
print(tiny)
local zz = 0
for i = 1, 100 do
  local ok, m = pcall(function() return i // (50 - i) end)
  zz = zz + (ok and m or 1000)
end
print(zz)
local ii, ff = 0, 0
for i = 1, 200 do
  local g = i * 0.5
  if g == i // 2 then ii = ii + 1 end
  if math.type(g // 1) == "float" then ff = ff + 1 end
  if i == i + 0.0 then ii = ii + 1000 end
  if 2^53 + i == 2^53 | 0 + i then ff = ff + 1 end
end
print(ii, ff)
local t = {}
for i = 1, 100 do
  t[i * 1.0] = i
  t[i + 0.5] = i
end
local m = 0
for i = 1, 100 do m = m + t[i] + t[i + 0.5] end
print(m)
local h = 0
for i = math.maxinteger - 100, math.maxinteger do h = h + 1 end
print(h)
for i = math.mininteger + 100, math.mininteger, -1 do h = h + 1 end
print(h)
local fl = 0
for i = 1, 200 do
  fl = fl + math.floor(i / 3) + math.ceil(i / 3) + math.floor(-i / 3) + math.floor(i) + math.max(i, 100) +
    math.min(i * 0.5, 30) + math.abs(100 - i) + math.fmod(i, 7) + (math.tointeger(i / 2) or 0)
end
print(fl)
local tr = 0
for i = 1, 150 do
  tr = tr + math.sqrt(i) + math.sin(i) * math.cos(i) + math.exp(-i) + math.log(i) + math.atan(i, 3)
end
print(string.format("%.9f", tr))
local um = 0
for i = 1, 100 do um = um + (math.ult(i, -i) and 1 or 0) - -i + - -i end
print(um)
