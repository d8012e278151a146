-- Loops in loops with varying and zero trip counts, triangular ones, early exits from the inner and the outer one.
local s = 0
for i = 1, 30 do
  for j = 1, 30 do for k = 1, 5 do s = s + i * j - k end end
end
print(s)
s = 0
for i = 0, 60 do for j = 1, i do s = s + j end end
print(s)
s = 0
for i = 60, 1, -1 do for j = i, 60, 7 do s = s + 1 end end
print(s)
s = 0
for i = 1, 100 do for j = 1, i % 3 do s = s + j end end
print(s)
s = 0
for i = 1, 100 do
  local j = 0
  while j < i % 5 do
    j = j + 1
    s = s + j
  end
end
print(s)
s = 0
for i = 1, 50 do
  local j = i
  repeat
    j = j // 2
    s = s + 1
  until j == 0
end
print(s)
local found
for i = 1, 100 do
  for j = 1, 100 do
    if i * j == 3233 then
      found = i .. "x" .. j
      goto out
    end
  end
end
::out::
print(found)
s = 0
for i = 1, 50 do
  for j = 1, 50 do
    if j > i then break end
    s = s + 1
  end
  if s > 1000 then break end
end
print(s)
local m = {}
for i = 1, 20 do
  m[i] = {}
  for j = 1, 20 do m[i][j] = i * 100 + j end
end
local tr = 0
for i = 1, 20 do for j = 1, 20 do tr = tr + m[j][i] - m[i][j] * 2 end end
print(tr)
for i = 1, 20 do for j = i + 1, 20 do m[i][j], m[j][i] = m[j][i], m[i][j] end end
print(m[3][7], m[7][3])
local function inner(n)
  local r = 0
  for i = 1, n do r = r + i end
  return r
end
local total = 0
for i = 1, 80 do total = total + inner(i % 10) end
print(total)
total = 0
for i = 1, 5 do total = total + inner(200) end
print(total)
local w, outer = 0, 0
while outer < 50 do
  outer = outer + 1
  local k = 0
  while true do
    k = k + 1
    if k > outer then break end
    if k % 2 == 0 then goto next end
    w = w + k
    ::next::
  end
end
print(w)
for i = 1, 3 do
  local t = {}
  for j = 1, 100 do t[j] = j end
  local r = 0
  for _, v in ipairs(t) do r = r + v end
  for k, v in pairs(t) do r = r + k * v end
  print(r)
end
local cnt = 0
for a = 1, 8 do
  for b = 1, 8 do
    for c = 1, 8 do
      for d = 1, 8 do if a * a + b * b == c * c + d then cnt = cnt + 1 end end
    end
  end
end
print(cnt)
local rows = {}
for i = 1, 12 do
  local row = { 1 }
  for j = 2, i do row[j] = (rows[i - 1][j - 1] or 0) + (rows[i - 1][j] or 0) end
  rows[i] = row
end
print(table.concat(rows[12], " "))
local fl = 0.0
for x = 0, 1, 0.05 do for y = 1, 0, -0.1 do fl = fl + x * y end end
print(string.format("%.10f", fl))
local e = 0
for i = 1, 100 do
  for j = 5, 1 do e = e + 1 end
  for j = 1, 0 do e = e + 1 end
end
print(e)
local z = 0
for i = 1, 10 do for j = i, i do z = z + j end end
print(z)
