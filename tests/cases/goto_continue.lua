-- goto: continue, nested breaks, backward loops, closures in loops.
for i = 1, 5 do
  if i % 2 == 0 then goto continue end
  io.write(i, " ")
  ::continue::
end
print()
do
  local i = 1
  ::top::
  if i <= 3 then io.write(i, " ") i = i + 1 goto top end
  print()
end
for i = 1, 3 do
  for j = 1, 3 do
    if i * j == 4 then goto out end
    io.write(i, "*", j, " ")
  end
end
::out:: print("out")
do
  local fs = {}
  local i = 1
  ::again::
  local x = i * 10
  fs[i] = function() x = x + 1 return x end
  i = i + 1
  if i <= 3 then goto again end
  print(fs[1](), fs[1](), fs[2](), fs[3]())
end
local n = 0
while true do
  n = n + 1
  do
    if n < 3 then goto skip end
    if n > 5 then goto finish end
    io.write(n, " ")
  end
  ::skip::
end
::finish:: print(n)
repeat local done = n > 7 n = n + 1 if not done then goto cont end io.write("done ") ::cont:: until done
print(n)
for _, code in ipairs {
  "goto nowhere", "do ::a:: end goto a", "::a:: ::a::", "goto f local x ::f:: print(x)", "break",
  "goto f local x ::f::", "do goto f end local x ::f::", "repeat if x then goto c end local y ::c:: until y", "::a:: do ::a:: end",
  "while true do break break end", "for i = 1, 2 do ::l:: end ::l::", "local function f() goto out end ::out::",
} do
  print(select(2, load(code, "=chunk")))
end
