-- an error of the hook at the return of pcall is not caught by that pcall
local function hook_for(f)
  return function()
    if debug.getinfo(2, "f").func == f then
      debug.sethook()
      error("from the hook", 0)
    end
  end
end
local function try(f, ...)
  print(pcall(function(...)
    debug.sethook(hook_for(f), "r")
    print(f(...))
    return "not here"
  end, ...))
  debug.sethook()
end
try(pcall, error, "x")
try(pcall, tostring, 1)
try(xpcall, error, print, "x")
try(xpcall, tostring, print, 1)
-- with a variable that is closed on the way
print(pcall(function()
  local v <close> = setmetatable({}, { __close = function(_, e) print("closing", e) end })
  debug.sethook(hook_for(pcall), "r")
  pcall(function() local w <close> = setmetatable({}, { __close = function(_, e) print("inner", e) end }) error("y", 0) end)
end))
-- in a coroutine
local co = coroutine.create(function()
  debug.sethook(hook_for(pcall), "r")
  pcall(error)
end)
print(coroutine.resume(co))
print(coroutine.status(co))
