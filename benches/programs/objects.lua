-- Classes with single inheritance, virtual methods, and calls through super. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 3000

local Object = {}
Object.__index = Object
function Object.new(class, ...)
  local o = setmetatable({}, class)
  o:init(...)
  return o
end
function Object:init() end
local function class(parent)
  local c = { super = parent, new = Object.new }
  c.__index = c
  c.__tostring = parent.__tostring
  return setmetatable(c, parent)
end

local Shape = class(Object)
function Shape:init(name) self.name = name end
function Shape:area() return 0 end
function Shape:scale(k) self.factor = (self.factor or 1) * k return self end
function Shape.__tostring(s) return string.format("%s of area %.3f", s.name, s:area()) end

local Circle = class(Shape)
function Circle:init(r) Shape.init(self, "circle") self.r = r end
function Circle:area() return math.pi * self.r * self.r * (self.factor or 1) end

local Rectangle = class(Shape)
function Rectangle:init(w, h, name) self.super.super.init(self, name or "rectangle") self.w, self.h = w, h end
Rectangle.init = function(self, w, h, name) Shape.init(self, name or "rectangle") self.w, self.h = w, h end
function Rectangle:area() return self.w * self.h * (self.factor or 1) end

local Square = class(Rectangle)
function Square:init(side) Rectangle.init(self, side, side, "square") end
function Square:area() return Rectangle.area(self) end

local sum, calls = 0, 0
for i = 1, rounds do
  local shapes = { Circle:new(i % 7 + 1), Rectangle:new(i % 5 + 1, 3), Square:new(i % 4 + 1) }
  for k = 1, 4 do
    for j = 1, #shapes do
      local s = shapes[j]
      sum = sum + s:scale(1 + k / 10):area()
      calls = calls + 1
    end
  end
  if i == rounds then
    for _, s in ipairs(shapes) do print(tostring(s)) end
  end
end
print(string.format("%.4f after %d calls", sum, calls))
