//! [`Lua`]: a state, and what can be made in it.
#![forbid(unsafe_code)]

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use perilune_interpreter::lua::lib::{self, read_chunk};
use perilune_runtime::lua::state::{State, interrupt};
use perilune_runtime::lua::value::Value as Raw;

use super::shared::Shared;
use super::value::Handle;
use super::{
    Arguments, Error, FromLua, FromLuaMulti, Function, IntoLua, IntoLuaMulti, LuaString, Result, Table, Userdata,
    Value, function, machine,
};

/// A Lua state: globals, heap, compiled code.
///
/// What was made in one state (tables, functions, other handles) can be used with it alone, and until it is dropped; the
/// mistake is a panic. A state and its handles stay on one Rust thread; an [`Interrupt`] may be used from any.
pub struct Lua {
    shared: Rc<Shared>,
    owner: bool,
}

/// How a state is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    memory_limit: Option<usize>,
    ignore_environment: bool,
    #[cfg(feature = "jit")]
    jit: perilune_jit::lua::options::Options,
}

impl Options {
    /// No limits; hot code is compiled.
    pub fn new() -> Options {
        Options::default()
    }

    /// Bytes that the state's objects may use. Beyond them Lua code gets the error `not enough memory`.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Options {
        self.memory_limit = Some(bytes);
        self
    }

    /// `package.path` and `package.cpath` are the built-in ones, whatever `LUA_PATH` and `LUA_CPATH` say.
    #[must_use]
    pub fn ignore_environment(mut self) -> Options {
        self.ignore_environment = true;
        self
    }

    /// Compile hot code to machine code? Without the feature `jit` nothing is ever compiled.
    #[must_use]
    #[cfg_attr(not(feature = "jit"), expect(unused_mut, unused_variables, reason = "there is nothing to switch"))]
    pub fn jit(mut self, on: bool) -> Options {
        #[cfg(feature = "jit")]
        {
            self.jit.on = on;
        }
        self
    }

    /// What `-j` takes on the command line: `on`, `off`, `v`, `dump`.
    ///
    /// # Errors
    /// When there is no such mode, as a message. Without the feature `jit` there is `off` alone.
    pub fn jit_mode(&mut self, text: &str) -> Result<(), String> {
        #[cfg(feature = "jit")]
        return self.jit.set_mode(text);
        #[cfg(not(feature = "jit"))]
        if text == "off" { Ok(()) } else { Err(NO_COMPILER.to_string()) }
    }

    /// What `--gdb` takes on the command line: nothing to tell gdb of each trace at once and to run so that each line of a script, be it
    /// compiled or interpreted, can be stopped at and each variable looked at; `off` to tell it nothing. Otherwise gdb is told in batches, at once
    /// if it has started the program.
    ///
    /// # Errors
    /// When there is no such mode, as a message. Without the feature `jit` there is `off` alone.
    pub fn gdb(&mut self, text: &str) -> Result<(), String> {
        #[cfg(feature = "jit")]
        return self.jit.set_gdb(text);
        #[cfg(not(feature = "jit"))]
        if text == "off" { Ok(()) } else { Err(NO_COMPILER.to_string()) }
    }

    /// What `--perf=` takes on the command line: `map` for names in `/tmp/perf-PID.map`; `jitdump` for names, lines and code in
    /// `jit-PID.dump` in the current folder, which `perf inject -j` reads.
    ///
    /// # Errors
    /// When there is no such format, or no compiler in this build, as a message.
    pub fn perf(&mut self, text: &str) -> Result<(), String> {
        #[cfg(feature = "jit")]
        return self.jit.set_perf(text);
        #[cfg(not(feature = "jit"))]
        Err(format!("{NO_COMPILER}, so there is nothing to tell perf ('{text}')"))
    }

    /// What `-O` takes on the command line: `hotloop=10`, `-fold`.
    ///
    /// # Errors
    /// When there is no such parameter, or the value is out of range, as a message.
    pub fn jit_parameter(&mut self, text: &str) -> Result<(), String> {
        #[cfg(feature = "jit")]
        return self.jit.set(text);
        #[cfg(not(feature = "jit"))]
        Err(format!("{NO_COMPILER}, so it has no parameter '{text}'"))
    }
}

