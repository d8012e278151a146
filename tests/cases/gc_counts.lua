-- What dead objects owned is not counted any more, whatever kind they are of.
local function full() collectgarbage() collectgarbage() return collectgarbage("count") end
local makers = {
  table = function(i) return { i, i, i, x = i } end,
  array = function(i) local t = {} for k = 1, 300 do t[k] = k end return t end,
  floats = function(i) local t = {} for k = 1, 300 do t[k] = k + .5 end return t end,
  hash = function(i) local t = {} for k = 1, 60 do t[k * 1.5] = k end return t end,
  grown = function(i) local t = {} for k = 1, 60 do t["k" .. k] = k end return t end,
  string = function(i) return ("x"):rep(5000) .. i end,
  mid = function(i) return ("x"):rep(100) .. i end,
  ropes = function(i) local s = ("y"):rep(600) for k = 1, 20 do s = s .. k end return s end,
  closure = function(i) local a, b = i, i return function() a = a + 1 b = b + 1 end end,
  thread = function(i) return coroutine.create(function() end) end,
  run = function(i) local c = coroutine.create(function(...) local function f(n) if n == 0 then coroutine.yield() return 0 end return 1 + f(n - 1) end f(50) end) coroutine.resume(c) return c end,
  done = function(i) local c = coroutine.wrap(function() local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end f(50) end) c() return c end,
  wide = function(i) local c = coroutine.wrap(function() return select('#', table.unpack({}, 1, 3000)) end) c() return c end,
  proto = function(i) return load("local a = 'constant" .. i % 7 .. "' return function() return a, {1,2,3} end") end,
  file = function(i) local f = io.open("/dev/null") f:close() return f end,
  meta = function(i) return setmetatable({}, { __index = function() end, __gc = function() end }) end,
  weak = function(i) return setmetatable({ {}, {} }, { __mode = "kv" }) end,
  gmatch = function(i) return string.gmatch("a b c", "%a") end,
  buffer = function(i) return table.concat({ ("z"):rep(700), i }) end,
}
local names = {}
for n in pairs(makers) do names[#names + 1] = n end
table.sort(names)
for _, n in ipairs(names) do
  local make = makers[n]
  for i = 1, 50 do make(i) end
  local before = full()
  for i = 1, 500 do make(i) end
  local after = full()
  print(n, after - before < 64 or after - before)
end
