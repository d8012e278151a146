-- Variables of all kinds, in a loop and in functions that are compiled into it.
local Point = {}
Point.__index = Point

function Point:norm(scale)
  local square = self.x * self.x + self.y * self.y
  local half = scale / 2
  return square * half
end

local function mixed(v)
  local kind
  if v % 3 == 0 then
    kind = "third"
  elseif v % 3 == 1 then
    kind = v / 4
  else
    kind = v
  end
  local is_text = type(kind) == "string"
  return is_text and #kind or kind
end

local point = setmetatable({x = 1.5, y = 2}, Point)
local count = 0
local function bump(by)
  count = count + by
  return count
end

local total, last = 0, nil
local name = "abc"
for i = 1, 200 do
  local x = i * 3
  local y = x + 0.5
  local label = name .. i
  total = total + point:norm(x)
  local even = i % 2 == 0
  last = mixed(i)
  total = total + last
  bump(2)
  if i % 5 == 0 then
    local list = {x, y}
    total = total - #list
  end
end
print(total, count, last, #name)
