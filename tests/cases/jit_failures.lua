-- Errors that instructions raise, caught in loops that are hot: what the messages say, and values that stop to fail.
local function text(e) return (tostring(e):gsub("^.-:(%d+): ", "%1 ")) end
local seen, order = {}, {}
local function note(what, ok, e)
  local k = what .. " " .. tostring(ok) .. " " .. text(e)
  if not seen[k] then seen[k] = 0 order[#order + 1] = k end
  seen[k] = seen[k] + 1
end
local function field(t) return t.x.y end
local function element(t, k) return t[k][1] end
local function store(t) t.x.y = 1 return "stored" end
local function method(o) return o:size() end
local function add(a, b) return a + b end
local function idiv(a, b) return a // b end
local function mod(a, b) return a % b end
local function shift(a, b) return a << b end
local function less(a, b) return a < b end
local function small(a) return a <= 3 end
local function cat(a, b) return "x" .. a .. b end
local function call(f, x) return f(x) end
local function len(a) return #a end
local function neg(a) return -a end
local function global() return undefined.x end
local function global_call() return undefined_function(1) end
local bad = {
  nil, false, 1, 2.5, "text", {}, print, setmetatable({}, { __name = "Named" }), io.stderr, coroutine.create(print), n = 10,
}
for i = 1, 600 do
  local v = bad[i // 12 % 11 + 1]
  if i % 4 == 0 then v = { x = { y = 1, "e" }, size = function() return 7 end } end
  note("field", pcall(field, v))
  note("element", pcall(element, v, "x"))
  note("store", pcall(store, v))
  note("method", pcall(method, v))
  note("idiv", pcall(idiv, i, i % 3 == 0 and 0 or 1))
  note("mod", pcall(mod, 7, i % 5 == 0 and 0 or 1))
  note("shift", pcall(shift, 1, i % 6 == 0 and 0.5 or 2))
  note("global", pcall(global))
  note("globals", pcall(global_call))
end
for i = 1, 600 do
  local v = bad[i // 12 % 11 + 1]
  note("less", pcall(less, v, i % 3 == 0 and v or 1))
  note("small", pcall(small, v))
  note("call", pcall(call, i % 3 == 0 and type or v, 1))
  if type(v) ~= "table" then
    note("add", pcall(add, v, 1))
    note("add", pcall(add, 1.5, v))
    note("neg", pcall(neg, v))
    note("len", pcall(len, v))
    note("cat", pcall(cat, v, "y"))
    note("cat", pcall(cat, 1, v))
  end
end
for _, k in ipairs(order) do
  if not k:find("0x") then print(k, seen[k]) end
end
-- A type's metatable comes while the loop runs; a name changes.
local ok_count, names = 0, {}
local named = setmetatable({}, { __name = "First" })
for i = 1, 300 do
  local ok = pcall(field, {})
  if ok then ok_count = ok_count + 1 end
  ok = pcall(call, nil, 1)
  if ok then ok_count = ok_count + 1000 end
  local _, e = pcall(add, named, 1)
  names[text(e)] = true
  _, e = pcall(less, named, named)
  names[text(e)] = true
  if i == 150 then getmetatable(named).__name = "Second" end
  if i == 200 then debug.setmetatable(nil, { __index = function() return 1 end, __call = function() end }) end
  if i == 250 then debug.setmetatable(nil, nil) end
end
local list = {}
for k in pairs(names) do list[#list + 1] = k end
table.sort(list)
print(ok_count, table.concat(list, "; "))
-- In the middle of other things: after effects, below other calls, inside of another pcall, with open lists of results.
local effects, t = 0, { n = 0 }
local function deep(n, v) if n == 0 then return v.field.field end t.n = t.n + 1 local r = deep(n - 1, v) return r end
local function outer(v)
  effects = effects + 1
  local ok, e = pcall(deep, 3, v)
  effects = effects + 10
  if ok then return select(2, pcall(less, v, 1)) end
  return { e, pcall(idiv, 1, 0) }
end
local last
for i = 1, 300 do last = outer(i % 7 == 0 and { field = { field = 1 } } or {}) end
print(effects, t.n, type(last), #last, text(last[1]), last[2], text(last[3]))
-- Errors of native functions that pcall calls itself.
local kinds = {}
for i = 1, 200 do
  local e1 = select(2, pcall(error, { i }))
  local ok, e2 = pcall(error, "message", i % 3)
  local _, e3 = pcall(error)
  local _, e4 = pcall(string.rep)
  local _, e5, e6 = pcall(string.find, "abc", "b", 1, i % 2 == 0)
  local k = table.concat({ e1[1] - i, tostring(ok), e2, tostring(e3), e4, e5, e6 }, ",")
  kinds[k] = (kinds[k] or 0) + 1
end
list = {}
for k, n in pairs(kinds) do list[#list + 1] = k .. " " .. n end
table.sort(list)
print(table.concat(list, "\n"))
