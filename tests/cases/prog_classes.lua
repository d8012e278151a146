-- A class library: inheritance, mixins, super calls, properties by __index functions, tostring, counting instances.
local function class(name, parent)
  local c = { name = name, count = 0 }
  c.__index = function(o, k)
    local get = c.getters and c.getters[k]
    if get then return get(o) end
    return c[k]
  end
  c.__tostring = function(o)
    return name .. "(" .. (o.label and o:label() or "") .. ")"
  end
  c.new = function(...)
    local o = setmetatable({}, c)
    c.count = c.count + 1
    if o.init then o:init(...) end
    return o
  end
  c.super = parent
  return setmetatable(c, { __index = parent, __call = function(_, ...)
    return c.new(...)
  end })
end
local Animal = class "Animal"
function Animal:init(n, sound) self.n, self.sound = n, sound end
function Animal:label() return self.n end
function Animal:speak(times)
  local t = {}
  for i = 1, times or 1 do t[i] = self.sound end
  return table.concat(t, "-")
end
Animal.getters = { loud = function(o) return o.sound:upper() end }
local Dog = class("Dog", Animal)
function Dog:init(n)
  Animal.init(self, n, "woof")
  self.tricks = {}
end
function Dog:learn(...)
  for _, t in ipairs { ... } do self.tricks[#self.tricks + 1] = t end
  return self
end
function Dog:label() return Animal.label(self) .. ":" .. #self.tricks end
Dog.getters = setmetatable({ best = function(o)
  return o.tricks[1]
end }, { __index = Animal.getters })
local Puppy = class("Puppy", Dog)
function Puppy:speak(n) return "tiny " .. Dog.speak(self, n) end
Puppy.getters = Dog.getters
local a, d, p = Animal("cat", "meow"), Dog("rex"), Puppy("bit")
print(tostring(a), tostring(d), tostring(p))
print(a:speak(2), d:speak(), p:speak(3))
d:learn("sit", "roll"):learn("beg")
print(tostring(d), d.best, p.best, d.loud, a.loud, p.loud)
print(Animal.count, Dog.count, Puppy.count, getmetatable(p) == Puppy, Puppy.super == Dog, rawget(Puppy, "learn"),
  Puppy.learn == Dog.learn)
local mixin = { compare = function(x, y) return x.n < y.n end, fly = function(s)
  return s.n .. " flies"
end }
for k, v in pairs(mixin) do if not Animal[k] then Animal[k] = v end end
print(p:fly(), d:compare(p))
local all = {}
for i = 1, 100 do
  all[i] = (i % 3 == 0 and Puppy or i % 3 == 1 and Dog or Animal)("n" .. i, "s" .. i)
end
local out = 0
for r = 1, 20 do
  for i = 1, 100 do out = out + #all[i]:speak(2) + #tostring(all[i]) end
end
print(out, Animal.count, Dog.count, Puppy.count)
function Dog:speak() return "WOOF" end
out = 0
for i = 1, 100 do out = out + #all[i]:speak(1) end
print(out)
