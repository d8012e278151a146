//! What `:doc` says about the library: a line for each function, how it is called and what it does.
#![forbid(unsafe_code)]

/// The text about a function or value of the library.
pub fn of(name: &str) -> Option<String> {
    let name_of = |line: &str| line.split(['(', ' ']).next().unwrap_or_default().to_string();
    let line = LIBRARY.lines().find(|line| name_of(line) == name)?;
    let (call, what) = line.split_once("  ")?;
    Some(format!("{call}\n  {what}\n"))
}

const LIBRARY: &str = "\
assert(v [, message ...])  All arguments, if v is true; otherwise an error with the message.
collectgarbage([what [, n ...]])  Works the garbage collector: 'collect' (the default), 'count' (in KB), 'stop', 'restart', 'step', 'isrunning', 'incremental', 'generational'.
dofile([file])  Runs a file (or the standard input) and returns what it returns.
error(message [, level])  Raises an error; the position that level names is put before a string: 1 here, 2 the caller, 0 none.
getmetatable(v)  The metatable of v, or the field __metatable in it.
ipairs(t)  For a loop over t[1], t[2], ... up to the first nil: for i, v in ipairs(t) do.
load(chunk [, name [, mode [, env]]])  Compiles a string, or the pieces that a function returns; answers a function, or nil and a message.
loadfile([file [, mode [, env]]])  As load, with the text of a file.
next(t [, key])  The entry of t behind the one of key: key and value; the first without key, nil behind the last.
pairs(t)  For a loop over all entries of t, in no certain order: for k, v in pairs(t) do. __pairs is respected.
pcall(f [, ...])  Calls f: true and its results, or false and the error.
print(...)  Writes the arguments, as tostring makes them, with tabs between them and a newline behind.
rawequal(a, b)  a == b without metamethods.
rawget(t, key)  t[key] without metamethods.
rawlen(v)  #v without metamethods.
rawset(t, key, value)  t[key] = value without metamethods; answers t.
require(name)  Loads a module once: runs the file that package.path leads to, and answers what it returned.
select(n, ...)  The arguments from number n on (from the end if negative); their count if n is '#'.
setmetatable(t, meta)  Gives t a metatable, or none if meta is nil; answers t.
tonumber(v [, base])  v as a number, or nil; with a base, v is a string of digits in it.
tostring(v)  v as a string; __tostring and __name are respected.
type(v)  'nil', 'boolean', 'number', 'string', 'table', 'function', 'thread' or 'userdata'.
warn(message, ...)  Emits a warning; '@on' and '@off' switch them.
xpcall(f, handler [, ...])  As pcall, but the handler sees the error where it happened, and its result is answered.
_G  The table of global variables.
_VERSION  The version of the language.
coroutine.close(co)  Closes a coroutine that does not run, with its to-be-closed variables: true, or false and an error.
coroutine.create(f)  A coroutine that will run f.
coroutine.isyieldable([co])  May it yield?
coroutine.resume(co [, ...])  Starts a coroutine or goes on after its yield: true and what it yields or returns, or false and the error.
coroutine.running()  The running coroutine, and whether it is the main one.
coroutine.status(co)  'running', 'suspended', 'normal' (it has resumed another one) or 'dead'.
coroutine.wrap(f)  A function that resumes a new coroutine at each call; errors pass through.
coroutine.yield(...)  Leaves the coroutine; answers what the next resume is given.
debug.debug()  A prompt in the middle of a program; the line cont leaves it.
debug.gethook([co])  The hook: function, mask, count.
debug.getinfo([co,] f [, what])  What is known of a function or a level of the stack.
debug.getlocal([co,] f, n)  Name and value of a local variable of a level, or a parameter's name.
debug.getmetatable(v)  The metatable of any value.
debug.getregistry()  The registry.
debug.getupvalue(f, n)  Name and value of an upvalue.
debug.getuservalue(u, n)  A value that belongs to a userdata.
debug.sethook([co,] f, mask [, count])  Calls f at calls ('c'), returns ('r'), new lines ('l') or after each count instructions.
debug.setlocal([co,] level, n, value)  Assigns to a local variable.
debug.setmetatable(v, meta)  Gives any value a metatable; those of a type but tables and userdata share one.
debug.setupvalue(f, n, value)  Assigns to an upvalue.
debug.setuservalue(u, value, n)  Sets a value that belongs to a userdata.
debug.traceback([co,] [message [, level]])  The calls under way, as text.
debug.upvalueid(f, n)  An identity for an upvalue: shared ones have the same.
debug.upvaluejoin(f, n, g, m)  Lets upvalue n of f be upvalue m of g.
io.close([file])  Closes a file, or the default output.
io.flush()  Writes out what waits in the default output.
io.input([file])  The default input; opens or takes another one.
io.lines([name, ...])  For a loop over the lines of a file, which is closed at its end; formats as those of read.
io.open(name [, mode])  Opens a file: 'r', 'w' (empties it), 'a' (appends), with + for both ways; nil and a message if that fails.
io.output([file])  The default output; opens or takes another one.
io.popen(command [, mode])  Starts a program; a file to read from it ('r') or to write to it ('w').
io.read(...)  Reads from the default input: 'l' a line, 'L' with its end, 'n' a number, 'a' all, a count of bytes.
io.stderr  The standard error output.
io.stdin  The standard input.
io.stdout  The standard output.
io.tmpfile()  A file that is gone at the end.
io.type(v)  'file', 'closed file', or nil if it is none.
io.write(...)  Writes strings and numbers to the default output.
file.close()  Closes the file.
file.flush()  Writes out what waits.
file.lines(...)  For a loop over what is read; formats as those of read.
file.read(...)  Reads: 'l' a line, 'L' with its end, 'n' a number, 'a' all, a count of bytes.
file.seek([from [, offset]])  Moves the position from 'set', 'cur' or 'end'; answers it.
file.setvbuf(mode [, size])  When written bytes go out: 'no', 'full', 'line'.
file.write(...)  Writes strings and numbers; answers the file.
math.abs(x)  The absolute value.
math.acos(x)  The arc cosine, in radians.
math.asin(x)  The arc sine, in radians.
math.atan2(y, x)  As math.atan with two arguments (old).
math.atan(y [, x])  The arc tangent of y/x in the right quadrant, in radians.
math.ceil(x)  The least integer that is not below x.
math.cos(x)  The cosine of an angle in radians.
math.cosh(x)  The hyperbolic cosine (old).
math.deg(x)  Radians to degrees.
math.exp(x)  e to the power of x.
math.floor(x)  The greatest integer that is not above x.
math.fmod(x, y)  The remainder of x/y, with the sign of x.
math.frexp(x)  m and e such that x is m times 2 to the power of e (old).
math.huge  Infinity.
math.ldexp(m, e)  m times 2 to the power of e (old).
math.log10(x)  The logarithm to base 10 (old).
math.log(x [, base])  The logarithm, natural without a base.
math.max(x, ...)  The greatest argument.
math.maxinteger  The greatest integer.
math.min(x, ...)  The least argument.
math.mininteger  The least integer.
math.modf(x)  The integral part, as a float, and the rest.
math.pi  Half of the way around a circle of radius 1.
math.pow(x, y)  x to the power of y (old).
math.rad(x)  Degrees to radians.
math.random([m [, n]])  A float from 0 to below 1; an integer from 1 to m or from m to n; any integer for math.random(0).
math.randomseed([x [, y]])  Seeds the generator, by chance without arguments.
math.sin(x)  The sine of an angle in radians.
math.sinh(x)  The hyperbolic sine (old).
math.sqrt(x)  The square root.
math.tanh(x)  The hyperbolic tangent (old).
math.tan(x)  The tangent of an angle in radians.
math.tointeger(x)  x as an integer, or nil if it is none.
math.type(x)  'integer', 'float', or nil if it is no number.
math.ult(m, n)  m < n as unsigned integers.
os.clock()  CPU time of the program in seconds.
os.date([format [, time]])  A time as text, by strftime's format; '*t' for a table, '!' in front for UTC.
os.difftime(a, b)  Seconds from time b to time a.
os.execute([command])  Runs a command of the shell: true or nil, 'exit' or 'signal', and its number.
os.exit([code [, close]])  Ends the program; true and false are good and bad codes.
os.getenv(name)  A variable of the environment, or nil.
os.remove(name)  Removes a file or an empty folder.
os.rename(old, new)  Renames a file.
os.setlocale(locale [, category])  Sets or asks for the locale.
os.time([table])  Now, or the time that a table of year, month, day, hour, min, sec says, in seconds.
os.tmpname()  A name for a temporary file.
package.config  Separators and marks in paths.
package.cpath  Where require looks for libraries in C.
package.loaded  The modules that have been loaded, by name.
package.loadlib(path, name)  A function of a library in C; there are none here.
package.path  Where require looks for modules: templates, with ; between them.
package.preload  Loaders for modules, by name.
package.searchers  How require finds a loader: functions that are asked in turn.
package.searchpath(name, path [, sep [, rep]])  The file that a path leads to for a name, or nil and a message.
string.byte(s [, i [, j]])  The codes of the bytes from i to j.
string.char(...)  A string of bytes with these codes.
string.dump(f [, strip])  A function as a binary chunk.
string.find(s, pattern [, init [, plain]])  Where the pattern is found, first and last place, and its captures; nil if it is not.
string.format(format, ...)  Text by a format as C's printf has; %q writes what Lua can read.
string.gmatch(s, pattern [, init])  For a loop over all matches: their captures.
string.gsub(s, pattern, replacement [, n])  s with matches replaced by a string, a table's value or a function's result; and how many.
string.len(s)  The number of bytes.
string.lower(s)  In lower case.
string.match(s, pattern [, init])  The captures of the first match (all of it without captures), or nil.
string.pack(format, ...)  Values in binary form, as the format says.
string.packsize(format)  The number of bytes that pack makes.
string.rep(s, n [, sep])  n copies of s, with sep between them.
string.reverse(s)  The bytes in reverse order.
string.sub(s, i [, j])  The bytes from i to j; negative places count from the end.
string.unpack(format, s [, i])  The values that lie in s in binary form, and the place behind them.
string.upper(s)  In upper case.
table.concat(t [, sep [, i [, j]]])  The strings t[i] to t[j] in one, with sep between them.
table.insert(t, [i,] v)  Puts v at place i, or at the end.
table.move(a, i, j, k [, b])  Copies a[i] to a[j] to place k of b, or of a; answers that table.
table.pack(...)  A table of the arguments, with their number in the field n.
table.remove(t [, i])  Takes out the element at place i, or the last; answers it.
table.sort(t [, less])  Sorts a list in place, by < or by the function.
table.unpack(t [, i [, j]])  The values t[i] to t[j].
utf8.char(...)  The characters with these codes, as UTF-8.
utf8.charpattern  A pattern for one character in UTF-8.
utf8.codepoint(s [, i [, j [, lax]]])  The codes of the characters that begin from i to j.
utf8.codes(s [, lax])  For a loop over the characters: place and code.
utf8.len(s [, i [, j [, lax]]])  The number of characters, or nil and the place of a wrong byte.
utf8.offset(s, n [, i])  The place where character n begins, counted from i.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_described() {
        let lua = perilune::Lua::new();
        let code = "local all = {} for name, part in pairs(_G) do
            if type(part) == 'function' then all[#all + 1] = name end
            if type(part) == 'table' and name ~= '_G' then
                for key in pairs(part) do all[#all + 1] = name .. '.' .. key end
            end
        end return all";
        let names: Vec<String> = lua.eval(code).unwrap();
        let missing: Vec<_> = names.into_iter().filter(|name| of(name).is_none()).collect();
        assert_eq!(missing, ["debug.setcstacklimit"], "without a line of their own");
        assert!(of("string.rep").unwrap().starts_with("string.rep(s, n [, sep])\n  n copies"));
    }
}
