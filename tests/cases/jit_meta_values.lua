-- Metatables of what is no table: the methods of files and strings, and those that debug.setmetatable gives to numbers, nil, booleans
-- and functions; then they change in the middle of a loop, or go.
local file <const> = io.tmpfile()
local total = 0
for i = 1, 200 do
  file:seek("set", 0)
  file:write(i, "\n")
  total = total + file:seek("cur", 0)
end
file:seek("set", 0)
print(total, file:read("a"):gsub("\n", "|"))
for i = 1, 100 do
  local ok, e = pcall(function() return file.nothing == nil and file:nothing() end)
  if i == 100 then print(ok, e) end
end
local files, bytes = { file, io.tmpfile() }, 0
for i = 1, 200 do
  local f = files[i % 2 + 1]
  f:seek("set", 0)
  bytes = bytes + (f:seek("end") or 0)
  if i == 150 then files[1] = setmetatable({ seek = function() return 1000 end }, { __name = "no file" }) end
end
print(bytes)

-- Numbers in strings.
local n = 0
for i = 1, 200 do
  n = n + "10" + i * "2" - -"3" + "7" // 2 + 2 ^ "2"
  if i == 150 then getmetatable("").__add = function(x, y) return 1 end end
end
getmetatable("").__add = nil
print(n, pcall(function() return "10" + 1 end))

-- Every type, one after the other.
local co = coroutine.create(print)
for _, value in ipairs { 7, 1.5, true, print, co, "text" } do
  local keep = debug.getmetatable(value)
  local mt = { __index = { size = 1 }, __len = function() return 2 end, __call = function(self, x) return x end,
    __add = function() return 5 end, __concat = function() return "c" end, __lt = function() return true end }
  local sum, seen = 0, {}
  local ok, e = pcall(function()
    debug.setmetatable(value, mt)
    for i = 1, 120 do
      sum = sum + (value.size or 100)
      if type(value) ~= "string" then sum = sum + #value end
      if type(value) ~= "function" then sum = sum + value(i) end
      if type(value) ~= "number" then sum = sum + (value + 1) end
      if type(value) ~= "string" and type(value) ~= "number" then seen[value .. "x"] = value < value end
      if i == 60 then mt.__index = function(_, k) return #k end end
      if i == 80 then debug.setmetatable(value, { __index = mt.__index, __len = mt.__len, __call = mt.__call, __add = mt.__len, __concat = mt.__concat, __lt = mt.__lt }) end
      if i == 100 then debug.setmetatable(value, nil) end
    end
  end)
  debug.setmetatable(value, keep)
  print(type(value), sum, seen.c, ok, (tostring(e):gsub("^.-:%d+: ", "")))
end
local function f(x, y) return x.a.b or y end
debug.setmetatable(nil, { __index = function() return nil end })
local chained = 0
for i = 1, 100 do
  chained = chained + f({}, i)
  if i == 90 then debug.setmetatable(nil, { __index = { b = 7 } }) end
end
debug.setmetatable(nil, nil)
print(chained, pcall(f, {}, 1))

-- An operand's type without a metatable gets one.
local t = setmetatable({}, { __add = function() return 1 end, __lt = function() return true end })
local r = 0
for i = 1, 200 do
  r = r + (i + t)
  if i < t then r = r + 1000 end
  if i == 100 then debug.setmetatable(0, { __add = function() return 100 end, __lt = function() return false end }) end
end
debug.setmetatable(0, nil)
print(r)

-- What getmetatable answers.
local locked = setmetatable({}, { __metatable = "locked" })
local found = {}
for i = 1, 100 do
  local m = getmetatable(locked)
  found[m] = (found[m] or 0) + 1
  if getmetatable("").__index ~= string then found.no = true end
  if getmetatable(io.stderr) ~= getmetatable(file) then found.no = true end
  if getmetatable(1) ~= nil then found.number = (found.number or 0) + 1 end
  if i == 50 then debug.setmetatable(locked, { __metatable = "open" }) end
  if i == 70 then debug.setmetatable(0, {}) end
end
debug.setmetatable(0, nil)
print(found.locked, found.open, found.number, found.no)
