-- Line numbers and names in tracebacks that start in hot code, uncaught at the end.
local function leaf(t, i)
  return t[i].value
end
local function middle(t, n)
  local s = 0
  for i = 1, n do
    s = s + leaf(t, i)
  end
  return s
end
local t = {}
for i = 1, 200 do t[i] = { value = i } end
print(middle(t, 200))
t[180] = false
print(xpcall(middle, debug.traceback, t, 200))
t[180] = { value = {} }
print(pcall(middle, t, 200))
t[180] = nil
middle(t, 200)
