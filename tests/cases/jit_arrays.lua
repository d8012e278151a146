-- Arrays in hot loops: growth, mixing kinds, holes, negative and float keys, past the end, insert and remove, length.
local t = {}
for i = 1, 300 do t[i] = i * 2 end
local s = 0
for i = 1, #t do s = s + t[i] end
print(s, #t)
for i = 301, 600 do t[#t + 1] = i end
print(#t, t[600])
t[150] = "str"
s = 0
for i = 1, #t do
  local v = t[i]
  s = s + (type(v) == "number" and v or #v)
end
print(s)
t[200] = 1.5
s = 0
for i = 1, #t do if type(t[i]) ~= "string" then s = s + t[i] end end
print(s)
for i = 1, 600, 3 do t[i] = false end
local f = 0
for i = 1, 600 do if not t[i] then f = f + 1 end end
print(f)
local h = {}
for i = 1, 100 do h[i] = i end
h[50] = nil
s = 0
for i = 1, 100 do s = s + (h[i] or 1000) end
print(s)
for i = 1, 100 do h[i] = h[i] and h[i] * 2 or 7 end
print(h[50], h[51])
s = 0
for i = -5, 105 do s = s + (h[i] or 1) end
print(s)
local b = {}
for i = 100, 1, -1 do b[i] = i end
s = 0
for i = 1, 100 do s = s + b[i] end
print(s, #b)
local z = {}
for i = 0, 99 do z[i] = i end
s = 0
for i = 0, 99 do s = s + z[i] end
print(s)
local n = {}
for i = -50, 50 do n[i] = i * i end
s = 0
for i = -50, 50 do s = s + n[i] end
print(s)
local fk = {}
for i = 1, 100 do
  fk[i + 0.0] = i
  fk[i + 0.5] = -i
end
s = 0
for i = 1, 100 do s = s + fk[i] * 2 + fk[i + 0.5] end
print(s, #fk)
local q = {}
for i = 1, 200 do
  table.insert(q, i)
  if i % 3 == 0 then s = s + table.remove(q, 1) end
end
print(#q, s, q[1], q[#q])
while #q > 0 do s = s + table.remove(q) end
print(s, #q)
for i = 1, 200 do
  q[#q + 1] = i
  if #q > 50 then
    for k = 1, 26 do q[k] = q[k + 25] end
    for k = 51, 27, -1 do q[k] = nil end
  end
end
print(#q)
local fl = {}
for i = 1, 200 do fl[i] = i / 4 end
s = 0.0
for i = 1, 200 do
  s = s + fl[i]
  fl[i] = -fl[i]
end
print(s, fl[100])
for i = 1, 200 do
  if i == 150 then fl[i] = 3 end
  s = s + fl[i]
end
print(s)
local o = {}
for i = 1, 150 do o[i] = { v = i } end
s = 0
for i = 1, 150 do
  s = s + o[i].v
  o[i] = o[(i * 7) % 150 + 1]
end
print(s)
s = 0
for i = 1, 150 do s = s + o[i].v end
print(s)
local m = { 1, 2, 3 }
for i = 1, 150 do m[i % 3 + 1], m[(i + 1) % 3 + 1] = m[(i + 1) % 3 + 1], m[i % 3 + 1] end
print(m[1], m[2], m[3])
local e = {}
for i = 1, 100 do
  e[1] = i
  e[2] = e[1] + 1
  e[1] = nil
  e[2] = nil
end
print(next(e), #e)
local st = { 0 }
for i = 1, 100 do
  st[#st + 1] = st[#st] + i
  if #st > 10 then for k = #st, 2, -1 do st[k] = nil end end
end
print(#st, st[#st])
s = 0
for i = 1, 100 do
  local a = { i, i + 1, i + 2 }
  s = s + #a + a[1] * a[3]
  a[2] = nil
  a[4] = 4
  s = s + (a[4] or 0)
end
print(s)
local sieve, c = {}, 0
for i = 2, 1000 do
  if not sieve[i] then
    c = c + 1
    for j = i * i, 1000, i do sieve[j] = true end
  end
end
print(c)
local mixed = {}
for i = 1, 300 do mixed[i] = i % 3 == 0 and i or i % 3 == 1 and i + 0.5 or tostring(i) end
s = 0
for i = 1, 300 do s = s + mixed[i] end
print(s)
local shared = {}
local alias = shared
for i = 1, 150 do
  shared[i] = i
  alias[i] = alias[i] + 1
  s = s + shared[i]
end
print(s)
local two = { {}, {} }
for i = 1, 200 do
  local a, b2 = two[i % 2 + 1], two[2 - i % 2]
  a[#a + 1] = i
  b2[#b2 + 1] = -i
end
print(#two[1], #two[2], two[1][100], two[2][100])
local big = {}
big[1e6] = 1
for i = 1, 150 do big[i * 1000] = i end
s = 0
for i = 1, 150 do s = s + big[i * 1000] end
print(s)
print(table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ","))
for i = 1, 120 do
  local u = table.pack(table.unpack({ i, i, nil, i }, 1, 4))
  s = s + u.n + (u[3] or 0)
end
print(s)
local w = {}
for i = 1, 100 do w[i] = i end
local it = 0
for i = 1, 100 do
  for k, v in ipairs(w) do
    if k > 5 then break end
    it = it + v
  end
  w[i % 7 + 1] = i
end
print(it)
for i = 1, 200 do
  local idx = i % 2 == 0 and i or i + 0.0
  w[idx] = i
end
print(#w, w[199], w[200])
