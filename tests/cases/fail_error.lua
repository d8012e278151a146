-- An uncaught error: message and traceback on stderr, exit status 1.
local function inner(x) error("went wrong: " .. x) end
local function outer() inner("here") end
print("before")
outer()
