-- Functions with loops that are compiled, and some that are never run, and then all are forgotten.
local kept = {}
for n = 1, 80 do
  kept[n] = load("local function work_" .. n .. "() local s = 0 for i = 1, 100 do s = s + i end return s end return work_" .. n)()
  kept[n]()
end
for n = 1, 20 do
  kept[80 + n] = load("local function idle_" .. n .. "()\n  return 1\nend\nreturn idle_" .. n)()
end
os.getenv("BEFORE")
kept = nil
collectgarbage()
collectgarbage()
os.getenv("AFTER")
