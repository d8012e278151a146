-- A float is compared with integers that are no floats, then with some that are.
local function less(a, list)
  local out = {}
  for i, b in ipairs(list) do out[i] = (a < b and "<" or "") .. (a <= b and "l" or "") .. (a == b and "=" or "") .. (a >= b and "g" or "") .. (a > b and ">" or "") end
  return table.concat(out, " ")
end
local lists = {}
for i = 1, 200 do
  lists[i] = i < 150 and math.mininteger + 1 or i - 175
end
print((less(-2^63, lists)))
print((less(-2.0, lists)))
for i = 1, 200 do lists[i] = i < 150 and 9007199254740993 or i + 9007199254740992 - 175 end
print((less(2^53, lists)))
print((less(0.5, lists)))