#[cfg(not(feature = "jit"))]
pub(super) const NO_COMPILER: &str = "this build has no compiler";

/// Stops the program of a state from another thread or a signal handler: the code that runs, interpreted or compiled, gets
/// the error `interrupted!` at its next backward jump or call.
#[derive(Clone, Debug)]
pub struct Interrupt {
    word: Arc<AtomicU32>,
    debugger_met: Arc<AtomicBool>,
}

impl Interrupt {
    /// Asks for the stop. Nothing but an atomic store happens. Answers whether an earlier one has not been heeded yet.
    pub fn stop(&self) -> bool {
        self.word.fetch_or(interrupt::STOP, Ordering::Relaxed) & interrupt::STOP != 0
    }

    /// Takes the request back, if nobody has heeded it yet.
    pub fn clear(&self) {
        self.word.fetch_and(!interrupt::STOP, Ordering::Relaxed);
    }

    /// Looks whether a debugger has attached to the process; if so, compiled code is left at its next backward jump, and the state
    /// notices the debugger. It does so by itself, but for loops that are never left: call this now and then (ten times a second, say)
    /// if there may be such. Costs a few loads. Answers whether it makes sense to call it again: false when a debugger was
    /// met, and for states that tell debuggers nothing.
    pub fn look_for_debugger(&self) -> bool {
        let is_over = self.debugger_met.load(Ordering::Relaxed);
        #[cfg(feature = "jit")]
        if !is_over && perilune_jit::code::publish::Telling::Batches.is_outdated() {
            self.word.fetch_or(interrupt::DEBUGGER, Ordering::Relaxed);
        }
        !is_over
    }
}

impl Default for Lua {
    fn default() -> Lua {
        Lua::new()
    }
}

impl Drop for Lua {
    fn drop(&mut self) {
        if self.owner {
            self.shared.close();
        }
    }
}

impl Lua {
    /// A state with Lua's library and the default options.
    pub fn new() -> Lua {
        Lua::with_options(&Options::default())
    }

    /// A state with Lua's library.
    pub fn with_options(options: &Options) -> Lua {
        let mut state = machine::open(options.ignore_environment);
        if let Some(bytes) = options.memory_limit {
            state.heap.set_limit(bytes);
        }
        #[cfg(feature = "jit")]
        perilune_jit::lua::tier::Jit::install(&mut state, options.jit.clone());
        Lua { shared: Rc::new(Shared::new(state)), owner: true }
    }

    /// The same state, for the time that its owner is there.
    pub(super) fn borrowed(shared: &Rc<Shared>) -> Lua {
        Lua { shared: Rc::clone(shared), owner: false }
    }

