-- Strings that grow by being appended to share their bytes: each keeps its own end, whatever is appended to others.

local function digest(s)
  local h = #s
  for i = 1, #s do h = (h * 31 + s:byte(i)) % 1000000007 end
  return #s .. ":" .. h
end

-- A string of each length is kept: all are still what they were when the longest is there.
local all, s = {}, ("begin"):rep(130)
for i = 1, 400 do
  s = s .. i
  all[i] = s
end
local t = {}
for i = 1, 400 do t[i] = i end
for i = 1, 400, 57 do
  print(i, digest(all[i]), all[i] == ("begin"):rep(130) .. table.concat(t, "", 1, i))
end

-- Two ends for one beginning, one after the other and in turn.
local base = ("b"):rep(600) .. "ase"
base = base .. "!"
local one, two, three = base .. "one", base .. "two", base .. "three"
print(digest(base), digest(one), digest(two), digest(three))
local a, b = one, one
for i = 1, 300 do
  a = a .. "a" .. i
  b = b .. "b" .. i
  if i % 100 == 0 then print(digest(a), digest(b), digest(one)) end
end
for i = 1, 300 do
  local left, right = a .. "left", a .. "right"
  if i % 100 == 0 then print(left:sub(-9), right:sub(-9), #left, #right) end
end

-- A string appended to itself, to what is longer, and to nothing.
local d = ("d"):rep(520) .. "-"
for i = 1, 7 do d = d .. d .. i end
print(digest(d))
d = d .. ""
d = d .. "" .. "" .. "x"
print(digest(d))
local short = ("s"):rep(513) .. "s"
short = short .. "t" .. ("long"):rep(1000)
short = short .. ("long"):rep(3000) .. short
print(digest(short))

-- Going back to one of the shorter ones, and on from there.
local history, h = {}, ("h"):rep(600)
for i = 1, 500 do
  h = h .. "," .. i
  history[i] = h
  if i % 50 == 0 then h = history[i - 20] end
end
print(digest(h), digest(history[500]), digest(history[31]))

-- As keys, compared, and with collections in between.
local keys, k = {}, ("k"):rep(512)
for i = 1, 200 do
  k = k .. i % 10
  keys[k] = i
  if i % 40 == 0 then collectgarbage() end
end
local again, sum = ("k"):rep(512), 0
for i = 1, 200 do
  again = again .. i % 10
  sum = sum + keys[again]
end
print(sum, k == again, k < again .. "1", again .. "0" > k)

-- Numbers, and metamethods in the midst.
local m = ("m"):rep(600)
for i = 1, 200 do m = m .. i .. 0.5 .. -i end
print(digest(m))
local mt = { __concat = function(x, y) return (type(x) == "table" and "T" or x) .. (type(y) == "table" and "T" or y) end }
local obj = setmetatable({}, mt)
for i = 1, 100 do m = m .. i .. obj .. "e" end
print(digest(m))

-- Growing in a coroutine, and through a function that keeps what it got.
local grow = coroutine.wrap(function(s)
  while true do s = s .. coroutine.yield(s) end
end)
local g = grow(("g"):rep(600))
for i = 1, 300 do g = grow("<" .. i .. ">") end
print(digest(g))

-- Many that are given up half way.
local count = 0
for round = 1, 60 do
  local x = ("x"):rep(500 + round)
  for i = 1, 60 do
    x = x .. "0123456789"
    if i == round then break end
  end
  count = count + #x + x:byte(-1)
end
print(count)
