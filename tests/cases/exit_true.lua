-- os.exit(true, true) closes the state.
local o <close> = setmetatable({}, { __close = function() print("closed") end })
setmetatable({}, { __gc = function() print("finalized") end })
print("leaving")
os.exit(true, true)
