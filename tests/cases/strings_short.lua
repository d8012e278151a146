-- Strings of all short lengths and some more, made in several ways, are the same keys; zeros at their end count.
local function bytes(n, last) return ("\0a\255bcdefghi"):rep(5):sub(1, n - 1) .. (n > 0 and last or "") end

local names, count = {}, 0
for n = 0, 44 do
  for _, last in ipairs { "\0", "x" } do
    local s = bytes(n, last)
    if not names[s] then count = count + 1 names[s] = count end
  end
end
print(count)

-- In compiled loops: parts of a longer string, and joined from two, three and four parts.
local long = bytes(44, "x") .. ("y"):rep(9)
local found, same, wrong = 0, 0, 0
for n = 1, 44 do
  for at = 0, n do
    local s = bytes(n, "x")
    local a, b = s:sub(1, at), s:sub(at + 1)
    local joined = a .. b
    if joined == s and names[joined] == names[s] and #joined == n then same = same + 1 else wrong = wrong + 1 end
    local mid = at // 2
    if a:sub(1, mid) .. a:sub(mid + 1) .. b == s then same = same + 1 else wrong = wrong + 1 end
    if a:sub(1, mid) .. a:sub(mid + 1) .. b:sub(1, mid) .. b:sub(mid + 1) == s then same = same + 1 else wrong = wrong + 1 end
    if names[a .. "x"] then found = found + 1 end
    if names[long:sub(at + 1, n)] then found = found + 1 end
  end
end
print(same, wrong, found)

-- Zeros alone: only lengths differ.
local zero, lengths = "", {}
for n = 1, 44 do
  zero = zero .. "\0"
  lengths[zero] = n
end
local right = 0
for n = 1, 44 do
  for at = 0, n do
    if lengths[("\0"):rep(at) .. ("\0"):rep(n - at)] == n then right = right + 1 end
  end
end
print(right)

-- Each byte counts.
local others = {}
for n = 1, 44 do
  for at = 1, n do
    local s = zero:sub(1, at - 1) .. "\1" .. zero:sub(at + 1, n)
    others[s] = (others[s] or 0) + 1
  end
end
local n, most = 0, 0
for _, times in pairs(others) do n, most = n + 1, math.max(most, times) end
print(n, most)
