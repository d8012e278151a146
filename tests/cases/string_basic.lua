-- len, sub, upper, lower, rep, reverse, byte, char with all kinds of positions.
local s = "hello"
print(#s, s:len(), s:upper(), ("HeLLo"):lower(), s:reverse(), (""):reverse(), s:rep(3), s:rep(3, ", "), s:rep(1, "x"),
  s:rep(0, "x"), s:rep(-1))
for _, p in ipairs { { 1 }, { 2, 3 }, { -3 }, { -3, -2 }, { 0 }, { 0, 2 }, { 4, 10 }, { 10 }, { 3, 2 }, { -100, 2 },
  { -100, -100 }, { math.mininteger, math.maxinteger }, { math.maxinteger }, { 2, -2 }, { 1, 0 } } do
  print(p[1], p[2], "[" .. s:sub(p[1], p[2]) .. "]", s:byte(p[1], p[2]))
end
print(s:sub(2.0, 3), pcall(s.sub, s, 1.5))
print(pcall(s.sub, s))
print(string.char(), string.char(72, 101), #string.char(0, 255), string.char(0, 255):byte(1, 2))
print(pcall(string.char, 256))
print(pcall(string.char, -1))
print(pcall(string.char, "x"))
print(s:byte(), s:byte(10), s:byte(-1), s:byte(1, -1))
print(("a\0b"):len(), #"\0\0", ("a\0b"):byte(1, -1), ("a\0b"):upper():byte(1, -1), ("x\0y"):rep(2):len(),
  ("\0a"):reverse():byte(1, -1))
print(("äöü"):len(), ("ä"):byte(1, -1), ("ABC\xff"):lower():byte(-1))
print(#string.rep("", 100))
print(pcall(string.rep, "abc", math.maxinteger))
print(#string.rep("", 1000000), pcall(string.rep, "x", 1 << 62, "y"))
print(pcall(string.upper))
print(pcall(string.upper, nil))
print(pcall(string.len, {}))
print(pcall(("x").bad, 1))
print(("x").y, ("abc").len == string.len, pcall(function() return ("x").y.z end))
