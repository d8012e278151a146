-- Calls that need native stack in the reference implementation end at its limit, with its error, and quickly.
local function count(name, start)
  local n = 0
  local function bump() n = n + 1 end
  local r = table.pack(pcall(start, bump))
  local last = r[r.n]
  print(name, n, r.n, r[1], type(last) == "string" and last:gsub("([%w_]+%.lua:%d+: )+", "%1") or type(last))
end
count("pcall", function(b) local function f() b() return pcall(f) end return f() end)
count("xpcall", function(b) local function f() b() return xpcall(f, function(m) return "h:"..tostring(m) end) end return f() end)
count("pcall not tail", function(b) local function f() b() local ok, m = pcall(f) if not ok then error(m, 0) end return ok, m end return f() end)
count("gsub", function(b) local function f() b() return (string.gsub("a", ".", f)) end return f() end)
count("sort", function(b) local function f() b() table.sort({1,2,3}, f) end return f() end)
count("load", function(b) local function f() b() return load(f) end return f() end)
count("wrap", function(b) local function f() b() return coroutine.wrap(f)() end return f() end)
count("resume", function(b) local function f() b() return coroutine.resume(coroutine.create(f)) end return f() end)
count("index", function(b) local t = setmetatable({}, {__index=function(t,k) b() return t[k+1] end}) return t[1] end)
count("add", function(b) local t t = setmetatable({}, {__add=function(x,y) b() return x+y end}) return t+1 end)
count("concat", function(b) local t t = setmetatable({}, {__concat=function(x,y) b() return x..y end}) return t.."x" end)
count("eq", function(b) local t t = setmetatable({}, {__eq=function(x,y) b() return x==y end}) return t==setmetatable({}, getmetatable(t)) end)
count("tostring", function(b) local t t = setmetatable({}, {__tostring=function(x) b() return tostring(x) end}) return tostring(t) end)
count("close", function(b) local function f() b() local x <close> = setmetatable({}, {__close=f}) end return f() end)
count("pairs", function(b) local t t = setmetatable({}, {__pairs=function(x) b() return pairs(x) end}) return pairs(t) end)
count("call", function(b) local function f() b() return require("zz") end package.preload.zz = f return f() end)
-- it can be done again
count("pcall", function(b) local function f() b() return pcall(f) end return f() end)
-- errors of all kinds leave nothing behind
local ok = 0
for i = 1, 1000 do
  pcall(1) pcall(pcall) pcall(error) pcall(string.rep) pcall(setmetatable({}, {__call = function() error() end}))
  pcall(function() return {} + 1 end)
  pcall(function() return setmetatable({}, {__add = 1}) + 1 end)
  pcall(function() return setmetatable({}, {__index = error}).x end)
  xpcall(error, error)
  coroutine.wrap(pcall)(1)
  local co = coroutine.create(function() pcall(pcall, pcall, coroutine.yield) error() end)
  coroutine.resume(co) coroutine.resume(co) coroutine.resume(co)
  co = coroutine.create(function() pcall(pcall, pcall, coroutine.yield) end)
  coroutine.resume(co) coroutine.close(co)
  co = coroutine.wrap(function() pcall(pcall, pcall, coroutine.yield) for i = 1, 0 do end end)
  co() co()
  pcall(string.gsub, "a", ".", function() error() end)
  ok = ok + 1
end
print(ok)
count("pcall", function(b) local function f() b() return pcall(f) end return f() end)

-- a handler of the error may nest a little deeper, and not without end
local function down(n) if n == 0 then error("bottom") end local ok, m = pcall(down, n - 1) error(m, 0) end
print(pcall(down, 150))
local function overflow() local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x end
print(xpcall(overflow, function(m) return "seen: " .. tostring(setmetatable({}, {__tostring = function() return m end})) end))
print(xpcall(overflow, function(m) overflow() end))
local n = 0
print(xpcall(overflow, function(m) n = n + 1 error(m, 0) end))
print(n < 50, n > 0)
n = 0
print(xpcall(error, function(m) n = n + 1 error(m, 0) end))
print(n > 150, n < 250)
print(xpcall(error, error, "own"))
-- the limit counts through coroutines that wait for one another
local function chain(k)
  if k == 0 then return select("#", pcall(overflow)), (select(2, pcall(overflow))) end
  return coroutine.wrap(chain)(k - 1)
end
for _, k in ipairs { 1, 10, 100, 190 } do print(k, pcall(chain, k)) end
-- one that was suspended inside of calls can be resumed
local co = coroutine.wrap(function()
  local function f(k) if k == 0 then coroutine.yield("in") return "out" end return (select(2, pcall(f, k - 1))) end
  return f(100)
end)
print(co()) print(co())
