-- Makes a table and a function each time that compiled code leaves unmade, and the variable that the function has captured. Most of
-- the time passes behind that.
local i, x, sum = 0, 1.0, 0
local function show(...) print(...) end
print("running")
while true do
  i = i + 1
  local n, half = i, i * 0.5
  local point = { x = i, y = half }
  local function add(by) n = n + by return point.x + n end
  local got = add(3)
  if got == 0 then show(point, add, n) end
  x = x / 1.5 + 1
  x = x / 1.5 + 2
  x = x / 1.5 + 3
  x = x / 1.5 + 4
  x = x / 1.5 + 5
  x = x / 1.5 + 6
  x = x / 1.5 + 7
  x = x / 1.5 + 8
  x = x / 1.5 + 9
  x = x / 1.5 + 10
  x = x / 1.5 + 11
  x = x / 1.5 + 12
  x = x / 1.5 + 13
  x = x / 1.5 + 14
  x = x / 1.5 + 15
  x = x / 1.5 + 16
  x = x / 1.5 + 17
  x = x / 1.5 + 18
  x = x / 1.5 + 19
  x = x / 1.5 + 20
  x = x / 1.5 + 21
  x = x / 1.5 + 22
  x = x / 1.5 + 23
  x = x / 1.5 + 24
  x = x / 1.5 + 25
  x = x / 1.5 + 26
  x = x / 1.5 + 27
  x = x / 1.5 + 28
  x = x / 1.5 + 29
  x = x / 1.5 + 30
  x = x / 1.5 + 31
  x = x / 1.5 + 32
  x = x / 1.5 + 33
  x = x / 1.5 + 34
  x = x / 1.5 + 35
  x = x / 1.5 + 36
  x = x / 1.5 + 37
  x = x / 1.5 + 38
  x = x / 1.5 + 39
  x = x / 1.5 + 40
  sum = sum + got % 7
  if x ~= x then show(i, half, point, add, n) end
end
