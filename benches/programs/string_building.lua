-- Builds strings by concatenation, by a buffer and by rep, and checks them. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 60

local total, hash = 0, 0
for round = 1, rounds do
  local s = ""
  for i = 1, 120 do s = s .. string.char(97 + (i * round) % 26) end
  local buffer = {}
  for i = 1, 300 do buffer[#buffer + 1] = "item " .. i .. (i % 3 == 0 and ";" or ",") end
  local joined = table.concat(buffer, " ", 1 + round % 10)
  local filler = ("-="):rep(round % 17 + 1)
  local whole = s:upper() .. filler .. joined .. filler:reverse()
  total = total + #whole
  for i = 1, #whole, 7 do hash = (hash * 31 + whole:byte(i)) % 1000003 end
end
print(string.format("%d bytes, checksum %d", total, hash))
