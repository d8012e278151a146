-- Tables with elements that only exits would see are not made: what an exit builds must have all of them, the length, and go on as
-- any other table.

local function add(a, b) return { a[1] + b[1], a[2] + b[2] } end
local function show(t)
  local out = {}
  for i = 1, #t do out[i] = math.type(t[i]) and tostring(t[i]) or type(t[i]) == "string" and t[i] or type(t[i]) end
  return "#" .. #t .. ":" .. table.concat(out, ",")
end

-- points; carried around the loop, seen at exits and at the end
do
  local p, seen = { 0, 0 }, {}
  for i = 1, 300 do
    p = add(p, { i, -i })
    if i % 97 == 0 then seen[#seen + 1] = p end
  end
  print(show(p), #seen, show(seen[1]), show(seen[2]), show(seen[3]), seen[3] == p)
end

-- elements of several types; of each type alone
do
  local kept = {}
  for i = 1, 400 do
    local mixed = { i, i + 0.5, "s", true, kept, print }
    local floats, ints = { i * 0.5, i * 0.25 }, { i, i * 2, i * 3 }
    local strings, flags, nested = { "a", "b" }, { true, false }, { { i }, { i + 1 } }
    if i % 100 == 0 then
      kept[#kept + 1] = show(mixed) .. show(floats) .. show(ints) .. show(strings) .. show(flags) .. show(nested)
      kept[#kept + 1] = tostring(mixed[2] + floats[1] + ints[3] + nested[2][1]) .. tostring(flags[1]) .. tostring(flags[2])
    end
  end
  print(table.concat(kept, "\n"))
end

-- what is built goes on as a table: it grows, shrinks, changes its kind
do
  local kept = {}
  for i = 1, 300 do
    local t = { i, i + 1, i + 2 }
    if i % 70 == 0 then kept[#kept + 1] = t end
  end
  for n, t in ipairs(kept) do
    if n == 1 then t[#t + 1] = "more" t[#t + 1] = 2.5 end
    if n == 2 then t[3] = nil end
    if n == 3 then for k = 1, 20 do table.insert(t, 1, k) end end
    if n == 4 then t[2] = "x" t[5] = 5 end
    print(show(t), next(t), t[4], t[5])
  end
end

-- assignments to elements, appended ones, a length that is asked for
do
  local sum, kept = 0, {}
  for i = 1, 300 do
    local t = { i, i, i }
    t[2] = i * 2
    t[#t + 1] = 7
    t[#t + 1] = 8
    sum = sum + t[1] + t[2] + #t
    if i % 60 == 0 then kept[#kept + 1] = t end
    t[1] = i % 2 == 0 and 1.5 or 1
    sum = sum + t[1]
  end
  print(sum, show(kept[1]), show(kept[5]))
end

-- fields and elements; a metatable
do
  local Pair = { __len = function(p) return p.n end, __index = function(_, k) return k end }
  local kept, sum = {}, 0
  for i = 1, 300 do
    local t = setmetatable({ i, i * 2, n = i, name = "t" }, Pair)
    sum = sum + #t + t[1] + t[2] + t[9]
    if i % 80 == 0 then kept[#kept + 1] = t end
  end
  for _, t in ipairs(kept) do sum = sum + #t + rawlen(t) + t[2] + #t.name end
  print(sum, #kept, getmetatable(kept[1]) == Pair)
end

-- empty ones, holes, nils at the end, more elements than fit, keys in brackets
do
  local out = {}
  for i = 1, 300 do
    local none = nil
    local a, b, c = {}, { i, nil, i }, { i, i, nil }
    local d, e = { [1] = 5, i, [2] = 6 }, { i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i }
    local f, g = { none, none }, { none, i }
    if i % 120 == 0 then
      out[#out + 1] = #a .. " " .. tostring(b[2]) .. b[3] .. " " .. #c .. " " .. d[1] .. d[2] .. " " .. show(e) .. #f .. g[2]
    end
  end
  print(table.concat(out, "\n"))
end

-- identity, and a key that is not constant
do
  local same, sum = 0, 0
  for i = 1, 200 do
    local t, u = { i, 1 }, { i, 1 }
    if t == u then same = same + 1 end
    sum = sum + t[i % 2 + 1] + (t[3] or 10) + (t[0] or 100)
  end
  print(same, sum)
end

-- element by element
do
  local kept, sum = {}, 0
  for i = 1, 400 do
    local t, u, v, w = {}, {}, {}, {}
    t[1] = i
    t[2] = i * 2
    t[3] = i * 3
    u[#u + 1] = i * 0.5
    u[#u + 1] = 1.5
    u[#u + 1] = "another kind"
    for k = 1, 3 do v[k] = k end
    w[2] = i
    w[1] = i
    local x = {}
    x[1] = nil
    x[1] = i
    if i % 2 == 0 then x[1] = nil end
    x[#x + 1] = 5
    sum = sum + #t + t[2] + u[1] + #u + #v + #w + x[1]
    if i % 90 == 0 then kept[#kept + 1] = show(t) .. show(u) .. show(v) .. show(w) .. show(x) end
  end
  print(sum, table.concat(kept, "\n"))
end

-- as many as fit, and one more; by an insertion; by a key that happens to be 1
do
  local kept, key = {}, 1
  for i = 1, 400 do
    local t, u, v = {}, {}, {}
    t[1] = 1 t[2] = 2 t[3] = 3 t[4] = 4 t[5] = i
    if i % 80 == 0 then t[6] = 6 end
    if i % 160 == 0 then t[7] = 7 t[8] = 8 end
    table.insert(u, i) table.insert(u, i)
    v[key] = i
    if i == 200 then key = 3 end
    if i % 80 == 0 then kept[#kept + 1] = show(t) .. show(u) .. #v .. tostring(v[3]) end
  end
  print(table.concat(kept, "\n"))
end

-- a table that others fill, not at first
do
  local fill = load("local t, n = ... for k = 1, n do t[k] = k end")
  local wrapped = coroutine.wrap(function(t, n) while true do fill(t, n) t, n = coroutine.yield() end end)
  local src = { 7, 8, 9 }
  local function move(t, n) table.move(src, 1, n, 1, t) end
  local function behind(t, n) table.move(src, 1, n, 2, t) end
  local function protected(t, n) pcall(fill, t, n) end
  local loop = [[
    local name, by, show = ...
    local sum, n = 0, 0
    for i = 1, 400 do
      local t = {}
      by(t, n)
      t[1] = i
      sum = sum + #t
      t[2] = 0
      local count = 0
      for _ in next, t do count = count + 1 end
      sum = sum + count
      if i == 250 then n = 3 end
      if i % 160 == 0 then print(name, sum, show(t)) end
    end
  ]]
  for name, by in ipairs { move, behind, protected, wrapped } do load(loop)(name, by, show) end
end
