-- A tape machine's programs turned into closures and into Lua source. Size: repetitions of the program.
local rounds = tonumber(arg and arg[1]) or 2
local load = loadstring or load

local program = ("++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]>>.>---.+++++++..+++.>>.<-.<.+++.------.--------.>>+.>++.")

local function parse(p, at)
  local list = {}
  while at <= #p do
    local c = p:sub(at, at)
    if c == "]" then return list, at
    elseif c == "[" then
      local body
      body, at = parse(p, at + 1)
      list[#list + 1] = { "loop", body }
    else
      local last = list[#list]
      if last and last[1] == c and c ~= "." then last[2] = last[2] + 1 else list[#list + 1] = { c, 1 } end
    end
    at = at + 1
  end
  return list
end

local function closures(list, m)
  local steps = {}
  for i, op in ipairs(list) do
    local kind, n = op[1], op[2]
    if kind == "+" then steps[i] = function() local t = m.tape t[m.at] = (t[m.at] + n) % 256 end
    elseif kind == "-" then steps[i] = function() local t = m.tape t[m.at] = (t[m.at] - n) % 256 end
    elseif kind == ">" then steps[i] = function() m.at = m.at + n end
    elseif kind == "<" then steps[i] = function() m.at = m.at - n end
    elseif kind == "." then steps[i] = function() m.out[#m.out + 1] = string.char(m.tape[m.at]) end
    else
      local body = closures(n, m)
      steps[i] = function() while m.tape[m.at] ~= 0 do body() end end
    end
  end
  return function() for i = 1, #steps do steps[i]() end end
end

local function source(list, out)
  for _, op in ipairs(list) do
    local kind, n = op[1], op[2]
    if kind == "+" or kind == "-" then out[#out + 1] = ("tape[at] = (tape[at] %s %d) %% 256"):format(kind, n)
    elseif kind == ">" or kind == "<" then out[#out + 1] = ("at = at %s %d"):format(kind == ">" and "+" or "-", n)
    elseif kind == "." then out[#out + 1] = "out[#out + 1] = string.char(tape[at])"
    else
      out[#out + 1] = "while tape[at] ~= 0 do"
      source(n, out)
      out[#out + 1] = "end"
    end
  end
  return out
end

local function tape() local t = {} for i = 0, 63 do t[i] = 0 end return t end
local tree = parse(program, 1)
local a, b
for _ = 1, rounds * 4 do
  local m = { tape = tape(), at = 0, out = {} }
  closures(tree, m)()
  a = table.concat(m.out)
  local code = "local tape, out = ... local at = 0 " .. table.concat(source(tree, {}), "\n")
  local out = {}
  assert(load(code, "tape"))(tape(), out)
  b = table.concat(out)
end
print(a, b, a == b)
