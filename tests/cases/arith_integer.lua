-- Integer arithmetic: wrap-around, signs of // and %, shifts, bitwise operators.
local max, min = math.maxinteger, math.mininteger
print(max + 1 == min, min - 1 == max, max * 2, min * -1, -min, max + 1.0)
for _, a in ipairs { 7, -7, 0, max, min, min + 1 } do
  for _, b in ipairs { 3, -3, 1, -1, max, min } do
    print(a, b, a + b, a - b, a * b, a // b, a % b, a / b)
  end
end
for _, s in ipairs { 0, 1, 31, 32, 63, 64, 65, -1, -31, -63, -64, -65, max, min } do
  print(s, 1 << s, 1 >> s, -1 << s, -1 >> s, 0x1234567890abcdef << s, 0x1234567890abcdef >> s)
end
print(5 & 3, 5 | 3, 5 ~ 3, ~5, ~0, ~min, -1 & 0xff, max ~ min)
print(3 & 2.0, 2^53 | 0, 1.0 << 4, 7 ~ 2.0)
print(pcall(function() return "7" & 3 end))
print(pcall(function() return ~"7" end))
print(1 // 1, 1 // -1, min // -1, min % -1, 5 // 0.0, -5 // 0.0, 0 / 0 ~= 0 / 0, 5 % math.huge, -5 % math.huge, 5 % -math.huge)
print(pcall(function() return 1 // 0 end))
print(pcall(function() return 1 % 0 end))
local z = 0
print(pcall(function() return max // z end))
print(pcall(function() return max % z end))
print(2^2, 2^0.5, (-8)^(1/3) ~= (-8)^(1/3), 10 // 3.0, -10 // 3.0, 10 % 3.5, -10 % 3.5, 10 % -3.5)
