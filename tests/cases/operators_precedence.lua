-- Precedence and associativity.
print(2 + 3 * 4, (2 + 3) * 4, 2 ^ 3 ^ 2, -2 ^ 2, 2 ^ -1, not 1 == 2, not (1 == 2), 1 .. 2 .. 3, "a" .. 1 + 2)
print(1 << 2 + 1, 1 + 2 << 1, 5 & 3 == 1 and 1 or 2 == 2, 1 | 2 ~ 3 & 2, 1 < 2 == true, "1" .. "2" == "12")
print(-3 % 5, -(3 % 5), -3 // 2, - - 3, not not true, ~5 & 0xf, -2 ^ 0.5, #"abc" + 1, -#"abc", ~#"ab")
print(2 * 3 % 4, 2 * (3 % 4), 7 // 2 * 2, 7 - 3 - 2, 2 ^ 2 * 3, 100 / 10 / 2, 1 .. 2 == "12", 3 - -3)
print(1 + 1 == 2 and 2 + 2 == 4 or false, 1 or 2 and 3, (1 or 2) and 3, nil and nil or 1, false == false ~= true)
print(6 & 3 | 8, 6 | 3 & 8, 6 ~ 3 | 1, 1 << 1 << 1, 256 >> 4 >> 2, 3 | 4 == 7, 5 // 2 ^ 2, -5 // 2 ^ 2)
print(("x"):rep(3), #("x"):rep(3), ("%d"):format(3), ({ 1, 2, 3 })[2], (function() return 5 end)())
print(2 ^ 0.5 == 2 ^ (1 / 2), 1e2 .. "", 0x10 .. "", 1 ..2)
