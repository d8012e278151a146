-- Keys that belong in the same place of a table, in compiled loops and out of them.

-- The same bits, as an integer, a float, and a boolean.
local function bits(f) return (string.unpack("<i8", string.pack("<d", f))) end
local floats = { 0.5, 1.5, -2.25, 5e-324, 1e300, -0.1 }
local t = { [true] = "true", [false] = "false" }
for i, f in ipairs(floats) do
  t[f] = "float " .. i
  if i % 2 == 0 then t[bits(f)] = "integer " .. i end
end
t[0] = "zero"
print(t[true], t[1], t[false], t[0])
for round = 1, 3 do
  local seen = {}
  for i = 1, 6 do
    local k = bits(floats[i])
    for _ = 1, 60 do seen[i] = (t[k] or "nothing") .. ", " .. t[floats[i]] end
  end
  print(table.concat(seen, "; "))
  for i, f in ipairs(floats) do
    local k = bits(f)
    if round == 1 then t[k] = "integer " .. i .. " again" end
    if round == 2 then t[k] = nil end
  end
end

-- Integers that are there, are not, and were: what a compiled look-up finds, and stores.
local function count(t, from, to)
  local n, sum = 0, 0
  for i = from, to do
    local v = t[i]
    if v then n, sum = n + 1, sum + v end
  end
  return n, sum
end
local sparse = {}
for i = 1, 4000 do sparse[i * 3 + 1000] = i end
print(count(sparse, 0, 14000))
for i = 1, 4000, 2 do sparse[i * 3 + 1000] = nil end
print(count(sparse, 0, 14000))
for i = 1, 4000, 4 do sparse[i * 3 + 1000] = -i end
print(count(sparse, 0, 14000))
for i = -4000, -1 do sparse[i] = 1 end
print(count(sparse, -5000, 14000))
for i = 1, 4000 do local k = i * 3 + 1000 sparse[k] = (sparse[k] or 0) + 1 end
print(count(sparse, -5000, 14000))

-- Removed while they are traversed, put back, with the collector at work: each is met once.
local function keys_of(kind, n)
  local list = {}
  for i = 1, n do
    list[i] = kind == "table" and { i } or kind == "string" and "key " .. i or kind == "float" and i + 0.5 or i * 64
  end
  return list
end
for _, kind in ipairs { "table", "string", "float", "integer" } do
  local keys, t = keys_of(kind, 500), {}
  for i, k in ipairs(keys) do t[k] = i end
  local met, sum = 0, 0
  for k, i in pairs(t) do
    met, sum = met + 1, sum + i
    if i % 3 > 0 then t[k] = nil end
    if met % 100 == 0 then collectgarbage() end
  end
  print(kind, met, sum)
  for i = 1, 500 do if i % 3 > 0 then keys[i] = keys_of(kind, i)[i] end end
  collectgarbage()
  for i, k in ipairs(keys) do if i % 2 == 0 then t[k] = -i end end
  met, sum = 0, 0
  for _, i in pairs(t) do met, sum = met + 1, sum + i end
  print(kind, met, sum)
  local right = 0
  for i, k in ipairs(keys) do
    if t[k] == (i % 2 == 0 and -i or i % 3 == 0 and i or nil) then right = right + 1 end
  end
  print(kind, right)
end
