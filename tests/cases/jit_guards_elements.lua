-- Elements of mixed arrays that are threads, userdata or light userdata, until they are something else.
local function some() return some end
local values = {
  thread = coroutine.create(print),
  userdata = io.stdout,
  light = debug.upvalueid(some, 1),
}
for _, kind in ipairs({ "thread", "userdata", "light" }) do
  local value = values[kind]
  local others = { 1, value, "s", value, true, value, 2.5, value, {}, value, print, value, some, value, false, value }
  local function use(t, from, count)
    local same, names = 0, {}
    for i = from, from + 2 * count, 2 do
      local v = t[(i - 1) % #t + 1]
      if v == value then same = same + 1 else names[#names + 1] = type(v) end
    end
    return same, table.concat(names, " ")
  end
  print(kind, use(others, 2, 100))
  print(kind, use(others, 1, 10))
  local t, count = { 1, "x" }, 0
  for i = 1, 200 do
    t[1] = i > 150 and i or value
    local v = t[1]
    if v == value then count = count + 1 elseif v + 1 == i + 1 then count = count + 1000 end
  end
  print(count)
end
