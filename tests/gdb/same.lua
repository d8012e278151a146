-- At some lines says itself what its variables are, by a function that looks into the frame: what the interpreter would go on with there.
local function show(value)
  local kind = math.type(value) or type(value)
  if kind == "string" then
    return '"' .. value .. '"'
  elseif kind == "table" or kind == "function" then
    return "object"
  elseif kind == "float" then
    return ("%.17g"):format(value)
  end
  return tostring(value)
end

-- Called by a native function, so that compiled code has to have all variables in place.
local function say(line)
  local list, n = {}, 1
  while true do
    local name, value = debug.getlocal(3, n)
    if not name then break end
    if name:sub(1, 1) ~= "(" then
      list[#list + 1] = name .. " = " .. show(value)
    end
    n = n + 1
  end
  table.sort(list)
  print("said " .. line .. ": " .. table.concat(list, "; "))
end

local gsub = string.gsub
local function part(a, b)
  local c = a + b
  local d, e = c * 0.5, a % 2 == 0
  gsub("33", "%d+", say)
  return d, e
end

local sum, last, seen = 0, nil, {}
local function count(by)
  sum = sum + by
  return sum
end
for i = 1, 150 do
  local text, list = "t" .. i, {i, i * 2}
  local half, even = part(i, 3)
  if even then
    gsub("46", "%d+", say)
    last = text
  elseif i % 3 == 0 then
    last = half
    gsub("50", "%d+", say)
  end
  seen[i % 5] = list
  count(i)
  gsub("54", "%d+", say)
end
