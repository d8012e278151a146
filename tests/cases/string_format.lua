-- string.format: every conversion with flags, widths and precisions.
local f = string.format
print(f("%d|%5d|%-5d|%05d|%+d|% d|%.3d|%8.3d", 42, 42, 42, 42, 42, 42, 42, 42))
print(f("%i|%u|%x|%X|%#x|%o|%#o|%08x", -1, 1, 255, 255, 255, 8, 8, 255))
print(f("%f|%.0f|%10.2f|%-10.2f|%+.1f|%e|%.2E|%g|%G|%.3g|%#.0f", 3.14159, 2.5, 3.14159, 3.14159, 3.14159, 31415.9,
  31415.9, 1e20, 1e-10, 1234567, 3))
print(f("%a|%.1a|%A", 1.0, 0.5, 255.5))
print(f("%s|%10s|%-10s|%.2s|%5.1s|%s|%s|%s", "abc", "abc", "abc", "abc", "abc", nil, true, 12))
print(f("%c%c%c|%5c|%-3c|", 76, 117, 97, 65, 66), #f("%c", 0), f("%%"), f("100%%"))
print(f("%q", 'a "b" \\ \n \r \0 \t \1272 end'))
print(f("%q %q %q %q %q %q", 1, 1.5, true, nil, math.mininteger, 0.1))
print(f("%q %q %q", 1 / 0, -1 / 0, 1e100), f("%q", "\0001\200"))
print(f("%5s|%5s|%-6s|", true, nil, false), f("%s", setmetatable({}, { __tostring = function()
  return "custom"
end })))
print(f("%x", -1), f("%d", -0), f("%d", 3.0), f("%d", "10"), f("%.14g", 0.1), f("%.17g", 0.1), f("%.20f", 0.1),
  f("%5.1f|", -0.04))
print(f("%g %g %g %g", 1e15, 1e16, 0.0001, 0.00001), f("%g %g", 100000, 1000000), f("%i", 2^31), f("%.3f", 2 / 3),
  f("%.99f", 1 / 3):len())
print(f("%-5d|%-+5d|%+05d|% 5d|%#X", 1, 1, 1, 1, 4095), f("%s %s", 1, 2.0), f("%s", 1e15), f("%d", math.mininteger))
print(f("%.0s|%.s", "abc", "abc"), f("%20.10s|", "abcdefghijklmnop"), f("%s", "a\0b") == "a\0b", f("%g", 1 / 0), f("%f",
  -1 / 0), f("%d%s", 1, "x"))
for _, bad in ipairs { "%y", "%", "%10", "%0123d", "%.123d", "%1.2.3d", "%10q", "%#d", "%ll", "%-#10s", "% s", "%0s",
  "%5%", "%.3c", "%.3q", "%+s", "%.a", "%100d" } do
  print(bad, pcall(f, bad, 1))
end
print(pcall(f, "%d"))
print(pcall(f, "%d", "x"))
print(pcall(f, "%d", 1.5))
print(pcall(f, "%d", 2^63))
print(pcall(f, "%s"))
print(pcall(f, "%q", {}))
print(pcall(f, "%c", "x"))
print(pcall(f, "%s", setmetatable({}, { __tostring = function() return 1 end })))
print(pcall(f))
print(f("no conversion", 1, 2), f(""), f("%s%s%s", 1, 2, 3))
print(f("%.20s|%s", ("x"):rep(200), ("y"):rep(150)))
print(f("%5.2s|%-8sx", "abc", "é"))
-- What `__tostring` raises comes before what is wrong with the specification.
for _, made in ipairs { "text", "a\0b", 1 } do
  local t = setmetatable({}, { __tostring = function() io.write("asked ") return made end })
  print(pcall(f, "%0s", t))
end
print(pcall(f, "%0s", setmetatable({}, { __tostring = function() error("no text", 0) end })))
