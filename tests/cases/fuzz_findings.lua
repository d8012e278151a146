-- Programs that random testing has found, each the smallest that showed the mistake.

-- The least integer of 32 bits as a constant.
print(-2147483648, ~0x7fffffff, ({x = -2147483648}).x)
local sum = 0.5
for i = 1, 100 do sum = sum + math.mininteger * 0.0 + i end
print(sum)

-- `math.min` and `math.max` take what can be compared.
print(math.max("10", "9"), math.min("b", "a", "c"), pcall(math.min, nil, nil))
print(pcall(math.max, 1, "2"), math.max({} and "x"), pcall(math.min))

-- A name in a message ends at a zero byte.
print(pcall(function() return 1 & 'a\0b' end))
print(pcall(function() local t = {} t['x\0y'].z = 1 end))

-- A string that is made before a loop, and that only the compiled loop has in hand while garbage is collected.
local yes, spaced = true, string.rep(" 5 ", 2)
for n = 1, 10 do
  local code = -(string.byte(spaced, 1) or 256)
  local last
  for i = 1, 200 do
    last = { x = i, s = (yes and spaced or "else") .. (n - code), setmetatable({ x = i + n, 1, 2, 3 }, {}), 2, 3 }
  end
  print(last.s, last[1].x)
end
