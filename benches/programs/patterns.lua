-- gsub, gmatch, find and match over a log: parsing, rewriting, validation. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 6

local lines = {}
for i = 1, 120 do
  lines[i] = ("2024-%02d-%02d %02d:%02d:%02d [%s] host%d: GET /a/b%d?x=%d&y=%%2%d  %dms"):format(
    i % 12 + 1, i % 28 + 1, i % 24, i % 60, i * 7 % 60, i % 5 == 0 and "error" or "info", i % 4, i, i * i, i % 10, i * 13 % 997)
end
local log = table.concat(lines, "\n")

local errors, time, hosts, hash = 0, 0, {}, 0
for _ = 1, rounds do
  errors, time, hosts = 0, 0, {}
  for year, month, day, rest in log:gmatch("(%d%d%d%d)%-(%d%d)%-(%d%d) ([^\n]*)") do
    local level, host, path, ms = rest:match("^[%d:]+ %[(%a+)%] (%w+): GET (%S+)%s+(%d+)ms$")
    if level == "error" then errors = errors + 1 end
    time = time + tonumber(ms)
    hosts[host] = (hosts[host] or 0) + 1
    hash = (hash + tonumber(year) * tonumber(month) + tonumber(day)) % 1000003
    for key, value in path:gmatch("(%w)=([^&]*)") do
      value = value:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end)
      hash = (hash * 3 + #key + #value) % 1000003
    end
  end
  local swapped = log:gsub("(%d+):(%d+):(%d+)", "%3-%2-%1")
  local trimmed, spaces = swapped:gsub("%s+", " ")
  local shouted = trimmed:gsub("%f[%a]%l+", string.upper)
  local balanced = ("f(a(b)c)(d)"):rep(20):gsub("%b()", "<>")
  hash = (hash + #shouted + spaces + #balanced) % 1000003
  for i = 1, #shouted, 11 do hash = (hash * 5 + shouted:byte(i)) % 1000003 end
end
print(string.format("%d errors, %d ms, checksum %d", errors, time, hash))
for i = 0, 3 do print("host" .. i, hosts["host" .. i]) end
