-- Primes by the sieve of Eratosthenes, several times over. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 4
local limit = 60000

local count, last
for _ = 1, rounds do
  local composite = {}
  for i = 1, limit do composite[i] = false end
  count, last = 0, 0
  for i = 2, limit do
    if not composite[i] then
      count, last = count + 1, i
      for j = i + i, limit, i do composite[j] = true end
    end
  end
end
print(string.format("%d primes up to %d, the last is %d", count, limit, last))
