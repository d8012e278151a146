-- Files: modes, formats, positions, buffers, closed files and what is no file.
local function show(name, ...) local t = table.pack(...) for i = 1, t.n do local v = t[i] t[i] = type(v) == "string" and string.format("%q", v) or (type(v)=="userdata" or type(v)=="function" or type(v)=="table" or type(v)=="thread") and type(v) or tostring(v) end print(name, table.unpack(t, 1, t.n)) end
local function P(name, f, ...) show(name, pcall(f, ...)) end
local n = os.tmpname()
local function W(s) local f = assert(io.open(n, "wb")) f:write(s) f:close() end
-- open modes
for _, m in ipairs { "r", "w", "a", "r+", "w+", "a+", "rb", "wb", "ab", "r+b", "w+b", "a+b", "rb+", "x", "", "rw", "r+x", "bb", "rbb", "wx", " r", "R" } do P("mode " .. m, function() local f, e, c = io.open(n, m) if f then f:close() return "ok" end return e and e:gsub(n, "N"), c end) end
P("open none", io.open) P("open nil", io.open, nil) P("open num", io.open, 12, "r") P("open badmode", io.open, n, {})
P("open miss", io.open, "/nonexistent/x") P("open dir w", io.open, "/tmp", "w") P("open dir r", function() local f = io.open("/tmp") return io.type(f), f:read(1) end)
P("open dir a", function() local f = io.open("/tmp") return f:read("a") end)
P("open dir l", function() local f = io.open("/tmp") return f:read("l") end)
P("open dir n", function() local f = io.open("/tmp") return f:read("n") end)
P("open dir 0", function() local f = io.open("/tmp") return f:read(0) end)
P("open dir lines", function() local f = io.open("/tmp") for l in f:lines() do end end)

