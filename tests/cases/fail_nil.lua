-- error() without a value.
io.write("no newline")
error()
