-- Loops whose types change midway: integer to float, number to string, nil to number, table to number.
local s = 0
for i = 1, 200 do if i == 100 then s = s + 0.5 else s = s + 1 end end
print(s)
local x = 1
for i = 1, 150 do
  x = x + 1
  if i == 77 then x = x .. "" end
end
print(x, math.type(x))
local v
for i = 1, 120 do if i > 60 then v = (v or 0) + i end end
print(v)
local t = { 1, 2, 3 }
local sum = 0
for i = 1, 300 do
  local e = t[i % 3 + 1]
  sum = sum + (type(e) == "table" and e.n or e)
  if i == 150 then t[2] = { n = 20 } end
  if i == 200 then t[3] = 2.5 end
  if i == 250 then t[1] = "7" end
end
print(sum)
local function add(a, b) return a + b end
local r = 0
for i = 1, 100 do r = add(r, i) end
for i = 1, 100 do r = add(r, i + 0.5) end
for i = 1, 100 do r = add(r, i) end
print(r)
for i = 1, 100 do r = add(r, "1") end
print(r)
local acc = 0
for _, list in ipairs { { 1, 2, 3 }, { 1.5, 2.5 }, { 1, 2.5, 3 }, { "4", 5 } } do
  for rep = 1, 60 do for _, y in ipairs(list) do acc = acc + y end end
  print(acc)
end
local function f(n) if n % 2 == 0 then return n else return n + 0.0 end end
local m = 0
for i = 1, 200 do m = m + f(i) end
print(m, math.type(m))
local k = 0
for i = 1, 200 do
  k = f(i)
  if math.type(k) == "float" then k = k * 2 end
end
print(k)
local b = false
local n = 0
for i = 1, 200 do
  if b then n = n + 1 end
  if i == 50 then b = 1 elseif i == 100 then b = nil elseif i == 150 then b = "s" end
end
print(n)
local w = 5
while w ~= nil do
  if w == 100 then w = "x" elseif w == "x" then w = nil else w = w + 1 end
end
print(w)
local c = 0
for i = 1, 100 do
  local q = i < 50 and 1 or 1.0
  c = c + q
end
print(c)
local z = math.maxinteger - 50
for i = 1, 100 do z = z + 1 end
print(z)
local zf = math.maxinteger - 50
for i = 1, 100 do
  if i == 90 then zf = zf + 0.0 end
  zf = zf + 1
end
print(zf)
local str = "a"
for i = 1, 100 do
  if i % 30 == 0 then
    str = i
  elseif type(str) == "number" then
    str = tostring(str) .. "b"
  else
    str = str:sub(1, 3) .. "c"
  end
end
print(str)
local fl = 1.0
for i = 1, 100 do fl = i % 10 == 0 and i or fl * 1.5 end
print(fl)
