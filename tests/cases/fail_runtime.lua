-- An uncaught run-time error in a method called through pcall's sibling frames.
local obj = { list = {} }
function obj:add(x) self.list[#self.list + 1] = x.value end
obj:add { value = 1 }
print(#obj.list)
local function each(f, ...) for i = 1, select("#", ...) do f((select(i, ...))) end end
each(function(x) obj:add(x) end, { value = 2 }, nil)
