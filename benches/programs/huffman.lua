-- Huffman codes: frequencies, a heap of trees, encoding to bits and decoding. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 4

local words = { "moon", "orbit", "closest", "surface", "metal", "compile", "trace", "guard", "exit", "loop" }
local parts = {}
for i = 1, 400 do parts[i] = words[i * i % 10 + 1] .. (i % 7 == 0 and ". " or " ") end
local text = table.concat(parts)

local function codes(text)
  local count, symbols = {}, {}
  for c in text:gmatch(".") do
    if not count[c] then
      count[c] = 0
      symbols[#symbols + 1] = c
    end
    count[c] = count[c] + 1
  end
  table.sort(symbols)
  local heap = {}
  local function less(a, b) if a.weight ~= b.weight then return a.weight < b.weight end return a.order < b.order end
  local function push(v)
    heap[#heap + 1] = v
    local i = #heap
    while i > 1 do
      local p = math.floor(i / 2)
      if not less(heap[i], heap[p]) then break end
      heap[i], heap[p] = heap[p], heap[i]
      i = p
    end
  end
  local function pop()
    local top = heap[1]
    heap[1] = heap[#heap]
    heap[#heap] = nil
    local i = 1
    while true do
      local m = i
      for c = 2 * i, 2 * i + 1 do
        if heap[c] and less(heap[c], heap[m]) then m = c end
      end
      if m == i then return top end
      heap[i], heap[m] = heap[m], heap[i]
      i = m
    end
  end
  for i, c in ipairs(symbols) do push { weight = count[c], order = i, symbol = c } end
  local order = #symbols
  while #heap > 1 do
    local a, b = pop(), pop()
    order = order + 1
    push { weight = a.weight + b.weight, order = order, zero = a, one = b }
  end
  local code = {}
  local function walk(t, prefix)
    if t.symbol then code[t.symbol] = prefix
    else walk(t.zero, prefix .. "0") walk(t.one, prefix .. "1") end
  end
  walk(heap[1], "")
  return code, heap[1], symbols
end

local function decode(bits, root)
  local out, at = {}, root
  for i = 1, #bits do
    at = bits:byte(i) == 49 and at.one or at.zero
    if at.symbol then
      out[#out + 1] = at.symbol
      at = root
    end
  end
  return table.concat(out)
end

local code, root, symbols, bits
for _ = 1, rounds do
  code, root, symbols = codes(text)
  bits = text:gsub(".", code)
  assert(decode(bits, root) == text)
end
print(string.format("%d bytes to %d bits", #text, #bits))
for _, c in ipairs(symbols) do io.write(c, "=", code[c], " ") end
print()
