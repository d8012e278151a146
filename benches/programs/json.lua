-- Encodes a document as JSON, decodes it, encodes it again, and compares. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 25

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }
local unescapes = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f", ["/"] = "/", ["\\"] = "\\", ['"'] = '"' }

local encode
local function encode_string(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return escapes[c] or string.format("\\u%04x", c:byte()) end) .. '"'
end
function encode(v, out)
  local t = type(v)
  if t == "nil" then out[#out + 1] = "null"
  elseif t == "boolean" then out[#out + 1] = tostring(v)
  elseif t == "number" then out[#out + 1] = string.format("%.14g", v)
  elseif t == "string" then out[#out + 1] = encode_string(v)
  elseif #v > 0 then
    out[#out + 1] = "["
    for i = 1, #v do
      if i > 1 then out[#out + 1] = "," end
      encode(v[i], out)
    end
    out[#out + 1] = "]"
  else
    local keys = {}
    for k in pairs(v) do keys[#keys + 1] = k end
    table.sort(keys)
    out[#out + 1] = "{"
    for i, k in ipairs(keys) do
      if i > 1 then out[#out + 1] = "," end
      out[#out + 1] = encode_string(k)
      out[#out + 1] = ":"
      encode(v[k], out)
    end
    out[#out + 1] = "}"
  end
  return out
end

local value
local function fail(s, at, what) error(string.format("%s at byte %d near '%s'", what, at, s:sub(at, at + 8)), 0) end
local function space(s, at) return s:find("[^ \n\r\t]", at) or #s + 1 end
local function text(s, at)
  local parts, i = {}, at + 1
  while true do
    local j = s:find('["\\]', i)
    if not j then fail(s, at, "unfinished string") end
    parts[#parts + 1] = s:sub(i, j - 1)
    if s:byte(j) == 34 then return table.concat(parts), j + 1 end
    local c = s:sub(j + 1, j + 1)
    if c == "u" then
      parts[#parts + 1] = string.char(tonumber(s:sub(j + 2, j + 5), 16))
      i = j + 6
    else
      parts[#parts + 1] = unescapes[c] or fail(s, j, "bad escape")
      i = j + 2
    end
  end
end
local literals = { t = { "true", true }, f = { "false", false }, n = { "null", nil } }
function value(s, at)
  at = space(s, at)
  local c = s:sub(at, at)
  if c == '"' then return text(s, at) end
  if c == "[" then
    local list = {}
    at = space(s, at + 1)
    if s:sub(at, at) == "]" then return list, at + 1 end
    while true do
      list[#list + 1], at = value(s, at)
      at = space(s, at)
      local d = s:sub(at, at)
      if d == "]" then return list, at + 1 end
      if d ~= "," then fail(s, at, "',' or ']' expected") end
      at = at + 1
    end
  end
  if c == "{" then
    local map = {}
    at = space(s, at + 1)
    if s:sub(at, at) == "}" then return map, at + 1 end
    while true do
      local key
      at = space(s, at)
      if s:sub(at, at) ~= '"' then fail(s, at, "key expected") end
      key, at = text(s, at)
      at = space(s, at)
      if s:sub(at, at) ~= ":" then fail(s, at, "':' expected") end
      map[key], at = value(s, at + 1)
      at = space(s, at)
      local d = s:sub(at, at)
      if d == "}" then return map, at + 1 end
      if d ~= "," then fail(s, at, "',' or '}' expected") end
      at = at + 1
    end
  end
  local word = literals[c]
  if word and s:sub(at, at + #word[1] - 1) == word[1] then return word[2], at + #word[1] end
  local number = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if not number then fail(s, at, "unexpected character") end
  return tonumber(number), at + #number
end

local document = { name = "perilune", tags = {}, nested = { { {} } }, ok = true, no = false }
for i = 1, 40 do
  document.tags[i] = { id = i, label = 'label "' .. i .. '"\n', weight = i / 8, path = "a\\b\t" .. string.char(i % 31 + 1) }
end
local first, length = nil, 0
for _ = 1, rounds do
  local one = table.concat(encode(document, {}))
  local back, at = value(one, 1)
  assert(at == #one + 1)
  local two = table.concat(encode(back, {}))
  assert(one == two)
  first, length = one, length + #two
end
print(string.format("%d bytes", length))
print(first:sub(1, 120))
for _, bad in ipairs { "[1,", '{"a" 1}', '"abc', "[1 2]", "nul", '"\\q"' } do
  print(select(2, pcall(value, bad, 1)))
end
