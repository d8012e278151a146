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
