-- The loop of table.sort with an order function, for compilers: `sort.rs` has the same in Rust, and says what must be kept.
-- Elements 1 to n of a plain table; `seed` is not to be foreseen. Answers true if the order function contradicts itself.
return function(list, n, before, seed)
  -- Parts that wait, three numbers each: where they begin and end, and what their pivots are chosen by.
  local parts, waiting = {}, 0
  local low, high, random = 1, n, 0
  while true do
    while low < high do
      local a, b = list[low], list[high]
      if before(b, a) then
        list[low] = b
        list[high] = a
      end
      if high - low == 1 then break end
      local middle
      if high - low < 100 or random == 0 then
        middle = (low + high) // 2
      else
        local quarter = (high - low) // 4
        middle = low + quarter + random % (quarter * 2)
      end
      a, b = list[middle], list[low]
      if before(a, b) then
        list[middle] = b
        list[low] = a
      else
        b = list[high]
        if before(b, a) then
          list[middle] = b
          list[high] = a
        end
      end
      if high - low == 2 then break end
      -- The pivot waits next to the end while the others are distributed.
      local pivot = list[middle]
      list[middle] = list[high - 1]
      list[high - 1] = pivot
      local i, j = low, high - 1
      while true do
        i = i + 1
        a = list[i]
        while before(a, pivot) do
          if i == high - 1 then return true end
          i = i + 1
          a = list[i]
        end
        j = j - 1
        b = list[j]
        while before(pivot, b) do
          if j < i then return true end
          j = j - 1
          b = list[j]
        end
        if j < i then break end
        list[i] = b
        list[j] = a
      end
      list[high - 1] = a
      list[i] = pivot
      -- The smaller side first, so that few parts wait.
      local smaller, first, last
      if i - low < high - i then
        smaller, first, last, high = i - low, i + 1, high, i - 1
      else
        smaller, first, last, low = high - i, low, i - 1, i + 1
      end
      parts[waiting + 1] = first
      parts[waiting + 2] = last
      if (last - first) // 128 > smaller then
        seed = seed * 0x5851f42d4c957f2d + 0x14057b7ef767814f
        parts[waiting + 3] = seed >> 1
      else
        parts[waiting + 3] = random
      end
      waiting = waiting + 3
    end
    if waiting == 0 then return false end
    waiting = waiting - 3
    low, high, random = parts[waiting + 1], parts[waiting + 2], parts[waiting + 3]
  end
end
