-- The collector is due, time and again, in a loop that has tables in hand which were not made.
local kept = {}
local v = { n = 0, text = "", before = false }
for i = 1, 60000 do
  v = { n = v.n + 1, text = "t" .. i, before = v.text }
  local pair = { first = v, second = { of = v.before } }
  if i % 20000 == 0 then kept[#kept + 1] = pair end
end
print(v.n, v.text, v.before)
for _, pair in ipairs(kept) do print(pair.first.n, pair.first.text, pair.second.of) end

-- A loop in a loop, left by what the inner one has made.
local point = { x = 0, y = "" }
for i = 1, 200 do
  for j = 1, 200 do point = { x = point.x + j, y = j .. ":" .. i } end
  if i % 80 == 0 then print(point.x, point.y) end
end
