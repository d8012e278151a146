//! PUC Lua 5.4.8 as a stand-alone interpreter: `puc [-e code] [-W] [script [args]]`.
//!
//! It behaves as the `lua` program does for these options, down to the traceback on stderr, the exit status, the generational
//! collector and the prefix `lua:` of messages, so that what it prints can be compared byte for byte. `LUA_INIT` is not
//! read: the oracle's answer must not depend on its environment.
//!
//! Invariant: Lua raises errors by `longjmp`, so no function here that may raise holds anything with a destructor.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStringExt;
use std::ptr::{null, null_mut};

#[repr(C)]
struct LuaState {
    _opaque: [u8; 0],
}
type State = *mut LuaState;
type CFunction = unsafe extern "C-unwind" fn(State) -> c_int;

const MULTRET: c_int = -1;
const GC_STOP: c_int = 0;
const GC_RESTART: c_int = 1;
const GC_GENERATIONAL: c_int = 10;
const TYPE_STRING: c_int = 4;

unsafe extern "C-unwind" {
    fn luaL_newstate() -> State;
    fn luaL_openlibs(l: State);
    fn luaL_checkversion_(l: State, version: f64, sizes: usize);
    fn luaL_loadfilex(l: State, name: *const c_char, mode: *const c_char) -> c_int;
    fn luaL_loadbufferx(l: State, s: *const c_char, n: usize, name: *const c_char, mode: *const c_char) -> c_int;
    fn luaL_callmeta(l: State, at: c_int, event: *const c_char) -> c_int;
    fn luaL_traceback(l: State, of: State, message: *const c_char, level: c_int);
    fn luaL_tolstring(l: State, at: c_int, len: *mut usize) -> *const c_char;
    fn lua_close(l: State);
    fn lua_gc(l: State, what: c_int, ...) -> c_int;
    fn lua_pcallk(l: State, args: c_int, results: c_int, handler: c_int, context: isize, k: *const c_void) -> c_int;
    fn lua_pushcclosure(l: State, f: CFunction, upvalues: c_int);
    fn lua_pushlightuserdata(l: State, p: *mut c_void);
    fn lua_pushstring(l: State, s: *const c_char) -> *const c_char;
    fn lua_pushfstring(l: State, format: *const c_char, ...) -> *const c_char;
    fn lua_pushboolean(l: State, b: c_int);
    fn lua_createtable(l: State, array: c_int, fields: c_int);
    fn lua_rawseti(l: State, at: c_int, n: i64);
    fn lua_setglobal(l: State, name: *const c_char);
    fn lua_touserdata(l: State, at: c_int) -> *mut c_void;
    fn lua_tolstring(l: State, at: c_int, len: *mut usize) -> *const c_char;
    fn lua_toboolean(l: State, at: c_int) -> c_int;
    fn lua_type(l: State, at: c_int) -> c_int;
    fn lua_typename(l: State, t: c_int) -> *const c_char;
    fn lua_gettop(l: State) -> c_int;
    fn lua_settop(l: State, top: c_int);
    fn lua_rotate(l: State, at: c_int, n: c_int);
    fn luaL_checkstack(l: State, n: c_int, message: *const c_char);
    fn lua_warning(l: State, message: *const c_char, to_be_continued: c_int);
}

/// What the command line asked for.
struct Options {
    warnings: bool,
    chunks: Vec<CString>,
    /// Script and arguments; an empty list means that there is no script.
    script: Vec<CString>,
}

fn options() -> Result<Options, String> {
    let mut args = std::env::args_os().skip(1).map(|a| CString::new(a.into_vec()).expect("no NUL in an argument"));
    let mut found = Options { warnings: false, chunks: Vec::new(), script: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.to_bytes() {
            b"-W" => found.warnings = true,
            b"-e" => found.chunks.push(args.next().ok_or("'-e' needs argument")?),
            b"--" => {
                found.script.extend(args);
                break;
            }
            [b'-', b'e', rest @ ..] => found.chunks.push(CString::new(rest).expect("no NUL in an argument")),
            [b'-', _, ..] => return Err(format!("unrecognized option '{}'", arg.to_string_lossy())),
            _ => {
                found.script.push(arg);
                found.script.extend(args);
                break;
            }
        }
    }
    Ok(found)
}

/// The message handler: turns the error object into a string and adds the traceback.
unsafe extern "C-unwind" fn handler(l: State) -> c_int {
    // SAFETY: called by Lua with the error object as the only argument and room for the few values pushed.
    unsafe {
        let mut message = lua_tolstring(l, 1, null_mut());
        if message.is_null() {
            if luaL_callmeta(l, 1, c"__tostring".as_ptr()) != 0 && lua_type(l, -1) == TYPE_STRING {
                return 1;
            }
            let kind = lua_typename(l, lua_type(l, 1));
            message = lua_pushfstring(l, c"(error object is a %s value)".as_ptr(), kind);
        }
        luaL_traceback(l, l, message, 1);
        1
    }
}

