-- Lists that are filled several elements at a time: the last of them is assigned first, behind the end of the list.
local function check(t, n)
  assert(#t == n, #t)
  local count, sum = 0, 0
  for k, v in pairs(t) do
    if math.type(k) == "integer" and k >= 1 then count = count + 1 end
    assert(rawget(t, k) == v)
  end
  for i = 1, n do sum = sum + (tonumber(t[i]) or 1) end
  return count == n, sum
end

local function eights(t, n, value)
  for i = 1, n, 8 do
    t[i], t[i + 1], t[i + 2], t[i + 3], t[i + 4], t[i + 5], t[i + 6], t[i + 7] = value(i), value(i + 1), value(i + 2),
      value(i + 3), value(i + 4), value(i + 5), value(i + 6), value(i + 7)
  end
  return t
end

local function int(i) return i end
local function mixed(i) return i % 3 == 0 and tostring(i) or i % 3 == 1 and i / 2 or i end
print(check(eights({}, 4000, int), 4000))
print(check(eights({}, 4000, mixed), 4000))
print(check(eights({ [0] = "zero" }, 4000, int), 4000))
print(check(eights({ [0] = "zero", [-1] = 1, x = 2 }, 4000, mixed), 4000))
print(check(eights({ "a", 2, "c" }, 64, mixed), 64))

-- keys that wait in the hash when the list grows past them
for _, order in ipairs { { 12, 14, 16, 13, 15, 11 }, { 16, 15, 14, 13, 12, 11 }, { 40, 11, 30, 12, 13, 70, 14, 15, 16 }, { 80, 90, 12, 11 } } do
  local t = { [0] = true }
  for i = 1, 10 do t[i] = i % 2 == 0 and i or tostring(i) end
  for _, k in ipairs(order) do t[k] = k end
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  print(table.concat(keys, " "))
  for _, k in ipairs(order) do assert(t[k] == k) t[k] = nil end
  print(#t, next(t) ~= nil)
  for _, k in ipairs(order) do t[k] = k + 0.5 end
  for _, k in ipairs(order) do assert(t[k] == k + 0.5) end
end

for n = 8, 200 do
  local t = { [0] = 0 }
  for i = 1, n do t[i] = mixed(i) end
  t[n + 28], t[n + 30], t[n + 33] = "a", "b", "c"
  for i = n + 1, n + 20 do t[i] = mixed(i) end
  t[n + 29], t[n + 31], t[n + 32] = "e", "f", "g"
  for i = 0, n + 20 do assert(t[i] == (i == 0 and 0 or mixed(i))) end
  for i = n + 21, n + 27 do assert(t[i] == nil) end
  assert(t[n + 28] .. t[n + 29] .. t[n + 30] .. t[n + 31] .. t[n + 32] .. t[n + 33] == "aebfgc")
  for i = n + 21, n + 27 do t[i] = i end
  assert(#t == n + 33)
end

-- far and near keys, set and removed again
local t = { [0] = 0 }
for i = 1, 200 do t[i] = i % 2 == 0 and i or "x" end
for i = 1, 100 do t[200 + i] = i t[200 + i] = nil t[100000] = i t[100000] = nil end
print(#t, t[0], t[200], t[201], t[100000])
for i = 200, 11, -1 do t[i] = nil end
for i = 1, 100 do t[200] = i t[200] = nil t[20] = i t[20] = nil end
print(#t, t[20], t[200])

-- a list with weak values and one that is traversed while it loses elements
local weak = setmetatable({ [0] = {} }, { __mode = "v" })
local kept = {}
for i = 1, 64 do kept[i] = {} end
for i = 1, 64, 4 do weak[i], weak[i + 1], weak[i + 2], weak[i + 3] = kept[i], kept[i + 1], kept[i + 2], kept[i + 3] end
collectgarbage()
print(#weak, weak[0], weak[64] == kept[64])
local list, seen = eights({ [0] = 0 }, 400, mixed), 0
for k, v in pairs(list) do seen = seen + 1 list[k] = nil end
print(seen, next(list), #list)
