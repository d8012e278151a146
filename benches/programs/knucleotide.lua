-- Counts of the k-letter words in a random DNA string. Size: letters.
local n = tonumber(arg and arg[1]) or 20000

local seed = 42
local function random() seed = (seed * 3877 + 29573) % 139968 return seed / 139968 end
local letters = { { "a", 0.3029549426680 }, { "c", 0.5029549426680 }, { "g", 0.7005029549427 }, { "t", 1.0 } }
local parts = {}
for i = 1, n do
  local r = random()
  for k = 1, 4 do
    if r < letters[k][2] then parts[i] = letters[k][1] break end
  end
end
local dna = table.concat(parts)

local function counts(k)
  local t = {}
  for i = 1, #dna - k + 1 do
    local w = dna:sub(i, i + k - 1)
    t[w] = (t[w] or 0) + 1
  end
  return t
end

for k = 1, 2 do
  local t, list = counts(k), {}
  for w in pairs(t) do list[#list + 1] = w end
  table.sort(list, function(a, b) if t[a] ~= t[b] then return t[a] > t[b] end return a < b end)
  for _, w in ipairs(list) do print(string.format("%s %.3f", w:upper(), t[w] * 100 / (#dna - k + 1))) end
end
for _, w in ipairs { "ggt", "ggta", "ggtatt", "ggtattttaatt" } do
  print(string.format("%d\t%s", counts(#w)[w] or 0, w:upper()))
end
