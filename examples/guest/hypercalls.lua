-- A hypercall server: number in rax, arguments in rdi and rsi, the answer in rax.
local guest = require "guest"

-- mov eax, 1; mov edi, text; mov esi, 14; vmcall; mov eax, 2; mov edi, 6; mov esi, 7; vmcall; hlt; text
local code = "\xb8\1\0\0\0\xbf\x25\x80\0\0\xbe\14\0\0\0\x0f\x01\xc1"
  .. "\xb8\2\0\0\0\xbf\6\0\0\0\xbe\7\0\0\0\x0f\x01\xc1\xf4"
  .. "Hello, monitor"

local services = {
  [1] = function(m, address, length)
    print("the guest says: " .. m:read_virtual(address, length))
    return length
  end,
  [2] = function(_, a, b) return a * b end,
}

local m = guest.machine(1 << 20)
m:load_flat(code, 0x8000)
m:intercept("hypercall")
while true do
  local exit = m:run()
  if exit.kind ~= "hypercall" then
    print(exit.kind, "rax = " .. m:get("rax"))
    break
  end
  m:set("rax", services[m:get("rax")](m, m:get("rdi"), m:get("rsi")))
  m:skip()
end
