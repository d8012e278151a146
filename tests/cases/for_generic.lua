-- Generic for: iterators of all kinds, the closing value, modification while traversing.
local function range(n) return function(s, i) if i < s then return i + 1, i * i end end, n, 0 end
for i, sq in range(4) do io.write(i, "=", sq, " ") end print()
for i, v in ipairs { 1, 2, nil, 4 } do io.write(i, v, " ") end print()
local t = setmetatable({}, { __index = function(_, i) if i <= 3 then return i * 10 end end })
for i, v in ipairs(t) do io.write(i, ":", v, " ") end print()
local p = setmetatable({}, { __pairs = function(x) return function(_, k) if not k then return 1, 2 end end, x, nil end })
for k, v in pairs(p) do print(k, v) end
local keys = {}
for k in pairs { a = 1, b = 2, 10, 20 } do keys[#keys + 1] = tostring(k) end
table.sort(keys) print(table.concat(keys, " "))
for w in ("one two  three"):gmatch("%a+") do io.write("<", w, ">") end print()
for a, b, c in function(_, x) if not x then return 1 end end do print(a, b, c) end
local big = {}
for i = 1, 100 do big[i] = i big["k" .. i] = i end
local seen, sum = 0, 0
for k, v in pairs(big) do seen = seen + 1 sum = sum + v big[k] = nil end
print(seen, sum, next(big))
print(pcall(function() for i in 5 do end end))
print(pcall(function() for i in nil do end end))
print(pcall(function() local x = {} for i in x do end end))
print(pcall(function() for i in pairs(nil) do end end))
print(pcall(next, {}, "nothing"))
print(pcall(ipairs))
local closed = setmetatable({}, { __close = function() print("closed") end })
for i in function(_, x) x = (x or 0) + 1 if x < 3 then return x end end, nil, nil, closed do print("body", i) end
for i in function() return 1 end, nil, nil, closed do print("body", i) break end
local callable = setmetatable({}, { __call = function(self, s, c) c = c + 1 if c <= s then return c end end })
for i in callable, 3, 0 do io.write(i, " ") end print()
local function f() for i in function(_, x) x = (x or 0) + 1 return x end, nil, nil, closed do if i == 2 then return i, "out" end end end
print(f())
print(rawlen({ 1, 2 }), rawlen("abc"), pcall(rawlen, 5))
