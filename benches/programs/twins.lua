-- Objects of a few classes that have a metatable each: balls in a box, a chain of handlers, accounts. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 30

local Ball = {}
function Ball.new(x, y, dx, dy)
  return setmetatable({ x = x, y = y, dx = dx, dy = dy, hits = 0 }, { __index = Ball })
end
function Ball:move()
  self.x, self.y = self.x + self.dx, self.y + self.dy
  if self.x < 0 or self.x > 400 then self.dx = -self.dx self.hits = self.hits + 1 end
  if self.y < 0 or self.y > 300 then self.dy = -self.dy self.hits = self.hits + 1 end
end

local Handler = {}
function Handler.new(limit, after) return setmetatable({ limit = limit, after = after, count = 0 }, { __index = Handler }) end
function Handler:handle(n)
  if n <= self.limit or not self.after then
    self.count = self.count + 1
    return self.limit
  end
  return self.after:handle(n)
end

local Account, Savings = {}, {}
function Account.new(class, balance) return setmetatable({ balance = balance }, { __index = class }) end
function Account:deposit(n) self.balance = self.balance + n return self end
function Account:fee() return 1 end
function Savings:fee() return 2 end
setmetatable(Savings, { __index = Account })

local balls, accounts, chain = {}, {}, nil
for i = 1, 50 do balls[i] = Ball.new(i * 7 % 400, i * 11 % 300, i % 13 - 6, i % 7 - 3) end
for i = 1, 40 do accounts[i] = Account.new(i % 3 == 0 and Savings or Account, i) end
for i = 10, 1, -1 do chain = Handler.new(i * 10, chain) end

local handled, hits, fees = 0, 0, 0
for round = 1, rounds do
  for i = 1, #balls do balls[i]:move() end
  for n = 1, 120, 7 do handled = handled + chain:handle(n) end
  for i = 1, #accounts do fees = fees + accounts[i]:deposit(round):fee() end
  -- Some are replaced.
  local i = round % 50 + 1
  hits = hits + balls[i].hits
  balls[i] = Ball.new(round % 400, round % 300, round % 5 - 2, round % 9 - 4)
end
local balance = 0
for i = 1, #accounts do balance = balance + accounts[i].balance end
print(handled, hits, fees, balance)
