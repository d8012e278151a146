-- Loops with many branches: exits taken rarely, often, alternately, nested, and to the end of the loop.
local a, b, c, d = 0, 0, 0, 0
for i = 1, 1000 do
  if i % 2 == 0 then
    a = a + i
  elseif i % 3 == 0 then
    b = b + i
  elseif i % 5 == 0 then
    c = c + 1
  else
    d = d ~ i
  end
end
print(a, b, c, d)
local n = 0
for i = 1, 500 do
  if i % 7 == 0 then
    if i % 11 == 0 then n = n + 100 else n = n + 10 end
  elseif i > 400 then
    n = n + 1
  elseif i < 100 and i % 3 == 1 then
    n = n - 1
  end
end
print(n)
local s = 0
for i = 1, 1000 do
  local k = i & 7
  if k == 0 then
    s = s + 1
  elseif k == 1 then
    s = s + 2
  elseif k == 2 then
    s = s * 3 % 10007
  elseif k == 3 then
    s = s - 4
  elseif k == 4 then
    s = s ~ 5
  elseif k == 5 then
    s = s << 1 & 0xffff
  elseif k == 6 then
    s = -s % 997
  else
    s = s + 0
  end
end
print(s)
local x, y = 0, 0
for i = 1, 300 do
  x = x + 1
  if x > 250 then y = y + x end
  if i == 299 then x = x * 2 end
end
print(x, y)
local p = 1
for i = 1, 400 do
  if p > 1000 then p = p - 999 end
  if p % 2 == 0 then p = p // 2 else p = 3 * p + 1 end
end
print(p)
local f = 0.0
for i = 1, 400 do
  if f > 10 then
    f = f - 9.5
  elseif f < -3 then
    f = -f
  else
    f = f + 0.75 * (i % 3 - 0.5)
  end
end
print(f)
local st = "start"
local counts = {}
for i = 1, 600 do
  counts[st] = (counts[st] or 0) + 1
  if st == "start" then
    st = "middle"
  elseif st == "middle" then
    st = i % 5 == 0 and "end" or "middle"
  else
    st = "start"
  end
end
print(counts.start, counts.middle, counts["end"])
local out = {}
for i = 1, 300 do
  if i % 50 == 0 then
    out[#out + 1] = i
    goto continue
  end
  if i % 97 == 0 then out[#out + 1] = -i end
  ::continue::
end
print(table.concat(out, " "))
for i = 1, 1000 do
  if i * i > 5000 then
    print("break at", i)
    break
  end
end
local function find(t, v)
  for i = 1, #t do if t[i] == v then return i end end
  return nil
end
local t = {}
for i = 1, 100 do t[i] = i * 3 end
local hits, miss = 0, 0
for i = 1, 300 do if find(t, i) then hits = hits + find(t, i) else miss = miss + 1 end end
print(hits, miss)
local z = 0
for i = 1, 200 do
  z = z + (i % 2 == 0 and 1 or i % 3 == 0 and 2 or i % 5 == 0 and 3 or 0)
end
print(z)
local g = 0
for i = 1, 200 do
  local ok = i > 10 and i < 190 or i == 5
  g = g + (ok and 1 or 0)
  if not ok then g = g + 1000 end
end
print(g)
local flag = true
local tog = 0
for i = 1, 333 do
  flag = not flag
  if flag then tog = tog + i else tog = tog - 1 end
end
print(tog)
local nested = 0
for i = 1, 40 do
  for j = 1, 40 do
    if (i + j) % 2 == 0 then
      for k = 1, 3 do
        if (i * j + k) % 5 == 0 then
          nested = nested + 1
        elseif k == 3 then
          nested = nested + 2
        end
      end
    elseif j > i then
      nested = nested - 1
    end
  end
end
print(nested)
