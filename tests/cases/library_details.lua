-- small things of the library that programs rely on
print(tonumber("+1z", 36), tonumber("  +10  ", 2), tonumber("+", 10), tonumber("-+1", 10), tonumber("+ 1", 10))
print(-2147483648, 2147483647, -2147483649, ({ -2147483648 })[1], -2147483648 // 1)
-- next and keys that the table never had
print(pcall(next, { 10, 20 }, 3))
print(pcall(next, { 10, 20 }, 1.0))
print(pcall(next, { 10, 20 }, 2))
local t = { 1, 2, 3, 4 }
for k in pairs(t) do t[k] = nil end
print(next(t))
-- results too many for who resumes
local co = coroutine.create(function() return table.unpack({}, 1, 999500) end)
local function deep(n)
  if n == 0 then return (select(2, coroutine.resume(co))) end
  return (deep(n - 1))
end
print(deep(300))
-- what may yield
local name = os.tmpname()
local file = assert(io.open(name, "w"))
file:write("local a = coroutine.yield(1) local b = coroutine.yield(2) return a + b, ...")
file:close()
local run = coroutine.wrap(dofile)
print(run(name)) print(run(10)) print(run(20))
os.remove(name)
local walk = coroutine.wrap(function()
  local o = setmetatable({ 5 }, { __pairs = function(o) return coroutine.yield("in pairs"), o, nil, "dropped" end })
  for k, v in pairs(o) do coroutine.yield(k, v) end
  return select("#", pairs(o))
end)
print(walk()) print(walk(next)) print(walk()) print(walk(next))
-- the collector is not entered from a finalizer
local seen = {}
setmetatable({}, { __gc = function() seen[1] = collectgarbage() seen[2] = collectgarbage("count") end })
collectgarbage()
print(seen[1], seen[2])
-- finalizers run in loops that do nothing but allocate, whatever lay in registers before
local done
setmetatable({}, { __gc = function() local i = debug.getinfo(1, "n") done = i.namewhat .. " " .. i.name end })
repeat local a = {} until done
print(done)
done = nil
local u = setmetatable({}, { __gc = function() done = true end })
repeat local i u = function() return i end until done
done = nil
u = setmetatable({}, { __gc = function() done = true end })
local n = 0
repeat n = n + 1 u = n .. "x" until done
print("done")
-- long strings of weak tables die with their values
local weak = setmetatable({}, { __mode = "kv" })
collectgarbage() collectgarbage()
local before = collectgarbage("count")
weak[("a"):rep(2 ^ 20)] = 1
weak[("b"):rep(2 ^ 20)] = {}
collectgarbage()
local grown = collectgarbage("count") - before
print(grown > 1000, grown < 1500, weak[("a"):rep(2 ^ 20)])
-- a reader's errors
print(pcall(load, function() error("reader", 0) end))
print(pcall(load, function() return {} end))
-- equal long strings of a chunk are one object
local s1 = "0123456789012345678901234567890123456789-0123456789"
local function inner() return "0123456789012345678901234567890123456789-0123456789" end
print(string.format("%p", s1) == string.format("%p", inner()))
-- a name behind more constants than an instruction can number
local many = {}
for i = 1, 300 do many[i] = "x = " .. i .. ".5" end
print(pcall(load(table.concat(many, " ") .. " local t = {} t:method()", "=many")))
-- a handler sees the errors of closing, too
local function closes(f) return setmetatable({}, { __close = f }) end
print(xpcall(function()
  local a <close> = closes(function(_, m) error("third after " .. m, 0) end)
  local b <close> = closes(function(_, m) error("second after " .. m, 0) end)
  error("first", 0)
end, function(m) return "[" .. m .. "]" end))
