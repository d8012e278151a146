-- Ackermann, Fibonacci, Takeuchi and the towers of Hanoi. Size: Fibonacci's argument.
local n = tonumber(arg and arg[1]) or 19

local function ack(m, k)
  if m == 0 then return k + 1 end
  if k == 0 then return ack(m - 1, 1) end
  return ack(m - 1, ack(m, k - 1))
end
local function fib(k) if k < 2 then return k end return fib(k - 1) + fib(k - 2) end
local function tak(x, y, z)
  if y >= x then return z end
  return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y))
end
local moves
local function hanoi(k, a, b, c)
  if k == 0 then return end
  hanoi(k - 1, a, c, b)
  moves = moves + 1
  hanoi(k - 1, c, b, a)
end

local k = n - 10
moves = 0
hanoi(k + 3, "a", "b", "c")
print(string.format("ack(2, %d) = %d", 3 * k, ack(2, 3 * k)))
print(string.format("fib(%d) = %d", n, fib(n)))
print(string.format("tak(%d, %d, %d) = %d", k + 3, k - 1, 3, tak(k + 3, k - 1, 3)))
print(string.format("hanoi(%d): %d moves", k + 3, moves))
