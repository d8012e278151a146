-- Functions with loops that are compiled, and then forgotten.
local kept = {}
for n = 1, 80 do
  kept[n] = load("local function work_" .. n .. "() local s = 0 for i = 1, 100 do s = s + i end return s end return work_" .. n)()
  kept[n]()
end
os.getenv("BEFORE")
kept = nil
collectgarbage()
collectgarbage()
os.getenv("AFTER")
