-- Strings to numbers and back, in arithmetic, concatenation, loops and library calls.
print("10" + 5, "10" * "2", "3" ^ 2, "0x10" + 0, "1e1" + 0, " 7 " + 0, "-5" - 1, -"2", -"0x2", "10" // "3", "10" % 3,
  "7" / 2)
print(math.type("10" + 0), math.type("10.0" + 0), math.type("0x10" + 0), math.type("1e1" + 0), math.type(-"2"),
  math.type("10" // 3))
print(10 .. 20, 1.5 .. "", -0.0 .. "", 2^63 .. "", 1e100 .. "x", (10 .. "") + 1)
for _, s in ipairs { "", " ", "a", "1a", "0x", "1e", "1 2", "0x1p", "1..2", "- 1", "--1", "1_000", "inf", "nan", "0b1",
  "1e+", ".", "0x.p1", "\t12\n", "12\0", "1e400", "0x1.8", "00012", "+5", "+-5", "1E2", "9223372036854775808",
  "-9223372036854775808", "-9223372036854775809", "0xfffffffffffffffff" } do
  print(("%q"):format(s), tonumber(s))
end
print(tonumber("10", 2), tonumber("ff", 16), tonumber("FF", 16), tonumber("zz", 36), tonumber("8", 8), tonumber("-101",
  2), tonumber(" 11 ", 2), tonumber("1.0", 10), tonumber("", 10), tonumber("7fffffffffffffff", 16),
  tonumber("ffffffffffffffff", 16), tonumber("1ffffffffffffffff", 16))
print(tonumber(5), tonumber(5.5), tonumber(nil), tonumber(true), tonumber({}), pcall(tonumber))
print(pcall(tonumber, "10", 1))
print(pcall(tonumber, "10", 37))
print(pcall(tonumber, 10, 10))
print(pcall(tonumber, {}, 10))
print(pcall(function() return "a" + 1 end))
print(pcall(function() return {} + 1 end))
print(pcall(function() return "10" + {} end))
print(pcall(function() return "1.5" | 1 end))
print(pcall(function() return 1.5 | 1 end))
print(pcall(function() return 2^63 | 1 end))
print(pcall(function() return "abc" | 1 end))
print(pcall(function() return 1 .. {} end))
print(string.rep("x", "3"), ("abc"):sub("2"))
