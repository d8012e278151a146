-- Signs of NaN as x86-64 makes them, and how they print.
local zero = 0
local nan = zero / zero
print(nan, -nan, nan + 1, 1 + nan, nan * -1, nan - nan, zero / -zero, math.huge - math.huge, math.huge * zero)
print(string.format("%f %g %.1f %5.1f", nan, nan, -nan, nan), tostring(nan), nan .. "", 0 / 0)
local t = {}
t[1] = nan
print(t[1] == t[1], #t, rawequal(nan, nan), pcall(function() t[nan] = 1 end))
print(t[nan], math.max(nan, 1), math.max(1, nan), math.min(nan, 1), math.min(1, nan))
for i = 1, 3 do local x = zero / zero if i == 3 then print(x ~= x, x, -x) end end
