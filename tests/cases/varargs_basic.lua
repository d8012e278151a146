-- Varargs: counting, nils, adjusting, tables, select, main chunk's arguments.
local function n(...) return select("#", ...) end
print(n(), n(nil), n(nil, nil), n(1, nil, 3), n(n()), n((n())))
local function f(...) return ... end
print(f(1, 2, 3), (f(1, 2, 3)))
print((f()))
print(f(), f(1, 2), f())
local t = { f(1, 2), f(3, 4) }
print(#t, t[1], t[2], t[3])
t = { f(1, 2), (f(3, 4)) }
print(#t, t[2])
local function g(a, b, ...) local c, d = ... return a, b, c, d, select("#", ...) end
print(g()) print(g(1)) print(g(1, 2, 3)) print(g(1, 2, 3, 4, 5))
print(select(2, "a", "b", "c"), select(-2, "a", "b", "c"))
print(table.pack(f(nil, nil)).n, table.pack().n, table.unpack({ 1, 2, 3 }, 2), table.unpack({ 1, 2 }, 1, 4))
local function sum(...) local s = 0 for _, v in ipairs { ... } do s = s + v end return s end
print(sum(1, 2, 3), sum(), sum(table.unpack({ 1, 2, 3, 4 })))
local function tail(...) return select("#", ...), ... end
print(tail(nil, 1, nil))
local function outer(...) local args = { ... } return function() return table.unpack(args) end end
print(outer(7, 8)())
print(pcall(load("return function() return ... end")  or print, 1))
print(load("return ...")(1, 2))
print(select("#", table.unpack({}, 1, 200)), select("#", string.byte(("x"):rep(150), 1, -1)))
local a, b, c = f(1), f(2, 3)
print(a, b, c)
local x, y, z = (f(1, 2, 3))
print(x, y, z)
print(#{ f(1, 2, 3) }, ({ f() })[1])
