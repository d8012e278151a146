-- Comparisons between integers and floats at the borders of exactness.
local big = 2^53
local edges = { math.mininteger, -2^63, math.mininteger + 1, -big - 1, -2^53, -1, -0.0, 0, 0.5, 1, 1.0, 9007199254740991, 9007199254740992,
  9007199254740993, 2^53, 2^53 + 2, math.maxinteger - 1, math.maxinteger, 2^63, 1e300, 1 / 0, -1 / 0, 0 / 0 }
for i, a in ipairs(edges) do
  local line = {}
  for j, b in ipairs(edges) do
    line[j] = (a < b and "<" or "") .. (a <= b and "l" or "") .. (a == b and "=" or "") .. (a >= b and "g" or "") .. (a > b and ">" or "")
    if line[j] == "" then line[j] = "?" end
  end
  print(i, table.concat(line, " "))
end
print(math.maxinteger + 0.0 == math.maxinteger, math.maxinteger + 0.0 == 2^63, math.maxinteger < 2^63, math.mininteger == -2^63)
print(9007199254740993 < 9007199254740992.0, 9007199254740993 == 9007199254740992.0, 9007199254740993 > 9007199254740992.0)
local t = {}
t[2^53] = "a"
t[1.0] = "one"
print(t[9007199254740992], t[1], next({ [3.0] = 1 }), math.type(next({ [3.0] = 1 })))
print("a" < "b", "a" < "B", "" < "a", "a" <= "a", "10" < "9", "a\0b" < "a\0c", "a" < "a\0")
print(pcall(function() return 1 < "2" end))
print(pcall(function() return {} < {} end))
print(pcall(function() return nil <= 1 end))
print(pcall(function() return true > false end))
print(1 == "1", "1" == 1, nil == false, 0 == -0)
