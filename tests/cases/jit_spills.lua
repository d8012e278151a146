-- Many live integers and floats at once, across calls and exits.
local a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16 = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
  14, 15, 16
local b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16 = 101, 102, 103, 104, 105, 106, 107, 108,
  109, 110, 111, 112, 113, 114, 115, 116
local f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16 = 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8,
  0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6
local g1, g2, g3, g4, g5, g6, g7, g8, g9, g10, g11, g12, g13, g14, g15, g16 = 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7,
  10.8, 10.9, 11.0, 11.1, 11.2, 11.3, 11.4, 11.5, 11.6
local function touch(x) return x + 1 end
for i = 1, 300 do
  a1, a2, a3, a4 = a1 + b16, a2 + b15, a3 + b14, a4 ~ b13
  a5, a6, a7, a8 = a5 + b12, a6 - b11, a7 + b10, a8 + b9
  a9, a10, a11, a12 = a9 + a1 % 7, a10 + a2 % 11, a11 ~ a3, a12 + a4
  a13, a14, a15, a16 = a13 + i, a14 - i, a15 ~ i, a16 + (i & 3)
  b1, b2, b3, b4 = b1 + a16, b2 - a15, b3 ~ a14, b4 + a13
  b5, b6, b7, b8 = b5 + a5 % 13, b6 + a6 % 17, b7 ~ a7, b8 + i
  b9, b10, b11, b12 = b10, b11, b12, b9
  b13, b14, b15, b16 = b16, b13, b14, b15
  f1, f2, f3, f4 = f1 + g16, f2 - g15, f3 + g14 * 0.5, f4 * 0.99
  f5, f6, f7, f8 = f5 + i, f6 - f5 * 0.01, f7 * 0.5 + f6, f8 + 1
  f9, f10, f11, f12 = f10, f11, f12, f9
  f13, f14, f15, f16 = f13 + f1 * 1e-3, f14 + f2 * 1e-3, f15 - f3 * 1e-3, f16 + f4
  g1, g2, g3, g4 = g1 * 0.999, g2 + 0.25, g3 - 0.125, g4 + f8
  g5, g6, g7, g8 = g6, g7, g8, g5
  g9, g10, g11, g12 = g9 + g1, g10 + g2, g11 + g3, g12 + g4 * 1e-3
  g13, g14, g15, g16 = g14, g13, g16, g15
  if i % 37 == 0 then
    a1, b1, f1, g1 = a1 // 3, b1 // 3, f1 / 3, g1 + 1
  elseif i % 53 == 0 then
    a2 = touch(a2)
    f2 = touch(f2)
  end
  if i == 150 then
    a3 = tonumber("12")
    f3 = math.sqrt(f5 * f5)
  end
end
print(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16)
print(b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16)
for _, f in ipairs { f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, g1, g2, g3, g4, g5, g6, g7,
  g8, g9, g10, g11, g12, g13, g14, g15, g16 } do
  io.write(string.format("%.9g ", f))
end
print()
local function poly(x, a, b, c, d, e, f, g, h)
  return ((((((a * x + b) * x + c) * x + d) * x + e) * x + f) * x + g) * x + h
end
local s = 0
for i = 1, 200 do
  s = (s + poly(i % 5, i, 2, 3, 4, 5, 6, 7, 8) + touch(s % 3)) % 1000003
end
print(s)
local t = {}
for i = 1, 150 do
  local a, b, c, d, e, f, g, h, j, k, l, m, n, o, p, q, r, u = i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i +
    8, i + 9, i + 10, i * 0.5, i * 0.25, i * 1.5, "s", t, true, nil
  if i % 40 == 0 then
    t[#t + 1] = a + b + c + d + e + f + g + h + j + k + l + m + n + o + #p + #q + (r and 1 or 0) + (u or 0)
  end
  if i % 60 == 0 then t[#t + 1] = (tostring(a) .. tostring(o)) end
end
print(table.concat(t, " "))
