-- string.byte, sub, char, len, rep, format, find, concatenation and comparison in hot loops.
local s = "the quick brown fox jumps over the lazy dog"
local h = 0
for r = 1, 10 do for i = 1, #s do h = (h * 31 + s:byte(i)) % 1000003 end end
print(h)
local n = 0
for i = 1, 200 do
  local c = s:sub(i % #s + 1, i % #s + 1)
  if c == "o" then n = n + 1 elseif c == " " then n = n + 100 end
end
print(n)
for i = -60, 60 do h = h + (s:byte(i) or 1) + #s:sub(i) + #s:sub(1, i) + #s:sub(i, -i) end
print(h)
local t = {}
for i = 1, 150 do t[i] = string.char(97 + i % 26) end
local str = table.concat(t)
print(#str, str:sub(1, 30))
local r = ""
for i = 1, 120 do
  r = r .. t[i]
  if #r > 50 then r = r:sub(-10) end
end
print(r)
local up = 0
for i = 1, 150 do
  if t[i] < "m" then
    up = up + 1
  elseif t[i] == "m" then
    up = up + 1000
  elseif t[i] >= "x" then
    up = up + 10000
  end
  if t[i] .. t[i] <= "mm" then up = up + 1 end
end
print(up)
local k = 0
for i = 1, 150 do
  local x = tostring(i)
  k = k + #x + (tonumber(x) or 0) + tonumber(x .. ".5")
  if x == "77" then k = k + 5000 end
end
print(k)
for i = 1, 100 do
  local f = string.format("%d:%s:%5.2f", i, t[i], i / 3)
  k = k + #f + f:byte(-1)
end
print(k)
for i = 1, 100 do
  local a, b = s:find(t[i], 1, true)
  k = k + (a or 0) + (b or 0)
end
print(k)
local cnt = {}
for i = 1, 200 do
  local c = s:sub(i % 43 + 1, i % 43 + 1)
  cnt[c] = (cnt[c] or 0) + 1
end
print(cnt.o, cnt[" "], cnt.z)
local e = 0
for i = 1, 150 do
  local a, b, c = s:byte(i % 40 + 1, i % 40 + 3)
  e = e + a + (b or 0) + (c or 0)
  local d = ("x"):rep(i % 5)
  e = e + #d
  if d == "xxx" then e = e + 1 end
end
print(e)
local eq = 0
for i = 1, 150 do
  local a, b = "k" .. i % 10, "k" .. (i + 10) % 10
  if a == b then eq = eq + 1 end
  local l1, l2 = ("z"):rep(45) .. i % 3, ("z"):rep(45) .. (i + 3) % 3
  if l1 == l2 then eq = eq + 1000 end
end
print(eq)
local words = {}
for w in ("alpha beta gamma delta"):gmatch("%a+") do words[#words + 1] = w end
local lens = 0
for i = 1, 200 do
  local w = words[i % 4 + 1]
  lens = lens + #w
  if w == "beta" then lens = lens + 1 elseif w == "gamma" then lens = lens + 2 end
  local up2 = w:upper()
  if up2:lower() ~= w then lens = -1 end
  if w:reverse():reverse() == w then lens = lens + 1 end
end
print(lens)
local sum = 0
for i = 1, 150 do
  sum = sum + ("10" + i) + ("0x10" * 1)
  if i == 100 then sum = sum .. "" end
end
print(sum)
local ctl = 0
for i = 0, 255 do
  local c = string.char(i)
  if c:byte() ~= i then ctl = ctl + 1 end
  if c == "\0" then ctl = ctl + 100 end
  if c:upper() ~= c then ctl = ctl + 1 end
end
print(ctl)
local caesar = {}
for i = 1, #s do
  local b = s:byte(i)
  if b >= 97 and b <= 122 then b = (b - 97 + 13) % 26 + 97 end
  caesar[i] = string.char(b)
end
print(table.concat(caesar))
local pal = 0
for i = 1, 1000 do
  local d = tostring(i)
  if d == d:reverse() then pal = pal + 1 end
end
print(pal)
for i = 1, 200 do
  local ok, m = pcall(string.rep, "x", i % 50 == 0 and {} or 2)
  if not ok then pal = pal + 1000 end
end
print(pal)
local buf = {}
for i = 1, 100 do
  buf[#buf + 1] = i
  buf[#buf + 1] = i % 7 == 0 and "\n" or ","
  if i % 20 == 0 then buf = { table.concat(buf) } end
end
print(#buf[1])
local cc = 0
for i = 1, 100 do
  local x = i .. "" .. i * 0.5 .. "y" .. (i % 2 == 0 and "e" or "o")
  cc = cc + #x
end
print(cc)
local esc = 0
for i = 1, 100 do
  local q = ("%q"):format("a\n" .. i)
  esc = esc + #q
end
print(esc)
local g = 0
for i = 1, 60 do
  local x, c = s:gsub("o", i % 2 == 0 and "0" or function() g = g + 1 end)
  g = g + c + #x
end
print(g)