    pub(super) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        self.shared.with(f)
    }

    // ---- running code

    /// Calls a value: a function, or what has `__call`.
    ///
    /// # Errors
    /// When it cannot be called, those of the call, or results that cannot be converted.
    pub fn call<R: FromLuaMulti>(&self, callee: &Value, args: impl IntoLuaMulti) -> Result<R> {
        let mut list = Vec::new();
        args.into_lua_multi(self, &mut list)?;
        let results = machine::call(self, callee, &list)?;
        Ok(R::from_lua_multi(&mut Arguments::new(results), self)?)
    }

    /// A chunk of Lua code, to be run or made a function.
    pub fn load<'a>(&'a self, text: &'a (impl AsRef<[u8]> + ?Sized)) -> Chunk<'a> {
        Chunk { lua: self, text: text.as_ref(), name: None, binary: false }
    }

    /// Runs code.
    ///
    /// # Errors
    /// Those of the code, or its syntax errors.
    pub fn exec(&self, text: impl AsRef<[u8]>) -> Result<()> {
        self.load(&text).exec()
    }

    /// The values of an expression, or those that a chunk returns.
    ///
    /// # Errors
    /// Those of the code, its syntax errors, or results that cannot be converted.
    pub fn eval<R: FromLuaMulti>(&self, text: impl AsRef<[u8]>) -> Result<R> {
        self.load(&text).eval()
    }

    /// Reads a script, or a binary chunk. A byte order mark and a first line that begins with `#` are skipped.
    ///
    /// # Errors
    /// When it cannot be read, and syntax errors.
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<Function> {
        use std::os::unix::ffi::OsStrExt;
        self.load_chunk(Some(path.as_ref().as_os_str().as_bytes()))
    }

    /// Reads all that is left of the standard input as a script, as [`Lua::load_file`] does.
    ///
    /// # Errors
    /// When it cannot be read, and syntax errors.
    pub fn load_stdin(&self) -> Result<Function> {
        self.load_chunk(None)
    }

    fn load_chunk(&self, path: Option<&[u8]>) -> Result<Function> {
        let (text, name) =
            self.with(|state| read_chunk(state, path)).map_err(|e| Error::new(String::from_utf8_lossy(&e)))?;
        self.load(&text).name(&name).binary(true).into_function()
    }

    // ---- the standard input, whose buffer Lua code reads from as well

    /// The next line of the standard input with its end; none at the end of the file, or when it cannot be read.
    pub fn read_line(&self) -> Option<Vec<u8>> {
        self.with(lib::input_line)
    }

    /// Does the buffer hold something, so that [`Lua::read_line`] need not wait for its beginning?
    pub fn has_input(&self) -> bool {
        self.with(lib::input_waits)
    }

    // ---- making values

    /// The table of globals.
    pub fn globals(&self) -> Table {
        self.with(|state| {
            let globals = Raw::from(state.globals);
            Table(Handle::new(&self.shared, state, globals))
        })
    }

    /// The metatable that all strings share.
    pub fn string_metatable(&self) -> Option<Table> {
        self.with(|state| {
            let empty = Raw::from(state.heap.string(b"").ok()?);
            let meta = state.metatable_of(empty)?;
            Some(Table(Handle::new(&self.shared, state, Raw::from(meta))))
        })
    }

    /// A string.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn string(&self, bytes: impl AsRef<[u8]>) -> Result<LuaString> {
        self.with(|state| {
            let s = machine::make(&self.shared, state, |state| state.heap.string(bytes.as_ref()))?;
            Ok(LuaString(Handle::new(&self.shared, state, Raw::from(s))))
        })
    }

    /// An empty table.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn table(&self) -> Result<Table> {
        self.with(|state| {
            let table = machine::make(&self.shared, state, |state| state.heap.table(0, 0))?;
            Ok(Table(Handle::new(&self.shared, state, Raw::from(table))))
        })
    }

    /// A table with these entries.
    ///
    /// # Errors
    /// When there is no memory for it, or an entry cannot be converted.
    pub fn table_from<K: IntoLua, V: IntoLua>(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<Table> {
        let table = self.table()?;
        for (key, value) in entries {
            table.raw_set(key, value)?;
        }
        Ok(table)
    }

    /// A function that runs a Rust closure. The arguments are converted to what the closure takes; one that does not fit is
    /// Lua's `bad argument` error. A panic passes through to whoever called Lua, and the state stays usable.
    ///
    /// ```
    /// # fn main() -> perilune::Result<()> {
    /// let lua = perilune::Lua::new();
    /// let add = lua.function(|_, (a, b): (i64, i64)| Ok(a + b))?;
    /// assert_eq!(add.call::<i64>((20, 22))?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn function<A, R, F>(&self, f: F) -> Result<Function>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
        F: Fn(&Lua, A) -> Result<R> + 'static,
    {
        function::native(self, move |lua, args| {
            let args = A::from_lua_multi(&mut Arguments::new(args), lua)?;
            let mut results = Vec::new();
            f(lua, args)?.into_lua_multi(lua, &mut results)?;
            Ok(results)
        })
    }

    /// A userdata that holds a Rust value.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn userdata<T: 'static>(&self, value: T) -> Result<Userdata> {
        Userdata::new(self, value)
    }

    /// Converts a value to Lua.
    ///
    /// # Errors
    /// As [`IntoLua::into_lua`].
    pub fn pack(&self, value: impl IntoLua) -> Result<Value> {
        value.into_lua(self)
    }

    /// Converts a value from Lua.
    ///
    /// # Errors
    /// When it is of another type or out of range.
    pub fn unpack<T: FromLua>(&self, value: Value) -> Result<T> {
        Ok(T::from_lua(value, self)?)
    }

    /// What `tostring` makes of a value.
    ///
    /// # Errors
    /// Those of its `__tostring`.
    pub fn to_string(&self, value: &Value) -> Result<LuaString> {
        let text = self.with(|state| {
            let raw = value.raw(&self.shared, state);
            machine::operate(&self.shared, state, machine::to_string, &[raw])
        })?;
        self.unpack(text)
    }

    // ---- limits

    /// Bytes that the state's objects take, garbage included.
    pub fn used_memory(&self) -> usize {
        self.with(|state| state.heap.used())
    }

    /// Changes the limit on the memory of the state's objects; none: as much as there is.
    pub fn set_memory_limit(&self, bytes: Option<usize>) {
        self.with(|state| state.heap.set_limit(bytes.unwrap_or(usize::MAX)));
    }

    /// Collects all garbage. Finalizers run at the next call.
    pub fn collect_garbage(&self) {
        self.with(State::collect_all);
    }

    /// The Lua traceback of the last panic that has passed through this state: all Lua frames that stood when it began, compiled
    /// ones included, those of the coroutines that had resumed one another one behind the other. Once.
    ///
    /// A panic of a native function passes through to whoever called into the state, and leaves that usable.
    pub fn take_panic_traceback(&self) -> Option<String> {
        self.shared.take_panic()
    }

    /// Turns warnings (`warn`) on or off.
    pub fn set_warnings(&self, on: bool) {
        self.with(|state| state.warnings = on);
    }

    /// Writes out what programs have written to files and the standard output so far and what still waits in buffers. When
    /// the state is dropped this happens by itself.
    pub fn flush(&self) {
        self.with(lib::flush_streams);
    }

    /// As [`Lua::flush`]; a line of the standard output that programs have begun is ended, so that what is written next stands in a
    /// line of its own.
    pub fn end_line(&self) {
        self.with(lib::end_line);
    }

    /// A way to stop running code from elsewhere.
    pub fn interrupt(&self) -> Interrupt {
        self.with(|state| Interrupt {
            word: Arc::clone(&state.interrupt),
            debugger_met: Arc::clone(&state.debugger_met),
        })
    }
}

