-- tostring, __name, __tostring, concat and comparison of strings of any bytes.
print(tostring(nil), tostring(true), tostring(12), tostring(1.5), tostring("x"), tostring(-0.0), tostring(1e300))
print(tostring(setmetatable({}, { __tostring = function() return "T!" end })))
print((tostring(setmetatable({}, { __name = "My.Type" })):gsub("0x%x+", "PTR")))
print((tostring({}):gsub("0x%x+", "PTR")), (tostring(print):gsub("0x%x+", "PTR")),
  (tostring(function() end):gsub("0x%x+", "PTR")), (tostring(coroutine.create(print)):gsub("0x%x+", "PTR")),
  (tostring(io.stdout):gsub("0x%x+", "PTR")))
print(pcall(tostring, setmetatable({}, { __tostring = function() return 1 end })))
print(pcall(tostring))
local t = {}
for b = 0, 255 do t[#t + 1] = string.char(b) end
local all = table.concat(t)
print(#all, all:byte(1), all:byte(256), all:upper() == all:lower(), all:find("\255", 1, true), all:rep(3):len())
table.sort(t, function(a, b) return a > b end)
print(t[1]:byte(), t[256]:byte())
print("a" .. "b" .. 1 .. 2.0 .. "c", "x" .. "" == "x", ("ab"):rep(100) == ("ab"):rep(50) .. ("ab"):rep(50))
local long1, long2 = ("x"):rep(100), ("x"):rep(50) .. ("x"):rep(50)
print(long1 == long2, long1 < long2 .. "a", long1 > long2, #long1, ({ [long1] = 5 })[long2])
local s = ""
for i = 1, 300 do s = s .. i % 10 end
print(#s, s:sub(-10), s:byte(150))
print(("a"):rep(41) == ("a"):rep(40) .. "a", ({ [("k"):rep(40)] = 1, [("k"):rep(41)] = 2 })[("k"):rep(41)])
