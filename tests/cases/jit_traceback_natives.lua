-- Errors of native functions that compiled code calls: the function is in the traceback.
local function handler(e) return debug.traceback(e, 2) end
local function run(f, ...) print(select(2, xpcall(f, debug.traceback, ...))) print(select(2, xpcall(f, handler, ...))) end
run(function() local t = {} for i = 1, 60 do table.insert(t, (i // 50) * 98 + 1, i) end end)
run(function() local t = {} for i = 1, 60 do table.insert(t, select(1, (i // 50) * 98 + 1, i)) end end)
run(function() for i = 1, 60 do setmetatable({}, { __metatable = i // 50 > 0 and i or nil, __index = i }) end
  for i = 1, 60 do local t = { 3, 1, 2, i } table.sort(t, function(a, b) if i > 50 then error("no order") end return a < b end) end end)
local function inner(t, i) table.insert(t, (i // 50) * 98 + 1, i) return #t end
local function outer(t, i) local n = inner(t, i) return n + 1 end
run(function() local t, n = {}, 0 for i = 1, 60 do n = n + outer(t, i) end end)
run(function() local t = setmetatable({}, { __index = function(t, k) rawset(t, k // (50 - k), k) return k end }) for i = 1, 60 do local _ = t[i] end end)
run(function() local t = {} for i = 1, 60 do t[i] = pcall(inner, t, i) and i or assert(i < 55, "late") end end)
run(function() local s = 0 for i = 1, 60 do s = s + #string.gsub("abc", "%w", function(c) return i > 50 and {} or c end) end end)
for i = 1, 70 do local ok, e = pcall(inner, {}, i) if not ok and i % 10 == 5 then print(e) end end
local co = coroutine.wrap(function() local t = {} for i = 1, 60 do coroutine.yield(i) table.insert(t, (i // 50) * 98 + 1, i) end end)
print(xpcall(function() for i = 1, 60 do co() end end, debug.traceback))
