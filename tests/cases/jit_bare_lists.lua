-- Native functions that traces call without frames: open lists of arguments and results, tail calls, iterators; functions of which a part is
-- an instruction of the trace.
local format, upper, find, match, byte = string.format, string.upper, string.find, string.match, string.byte

-- Open results as arguments, in constructors, returned; their number changes now and then.
do
  local function part(s, ...) return find(s, ...) end
  local function all(s) return byte(s, 1, -1) end
  local function count(...) return select("#", ...), (select(-1, ...)) end
  local n, lists = 0, {}
  for i = 1, 300 do
    local s = ("abc"):rep(i % 60 == 0 and 3 or i % 7 == 0 and 0 or 1)
    local a, b = count(0, part(s, "b"))
    n = n + a + (b or 100)
    local c, d = count(0, all(s))
    n = n + c + d
    lists[i % 11 + 1] = table.concat({ i, byte(s, 1, -1) }, ",")
    n = n + math.max(1, byte(s, 1, -1)) + #format("%d %d %s", i, part("xbx", "b"), s)
    local t = table.pack(part(s, "(b)(c)"))
    n = n + t.n + select("#", table.unpack(t, 1, t.n))
    n = n + #string.char(byte(s, 1, -1))
  end
  print(n, table.concat(lists, " "))
end

-- Tail calls, in inlined functions and out of the loop's own; errors in them, and what stands below.
do
  local function up(s) return upper(s) end
  local function fmt(...) return format(...) end
  local function deeper(s, ...) return fmt(s, ...) end
  local n = 0
  for i = 1, 300 do
    n = n + #up(i % 50 == 0 and i or "abc") + #deeper("%d %s", i, i % 3 == 0)
    local ok, e = pcall(deeper, i % 20 == 0 and "%d" or "%5d", i % 9 == 0 and "x" or i)
    n = n + #e
  end
  print(n)
  local function last(n, s) for i = 1, n do if i == n then return upper(s) end end end
  for i = 1, 40 do n = n + #last(i % 5 + 1, "abc") end
  print(n, pcall(last, 100, {}))
  print((select(2, xpcall(last, debug.traceback, 100))))
  print((select(2, xpcall(deeper, debug.traceback, "%d", "x"))))
end

