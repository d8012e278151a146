-- Multiple assignment: swaps, evaluation before assignment, calls that extend, table fields.
local a, b, c = 1, 2
print(a, b, c)
a, b = b, a print(a, b)
a, b, c = c, a, b print(a, b, c)
local t = { 1, 2 }
local i = 1
i, t[i] = i + 1, 20
print(i, t[1], t[2])
t[1], t[2] = t[2], t[1] print(t[1], t[2])
local function two() return 1, 2 end
local x, y, z = two() print(x, y, z)
x, y, z = two(), 10 print(x, y, z)
x, y, z = 0, two() print(x, y, z)
x, y, z = (two()) print(x, y, z)
local log = {}
local function note(v) log[#log + 1] = v return v end
local m = setmetatable({}, { __newindex = function(_, k, v) note(k .. "=" .. tostring(v)) end })
m.a, m.b, m.c = note(1), note(2), note(3)
print(table.concat(log, " "))
do local a = { x = 1 } local b = a a.x, a = 5, nil print(b.x, a) end
local p, q = { v = 1 }, { v = 2 }
p.v, q.v, p, q = q.v, p.v, q, p
print(p.v, q.v)
local s = "a" local u = s s = s .. "b" print(s, u)
local k = { [1] = "x" } k[1], k[2], k[3] = k[1] .. "1", k[1] .. "2", k[1] .. "3" print(table.concat(k, ","))
local n1, n2 <const>, n3 = 1, 2 print(n1, n2, n3)
