-- find and match: plain, anchors, captures, positions, init.
print(("hello world"):find("wor"), ("hello"):find("l"), ("hello"):find("xyz"), ("hello"):find(""), ("hello"):find("",
  10), ("hello"):find("", 6), (""):find(""))
print(("a.b"):find(".", 1, true), ("a.b"):find("%."), ("a+b"):find("+", 1, true), ("hello"):find("l", -2),
  ("hello"):find("h", -100), ("hello"):find("o", 100))
print(("hello"):find("(l)(l)"), ("hello"):find("()ll()"), ("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
print(("  trim  "):match("^%s*(.-)%s*$") .. "|", ("2024-01-02"):match("(%d+)-(%d+)-(%d+)"))
print(("abc"):match("^b"), ("abc"):match("b", 2), ("abc"):match("^b", 2), ("abc"):match(".-"), ("abc"):match(".-$"),
  ("abc"):match("a*"), ("aaa"):match("a-"), ("aaab"):match("a-b"))
print(("[[x]]"):match("%[%[(.-)%]%]"), ("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):find("%((%a+)%)"),
  ("x"):match("%bxy"))
print(("hello world"):match("%f[%w]%w+", 2), ("THE END"):gsub("%f[%a]%a", "x"), ("a,b"):match("%f[,]"),
  ("end"):find("%f[%z]"))
print(("aa bb"):match("(%a)%1 (%a)%2"), ('"quoted" x'):match('(["\'])(.-)%1'), ("abcabc"):find("(abc)%1"))
print(("a-z"):match("[a%-z]+"), ("x^y"):match("[%^x]+"), ("]"):match("[]]"), ("a]"):match("[^]]"), ("-"):match("[a-]"),
  ("b"):match("[a-c]"), ("é"):match("[\xc3][\xa9]") == "é")
print(("0x1F"):match("^0[xX](%x+)$"), ("_id9"):match("^[%a_][%w_]*$"), ("9id"):match("^[%a_][%w_]*$"),
  ("\n\t x"):match("^%s+()"))
print(("abc"):find("b", nil, true), ("abc"):match("((a)(b))"), ("x=1,y=2"):match("y=(%d)"), ("a\0b"):find("\0"),
  ("a\0b"):match("%z"), #("a\0b"):match(".+"))
for _, class in ipairs { "a", "c", "d", "g", "l", "p", "s", "u", "w", "x", "A", "D", "S", "W" } do
  local n, first = 0, nil
  for b = 0, 255 do
    if string.char(b):find("^%" .. class) then
      n = n + 1
      first = first or b
    end
  end
  print(class, n, first)
end
for _, bad in ipairs { "(", ")", "[", "[a", "%", "(()", "%1", "(a)%2", "[%", "%b", "%bx", "%f", "a)", "[^]" } do
  print(bad, pcall(string.find, "abc", bad))
end
print(pcall(string.find, "a", ("("):rep(40) .. "a" .. (")"):rep(40)))
print((("a"):rep(30000)):match(".-b"), #(("a"):rep(30000)):match(".*"), (("a"):rep(20)):find(("a?"):rep(20) ..
  ("a"):rep(20)))
