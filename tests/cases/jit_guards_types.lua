-- A value that a hot loop loads changes its type: from each type to some others, loaded from a local variable, a captured
-- one, a field, an element of a mixed array, and the hash part of a table.

local function nothing() end

local samples = {
  { name = "nil" },
  { name = "boolean", true },
  { name = "integer", 7 },
  { name = "float", 2.5 },
  { name = "string", "text" },
  { name = "table", {} },
  { name = "function", nothing },
  { name = "native function", math.floor },
  { name = "userdata", io.stderr },
  { name = "light userdata", (debug.upvalueid(function() return nothing end, 1)) },
  { name = "thread", coroutine.create(nothing) },
}

-- What a value is, as told by functions that compiled code has inlined, and by functions that it calls.
local about = [[
  local type, math_type, io_type, getinfo = type, math.type, io.type, debug.getinfo
  local function describe(v)
    local kind = type(v)
    if kind == "number" then
      kind = math_type(v)
    elseif kind == "function" then
      kind = getinfo(v, "S").what
    elseif kind == "userdata" then
      kind = io_type(v) or "light"
    end
    return kind
  end
]]

local loads = {
  ["local variable"] = [[
    local v = before
    for i = 1, 200 do
      if i == 101 then v = after end
      note(describe(v))
    end
  ]],
  ["captured variable"] = [[
    local v = before
    local function get() return v end
    for i = 1, 200 do
      if i == 101 then v = after end
      note(describe(get()))
    end
  ]],
  ["field"] = [[
    local t = { other = 1, v = 1 }
    t.v = before
    for i = 1, 200 do
      if i == 101 then t.v = after end
      note(describe(t.v))
    end
  ]],
  ["element"] = [[
    local t = { 1, "two", 3.5, true }
    t[3] = before
    for i = 1, 200 do
      if i == 101 then t[3] = after end
      note(describe(t[3]))
    end
  ]],
  ["hash part"] = [[
    local t = { [1.5] = 1, [false] = 2, v = 3 }
    t[false] = before
    for i = 1, 200 do
      if i == 101 then t[false] = after end
      note(describe(t[false]))
    end
  ]],
}

local function run(name, before, after)
  local seen, order = {}, {}
  local function note(kind)
    if not seen[kind] then order[#order + 1] = kind end
    seen[kind] = (seen[kind] or 0) + 1
  end
  local env = setmetatable({ before = before, after = after, note = note }, { __index = _G })
  assert(load(about .. loads[name], "=" .. name, "t", env))()
  for i, kind in ipairs(order) do order[i] = kind .. " " .. seen[kind] end
  return table.concat(order, ", ")
end

for _, name in ipairs { "local variable", "captured variable", "field", "element", "hash part" } do
  for i, sample in ipairs(samples) do
    for _, distance in ipairs { 1, 3, 7 } do
      local other = samples[(i + distance - 1) % #samples + 1]
      print(name, sample.name .. " -> " .. other.name, run(name, sample[1], other[1]))
    end
  end
end
