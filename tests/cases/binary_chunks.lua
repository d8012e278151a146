-- string.dump and load, as far as the format does not show
local function round(f, strip, ...) return assert(load(string.dump(f, strip), "=again", "b", ...)) end
print(round(function(a, b) return a + b, a .. b end)(1, 2))
print(round(function(...) local t = { n = select("#", ...), ... } return t.n, t[1] end)(7, nil, 8))
print(round(function() local s = 0 for i = 1, 10 do s = s + i end for _, v in ipairs { 1, 2.5 } do s = s + v end return s end)())
print(round(function() local x, y = 0, 0 local function f() x = x + 1 return x end f() y = f() return x, y end)())
print(round(function() goto done do return 1 end ::done:: local c <close> = setmetatable({}, { __close = function() print "closed" end }) return 2 end)())
print(round(function() return 2^53, 1e300, -0.0, math.mininteger, "a\0b", ("x"):rep(3), nil, true end)())
-- upvalues are new; the first is the environment
local up = 5
local g = round(function() return up end, false, "env")
print(g(), debug.getupvalue(g, 1))
local two = round(function(a) up = a return up, print end)
print(pcall(two, 1))
-- without debug information
local f = round(function(a) local b = a return b + 1 end, true)
print(pcall(f, {}))
print(f(1), debug.getinfo(f, "S").short_src, debug.getinfo(f, "S").source, debug.getinfo(f, "l").currentline)
print(next(debug.getinfo(f, "L").activelines), debug.getlocal(f, 1))
local h = round(function() return up end, true)
print((debug.getupvalue(h, 1)))
-- what is refused
print(pcall(string.dump, print))
print(pcall(string.dump))
local chunk = string.dump(function() return 1 end)
print(load(chunk, "=c", "t"))
print(load("return 1", "=c", "b"))
print(load(chunk, "=c", "x"))
for _, n in ipairs { 1, 3, 5, 20, #chunk // 2, #chunk - 1 } do print(load(chunk:sub(1, n), "=c")) end
print(load("\27Lua\x53" .. chunk:sub(6), "=c"))
print(load(chunk:gsub("\r\n", "\n\n", 1), "=c"))
print(load("\27", "name"), load("\27", "=\27"), load("\27Lua", "\27x"))
print(select("#", load(chunk:sub(1, 10))))
-- in pieces
local i = 0
print(load(function() i = i + 1 return chunk:sub(i, i) end, "=pieces", "b")())
-- files, and a first line in front
local name = os.tmpname()
local file = assert(io.open(name, "wb"))
file:write("#! a line\n", string.dump(load("local a = ... return a, 'file'")))
file:close()
print(loadfile(name)("x"))
print(dofile(name))
print((select(2, loadfile(name, "t")):gsub(name, "NAME", 1)))
os.remove(name)
-- a program survives it whole
local source = "local n = ... local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(n)"
print(round(load(source))(15), round(load(source), true)(15), string.dump(load(source)) == string.dump(round(load(source))))
