-- Spheres over a checkered floor, with shadows and reflections; vectors are objects with operators. Size: pixels a side.
local n = tonumber(arg and arg[1]) or 32

local Vector = {}
Vector.__index = Vector
local function vector(x, y, z) return setmetatable({ x = x, y = y, z = z }, Vector) end
function Vector.__add(a, b) return vector(a.x + b.x, a.y + b.y, a.z + b.z) end
function Vector.__sub(a, b) return vector(a.x - b.x, a.y - b.y, a.z - b.z) end
function Vector.__mul(a, k) return vector(a.x * k, a.y * k, a.z * k) end
function Vector.__unm(a) return vector(-a.x, -a.y, -a.z) end
function Vector:dot(b) return self.x * b.x + self.y * b.y + self.z * b.z end
function Vector:unit() return self * (1 / math.sqrt(self:dot(self))) end

local Sphere = {}
Sphere.__index = Sphere
local function sphere(center, radius, color, shine)
  return setmetatable({ center = center, r2 = radius * radius, color = color, shine = shine }, Sphere)
end
function Sphere:hit(from, to)
  local l = self.center - from
  local b = l:dot(to)
  local d = b * b - l:dot(l) + self.r2
  if d < 0 then return nil end
  d = math.sqrt(d)
  if b - d > 1e-4 then return b - d end
  if b + d > 1e-4 then return b + d end
end
function Sphere:normal(p) return (p - self.center):unit() end
function Sphere:paint() return self.color end

local Floor = { shine = 0.2 }
Floor.__index = Floor
function Floor:hit(from, to)
  if to.y >= -1e-4 then return nil end
  local t = (-1 - from.y) / to.y
  if t > 1e-4 and t < 60 then return t end
end
function Floor:normal() return vector(0, 1, 0) end
function Floor:paint(p) return (math.floor(p.x) + math.floor(p.z)) % 2 == 0 and 0.9 or 0.2 end

local things = {
  sphere(vector(0, 0, 5), 1, 0.8, 0.4), sphere(vector(1.6, -0.4, 4), 0.6, 0.5, 0.1),
  sphere(vector(-1.7, 0.3, 6), 1.3, 0.7, 0.6), setmetatable({}, Floor),
}
local light = vector(-4, 6, -2)

local function nearest(from, to)
  local best, at
  for i = 1, #things do
    local t = things[i]:hit(from, to)
    if t and (not best or t < best) then best, at = t, things[i] end
  end
  return at, best
end

local function trace(from, to, depth)
  local thing, t = nearest(from, to)
  if not thing then return 0.3 + 0.4 * math.max(0, to.y) end
  local p = from + to * t
  local normal = thing:normal(p)
  local toward = light - p
  local distance = math.sqrt(toward:dot(toward))
  toward = toward * (1 / distance)
  local shade = 0.1
  local blocker, where = nearest(p, toward)
  if not blocker or where > distance then shade = shade + 0.9 * math.max(0, normal:dot(toward)) end
  local color = thing:paint(p) * shade
  if depth > 0 and thing.shine > 0 then
    local mirrored = to - normal * (2 * normal:dot(to))
    color = color * (1 - thing.shine) + thing.shine * trace(p, mirrored:unit(), depth - 1)
  end
  return color
end

local sum, shades = 0, " .:-=+*#%@"
for y = 0, n - 1 do
  local line = {}
  for x = 0, n - 1 do
    local to = vector((x + 0.5) / n * 2 - 1, 1 - (y + 0.5) / n * 2, 2):unit()
    local c = trace(vector(0, 0, 0), to, 3)
    sum = sum + c
    local k = math.min(9, math.floor(c * 10)) + 1
    line[x + 1] = shades:sub(k, k)
  end
  if y % math.ceil(n / 16) == 0 and n <= 64 then print(table.concat(line)) end
end
print(string.format("%.6f", sum))
