-- Runs the script that is its first argument with a hook, which says at the lines that are its other arguments what the
-- variables are. Beside `watch.py`, which does so in gdb.
local script, lines = arg[1], {}
for n = 2, #arg do
  lines[tonumber(arg[n])] = true
end

local function show(value)
  local kind = math.type(value) or type(value)
  if kind == "string" then
    return '"' .. value .. '"'
  elseif kind == "table" or kind == "function" then
    return "object"
  elseif kind == "float" then
    return ("%.17g"):format(value)
  end
  return tostring(value)
end

local function variables(level)
  local list, n = {}, 1
  while true do
    local name, value = debug.getlocal(level + 1, n)
    if not name then break end
    if name:sub(1, 1) ~= "(" then
      list[#list + 1] = name .. " = " .. show(value)
    end
    n = n + 1
  end
  table.sort(list)
  return table.concat(list, "; ")
end

local chunk = assert(loadfile(script))
local function hook(_, line)
  if lines[line] and debug.getinfo(2, "S").source == "@" .. script then
    print("stop " .. line .. ": " .. variables(2))
  end
end

-- Coroutines have hooks of their own.
local create = coroutine.create
function coroutine.create(f)
  local co = create(f)
  debug.sethook(co, hook, "l")
  return co
end

function coroutine.wrap(f)
  local co = coroutine.create(f)
  return function(...)
    return select(2, assert(coroutine.resume(co, ...)))
  end
end

debug.sethook(hook, "l")
chunk()
debug.sethook()
