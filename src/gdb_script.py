"""Lua in gdb: frames, variables, tables, traces of a program that runs perilune.

Load it with `source perilune-gdb.py` after `perilune --gdb-script > perilune-gdb.py`. A plain `bt` then shows the frames of Lua functions
that the interpreter runs, among the compiled ones and the native ones. Commands:

  lua-bt              the Lua frames alone
  lua-locals [N]      the variables of Lua frame N (of `lua-bt`; 0 is the innermost)
  lua-globals [NAME]  the global variables, or one of them with what is in it
  lua-traces          the traces
  lua-exits N         the exits of trace N: where they leave, how often they did, where they lead

Nothing is called in the program: all is read from memory, cores included. Stripped programs will do.
"""

import bisect
import struct

import gdb
from gdb.FrameDecorator import FrameDecorator

# Tags of values (runtime/src/lua/value.rs).
NIL, BOOLEAN, INTEGER, FLOAT, LIGHT, STRING, TABLE, FUNCTION, NATIVE, USERDATA, THREAD, CELL, DEAD = range(13)
MIXED = 0xFF
# Kinds and flags of frames (runtime/src/lua/thread.rs).
LUA_FRAME, ENTRY = 0, 1
VALUE_SIZE, VALUE_TAG = 16, 8
SHOWN = 8


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def u8(address):
    return read(address, 1)[0]


def u32(address):
    return struct.unpack("<I", read(address, 4))[0]


def u64(address):
    return struct.unpack("<Q", read(address, 8))[0]


def descriptor():
    """The address of the descriptor, whatever the language of the frame is."""
    text = gdb.execute("info address PERILUNE_DESCRIPTOR", to_string=True)
    for word in text.replace(".", " ").split():
        if word.startswith("0x"):
            return int(word, 16)
    raise gdb.GdbError("this program does not run perilune")


class Facts:
    """The named numbers of the descriptor."""

    known = {}

    def __call__(self, name):
        if name not in Facts.known:
            at = descriptor()
            count, facts = u64(at + 8), u64(at + 16)
            for n in range(count):
                text = u64(facts + 16 * n)
                Facts.known[gdb.Value(text).cast(gdb.lookup_type("char").pointer()).string()] = u64(facts + 16 * n + 8)
        return Facts.known[name]


fact = Facts()


def is_ours(objfile):
    """Whether an object file is one that compiled code was registered with."""
    return objfile is not None and "in-memory" in str(objfile.filename)



def states():
    at = descriptor()
    return [u64(u64(at + 32) + 8 * n) for n in range(u64(at + 24))]


def vector(address):
    """Where the elements of a `Vec` lie, and how many there are."""
    return u64(address + fact("vec.pointer")), u64(address + fact("vec.length"))


def shared_text(address):
    """The text of an `Rc<[u8]>`, or None."""
    pointer = u64(address + fact("shared.pointer"))
    if pointer == 0:
        return None
    return read(pointer + fact("shared.bytes"), u64(address + fact("shared.length"))).decode("utf-8", "replace")


# ---- values


def string_bytes(address):
    return read(u64(address + fact("string.data")), u64(address + fact("string.length")))


def quoted(data):
    text = "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b}" for b in data[:200])
    return '"' + text + ('"' if len(data) <= 200 else '"...')


def number(payload):
    value = struct.unpack("<d", struct.pack("<Q", payload))[0]
    text = f"{value:.14g}"
    return text if any(c in text for c in ".einf") else text + ".0"


def show(tag, payload, depth=1):
    """A value as text; tables with their contents down to a depth."""
    if tag == NIL:
        return "nil"
    if tag == BOOLEAN:
        return "true" if payload & 1 else "false"
    if tag == INTEGER:
        return str(payload - (1 << 64) if payload >> 63 else payload)
    if tag == FLOAT:
        return number(payload)
    if tag == STRING:
        return quoted(string_bytes(payload))
    if tag == TABLE:
        return show_table(payload, depth)
    if tag == FUNCTION:
        return f"function {Prototype(u64(payload + fact('function.prototype'))).title()}"
    if tag == NATIVE:
        code = u64(payload + fact("native.function"))
        name = gdb.execute(f"info symbol {code}", to_string=True).split(" in section")[0].strip()
        # Names of Rust's functions end in a hash.
        parts = [part for part in name.split("::") if not (len(part) == 17 and part.startswith("h"))]
        return "native " + (parts[-1] if len(parts) > 1 else f"{code:#x}")
    if tag == CELL:
        return show_value(payload + fact("cell.value"), depth)
    return {LIGHT: "lightuserdata", USERDATA: "userdata", THREAD: "thread"}.get(tag, "?") + f" {payload:#x}"


