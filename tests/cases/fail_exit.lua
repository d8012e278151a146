-- os.exit with a status; finalizers are not run without closing.
print("leaving")
os.exit(7)
