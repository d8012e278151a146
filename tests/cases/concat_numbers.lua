-- Strings, integers and floats put together, in every order and number.
local a, b, c = "a", "", "xyz"
local long = ("long "):rep(9)
local huge = ("0123456789"):rep(450)
local out, hash, length = {}, 0, 0
for i = -60, 140 do
  local n = i * 77777777777
  local f = i / 4
  out[1] = a .. i
  out[2] = i .. a
  out[3] = i .. i
  out[4] = i .. n .. i
  out[5] = a .. i .. c .. n
  out[6] = i .. b .. n .. b
  out[7] = n .. n .. n .. n
  out[8] = a .. i .. c .. n .. a
  out[9] = i .. a .. i .. a .. i .. a .. i .. a .. i
  out[10] = a .. b .. c .. long .. i .. n .. a .. b .. c .. long
  out[11] = f .. i .. a .. f
  out[12] = b .. i .. b .. f .. b
  out[13] = long .. i
  out[14] = i .. huge .. n
  out[15] = b .. b .. i
  out[16] = i .. f
  for k = 1, #out do
    local s = out[k]
    length = length + #s
    for p = 1, #s, 3 do hash = (hash * 31 + s:byte(p)) % 1000000007 end
  end
  if i == 140 or i == -1 or i == 0 then
    out[14] = out[14]:sub(1, 12) .. #out[14]
    print(table.concat(out, "|"))
  end
end
print(length, hash)
local extremes = { math.mininteger, math.maxinteger, 0, -1, 10, -10, 9223372036854775799 }
for round = 1, 80 do
  local i = extremes[round % #extremes + 1]
  local s = "<" .. i .. ">" .. i
  local t = i .. ""
  if round > 73 then print(s, t, #t, s == "<" .. t .. ">" .. t) end
end
