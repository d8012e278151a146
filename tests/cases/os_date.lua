-- Each conversion of os.date, alone and with the modifiers E and O; odd formats, times and tables.
local function show(name, ...) local t = table.pack(...) for i = 1, t.n do local v = t[i] t[i] = type(v) == "string" and string.format("%q", v) or (type(v)=="userdata" or type(v)=="function" or type(v)=="table" or type(v)=="thread") and type(v) or tostring(v) end print(name, table.unpack(t, 1, t.n)) end
local function P(name, f, ...) show(name, pcall(f, ...)) end
for c = 32, 126 do for _, m in ipairs { "", "E", "O" } do local f = "%" .. m .. string.char(c) if m == "" or string.char(c):match("%a") then P(f, os.date, "!" .. f, 1234567890) end end end
P("none", function() return os.date(nil, 0) end) P("!", os.date, "!", 0) P("empty", os.date, "", 0) P("%", os.date, "%", 0) P("%%", os.date, "%%", 0) P("a%", os.date, "a%", 0)
P("!c", os.date, "!%c", 0) P("!*t", function() local t = os.date("!*t", 0) local k = {} for n, v in pairs(t) do k[#k + 1] = n .. "=" .. tostring(v) end table.sort(k) return table.concat(k, " ") end)

P("*tx", function() return type(os.date("*tx", 0)) end) P("*x", os.date, "*x", 0) P("!!", os.date, "!!%Y", 0) P("nul", os.date, "!%Y\0%Y", 0) P("nul2", os.date, "!\0", 0)
for _, t in ipairs { -1, -2^31, 2^31, 2^40, 2^53, math.maxinteger, math.mininteger, 67768036191676799, 67768036191676800, -67768040609740800, -67768040609740801, 1.0, 1.5, "5", "x", {} } do P("t " .. (type(t) == "table" and "tbl" or tostring(t)), os.date, "!%Y-%m-%d %H:%M:%S", t) end
P("long", function() return #os.date("!" .. ("%c"):rep(1000), 0) end) P("nonascii", os.date, "!é%Y", 0)
P("time bad", os.time, 1) P("time nil", function() return math.type(os.time(nil)) end) P("time none", function() return math.type(os.time()) end) P("time str", os.time, "x")


P("meta newindex", function() local log = {} local t = setmetatable({}, { __index = function(_, k) return ({ year = 2000, month = 2, day = 30 })[k] end, __newindex = function(t, k, v) log[#log + 1] = k end }) os.time(t) return table.concat(log, " ") end)
P("ro", function() local t = setmetatable({}, { __index = function(_, k) error("idx " .. k) end }) return os.time(t) end)

