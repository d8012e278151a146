-- Short circuits, truth, not, and values of and/or chains.
print(nil and 1, false and 1, 0 and 1, "" and 1, nil or 2, false or 2, 0 or 2, 1 and 2 and 3, 1 and nil or 3, nil and 1 or false)
print(not nil, not false, not 0, not "", not not nil, not not 0)
local function t(v) io.write("t ") return v end
local function f() io.write("f ") return false end
print(t(1) and t(2) or t(3)) print(f() and t(2) or t(3)) print(f() or f() or t(5)) print(t(1) and f() or f())
local x = nil
local y = x and x.field or "default" print(y)
local a = 5
print(a > 3 and "big" or "small", a < 3 and "small" or "big", a == 5 and nil or "nilled", (a > 3) == true, a > 3 and a < 4)
print(1 == 1 and 2 == 2, 1 == 1 and 2 == 3, not (1 == 1) or 2 == 2, not (1 < 2), (1 < 2) == not (2 < 1))
if nil or false then print("no") elseif 0 then print("zero is true") else print("no") end
while not x do x = true end print(x)
local z = false or nil print(z) z = nil or false print(z)
print((nil == false) or (nil == nil), 1 or error("never"), nil and error("never"))
local function multi() return 1, 2 end
print(true and multi(), false or multi(), (multi()))
print(2 < 3 and 3 < 4 and "asc", "a" .. "b" == "ab" and #"ab" == 2)
local v = a == 1 and "one" or a == 2 and "two" or a == 5 and "five" or "many" print(v)