-- The iterator of gmatch: captures, positions, empty matches, an error in the middle, one that is called by hand, and after its end.
do
  local n, list = 0, {}
  for i = 1, 200 do
    for k, v in ("a=1, bb=22, c=" .. i):gmatch("(%w+)=(%w+)") do n = n + #k + v end
    for at, word in ("one two  three"):gmatch("()(%a*)") do n = n + at + #word end
    for all in ("x1y22"):gmatch("%a%d", i % 4) do n = n + #all end
    for a, b, c, d in ("k:v;"):gmatch("((%w)(:)(%w))") do list[i % 5 + 1] = a .. b .. c .. d end
  end
  print(n, table.concat(list, " "))
  local function words(s, p) local c = 0 for w in s:gmatch(p) do c = c + #w end return c end
  for i = 1, 120 do
    local ok, e = pcall(words, ("word "):rep(i % 9), i % 10 == 0 and "(%a" or i % 15 == 0 and "[a" or "%a+")
    n = n + (ok and e or #e)
    if i % 60 == 0 then print(ok, e) end
  end
  for i = 1, 150 do
    local step = ("a b"):gmatch("%a")
    local a, b, c, d = step(), step(), step(), step()
    n = n + #a + #b + select("#", c, d)
    -- It has gone on when it fails.
    step = ("ab"):gmatch(i < 100 and "(.)" or "(.)()(")
    local ok, e = pcall(step)
    local ok2, e2 = pcall(step)
    n = n + #tostring(e) + #tostring(e2)
  end
  print(n)
  -- Where the iterator is put lies another function.
  local all = ""
  for i = 1, 150 do
    for w in ("ab cd"):gmatch("%a%a") do
      all = (all .. w):sub(-20)
      w = i % 2 == 0 and type or next
    end
  end
  print(all)
  -- One iterator in two loops, and one that a closure holds.
  local step = ("1 2 3 4 5 6 7 8"):rep(50, " "):gmatch("%d")
  local sum = 0
  for d in step do sum = sum + d if sum > 500 then break end end
  for d in step do sum = sum + d * 2 end
  print(sum)
  -- With collections of what nobody else holds.
  local longest = 0
  for w in (("x"):rep(20) .. " "):rep(300):gmatch("x+") do
    local t = { w .. "a", w .. "b" }
    if #t[2] > longest then longest = #t[2] end
    if longest % 7 == 0 then collectgarbage("step") end
  end
  print(longest)
end

-- Functions of which a part is an instruction: other arguments.
do
  local n, kinds = 0, {}
  local mt = setmetatable({}, { __tostring = function() n = n + 1 return "named" end, __metatable = "locked", __name = "T" })
  for i = 1, 200 do
    local v = i % 40 == 0 and mt or i % 3 == 0 or nil
    kinds[tostring(v)] = (kinds[tostring(v)] or 0) + 1
    n = n + #type(v) + #tostring(getmetatable("x").__index == string) + (getmetatable(mt) == "locked" and 1 or 0)
    n = n + math.floor(2^53 + i * 0.5) % 7 + math.abs(i % 2 == 0 and "-2" or -2) + math.max(i, 1.5, 2) + math.min(3.5, i)
    n = n + select(i % 3 + 1, 1, 2, 3) + select("#", select(i % 4 + 1, 1, 2, 3))
    n = n + #(("abc"):sub(i % 5, -2)) + (byte("abc", i % 5) or 0) + #string.char(i % 256, 65)
    n = n + (rawget({ i }, i % 2) or 0) + (rawequal(i, i % 2 == 0 and i or "x") and 1 or 0) + rawlen(i % 2 == 0 and "ab" or { 1 })
    n = n + math.log(8, 2) + (math.tointeger("8") or 1) + (tonumber("z", 36) or 0) + math.sqrt("16")
    n = n + #string.pack("<i4", i) + string.packsize("i4i8")
    local co, main = coroutine.running()
    n = n + (main and 1 or 0) + (coroutine.isyieldable() and 100 or 0) + #coroutine.status(co)
  end
  print(format("%.6f", n), kinds.named, kinds["true"], kinds["false"], kinds["nil"])
  local function each(f, ...) local ok, e for i = 1, 100 do ok, e = pcall(f, ...) end return ok, e end
  print(each(function(x) return (math.floor(x)) end, {}))
  print(each(function(x) return (select(x, 1)) end, -5))
  print(each(function(x) return (byte(x)) end))
  print(each(function(x) return #tostring(x) end, setmetatable({}, { __tostring = function() return 1 end })))
end

-- Lists with another number of values each time: passed on, packed, returned through several functions, counted, assigned.
do
  local strings = { "abc", "", "x", "ab", "abcdef", "q" }
  local function at(s, p) return find(s, p, 1, true) end
  local function bytes(s) return byte(s, 1, -1) end
  local function through(s) return bytes(s) end
  local function count(...) return select("#", ...), ... end
  local function unpacked(t) return table.unpack(t) end
  local lists = { { 1, 2, 3 }, {}, { nil, 2 }, { "a" } }
  local n, last = 0, {}
  for i = 1, 600 do
    local s = strings[i % 6 + 1]
    local p, q = at(s, "b")
    n = n + (p or 100) + (q or 1000)
    local k, first, second = count(through(s))
    n = n + k + (first or 7) + (second or 9)
    last = { i, bytes(s) }
    n = n + #last + select("#", bytes(s), bytes(s))
    local ok, a, b = pcall(through, i % 50 == 0 and {} or s)
    n = n + (ok and (a or 1) or #a) + (b or 3)
    n = n + select("#", unpacked(lists[i % 4 + 1])) + select("#", match(s, "(%a)(%a)"))
    n = n + #format("%s %s %s %s %s %s", i, s, 1, 2, 3, 4, bytes(s)) + math.max(0, bytes(s))
    local t = table.pack(at(s, "c"))
    n = n + t.n
    if i % 200 == 0 then collectgarbage() end
  end
  print(n, table.concat(last, " "))
  local function walk(s, i) if i > #s then return end return byte(s, i), walk(s, i + 1) end
  local sum = 0
  for i = 1, 300 do
    local a, b, c = walk(strings[i % 6 + 1], 1)
    sum = sum + (a or 0) + (b or 0) + (c or 0)
  end
  print(sum)
end
