-- Serializes tables with cycles, sorted keys and all kinds of values; reads them back with load; deep copies and compares.
local function key(k)
  if type(k) == "string" and k:match("^[%a_][%w_]*$") then return k end
  return "[" .. (type(k) == "string" and ("%q"):format(k) or tostring(k)) .. "]"
end
local function order(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta < tb end
  if ta == "boolean" then return a and not b end
  return a < b
end
local function ser(v, ind, seen)
  seen = seen or {}
  if type(v) == "string" then
    return ("%q"):format(v):gsub("\\\n", "\\n")
  elseif type(v) ~= "table" then
    return tostring(v)
  end
  if seen[v] then return "nil --[[cycle]]" end
  seen[v] = true
  local ks = {}
  for k in pairs(v) do ks[#ks + 1] = k end
  table.sort(ks, order)
  local out = {}
  for i, k in ipairs(ks) do
    local x = ser(v[k], (ind or "") .. "  ", seen)
    out[i] = (ind or "") .. "  " .. (k == i and "" or key(k) .. " = ") .. x
  end
  seen[v] = nil
  return "{\n" .. table.concat(out, ",\n") .. "\n" .. (ind or "") .. "}"
end
local data = { 1, 2.5, "three", { nested = { deep = true, list = { "a", "b" } } }, name = 'quote "x"\n',
  ["not id"] = false, [10] = "ten", [-1] = "minus", [true] = "bool", empty = {} }
data.self = data
print(ser(data))
data.self = nil
local copy = load("return " .. ser(data))()
print(ser(copy) == ser(data))
local function clone(v, map)
  if type(v) ~= "table" then return v end
  map = map or {}
  if map[v] then return map[v] end
  local c = {}
  map[v] = c
  for k, x in pairs(v) do c[clone(k, map)] = clone(x, map) end
  return setmetatable(c, getmetatable(v))
end
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end
local c = clone(data)
print(same(c, data), c ~= data, c[4] ~= data[4])
c[4].nested.list[2] = "changed"
print(same(c, data), data[4].nested.list[2])
data.me = data
local cyc = clone(data)
print(cyc.me == cyc, cyc.me ~= data)
local wide = {}
for i = 1, 60 do
  wide["k" .. i % 20] = wide["k" .. i % 20] or {}
  local t = wide["k" .. i % 20]
  t[#t + 1] = { i, tostring(i), i / 2 }
end
local text = ser(wide)
print(#text, same(load("return " .. text)(), wide))
