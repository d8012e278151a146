-- collectgarbage's options, weak tables, ephemerons, finalizers in order, resurrection.
print(type(collectgarbage("count")), collectgarbage(), collectgarbage("collect"), collectgarbage("step") ~= nil,
  collectgarbage("isrunning"))
collectgarbage("stop")
print(collectgarbage("isrunning"))
collectgarbage("restart")
print(collectgarbage("isrunning"))
collectgarbage("incremental")
print(collectgarbage("generational"), collectgarbage("incremental"), collectgarbage("incremental"))
print(pcall(collectgarbage, "bad"))
print(collectgarbage("setpause", 200) ~= nil, collectgarbage("setstepmul", 100) ~= nil)
local weak = setmetatable({}, { __mode = "v" })
weak[1] = {}
weak.x = {}
weak.s = "string"
weak.n = 5
local keep = {}
weak.keep = keep
collectgarbage()
print(weak[1], weak.x, weak.s, weak.n, weak.keep == keep)
local wk = setmetatable({}, { __mode = "k" })
wk[{}] = 1
wk[keep] = 2
wk["str"] = 3
wk[1] = 4
collectgarbage()
local n = 0
for k, v in pairs(wk) do n = n + 1 end
print(n, wk[keep], wk.str, wk[1])
local both = setmetatable({}, { __mode = "kv" })
both[{}] = keep
both[keep] = {}
both[1] = keep
both.s = "x"
collectgarbage()
n = 0
for _ in pairs(both) do n = n + 1 end
print(n)
local eph = setmetatable({}, { __mode = "k" })
do
  local a, b = {}, {}
  eph[a] = b
  eph[b] = a
end
collectgarbage()
print(next(eph))
do
  local chain = {}
  local first = chain
  for i = 1, 10 do
    local nxt = {}
    eph[chain] = nxt
    chain = nxt
  end
  eph[keep] = first
end
collectgarbage()
n = 0
for _ in pairs(eph) do n = n + 1 end
print(n)
eph[keep] = nil
collectgarbage()
collectgarbage()
n = 0
for _ in pairs(eph) do n = n + 1 end
print(n)
local order = {}
do
  for i = 1, 5 do
    setmetatable({ i = i }, { __gc = function(o) order[#order + 1] = o.i end })
  end
end
collectgarbage()
collectgarbage()
print(table.concat(order, " "))
local saved
do local o = setmetatable({ name = "phoenix" }, { __gc = function(o) saved = o end }) end
collectgarbage()
collectgarbage()
print(saved and saved.name)
local again = 0
do setmetatable(saved, { __gc = function() again = again + 1 end }) end
saved = nil
collectgarbage()
collectgarbage()
print(again)
local late = setmetatable({}, {})
getmetatable(late).__gc = function() print("never marked for finalization") end
late = nil
collectgarbage()
do local e = setmetatable({}, { __gc = function() error("in gc") end }) end
collectgarbage()
print("survived an error in __gc")
local wf = setmetatable({}, { __mode = "v" })
do
  local o = setmetatable({}, { __gc = function(o) print("finalized", wf[1]) end })
  wf[1] = o
end
collectgarbage()
collectgarbage()
print(wf[1])
local wkf = setmetatable({}, { __mode = "k" })
do
  local o = setmetatable({}, { __gc = function(o) print("key still there", wkf[o]) end })
  wkf[o] = "value"
end
collectgarbage()
collectgarbage()
print(next(wkf))
local co = coroutine.wrap(function()
  local t = {}
  weak.co = t
  coroutine.yield()
  return t
end)
co()
collectgarbage()
print(weak.co ~= nil)
co = nil
collectgarbage()
print(weak.co)
local f
do
  local up = {}
  weak.up = up
  f = function() return up end
end
collectgarbage()
print(weak.up ~= nil)
f = nil
collectgarbage()
print(weak.up)
local before = collectgarbage("count")
do
  local junk = {}
  for i = 1, 20000 do junk[i] = { i } end
end
collectgarbage()
collectgarbage()
print(collectgarbage("count") < before + 200)
for i = 1, 100000 do local t = { i, tostring(i) } end
print(collectgarbage("count") < before + 20000)
local s = 0
for i = 1, 100 do
  collectgarbage("step", 1)
  s = s + 1
end
print(s)
local closed = setmetatable({}, { __gc = function() print("at exit 1") end })
local closed2 = setmetatable({}, { __gc = function() print("at exit 2") end })
print("end of the script")
