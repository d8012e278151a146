-- Numeric loops of all kinds: huge steps and spans, limits that are no integers, and numbers that are compared exactly.
local huge, tiny, inf, nan = math.maxinteger, math.mininteger, math.huge, 0 / 0
local function count(from, to, by)
  local n, last = 0, nil
  for i = from, to, by do
    n, last = n + 1, i
    if n == 5 then break end
  end
  return n, last
end
local spans = {
  { tiny, huge, huge }, { huge, tiny, tiny }, { tiny, huge, 1 << 62 }, { huge, tiny, -(1 << 62) }, { 1, huge, huge }, { 0, tiny, tiny },
  { huge - 1, huge, 1 }, { tiny + 1, tiny, -1 }, { huge - 1, huge, 2 }, { 1, 0, 1 }, { 1, inf, 1 }, { 1, -inf, 1 }, { 1, inf, -1 },
  { 1, -inf, -1 }, { 1, nan, 1 }, { 1, nan, -1 }, { 1, 3.7, 1 }, { 3, 0.2, -1 }, { -3, -0.2, 1 }, { 1, 1e18, 1 << 59 }, { 1, 2.0 ^ 63, huge },
  { tiny, -2.0 ^ 63, -1 }, { 1.0, nan, 1 }, { nan, 1.0, 1 }, { 1.0, nan, -1 }, { nan, nan, 0.5 }, { 1.0, 2, nan }, { 2, nan, 1.5 },
  { 1.0, 3, 0.5 }, { 3, 1, -0.75 }, { 1, 3.0, 1 }, { 0.1, inf, 1e308 }, { 1, 3, 7 }, { 10, 1, -4 },
}
for round = 1, 3 do
  for _, span in ipairs(spans) do
    local sum, n, last = 0, 0, nil
    for i = 1, 60 do
      n, last = count(span[1], span[2], span[3])
      sum = sum + n
    end
    if round ~= 2 then print(sum, last) end
  end
end
-- The same loop over all of them by turns.
local all = 0
for i = 1, #spans * 40 do
  local span = spans[i % #spans + 1]
  all = all + count(span[1], span[2], span[3])
end
print(all)
local errors = {}
for i = 1, 100 do
  local ok, e = pcall(count, 1, 2, i % 2 == 0 and 0 or 0.0)
  errors[e] = (errors[e] or 0) + 1
  ok, e = pcall(count, 1, i % 2 == 0 and {} or "x", 1)
  errors[e] = (errors[e] or 0) + 1
end
local list = {}
for e, n in pairs(errors) do list[#list + 1] = e:gsub("^.-:%d+: ", "") .. " " .. n end
table.sort(list)
print(table.concat(list, "\n"))

-- Integers that no float equals.
local numbers = { huge, huge - 1, tiny, tiny + 1, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1, 7 }
local floats = { 2.0 ^ 63, -2.0 ^ 63, 2.0 ^ 53, -2.0 ^ 53, 9.3e18, inf, -inf, nan, 7.0, 7.5 }
local marks = {}
for round = 1, 40 do
  for i, a in ipairs(numbers) do
    for j, b in ipairs(floats) do
      local m = (a < b and 1 or 0) + (a <= b and 2 or 0) + (a > b and 4 or 0) + (a >= b and 8 or 0) + (a == b and 16 or 0)
      m = m + (b < a and 32 or 0) + (b <= a and 64 or 0) + (b > a and 128 or 0) + (b >= a and 256 or 0) + (b ~= a and 512 or 0)
      marks[i] = ((marks[i] or 0) * 31 + m) % 1000003
    end
  end
end
print(table.concat(marks, " "))
local big, at_most = huge, 0
for i = 1, 300 do
  if big < 2.0 ^ 63 then at_most = at_most + 1 end
  if big == 2.0 ^ 63 then at_most = at_most + 1000 end
  if i == 200 then big = 7.0 end
  if i == 250 then big = 1 end
end
print(at_most)

-- A limit before all integers, where the loop begins at the last or the first of them.
local function down(from, limit)
  local n = 0
  for i = from, limit, -1 do n = n + 1 if i % 3 == 5 or n > 9 then break end end
  return n
end
local function up(from, limit)
  local n = 0
  for i = from, limit do n = n + 1 if i % 3 == 5 or n > 9 then break end end
  return n
end
local sums = { 0, 0, 0, 0, 0 }
for i = 1, 300 do
  local late = i > 100
  sums[1] = sums[1] + down(late and math.maxinteger or 5, late and 1e300 or 1)
  sums[2] = sums[2] + up(late and math.mininteger or 1, late and -1e300 or 5)
  sums[3] = sums[3] + up(late and math.mininteger or 1, late and 0 / 0 or 5)
  sums[4] = sums[4] + down(late and math.mininteger + 3 or 5, late and -1e300 or 1)
  sums[5] = sums[5] + up(late and math.maxinteger - 3 or 1, late and 1e300 or 5)
end
print(table.concat(sums, " "))