def show_value(address, depth=1):
    return show(u8(address + VALUE_TAG), u64(address), depth)


def items(table):
    """The entries of a table: pairs of a key as (tag, payload) and a value as (tag, payload)."""
    array, length = u64(table + fact("table.array")), u32(table + fact("table.length"))
    kind, capacity = u8(table + fact("header.detail")), u32(table + fact("table.capacity"))
    for n in range(length):
        tag = u8(array + 8 * capacity + n) if kind == MIXED else kind
        yield (INTEGER, n + 1), (tag, u64(array + 8 * n))
    shape = u64(table + fact("table.shape"))
    if u8(shape + fact("header.flags")) & 1 == 0:
        keys, _ = vector(u64(shape + fact("shape.keys")) + fact("keys.list"))
        slots = u64(table + fact("table.slots"))
        for n in range(u32(shape + fact("shape.count"))):
            slot = slots + VALUE_SIZE * n
            if u8(slot + VALUE_TAG) != NIL:
                yield (STRING, u64(keys + 8 * n)), (u8(slot + VALUE_TAG), u64(slot))
    part = u64(table + fact("table.hash"))
    if part:
        for n in range(u32(part + fact("hash.mask")) + 1):
            node = part + fact("hash.size") + n * fact("node.size")
            value = node + fact("node.value")
            if u8(node + VALUE_TAG) not in (NIL, DEAD) and u8(value + VALUE_TAG) != NIL:
                yield (u8(node + VALUE_TAG), u64(node)), (u8(value + VALUE_TAG), u64(value))


def key_text(tag, payload):
    if tag == STRING:
        name = string_bytes(payload).decode("utf-8", "replace")
        return name if name.isidentifier() else f"[{quoted(string_bytes(payload))}]"
    return f"[{show(tag, payload, 0)}]"


def show_table(table, depth):
    if depth == 0:
        return f"table {table:#x}"
    parts, expected = [], 1
    for (key_tag, key), value in items(table):
        if len(parts) == SHOWN:
            parts.append("...")
            break
        text = show(*value, depth - 1)
        if (key_tag, key) == (INTEGER, expected):
            expected += 1
        else:
            text = f"{key_text(key_tag, key)} = {text}"
        parts.append(text)
    return f"table {table:#x} {{{', '.join(parts)}}}"


class Prototype:
    """A function's prototype."""

    def __init__(self, address):
        self.address = address

    def line_defined(self):
        return u32(self.address + fact("prototype.line"))

    def name(self):
        name = shared_text(self.address + fact("prototype.name"))
        return name or (f"function_{self.line_defined()}" if self.line_defined() else "main_chunk")

    def source(self):
        source = shared_text(self.address + fact("prototype.source")) or "?"
        return source[1:] if source[:1] in "@=" else "[string]"

    def title(self):
        return f"{self.name()} ({self.source()}:{self.line_defined()})"

    def line(self, pc):
        # A boxed slice: pointer and length.
        lines = u64(self.address + fact("prototype.lines"))
        return u32(lines + 4 * pc) if u64(self.address + fact("prototype.lines") + 8) > pc else 0

    def parameters(self):
        return u8(self.address + fact("prototype.parameters"))

    def variables(self, pc):
        """Name, register and whether it holds a cell, for the variables in scope."""
        base = self.address + fact("prototype.locals")
        first, count = u64(base), u64(base + 8)
        for n in range(count):
            at = first + n * fact("local.size")
            if u32(at + fact("local.start")) <= pc < u32(at + fact("local.end")):
                name = shared_text(at + fact("local.name"))
                if not name.startswith("("):
                    yield name, u8(at + fact("local.register")), u8(at + fact("local.in_cell"))


# ---- frames