/// Code to be compiled.
#[must_use]
pub struct Chunk<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    name: Option<&'a [u8]>,
    binary: bool,
}

impl<'a> Chunk<'a> {
    /// Whether a binary chunk, which `string.dump` has made, is accepted, too; else it is an error. One that was damaged or made
    /// up is refused as well as wrong text is.
    pub fn binary(mut self, accepted: bool) -> Chunk<'a> {
        self.binary = accepted;
        self
    }

    /// How messages name the chunk: `@` stands before a file's name, `=` before any other; a name without either is taken
    /// for the code itself and quoted.
    pub fn name(mut self, name: &'a (impl AsRef<[u8]> + ?Sized)) -> Chunk<'a> {
        self.name = Some(name.as_ref());
        self
    }

    /// A function that runs the code.
    ///
    /// # Errors
    /// Syntax errors.
    pub fn into_function(self) -> Result<Function> {
        let value = machine::load(self.lua, self.text, self.name.unwrap_or(self.text), self.binary)?;
        self.lua.unpack(value)
    }

    /// Runs the code.
    ///
    /// # Errors
    /// Its errors and syntax errors.
    pub fn exec(self) -> Result<()> {
        self.into_function()?.call(())
    }

    /// The values of the code as an expression, or else those that it returns as a chunk.
    ///
    /// # Errors
    /// Its errors, syntax errors, or results that cannot be converted.
    pub fn eval<R: FromLuaMulti>(self) -> Result<R> {
        self.into_expression()?.call(())
    }

    /// A function that returns the values of the code as an expression or, if it is none, runs it as a chunk.
    ///
    /// # Errors
    /// Syntax errors.
    pub fn into_expression(self) -> Result<Function> {
        let name = self.name.unwrap_or(self.text);
        let expression = [b"return ", self.text].concat();
        match (Chunk { lua: self.lua, text: &expression, name: Some(name), binary: false }).into_function() {
            Ok(function) => Ok(function),
            Err(_) => self.into_function(),
        }
    }
}
