-- CRC-32, Adler-32, FNV-1a and SHA-256 with bitwise operators. Needs 5.4. Size: kilobytes.
local kilobytes = tonumber(arg and arg[1]) or 4

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and c >> 1 ~ 0xedb88320 or c >> 1 end
  crc_table[i] = c
end
local function crc32(s)
  local c = 0xffffffff
  for i = 1, #s do c = crc_table[(c ~ s:byte(i)) & 0xff] ~ c >> 8 end
  return c ~ 0xffffffff
end
local function adler32(s)
  local a, b = 1, 0
  for i = 1, #s do
    a = (a + s:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end
local function fnv(s)
  local h = 0xcbf29ce484222325
  for i = 1, #s do h = (h ~ s:byte(i)) * 0x100000001b3 end
  return h
end

local k = {}
do
  local count, candidate = 0, 2
  while count < 64 do
    local prime = true
    for d = 2, candidate - 1 do
      if d * d > candidate then break end
      if candidate % d == 0 then prime = false break end
    end
    if prime then
      count = count + 1
      k[count] = math.floor((candidate ^ (1 / 3)) % 1 * 2 ^ 32)
    end
    candidate = candidate + 1
  end
end
local function rotate(x, n) return (x >> n | x << 32 - n) & 0xffffffff end
local function sha256(s)
  local h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 }
  local bits = #s * 8
  s = s .. "\128" .. ("\0"):rep((55 - #s) % 64)
  local tail = {}
  for i = 7, 0, -1 do tail[#tail + 1] = string.char(bits >> i * 8 & 0xff) end
  s = s .. table.concat(tail)
  local w = {}
  for chunk = 1, #s, 64 do
    for i = 1, 16 do
      local a, b, c, d = s:byte(chunk + (i - 1) * 4, chunk + (i - 1) * 4 + 3)
      w[i] = a << 24 | b << 16 | c << 8 | d
    end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = rotate(x, 7) ~ rotate(x, 18) ~ x >> 3
      local s1 = rotate(y, 17) ~ rotate(y, 19) ~ y >> 10
      w[i] = w[i - 16] + s0 + w[i - 7] + s1 & 0xffffffff
    end
    local a, b, c, d, e, f, g, hh = table.unpack(h)
    for i = 1, 64 do
      local s1 = rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)
      local choice = e & f ~ ~e & g
      local t1 = hh + s1 + choice + k[i] + w[i]
      local s0 = rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)
      local majority = a & b ~ a & c ~ b & c
      hh, g, f, e, d, c, b, a = g, f, e, d + t1 & 0xffffffff, c, b, a, t1 + s0 + majority & 0xffffffff
    end
    for i, v in ipairs { a, b, c, d, e, f, g, hh } do h[i] = h[i] + v & 0xffffffff end
  end
  return (("%08x"):rep(8)):format(table.unpack(h))
end

print(("%08x %08x"):format(crc32("123456789"), adler32("Wikipedia")))
print(("%016x"):format(fnv("foobar")))
print(sha256(""))
print(sha256("abc"))
local block = {}
for i = 0, 1023 do block[i + 1] = string.char(i * 7 & 0xff) end
block = table.concat(block)
local data = block:rep(kilobytes)
print(("%08x %08x %016x"):format(crc32(data), adler32(data), fnv(data)))
print(sha256(data))
