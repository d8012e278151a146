-- Loops in functions that loops call: the outer trace goes on in the inner one's, with its frames standing.
local function sum(t, n)
  local s = 0
  for i = 1, n do s = s + t[i] end
  return s
end
local function rows(m, n)
  local s = 0
  for i = 1, n do s = s + sum(m[i], #m[i]) end
  return s
end
local m = {}
for i = 1, 30 do
  m[i] = {}
  for j = 1, 20 + i % 3 do m[i][j] = i * j end
end
local total = 0
for round = 1, 60 do total = total + rows(m, 1 + round % 30) end
print(total)

-- An error in the innermost loop shows all frames.
m[7][5] = "x" .. 1
local ok, message = xpcall(rows, function(e) return debug.traceback(e, 1) end, m, 10)
print(ok, (message:gsub("\n%s*%[C%]: in %?", "")))

-- Loops over frames that end by a return from the middle.
local function find(t, x)
  for i, v in ipairs(t) do
    if v == x then return i end
  end
  return nil
end
local found = {}
for i = 1, 120 do found[#found + 1] = tostring(find({ 5, 3, i % 7, 9 }, i % 5)) end
print(table.concat(found, " "))

-- To-be-closed variables around and in loops with and without closing values.
local closed = 0
local function closing() return setmetatable({}, { __close = function() closed = closed + 1 end }) end
local function walk(t, value)
  local n = 0
  for _, v in next, t, nil, value do
    n = n + v
    if n > 40 then break end
  end
  return n
end
local seen = 0
for i = 1, 200 do seen = seen + walk({ 10, 20, 30 }, i > 150 and closing() or nil) end
print(seen, closed)
for i = 1, 100 do
  local guard <close> = i % 3 == 0 and closing() or nil
  for _, v in ipairs({ 1, 2, 3 }) do seen = seen + v end
end
print(seen, closed)

-- Many functions that are made, get hot, and are forgotten; each call site sees another one each time.
local results = 0
for i = 1, 150 do
  local f = load("local n = ... local s = 0 for i = 1, 80 do s = s + i % n end return s")
  results = results + f(i) + f(i + 1)
  if i % 50 == 0 then collectgarbage() end
end
print(results)

-- Memory that only the first part of an iteration allocates, before side exits, is collected all the same.
local ring = {}
for i = 1, 20 do ring[i] = false end
local peak = 0
for i = 1, 20000 do
  local o = { id = i, list = { i, i, i } }
  local slot = i * 7 % 20 + 1
  if ring[slot] and ring[slot].id % 3 == 0 then ring[slot].id = 0 end
  ring[slot] = o
  if i % 1000 == 0 then peak = math.max(peak, collectgarbage("count")) end
end
print(peak < 8000)
