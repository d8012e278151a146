-- os.time, os.date-independent arithmetic of times, clock, getenv, and their types.
print(os.time({ year = 2020, month = 1, day = 1, hour = 0 }), os.time({ year = 2000, month = 2, day = 29 }),
  os.time({ year = 1970, month = 1, day = 1, hour = 0, min = 0, sec = 0 }), os.time({ year = 2024, month = 14, day = -3,
  hour = 30, min = 90, sec = 3600 }))
print(math.type(os.time()), math.type(os.clock()), os.getenv("A_VARIABLE_THAT_IS_NOT_SET"), type(os.getenv("PATH")),
  os.time() > 1600000000, os.clock() >= 0)
print(pcall(os.time, { year = 2020 }))
print(pcall(os.time, { year = "x", month = 1, day = 1 }))
print(pcall(os.time, { year = 2020, month = 1.5, day = 1 }))
print(pcall(os.getenv))
local t = { year = 2021, month = 13, day = 32, hour = 12 }
local n = os.time(t)
print(n, t.year, t.month, t.day, t.hour, t.wday, t.yday)
local before = os.clock()
local s = 0
for i = 1, 100000 do s = s + i end
print(os.clock() >= before, s)
print(os.time({ year = 2020, month = 1, day = 1, hour = 12 }) - os.time({ year = 2019, month = 12, day = 31,
  hour = 12 }))
