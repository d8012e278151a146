-- Counts, ranks and chains words of a generated text: string keys in tables, pairs, sort with ties. Size: sentences.
local n = tonumber(arg and arg[1]) or 500

local seed = 31
local function random(m) seed = (seed * 16807) % 2147483647 return seed % m + 1 end
local syllables = { "lu", "na", "pe", "ri", "mo", "on", "sta", "ke", "vo" }
local function word()
  local w = {}
  for i = 1, random(3) do w[i] = syllables[random(#syllables)] end
  return table.concat(w)
end

local counts, follow, words, total = {}, {}, {}, 0
for _ = 1, n do
  local sentence = {}
  for i = 1, 4 + random(8) do sentence[i] = word() end
  local text = table.concat(sentence, " ") .. "."
  local previous
  for w in text:gmatch("%a+") do
    if not counts[w] then words[#words + 1] = w end
    counts[w] = (counts[w] or 0) + 1
    total = total + 1
    if previous then
      local f = follow[previous]
      if not f then f = {} follow[previous] = f end
      f[w] = (f[w] or 0) + 1
    end
    previous = w
  end
end
table.sort(words, function(a, b)
  if counts[a] ~= counts[b] then return counts[a] > counts[b] end
  return a < b
end)
for i = 1, 8 do print(string.format("%-8s %d", words[i], counts[words[i]])) end
local pairs_seen, most, which = 0, 0, nil
for a, f in pairs(follow) do
  for b, k in pairs(f) do
    pairs_seen = pairs_seen + 1
    if k > most or k == most and a .. b < which then most, which = k, a .. b end
  end
end
print(string.format("%d words, %d different, %d pairs, %s %d", total, #words, pairs_seen, which, most))
