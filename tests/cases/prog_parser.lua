-- A recursive-descent calculator with variables, functions and errors with positions.
local function evaluate(src, env)
  local pos = 1
  local function peek(p) return src:match("^%s*" .. p, pos) end
  local function take(p)
    local m, e = src:match("^%s*(" .. p .. ")()", pos)
    if m then pos = e end
    return m
  end
  local function fail(what) error(("%s at %d"):format(what, pos), 0) end
  local expr
  local function atom()
    local n = take("%d+%.?%d*[eE][+-]?%d+") or take("%d+%.?%d*") or take("%.%d+")
    if n then return tonumber(n) end
    local id = take("[%a_][%w_]*")
    if id then
      if take("%(") then
        local args = {}
        if not take("%)") then
          repeat args[#args + 1] = expr() until not take(",")
          if not take("%)") then fail("')' expected") end
        end
        local f = env[id]
        if type(f) ~= "function" then fail("no function " .. id) end
        return f(table.unpack(args))
      end
      local v = env[id]
      if v == nil then fail("no variable " .. id) end
      return v
    end
    if take("%(") then
      local v = expr()
      if not take("%)") then fail("')' expected") end
      return v
    end
    if take("-") then return -atom() end
    fail("unexpected '" .. (src:sub(pos, pos)) .. "'")
  end
  local function power()
    local b = atom()
    if take("%^") then return b ^ power() end
    return b
  end
  local function term()
    local v = power()
    while true do
      local op = take("[*/%%]")
      if not op then return v end
      local r = power()
      if op == "*" then
        v = v * r
      elseif op == "/" then
        if r == 0 then fail("division by zero") end
        v = v / r
      else
        v = v % r
      end
    end
  end
  function expr()
    local v = term()
    while true do
      local op = take("[+-]")
      if not op then return v end
      local r = term()
      v = op == "+" and v + r or v - r
    end
  end
  local name = src:match("^%s*([%a_]%w*)%s*=[^=]")
  if name then pos = src:find("=") + 1 end
  local v = expr()
  if not take("$") and pos <= #src then fail("extra input") end
  if name then env[name] = v end
  return v
end
local env = { pi = math.pi, sqrt = math.sqrt, max = math.max, id = function(...)
  return (...)
end }
for _, e in ipairs { "1 + 2 * 3", "(1 + 2) * 3", "2 ^ 3 ^ 2", "-2 ^ 2", "10 / 4", "10 % 4 * 2", "x = 5", "x * x + 1",
  "sqrt(16) + max(1, x, 3)", "1.5e3 + .5", "id(7)", "max()", "1 +", "(1", "1 2", "y + 1", "foo(1)", "1 / 0", "* 2", "",
  "x = x + 1", "x" } do
  local ok, v = pcall(evaluate, e, env)
  print(("%-24s"):format(e), ok and "=" or "!", (tostring(v):gsub("^.-:%d+: ", "")))
end
local s = 0
for i = 1, 200 do
  env.i = i
  s = s + evaluate("i * 2 + (i - 1) % 7 - sqrt(i * i)", env)
end
print(s)
