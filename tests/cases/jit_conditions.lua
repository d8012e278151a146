-- Conditions of every kind as guards: equality over types, chains of and/or, not, nil tests, values as conditions.
local vals = { 1, 1.0, "1", true, false, 0, "", 2, -1, 0.5 }
local eq, ne, lt = 0, 0, 0
for r = 1, 20 do
  for i = 1, #vals do
    for j = 1, #vals do
      if vals[i] == vals[j] then eq = eq + 1 else ne = ne + 1 end
      if type(vals[i]) == "number" and type(vals[j]) == "number" and vals[i] < vals[j] then
        lt = lt + 1
      end
    end
  end
end
print(eq, ne, lt)
local c = 0
for i = 1, 300 do
  local a, b = i % 2 == 0, i % 3 == 0
  if a and b then c = c + 1 end
  if a or b then c = c + 10 end
  if not a then c = c + 100 end
  if not (a and b) then c = c + 1000 end
  local d = a and i or b and -i or nil
  if d then c = c + d end
  c = c + (a == b and 1 or 0) + (a ~= b and 2 or 0)
end
print(c)
local x = nil
local toggles = 0
for i = 1, 200 do
  if x then toggles = toggles + 1 end
  if x == nil then toggles = toggles + 100 end
  if i % 40 == 0 then x = ({ nil, false, 0, "", {} })[i // 40] end
end
print(toggles)
local k = 0
for i = 1, 200 do
  if i == 100 or i == 101.0 or i == "102" then k = k + i end
  if 50 < i and i <= 60 then k = k + 1 end
  if not (i > 190) and not (i < 180) then k = k + 7 end
end
print(k)
local s = "b"
local o = 0
for i = 1, 100 do
  local t = string.char(97 + i % 4)
  if t < s then o = o + 1 elseif t > s then o = o + 10 else o = o + 100 end
  if t ~= "c" then o = o + 1000 end
  if s == t and t == "b" then o = o + 5 end
end
print(o)
local f, g = function() end, print
local same = 0
for i = 1, 100 do
  local h = i % 2 == 0 and f or g
  if h == f then same = same + 1 end
  if h ~= g then same = same + 1 end
  if h == nil or h == 1 then same = -1000 end
end
print(same)
local t1, t2 = {}, {}
local tt = 0
for i = 1, 100 do
  local t = i % 3 == 0 and t1 or t2
  if t == t1 then tt = tt + 1 end
  if t ~= t2 then tt = tt + 1 end
  if t == i then tt = -1 end
end
print(tt)
local n = 0
for i = 1, 200 do
  local v = i <= 100 and i or i <= 150 and tostring(i) or nil
  if v then
    if v == 50 or v == "120" then n = n + 1000 end
    n = n + 1
  end
  if v ~= nil and type(v) == "number" and v % 2 == 0 then n = n + 2 end
end
print(n)
local z = 0
for i = 1, 200 do
  z = z + (i > 100 and (i > 150 and 3 or 2) or (i > 50 and 1 or 0))
  if i % 2 == 0 and (i % 3 == 0 or i % 5 == 0) and not (i % 7 == 0) then z = z + 1000 end
end
print(z)
local w, q = 0, 0
while not (w >= 150) do
  w = w + 1
  if w % 2 ~= 0 then goto c end
  q = q + 1
  ::c::
end
print(q)
local m = 0
for i = 1, 100 do
  local mx = i
  if mx < 50 then mx = 50 end
  if mx > 80 then mx = 80 end
  m = m + mx
end
print(m)
local bits = 0
for i = 0, 255 do
  if i & 1 == 1 then bits = bits + 1 end
  if i & 0x80 ~= 0 then bits = bits + 1000 end
  if i | 1 == i then bits = bits + 1 end
end
print(bits)
local i64 = 0
for i = 1, 100 do
  if math.maxinteger - i > 0 then i64 = i64 + 1 end
  if math.maxinteger + i < 0 then i64 = i64 + 1 end
  if i < math.huge and i > -math.huge then i64 = i64 + 1 end
  if i < i + 0.5 then i64 = i64 + 1 end
end
print(i64)
