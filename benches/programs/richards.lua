-- An operating system's kernel in small: tasks with queues, priorities, devices and packets. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 3

local IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B = 1, 2, 3, 4, 5, 6
local KIND_DEVICE, KIND_WORK = 0, 1

local function packet(link, id, kind) return { link = link, id = id, kind = kind, datum = 0, data = { 0, 0, 0, 0 } } end
local function append(p, queue)
  p.link = nil
  if not queue then return p end
  local last = queue
  while last.link do last = last.link end
  last.link = p
  return queue
end

local Scheduler = {}
Scheduler.__index = Scheduler

local Task = {}
Task.__index = Task
local function task(scheduler, id, priority, queue, run, state)
  local t = setmetatable({
    scheduler = scheduler, id = id, priority = priority, input = queue, run = run, state = state,
    pending = queue ~= nil, waiting = false, holding = false, link = scheduler.list,
  }, Task)
  scheduler.list = t
  scheduler.tasks[id] = t
  return t
end
function Task:blocked() return self.holding or (not self.pending and self.waiting) end
function Task:receive(p, old)
  if not self.input then
    self.input = p
    self.pending = true
    if self.priority > old.priority then return self end
  else
    append(p, self.input)
  end
  return old
end
function Task:step()
  local message
  if self.pending and self.waiting then
    message = self.input
    self.input = message.link
    self.pending = self.input ~= nil
    self.waiting = false
  end
  return self.run(self, message)
end

function Scheduler:wait() self.current.waiting = true return self.current end
function Scheduler:hold()
  self.holds = self.holds + 1
  self.current.holding = true
  return self.current.link
end
function Scheduler:release(id)
  local t = self.tasks[id]
  t.holding = false
  if t.priority > self.current.priority then return t end
  return self.current
end
function Scheduler:send(p)
  local t = self.tasks[p.id]
  self.sent = self.sent + 1
  p.link = nil
  p.id = self.current.id
  return t:receive(p, self.current)
end
function Scheduler:schedule()
  self.current = self.list
  while self.current do
    local t = self.current
    if t:blocked() then
      self.current = t.link
    else
      self.current = t:step()
    end
  end
end

local function idle(t)
  local s = t.state
  s.count = s.count - 1
  if s.count == 0 then return t.scheduler:hold() end
  if s.seed % 2 == 0 then
    s.seed = s.seed / 2
    return t.scheduler:release(DEVICE_A)
  end
  local half = (s.seed - 1) / 2
  -- a shift register of 16 bits with taps 0xD008
  local out, bit, tap, a = 0, 1, 0xD008, half
  for _ = 1, 16 do
    local x, y = a % 2, tap % 2
    if x ~= y then out = out + bit end
    a, tap, bit = (a - x) / 2, (tap - y) / 2, bit * 2
  end
  s.seed = out
  return t.scheduler:release(DEVICE_B)
end

local function worker(t, message)
  if not message then return t.scheduler:wait() end
  local s = t.state
  s.destination = s.destination == HANDLER_A and HANDLER_B or HANDLER_A
  message.id = s.destination
  message.datum = 0
  for i = 1, 4 do
    s.count = s.count + 1
    if s.count > 26 then s.count = 1 end
    message.data[i] = 64 + s.count
  end
  return t.scheduler:send(message)
end

local function handler(t, message)
  local s = t.state
  if message then
    if message.kind == KIND_WORK then s.work = append(message, s.work)
    else s.devices = append(message, s.devices) end
  end
  local work = s.work
  if work then
    local count = work.datum
    if count >= 4 then
      s.work = work.link
      return t.scheduler:send(work)
    end
    local device = s.devices
    if device then
      s.devices = device.link
      device.datum = work.data[count + 1]
      work.datum = count + 1
      return t.scheduler:send(device)
    end
  end
  return t.scheduler:wait()
end

local function device(t, message)
  local s = t.state
  if not message then
    local p = s.packet
    if not p then return t.scheduler:wait() end
    s.packet = nil
    return t.scheduler:send(p)
  end
  s.packet = message
  return t.scheduler:hold()
end

local function run()
  local s = setmetatable({ tasks = {}, sent = 0, holds = 0 }, Scheduler)
  task(s, IDLE, 0, nil, idle, { seed = 1, count = 1000 })
  local q = packet(packet(nil, WORKER, KIND_WORK), WORKER, KIND_WORK)
  task(s, WORKER, 1000, q, worker, { destination = HANDLER_A, count = 0 }).waiting = true
  for i, id in ipairs { HANDLER_A, HANDLER_B } do
    local dev = i == 1 and DEVICE_A or DEVICE_B
    q = packet(packet(packet(nil, dev, KIND_DEVICE), dev, KIND_DEVICE), dev, KIND_DEVICE)
    task(s, id, 1000 + i * 1000, q, handler, {}).waiting = true
  end
  for i, id in ipairs { DEVICE_A, DEVICE_B } do
    task(s, id, 3000 + i * 1000, nil, device, {}).waiting = true
  end
  s:schedule()
  return s.sent, s.holds
end

local sent, holds
for _ = 1, rounds do sent, holds = run() end
print(string.format("%d packets sent, %d holds", sent, holds))
