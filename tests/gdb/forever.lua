-- A compiled loop that is never left. Says so before it begins.
local function turn(kind)
  local n, sum = 0, 0
  while true do
    n = n + 1
    local rest = n % 1000
    local half = rest * 0.5
    sum = sum + half
  end
end
print("running")
io.stdout:flush()
turn("endless")
