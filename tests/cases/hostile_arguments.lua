-- arguments that nobody means well: PUC's error or result, and nothing worse
local function try(name, f, ...)
  local r = table.pack(pcall(f, ...))
  for i = 1, r.n do
    local v = r[i]
    r[i] = type(v) == "string" and (#v > 120 and #v .. " bytes" or v) or tostring(v):gsub("0x%x+", "0x"):gsub("^(%a+): .*", "%1")
  end
  print(name, table.concat(r, " ", 1, math.min(r.n, 6)))
end
local huge, low = math.maxinteger, math.mininteger
try("rep", string.rep, "x", huge) try("rep", string.rep, "x", low) try("rep", string.rep, "ab", 1 << 40, "c")
try("sub", string.sub, "abc", low, huge) try("byte", string.byte, "abc", low, huge) try("byte", string.byte, "abc", huge, low)
try("char", string.char, 256) try("char", string.char, -1) try("char", string.char, huge)
try("find", string.find, "abc", "b", low) try("find", string.find, "abc", "", huge) try("find", string.find, "abc", "", 4)
try("class", string.find, "a", "[") try("class", string.find, "a", "[^") try("class", string.find, "a", "[%") try("class", string.find, "a", "%")
try("bal", string.find, "a", "%b") try("front", string.find, "a", "%f") try("back", string.find, "a", "%1") try("cap", string.find, "a", "(") try("cap", string.find, "a", ")")
try("caps", string.find, "a", ("()"):rep(33))
try("complex", string.match, ("a"):rep(3000), (".?"):rep(3000)) try("gsub", string.gsub, "abc", "", "%2") try("gsub", string.gsub, "abc", ".", "%") try("gsub", string.gsub, "a", "a", true)
try("gsub", string.gsub, "abc", ".", function() return {} end) try("gsub", string.gsub, "abc", ".", "x", low) try("gmatch", string.gmatch, "abc", ".", huge)
try("format", string.format, "%100d", 1) try("format", string.format, "%.100f", 1) try("format", string.format, "%99.99f", 1e308) try("format", string.format, "%", 1)
try("format", string.format, "%d", 1.5) try("format", string.format, "%d", "x") try("format", string.format, "%q", {}) try("format", string.format, "%10q", "x")
try("format", string.format, "%s") try("format", string.format, "%c%c", 0, 300) try("format", string.format, "%-+ #0123d", 1) try("format", string.format, "%i %a", 3, 0/0)
try("pack", string.pack, "i17", 1) try("pack", string.pack, "i0", 1) try("pack", string.pack, "!3i4", 1) try("pack", string.pack, "i1", 200) try("pack", string.pack, "s1", ("x"):rep(300))
try("pack", string.pack, "z", "a\0b") try("pack", string.pack, "c2", "abc") try("pack", string.pack, "Xz") try("size", string.packsize, "s") try("size", string.packsize, ("c" .. huge // 1 .. "x"))
try("size", string.packsize, "c2147483647c2147483647") try("unpack", string.unpack, "i4", "abc") try("unpack", string.unpack, "z", "abc") try("unpack", string.unpack, "s4", "\255\255\255\127a")
try("unpack", string.unpack, "i1", "a", huge) try("unpack", string.unpack, "i1", "a", low) try("unpack", string.unpack, "i16", ("\255"):rep(8) .. ("\1"):rep(8))
try("concat", table.concat, {}, "", 1, 2) try("concat", table.concat, {}, "", low, low) try("concat", table.concat, { {} }) try("concat", table.concat, setmetatable({}, { __len = function() return "x" end }))
try("insert", table.insert, {}, 5, 1) try("insert", table.insert, {}, 1, 2, 3) try("insert", table.insert, {}) try("insert", table.insert, setmetatable({}, { __len = function() return huge end }), 1)
try("remove", table.remove, {}, 5) try("remove", table.remove, { 1 }, low) try("move", table.move, {}, 1, huge, 2) try("move", table.move, {}, low, huge, 1)
try("move", table.move, {}, 1, 0, low) try("unpack", table.unpack, {}, 1, 1e8) try("unpack", table.unpack, {}, low, huge) try("unpack", table.unpack, {}, huge, huge) try("unpack", table.unpack, {}, 1, huge)
try("sort", table.sort, { 3, 1, "x" }) try("sort", table.sort, { 1, 2, 3, 4, 5 }, function() return true end) try("sort", table.sort, setmetatable({}, { __len = function() return huge end }))
try("select", select, 0) try("select", select, low, 1) try("select", select, huge, 1) try("tonumber", tonumber, "1", 1) try("tonumber", tonumber, 1, 10) try("tonumber", tonumber, ("f"):rep(100), 16)
try("rawset", rawset, {}, 0/0, 1) try("rawset", rawset, {}, nil, 1) try("rawlen", rawlen, 1) try("setmetatable", setmetatable, 1, {}) try("setmetatable", setmetatable, {}, 1)
try("protected", setmetatable, setmetatable({}, { __metatable = 1 }), {}) try("random", math.random, 2, 1) try("random", math.random, 1, 2, 3)
try("fmod", math.fmod, 1, 0) try("fmod", math.fmod, low, -1) try("floor", math.floor, 1e308) try("toint", math.tointeger, "x") try("abs", math.abs, low) try("ult", math.ult, 1.5, 2)
try("utf8", utf8.char, -1) try("utf8", utf8.char, huge) try("utf8", utf8.codepoint, "abc", 1, huge) try("utf8", utf8.codepoint, "\255") try("utf8", utf8.len, "abc", low) try("utf8", utf8.offset, "abc", low) try("utf8", utf8.offset, "\128", 1)
try("wrap", coroutine.wrap, 1) try("close", coroutine.close, coroutine.running()) try("resume", coroutine.resume, coroutine.running()) try("status", coroutine.status, nil) try("yield", coroutine.yield)
try("date", os.date, "%Ez") try("date", os.date, "%") try("date", os.date, "*t", huge) try("time", os.time, { year = huge, month = 1, day = 1 }) try("time", os.time, {}) try("time", os.time, { year = 2000, month = "x", day = 1 })
try("gc", collectgarbage, "nothing") try("load", load, 1 == 1) try("require", require, "no.such.module", 1) try("searchpath", package.searchpath, "x", "?;?.lua", "", "")
-- metatables that lead to themselves
local loop = setmetatable({}, {}) getmetatable(loop).__index = loop
try("index", function() return loop.x end)
getmetatable(loop).__newindex = loop
try("newindex", function() loop.x = 1 end)
-- errors where errors are handled
try("handler", xpcall, error, function(m) error(m) end, "x")
try("handler", xpcall, error, nil, "x")
try("tostring", tostring, setmetatable({}, { __tostring = function() return {} end }))
print((tostring(setmetatable({}, { __name = 5 })):gsub(":.*", "")))
try("nil error", error) try("level", error, "m", huge) try("level", error, "m", low)
try("gc in index", function() return setmetatable({}, { __index = function(t, k) collectgarbage() return k end }).key end)
try("yield in sort", coroutine.wrap(function() return pcall(table.sort, { 1, 2, 3 }, coroutine.yield) end))
try("yield in gsub", coroutine.wrap(function() return pcall(string.gsub, "abc", ".", coroutine.yield) end))
