-- io.open, read formats, lines, write, seek, close, and the errors of files that are not there or closed.
local name = os.tmpname()
local f = assert(io.open(name, "w"))
print(io.type(f), io.type(5), f:write("first line\n", 2, " ", 3.5, "\nthird\n\nlast without end") == f, f:close(),
  io.type(f))
print(pcall(f.write, f, "x"))
print((tostring(f):gsub("0x%x+", "PTR")))
for line in io.lines(name) do io.write("[", line, "]") end
print()
for line in io.lines(name, "L") do io.write(#line, " ") end
print()
for a, b in io.lines(name, 1, 2) do
  io.write(a, "-", b, " ")
  break
end
print()
f = assert(io.open(name))
print(f:read())
print(f:read("n", "n"))
print(f:read("l"), f:read("L"))
print(f:read("l"))
print(f:read(4), f:read(0), f:read("a"), f:read("a"), f:read("l"), f:read(0), f:read(1))
print(f:seek("set", 6), f:read(4), f:seek(), f:seek("cur", -4), f:read("l"), f:seek("end"), f:read("l"))
f:close()
print(io.open("/nonexistent/file"))
print(pcall(io.open, name, "bad"))
print(pcall(io.lines, "/nonexistent/file"))
f = io.open(name, "a")
f:write("\nappended")
f:close()
f = io.open(name, "r+")
f:seek("set", 0)
f:write("FIRST")
f:seek("set", 0)
print(f:read("l"))
f:close()
f = io.open(name, "w")
f:write("10 0x1F -3.5e2 .5 nan 7x 1e+ 99999999999999999999\n0x1p4 - 5")
f:close()
f = io.open(name)
print(f:read("n", "n", "n", "n"))
print(f:read("n"))
print(f:read("l"))
print(f:read("n"))
print(f:read("n"))
f:close()
for l in io.lines(name, "n") do
  print(l)
  break
end
f = io.open(name, "w")
for i = 1, 3000 do f:write(i, "\n") end
f:close()
local s, n = 0, 0
for l in io.lines(name) do
  s = s + tonumber(l)
  n = n + 1
end
print(s, n)
f = io.open(name)
local all = f:read("a")
f:close()
print(#all, select(2, all:gsub("\n", "")))
f = io.open(name, "wb")
f:write("\0\1\255\r\n")
f:close()
f = io.open(name, "rb")
print(f:read("a"):byte(1, -1))
f:close()
do
  local g <close> = io.open(name)
  print(io.type(g))
  f = g
end
print(io.type(f))
print(pcall(f.read, f))
print(pcall(f.lines, f))
print(pcall(io.read, "x"))
print(io.write("") == io.stdout, io.type(io.stdin), io.type(io.stderr))
for l in io.open(name):lines("L") do print(#l) end
print(os.remove(name), io.open(name) == nil)
