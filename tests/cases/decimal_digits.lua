-- Digits of floats of all magnitudes, ties and their neighbours among them.
local formats = { "%.0f", "%.1f", "%.3f", "%.10f", "%.17f", "%.20f", "%e", "%.0e", "%.16e", "%g", "%.1g", "%.14g", "%.17g", "%#.3g", "%.25g" }
local known = { 0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 0.125, 0.375, 9.5, 99.5, 999999.5, 1e15, 1e16, 1e17, 1e22, 1e23, 2 ^ 53, 2 ^ 63, 2 ^ 64,
  2 ^ 70 + 2 ^ 20, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 0.3, 1e-5, 1e-4, 9.9995e-5, 9.99995e-5, 0.0001234567,
  123456789.0, 4503599627370497.5, 0.000244140625, 1e-22, 1e-23, 3.14159e-10, 8.5e-12 }
for _, f in ipairs(known) do
  local out = {}
  for i, s in ipairs(formats) do out[i] = s:format(f) end
  print(tostring(f), table.concat(out, " "))
end
local seed, hash, bytes = 12345, 0, 0
local function random() seed = (seed * 1103515245 + 12345) % 2147483648 return seed end
for i = 1, 3000 do
  local f = (random() * 2147483648.0 + random()) / 2.0 ^ (random() // 4096 % 160 - 40)
  if i % 3 == 0 then f = (random() // 1024) / 1000 end
  if i % 5 == 0 then f = -(random() // 65536) / 2.0 ^ (random() // 4096 % 16) end
  local s = formats[i % #formats + 1]:format(f) .. tostring(f)
  bytes = bytes + #s
  for k = 1, #s do hash = (hash * 31 + s:byte(k)) % 1000000007 end
end
print(bytes, hash)
-- Widths, signs and zeros around them.
for _, s in ipairs { "%12.3f|", "%-12.3f|", "%012.3f|", "%+.2e|", "% g|", "%+012g|", "%-+12.1g|", "%#.0f|", "%#.0e|", "%G|", "%E|", "%10.4a|", "%015A|" } do
  io.write(s:format(3.14159), s:format(-2.5), s:format(0.0), s:format(1 / 0), s:format(-1 / 0), s:format(1e-7), "\n")
end
for _, s in ipairs { "%5d|", "%-5d|", "%05d|", "%+d|", "% d|", "%.5d|", "%8.3d|", "%-8.3d|", "%.0d|", "%x|", "%#x|", "%#X|", "%#o|", "%o|", "%08x|", "%i|" } do
  io.write(s:format(0), s:format(42), s:format(-42), s:format(math.mininteger), s:format(math.maxinteger), "\n")
end
for _, s in ipairs { "%s|", "%10s|", "%-10s|", "%.2s|", "%10.1s|", "%.0s|", "%c|", "%5c|", "%-5c|" } do
  io.write(s:format(65), s:find("c") and "" or s:format("abc"), "\n")
end
