-- Native functions that traces call without frames: errors in them, callbacks, collections, changes of tables, stacks without room.
local format, rep, concat, remove = string.format, string.rep, table.concat, table.remove
local find, match, gsub, upper = string.find, string.match, string.gsub, string.upper

-- Values in registers before, after and across the calls; variables first read behind one.
do
  local x, y, words = 0, 1.5, {}
  for i = 1, 300 do
    local s = rep("ab", i % 4)
    x = x + #s
    y = y * 0.5 + i
    words[i % 7 + 1] = format("%d:%s:%.2f", i, s, y)
    local a, b, c = find(words[i % 7 + 1], "(%d+):")
    x = x + a + b + #c
  end
  print(x, format("%.6f", y), concat(words, ","))
end

-- In inlined functions, with more and fewer results than are wanted.
do
  local function both(s) local a, b, c, d = match(s, "(%w+)=(%w*)") return a, b, c, d end
  local function outer(s) local a, b, c = both(s) return (a or "none") .. "/" .. (b or "none") .. tostring(c) end
  local total = {}
  for i = 1, 200 do
    local s = i % 5 == 0 and "nothing" or "k" .. i .. "=" .. (i % 3 == 0 and "" or i)
    total[i % 10 + 1] = outer(s)
  end
  print(concat(total, " "))
  local sum = 0
  for i = 1, 200 do
    local p, q, r = utf8.codepoint("\u{e4}\u{20ac}x", 1, -1)
    sum = sum + p + q + r
    local u, v = string.unpack("<i2i4", "\1\2\3\4\5\6")
    sum = sum + u + v
    upper("no result")
  end
  print(sum)
end

-- Results of other types now and then.
do
  local n, s = 0, 0
  for i = 1, 300 do
    local v = tonumber(i % 50 == 0 and "x" or i % 3 == 0 and i .. ".5" or i)
    if v then s = s + v else n = n + 1 end
    local t = math.type(i % 4 == 0 and i / 2 or i)
    if t == "float" then n = n + 1 end
    if math.ult(i, 100) then n = n + 1 end
  end
  print(n, s)
end

