-- Fills templates with loops, conditions and escapes: once interpreted with gsub, once compiled with load. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 60
local load = loadstring or load

local page = [[
<h1>{title}</h1>
{% for i, item in ipairs(items) do %}
<li class="{%= i % 2 == 0 and 'even' or 'odd' %}">{item.name}: {item.price}</li>
{% if item.old then %}<s>{item.old}</s>{% end %}
{% end %}
<p>{footer}</p>
]]

local escapes = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;" }
local function escape(s) return (tostring(s):gsub('[<>&"]', escapes)) end

local function compile(template)
  local code = { "local _env, escape, ipairs = ... local title, items, footer = _env.title, _env.items, _env.footer local out = {}" }
  local function add(text) code[#code + 1] = ("out[#out + 1] = %q"):format(text) end
  local at = 1
  while true do
    local first, last, kind, inner = template:find("{(%%?=?)%s*(.-)%s*%%?}", at)
    if not first then break end
    if first > at then add(template:sub(at, first - 1)) end
    if kind == "%" then code[#code + 1] = inner
    else code[#code + 1] = ("out[#out + 1] = escape(%s)"):format(inner) end
    at = last + 1
  end
  add(template:sub(at))
  code[#code + 1] = "return table.concat(out)"
  return assert(load(table.concat(code, "\n"), "template"))
end

local simple = "Dear {name}, your {thing} number {count} costs {price}. {unknown} {name}!"
local function fill(template, values)
  return (template:gsub("{(%w+)}", function(key) return values[key] and escape(values[key]) or "<" .. key .. ">" end))
end

local html, letters, hash = nil, nil, 0
for round = 1, rounds do
  local items = {}
  for i = 1, 8 do items[i] = { name = "item <" .. i .. ">", price = i * 5, old = i % 3 == 0 and i * 6 or nil } end
  if round % 20 == 1 then compiled = compile(page) end
  html = compiled({ title = "Prices & more", items = items, footer = "round " .. round }, escape, ipairs)
  letters = fill(simple, { name = "A & B", thing = "order", count = round, price = round * 2 })
  hash = (hash * 7 + #html + letters:byte(round % #letters + 1)) % 1000003
end
print(html)
print(letters)
print(string.format("%d", hash))
