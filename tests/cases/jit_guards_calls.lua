-- Native functions that a hot loop calls fail, some of them inside of functions that compiled code has inlined. The error
-- comes from the right place, and everything before it has happened.

local function list_of(n, usual, at, unusual)
  local list = {}
  for i = 1, n do list[i] = usual end
  list[at] = unusual
  return list
end

local function report(name, f, ...)
  local log = {}
  local ok, message = pcall(f, log, ...)
  print(name, ok, message, #log, log[#log])
end

report("format", function(log, formats)
  for i = 1, 200 do
    log[i] = i
    local text = string.format(formats[i], i)
    log[i] = text
  end
end, list_of(200, "%d", 150, "%y"))

report("no result wanted", function(log, lists)
  for i = 1, 200 do
    log[#log + 1] = i
    table.concat(lists[i])
    log[#log + 1] = i
  end
end, list_of(200, { 1, 2 }, 150, { 1, {}, 2 }))

report("inlined", function(log, texts)
  local function check(text)
    local number = assert(tonumber(text), "not a number")
    return number + 1
  end
  local function twice(text)
    local first = check(text)
    return first * 2
  end
  for i = 1, 200 do
    log[i] = twice(texts[i])
  end
end, list_of(200, "20", 180, "text"))

report("all results", function(log, texts)
  local function bytes(text, last) return string.byte(text, 1, last) end
  for i = 1, 200 do
    log[i] = select("#", bytes(texts[i], 2))
  end
end, list_of(200, "abc", 170, {}))

report("callback", function(log, words)
  local function replace(word)
    if word == "fail" then error(42) end
    return word .. word
  end
  for i = 1, 200 do
    local ok = string.gsub(words[i], "%a+", replace)
    log[i] = ok
  end
end, list_of(200, "ok", 160, "this will fail now"))

report("iterator", function(log, keys)
  local t = { a = 1, b = 2 }
  for i = 1, 200 do
    log[i] = next(t, keys[i]) and 1 or 0
  end
end, list_of(200, nil, 150, "no such key"))

-- The handler sees the frames that the interpreter would have.
local function traced(texts)
  local function inner(i)
    local text = texts[i]
    local length = string.rep(text, 3, ",")
    return #length
  end
  local sum = 0
  for i = 1, 200 do
    sum = sum + inner(i)
  end
  return sum
end
print(xpcall(traced, function(message)
  local frames = {}
  for level = 2, 5 do
    local info = debug.getinfo(level, "Sl")
    frames[#frames + 1] = info.what .. ":" .. info.currentline
  end
  return message .. " in " .. table.concat(frames, " ")
end, list_of(200, "ab", 190, {})))

-- An error that is caught outside, and the loop starts again.
do
  local formats, done = list_of(200, "%d", 77, "%y"), 0
  for round = 1, 20 do
    local ok, message = pcall(function()
      for i = 1, 100 do
        done = done + #string.format(formats[i], i)
      end
    end)
    if round == 20 then print("again", ok, message, done) end
  end
end
