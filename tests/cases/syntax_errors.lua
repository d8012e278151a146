-- Messages of the parser and the lexer, with line and near token.
local codes = { "x", "x =", "= 1", "x = 1 2", "if x then", "if x", "while true do", "for i do end", "for i = 1 do end",
  "for i = 1, 2, 3, 4 do end", "for 1 = 1, 2 do end", "for a.b in x do end", "for i in do end", "function",
  "function f", "function f(", "function f(a,) end", "function f(1) end", "function f(..., a) end",
  "function f.1() end", "function a:b:c() end", "function a:b.c() end", "local", "local 1", "local function",
  "local function a.b() end", "local x = ", "return return", "return 1 x = 2", "do", "end", "repeat", "repeat until",
  "until x", "else", "elseif", "then", "x.y", "x:y", "x:y.z()", "x.1", "x[", "x[1", "x[1] 2", "f(", "f(1", "f(1,",
  "f(,)", "f{", "f{1", "f{1 2}", "{}", "{ = 1}", "x = {a=}", "x = {[1]}", "x = {[1]=}", "x = (1", "x = 1 +", "x = + 1",
  "x = not", "x = #", "x = a b", "x = 'abc", "x = \"abc\ndef\"", "x = [[abc", "x = [=[abc]]", "--[[ open", "x = 1e",
  "x = 0x", "x = 3..4", "x = 1a", "x = '\\q'", "x = '\\300'", "x = '\\xZZ'", "x = '\\u{zz}'", "x = @", "x = $",
  "x = `a`", "x ! = 1", "x != 1", "x = a ? b : c", "x += 1", "x++", "x = ~", "~x", "::a", "::1::", "goto", "goto 1",
  "break", "goto x", "::x:: ::x::", "local x <const> = 1; x = 2", "local x <bad> = 1", "local x <const",
  "local a <close>, b <close> = 1, 2", "a.b:c = 1", "f() = 1", "(a) = 1", "a, b += 1", "a, f() = 1, 2", "x = ...",
  "function f() return ... end", "x = function() end end", "x = y = z", "x == 1", "(x)", "'str'", "5", "nil = 1",
  "x = }", "x = ]", "x = )", ")", "}", "]", "and", "or x", "not x", "in", "local x in y", "x = <", "x = a <",
  "x = 1 .. ", "x = 'a\\z", "x = \"\\", "if x then else else end", "if x then elseif end", "for i = 1, 2 end",
  "while x end", "x = {1,2,,3}", "x = {,}", "x = {;}", "f((1, 2))", "local x; local y z", ";;;x", "return;;", "return,",
  "goto continue; local a; ::continue:: print(a)", "x = 1\ny = 2\nz = = 3", "\n\n\nerror here", "x = [[\n\n]] y",
  "f(\n1,\n2", "if x then\n\n\n", "local t = {\n1,\n2\n", "-- comment\nx = 'unfinished", "x = 0xffp", "x = 1..2",
  "\255", "x = \"\1\" y", "\27Lua", "#!shebang\nx = 1", "x = '" .. ("a"):rep(100) .. "' b c", ("a"):rep(200) .. " " ..
  ("b"):rep(100) }
for i, code in ipairs(codes) do
  local f, m = load(code, "=c")
  print(i, f and "fine" or m)
end
