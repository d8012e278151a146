-- `next` called by the program itself, over tables that change, and with keys that are not there.
local t = { 1, 2, x = 3, [2.5] = 4, [true] = 5 }
local s = 0
for i = 1, 200 do
  local k, v = next(t)
  while k ~= nil do
    s = s + v
    k, v = next(t, k)
  end
  if i == 100 then t.x, t.y = nil, "6" end
  if i == 120 then t.y = 7.5 end
  if i == 150 then t[1], t[2] = nil, nil end
end
print(s)
local empty, first = 0, 0
for i = 1, 200 do
  local tables = { {}, { 1 }, setmetatable({}, { __index = t }), { nil, 2 } }
  for _, u in ipairs(tables) do
    if next(u) == nil then empty = empty + 1 end
    first = first + select("#", next(u)) + #{ next(u) } * 10
    local k = next(u)
    if k then first = first + k end
  end
end
print(empty, first)
local list = { "a", "b", c = 1 }
for i = 1, 100 do
  local ok, e = pcall(function() return next(list, i > 80 and "nothing" or 1) end)
  if i % 45 == 0 then print(ok, e) end
  ok, e = pcall(function() return next(i > 80 and 1 or list) end)
  if i % 45 == 0 then print(ok, e) end
end
local step, found = next, {}
for i = 1, 100 do
  if i > 50 then step = function(u, k) if not k then return "own", i end end end
  local k, v = step(list)
  found[k] = v
end
print(found[1], found.own)
