-- xorshift, a linear congruential generator, PCG and splitmix on 64-bit integers. Needs 5.4. Size: numbers.
local n = tonumber(arg and arg[1]) or 40000

local function xorshift(seed)
  local s = seed
  return function()
    s = s ~ s << 13
    s = s ~ s >> 7
    s = s ~ s << 17
    return s
  end
end
local function congruential(seed)
  local s = seed
  return function()
    s = s * 6364136223846793005 + 1442695040888963407
    return s
  end
end
local function pcg(seed)
  local s = seed
  return function()
    local old = s
    s = old * 6364136223846793005 + 1442695040888963407
    local x = (old >> 18 ~ old) >> 27 & 0xffffffff
    local r = old >> 59
    return (x >> r | x << (-r & 31)) & 0xffffffff
  end
end
local function splitmix(seed)
  local s = seed
  return function()
    s = s + 0x9e3779b97f4a7c15
    local z = s
    z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
    z = (z ~ z >> 27) * 0x94d049bb133111eb
    return z ~ z >> 31
  end
end

for _, make in ipairs { xorshift, congruential, pcg, splitmix } do
  local next, hash, low, ones = make(88172645463325252), 0, 0, 0
  local buckets = { 0, 0, 0, 0, 0, 0, 0, 0 }
  for _ = 1, n do
    local x = next()
    hash = hash * 31 + x
    local b = (x >> 5 & 7) + 1
    buckets[b] = buckets[b] + 1
    if x & 0xff < 64 then low = low + 1 end
    ones = ones + (x & 1)
  end
  print(string.format("%016x %d %d %s", hash, low, ones, table.concat(buckets, " ")))
end
