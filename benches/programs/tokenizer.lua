-- Splits Lua-like source into tokens, by patterns and by bytes, and compares the two. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 8

local source = ([[
local function area(r) -- of a circle
  if r <= 0 then return nil, "no circle: " .. r end
  return 3.14159 * r ^ 2 -- r squared
end
for i = 1, 10 do print(i, area(i * 1.5e1), 'x', i ~= 3) end
while x >= 0x1F and not y do x = x - 1 t[x] = { a = 1; "two", f(x)(y):z() } end
]]):rep(6)

local keywords = {}
for w in ("local function if then return end for do while and not"):gmatch("%a+") do keywords[w] = true end

local function by_patterns(s)
  local out, at = {}, 1
  local function add(kind, text) out[#out + 1] = kind .. ":" .. text at = at + #text end
  while true do
    at = s:find("%S", at)
    if not at then return out end
    local comment = s:match("^%-%-[^\n]*", at)
    if comment then at = at + #comment
    else
      local word = s:match("^[%a_][%w_]*", at)
      if word then add(keywords[word] and "keyword" or "name", word)
      else
        local number = s:match("^0[xX]%x+", at) or s:match("^%d+%.?%d*[eE]?%d*", at)
        if number then add("number", number)
        else
          local quote = s:match("^['\"]", at)
          if quote then add("string", s:match("^" .. quote .. "[^" .. quote .. "]*" .. quote, at))
          else add("sign", s:match("^%.%.", at) or s:match("^[<>=~]=", at) or s:sub(at, at)) end
        end
      end
    end
  end
end

local function by_bytes(s)
  local byte, sub = string.byte, string.sub
  local out, at, n = {}, 1, #s
  local function letter(c) return c and (c >= 97 and c <= 122 or c >= 65 and c <= 90 or c == 95) end
  local function digit(c) return c and c >= 48 and c <= 57 end
  while at <= n do
    local c, start = byte(s, at), at
    if c == 32 or c == 10 then at = at + 1
    elseif c == 45 and byte(s, at + 1) == 45 then
      while at <= n and byte(s, at) ~= 10 do at = at + 1 end
    elseif letter(c) then
      repeat at = at + 1 c = byte(s, at) until not (letter(c) or digit(c))
      local word = sub(s, start, at - 1)
      out[#out + 1] = (keywords[word] and "keyword:" or "name:") .. word
    elseif digit(c) then
      repeat at = at + 1 c = byte(s, at) until not (digit(c) or letter(c) or c == 46)
      out[#out + 1] = "number:" .. sub(s, start, at - 1)
    elseif c == 34 or c == 39 then
      repeat at = at + 1 until byte(s, at) == c
      at = at + 1
      out[#out + 1] = "string:" .. sub(s, start, at - 1)
    else
      local d = byte(s, at + 1)
      at = at + ((c == 46 and d == 46 or (c == 60 or c == 62 or c == 61 or c == 126) and d == 61) and 2 or 1)
      out[#out + 1] = "sign:" .. sub(s, start, at - 1)
    end
  end
  return out
end

local a, b
for _ = 1, rounds do
  a, b = by_patterns(source), by_bytes(source)
  assert(#a == #b)
  for i = 1, #a do assert(a[i] == b[i], a[i]) end
end
local counts = {}
for i = 1, #a do
  local kind = a[i]:match("^%a+")
  counts[kind] = (counts[kind] or 0) + 1
end
for _, kind in ipairs { "keyword", "name", "number", "string", "sign" } do print(kind, counts[kind]) end
