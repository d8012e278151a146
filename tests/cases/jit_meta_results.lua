-- What a native metamethod answers goes on to the next iteration: by way of a call, a variable, and a comparison.
local function add(a, b) return a + b end
local r = 0.5
for i = 1, 100 do r = add(r, "1") end
print(r)
local n, text = 0, "1"
for i = 1, 100 do
  n = n - "2"
  text = text * 1
  if i % 10 == 0 then text = tostring(text + 1) end
end
print(n, text)
local mt = { __lt = rawequal, __index = rawlen, __len = rawlen }
local a, b, last = setmetatable({ 1, 2 }, mt), setmetatable({}, mt), nil
for i = 1, 100 do
  last = a.x
  if a < b then last = "less" end
  a[last + 1] = i
end
print(#a, last, a.y)
