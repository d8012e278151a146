-- A script that does not compile: nothing runs.
print("never printed")
local x = = 5
