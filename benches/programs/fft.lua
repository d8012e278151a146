-- The fast Fourier transform, forth and back, on separate arrays of real and imaginary parts. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 6
local n = 1024
local sin, cos, pi = math.sin, math.cos, math.pi

local function transform(re, im, sign)
  local j = 1
  for i = 1, n do
    if i < j then
      re[i], re[j] = re[j], re[i]
      im[i], im[j] = im[j], im[i]
    end
    local m = n / 2
    while m >= 1 and j > m do j, m = j - m, m / 2 end
    j = j + m
  end
  local size = 2
  while size <= n do
    local angle = sign * 2 * pi / size
    local wr, wi = cos(angle), sin(angle)
    local half = size / 2
    for start = 1, n, size do
      local cr, ci = 1.0, 0.0
      for a = start, start + half - 1 do
        local b = a + half
        local tr, ti = cr * re[b] - ci * im[b], cr * im[b] + ci * re[b]
        re[b], im[b] = re[a] - tr, im[a] - ti
        re[a], im[a] = re[a] + tr, im[a] + ti
        cr, ci = cr * wr - ci * wi, cr * wi + ci * wr
      end
    end
    size = size * 2
  end
end

local re, im, original = {}, {}, {}
for i = 1, n do
  original[i] = sin(i * 0.1) + 0.5 * cos(i * 0.7)
  re[i], im[i] = original[i], 0.0
end
local power = 0
for round = 1, rounds do
  transform(re, im, -1)
  if round == 1 then
    for i = 1, n do power = power + (re[i] * re[i] + im[i] * im[i]) / n end
  end
  transform(re, im, 1)
  for i = 1, n do re[i], im[i] = re[i] / n, im[i] / n end
end
local worst = 0
for i = 1, n do worst = math.max(worst, math.abs(re[i] - original[i])) end
print(string.format("%.6f %s", power, worst < 1e-9 and "same" or "different"))
