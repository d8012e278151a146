-- An error raised by a native function names the argument.
local s = "x"
print(s:rep(2))
print(s:rep({}))
