-- Closures that only exits would see are not made, nor the cells of the variables that they alone capture: what an exit builds must
-- be all of it, in whatever frame, and cells that closures share stay one.

-- called where they are made
local function apply(f, x) return f(x) end
do
  local sum = 0
  for i = 1, 300 do
    local k = i * 2
    sum = sum + apply(function(x) return x + i + k end, 1)
  end
  print(sum)
end

local function upvalue(f, wanted)
  for n = 1, 9 do
    local name, value = debug.getupvalue(f, n)
    if name == wanted then return value end
  end
end

-- an exit within the inlined callee: its frame needs the function, and the function its cells
do
  local log = {}
  for i = 1, 300 do
    local twice = i * 2
    local r = apply(function(x)
      if x % 50 == 0 then
        log[#log + 1] = twice + i
        return debug.getinfo(1, "f").func
      end
      return twice
    end, i)
    if type(r) == "function" then log[#log + 1] = upvalue(r, "twice") end
  end
  print(table.concat(log, " "))
end

-- two closures over one variable: after an exit both see what either does
local function counter(start)
  local n = start
  return function(by) n = n + by return n end, function() return n end
end
do
  local kept, sum = {}, 0
  for i = 1, 400 do
    local add, get = counter(i)
    add(1) add(2)
    sum = sum + get()
    if i % 97 == 0 then kept[#kept + 1] = { add, get } end
  end
  for _, pair in ipairs(kept) do
    pair[1](1000)
    sum = sum + pair[2]()
    if debug.upvalueid(pair[1], 1) ~= debug.upvalueid(pair[2], 1) then print("not one cell") end
  end
  print(#kept, sum)
end

-- a variable that is changed by the closure and by its maker, with a value of another type at an exit
do
  local out = {}
  for i = 1, 300 do
    local v = i
    local function set(x) v = x end
    set(i + 0.5)
    if i % 60 == 0 then set("text " .. i) out[#out + 1] = v end
    v = v
    if i % 90 == 0 then out[#out + 1] = tostring(v) set(nil) out[#out + 1] = tostring(v) end
  end
  print(table.concat(out, " "))
end

-- recursion: a function in its own cell
do
  local sum, kept = 0, nil
  for i = 1, 200 do
    local function down(n) if n <= 0 then return i end return down(n - 1) end
    sum = sum + down(2)
    if i == 150 then kept = down end
  end
  print(sum, kept(5), kept(0))
end

-- closures in tables and tables in closures
do
  local kept, sum = {}, 0
  for i = 1, 300 do
    local point = { x = i, y = -i }
    local object = { get = function() return point.x end, point = point }
    sum = sum + object.get() + object.point.y
    if i % 70 == 0 then kept[#kept + 1] = object end
  end
  for _, o in ipairs(kept) do
    o.point.x = o.point.x + 1
    sum = sum + o.get()
  end
  print(#kept, sum)
end

-- identity: the same each time it is named, another one each time it is made
do
  local last, same, other = nil, 0, 0
  for i = 1, 200 do
    local f = function() return i end
    local g = f
    if g == f then same = same + 1 end
    if f ~= last then other = other + 1 end
    if i % 40 == 0 then last = f end
  end
  print(same, other, last())
end

-- many upvalues, of the parent's and of its own
do
  local a, b, c, d, e = 1, 2, 3, 4, 5
  local function make(f, g, h)
    local k, l = f + 1, g + 1
    return function(x)
      if x % 45 == 0 then a, f = a + 1, f + 1 end
      return a + b + c + d + e + f + g + h + k + l + x
    end
  end
  local sum, kept = 0, {}
  for i = 1, 200 do
    local fn = make(i, i + 1, i + 2)
    sum = sum + fn(i)
    if i % 66 == 0 then kept[#kept + 1] = fn end
  end
  for i, fn in ipairs(kept) do sum = sum + fn(45 * i) + fn(1) end
  print(sum, a, #kept)
end

-- native functions see them: they are made
do
  local n = 0
  for i = 1, 200 do
    local f = function(s) n = n + i return s:upper() end
    local r = ("x" .. i):gsub("x", f)
    if r ~= "X" .. i then print("wrong", r) end
  end
  print(n)
end