class LuaFrame:
    """A frame that the interpreter keeps."""

    def __init__(self, thread, address):
        stack = u64(thread + fact("thread.stack"))
        self.base = u32(address + fact("frame.base"))
        self.is_entry = bool(u8(address + fact("frame.flags")) & ENTRY)
        self.is_lua = u8(address + fact("frame.kind")) == LUA_FRAME
        self.slots = stack + VALUE_SIZE * self.base
        if self.is_lua:
            function = u64(self.slots - VALUE_SIZE)
            self.prototype = Prototype(u64(function + fact("function.prototype")))
            code = u64(self.prototype.address + fact("prototype.code"))
            self.pc = max(0, (u64(address + fact("frame.pc")) - code) // fact("word.size") - 1)

    def variables(self):
        for name, register, in_cell in self.prototype.variables(self.pc):
            slot = self.slots + VALUE_SIZE * register
            tag, payload = u8(slot + VALUE_TAG), u64(slot)
            yield name, register, (tag, payload)

    def arguments(self):
        count = self.prototype.parameters()
        return [(name, value) for name, register, value in self.variables() if register < count]

    def line(self):
        return self.prototype.line(self.pc)

    def describe(self):
        arguments = ", ".join(f"{name}={show(*value, 0)}" for name, value in self.arguments())
        return f"{self.prototype.name()} ({arguments}) at {self.prototype.source()}:{self.line()}"


def lua_frames(state):
    """All frames that the interpreter keeps, innermost first, through the coroutines that have resumed one another."""
    thread = u64(state + fact("state.thread"))
    while thread:
        first, end = (u64(thread + fact(name)) for name in ("thread.frames", "thread.frames.end"))
        count = (end - first) // fact("frame.size")
        for n in reversed(range(count)):
            yield LuaFrame(thread, first + n * fact("frame.size"))
        thread = u64(thread + fact("thread.resumer"))


def is_compiled(frame):
    """Whether a gdb frame is one of compiled Lua."""
    symtab = frame.find_sal().symtab
    return symtab is not None and is_ours(symtab.objfile) and frame.function() is not None


def is_line(frame):
    """Whether a frame that looks like one of compiled Lua stands for a line that the interpreter runs."""
    return gdb.execute(f"info symbol {frame.pc():#x}", to_string=True).startswith("line_")


class Functions:
    """Where the program's functions begin: by the table that unwinders search (LSB, section "Eh Frame Header"), since names may be
    inlined or stripped."""

    tables = None

    @staticmethod
    def read_tables():
        for line in gdb.execute("info files", to_string=True).splitlines():
            words = line.split()
            if ".eh_frame_hdr" not in words:
                continue
            at = int(words[0], 16)
            # Version 1; a count of 4 bytes; pairs of offsets from the table itself.
            version, _, count_kind, table_kind = read(at, 4)
            if (version, count_kind, table_kind) == (1, 0x03, 0x3B):
                count = u32(at + 8)
                yield [at + begin for begin, _ in struct.iter_unpack("<ii", read(at + 12, 8 * count))]

    @staticmethod
    def begin(address):
        """The begin of the function with the code at an address."""
        if Functions.tables is None:
            Functions.tables = list(Functions.read_tables())
        begins = [table[bisect.bisect_right(table, address) - 1] for table in Functions.tables if table[0] <= address]
        return max(begins, default=None)


def forget():
    Facts.known.clear()
    Functions.tables = None


gdb.events.exited.connect(lambda event: forget())
gdb.events.new_objfile.connect(lambda event: setattr(Functions, "tables", None) if not is_ours(event.new_objfile) else None)


def runs_interpreter(frame):
    # The function that an address is returned to has the call just before it.
    return frame.type() == gdb.NORMAL_FRAME and Functions.begin(frame.pc() - 1) == fact("interpreter.run")


class Pending:
    """The interpreter's frames that were not shown yet, innermost first."""

    def __init__(self, state):
        self.frames = list(lua_frames(state)) if state else []

    def until_entry(self):
        """Those of one activation of the interpreter."""
        while self.frames:
            frame = self.frames.pop(0)
            yield frame
            if frame.is_entry:
                return

    def skip(self, compiled):
        """Leaves out what compiled frames have shown: the frame that they were entered in, and what lies above. Answers whether the
        interpreter has no more frames above the next native one."""
        base = int(compiled.read_register("r14")) & (1 << 64) - 1
        # The stack may have moved since.
        for fits in (lambda f: f.slots == base, lambda f: f.is_lua and f.prototype.name() == compiled.name()):
            for n, frame in enumerate(self.frames):
                if fits(frame):
                    del self.frames[: n + 1]
                    return frame.is_entry
        return False


def merged(frames):
    """gdb's frames with the interpreter's Lua frames among them."""
    pending, compiled, entered, decorated = None, None, False, None
    for decorated in frames:
        frame = decorated.inferior_frame()
        if is_compiled(frame):
            compiled = frame
            yield decorated
            continue
        if pending is None and (compiled is not None or runs_interpreter(frame)):
            known = states()
            state = int(compiled.read_register("rbx")) & (1 << 64) - 1 if compiled is not None else 0
            pending = Pending(state if state in known else known[0] if known else 0)
        if compiled is not None:
            entered, compiled = pending.skip(compiled), None
        if runs_interpreter(frame):
            for lua in () if entered else pending.until_entry():
                if lua.is_lua:
                    yield InterpretedFrame(decorated, lua)
            entered = False
        yield decorated
    # A stack that gdb could not walk to its end.
    if pending is None:
        known = states()
        pending = Pending(known[0] if known else 0)
    for lua in pending.frames:
        if lua.is_lua and decorated is not None:
            yield InterpretedFrame(decorated, lua)


# Begins texts that are to be printed as they are.
PLAIN = "\x01perilune\x01"


class Argument:
    """What a frame of the interpreter has as an argument; gdb shows only such values that it has itself."""

    def __init__(self, name, value):
        self.name, self.shown = name, value

    def symbol(self):
        return self.name

    def value(self):
        return gdb.Value(PLAIN + show(*self.shown, 0))


class InterpretedFrame(FrameDecorator):
    """A Lua frame in a backtrace."""

    def __init__(self, native, lua):
        super().__init__(native.inferior_frame())
        self.lua = lua

    def function(self):
        return self.lua.prototype.name()

    def filename(self):
        return self.lua.prototype.source()

    def line(self):
        return self.lua.line()

    def address(self):
        return None

    def frame_args(self):
        return [Argument(name, value) for name, value in self.lua.arguments()]

    def frame_locals(self):
        return None


class LuaFilter:
    """Puts Lua frames into backtraces."""

    def __init__(self):
        self.name, self.priority, self.enabled = "perilune", 100, True
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        try:
            descriptor()
        except (gdb.error, gdb.GdbError):
            return frames
        return merged(frames)


def all_lua():
    """The Lua frames of the selected thread: what describes each, and the frame itself."""

    class Native:
        def __init__(self, frame):
            self.frame = frame

        def inferior_frame(self):
            return self.frame

    def native():
        frame = gdb.newest_frame()
        while frame is not None:
            yield Native(frame)
            frame = frame.older()

    for frame in merged(native()):
        if isinstance(frame, InterpretedFrame):
            yield frame.lua.describe(), frame.lua
        elif is_compiled(frame.inferior_frame()):
            inner = frame.inferior_frame()
            sal = inner.find_sal()
            text = f"{inner.name()} ({', '.join(f'{n}={v}' for n, v in symbols(inner, True))})"
            mark = "" if is_line(inner) else "  [compiled]"
            yield f"{text} at {sal.symtab.filename}:{sal.line}{mark}", inner


def symbols(frame, arguments):
    """The arguments or the other variables of a compiled frame, as text."""
    block, function = frame.block(), frame.function()
    while block is not None:
        for symbol in block:
            if symbol.is_argument == arguments and (symbol.is_argument or symbol.is_variable):
                yield symbol.name, symbol.value(frame).format_string()
        if block.function is not None:
            break
        block = block.superblock


# ---- commands


class LuaBacktrace(gdb.Command):
    """lua-bt: the frames of Lua functions, interpreted and compiled."""

    def __init__(self):
        super().__init__("lua-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for n, (text, _) in enumerate(all_lua()):
            print(f"#{n}  {text}")


class LuaLocals(gdb.Command):
    """lua-locals [N]: the variables of a Lua frame; N is its number in lua-bt."""

    def __init__(self):
        super().__init__("lua-locals", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = int(argument or 0)
        for n, (_, frame) in enumerate(all_lua()):
            if n != wanted:
                continue
            if isinstance(frame, LuaFrame):
                for name, _, value in frame.variables():
                    print(f"{name} = {show(*value)}")
            else:
                for name, value in [*symbols(frame, True), *symbols(frame, False)]:
                    print(f"{name} = {value}")
            return
        raise gdb.GdbError(f"there is no Lua frame {wanted}")


class LuaGlobals(gdb.Command):
    """lua-globals [NAME]: the global variables, or one with what is in it."""

    def __init__(self):
        super().__init__("lua-globals", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for state in states():
            lines = []
            for key, value in items(u64(state + fact("state.globals"))):
                name = key_text(*key)
                if argument in ("", name):
                    lines.append(f"{name} = {show(*value, 2 if argument else 0)}")
            print("\n".join(sorted(lines)))


def traces(state):
    """The traces of a state: their numbers and where they lie."""
    jit = u64(state + fact("state.tier"))
    if jit == 0 or "jit.traces" not in Facts.known:
        return
    first, count = vector(jit + fact("jit.traces"))
    for n in range(count):
        trace = u64(first + 8 * n)
        if trace:
            yield n, trace


class LuaTraces(gdb.Command):
    """lua-traces: the traces, with the function each begins in and how often it was left."""

    def __init__(self):
        super().__init__("lua-traces", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for state in states():
            for number, trace in traces(state):
                prototype = Prototype(u64(trace + fact("trace.prototype")))
                root = u32(trace + fact("trace.root"))
                first, count = vector(trace + fact("trace.exits"))
                taken = sum(u32(first + n * fact("exit.size") + fact("exit.count")) for n in range(count))
                kind = "root" if root == number else f"side of {root}"
                print(f"trace {number}  {kind}  {prototype.title()}  {count} exits, taken {taken} times")


class LuaExits(gdb.Command):
    """lua-exits N: the exits of trace N, how often they were taken, and the side traces that they lead to."""

    def __init__(self):
        super().__init__("lua-exits", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not argument.isdigit():
            raise gdb.GdbError("lua-exits wants the number of a trace")
        for state in states():
            for number, trace in traces(state):
                if number != int(argument):
                    continue
                first, count = vector(trace + fact("trace.exits"))
                idle = 0
                for n in range(count):
                    at = first + n * fact("exit.size")
                    taken, has_side = u32(at + fact("exit.count")), u32(at + fact("exit.has_side"))
                    target = f"  -> trace {u32(at + fact('exit.side'))}" if has_side else ""
                    idle += taken == 0 and not has_side
                    if taken or has_side:
                        print(f"exit {n}  taken {taken} times{target}")
                print(f"{idle} exits were never taken")
                return
        raise gdb.GdbError(f"there is no trace {argument}")


# ---- printers


class Printer:
    def __init__(self, text):
        self.text = text

    def to_string(self):
        return self.text


KINDS = {"table": TABLE, "function": FUNCTION, "native": NATIVE, "userdata": USERDATA, "thread": THREAD}


def printer(value):
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR:
        target = kind.target().strip_typedefs()
        if target.name in KINDS and is_ours(target.objfile):
            return Printer(show(KINDS[target.name], int(value)))
    elif kind.code == gdb.TYPE_CODE_STRUCT and kind.name == "value" and value.address is not None:
        if is_ours(kind.objfile):
            return Printer(show_value(int(value.address)))
    elif kind.code == gdb.TYPE_CODE_ARRAY and kind.name is None and kind.target().sizeof == 1:
        if kind.range()[1] >= len(PLAIN) and all(int(value[n]) == ord(c) for n, c in enumerate(PLAIN)):
            return Printer(value.string()[len(PLAIN):])
    elif kind.code == gdb.TYPE_CODE_ARRAY and kind.name == "string":
        # Otherwise gdb shows no more than "..." among the arguments of a frame.
        first, last = kind.range()
        return Printer(quoted(bytes(int(value[n]) & 0xFF for n in range(first, min(last, 200) + 1))))
    return None


gdb.pretty_printers.insert(0, printer)
LuaFilter()
for command in (LuaBacktrace, LuaLocals, LuaGlobals, LuaTraces, LuaExits):
    command()
