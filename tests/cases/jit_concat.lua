-- Concatenations that metamethods take part in, anywhere in a chain, and that strings and numbers go on with.
local log = {}
local mt = {}
mt.__concat = function(a, b)
  local function show(v) return type(v) == "table" and v.name or tostring(v) end
  return "(" .. show(a) .. "+" .. show(b) .. ")"
end
local o, p = setmetatable({ name = "o" }, mt), setmetatable({ name = "p" }, mt)
local last
for i = 1, 100 do
  last = { o .. i, i .. o, o .. p, "a" .. o .. "b", 1.5 .. "x" .. o, o .. "y" .. 2 .. "z" .. 3.25 .. "w", o .. p .. o .. p, "a" .. "b" .. o }
end
print(table.concat(last, " "))
-- The result is another object, a number, nil; then the chain goes on with that.
mt.__concat = function(a, b)
  if a == o then return p end
  if b == p then return 7 end
  return type(a) == "table" and a or b
end
local counts = {}
for i = 1, 200 do
  local ok, r = pcall(function() return i .. "-" .. o .. p .. "!" .. o end)
  r = ok and (type(r) == "table" and r.name or r) or r:gsub("^.-:%d+: ", "")
  counts[#tostring(r)] = (counts[#tostring(r)] or 0) + 1
  ok, r = pcall(function() return "x" .. (i % 10 == 0 and {} or o) .. i end)
  r = ok and (type(r) == "table" and r.name or r) or r:gsub("^.-:%d+: ", "")
  counts[r] = (counts[r] or 0) + 1
end
local keys = {}
for k, n in pairs(counts) do keys[#keys + 1] = k .. "=" .. n end
table.sort(keys)
print(table.concat(keys, "\n"))
-- It is native, yields, raises an error, calls itself, and is gone.
mt.__concat = rawequal
local same = 0
for i = 1, 100 do
  if o .. o then same = same + 1 end
  if not (o .. i) and not (i .. o) then same = same + 1 end
end
print(same)
mt.__concat = function(a, b) return coroutine.yield(a, b) end
local co = coroutine.wrap(function()
  local s = ""
  for i = 1, 100 do s = #s .. ":" .. o .. "," .. o end
  return "end", s
end)
local a, b = co()
local n = 0
while a ~= "end" do
  n = n + 1
  a, b = co(n % 3 == 0 and o or "<" .. n .. ">")
end
print(n, b)
local depth = 0
mt.__concat = function(x, y)
  depth = depth + 1
  if type(y) == "number" and y > 0 then return o .. y - 1 .. "." end
  return "bottom"
end
for i = 1, 60 do last = o .. i % 8 end
print(last, depth)
mt.__concat = function(x, y) error("no " .. type(y), 2) end
local errors = {}
for i = 1, 100 do
  local ok, e = pcall(function() return "a" .. o .. i end)
  errors[e] = (errors[e] or 0) + 1
end
for e, k in pairs(errors) do print(e, k) end
mt.__concat = function(...) return select("#", ...), ... end
for i = 1, 100 do
  local ok, e = pcall(function() return o .. i end)
  if i == 50 then mt.__concat = nil end
  if i % 25 == 0 then print(ok, e) end
end
-- What lies on the stack meanwhile.
mt.__concat = function(x, y)
  local t = debug.traceback("at", 1):gsub("%s+", " ")
  collectgarbage("step")
  return t:sub(1, 60)
end
for i = 1, 60 do last = "k" .. i .. o .. i end
print(last)
