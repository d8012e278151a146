-- Names of files, options, modes and what goes into messages are strings of C: they end at a zero. Others do not.
local function p(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = tostring(t[i]):gsub("%z", "?") end
  print(table.concat(t, "\t", 1, t.n))
end
local function e(s, n)
  local f, m = load(s, n)
  if not f then return m end
  return select(2, pcall(f))
end
-- names of chunks and variables
p(e("x x", "=a\0b")) p(e('error("q")', "@a\0b")) p(e('error("q")', "a\0b\nc"))
p(e('local t = {} t["a\\0b"].x = 1')) p(e('local t = {} t["a\\0b"]()')) p(e('return _ENV["a\\0b"] + 1'))
p(e("goto x\0y")) p(e('"abc\0def')) p(e('x = "\\q\0"')) p(e("break\0"))
-- files
p(os.getenv("PATH\0x") == os.getenv("PATH")) p(io.open("/dev/null\0x") ~= nil) p(io.open("/nonex\0x"))
p(io.open("/dev/null", "r\0w") ~= nil) p(pcall(io.open, "/dev/null", "q\0")) p(pcall(io.lines, "/nonex\0x"))
p(pcall(require, "a\0b") == false) p(package.searchpath("a\0b", "./?.none;x\0?")) p(package.searchpath("a.b", "?\0", ".\0x", "-\0y"))
p(pcall(loadfile, "/nonex\0z")) p(pcall(dofile, "/nonex\0z")) p(os.rename("/nonex\0a", "/b\0")) p(os.remove("/nonex\0q"))
-- options and modes
p(collectgarbage("isrunning\0x")) p(pcall(collectgarbage, "q\0x")) p(debug.getinfo(1, "l\0>").currentline) p(type(load("return 1", "=x", "t\0")))
p(load("return 1", "=x", "b\0t")) p(pcall(os.setlocale, "C\0x")) p(pcall(os.setlocale, nil, "all\0"))
-- names of types
local named = setmetatable({}, { __name = "n\0m" })
p(tostring(named):match("^[^:]*")) p(pcall(string.rep, named, 1)) p(pcall(function() return named + 1 end))
-- formats
p(pcall(string.format, "%\0d", 1)) p(string.format("%s|%10s", "a\0b", "c")) p(pcall(string.format, "%10s", "a\0b")) p(pcall(string.format, "a\0%d", 3))
p(pcall(string.pack, "z", "a\0b")) p(pcall(string.pack, "i1\0", 1)) p(pcall(utf8.char, "1\0")) p(string.format("%q", "a\0b\0001"))
-- these keep their zeros
p(tonumber("12\0"), tonumber("1\0", 10), math.type("1\0")) p(pcall(os.date, "!%Y\0%Y", 0)) p(#os.date("!\0%Y\0", 0))
p(pcall(error, "a\0b")) p(pcall(error, setmetatable({}, { __tostring = function() return "a\0b" end })))
p(pcall(function() return setmetatable({}, { __index = function() error("a\0b", 0) end }).x end))
p(pcall(string.find, "a", "[\0")) p(("a\0b"):find("\0b")) p(("a\0b"):gsub("%z", "x")) p(pcall(string.gsub, "a", "a", "%\0"))
-- messages above tracebacks do not
p(debug.traceback("x\0y", 1):match("^[^\n]*"))
