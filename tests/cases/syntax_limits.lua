-- The compiler's limits: locals, upvalues, nesting, constants, registers, big functions.
-- Nesting far below PUC's limit of 200 levels must do, nesting far above it must be refused; the exact level is not tested.
local function try(name, code)
  local _, f, m = pcall(load, code, "=" .. name)
  if not f then m = m:find("overflow", 1, true) and "overflow" or m:gsub("(too many registers) near .*", "%1") end
  print(name, f and "fine" or m)
  return f
end
local function list(n, f, sep)
  local t = {}
  for i = 1, n do t[i] = f(i) end
  return table.concat(t, sep or " ")
end
try("200 locals", list(200, function(i) return "local a" .. i end))
try("201 locals", list(201, function(i) return "local a" .. i end))
try("201 in one", "local " .. list(201, function(i) return "a" .. i end, ","))
try("200 parameters", "local function f(" .. list(199, function(i)
  return "a" .. i
end, ",") .. ") end")
local ups = list(150, function(i) return "local u" .. i end) .. " local function g() " .. list(110, function(i)
  return "local v" .. i
end) .. " local function f() return " .. list(150, function(i)
  return "u" .. i
end, "+") .. "+" .. list(106, function(i)
  return "v" .. i
end, "+") .. " end end"
try("256 upvalues", ups)
try("255 upvalues", (ups:gsub("%+v106 end", " end")))
try("parentheses 150", "return " .. ("("):rep(150) .. "1" .. (")"):rep(150))
try("parentheses 2000", "return " .. ("("):rep(2000) .. "1" .. (")"):rep(2000))
try("parentheses 20000", "return " .. ("("):rep(20000) .. "1" .. (")"):rep(20000))
try("blocks 150", ("do "):rep(150) .. ("end "):rep(150))
try("blocks 2500", ("do "):rep(2500) .. ("end "):rep(2500))
try("tables 150", "return " .. ("{"):rep(150) .. ("}"):rep(150))
try("tables 20000", "return " .. ("{"):rep(20000))
try("functions 50", ("return function() "):rep(50) .. ("end "):rep(50))
try("minus 20000", "return " .. ("- "):rep(20000) .. "1")
try("not 150", "return " .. ("not "):rep(150) .. "1")
try("concat 150", "return " .. list(150, function() return "a" end, ".."))
try("concat 3000", "return " .. list(3000, function() return "a" end, ".."))
try("power 3000", "return " .. list(3000, function() return "a" end, "^"))
try("calls", "return f" .. ("()"):rep(3000))
try("index", "return f" .. (".a"):rep(3000))
try("sum 5000", "return " .. list(5000, function(i) return i end, "+"))
print(try("70000 constants", "local t = {" .. list(70000, function(i)
  return "'k" .. i .. "'"
end, ",") .. "} return #t, t[70000]")())
print(try("70000 numbers", "local t = {" .. list(70000, function(i)
  return i .. ".5"
end, ",") .. "} return #t, t[70000]")())
print(try("many ifs", "local x = ... " .. list(3000, function(i)
  return "if x == " .. i .. " then return 'found " .. i .. "' end"
end))(2999))
print(try("long jump", "local n = 0 for i = 1, 3 do " .. list(20000, function(i)
  return "n = n + 1"
end) .. " end return n")())
print(try("250 arguments", "return select('#', " .. list(240, function(i)
  return i
end, ",") .. ")")())
try("260 arguments", "return select('#', " .. list(260, function(i)
  return i
end, ",") .. ")")
try("assign 150", list(150, function(i) return "a" .. i end, ",") .. " = 1")
try("returns 260", "return " .. list(260, function(i) return "a" end, ","))
try("elseifs 500", "if a then " .. list(500, function(i)
  return "elseif a == " .. i .. " then"
end) .. " end")
try("nested functions and strings", list(300, function(i)
  return "local function f() return [[x" .. i .. "]] end"
end):sub(1, 4000) == nil and "" or "return 1")
try("gotos", list(300, function(i) return "goto l" .. i .. " ::l" .. i .. "::" end))
try("pattern-like", "return ('x'):rep(10, ',')")
try("comments", ("-- c\n"):rep(1000) .. "x = = 1")
try("unary chain", "return " .. ("not "):rep(20000) .. "1")
try("long line", "x = " .. (" "):rep(100000) .. "}")
try("nested calls", "return " .. ("f("):rep(150) .. (")"):rep(150))
try("nested calls 20000", "return " .. ("f("):rep(20000))
try("ifs 2500", ("if a then "):rep(2500) .. ("end "):rep(2500))
try("whiles 20000", ("while a do "):rep(20000))
try("functions 20000", ("function f() "):rep(20000))
try("right assoc", "return " .. ("2 ^ "):rep(20000) .. "1")
try("brackets 20000", "return a" .. ("[a"):rep(20000))
try("assignments 20000", ("a = {"):rep(1) .. ("x = {"):rep(20000))
