-- A side trace begins with elements that its parent has not made, and keeps them, or leaves them again.
local function check(kept)
  local sum, whole = 0, 0
  for _, t in ipairs(kept) do
    if #t == 3 and t[2] == -t[1] and t[3] == "end" then whole = whole + 1 end
    t[#t + 1] = t[1]
    sum = sum + t[4]
  end
  return #kept, whole, sum
end

local kept, other, rare = {}, {}, {}
for i = 1, 900 do
  local t = { i, -i, "end" }
  if i % 3 == 0 then
    kept[#kept + 1] = t
    if i % 7 == 0 then rare[#rare + 1] = { i, -i, "end" } end
  elseif i % 5 == 0 then
    other[#other + 1] = t
  end
end
print(check(kept)) print(check(other)) print(check(rare))

-- changed in the side trace, where its length and kind are known
do
  local out, sum = {}, 0
  for i = 1, 900 do
    local t = { i, i * 2 }
    if i % 3 == 0 then
      t[#t + 1] = i * 3
      t[1] = 0
      if i % 9 == 0 then out[#out + 1] = t end
      if i % 5 == 0 then t[2] = "text" out[#out + 1] = t end
    else
      t[2] = t[1] - 1
    end
    sum = sum + #t + t[1]
  end
  for _, t in ipairs(out) do sum = sum + #t + (tonumber(t[2]) or 1) + t[3] end
  print(#out, sum)
end

-- carried around the loop, one in another
do
  local last, seen = { { 0, 0.5 }, "none" }, {}
  for i = 1, 600 do
    if i % 5 == 0 then seen[#seen + 1] = last end
    last = { { last[1][1] + i, i * 0.5 }, last[2] }
  end
  local sum = 0
  for _, t in ipairs(seen) do sum = sum + t[1][1] + t[1][2] + #t + #t[1] end
  print(#seen, sum, last[1][1], last[2])
end

-- arrays in closures and closures in arrays
do
  local kept, sum = {}, 0
  for i = 1, 600 do
    local pair = { i, i + 1 }
    local ops = { function() return pair[1] end, function(x) pair[1] = x end }
    ops[2](ops[1]() + 1)
    if i % 4 == 0 then kept[#kept + 1] = ops else sum = sum + pair[1] end
  end
  for _, ops in ipairs(kept) do ops[2](ops[1]() + 1) sum = sum + ops[1]() end
  print(#kept, sum)
end
