-- An incremental solver of one-way constraints with strengths, on a chain and on a projection. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 4

local REQUIRED, STRONG, NORMAL, WEAK, WEAKEST = 0, 1, 3, 4, 6

local Variable = {}
Variable.__index = Variable
local function variable(name, value)
  return setmetatable({ name = name, value = value, constraints = {}, by = nil, mark = 0, strength = WEAKEST, stay = true },
    Variable)
end
function Variable:drop(c)
  for i = 1, #self.constraints do
    if self.constraints[i] == c then table.remove(self.constraints, i) break end
  end
  if self.by == c then self.by = nil end
end

local function class(parent)
  local c = {}
  c.__index = c
  return parent and setmetatable(c, parent) or c
end

local Planner = class()
local planner

local Constraint = class()
function Constraint:add()
  self:attach()
  planner:incremental_add(self)
end
function Constraint:destroy()
  if self:satisfied() then planner:incremental_remove(self) else self:detach() end
end
function Constraint:satisfy(mark)
  self:choose(mark)
  if not self:satisfied() then
    assert(self.strength ~= REQUIRED, "a required constraint cannot be satisfied")
    return nil
  end
  self:mark_inputs(mark)
  local out = self:output()
  local overridden = out.by
  if overridden then overridden:unsatisfy() end
  out.by = self
  assert(planner:propagate(self, mark), "a cycle")
  out.mark = mark
  return overridden
end
function Constraint:is_input() return false end

