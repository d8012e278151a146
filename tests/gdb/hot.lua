-- Calls a native function from compiled code.
local function look(i)
  local name = "PERILUNE_NOTHING"
  return os.getenv(name) or i
end

local sum = 0
for i = 1, 200 do
  sum = sum + look(i)
end
print(sum)
