-- Finds the nested loops of a control flow graph, irreducible ones too, with union-find. Size: rounds.
local rounds = tonumber(arg and arg[1]) or 6

local function graph() return { blocks = {}, count = 0 } end
local function node(g)
  local b = { id = g.count, into = {}, out = {} }
  g.blocks[g.count] = b
  g.count = g.count + 1
  return b
end
local function edge(a, b)
  a.out[#a.out + 1] = b
  b.into[#b.into + 1] = a
end

local function find(u)
  local path = {}
  while u.parent ~= u do
    path[#path + 1] = u
    u = u.parent
  end
  for i = 1, #path do path[i].parent = u end
  return u
end

local function depth_first(root)
  local number, last, order, count = {}, {}, {}, 0
  local function visit(b)
    count = count + 1
    number[b] = count
    order[count] = b
    for _, s in ipairs(b.out) do
      if not number[s] then visit(s) end
    end
    last[number[b]] = count
  end
  visit(root)
  return number, last, order, count
end

local function loops(g)
  local number, last, order, n = depth_first(g.blocks[0])
  local back, other, header, kind, sets, loop_of = {}, {}, {}, {}, {}, {}
  for w = 1, n do
    back[w], other[w], header[w], kind[w] = {}, {}, 1, "plain"
    sets[w] = { w = w }
    sets[w].parent = sets[w]
  end
  for w = 1, n do
    for _, p in ipairs(order[w].into) do
      local v = number[p]
      if v then
        local list = (w <= v and v <= last[w]) and back[w] or other[w]
        list[#list + 1] = v
      end
    end
  end
  local found = {}
  for w = n, 1, -1 do
    local pool, seen = {}, {}
    for _, v in ipairs(back[w]) do
      if v ~= w then
        local u = find(sets[v])
        if not seen[u] then seen[u] = true pool[#pool + 1] = u end
      else
        kind[w] = "self"
      end
    end
    local work, at = { (table.unpack or unpack)(pool) }, 1
    if #pool > 0 then kind[w] = "reducible" end
    while work[at] do
      local x = work[at]
      at = at + 1
      for _, y in ipairs(other[x.w]) do
        local u = find(sets[y])
        if not (w <= u.w and u.w <= last[w]) then
          kind[w] = "irreducible"
          other[w][#other[w] + 1] = u.w
        elseif u.w ~= w and not seen[u] then
          seen[u] = true
          work[#work + 1] = u
          pool[#pool + 1] = u
        end
      end
    end
    if #pool > 0 or kind[w] == "self" then
      local loop = { head = order[w].id, kind = kind[w], blocks = 1, inner = {} }
      found[#found + 1] = loop
      loop_of[w] = loop
      for _, u in ipairs(pool) do
        header[u.w] = w
        u.parent = sets[w]
        if loop_of[u.w] then
          loop_of[u.w].outer = loop
          loop.inner[#loop.inner + 1] = loop_of[u.w]
        else
          loop.blocks = loop.blocks + 1
        end
      end
    end
  end
  return found
end

local function diamond(g, from)
  local a, b, c = node(g), node(g), node(g)
  edge(from, a) edge(from, b) edge(a, c) edge(b, c)
  return c
end
local function straight(g, from, n)
  for _ = 1, n do
    local b = node(g)
    edge(from, b)
    from = b
  end
  return from
end
local function base_loop(g, from)
  local head = straight(g, from, 1)
  local d1 = diamond(g, head)
  local d2 = straight(g, d1, 1)
  edge(d2, d1)
  local d3 = diamond(g, d2)
  edge(d3, head)
  return straight(g, d3, 1)
end

local g = graph()
local at = node(g)
at = diamond(g, at)
for i = 1, 10 do
  local outer = straight(g, at, 1)
  at = outer
  for _ = 1, 5 do
    local top = at
    at = straight(g, at, 1)
    for _ = 1, 3 do at = base_loop(g, at) end
    local bottom = straight(g, at, 1)
    edge(at, top)
    at = bottom
  end
  edge(at, outer)
  if i % 3 == 0 then -- a second way into the middle of the loop
    local side = node(g)
    edge(outer, side)
    edge(side, at.into[1])
    edge(at.into[1], side)
  end
  at = straight(g, at, 1)
end

local found
for _ = 1, rounds do found = loops(g) end
local depth, kinds, deepest, blocks = {}, {}, 0, 0
for i = #found, 1, -1 do
  local l = found[i]
  l.depth = l.outer and l.outer.depth and l.outer.depth + 1 or 1
  depth[l.depth] = (depth[l.depth] or 0) + 1
  deepest = math.max(deepest, l.depth)
  kinds[l.kind] = (kinds[l.kind] or 0) + 1
  blocks = blocks + l.blocks
end
print(string.format("%d blocks, %d loops with %d blocks", g.count, #found, blocks))
for d = 1, deepest do print(string.format("depth %d: %d", d, depth[d])) end
for _, k in ipairs { "self", "reducible", "irreducible" } do print(string.format("%s: %d", k, kinds[k] or 0)) end
