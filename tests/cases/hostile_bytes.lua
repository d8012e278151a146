-- bytes that are no text, zeros, and integers wider than C's int, in messages and where they are names
local function try(f, ...)
  local r = table.pack(pcall(f, ...))
  for i = 1, r.n do r[i] = tostring(r[i]):gsub("[^ -~\n]", function(c) return ("<%02x>"):format(c:byte()) end) end
  print(table.concat(r, " | "))
end
try(io.lines, "no\xff\u{7FFFFFFF}file")
try(io.lines, "no\0such file")
try(string.pack, "\xff", 1) try(string.unpack, "\xe4", "") try(string.packsize, "\0")
try(string.pack, "i4") try(string.pack, "zi4", "x") try(string.pack, "s", nil)
try(string.unpack, "s16", ("x"):rep(40)) try(string.unpack, "s9", ("\1"):rep(40))
try(setmetatable({}, { __name = "\xc3\xa9\xff\0hidden" }))
try(string.rep, setmetatable({}, { __name = "My\xff" })) try(string.rep, setmetatable({}, { __name = "My\0hidden" }))
try(function() return {} < setmetatable({}, { __name = "\xfe" }) end) try(function() return -setmetatable({}, { __name = "\xfd" }) end)
try(function() local t = {} t["\xff"]() end) try(function() return ("x").y["\xff"].z end)
try(collectgarbage, "\xff") try(load, "x", "n", "\xff") try(io.open, "x", "\xff") try(os.date, "%\xff") try(os.date, "%E\xff")
try(load, "x =", "=a\0b") try(load, "\0") try(load, "a\0b") try(load, coroutine.wrap(function() coroutine.yield("=") end), "=c\0d")
try(load, function() return 0 end, "n", "x") try(load, function() return "0" end, "n", "b")
try(load("error('m')", "=a\0b"))
try(error, "m", 1 << 32) try(error, "m", (1 << 32) + 1) try(error, "m", math.maxinteger) try(error, "m", math.mininteger)
try(function() return debug.getinfo(1 << 32, "n").name end) try(debug.getlocal, 1 << 40, 100) try(debug.getupvalue, print, 1 << 32) try(debug.traceback, "t", 1 << 31)
try(math.fmod, "x", "y") try(package.searchpath) try(package.searchpath, "x", nil, 5) try(package.searchpath, {}, "?", {}, ".")
print(pcall(require, "no\0module"))
local seen
package.preload.seen = function(...) seen = ... return true end
print(require("seen\0zero"), seen, package.loaded["seen"], package.loaded["seen\0zero"])
-- readers that go on for ever
local calls = 0
try(load, function() calls = calls + 1 return "x y " end)
print(calls < 1e5)
try(load, debug.traceback)
print(load(("x = 1 "):rep(20000)) ~= nil, select(2, load(coroutine.wrap(function() for _ = 1, 20000 do coroutine.yield("x = 1 ") end coroutine.yield("goto a ::b::") end))))
local parts = coroutine.wrap(function() for _ = 1, 30000 do coroutine.yield("s = 'ab") coroutine.yield("\\") coroutine.yield("x4") coroutine.yield("1' n = 0") coroutine.yield("x1f ") end end)
print(load(parts) ~= nil)
local f = io.tmpfile() f:write("abc") f:seek("set")
try(f.read, f, -1) try(f.read, f, math.mininteger) try(f.read, f, -2.0) try(f.read, f, math.maxinteger) try(f.read, f, 1 << 20)
-- constructors and lists with nils
print(#table.pack(1, nil, 3), #table.pack(nil, nil), #table.pack(1, nil, nil, 4), ({ nil, [1] = 5 })[1], ({ 7, [1] = 5 })[1])
print(#{ "a", nil, nil, [9] = "i", "f", [5] = "g", [7] = {} })
