-- LZW compression and expansion of generated text. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 4

local function compress(s)
  local codes, next_code = {}, 256
  for i = 0, 255 do codes[string.char(i)] = i end
  local out, w = {}, ""
  for i = 1, #s do
    local c = s:sub(i, i)
    local wc = w .. c
    if codes[wc] then
      w = wc
    else
      out[#out + 1] = codes[w]
      if next_code < 4096 then
        codes[wc] = next_code
        next_code = next_code + 1
      end
      w = c
    end
  end
  if w ~= "" then out[#out + 1] = codes[w] end
  return out
end

local function expand(list)
  local words, next_code = {}, 256
  for i = 0, 255 do words[i] = string.char(i) end
  local w = words[list[1]]
  local out = { w }
  for i = 2, #list do
    local entry = words[list[i]]
    if not entry then entry = w .. w:sub(1, 1) end
    out[#out + 1] = entry
    if next_code < 4096 then
      words[next_code] = w .. entry:sub(1, 1)
      next_code = next_code + 1
    end
    w = entry
  end
  return table.concat(out)
end

local parts = {}
for i = 1, 700 do parts[i] = ("%s the %d %s"):format(i % 2 == 0 and "over" or "under", i % 37, ("ab"):rep(i % 5)) end
local text = table.concat(parts, " ")
local codes
for _ = 1, rounds do
  codes = compress(text)
  assert(expand(codes) == text)
end
local hash = 0
for i = 1, #codes do hash = (hash * 131 + codes[i]) % 16777213 end
print(string.format("%d bytes to %d codes, checksum %d", #text, #codes, hash))
