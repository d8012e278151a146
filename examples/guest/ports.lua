-- A port handler: the guest asks a device that is written in Lua.
local guest = require "guest"

-- mov ecx, 5; again: mov al, cl; out 0x80, al; in al, 0x80; add bl, al; loop again; hlt
local code = "\xb9\5\0\0\0" .. "\x88\xc8\xe6\x80\xe4\x80\x00\xc3\xe2\xf6\xf4"

local m = guest.machine(1 << 20)
m:load_flat(code, 0x8000)
m:set("rbx", 0)

-- The device squares what is written to it.
local latch = 0
m:hook("port", 0x80, function(m, event)
  if event.kind == "port-out" then
    latch = event.value * event.value
    m:skip()
  else
    m:answer_port(event.size, latch)
  end
  return "handled"
end)

print(m:run().kind, "bl = " .. m:get("rbx"), m:instructions() .. " instructions and 10 of the device")
