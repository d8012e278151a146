-- An uncaught error value that is a table without __tostring.
print("start")
error({ code = 2 })
