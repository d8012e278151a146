-- gsub with strings, tables and functions; counts, anchors, empty matches.
print(("hello world"):gsub("o", "0"), ("hello"):gsub("l", "L", 1), ("hello"):gsub("", "-"), ("hello"):gsub("x", "y"),
  ("abc"):gsub(".", "%0%0"))
print(("hello world"):gsub("(%w+) (%w+)", "%2 %1"), ("abc"):gsub("%w", "%%%0"), ("x"):gsub("x", "%%"),
  ("$name is $age"):gsub("%$(%w+)", { name = "Bob", age = 42 }))
print(("abc"):gsub("%w", function(c)
  if c == "b" then return nil end
  return c:upper()
end), ("abc"):gsub("%w", { a = 1, b = false, c = 2.5 }))
print(("abc"):gsub("(a)(b)(c)", function(...)
  return select("#", ...) .. table.concat({ ... })
end), ("abc"):gsub("()", "%1"), ("abc"):gsub("^a", "x"), ("aaa"):gsub("^a", "x"))
print(("a b c"):gsub("%s*", "-"), ("  x  "):gsub("^%s+", ""), ("one;two;;four"):gsub(";;", ";nil;"), ("abc"):gsub("b*",
  "X"), ("aXb"):gsub("X?", "."))
print(("hello"):gsub("l+", function()
  return 5
end), ("hello"):gsub("(h)(e)", "%2%1%0"), ("abc"):gsub("a", "b", 0), ("abc"):gsub("a", "b", -1), ("aaaa"):gsub("a", "b",
  2.0))
print(pcall(string.gsub, "abc", "a", "%2"))
print(pcall(string.gsub, "abc", "a", "%x"))
print(pcall(string.gsub, "abc", "a", "%"))
print(pcall(string.gsub, "abc", "a", function() return {} end))
print(pcall(string.gsub, "abc", "(a", "x"))
print(pcall(string.gsub, "abc", "a"))
print(pcall(string.gsub, "abc", "a", true))
print(pcall(string.gsub, "abc", ".", function() error("inside", 0) end))
print(pcall(string.gsub, "abc", ".", function() error({ 1 }) end) == false)
print(("x = 1"):gsub("%w", setmetatable({}, { __index = function(_, k)
  return "<" .. k .. ">"
end })))
local n = 0
print((("a,b,c"):gsub(",", function()
  n = n + 1
  return ("%d"):format(n)
end)))
print((("%d"):gsub("%%d", "%%s")), (("a.b.c"):gsub("%.", "/")), ("äöü"):gsub("[\x80-\xff]", "?"))
for k, v in ("a=1, b=2, c=3"):gmatch("(%w)=(%w)") do io.write(k, v, " ") end
for w in ("abc"):gmatch("") do io.write("[", w, "]") end
for p in ("abcb"):gmatch("()b") do io.write(p, " ") end
for w in ("hello world"):gmatch("^hello") do io.write("anchored ", w, " ") end
for w in ("abcabc"):gmatch("b", 3) do io.write("from3:", w, " ") end
print()
for a, b in ("k1=v1;k2=v2"):gmatch("(%w+)=(%w+)") do print(a, b) end
print(pcall(string.gmatch, "abc"))
