-- Errors that traces cannot follow: below xpcall, at levels far away, with open lists of arguments.
local function two(i) return "two " .. i, 0 end
local function one(i) return { code = i } end
local function many(i) if i % 2 == 0 then return i end return i, 2, 3 end
local function fail(kind, i)
  if kind == 1 then error(two(i)) end
  if kind == 2 then error(one(i)) end
  if kind == 3 then error(many(i)) end
  if kind == 4 then error("far " .. i, 3) end
  if kind == 5 then error("level " .. i, i % 4) end
  if kind == 6 then assert(nil, two(i)) end
  if kind == 7 then assert(i < 0, many(i)) end
  if kind == 8 then assert(false) end
  return kind
end
local seen
local function handler(m)
  seen = (debug.traceback("t", 1):gsub("[^\n]*%[C%][^\n]*\n?", ""):gsub("\n.*main chunk.*", "")):len()
  return m
end
local function describe(m)
  if type(m) == "table" then return "code " .. m.code end
  return tostring(m)
end
for kind = 0, 8 do
  local good, last, depth = 0, "", 0
  for i = 1, 150 do
    local ok, m = xpcall(fail, handler, kind, i)
    if ok then good = good + 1 end
    last = describe(m)
    if not ok then depth = depth + seen end
    ok, m = pcall(function() return fail(kind, i) .. "" end)
    last = last .. " | " .. describe(m)
    ok, m = xpcall(function() local r = fail(kind, i) return r + 1 end, function(m) return type(m) .. select("#", m) end)
    last = last .. " | " .. describe(m)
  end
  print(kind, good, last, depth)
end
-- An error that goes by several protected calls, of both kinds, and starts anew on its way.
local function rethrow(i)
  local ok, m = xpcall(fail, function(m) return describe(m) .. "!" end, i % 9, i)
  if not ok then error(m, 0) end
  return m
end
local counts, order = {}, {}
for i = 1, 400 do
  local ok, m = pcall(rethrow, i)
  local k = tostring(ok) .. tostring(m):gsub("%d", "")
  if not counts[k] then order[#order + 1] = k end
  counts[k] = (counts[k] or 0) + 1
end
for _, k in ipairs(order) do print(k, counts[k]) end
