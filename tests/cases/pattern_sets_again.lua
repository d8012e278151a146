-- Sets that begin alike, read again and again in turn, whole and cut off; more captures than most patterns have.
local sets = { "[abc]", "[abcd]", "[abc%]]", "[abc-z]", "[]abc]", "[^]abc]", "[^abc]", "[^abcd]", "[%abc]", "[%a%d]", "[%a]", "[%]]",
  "[a]", "[a]]", "[ab]", "[aba-c]", "[abc%d%s%p%u]", "[abc%d%s%p%U]", "[-]", "[a-]", "[%-a]", "[\0a]", "[abcdefghijklmnop]", "[abcdefghijklmnopq]" }
local text = "zq]-aB1 c\0dx5^b["
for round = 1, 3 do
  for i, set in ipairs(sets) do
    local n, all = 0, {}
    for c in text:gmatch(set) do n = n + 1 all[n] = c:byte() end
    local _, count = text:gsub("(" .. set .. ")" .. sets[(i + round) % #sets + 1] .. "?", "")
    print(set:gsub("%z", "0"), n, count, table.concat(all, ","))
  end
  for _, cut in ipairs { "[abc", "[^abc", "[abc%", "[", "[^", "[]", "[abcd", "[%a%" } do print(pcall(string.find, text, cut)) end
end
for n = 1, 34, 3 do
  local s = ("ab"):rep(n)
  print(n, pcall(function() return select("#", s:match(("(.)"):rep(n))), (s:gsub(("(%w)"):rep(n) .. "b?$", "%1", 1)), s:match("^" .. ("(a?b)"):rep(n) .. "$") end))
end
print(("x1y2z3w4v5u6t7s8"):gsub("(%a)(%d)(%a)(%d)(%a)(%d)(%a)(%d)", "%8%7%6%5%4%3%2%1"))
print(("abcabcabc"):match("^()(a)()(b)()(c)()(a)()%2%4%6"), ("aXbXcXdXeXfXgXgXh"):match("(.)X(.)X(.)X(.)X(.)X(.)X(.)X%7X(.)"))
-- A range that ends in a `%` leaves the next `%` to escape the bracket that closes the set.
for _, set in ipairs { "[a-%%]", "[a-%%]]", "[%a-%%]", "[!-%%]", "[^!-%%]", "[a-%]x]", "[]-%%]", "[%%-%%]" } do
  print(set, (("%]-a!x#'"):gsub(set, "_")))
end
