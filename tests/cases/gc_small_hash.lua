-- A dead table's small hash part may be used for something else before the table itself is swept: its size must not be read from
-- it then.
local keep, total = {}, 0
for round = 1, 10 do
  local tables = {}
  for i = 1, 150 do
    local t = {}
    for k = 1, 300 do t[k] = k end      -- an array that lies outside of the heap
    t[true], t[false], t[0] = i, i, i   -- a hash part that is a cell of the heap
    tables[i] = t
  end
  tables = nil
  for i = 1, 1500 do
    keep[i % 750] = { -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15, -16 }
    keep[i % 750 + 750] = string.rep("\xff", 100 + i % 64)
  end
  total = total + #keep
end
print(total)
