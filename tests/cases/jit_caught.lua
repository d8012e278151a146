-- Errors that end in hot loops: those that natives raise, that a handler sees first, that variables are closed for; calls that fail only now
-- and then, and those that always do.
local function shown(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, " ")
end

-- Natives: with and without results wanted, in inlined functions, in tail calls, as arguments.
do
  local function rep(s, n) local r = string.rep(s, n) return #r end
  local function inner(s, n) return rep(s, n) + 1 end
  local function tail(s) return string.upper(s) end
  local function dropped(s) string.len(s) return "unused" end
  local function nested(s) return #tostring(tonumber(s, 36)) end
  for _, bad in ipairs { 1, 2, 3, 7 } do
    local counts, texts = {}, {}
    local function note(ok, v, ...)
      local key = ok == true and "ok" or tostring(v)
      counts[key] = (counts[key] or 0) + 1 + select("#", ...)
      if counts[key] == 1 then texts[#texts + 1] = key end
    end
    for i = 1, 210 do
      local x = i % bad ~= 0 and "ab" or nil
      note(pcall(inner, x, 3))
      note(pcall(tail, x))
      note(pcall(dropped, x))
      note(pcall(nested, x))
      local ok, message, nothing = pcall(inner, "ab", x and 2 or {})
      note(ok, message, nothing)
      note((pcall(tail, x)))
      note(select(2, pcall(tail, x)))
      pcall(dropped, x)
    end
    table.sort(texts)
    for _, text in ipairs(texts) do print(bad, text, counts[text]) end
  end
end

-- Errors of all types, computed levels, assertions; in functions that are called by tail calls.
do
  local function raise(v, level) error(v, level) end
  local function outer(v, level) raise(v, level) return 1 end
  local function by_tail(v, level) return raise(v, level) end
  local values = { "text", 5, 1.5, {}, false, print }
  local n, seen = 0, {}
  for i = 1, 240 do
    local v = values[i % 7]
    local ok, e = pcall(i % 2 == 0 and outer or by_tail, v, i % 4)
    if rawequal(e, v) then n = n + 1 elseif i > 200 then seen[#seen + 1] = tostring(e) end
    local ok, e = pcall(function(x, m) return assert(x, m) end, i % 3 == 0, v)
    if not ok and not rawequal(e, v) then n = n + 100 end
  end
  print(n)
  print(table.concat(seen, "\n"))
end

-- Instructions: operands of each wrong type, with names; named types.
do
  local named = setmetatable({}, { __name = "My.Type" })
  local renamed = { __name = "Other" }
  local other = setmetatable({}, renamed)
  local wrong = { [0] = false, {}, named, print, "x", other }
  local t = {}
  local kinds = {
    function(v) return v + 1 end, function(v) return 2 // v end, function(v) return -v end, function(v) return ~v end,
    function(v) return v.x.y end, function(v) v.x.y = 1 end, function(v) return v.x() end, function(v) return v() end,
    function(v) return v < 1 end, function(v) return v <= v end, function(v) return "a" .. v end, function(v) return #v.x end,
    function(v) for i = v, 1 do end end, function(v) for i = 1, v do end end, function(v) for i = 1, 2, v do end end,
    function(v) t[v.x] = 1 end, function(v) return v:method() end, function(v) return math.nothing.x end,
    function(v) for i = 1, 2, v == other and 0 or 1 do end return t[v.x] end,
    function(v) if v ~= print then for i in v do end end end, function(v) if v ~= print then return v(1) end end,
    function(v) for i = 1.0, 2, v == named and 0 or 1 do end return t[v.x] end,
  }
  for k, f in ipairs(kinds) do
    for v = 0, #wrong do
      local x, last, n = wrong[v], nil, 0
      if v == 0 then x = nil end
      for i = 1, 90 do
        local ok, e = pcall(f, x)
        local e = tostring(e)
        if e ~= last then n = n + 1 end
        last = e
      end
      if n > 1 then print(k, v, n) end
      for i = 1, 90 do
        local ok, e = xpcall(f, function(m) return tostring(m) .. "!" end, x)
        local e = tostring(e)
        if e ~= last then n = n + 1 end
        last = e
      end
      print(k, v, n, last)
    end
  end
  -- The name changes.
  local seen = {}
  for i = 1, 200 do
    if i == 150 then renamed.__name = "Another" elseif i == 180 then renamed.__name = 7 end
    if i == 190 then setmetatable(other, nil) end
    local _, e = pcall(kinds[1], other)
    if e ~= seen[#seen] then seen[#seen + 1] = e end
  end
  print(table.concat(seen, "\n"))
end

-- Handlers: Lua functions and natives, that see the stack; errors in them; protected calls in them; others inside of the call.
do
  local function fails(i)
    if i % 3 == 0 then error("error " .. i % 2) end
    if i % 3 == 1 then return string.rep() end
    local t = nil
    return t.x
  end
  local function deeper(i) local r = fails(i) return r end
  local function handler(m)
    return (debug.traceback("<" .. m .. ">", 1):gsub("\n.*function <[^>]*jit_caught.*", ""))
  end
  local depth
  local handlers = {
    handler, debug.traceback, tostring, function(m) return #m, "more" end, function() end, function(m) error(m, 0) end,
    function(m) local ok, e = pcall(error, m .. " again", 0) return e end,
    function(m) local ok, e = xpcall(error, function(e) return "(" .. e .. ")" end, m, 0) return e end,
    function(m) if #m < 60 then error(m .. "+", 0) end return m end,
    function(m) return debug.getinfo(2, "n").name or debug.getinfo(3, "n").name end,
    function(m) return select(2, pcall(coroutine.yield, m)) end,
    function(m) return coroutine.isyieldable() end,
    function(m) local _, e = coroutine.resume(coroutine.create(function() error("in coroutine: " .. m, 0) end)) return e end,
    function(m) local n = 0 for i = 1, 100 do n = n + i % 7 end return m .. n end,
    setmetatable({}, { __call = function(_, m) return m end }),
    function(m) local d = debug.getinfo(1, "n") return tostring(d.name) .. " " .. d.namewhat end,
  }
  for k, h in ipairs(handlers) do
    local seen, n = {}, 0
    for i = 1, 150 do
      local ok, e, more = pcall(xpcall, deeper, h, i)
      local text = shown(ok, e, more)
      if not seen[text] then
        seen[text] = true
        seen[#seen + 1] = text
      end
      local ok, e, more = xpcall(deeper, h ~= handlers[15] and h or tostring, i)
      n = n + (ok and 1 or 2)
      local text = shown(e, more)
      if not seen[text] then
        seen[text] = true
        seen[#seen + 1] = text
      end
    end
    print(k, n, table.concat(seen, "\n  "))
  end
end

-- Variables are closed, last first, with the error; closers that fail, natives, and nil.
do
  local log, order = {}, 0
  local function note(o, e) order = (order * 31 + o.id) % 1000003 o.errors = o.errors + (e and 1 or 0) end
  local function closing(id, f) return setmetatable({ id = id, errors = 0 }, { __close = f }) end
  local a, b = closing(1, note), closing(2, note)
  local bad = closing(3, function(o, e) note(o, e) error("closer: " .. tostring(e), 0) end)
  local native = closing(4, rawlen)
  local function run(i, how)
    local x <close> = a
    do
      local y <close> = i % 5 == 0 and bad or b
      local z <close> = i % 2 == 0 and native or nil
      if how == "error" then error("raised", 0) end
      if how == "native" then return string.rep() end
      if how == "nil" then return i.x.y end
    end
    return i
  end
  local hows = { "error", "native", "nil", "none" }
  for k, how in ipairs(hows) do
    local seen = {}
    for i = 1, 150 do
      local text = shown(pcall(run, i, how))
      if not seen[text] and (how ~= "none" or i % 50 == 0) then
        seen[text] = true
        seen[#seen + 1] = text
      end
      local text = shown(xpcall(run, function(m) return "handled " .. tostring(m) .. order end, i, how))
      if i == 120 then seen[#seen + 1] = text end
    end
    print(how, table.concat(seen, "\n  "), order, a.errors, b.errors, bad.errors)
  end
  -- In coroutines closers may yield.
  local yielding = closing(5, function(o, e) coroutine.yield(e) note(o, e) end)
  local co = coroutine.wrap(function()
    local n = 0
    for i = 1, 150 do
      local ok, e = pcall(function() local x <close> = i % 10 == 0 and yielding or a error("in coroutine " .. i % 3, 0) end)
      n = n + #e
      local ok, e = pcall(function() local x <close> = a return string.rep() end)
      n = n + #e
    end
    return n
  end)
  local yields, last = 0, nil
  repeat
    last = co()
    yields = yields + 1
  until type(last) == "number"
  print(yields, last, order, a.errors, yielding.errors)
end

-- Hooks that a handler, a closer or a failing native sets; changed variables.
do
  local count = 0
  local function hook() count = count + 1 end
  local function run(mode)
    local n, other = 0, 1
    local function handler(m)
      if n == 70 and mode == "handler" then debug.sethook(hook, "l") end
      if n == 70 and mode == "local" then debug.setlocal(5, 3, 1000) end
      return m
    end
    local closer = setmetatable({}, { __close = function() if n == 70 and mode == "closer" then debug.sethook(hook, "l") end end })
    for i = 1, 100 do
      n = n + 1
      local ok, e = xpcall(function() local x <close> = closer error("x", 0) end, handler)
      other = other + #e
    end
    debug.sethook()
    return n, other, count > 0
  end
  print(run("none"))
  print(run("handler"))
  print(run("closer"))
  print(run("local"))
end

-- Native functions as metamethods of calls.
do
  local list = setmetatable({ 1, 2, 3 }, { __call = rawlen })
  local unpacks = setmetatable({ 4, 5, 6 }, { __call = table.unpack })
  local s = 0
  for i = 1, 150 do
    local a, b, c, d = unpacks(1, i % 4)
    s = s + list() + (a or 10) + (b or 20) + (c or 30) + (d or 0)
    s = s + select("#", unpacks())
    local ok, e = pcall(unpacks, "x")
    s = s + #e
  end
  print(s)
end

-- A string may bound a loop, if it is a number's numeral.
do
  local function first(a, b) for i = a, b do return i end end
  local bounds, seen = { 1, "10", 3, "x", 7, 2.5 }, {}
  for _ = 1, 30 do
    for _, a in ipairs(bounds) do
      for _, b in ipairs(bounds) do
        local _, e = pcall(first, a, b)
        local text = a .. " to " .. b .. ": " .. tostring(e)
        if not seen[text] then print(text) end
        seen[text] = true
      end
    end
  end
end
