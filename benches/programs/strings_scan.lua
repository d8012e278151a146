-- Walks strings by byte and by sub: Caesar, run lengths, palindromes, hexadecimal and base 64. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 12
local byte, char, sub, floor, concat = string.byte, string.char, string.sub, math.floor, table.concat

local function caesar(s, k)
  local out = {}
  for i = 1, #s do
    local c = byte(s, i)
    if c >= 97 and c <= 122 then c = (c - 97 + k) % 26 + 97
    elseif c >= 65 and c <= 90 then c = (c - 65 + k) % 26 + 65 end
    out[i] = char(c)
  end
  return concat(out)
end
local function run_lengths(s)
  local out, i = {}, 1
  while i <= #s do
    local c, j = sub(s, i, i), i
    while sub(s, j + 1, j + 1) == c do j = j + 1 end
    out[#out + 1] = c .. (j - i + 1)
    i = j + 1
  end
  return concat(out)
end
local function palindromes(s)
  local best, at = 0, 0
  for center = 1, #s do
    for even = 0, 1 do
      local l, r = center, center + even
      while l >= 1 and r <= #s and byte(s, l) == byte(s, r) do l, r = l - 1, r + 1 end
      if r - l - 1 > best then best, at = r - l - 1, l + 1 end
    end
  end
  return sub(s, at, at + best - 1)
end
local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = byte(s, i, i + 2)
    local v = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 3, 0, -1 do
      local d = floor(v / 64 ^ k) % 64
      out[#out + 1] = (k == 1 and not b or k == 0 and not c) and "=" or sub(digits, d + 1, d + 1)
    end
  end
  return concat(out)
end

local text = ("A man, a plan, a canal: Panama! aaabbbbccd noonmoon level. "):rep(5)
local hash, last = 0, nil
for round = 1, rounds do
  local a = caesar(text, round)
  local b = caesar(a, -round)
  assert(b == text)
  local c, d, e = run_lengths(a), palindromes(a), base64(sub(a, 1, 60 + round))
  hash = (hash * 7 + #c + #d + byte(e, round % #e + 1)) % 1000003
  last = e
end
print(string.format("%d %s", hash, last))
print(palindromes("xabacdcabay"), run_lengths("aaabbc"), base64("any carnal pleasure."))
