-- Arithmetic on a field that is missing.
local account = { balance = 10 }
local function withdraw(a, n) a.balance = a.balance - n a.log = a.count + 1 end
withdraw(account, 5)
