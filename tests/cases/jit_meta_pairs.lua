-- `pairs` with a metamethod, and iterators of `ipairs` that call one, in hot loops.
local function steps(t, k)
  k = (k or 0) + 1
  if k <= t.n then return k, k * 2 end
end
local mt = { __pairs = function(t) return steps, t, nil, "not this" end }
local t, s = setmetatable({ n = 5 }, mt), 0
for i = 1, 200 do
  for k, v in pairs(t) do s = s + k * v end
  t.n = i % 7
end
print(s)
-- More and fewer results than three; a tail call; an iterator that is another function; none at all.
local function results(...) return select("#", ...), ... end
local shapes = {
  function() end, function(x) return x end, function(x) return x, 2, 3, 4, 5 end, function(x) return select(1, x, x) end,
  rawlen, function(x) return results(x) end,
}
local seen = {}
for i = 1, 120 do
  mt.__pairs = shapes[i % #shapes + 1]
  local n, a, b, c, d = results(pairs(t))
  seen[i % #shapes] = table.concat({ n, type(a), type(b), tostring(c), tostring(d) }, " ")
end
for i = 0, #shapes - 1 do print(i, seen[i]) end
-- It yields, or raises an error, in the middle.
mt.__pairs = function(x) local got = coroutine.yield(x.n) return next, { [got] = got } end
local co = coroutine.wrap(function()
  local sum = 0
  for i = 1, 100 do
    for k, v in pairs(t) do sum = sum + k + v end
  end
  return "sum", sum
end)
local first, sum = co()
for i = 1, 100 do first, sum = co(i) end
print(first, sum)
local last
mt.__pairs = function(x) if x.n > 3 then error("too many", x.n - 3) end return next, {} end
for i = 1, 100 do
  t.n = i % 6
  local ok, e = pcall(function() for k in pairs(t) do end return "done" end)
  if e ~= last and i > 90 then print(ok, e) end
  last = e
end
mt.__pairs = function(x) return debug.traceback(x.n) end
local text
for i = 1, 60 do text = pairs(setmetatable({ n = "at" }, mt)) end
print(text)
mt.__pairs = nil
local keys = 0
for i = 1, 100 do for k in pairs(t) do keys = keys + 1 end end
print(keys)
-- ipairs looks through __index.
local through, total = setmetatable({ 1, 2 }, { __index = function(_, i) if i < 6 then return i * 10 end end }), 0
for i = 1, 100 do
  for _, v in ipairs(through) do total = total + v end
  if i == 60 then getmetatable(through).__index = { nil, nil, 7, 8 } end
  if i == 80 then getmetatable(through).__index = nil end
end
print(total)
debug.setmetatable(1, { __index = function(n, i) if i <= n then return i end end, __pairs = function(n) return steps, { n = n } end })
for i = 1, 100 do
  for _, v in ipairs(4) do total = total + v end
  for _, v in pairs(4) do total = total + v end
end
print(total)
debug.setmetatable(1, nil)
