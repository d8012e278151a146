-- Native functions with an open list of results, whose number changes after the loop is hot.
local function parts(s) return string.find(s, "(b)(c?)") end
local function count(...) return select("#", ...) end
local texts = { "abc", "abx", "none", "bc" }
local log = {}
for i = 1, 300 do
  local s = texts[i < 200 and 1 or i % 4 + 1]
  log[#log + 1] = count(parts(s))
  if i % 50 == 0 then print(i, count(string.byte(s, 1, i % 7)), parts(s)) end
end
print(table.concat(log, "", 190, 240))

-- Tail calls of native functions, inlined and called.
local function last(t) return table.remove(t) end
local function name(x) return tostring(x) end
local function lower(x) return string.lower(x), "dropped?" end
local stack, sum = {}, 0
for i = 1, 200 do stack[i] = i end
for i = 1, 200 do
  sum = sum + last(stack)
  local a, b = lower(name(i) .. "X")
  if i % 40 == 0 then print(a, b, #stack, sum) end
end
print(last(stack), #stack)

-- An open list in a constructor and in a return through two calls.
local function unpacked(t) return table.unpack(t) end
local function twice(t) return unpacked(t) end
local sizes = {}
for i = 1, 200 do
  local t = {}
  for j = 1, i < 150 and 3 or i % 5 do t[j] = j * i end
  local copy = { twice(t) }
  sizes[#sizes + 1] = #copy
  if i % 45 == 0 then print(i, twice(t)) end
end
print(table.concat(sizes, "", 140, 170))

-- An error from a native function with an open list.
local function convert(x) return tonumber(x, 10) end
print(pcall(function()
  local total = 0
  for i = 1, 200 do
    total = total + select(1, convert(i < 190 and "12" or {}))
  end
  return total
end))


-- A side trace that leaves by a return of its own function with an open list behind other results.
local number = 0
local function spread(t, i, j) return table.unpack(t, i or 1, j or t.n) end
local function numbered()
  number = number + 1
  local row = { n = 3 }
  for i = 1, 3 do row[i] = number * i end
  return number, spread(row)
end
local counts = {}
for _ = 1, 200 do
  local results = table.pack(numbered())
  counts[#counts + 1] = results.n
end
print(table.concat(counts, "", 1, 200))

-- The first result of an open list is of another type than it was: as many extra arguments as there are.
do
  local formats = {}
  for i = 1, 200 do formats[i] = i % 60 == 0 and "zi1" or "i1i1" end
  local function extra(first, ...) local a, b, c, d, e = ... return select("#", ...), a, b, c, d, e end
  local function two(x, y, ...) return { ... }, select("#", ...) end
  for i = 1, 200 do
    local n, a, b, c = extra(string.unpack(formats[i], "a\0bc"))
    if n ~= 2 or i % 60 == 0 then print(i, n, a, b, c) end
    local list, m = two(string.unpack(formats[i], "a\0bc"))
    if m ~= 1 or i % 60 == 0 then print(i, m, list[1], list[2]) end
    local ok, n, a = pcall(extra, string.unpack(formats[i], "a\0bc"))
    if n ~= 2 or i % 60 == 0 then print(i, ok, n, a) end
    local mt = setmetatable({}, { __call = function(self, first, ...) return first, select("#", ...) end })
    local first, n = mt(string.unpack(formats[i], "a\0bc"))
    if n ~= 2 or i % 60 == 0 then print(i, first, n) end
  end
end
