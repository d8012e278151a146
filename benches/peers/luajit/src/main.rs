//! LuaJIT 2.1 as a stand-alone interpreter: `luajit-peer [-j cmd] [-O opt] [-e code] [script [args]]`.
//!
//! Only what benchmarks need: no REPL, no bytecode listing. `-joff` and `-jon` switch the compiler, `-Ohotloop=10` and the
//! like set its parameters.
//!
//! Invariant: no function here that may raise a Lua error holds anything with a destructor.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStringExt;
use std::ptr::null_mut;

#[repr(C)]
struct LuaState {
    _opaque: [u8; 0],
}
type State = *mut LuaState;
type CFunction = unsafe extern "C-unwind" fn(State) -> c_int;

unsafe extern "C-unwind" {
    fn luaL_newstate() -> State;
    fn luaL_openlibs(l: State);
    fn luaL_loadfile(l: State, name: *const c_char) -> c_int;
    fn luaL_loadbuffer(l: State, s: *const c_char, n: usize, name: *const c_char) -> c_int;
    fn luaL_traceback(l: State, of: State, message: *const c_char, level: c_int);
    fn lua_close(l: State);
    fn lua_pcall(l: State, args: c_int, results: c_int, handler: c_int) -> c_int;
    fn lua_cpcall(l: State, f: CFunction, p: *mut c_void) -> c_int;
    fn lua_pushcclosure(l: State, f: CFunction, upvalues: c_int);
    fn lua_pushstring(l: State, s: *const c_char);
    fn lua_createtable(l: State, array: c_int, fields: c_int);
    fn lua_rawseti(l: State, at: c_int, n: c_int);
    fn lua_setfield(l: State, at: c_int, name: *const c_char);
    fn lua_touserdata(l: State, at: c_int) -> *mut c_void;
    fn lua_tolstring(l: State, at: c_int, len: *mut usize) -> *const c_char;
    fn lua_gettop(l: State) -> c_int;
    fn lua_insert(l: State, at: c_int);
    fn lua_remove(l: State, at: c_int);
}

const GLOBALS: c_int = -10002;
const MULTRET: c_int = -1;

/// What the command line asked for.
struct Options {
    /// Lua code to run before the script, `-j` and `-O` included.
    chunks: Vec<CString>,
    script: Vec<CString>,
    good: bool,
}

fn options() -> Result<Options, String> {
    let mut args = std::env::args_os().skip(1).map(|a| CString::new(a.into_vec()).expect("no NUL in an argument"));
    let mut found = Options { chunks: Vec::new(), script: Vec::new(), good: true };
    while let Some(arg) = args.next() {
        let code = match arg.to_bytes() {
            b"-e" => args.next().ok_or("'-e' needs argument")?.into_bytes(),
            b"-joff" => b"jit.off()".to_vec(),
            b"-jon" => b"jit.on()".to_vec(),
            [b'-', b'O', rest @ ..] => [b"require('jit.opt').start('", rest, b"')"].concat(),
            [b'-', ..] => return Err(format!("unrecognized option '{}'", arg.to_string_lossy())),
            _ => {
                found.script.push(arg);
                found.script.extend(args);
                break;
            }
        };
        found.chunks.push(CString::new(code).expect("no NUL in an argument"));
    }
    Ok(found)
}

unsafe extern "C-unwind" fn handler(l: State) -> c_int {
    // SAFETY: called by LuaJIT with the error object as the only argument.
    unsafe {
        let message = lua_tolstring(l, 1, null_mut());
        if !message.is_null() {
            luaL_traceback(l, l, message, 1);
        }
        1
    }
}

/// Runs the chunk below its `args` arguments when `loaded` is 0; prints the message when anything went wrong.
unsafe fn run(l: State, loaded: c_int, args: c_int) -> bool {
    // SAFETY: the chunk (or the message of its failed load) and the arguments are on the stack.
    unsafe {
        let mut status = loaded;
        if status == 0 {
            let base = lua_gettop(l) - args;
            lua_pushcclosure(l, handler, 0);
            lua_insert(l, base);
            status = lua_pcall(l, args, MULTRET, base);
            lua_remove(l, base);
        }
        if status != 0 {
            let message = lua_tolstring(l, -1, null_mut());
            let message = if message.is_null() { c"(error object is not a string)" } else { CStr::from_ptr(message) };
            eprintln!("luajit: {}", message.to_string_lossy());
        }
        status == 0
    }
}

unsafe extern "C-unwind" fn program(l: State) -> c_int {
    // SAFETY: the argument is the pointer to `Options` that `main` passes and keeps alive; nobody else uses it meanwhile.
    unsafe {
        let options = &mut *lua_touserdata(l, 1).cast::<Options>();
        luaL_openlibs(l);
        lua_createtable(l, 0, 0);
        for (i, arg) in options.script.iter().enumerate() {
            lua_pushstring(l, arg.as_ptr());
            lua_rawseti(l, -2, i as c_int);
        }
        lua_setfield(l, GLOBALS, c"arg".as_ptr());
        for chunk in &options.chunks {
            let loaded = luaL_loadbuffer(l, chunk.as_ptr(), chunk.to_bytes().len(), c"=(command line)".as_ptr());
            if !run(l, loaded, 0) {
                options.good = false;
                return 0;
            }
        }
        if let Some((script, args)) = options.script.split_first() {
            let loaded = luaL_loadfile(l, script.as_ptr());
            for arg in args.iter().filter(|_| loaded == 0) {
                lua_pushstring(l, arg.as_ptr());
            }
            options.good = run(l, loaded, args.len() as c_int);
        }
        0
    }
}

fn main() {
    let mut options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("luajit: {message}");
            std::process::exit(1);
        }
    };
    // SAFETY: a fresh state used by this thread alone; `options` outlives the call that reads it.
    let status = unsafe {
        let l = luaL_newstate();
        assert!(!l.is_null(), "LuaJIT makes no state");
        let status = lua_cpcall(l, program, (&raw mut options).cast());
        lua_close(l);
        status
    };
    std::process::exit(if status == 0 && options.good { 0 } else { 1 });
}
