local function double(x)
  return inspected(x)
end

for i = 1, 2 do
  double(i)
  local y = i
end
