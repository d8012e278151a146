-- Literals: all escapes, long strings, line ends, and the errors of malformed ones.
print("\a\b\f\n\r\t\v\\\"\'" == "\7\8\12\10\13\9\11\92\34\39", "\x41\x7a", "\65\066\10",
  "\u{48}\u{20AC}\u{10FFFF}" == "H\xE2\x82\xAC\xF4\x8F\xBF\xBF", #"\u{7FFFFFFF}")
print("a\z
       b", "a\
b", 'say "hi"', "it's", "\0651")
print([[one
two]], [==[a]]b]=]c]==], [[
first newline dropped]], #[[

]], [[\n]])
print(#"\z   ", "x\z  \
y", "tab\tend")
print(load("return 'a\\\r\nb'")() == "a\nb", load("return [[a\r\nb\rc\n\rd]]")() == "a\nb\nc\nd")
for _, code in ipairs { [["\q"]], [["\x4"]], [["\xg0"]], [["\256"]], [["\u{110000000}"]], [["\u{}"]], [["\u41"]],
  [["\u{41"]], [["abc]], "'abc\ndef'", "[[abc", "[==[abc]]", "[=x", "--[[ unfinished", [["\]], "0x", "1e", "3x", "0xp1",
  "1..2", "08.9.1" } do
  print(select(2, load("return " .. code, "=chunk")))
end
print(#"--[[x]]", 5 --[[inline]] + 3 --[==[ another ]==])
--[[ a
long comment ]]
--[==[ ]] ]==]
print("after comment")
---[[ not long
print("still here")
print(0xA, 0Xa.8P0, 1E+2, .5e1, 0x.1p4, 3 .. "", 1e-2)
