-- The smallest case: arguments, output and a clean end.
print("hello", _VERSION, select("#", ...), arg[0])
