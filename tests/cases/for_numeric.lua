-- Numeric for loops: directions, overflow, floats, empty loops, errors.
local max, min = math.maxinteger, math.mininteger
local function run(a, b, c)
  local out = {}
  for i = a, b, c or 1 do
    out[#out + 1] = tostring(i)
    if #out > 6 then out[#out + 1] = "..." break end
  end
  print(a, b, c, "->", table.concat(out, " "))
end
run(1, 5) run(5, 1) run(5, 1, -1) run(1, 1) run(1, 0) run(0, 1, 2) run(10, 1, -3) run(-3, 3, 2)
run(max - 2, max) run(min + 2, min, -1) run(max, max) run(min, min, -1) run(max - 1, max, 2) run(min + 1, min, -2)
run(min, max, max) run(max, min, min) run(1, max, max // 2) run(-1, min, min)
run(1.0, 3) run(1, 3.5) run(1, 3, 0.5) run(0.1, 0.5, 0.1) run(3.5, 1, -0.75) run(1, 0.5) run(1.5, 1)
run(1, math.huge) run(1, -math.huge) run(-1, -math.huge, -1) run(1, 0 / 0) run(0 / 0, 1) run(1.0, 1 / 0, 1e308)
run(1, 3.999) run(1, -3.999, -1) run(max - 1, 1e300) run(min + 1, -1e300, -1) run(max + 0.0, max)
print(pcall(function() for i = 1, 10, 0 do end end))
print(pcall(function() for i = 1.0, 10, 0 do end end))
print(pcall(function() for i = nil, 10 do end end))
print(pcall(function() for i = 1, {} do end end))
print(pcall(function() for i = 1, 10, true do end end))
print(pcall(function() for i = {}, nil, nil do end end))
for i = 1, 3 do local j = i i = i * 10 io.write(j, ":", i, " ") end
print()
local fs = {}
for i = 1, 3 do fs[i] = function() i = i + 1 return i end end
print(fs[1](), fs[1](), fs[2](), fs[3]())
for i = 3, 1 do print("never") end
for i = 1, 3 do for j = i, 3 do if j == 2 then goto continue end io.write(i, j, " ") ::continue:: end end
print()
local n = 0
for i = 1, 0.9999999999 do n = n + 1 end
for i = 0.9999999999, 1 do n = n + 1 end
print(n)
