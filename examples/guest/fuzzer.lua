-- A fuzzer loop: one snapshot, many inputs, each run from the same state, until one finds the fault.
local guest = require "guest"

-- Input at 9000h. cmp byte [0x9000], 'b'; jne out; cmp byte [0x9001], 'u'; jne out; cmp byte [0x9002], 'g'; jne out; ud2; out: hlt
local function test(offset, letter, rest)
  return "\x80\x3c\x25" .. string.pack("<I4", 0x9000 + offset) .. letter .. "\x75" .. string.char(rest)
end
local code = test(0, "b", 22) .. test(1, "u", 12) .. test(2, "g", 2) .. "\x0f\x0b\xf4"

local m = guest.machine(1 << 20)
m:load_flat(code, 0x8000)
m:intercept("exception")
local start = m:snapshot()

-- Coverage by blocks tells which inputs are worth keeping.
local seen, corpus, covered = {}, { "aaa" }, false
m:hook("block", function(m)
  local at = m:get("rip")
  if not seen[at] then
    seen[at], covered = true, true
  end
end)

math.randomseed(1)
for runs = 1, 100000 do
  local input = { corpus[math.random(#corpus)]:byte(1, 3) }
  input[math.random(3)] = math.random(97, 122)
  input = string.char(table.unpack(input))
  m:restore(start)
  m:write(0x9000, input)
  covered = false
  local exit = m:run(1000)
  if exit.kind == "exception" then
    print("found: " .. input, "vector " .. exit.vector, runs < 10000 and "in time" or "late")
    break
  end
  if covered then corpus[#corpus + 1] = input end
end
