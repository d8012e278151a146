-- An error in a wrapped coroutine reaches the main program.
local w = coroutine.wrap(function() local function f() error("in the coroutine") end f() end)
w()