/// Prints the message on the top of the stack when `status` is an error. Answers whether all went well.
unsafe fn report(l: State, status: c_int) -> bool {
    if status == 0 {
        return true;
    }
    // SAFETY: the top of the stack is the error object, as after each failed load or call.
    unsafe {
        let mut message = lua_tolstring(l, -1, null_mut());
        if message.is_null() {
            message = c"(error message not a string)".as_ptr();
        }
        libc_write(c"lua: ");
        libc_write(CStr::from_ptr(message));
        libc_write(c"\n");
        lua_settop(l, -2);
    }
    false
}

/// Writes to stderr, where the C library and Rust both keep no buffer.
fn libc_write(text: &CStr) {
    use std::io::Write;
    // A closed stderr leaves nobody to tell.
    let _ = std::io::stderr().write_all(text.to_bytes());
}

/// Calls the function below its `args` arguments with the message handler.
unsafe fn call(l: State, args: c_int, results: c_int) -> c_int {
    // SAFETY: the function and its arguments are on the stack.
    unsafe {
        let base = lua_gettop(l) - args;
        lua_pushcclosure(l, handler, 0);
        lua_rotate(l, base, 1);
        let status = lua_pcallk(l, args, results, base, 0, null());
        lua_rotate(l, base, -1);
        lua_settop(l, -2);
        status
    }
}

unsafe fn set_arguments(l: State, options: &Options) {
    // SAFETY: plain pushes; the strings outlive the calls.
    unsafe {
        lua_createtable(l, 0, 0);
        let first = if options.script.is_empty() { 0 } else { -1 };
        lua_pushstring(l, c"lua".as_ptr());
        lua_rawseti(l, -2, first);
        for (i, arg) in options.script.iter().enumerate() {
            lua_pushstring(l, arg.as_ptr());
            lua_rawseti(l, -2, i as i64);
        }
        lua_setglobal(l, c"arg".as_ptr());
    }
}

/// The main program as a Lua function, so that tracebacks end as those of `lua` do.
unsafe extern "C-unwind" fn program(l: State) -> c_int {
    // SAFETY: the argument is the pointer to `Options` that `main` passes and keeps alive.
    unsafe {
        let options = &*lua_touserdata(l, 1).cast::<Options>();
        luaL_checkversion_(l, 504.0, 136);
        luaL_openlibs(l);
        set_arguments(l, options);
        lua_gc(l, GC_RESTART);
        lua_gc(l, GC_GENERATIONAL, 0 as c_int, 0 as c_int);
        if options.warnings {
            lua_warning(l, c"@on".as_ptr(), 0);
        }
        for chunk in &options.chunks {
            let length = chunk.to_bytes().len();
            let mut status = luaL_loadbufferx(l, chunk.as_ptr(), length, c"=(command line)".as_ptr(), null());
            if status == 0 {
                status = call(l, 0, 0);
            }
            if !report(l, status) {
                return 0;
            }
        }
        let name = match options.script.first() {
            None if !options.chunks.is_empty() => null(),
            None => c"-".as_ptr(),
            Some(name) => name.as_ptr(),
        };
        if !name.is_null() {
            let stdin = CStr::from_ptr(name) == c"-";
            let mut status = luaL_loadfilex(l, if stdin { null() } else { name }, null());
            if status == 0 {
                let args = options.script.get(1..).unwrap_or_default();
                luaL_checkstack(l, args.len() as c_int + 3, c"too many arguments to script".as_ptr());
                for arg in args {
                    lua_pushstring(l, arg.as_ptr());
                }
                status = call(l, args.len() as c_int, MULTRET);
            }
            if !report(l, status) {
                return 0;
            }
        }
        lua_pushboolean(l, 1);
        1
    }
}

fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("lua: {message}");
            std::process::exit(1);
        }
    };
    // SAFETY: a fresh state used by this thread alone; `options` outlives the call that reads it.
    let good = unsafe {
        let l = luaL_newstate();
        if l.is_null() {
            eprintln!("lua: cannot create state: not enough memory");
            std::process::exit(1);
        }
        lua_gc(l, GC_STOP);
        lua_pushcclosure(l, program, 0);
        lua_pushlightuserdata(l, (&raw const options).cast_mut().cast());
        let status = lua_pcallk(l, 1, 1, 0, 0, null());
        let good = lua_toboolean(l, -1) != 0;
        if status != 0 {
            luaL_tolstring(l, -1, null_mut());
        }
        let reported = report(l, status);
        lua_close(l);
        good && reported
    };
    std::process::exit(if good { 0 } else { 1 });
}
