-- Values that can be called, wherever functions are: in tail calls, as iterators, below pcall and xpcall. Calls that are nested deeply.
local function class(call) return setmetatable({}, { __call = call }) end

do
  local C = class(function(c, x, ...) return x % 7, select("#", ...) end)
  local function make(x) return C(x) end
  local function more(...) return C(...) end
  local function twice(x) return make(x) end
  local native = class(function(c, x) return x end)
  local n = 0
  for i = 1, 300 do
    if i == 200 then getmetatable(native).__call = rawlen end
    if i == 250 then getmetatable(C).__call = function(c, x, ...) return x % 5, 10 * select("#", ...) end end
    local a, b = more(i, 1, 2)
    local function tail(x) return native(x) end
    n = n + make(i) + a + b + twice(i) + tail(i)
    n = n + select("#", more(i))
  end
  print(n)
  -- The loop's own function ends by such a call.
  local function last(k, x) for i = 1, k do if i == k then return C(x) end end end
  for i = 1, 100 do n = n + last(i % 9 + 1, i) end
  print(n)
  local fails = class(function(c, x) if x % 50 == 0 then error("at " .. x, 2) end return x end)
  local function by_tail(x) return fails(x) end
  local texts = {}
  for i = 1, 200 do
    local ok, e = pcall(by_tail, i)
    if not ok then texts[#texts + 1] = e end
    local ok, e = xpcall(by_tail, debug.traceback, i)
    if i == 150 then texts[#texts + 1] = e end
  end
  print(table.concat(texts, "\n"))
end

-- As iterators: with one that is a native function, one that changes, and one that fails.
do
  local range = class(function(_, n, i) if i < n then return i + 1, i * 2 end end)
  local words = class(next)
  local n = 0
  for i = 1, 200 do
    if i == 150 then getmetatable(range).__call = function(_, n, i) if i < n then return i + 2, i end end end
    for j, k in range, 10, 0 do n = n + j + k end
  end
  print(n)
  print(pcall(function() for i = 1, 100 do for k in words, { 1 } do end end end))
  local steps = class(function(self, limit, i) if i > 4 then error("too far " .. limit) end return i + 1 end)
  local last
  for i = 1, 150 do
    local ok, e = pcall(function() for j in steps, i % 2, i % 5 do n = n + j end end)
    last = e
  end
  print(n, last)
  local gmatch = class(string.gmatch("a b c d e f g h", "%a"))
  print(pcall(function() local s = "" for i = 1, 80 do for w in gmatch do s = s .. w end end return s end))
end

-- Below pcall and xpcall: errors in them, of them, and what is no function.
do
  local C = class(function(c, x) if x % 3 == 0 then error("bad " .. x % 2, 0) end return x % 7, c end)
  local native = class(rawlen)
  local nested = class(C)
  local n, seen = 0, {}
  local function note(what, ok, e)
    local key = what .. " " .. tostring(ok) .. " " .. (type(e) == "number" and "number" or tostring(e):gsub("table: .*", "table"))
    seen[key] = (seen[key] or 0) + 1
  end
  local nothing = setmetatable({}, {})
  for i = 1, 300 do
    note("C", pcall(C, i))
    note("native", pcall(native, i))
    note("nested", pcall(nested, i))
    note("nothing", pcall(nothing, i))
    note("nil", pcall(nil))
    note("x", xpcall(C, function(m) return m .. "!" end, i))
    note("x nothing", xpcall(nothing, function(m) return m .. "!" end, i))
    note("x native", xpcall(rawlen, function(m) return m .. "!" end, i % 2 == 0 and "abc" or i))
    note("pcall", pcall(pcall, C, i))
    note("within", pcall(function(x) return pcall(C, x) end, i))
    note("fails", pcall(function(x) local a, b = pcall(nothing) return a, b.x.y end, i))
    if i == 250 then getmetatable(nothing).__call = function(self, x) return "called" end end
  end
  local list = {}
  for key, count in pairs(seen) do list[#list + 1] = key .. " " .. count end
  table.sort(list)
  print(table.concat(list, "\n"))
end

-- What may yield, below pcall: iterators of coroutines, yields, resumes.
do
  local function numbers(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end error("no more", 0) end) end
  local gen, n, failures = numbers(100), 0, 0
  for i = 1, 400 do
    local ok, v = pcall(gen)
    if ok then n = n + v else failures = failures + #v gen = numbers(50) end
    local ok, a, b = pcall(coroutine.resume, coroutine.create(function(x) return x + 1 end), i)
    n = n + (a and b or 1000)
  end
  print(n, failures)
  local co = coroutine.wrap(function()
    local sum = 0
    for i = 1, 200 do
      local ok, v = pcall(coroutine.yield, i)
      local ok2, w = xpcall(coroutine.yield, debug.traceback, i)
      sum = sum + v * w
    end
    return "done " .. sum
  end)
  local v = co()
  while type(v) == "number" do v = co(v) end
  print(v)
end

-- Chains of more calls than are inlined, that return, fail, and yield at their ends.
do
  local source = { "local f60 = ...\n" }
  for k = 59, 1, -1 do
    source[#source + 1] = ("local function f%d(i, a) local r = f%d(i, a) return r + %d end\n"):format(k, k + 1, k % 5)
  end
  source[#source + 1] = "return f1"
  local chain = function(last) return load(table.concat(source), "=chain")(last) end
  local add = chain(function(i, a) return i % 7 + a end)
  local n = 0
  for i = 1, 400 do n = n + add(i, 1) end
  print(n)
  local fails = chain(function(i, a) if i % 4 == 0 then error("deep " .. i % 3) end return a end)
  local depths = chain(function(i, a) if i % 100 == 0 then return #debug.traceback() - #debug.traceback() + i end return a end)
  local texts = {}
  for i = 1, 400 do
    local ok, e = pcall(fails, i, 2)
    n = n + (ok and e or #e) + depths(i, 3)
    if i == 300 or i == 304 then print(ok, e) end
  end
  print(n)
  local yields = chain(function(i, a) return coroutine.yield(i) + a end)
  local co = coroutine.wrap(function() local s = 0 for i = 1, 300 do s = s + yields(i, 1) end return "sum " .. s end)
  local v = co()
  while type(v) == "number" do v = co(v * 2) end
  print(v)
end
