-- Natural numbers of any size on 64-bit integers: factorials, powers, Fibonacci numbers, division. Needs 5.4. Size: n.
local n = tonumber(arg and arg[1]) or 150
local BASE <const> = 10000000

local Big = {}
Big.__index = Big
local function big(x)
  if type(x) == "table" then return x end
  local t = {}
  repeat
    t[#t + 1] = x % BASE
    x = x // BASE
  until x == 0
  return setmetatable(t, Big)
end
function Big.__add(a, b)
  a, b = big(a), big(b)
  local t, carry = {}, 0
  for i = 1, math.max(#a, #b) do
    local s = (a[i] or 0) + (b[i] or 0) + carry
    t[i], carry = s % BASE, s // BASE
  end
  if carry > 0 then t[#t + 1] = carry end
  return setmetatable(t, Big)
end
function Big.__mul(a, b)
  a, b = big(a), big(b)
  local t = {}
  for i = 1, #a + #b do t[i] = 0 end
  for i = 1, #a do
    local carry, x = 0, a[i]
    for j = 1, #b do
      local s = t[i + j - 1] + x * b[j] + carry
      t[i + j - 1], carry = s % BASE, s // BASE
    end
    t[i + #b] = t[i + #b] + carry
  end
  while #t > 1 and t[#t] == 0 do t[#t] = nil end
  return setmetatable(t, Big)
end
function Big.__idiv(a, small)
  local t, rest = {}, 0
  for i = #a, 1, -1 do
    local x = rest * BASE + a[i]
    t[i], rest = x // small, x % small
  end
  while #t > 1 and t[#t] == 0 do t[#t] = nil end
  return setmetatable(t, Big), rest
end
function Big.__pow(a, e)
  local r = big(1)
  while e > 0 do
    if e & 1 == 1 then r = r * a end
    a, e = a * a, e >> 1
  end
  return r
end
function Big.__eq(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do if a[i] ~= b[i] then return false end end
  return true
end
function Big.__lt(a, b)
  if #a ~= #b then return #a < #b end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end
function Big.__tostring(a)
  local parts = { ("%d"):format(a[#a]) }
  for i = #a - 1, 1, -1 do parts[#parts + 1] = ("%07d"):format(a[i]) end
  return table.concat(parts)
end

local f = big(1)
for i = 2, n do f = f * i end
local digits = tostring(f)
print(#digits, digits:sub(1, 40))
local a, b = big(0), big(1)
for _ = 1, 4 * n do a, b = b, a + b end
print(tostring(a):sub(-40), a < b, a == a + 0, b < a)
local p = big(3) ^ (3 * n)
print(tostring(p):sub(1, 20), #tostring(p))
local q = f
for i = n, 2, -1 do
  q = q // i
end
print(tostring(q), q == big(1))
local sum = 0
for c in digits:gmatch("%d") do sum = sum + c end
print(sum)
