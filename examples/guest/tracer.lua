-- A tracer: blocks, and accesses to a variable, while the guest counts down.
local guest = require "guest"

-- again: dec qword [0x9000]; jnz again; hlt
local code = "\x48\xff\x0c\x25\0\x90\0\0\x75\xf6\xf4"

local m = guest.machine(1 << 20)
m:load_flat(code, 0x8000)
m:write(0x9000, string.pack("<I8", 3))

local blocks = {}
m:hook("block", function(m)
  local at = m:get("rip")
  blocks[at] = (blocks[at] or 0) + 1
end)
local watch
watch = m:hook("memory", 0x9000, 0x9007, function(m, event)
  print(("%s %#x: %d"):format(event.write and "writes" or "reads ", event.address, event.value))
  -- Nobody wants to know the end.
  if event.write and event.value == 1 then m:unhook(watch) end
end)

print(m:run().kind)
for at, count in pairs(blocks) do
  if count > 1 then print(("block %#x: %d times"):format(at, count)) end
end