-- Errors: which they are, where they are, what stands below them.
do
  local function pad(n, s) return rep(s, n) end
  local function deeper(n, s) return (pad(n, s)) end
  local function run(n, s)
    local t = 0
    for i = 1, n do t = t + #deeper(2, i == n and s or "x") end
    return t
  end
  for _, bad in ipairs { "ok", {}, 12, print } do
    print(pcall(run, 150, bad == print and nil or bad))
    print((select(2, xpcall(run, function(m) return type(bad) .. " " .. debug.traceback(m) end, 150, bad))))
  end
  for i = 1, 150 do
    local ok, message = pcall(function() local s = format("%d", i == 150 and 1.5 or i) return s end)
    if i >= 149 then print(ok, message) end
  end
  for i = 1, 150 do
    local ok, message = pcall(function() local s = ("x"):rep(i > 148 and 1 << 60 or 1) return s end)
    if i >= 148 then print(ok, message) end
  end
  local function bad_position(t, i) local v = remove(t, i) return v end
  for i = 1, 150 do
    local t = { 1, 2, 3 }
    local ok, message = pcall(bad_position, t, i == 150 and 7 or 2)
    if i >= 149 then print(ok, message, #t, concat(t, " ")) end
  end
  for i = 1, 150 do
    local t = {}
    local ok, message = pcall(function() rawset(t, i == 150 and 0 / 0 or i, i) return t[i] end)
    if i >= 149 then print(ok, message, next(t)) end
  end
end

-- Callbacks: what would call back is called again, with frames.
do
  local count, where = 0, nil
  local object = setmetatable({}, { __tostring = function()
    count = count + 1
    where = debug.traceback("in __tostring")
    return "object"
  end })
  local function show(v) local s = format("<%s>", v) return s end
  local length = 0
  for i = 1, 200 do length = length + #show(i % 10 == 0 and object or i) end
  print(length, count, where)
  for i = 1, 200 do length = length + #show(object) end
  print(length, count, where)
  local others = setmetatable({}, { __tostring = function() error("no text") end })
  local all = { object, object, object, object, object, object, object, others }
  for i = 1, 199 do length = length + #show(all[i % 7 + 1]) end
  print(length, pcall(show, all[8]))
  print(xpcall(function() for i = 1, 160 do show(all[i < 160 and i % 7 + 1 or 8]) end end, debug.traceback))
  local log = {}
  local names = setmetatable({ a = "1" }, { __index = function(_, k) log[#log + 1] = k return k .. k end })
  local out
  local tables = { { a = "x" }, { b = "y" }, { c = false }, names }
  local results = {}
  for i = 1, 160 do
    local k = i < 157 and i % 3 + 1 or i - 156
    results[k] = gsub("a b c", "%w", tables[k])
  end
  print(concat(results, ","), concat(log, " "))
  -- A list that has metamethods from some time on.
  local list, seen = { 1, 2, 3 }, 0
  local proxy = setmetatable({}, { __len = function() return 3 end, __index = function(_, i) seen = seen + 1 return list[i] end })
  local s
  local lists = { list, { 4, 5 }, {}, proxy }
  for i = 1, 160 do s = concat(lists[i < 157 and i % 3 + 1 or i - 156], "-") end
  print(s, seen)
  -- A replacement that is a function, and one that yields.
  local co = coroutine.wrap(function()
    for i = 1, 100 do
      if i == 90 then print(pcall(gsub, "abc", "b", coroutine.yield)) end
      local r = gsub("abc", "b", i % 2 == 0 and upper or "%0%0")
      if i > 97 then print(r) end
    end
  end)
  co()
end

-- Changes of tables: what was known of them is not known any more.
do
  local stack, sum = {}, 0
  for i = 1, 300 do
    stack[#stack + 1] = i
    stack[#stack + 1] = i * 2
    if i % 3 ~= 0 then sum = sum + remove(stack) - #stack end
    if i % 7 == 0 then sum = sum + remove(stack, 1) + #stack + stack[1] end
  end
  print(sum, #stack, stack[#stack])
  local t, n = { x = 1 }, 0
  for i = 1, 300 do
    n = n + t.x
    rawset(t, "x", i % 10)
    n = n + t.x * 2
    rawset(t, i, i)
    n = n + #t
    if i % 100 == 0 then rawset(t, "y" .. i, i) end
  end
  print(n, t.x, #t, t.y300)
  -- A metatable that comes later must be asked, one that changes must be noticed.
  local log = 0
  local watched = { 1, 2, 3 }
  local inner = { 9, 8, 7, 6, 5 }
  local meta = { __index = inner, __newindex = function(_, k, v) log = log + 1 inner[k] = v end, __len = function() return #inner end }
  for i = 1, 200 do
    local v
    if i == 180 then
      for k = 1, 3 do watched[k] = nil end
      setmetatable(watched, meta)
    end
    if #watched > 0 then v = remove(watched) end
    if i < 180 then watched[#watched + 1] = i end
    if i % 60 == 0 then print(i, v, #watched, log) end
  end
  print(log, #inner, rawlen(watched))
  -- What has a metatable may call back when half of it is done.
  local moved, removed = {}, {}
  local half = { __newindex = function(t, k, v) moved[#moved + 1] = k rawset(t, k, v) end }
  for i = 1, 200 do
    local list = { i, nil, i + 2, i + 3 }
    if i > 190 then setmetatable(list, half) end
    local first = remove(list, 1)
    removed[i % 10 + 1] = tostring(first) .. tostring(list[1]) .. tostring(list[2]) .. tostring(list[4])
  end
  print(concat(removed, " "), concat(moved, " "))
  local class = {}
  class.__index = class
  class.value = 1
  local o, total = setmetatable({}, class), 0
  for i = 1, 200 do
    total = total + o.value
    if i == 150 then class = class end
    rawset(class, "value", i % 5)
  end
  print(total)
end

-- Tables and closures that the trace need not make, but for the call.
do
  local total = 0
  for i = 1, 200 do
    local s = concat({ i, i + 1, "x" }, ",")
    total = total + #s
    local p = { a = i, b = i + 1 }
    local q = rep("y", p.a % 3)
    total = total + #q + p.b
  end
  print(total)
end

-- Random numbers: each is drawn once.
do
  math.randomseed(42)
  local h = 0
  for i = 1, 400 do
    local r = math.random(1000)
    h = (h * 31 + r) % 1000003
    local f = math.random()
    h = (h + math.floor(f * 1000)) % 1000003
  end
  print(h)
  print(pcall(function() for i = 1, 200 do local r = math.random(i == 200 and 0 or i) if i == 200 then math.random(2, 1) end end end))
end

-- Garbage: strings and tables that only the trace knows are kept.
do
  local kept = {}
  for i = 1, 3000 do
    local a = rep("long enough not to be interned at once ", 2) .. i
    local b = { a }
    local c = format("%s|%d|%s", upper(a), i, rep("z", 100))
    kept[i % 20 + 1] = b[1] .. #c
  end
  collectgarbage()
  print(#concat(kept), kept[1])
end

-- Small stacks, and deep ones.
do
  local function deep(n)
    if n == 0 then
      local s = 0
      for i = 1, 100 do s = s + #rep("ab", i % 3) + select("#", utf8.codepoint(rep("x", 40), 1, -1)) end
      return s
    end
    return deep(n - 1) + 1
  end
  for _, n in ipairs { 0, 1, 5, 20, 60, 200 } do
    print(n, coroutine.wrap(deep)(n))
  end
end

-- A hook that comes while such loops run sees the calls.
do
  local names = {}
  local function work(n)
    local s = 0
    for i = 1, n do
      if i == 150 then
        debug.sethook(function() names[#names + 1] = debug.getinfo(2, "n").name or "?" end, "c")
      end
      s = s + #rep("ab", 2) + #upper("x")
    end
    debug.sethook()
    return s
  end
  print(work(153), concat(names, " "))
end

-- The generator of random numbers goes on once for each call, also for one that fails.
do
  local from = {}
  for i = 1, 500 do from[i] = i % 3 end
  from[400] = 5
  math.randomseed(42)
  local function run()
    local sum = 0
    for i = 1, 500 do sum = sum + math.random(from[i], 3) end
    return sum
  end
  for i = 1, 5 do print(pcall(run)) print(math.random(1000000)) end
  from[400] = "x"
  for i = 1, 5 do print(pcall(run)) print(math.random(1000000)) end
end
