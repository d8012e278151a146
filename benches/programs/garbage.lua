-- Short-lived tables, strings and closures, a ring buffer that keeps some, and weak caches. Size: objects.
local n = tonumber(arg and arg[1]) or 15000

local ring, kept = {}, 0
local size = 500
for i = 1, size do ring[i] = false end
local cache = setmetatable({}, { __mode = "k" })
local sum = 0
for i = 1, n do
  local o = { id = i, name = "n" .. i % 100, list = { i, i + 1, i + 2 } }
  if i % 3 == 0 then o.next = { o } end
  if i % 5 == 0 then o.f = function() return o.id end end
  cache[o] = i
  local slot = i * 7 % size + 1
  local old = ring[slot]
  if old then
    sum = (sum + old.id + #old.name + old.list[3] + (old.f and old.f() or 0)) % 1000003
    kept = kept + (cache[old] == old.id and 1 or 0)
  end
  ring[slot] = o
end
local alive = 0
collectgarbage()
collectgarbage()
for k, v in pairs(cache) do
  assert(k.id == v)
  alive = alive + 1
end
print(string.format("%d %d %d", sum, kept, alive))
