-- An event emitter, a scheduler with timers in virtual time, promises by coroutines.
local Emitter = {}
Emitter.__index = Emitter
function Emitter.new() return setmetatable({ handlers = {} }, Emitter) end
function Emitter:on(e, f, once)
  local l = self.handlers[e] or {}
  self.handlers[e] = l
  l[#l + 1] = { f = f, once = once }
  return self
end
function Emitter:emit(e, ...)
  local l, n = self.handlers[e], 0
  if not l then return 0 end
  for i = #l, 1, -1 do
    local h = l[i]
    h.f(...)
    n = n + 1
    if h.once then table.remove(l, i) end
  end
  return n
end
local log = {}
local em = Emitter.new()
em:on("a", function(x) log[#log + 1] = "a" .. x end):on("a", function(x)
  log[#log + 1] = "once" .. x
end, true):on("b", function()
  em:emit("a", "nested")
end)
print(em:emit("a", 1), em:emit("a", 2), em:emit("b"), em:emit("c"))
print(table.concat(log, " "))
local clock, timers = 0, {}
local function after(dt, f)
  local at = clock + dt
  local i = #timers + 1
  while i > 1 and timers[i - 1].at > at do i = i - 1 end
  table.insert(timers, i, { at = at, f = f })
end
local function run()
  while #timers > 0 do
    local t = table.remove(timers, 1)
    clock = t.at
    t.f()
  end
end
local function sleep(dt)
  local co = coroutine.running()
  after(dt, function() assert(coroutine.resume(co)) end)
  coroutine.yield()
end
local function spawn(f, ...)
  local args = table.pack(...)
  local co = coroutine.create(function() f(table.unpack(args, 1, args.n)) end)
  after(0, function() assert(coroutine.resume(co)) end)
end
local trace = {}
for id = 1, 4 do
  spawn(function(n, step)
    for i = 1, n do
      sleep(step)
      trace[#trace + 1] = id .. "@" .. clock
    end
  end, 5 - id, id * 3)
end
run()
print(table.concat(trace, " "), clock)
local function promise()
  local p = { waiting = {} }
  function p.resolve(v)
    p.done, p.value = true, v
    for _, co in ipairs(p.waiting) do coroutine.resume(co, v) end
  end
  function p.await()
    if p.done then return p.value end
    p.waiting[#p.waiting + 1] = coroutine.running()
    return coroutine.yield()
  end
  return p
end
local p = promise()
local got = {}
for i = 1, 3 do coroutine.wrap(function() got[#got + 1] = i .. ":" .. p.await() end)() end
print(#got)
p.resolve("value")
print(table.concat(got, " "))
coroutine.wrap(function() print("late", p.await()) end)()
local total = 0
for i = 1, 300 do
  em:on("tick" .. i % 5, function(k) total = total + k * i end, i % 2 == 0)
end
for r = 1, 5 do for k = 0, 4 do em:emit("tick" .. k, r) end end
print(total)