-- reads
W "line1\nline2\r\n\n  12 0x1F -3.5e2 .5 5. 0x.8p1 1e 1e+ + - 0x nan inf 1e400 99999999999999999999 12abc\nlast"
P("read all kinds", function() local f = io.open(n) show("l", f:read("l", "L", "l")) for i = 1, 20 do show("n" .. i, f:read("n")) show("pos", f:seek()) if not f:read(0) then break end end show("rest", f:read("a", "a", "l", "L", "n", 0, 1)) f:close() end)
P("read * forms", function() local f = io.open(n) show("l", f:read("*l", "*L", "*line")) show("", f:read("*n", "*number", "*all")) end)
for _, fmt in ipairs { "x", "*x", "", "*", "**l", -1, 1.5, 1e10, 2^53, {}, true, "lx", "Lx", "nx", "a1", " l" } do P("fmt " .. tostring(fmt):gsub("0x%x+", ""), function() local f <close> = io.open(n) return f:read(fmt) end) end
P("fmt nil", function() local f <close> = io.open(n) return f:read(nil) end)
P("read none", function() local f <close> = io.open(n) return f:read() end)
P("read 5 0 3", function() local f <close> = io.open(n) return f:read(5, 0, 3) end)
P("read l bad", function() local f <close> = io.open(n) return f:read("l", "x") end)
P("read float count", function() local f <close> = io.open(n) return f:read(3.0) end)
P("read eof parts", function() local f <close> = io.open(n) f:seek("end") return f:read("l", "a") end)
P("read eof a l", function() local f <close> = io.open(n) f:seek("end") return f:read("a", "l", "a") end)
P("read n then", function() W "1,2" local f <close> = io.open(n) return f:read("n", "n", 1) end)
for _, s in ipairs { "0x", "0x1p", "0x1p4z", "1e5e5", "--1", "+-1", " \n\t 7", "1.2.3", "1..2", "0b1", "1_000", "0xffffffffffffffffff", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e308", "1e309", "0x1.8", ".", "e", ".e1", "-.5", "-0", "-0.0", "0x.p1", ("1"):rep(199), ("1"):rep(200), ("1"):rep(201), ("1"):rep(250) .. "z" } do W(s) P("num " .. s:sub(1, 20) .. #s, function() local f <close> = io.open(n) local a = f:read("n") return a, math.type(a), f:read("a") end) end
-- writes
P("write ret", function() local f <close> = io.open(n, "w") return f:write("a", 1, 2.5, -0.0, 1e100, 2^63) == f, f:seek("cur") end)
P("write bad", function() local f <close> = io.open(n, "w") return f:write("a", {}, "b") end)
P("write bad2", function() local f <close> = io.open(n, "w") return f:write(nil) end)
P("write bad3", function() local f <close> = io.open(n, "w") return f:write(true) end)
P("content", function() local f <close> = io.open(n, "w") f:write("abc", 1, 2.0, 1e15, 3 // 0.0, -(0/0)) f:close() return io.open(n):read("a") end)
P("write to r", function() local f <close> = io.open(n, "r") return f:write("x") end)
P("read from w", function() local f <close> = io.open(n, "w") return f:read("a") end)
P("read l from w", function() local f <close> = io.open(n, "w") return f:read("l") end)
P("read 0 from w", function() local f <close> = io.open(n, "w") return f:read(0) end)
P("io.write bad", io.write, {}) P("io.write nil", io.write, nil)
-- seek
W "0123456789"
P("seek", function() local f <close> = io.open(n) return f:seek(), f:seek("set", 3), f:read(1), f:seek("cur", -2), f:read(2), f:seek("end", -1), f:read(1), f:seek("end") end)
P("seek neg", function() local f <close> = io.open(n) return f:seek("set", -1) end)
P("seek bad whence", function() local f <close> = io.open(n) return f:seek("foo") end)
P("seek bad off", function() local f <close> = io.open(n) return f:seek("set", 1.5) end)
P("seek str off", function() local f <close> = io.open(n) return f:seek("set", "4") end)
P("seek beyond", function() local f <close> = io.open(n, "r+") f:seek("set", 20) f:write("x") f:seek("set", 8) return f:read("a") end)
P("seek nil", function() local f <close> = io.open(n) return f:seek(nil, nil) end)
P("seek num whence", function() local f <close> = io.open(n) return f:seek(1) end)
P("seek huge", function() local f <close> = io.open(n) return f:seek("set", math.maxinteger), f:read(1) end)

-- append
P("append", function() W "abc" local f <close> = io.open(n, "a+") local p = f:seek() f:write("d") f:seek("set", 0) local r = f:read("a") f:seek("set", 0) f:write("e") f:close() return p, r, io.open(n):read("a") end)
P("r+ mix", function() W "abcdef" local f <close> = io.open(n, "r+") local a = f:read(2) f:seek("cur", 0) f:write("X") f:seek("cur", 0) local b = f:read(1) f:close() return a, b, io.open(n):read("a") end)
-- setvbuf
P("setvbuf", function() local f <close> = io.open(n, "w") return f:setvbuf("no"), f:setvbuf("full"), f:setvbuf("line"), f:setvbuf("full", 10), f:setvbuf("full", 0) end)
P("setvbuf bad", function() local f <close> = io.open(n, "w") return f:setvbuf("x") end)
P("setvbuf none", function() local f <close> = io.open(n, "w") return f:setvbuf() end)
P("setvbuf str", function() local f <close> = io.open(n, "w") return f:setvbuf("full", "a") end)

P("setvbuf line", function() local f <close> = io.open(n, "w") f:setvbuf("line") f:write("a") local r = io.open(n):read("a") f:write("b\nc") return r, io.open(n):read("a") end)
-- close
P("close ret", function() local f = io.open(n) return f:close() end)
P("close twice", function() local f = io.open(n) f:close() return f:close() end)
P("ops on closed", function() local f = io.open(n) f:close() return tostring(f), io.type(f) end)
for _, m in ipairs { "read", "write", "lines", "flush", "seek", "setvbuf", "close" } do P("closed " .. m, function() local f = io.open(n) f:close() return f[m](f) end) P("no self " .. m, function() return io.stdout[m]() end) P("bad self " .. m, function() return io.stdout[m](1) end) P("bad self2 " .. m, function() return io.stdout[m]({}) end) end
P("type", function() return io.type(io.stdout), io.type(1), io.type({}), io.type(nil) end) P("type none", io.type)
P("tostring", function() return (tostring(io.stdout):gsub("0x%x+", "P")) end)
P("file index", function() return io.stdout.foo end) P("file set", function() io.stdout.foo = 1 end)
P("file mt", function() local mt = getmetatable(io.stdout) local k = {} for n in pairs(mt) do k[#k + 1] = n end table.sort(k) return table.concat(k, " "), mt.__name, type(mt.__index), mt.__index == mt end)
P("file methods", function() local mt = getmetatable(io.stdout) local k = {} for n in pairs(mt.__index) do k[#k + 1] = n end table.sort(k) return table.concat(k, " ") end)
P("io names", function() local k = {} for n in pairs(io) do k[#k + 1] = n end table.sort(k) return table.concat(k, " ") end)

P("gc closed", function() local mt = getmetatable(io.stdout) local f = io.open(n) f:close() return mt.__gc(f) end)
P("gc bad", function() local mt = getmetatable(io.stdout) return mt.__gc(1) end) P("tostring bad", function() local mt = getmetatable(io.stdout) return mt.__tostring({}) end)
P("close var", function() local g do local f <close> = io.open(n) g = f end return io.type(g) end)
P("compare", function() return io.stdout == io.output(), io.stdin == io.input(), io.stdout == io.stderr end)
P("len", function() return #io.stdout end) P("call", function() return io.stdout() end) P("concat", function() return io.stdout .. "" end)
P("arith", function() return io.stdout + 1 end) P("lt", function() return io.stdout < io.stderr end)
os.remove(n)