local Unary = class(Constraint)
function Unary:setup(v, strength) self.out, self.strength, self.done = v, strength, false self:add() return self end
function Unary:attach() local l = self.out.constraints l[#l + 1] = self self.done = false end
function Unary:detach() self.out:drop(self) self.done = false end
function Unary:choose(mark) self.done = self.out.mark ~= mark and self.strength < self.out.strength end
function Unary:satisfied() return self.done end
function Unary:unsatisfy() self.done = false end
function Unary:mark_inputs() end
function Unary:output() return self.out end
function Unary:inputs_known() return true end
function Unary:recalculate()
  self.out.strength = self.strength
  self.out.stay = not self:is_input()
  if self.out.stay then self:execute() end
end

local Stay = class(Unary)
function Stay:execute() end
local Edit = class(Unary)
function Edit:execute() end
function Edit:is_input() return true end

local Binary = class(Constraint)
function Binary:setup(a, b, strength) self.a, self.b, self.strength, self.way = a, b, strength, 0 self:add() return self end
function Binary:attach()
  for _, v in ipairs { self.a, self.b } do v.constraints[#v.constraints + 1] = self end
  self.way = 0
end
function Binary:detach() self.a:drop(self) self.b:drop(self) self.way = 0 end
function Binary:choose(mark)
  local a, b = self.a, self.b
  if a.mark == mark then
    self.way = (b.mark ~= mark and self.strength < b.strength) and 1 or 0
  elseif b.mark == mark then
    self.way = (a.mark ~= mark and self.strength < a.strength) and -1 or 0
  elseif a.strength > b.strength then
    self.way = self.strength < a.strength and -1 or 0
  else
    self.way = self.strength < b.strength and 1 or 0
  end
end
function Binary:satisfied() return self.way ~= 0 end
function Binary:unsatisfy() self.way = 0 end
function Binary:mark_inputs(mark) self:input().mark = mark end
function Binary:input() return self.way == 1 and self.a or self.b end
function Binary:output() return self.way == 1 and self.b or self.a end
function Binary:inputs_known(mark)
  local i = self:input()
  return i.mark == mark or i.stay or not i.by
end
function Binary:recalculate()
  local i, o = self:input(), self:output()
  o.strength = math.max(self.strength, i.strength)
  o.stay = i.stay
  if o.stay then self:execute() end
end

local Equal = class(Binary)
function Equal:execute() self:output().value = self:input().value end

local Scale = class(Binary)
function Scale:setup(a, scale, offset, b, strength)
  self.scale, self.offset = scale, offset
  return Binary.setup(self, a, b, strength)
end
function Scale:attach()
  Binary.attach(self)
  for _, v in ipairs { self.scale, self.offset } do v.constraints[#v.constraints + 1] = self end
end
function Scale:detach()
  Binary.detach(self)
  self.scale:drop(self)
  self.offset:drop(self)
end
function Scale:mark_inputs(mark)
  Binary.mark_inputs(self, mark)
  self.scale.mark, self.offset.mark = mark, mark
end
function Scale:execute()
  if self.way == 1 then self.b.value = self.a.value * self.scale.value + self.offset.value
  else self.a.value = (self.b.value - self.offset.value) / self.scale.value end
end
function Scale:recalculate()
  local i, o = self:input(), self:output()
  o.strength = math.max(self.strength, i.strength)
  o.stay = i.stay and self.scale.stay and self.offset.stay
  if o.stay then self:execute() end
end

function Planner.new() return setmetatable({ mark = 0 }, Planner) end
function Planner:new_mark() self.mark = self.mark + 1 return self.mark end
function Planner:incremental_add(c)
  local mark = self:new_mark()
  local overridden = c:satisfy(mark)
  while overridden do overridden = overridden:satisfy(mark) end
end
function Planner:incremental_remove(c)
  local out = c:output()
  c:unsatisfy()
  c:detach()
  local unsatisfied = self:remove_from(out)
  for strength = REQUIRED, WEAKEST do
    for _, u in ipairs(unsatisfied) do
      if u.strength == strength then self:incremental_add(u) end
    end
  end
end
function Planner:remove_from(out)
  out.by, out.strength, out.stay = nil, WEAKEST, true
  local unsatisfied, todo = {}, { out }
  while #todo > 0 do
    local v = table.remove(todo)
    for _, c in ipairs(v.constraints) do
      if not c:satisfied() then unsatisfied[#unsatisfied + 1] = c end
    end
    for _, c in ipairs(v.constraints) do
      if c ~= v.by and c:satisfied() then
        c:recalculate()
        todo[#todo + 1] = c:output()
      end
    end
  end
  return unsatisfied
end
local function consumers(v, list)
  for _, c in ipairs(v.constraints) do
    if c ~= v.by and c:satisfied() then list[#list + 1] = c end
  end
end
function Planner:propagate(c, mark)
  local todo = { c }
  while #todo > 0 do
    local d = table.remove(todo)
    if d:output().mark == mark then
      self:incremental_remove(c)
      return false
    end
    d:recalculate()
    consumers(d:output(), todo)
  end
  return true
end
function Planner:plan(sources)
  local mark, plan, todo = self:new_mark(), {}, {}
  for _, c in ipairs(sources) do
    if c:is_input() and c:satisfied() then todo[#todo + 1] = c end
  end
  while #todo > 0 do
    local c = table.remove(todo)
    if c:output().mark ~= mark and c:inputs_known(mark) then
      plan[#plan + 1] = c
      c:output().mark = mark
      consumers(c:output(), todo)
    end
  end
  return plan
end
Planner.__index = Planner

local function make(kind, ...) return setmetatable({}, kind):setup(...) end

local function edit(v, value)
  local e = make(Edit, v, STRONG)
  local plan = planner:plan { e }
  for _ = 1, 10 do
    v.value = value
    for i = 1, #plan do plan[i]:execute() end
  end
  e:destroy()
end

local function chain(n)
  planner = Planner.new()
  local vs = {}
  for i = 0, n do vs[i] = variable("v" .. i, 0) end
  for i = 0, n - 1 do make(Equal, vs[i], vs[i + 1], REQUIRED) end
  make(Stay, vs[n], WEAK)
  local e = make(Edit, vs[0], STRONG)
  local plan = planner:plan { e }
  local sum = 0
  for i = 1, 20 do
    vs[0].value = i
    for k = 1, #plan do plan[k]:execute() end
    assert(vs[n].value == i)
    sum = sum + vs[n].value
  end
  e:destroy()
  return sum
end

local function projection(n)
  planner = Planner.new()
  local scale, offset = variable("scale", 10), variable("offset", 1000)
  local source, out
  local outs = {}
  for i = 1, n do
    source, out = variable("s" .. i, i), variable("o" .. i, i)
    outs[i] = out
    make(Stay, source, NORMAL)
    make(Scale, source, scale, offset, out, REQUIRED)
  end
  edit(source, 17)
  assert(out.value == 1170)
  edit(out, 1050)
  assert(source.value == 5)
  edit(scale, 5)
  for i = 1, n - 1 do assert(outs[i].value == i * 5 + 1000) end
  edit(offset, 2000)
  local sum = 0
  for i = 1, n do sum = sum + outs[i].value end
  return sum
end

local a, b = 0, 0
for _ = 1, rounds do
  a = a + chain(60)
  b = b + projection(40)
end
print(string.format("%d %d", a, b))
