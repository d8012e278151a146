# Says in gdb, at the lines in $lines of the script $script, what the variables are. Beside `watch.lua`, which does so in Lua.
import re


class Watch(gdb.Breakpoint):
    def __init__(self, script, line):
        super().__init__(f"{script}:{line}")
        self.silent = True
        self.line = line

    compiled = 0

    def stop(self):
        Watch.compiled += gdb.execute("info symbol $pc", to_string=True).startswith("trace_")
        text = gdb.execute("info args", to_string=True) + gdb.execute("info locals", to_string=True)
        shown = []
        for line in text.splitlines():
            name, separator, value = line.partition(" = ")
            if not separator:
                continue
            value = re.sub(r"^\{type = \w+, value = (.*)\}$", r"\1", value)
            value = re.sub(r"^\{type = nil.*\}$", "nil", value)
            shown.append(f"{name} = {'object' if value.startswith('0x') else value}")
        print(f"stop {self.line}: " + "; ".join(sorted(shown)))
        return False


for line in str(gdb.convenience_variable("lines").string()).split():
    Watch(gdb.convenience_variable("script").string(), line)
gdb.events.exited.connect(lambda event: print(f"{Watch.compiled} stops in traces"))
