-- Makes, counts and drops many binary trees. Size: depth of the largest.
local depth = tonumber(arg and arg[1]) or 8

local function make(d)
  if d == 0 then return {} end
  return { left = make(d - 1), right = make(d - 1) }
end

local function count(t)
  if t.left then return 1 + count(t.left) + count(t.right) end
  return 1
end

print(string.format("stretch tree of depth %d: %d", depth + 1, count(make(depth + 1))))
local long_lived = make(depth)
for d = 4, depth, 2 do
  local trees = 2 ^ (depth - d + 4)
  local sum = 0
  for _ = 1, trees do sum = sum + count(make(d)) end
  print(string.format("%d trees of depth %d: %d", trees, d, sum))
end
print(string.format("long lived tree of depth %d: %d", depth, count(long_lived)))
