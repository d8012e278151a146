-- const and close variables: order, errors, goto, break, coroutines, nil and false.
local function closer(name, fails)
  return setmetatable({}, { __close = function(_, e)
    print("close", name, e)
    if fails then error(fails, 0) end
  end })
end
do
  local a <close> = closer "a"
  local b <const> = 5
  local c <close> = closer "c"
  local d <close> = nil
  local e <close> = false
  print("body", b)
end
print(pcall(function()
  local a <close> = closer("a", "from a")
  local b <close> = closer("b", "from b")
  error("original", 0)
end))
print(pcall(function() local x <close> = 5 end))
print(pcall(function() local x <close> = {} end))
for i = 1, 2 do
  local a <close> = closer("loop" .. i)
  if i == 2 then break end
end
local function f()
  local a <close> = closer "returned"
  return 1, 2, 3
end
print(f())
local function tail()
  local a <close> = closer "tail"
  return f()
end
print(tail())
do
  goto skip
  do local a <close> = closer "never" end
  ::skip::
end
local co = coroutine.wrap(function()
  local a <close> = closer "in coroutine"
  coroutine.yield(1)
  return 2
end)
print(co(), co())
local co2 = coroutine.create(function()
  local a <close> = closer "closed from outside"
  coroutine.yield()
end)
coroutine.resume(co2)
print(coroutine.close(co2), coroutine.status(co2))
local co3 = coroutine.create(function()
  local a <close> = closer("bad", "close failed")
  coroutine.yield()
end)
coroutine.resume(co3)
print(coroutine.close(co3))
print(pcall(function()
  local a <close> = setmetatable({}, { __close = function(_, e)
    print("got", type(e))
    coroutine.running()
  end })
  error({})
end) == false)
local K <const> = 10
local S <const> = "str"
print(K + 1, S .. K, -K, K == 10)
for _, code in ipairs { "local x <const> = 1 x = 2", "local x <close>, y <close> = 1", "local x <foo> = 1",
  "local x <const> = 1 function f() x = 2 end", "local x <const> x = 1",
  "local function f() local a <const> = 1 return function() a = 2 end end" } do
  print(select(2, load(code, "=chunk")))
end
