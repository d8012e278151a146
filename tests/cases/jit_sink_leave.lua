-- Loops left by errors, yields, collections and closures, with tables in hand that were not made.
local function pair(a, b) return { a = a, b = b } end

-- An error's value is such a table.
for round = 1, 3 do
  local ok, e = pcall(function()
    local last = pair(0, 0)
    for i = 1, 200 do
      local p = pair(i, last.a)
      if i == 100 + round then error(p) end
      last = p
    end
  end)
  print(ok, e.a, e.b)
end

-- An error is caught in the loop while it is in hand.
local caught = 0
for i = 1, 200 do
  local p = pair(i, "x")
  local ok, e = pcall(function(v) if v % 10 == 0 then error({ of = p }) end return v end, i)
  if not ok then caught = caught + e.of.a assert(e.of == p) end
end
print(caught)

-- An error in an arithmetic instruction; the handler sees the table by way of its level.
local function fail(i)
  local p = pair(i, i % 130 == 0 and {} or 1)
  return p.a + p.b
end
local errors = 0
for i = 1, 260 do
  local ok, message = pcall(fail, i)
  if not ok then errors = errors + 1 print((message:gsub("^.-:%d+: ", ""))) end
end
print(errors)

-- A coroutine yields with it live.
local co = coroutine.wrap(function()
  local last = pair(0, 0)
  for i = 1, 200 do
    local p = pair(i, last.a)
    if i % 20 == 0 then
      local more = coroutine.yield(p.a)
      p.b = p.b + more
      assert(last.a == i - 1)
    end
    last = pair(p.a, p.b)
  end
  return last
end)
local total = 0
for i = 1, 10 do total = total + co(i) end
local last = co(1)
print(total, last.a, last.b)

-- It is handed over.
local producer = coroutine.wrap(function() for i = 1, 200 do coroutine.yield(pair(i, i * i)) end end)
total = 0
for _ = 1, 200 do
  local p = producer()
  total = total + p.a + p.b
end
print(total)

-- Collections while it is live, of what it alone refers to.
local weak = setmetatable({}, { __mode = "v" })
for i = 1, 300 do
  local inner = { n = i }
  local p = pair(inner, "s" .. i)
  weak[1] = inner
  if i % 60 == 0 then
    inner = nil
    collectgarbage()
    assert(weak[1] == p.a and p.a.n == i and p.b == "s" .. i)
  end
end
local garbage = {}
local v = pair(0, "")
for i = 1, 20000 do
  v = pair(v.a + 1, "t" .. i % 10)
  garbage[i % 100] = { i }
end
print(v.a, v.b, #garbage)

-- A closure captures it; a vararg list, a table and a returned list contain it.
local fs, packed = {}, {}
local function give(...) return ... end
for i = 1, 200 do
  local p = pair(i, i)
  if i % 90 == 0 then
    fs[#fs + 1] = function() p.a = p.a + 1 return p.a end
    packed[#packed + 1] = table.pack(give(p, i, p))
  end
  local q = give(p)
  assert(q == p)
end
print(fs[1](), fs[1](), fs[2](), packed[1][1] == packed[1][3], packed[2][3].a)

-- The debug library looks at locals.
for i = 1, 200 do
  local p = pair(i, nil)
  if i % 100 == 0 then
    local n = 1
    while true do
      local name, value = debug.getlocal(1, n)
      if not name then break end
      if name == "p" then value.b = "seen" end
      n = n + 1
    end
    print(p.a, p.b)
  end
end

-- Numbers as strings, long loops, nested tables: sorted names at the end.
local state = { count = 0, inner = { sum = 0, deeper = { product = 1 } } }
for i = 1, 500 do
  local s = state.inner.sum + i
  state = { count = state.count + 1, inner = { sum = s, deeper = { product = state.inner.deeper.product * 3 % 1000003 } } }
end
print(state.count, state.inner.sum, state.inner.deeper.product)
