-- Integer loops: Collatz, greatest common divisors, modular powers, perfect numbers, digit sums. Needs 5.4. Size: n.
local n = tonumber(arg and arg[1]) or 800

local longest, start = 0, 0
for i = 1, n do
  local x, steps = i, 0
  while x ~= 1 do
    if x & 1 == 0 then x = x // 2 else x = 3 * x + 1 end
    steps = steps + 1
  end
  if steps > longest then longest, start = steps, i end
end
print(longest, start)

local function gcd(a, b) while b ~= 0 do a, b = b, a % b end return a end
local coprime = 0
for a = 1, n // 8 do for b = 1, n // 8 do if gcd(a, b) == 1 then coprime = coprime + 1 end end end
print(coprime)

local function power(base, e, m)
  local r = 1
  base = base % m
  while e > 0 do
    if e & 1 == 1 then r = r * base % m end
    base, e = base * base % m, e >> 1
  end
  return r
end
local pseudo = 0
for i = 3, n * 4, 2 do if power(2, i - 1, i) == 1 then pseudo = pseudo + 1 end end
print(pseudo)

local perfect = {}
for i = 2, n do
  local s = 1
  for d = 2, i // 2 do if i % d == 0 then s = s + d end end
  if s == i then perfect[#perfect + 1] = i end
end
print(table.concat(perfect, " "))

local digits = 0
for i = 1, n * 10 do
  local x = i * 7919
  while x > 0 do digits, x = digits + x % 10, x // 10 end
end
print(digits)
