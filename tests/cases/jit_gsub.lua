-- string.gsub with functions that are called for many matches: what they return, fail with, see and change; strings with few matches and many.
local text = ("The quick brown fox jumps over the lazy dog, %d times. "):rep(12)
local function check(name, s, p, f, n)
  local r, k
  for i = 1, 60 do
    local a, b = string.gsub(s, p, f, n)
    if i > 1 and (a ~= r or b ~= k) and name ~= "changes" then print(name, i, "differs") end
    r, k = a, b
  end
  local sum = 0
  for i = 1, #r do sum = (sum * 31 + r:byte(i)) % 1000000007 end
  print(name, #r, k, sum, r:sub(1, 60))
end

-- Results of all kinds; captures; anchors, empty matches, a limit.
check("same", text, "%a+", function(w) return w end)
check("nil", text, "%a+", function(w) end)
check("false", text, "%a+", function(w) return false end)
check("sometimes", text, "%a+", function(w) if #w > 4 then return w:upper() end return nil end)
check("mixed", text, "%a+", function(w) if #w == 3 then return 7 elseif #w == 4 then return 1.5 elseif #w == 5 then return w, 1 end end)
check("two", text, "(%a)(%a*)", function(a, b) return b .. a end)
check("three", text, "(%a)(%a)(%a)", function(a, b, c, d) return c .. b .. a .. tostring(d) end)
check("four", text, "((%a)()(%a))", function(a, b, c, d) return b .. c .. d end)
check("five", text, "(%a)(%a)(%a)(%a)(%a)", function(...) return select("#", ...) .. (...) end)
check("position", text, "()", function(p) return p % 7 == 0 and p or nil end)
check("empty", text, "%d*", function(s) return "<" .. s .. ">" end)
check("star", text, "[^ ]*", function(s) return #s end)
check("anchored", text, "^%a+", function(s) return s .. s end)
check("limited", text, "%a+", function(s) return "x" end, 30)
check("few", "a b c", "%a", function(s) return s .. s end)
check("limit 0", text, "%a", function(s) return s .. s end, 0)
check("balance", ("(a(b)c) x "):rep(30), "%b()", function(s) return #s end)
check("frontier", text, "%f[%a]%a", function(s) return s:upper() end)
check("back", ("abab cdcd "):rep(20), "(%a%a)%1", function(s) return s .. "!" end)
check("numbers", ("1 22 333 "):rep(40), "%d+", function(s) return s + 1 end)
check("extra", text, "%a+", function(w, ...) return select("#", ...) == 0 and w or "?" end)
check("varargs", text, "(%a)(%a)", function(...) return (select(-1, ...)) .. (...) end)
check("number subject", 12345678901234567, "%d", function(d) return d == "7" and "" or d end)

-- Functions with state, that raise now and then, and whose results are no strings.
do
  local n = 0
  local function count(w) n = n + 1 return n % 10 == 0 and n or nil end
  for i = 1, 100 do text:gsub("%a+", count) end
  print(n)
  local at, what = 0, nil
  local function fails(w)
    n = n + 1
    if n == at then
      if what == "error" then error("at " .. w) elseif what == "table" then return {} elseif what == "true" then return true
      elseif what == "function" then return print elseif what == "nil" then return w.x.y
      elseif what == "level" then error("level", 2) elseif what == "yield" then coroutine.yield(1) end
    end
    return w
  end
  for i = 1, 100 do text:gsub("%a+", fails) end
  for _, how in ipairs { "error", "table", "true", "function", "nil", "level", "yield" } do
    for _, first in ipairs { 3, 50 } do
      at, what, n = first, how, 0
      print(how, first, pcall(string.gsub, text, "%a+", fails))
      n = 0
      print(how, first, pcall(function() local r = text:gsub("%a+", fails) return r end))
      n = 0
      print(how, first, xpcall(string.gsub, function(m) return debug.traceback(m) end, text, "%a+", fails))
    end
  end
  at, n, what = 40, 0, "yield"
  local co = coroutine.create(function() return (text:gsub("%a+", fails)) end)
  print(coroutine.resume(co))
  for _, p in ipairs { "(%a", "%a)", "[a", "%", "%f", "(%a)%2", "%b" } do
    n, at = 0, 0
    print(p, pcall(string.gsub, text .. "z" .. text, p, fails))
    print(p, pcall(string.gsub, text .. "q" .. text, "q" .. p, fails), n)
  end
  for i = 1, 60 do text:gsub("(%a)(.?)", function(a, b) return b .. a end) end
  print(pcall(string.gsub, ("a"):rep(300), "(a)(", function(a) return a end))
end

-- What is seen of it: levels, names, lines, traces of the stack in the middle.
do
  local n, seen = 0, nil
  local function look(w)
    n = n + 1
    if n == 5 or n == 600 then
      local one, two, three = debug.getinfo(1, "nSl"), debug.getinfo(2, "nSl"), debug.getinfo(3, "Sl")
      print(one.name, one.what, one.currentline, two.name, two.what, two.currentline, three.currentline)
      print((debug.traceback("here")))
      print(debug.getlocal(2, 1), (debug.getlocal(1, 1)))
    end
    return w
  end
  local function run() local r = text:gsub("%a+", look) return r end
  for i = 1, 50 do run() end
end

-- Substitutions within substitutions, and one that changes what it is made of.
do
  local function inner(c) return c == "o" and "0" or nil end
  local function outer(w) return (w:gsub(".", inner)) end
  local long = text .. ("o"):rep(40) .. " x"
  check("nested", long, "%S+", outer)
  check("nested deeper", long, "[^,]+", function(part) return (part:gsub("%S+", outer)) end)
  local t = {}
  check("changes", text, "%a+", function(w) t[#t + 1] = w if #t > 500 then t = {} collectgarbage("step") end return #t end)
  local co = coroutine.wrap(function() while true do coroutine.yield(("abcdefghijkl"):rep(3):gsub("%a", function(c) return c .. "." end)) end end)
  check("coroutine within", text, "%a+", function(w) return #w > 4 and #co() or nil end)
  local function stops(w) error("stop", 0) end
  for i = 1, 50 do
    local ok = pcall(string.gsub, text, "%a+", function(w) if w == "lazy" then text:gsub("%a", stops) end return w end)
    if ok then print("not stopped") end
  end
  check("after errors", text, "%a+", outer)
end

-- Hooks, set before and in the middle.
do
  local events, n = {}, 0
  local function hook(event, line) events[#events + 1] = event .. " " .. (line or debug.getinfo(2, "n").name or "?") end
  local function set(w)
    n = n + 1
    if n == 2000 then debug.sethook(hook, "crl") end
    if n == 2003 then debug.sethook() end
    return w
  end
  for i = 1, 30 do text:gsub("%a+", set) end
  print(n, table.concat(events, ", "))
  events, n = {}, 1998
  text:gsub("%a+", set)
  print(n, table.concat(events, ", "))
  events, n = {}, 3000
  debug.sethook(hook, "crl")
  string.gsub("a b c d e f g h i j k l m", "%a", set)
  debug.sethook()
  print(n, #events, events[3], events[9])
end

-- An iterator of gmatch that is done has no results, not even nil.
do
  local counts = {}
  for i = 1, 120 do
    local step = ("a1b22"):gmatch("%d+")
    local n = 0
    for _ = 1, i % 4 do n = n * 10 + select("#", step()) end
    counts[#counts + 1] = n
  end
  print(table.concat(counts, " ", 1, 12), table.concat(counts, " ", 109))
end
