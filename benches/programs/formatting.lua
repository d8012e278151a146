-- string.format with all kinds of conversions. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 1000

local format, total, hash = string.format, 0, 0
local lines
for round = 1, rounds do
  local x, i = round * 1.37 - 500, round * 7919 % 100003
  lines = {
    format("%5d|%-8d|%08d|%+d", i, i, i, i),
    format("%x %X %#x %o", i, i, i, i),
    format("%.3f %10.2f %-10.1f| %e", x, x, x, x),
    format("%g %.10g %G", x, x / 3, x * 1e20),
    format("%s %10s %-10s| %.2s", "abc", "def", "ghi", "jkl"),
    format("%q %c%c%c %%", 'a "quoted"\n', 72, 105, 33),
    format("%s %s %s", nil, true, i),
  }
  for k = 1, #lines do
    local s = lines[k]
    total = total + #s
    hash = (hash * 17 + s:byte(#s - k % #s) + #s) % 1000003
  end
end
print(table.concat(lines, "\n"))
print(format("%d bytes, checksum %d", total, hash))
