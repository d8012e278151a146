-- A small language: tokens, a parser with precedences, a stack machine that runs the result. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 3

local function tokens(source)
  local list, at = {}, 1
  while true do
    at = source:find("%S", at)
    if not at then break end
    local word = source:match("^[%a_][%w_]*", at) or source:match("^%d+", at) or source:match("^[<>=!]=", at)
      or source:sub(at, at)
    list[#list + 1] = word
    at = at + #word
  end
  list[#list + 1] = "<end>"
  return list
end

local level = { ["<"] = 1, [">"] = 1, ["=="] = 1, ["!="] = 1, ["+"] = 2, ["-"] = 2, ["*"] = 3, ["/"] = 3, ["%"] = 3 }

local function compile(source)
  local list, at, code, names, count = tokens(source), 1, {}, {}, 0
  local function peek() return list[at] end
  local function take(what)
    local word = list[at]
    if what and word ~= what then error(("'%s' expected near '%s'"):format(what, word), 0) end
    at = at + 1
    return word
  end
  local function emit(op, x) code[#code + 1] = { op = op, x = x } return code[#code] end
  local function slot(name)
    if not names[name] then count = count + 1 names[name] = count end
    return names[name]
  end
  local expression
  local function primary()
    local word = take()
    if word == "(" then expression(0) take(")")
    elseif word == "-" then primary() emit("negate")
    elseif word:find("^%d") then emit("push", tonumber(word))
    elseif word:find("^[%a_]") then emit("load", slot(word))
    else error(("unexpected '%s'"):format(word), 0) end
  end
  function expression(limit)
    primary()
    while level[peek()] and level[peek()] > limit do
      local op = take()
      expression(level[op])
      emit(op)
    end
  end
  local block
  local function statement()
    local word = take()
    if word == "while" then
      local start = #code + 1
      expression(0)
      local out = emit("unless")
      block()
      emit("jump", start)
      out.x = #code + 1
    elseif word == "if" then
      expression(0)
      local other = emit("unless")
      block()
      if peek() == "else" then
        take()
        local out = emit("jump")
        other.x = #code + 1
        block()
        out.x = #code + 1
      else
        other.x = #code + 1
      end
    elseif word == "print" then
      expression(0) emit("print") take(";")
    else
      local target = slot(word)
      take("=") expression(0) emit("store", target) take(";")
    end
  end
  function block()
    take("{")
    while peek() ~= "}" do statement() end
    take("}")
  end
  while peek() ~= "<end>" do statement() end
  emit("halt")
  return code, count
end

local function run(code, count, out)
  local stack, top, vars, pc, steps = {}, 0, {}, 1, 0
  for i = 1, count do vars[i] = 0 end
  while true do
    local i = code[pc]
    local op, x = i.op, i.x
    pc = pc + 1
    steps = steps + 1
    if op == "load" then top = top + 1 stack[top] = vars[x]
    elseif op == "push" then top = top + 1 stack[top] = x
    elseif op == "store" then vars[x] = stack[top] top = top - 1
    elseif op == "jump" then pc = x
    elseif op == "unless" then
      if stack[top] == 0 then pc = x end
      top = top - 1
    elseif op == "negate" then stack[top] = -stack[top]
    elseif op == "print" then out[#out + 1] = stack[top] top = top - 1
    elseif op == "halt" then return steps
    else
      local b = stack[top]
      top = top - 1
      local a = stack[top]
      if op == "+" then a = a + b
      elseif op == "-" then a = a - b
      elseif op == "*" then a = a * b
      elseif op == "/" then a = (a - a % b) / b
      elseif op == "%" then a = a % b
      elseif op == "<" then a = a < b and 1 or 0
      elseif op == ">" then a = a > b and 1 or 0
      elseif op == "==" then a = a == b and 1 or 0
      elseif op == "!=" then a = a ~= b and 1 or 0 end
      stack[top] = a
    end
  end
end

local program = [[
n = 2; found = 0; sum = 0;
while found < 60 {
  d = 2; prime = 1;
  while d * d < n + 1 {
    if n % d == 0 { prime = 0; d = n; } else { d = d + 1; }
  }
  if prime { found = found + 1; sum = sum + n; if found % 20 == 0 { print n; } }
  n = n + 1;
}
print sum;
a = 0; b = 1; i = 0;
while i < 40 { t = a + b; a = b; b = t; i = i + 1; }
print a;
x = 27; steps = 0;
while x != 1 { if x % 2 { x = 3 * x + 1; } else { x = x / 2; } steps = steps + 1; }
print steps; print -(2 + 3) * 4;
]]
local out, steps
for _ = 1, rounds do
  local code, count = compile(program)
  out = {}
  steps = run(code, count, out)
end
for i = 1, #out do out[i] = string.format("%d", out[i]) end
print(table.concat(out, " "))
print(string.format("%d steps", steps))
for _, bad in ipairs { "x = ;", "while 1 { x = 1", "print (1;" } do print(select(2, pcall(compile, bad))) end
