-- A metatable for each object: all alike at first, then not any more.
local C = { name = "C" }
function C:get() return self.v end
function C:add(n) self.v = self.v + n return self end
local D = { name = "D" }
function D:get() return -self.v end
function D:add(n) self.v = self.v - n return self end

local function new(class, v) return setmetatable({ v = v }, { __index = class }) end
local function sum(list)
  local s = 0
  for i = 1, #list do s = s + list[i]:get() end
  return s
end
local function make(class, n)
  local list = {}
  for i = 1, n do list[i] = new(class, i) end
  return list
end

local cs, ds = make(C, 120), make(D, 120)
print(sum(cs), sum(ds), sum({ cs[1], ds[2], cs[3], ds[4] }))
for round = 1, 3 do
  for i = 1, #cs do cs[i]:add(round) ds[i]:add(round) end
end
print(sum(cs), sum(ds), cs[7].name, ds[7].name, cs[7].nothing)
print(getmetatable(cs[1]) ~= getmetatable(cs[2]), getmetatable(cs[5]).__index == C)

-- One gets another class, by its metatable.
getmetatable(cs[50]).__index = D
print(sum(cs), cs[50].name, cs[49].name, cs[51].name)
getmetatable(cs[50]).__index = nil
print(cs[50].name, cs[49].name, cs[50].get, pcall(sum, cs))
getmetatable(cs[50]).__index = function(t, k) return C[k] end
print(sum(cs), cs[50].name, cs[51].name)
rawset(getmetatable(cs[60]), "__index", D)
print(sum(cs), cs[60].name, cs[59].name)
-- More follow, like the others were.
for i = 121, 180 do cs[i] = new(C, i) end
print(sum(cs))

-- Stores that lead to new fields, until one asks.
local log = {}
local es = make(C, 100)
for i = 1, #es do es[i].a = i end
getmetatable(es[30]).__newindex = function(t, k, v) log[#log + 1] = k .. v rawset(t, k, -v) end
for i = 1, #es do es[i].b = i end
print(es[29].b, es[30].b, es[31].b, table.concat(log, " "))
getmetatable(es[40]).__newindex = log
for i = 1, #es do es[i].c = i end
print(es[39].c, es[40].c, es[41].c, rawget(es[40], "c"), log.c, table.concat(log, " "))
getmetatable(es[30]).__newindex = nil
for i = 1, #es do es[i].d = i end
print(es[29].d, es[30].d, es[31].d, es[40].d, log.d)

-- Twins that are looked through further, and a metatable of a metatable.
local B = setmetatable({ deep = "deep" }, { __index = C })
local fs = {}
for i = 1, 100 do fs[i] = setmetatable({ v = i }, { __index = B }) end
local function deeps(list)
  local n = 0
  for i = 1, #list do n = n + (list[i].deep == "deep" and list[i]:get() or 1000) end
  return n
end
print(deeps(fs))
setmetatable(getmetatable(fs[20]), { __index = function() return "not asked" end })
print(deeps(fs), fs[20].nothing)
setmetatable(fs[21], { __index = D })
print(sum(fs), fs[21].name, fs[22].name)
setmetatable(B, { __index = D })
print(sum(fs), fs[21].name, fs[22].name)
B.get = function(self) return 1 end
print(sum(fs), fs[23].name)

-- Other events.
local function with(n)
  local list = {}
  for i = 1, n do
    list[i] = setmetatable({ v = i }, { __index = C, __len = C.get, __call = C.add })
  end
  return list
end
local gs = with(100)
local function lengths(list)
  local n = 0
  for i = 1, #list do n = n + #list[i] + list[i](1).v end
  return n
end
print(lengths(gs))
getmetatable(gs[10]).__len = function() return 10000 end
print(lengths(gs))
getmetatable(gs[11]).__call = function(self) return { v = 0 } end
print(lengths(gs))

-- Changes again and again.
local hs = make(C, 60)
for round = 1, 40 do
  local twin = getmetatable(hs[round])
  twin.__index = round % 2 == 0 and C or D
  hs[#hs + 1] = new(C, round)
  io.write(sum(hs), " ")
end
print()

-- Those that are gone leave their places to others.
local total = 0
for round = 1, 20 do
  local class = { get = function(self) return self.v * round end }
  total = total + sum(make(class, 40))
  class = nil
  collectgarbage()
end
print(total)

-- With finalizers, weak values, protected metatables.
local gone = 0
for i = 1, 50 do
  setmetatable({}, { __index = C, __gc = function() gone = gone + 1 end })
  setmetatable({}, { __index = C, __gc = log.nothing })
end
collectgarbage()
print(gone)
local weak = {}
for i = 1, 40 do weak[i] = setmetatable({ {}, v = i }, { __index = C, __mode = "v" }) end
collectgarbage()
local left = 0
for i = 1, #weak do left = left + #weak[i] + weak[i]:get() end
print(left)
local guarded = {}
for i = 1, 40 do guarded[i] = setmetatable({ v = i }, { __index = C, __metatable = "locked" }) end
for i = 1, #guarded do
  local ok = pcall(setmetatable, guarded[i], {})
  if ok or getmetatable(guarded[i]) ~= "locked" then print("not guarded", i) end
end
print(sum(guarded))

-- The metatable of strings is a table, too.
local function upper(o) return o.upper end
for _ = 1, 60 do upper("x") end
print(upper("x") == string.upper, upper(getmetatable("")), upper({ upper = 1 }))
