-- Flips of pancake stacks over all permutations in order of the factorial number system. Size: pancakes.
local n = tonumber(arg and arg[1]) or 8

local function fannkuch(n)
  local perm, work, count = {}, {}, {}
  local sign, most, checksum = 1, 0, 0
  for i = 1, n do perm[i], work[i], count[i] = i, i, i end
  while true do
    local first = perm[1]
    if first ~= 1 then
      for i = 2, n do work[i] = perm[i] end
      local flips = 1
      while true do
        local next_first = work[first]
        if next_first == 1 then
          if flips > most then most = flips end
          checksum = checksum + sign * flips
          break
        end
        work[first] = first
        if first >= 4 then
          local i, j = 2, first - 1
          repeat
            work[i], work[j] = work[j], work[i]
            i, j = i + 1, j - 1
          until i >= j
        end
        first = next_first
        flips = flips + 1
      end
    end
    if sign == 1 then
      perm[1], perm[2] = perm[2], perm[1]
      sign = -1
    else
      perm[2], perm[3] = perm[3], perm[2]
      sign = 1
      for i = 3, n do
        local c = count[i]
        if c ~= 1 then
          count[i] = c - 1
          break
        end
        if i == n then return checksum, most end
        count[i] = i
        local p = perm[1]
        for j = 1, i do perm[j] = perm[j + 1] end
        perm[i + 1] = p
      end
    end
  end
end

local checksum, most = fannkuch(n)
print(string.format("%d\nfannkuch(%d) = %d", checksum, n, most))
