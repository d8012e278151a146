-- Lists of arguments and results that are packed into tables and unpacked again.
local select, unpack, pack = select, table.unpack, table.pack
local function list(...) return { ... } end
local function count(...) local t = { ... } return #t, select("#", ...) end
local function forward(f, ...) local args = { ... } return f(unpack(args)) end
local function add(a, b, c) return a + b + (c or 0) end
local function three(i) return i, i + 1, i + 2 end

do
  local sum, kept = 0, {}
  for i = 1, 400 do
    local t = list(i, 2 * i)
    local a, b = unpack(t)
    local n, m = count(i, i, i)
    local all = { three(i) }
    local some = { i, three(i) }
    local p = pack(three(i))
    sum = sum + a + b + n + m + forward(add, i, 1) + forward(add, i, 1, 2) + all[3] + #some + p.n + p[2]
    if i % 90 == 0 then kept[#kept + 1] = { t, all, some, p } end
  end
  for _, k in ipairs(kept) do sum = sum + #k[1] + k[2][2] + k[3][4] + k[4].n + k[4][3] end
  print(sum, #kept)
end

-- as many as there are: another number each time, none, nils
do
  local out = {}
  for i = 1, 300 do
    local t, p
    if i % 3 == 0 then t, p = list(), pack() elseif i % 3 == 1 then t, p = list(i), pack(i, nil) else t, p = list(nil, i), pack(nil, nil) end
    if i % 50 == 0 or i % 50 == 1 or i % 50 == 2 then out[#out + 1] = p.n .. ":" .. tostring(t[1]) .. tostring(t[2]) .. tostring(p[1]) end
  end
  print(table.concat(out, " "))
end

-- results by way of a table, swapped in place, sorted by hand
do
  local sum = 0
  for i = 1, 300 do
    local t = { i % 7, i % 5, i % 3 }
    if t[1] > t[2] then t[1], t[2] = t[2], t[1] end
    if t[2] > t[3] then t[2], t[3] = t[3], t[2] end
    if t[1] > t[2] then t[1], t[2] = t[2], t[1] end
    local low, mid, high = unpack(t)
    if low > mid or mid > high then print("not sorted", low, mid, high) end
    sum = sum + low * 100 + mid * 10 + high
  end
  print(sum)
end

-- a coroutine's and a protected function's
do
  local sum = 0
  for i = 1, 200 do
    local r = { pcall(add, i, 1) }
    local s = { pcall(function(...) local a = { ... } if i % 66 == 0 then error(a) end return #a, a[2] end, i, i + 1) }
    sum = sum + r[2] + (s[1] and s[2] + s[3] or s[2][1])
  end
  print(sum)
end

-- a part of a list, one with nils, a range that depends on how many there are
do
  local function call(f, ...) local args = pack(...) return f(unpack(args, 1, args.n)) end
  local function mark(a, b, c) return tostring(a) .. tostring(b) .. tostring(c) end
  local out, length = {}, 0
  for i = 1, 400 do
    local t = { i, i + 1, i + 2, i + 3 }
    local a, b = unpack(t, 2, 3)
    local c, d, e = unpack(t, 4, 6)
    local none = select("#", unpack(t, 3, 2))
    local n = select("#", unpack(t, 1, i % 100 == 0 and 4 or 2))
    local text = call(mark, i, nil, "x") .. call(mark, i, 2) .. call(mark)
    local later = select("#", unpack(t, 2 - i // 300, 2 + i // 250))
    length = length + #text + a + b + c + none + n + later + (d and 1 or 0) + (e and 1 or 0)
    if i % 110 == 0 then out[#out + 1] = text end
  end
  print(length, table.concat(out, " "))
end
