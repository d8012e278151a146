-- Complex numbers with operators by metatables: Newton's fractal and a polynomial by Horner's scheme. Size: points a side.
local n = tonumber(arg and arg[1]) or 20

local Complex = {}
Complex.__index = Complex
local function complex(re, im) return setmetatable({ re = re, im = im or 0 }, Complex) end
local function lift(x) return type(x) == "number" and complex(x) or x end
function Complex.__add(a, b) a, b = lift(a), lift(b) return complex(a.re + b.re, a.im + b.im) end
function Complex.__sub(a, b) a, b = lift(a), lift(b) return complex(a.re - b.re, a.im - b.im) end
function Complex.__mul(a, b)
  a, b = lift(a), lift(b)
  return complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
end
function Complex.__div(a, b)
  a, b = lift(a), lift(b)
  local d = b.re * b.re + b.im * b.im
  return complex((a.re * b.re + a.im * b.im) / d, (a.im * b.re - a.re * b.im) / d)
end
function Complex.__unm(a) return complex(-a.re, -a.im) end
function Complex.__eq(a, b) return a.re == b.re and a.im == b.im end
function Complex.__tostring(a) return string.format("%.4f%+.4fi", a.re, a.im) end
function Complex.__call(a, k) return a * k end
function Complex.__len(a) return math.sqrt(a.re * a.re + a.im * a.im) end
function Complex:abs() return math.sqrt(self.re * self.re + self.im * self.im) end

local roots = { complex(1), complex(-0.5, math.sqrt(3) / 2), complex(-0.5, -math.sqrt(3) / 2) }
local counts, steps = { 0, 0, 0, 0 }, 0
for y = 1, n do
  for x = 1, n do
    local z = complex((x - 0.5) / n * 4 - 2, (y - 0.5) / n * 4 - 2)
    local which = 4
    for _ = 1, 25 do
      local z2 = z * z
      z = z - (z2 * z - 1) / (z2 * 3)
      steps = steps + 1
      for k = 1, 3 do
        if (z - roots[k]):abs() < 1e-6 then which = k end
      end
      if which < 4 then break end
    end
    counts[which] = counts[which] + 1
  end
end
print(table.concat(counts, " "), steps)
local function horner(z, c)
  local r = complex(0)
  for i = #c, 1, -1 do r = r * z + c[i] end
  return r
end
print(tostring(horner(complex(0.5, 0.25), { 1, -2, 3, -4, 5 })), tostring(-complex(1, 2)(3)), complex(1, 2) == complex(1) + complex(0, 2))
