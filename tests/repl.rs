//! The REPL on a real (pseudo) terminal: prompts, editing, history, Ctrl-C and Ctrl-D.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// When a program that says nothing counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(feature = "repl")]
const UP: &str = "\x1b[A";
const CTRL_C: &str = "\x03";
/// Without an editor it ends the input only at a prompt: before that it is the terminal's own.
const CTRL_D: &str = "\x04";

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet expected.
    shown: String,
}

fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: the places for the descriptors are there; the rest may be left out.
    let outcome = unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
    assert_eq!(outcome, 0, "no pseudo-terminal: {}", std::io::Error::last_os_error());
    // SAFETY: both descriptors are new and nobody else's.
    unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) }
}

impl Terminal {
    fn start(args: &[&str], history: &str) -> Terminal {
        Terminal::start_with(args, &[("PERILUNE_HISTORY", history)])
    }

    /// Without colours and history unless these variables say otherwise.
    fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Terminal {
        let (master, slave) = terminal();
        let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
        command.args(args).env("TERM", "xterm").env("PERILUNE_HISTORY", "").env("NO_COLOR", "1").env_remove("LUA_INIT");
        command.envs(variables.iter().copied());
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // SAFETY: the child only makes its terminal the one that Ctrl-C comes from.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Terminal { child, keyboard, screen, shown: String::new() }
    }

    fn send(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the editor takes keys, behind this prompt.
    #[track_caller]
    fn prompt(&mut self, prompt: &str) {
        if cfg!(feature = "repl") {
            // The editor turns bracketed paste on.
            self.expect("\x1b[?2004h");
        }
        self.expect(prompt);
    }

    /// Waits until this is shown, behind what was expected before.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            match self.screen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => {
                    let _ = self.child.kill();
                    let end = if why == RecvTimeoutError::Timeout { "nothing more came" } else { "the program ended" };
                    panic!("{text:?} was not shown and {end}; there was {:?}", self.shown);
                }
            }
        }
    }

    /// Types a line and waits for what it shows, and for the next prompt.
    #[track_caller]
    fn type_line(&mut self, line: &str, shown: &str) {
        self.send(&format!("{line}\r"));
        self.expect(shown);
        self.prompt("> ");
    }

    /// Leaves, and makes sure that this ends well.
    #[track_caller]
    fn leave(mut self) {
        self.send(CTRL_D);
        assert_eq!(self.end().code(), Some(0));
    }

    /// Waits for the end.
    #[track_caller]
    fn end(mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("the program does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A history file of a test's own.
#[cfg(feature = "repl")]
fn history(name: &str) -> String {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("repl").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder.join("deeper/history").to_str().unwrap().to_string()
}

#[test]
fn expressions_show_their_values() {
    let mut t = Terminal::start(&[], "");
    t.expect("Lua 5.4");
    t.prompt("> ");
    t.send("6 * 7, 'a' .. 'b'\r");
    t.expect("42\tab\r\n");
    t.prompt("> ");
    t.send("local x = 1\r");
    t.prompt("> ");
    t.send("= 10 // 4\r");
    t.expect("2\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
}

#[test]
fn incomplete_input_goes_on() {
    let mut t = Terminal::start(&["-i"], "");
    t.prompt("> ");
    t.send("for i = 1, 2 do\r");
    t.prompt(">> ");
    t.send("print('line ' .. i)\r");
    t.prompt(">> ");
    t.send("end\r");
    t.expect("line 1\r\nline 2\r\n");
    t.prompt("> ");
    t.send("x = (\r");
    t.prompt(">> ");
    t.send(CTRL_C);
    t.prompt("> ");
    t.send("1000 + 1\r");
    t.expect("1001\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
}

#[test]
fn errors_leave_the_repl_alive() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.send("error('bo' .. 'om')\r");
    t.expect("stdin:1: boom\r\nstack traceback:\r\n");
    t.expect("[C]: in ?");
    t.prompt("> ");
    t.send("x = = 1\r");
    t.expect("stdin:1: unexpected symbol near '='\r\n");
    t.prompt("> ");
    t.send("'ali' .. 've'\r");
    t.expect("alive\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
}

fn interrupt(args: &[&str], program: &str) {
    let mut t = Terminal::start(args, "");
    t.prompt("> ");
    t.send(&format!("{program}\r"));
    t.expect("started\r\n");
    // Long enough for the loop to get hot; if it is not, the test checks less, and passes.
    std::thread::sleep(Duration::from_millis(200));
    t.send(CTRL_C);
    t.expect("interrupted!");
    t.expect("stack traceback:");
    t.prompt("> ");
    t.send("'ali' .. 've'\r");
    t.expect("alive\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
}

const ENDLESS: [&str; 4] = [
    "print('star' .. 'ted') while true do end",
    "print('star' .. 'ted') local n = 0 repeat n = n + 1 until n < 0",
    "print('star' .. 'ted') local t = {1} for i = 1, math.huge do t[1] = t[1] + i % 3 end",
    "print('star' .. 'ted') local function f() return f() end f()",
];

#[test]
fn ctrl_c_stops_the_interpreter() {
    for program in ENDLESS {
        interrupt(&["-joff"], program);
    }
}

#[test]
#[cfg(feature = "jit")]
fn ctrl_c_stops_compiled_loops() {
    for program in ENDLESS {
        interrupt(&[], program);
        interrupt(&["-Ohotloop=1", "-Ohotexit=1"], program);
    }
}

#[test]
fn ctrl_c_ends_a_script_with_an_error() {
    let mut t = Terminal::start(&["-e", "print('started') while true do end"], "");
    t.expect("started\r\n");
    t.send(CTRL_C);
    t.expect("perilune: (command line):1: interrupted!");
    assert_eq!(t.end().code(), Some(1));
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.send("x = 20\rx = x * 2\rx + 2\r");
    t.expect("42\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
}

#[test]
#[cfg(feature = "repl")]
fn statements_are_remembered() {
    let history = history("remembered");
    let mut t = Terminal::start(&[], &history);
    t.prompt("> ");
    t.send("print('first' .. ' one')\r");
    t.expect("first one\r\n");
    t.prompt("> ");
    t.send(UP);
    t.send("\r");
    t.expect("first one\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
    let mut t = Terminal::start(&[], &history);
    t.prompt("> ");
    t.send(UP);
    t.send("\r");
    t.expect("first one\r\n");
    t.prompt("> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
    assert!(std::fs::read_to_string(&history).unwrap().contains("print('first' .. ' one')"));
}

#[test]
fn tables_show_their_contents() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.type_line(
        "{1, 'a\\n', x = {}, [1.5] = 2, ['a b'] = print}",
        "\r\n{1, \"a\\n\", [1.5] = 2, [\"a b\"] = <function>, x = {}}\r\n",
    );
    t.type_line("c = {} c.me = c c.list = {c} return c", "\r\n{list = {<cycle>}, me = <cycle>}\r\n");
    t.type_line("{{{{{{{}}}}}}}", "\r\n{{{{{{...}}}}}}\r\n");
    t.type_line("{}, setmetatable({}, {__tostring = function() return 'spoken' end})", "\r\n{}\tspoken\r\n");
    t.type_line(
        "{setmetatable({1}, {__tostring = error, __name = 'N'}), setmetatable({2}, {__name = 'P'})}",
        "P {2}}\r\n",
    );
    // What does not fit goes into lines.
    t.type_line("{one = ('x'):rep(50), two = ('y'):rep(50)}", "\r\n{\r\n  one = \"xxx");
    t.type_line("local n = {} for i = 1, 1000 do n[i] = i end return n", "\r\n{\r\n  1, 2, 3, 4,");
    t.type_line("n", "... 900 more,\r\n}\r\n");
    t.leave();
}

#[test]
fn results_have_names() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.type_line("6 * 7", "\r\n42\r\n");
    t.type_line("_ / 2", "\r\n21.0\r\n");
    t.type_line("'a', nil, 'c'", "\r\na\tnil\tc\r\n");
    t.type_line("_1 .. _3, _2, _ == _1", "\r\nac\tnil\ttrue\r\n");
    t.type_line("x = 1", "");
    t.type_line("_", "\r\nac\r\n");
    t.leave();
}

#[test]
fn local_variables_live_on() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    // No line looks like the prompt, which is all that tells an editor-less terminal that the next one may come.
    t.type_line("local x, y <const>--[[]]= 20, 2", "");
    t.type_line("x = x + 1", "");
    t.type_line("x * y", "\r\n42\r\n");
    t.type_line("y = 3", "attempt to assign to const variable 'y'");
    t.type_line("local function f(n) return n == 0 and x or f(n - 1) end", "");
    t.type_line("x = 'shared' return f(3)", "\r\nshared\r\n");
    t.type_line("local x = x .. '!' return x, f(1)", "\r\nshared!\tshared\r\n");
    t.type_line("x, rawget(_G, 'x')", "\r\nshared!\tnil\r\n");
    t.type_line("do local x = 'inner' end for x = 1, 2 do end return x", "\r\nshared!\r\n");
    // What was assigned before an error stays, the rest never was.
    t.type_line("local a = 'kept' error('here') local b = 1", "stdin:1: here");
    t.type_line("a, b", "\r\nkept\tnil\r\n");
    t.type_line(
        "local c <close>--[[]]= setmetatable({}, {__close = function() print('clo' .. 'sed') end})",
        "\r\nclosed\r\n",
    );
    t.type_line("c, pcall(load, 'return x')", "nil\ttrue\tfunction");
    t.leave();
}

#[test]
fn errors_show_their_place() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.type_line("local x = = 1", "near '='\r\n    local x = = 1\r\n              ^\r\n");
    t.type_line("print(nothing.here)", "(global 'nothing')\r\n    print(nothing.here)\r\n          ^^^^^^^\r\nstack");
    t.type_line("string.rep()", "\r\n    string.rep()\r\n           ^^^\r\nstack");
    t.send("if true then\r");
    t.prompt(">> ");
    t.send("error('two')\r");
    t.prompt(">> ");
    t.type_line("end", "stdin:2: two\r\n    error('two')\r\nstack traceback:");
    // The line of a function that was typed before is not this statement's.
    t.type_line("function f() nope() end", "");
    t.type_line("f()", "(global 'nope')\r\nstack traceback:");
    t.leave();
}

#[test]
fn commands_look_inside() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.type_line(":help", ":quit ");
    t.type_line(":time return 6 * 7", "\r\n42\r\ntook 0.");
    t.type_line("function add(a, b) return a + b end", "");
    t.type_line(":dis add", "ADD        2 0 1\r\n");
    t.type_line(":dis print(1)", "\"print\"");
    t.type_line(":dis return function(a) return -a end", "function <stdin:1>\r\n    0 [1] UNM ");
    t.type_line(":dis print", "a native function");
    t.type_line(":doc string.rep", "string.rep(s, n [, sep])\r\n  n copies");
    t.type_line(":doc add", "function (a, b)\r\n  stdin:1\r\n");
    t.type_line(":doc nonsense", "'nonsense' is nothing");
    let script = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("loaded.lua");
    std::fs::write(&script, "loaded = 'from a file'").unwrap();
    t.type_line(&format!(":load {}", script.display()), "");
    t.type_line("loaded", "\r\nfrom a file\r\n");
    t.type_line(":load /no/such/file", "cannot open /no/such/file: No such file or directory");
    t.type_line(":nonsense", "there is no command :nonsense");
    t.type_line(":time", ":time wants more");
    t.send(":quit\r");
    assert_eq!(t.end().code(), Some(0));
}

#[test]
#[cfg(feature = "jit")]
fn commands_show_traces() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.type_line(":trace", "there are no traces");
    t.type_line(":trace local s = 0 for i = 1, 1000 do s = s + i end", "trace 1 stdin:1 loop: ");
    t.type_line("for i = 1, 1000 do end", "");
    t.type_line(":trace", "trace 2 stdin:1 loop: ");
    t.type_line(":ir 1", "add.int");
    t.type_line(":ir for i = 1, 1000 do local x = i * 2.5 end", "trace 3 stdin:1");
    t.type_line(":ir 99", "there is no trace 99");
    t.type_line(":jit", "hot code is compiled; there are 3 traces");
    t.type_line(":jit off", "hot code is not compiled");
    t.type_line("for i = 1, 1000 do end", "");
    t.type_line(":jit on", "hot code is compiled; there are 3 traces");
    t.leave();
    let mut t = Terminal::start(&["-joff"], "");
    t.prompt("> ");
    t.type_line(":jit", "hot code is not compiled; there are 0 traces");
    t.type_line(":jit on", "hot code is compiled; there are 0 traces");
    t.type_line(":trace for i = 1, 1000 do end", "trace 1 stdin:1 loop: ");
    t.leave();
    let mut t = Terminal::start(&["-joff", "--gdb=off"], "");
    t.prompt("> ");
    t.type_line(":jit on", "the compiler is off since the start");
    t.leave();
}

#[test]
fn the_program_reads_what_is_typed() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.send("io.read()\r");
    t.expect("\r\n");
    // The editor has given the terminal back when the program waits.
    std::thread::sleep(Duration::from_millis(200));
    t.type_line("typed", "\r\ntyped\r\n");
    t.type_line("'after' .. 'wards'", "\r\nafterwards\r\n");
    t.leave();
}

#[test]
fn begun_lines_are_not_written_over() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.send("io.write('be' .. 'gun') local x\r");
    t.expect("begun\r\n");
    t.prompt("> ");
    t.send("io.write('be' .. 'fore') and 5\r");
    t.expect("before\r\n5\r\n");
    t.prompt("> ");
    t.send("io.write('fai') error('led', 0)\r");
    t.expect("fai\r\nled\r\n");
    t.prompt("> ");
}

#[test]
fn prompts_can_be_replaced() {
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.send("_PROMPT, _PROMPT2 = 'one) ', setmetatable({}, {__tostring = function() return 'two) ' end})\r");
    t.prompt("one) ");
    t.send("x = (\r");
    t.prompt("two) ");
    t.send("1)\r");
    t.prompt("one) ");
    t.leave();
}

#[test]
fn a_dumb_terminal_gets_plain_text() {
    let mut t = Terminal::start_with(&[], &[("TERM", "dumb"), ("NO_COLOR", "")]);
    t.expect("> ");
    t.send("{1, nil, 'x'}, true\n");
    t.expect("\r\n{1, nil, \"x\"}\ttrue\r\n> ");
    t.send("x = = 1\n");
    t.expect("\r\nstdin:1: unexpected symbol near '='\r\n    x = = 1\r\n        ^\r\n> ");
    t.send(CTRL_D);
    assert_eq!(t.end().code(), Some(0));
}

#[test]
fn colours_can_be_refused() {
    let mut t = Terminal::start_with(&[], &[("NO_COLOR", "")]);
    t.prompt("> ");
    t.type_line("{nil == nil, 'x', 1}", "\x1b[35mtrue\x1b[0m, \x1b[32m\"x\"\x1b[0m, \x1b[36m1\x1b[0m");
    t.type_line("= =", "\x1b[31mstdin:1: ");
    t.leave();
    let mut t = Terminal::start(&[], "");
    t.prompt("> ");
    t.type_line("{nil == nil, 'x', 1}", "\r\n{true, \"x\", 1}\r\n");
    t.leave();
}

#[cfg(feature = "repl")]
mod editing {
    use super::*;

    const TAB: &str = "\t";
    const CTRL_R: &str = "\x12";

    #[test]
    fn text_is_coloured_while_it_is_typed() {
        let mut t = Terminal::start_with(&[], &[("NO_COLOR", "")]);
        t.prompt("> ");
        t.send("local x = 'a' -- c");
        t.expect("\x1b[35mlocal\x1b[0m x = \x1b[32m'a'\x1b[0m \x1b[90m-- c\x1b[0m");
        t.send(CTRL_C);
        t.prompt("> ");
        // A string that began in the line before.
        t.send("x = [[\r");
        t.prompt(">> ");
        t.send("nil]] .. 1");
        t.expect("\x1b[32mnil]]\x1b[0m .. \x1b[36m1\x1b[0m");
        t.send("\r");
        t.prompt("> ");
        t.leave();
    }

    #[test]
    fn names_are_completed() {
        let mut t = Terminal::start(&[], "");
        t.prompt("> ");
        t.send(&format!("tostr{TAB}(12) .. 'x'\r"));
        t.expect("\r\n12x\r\n");
        t.prompt("> ");
        t.type_line("local variable_of_mine = {field_a = {deep = 1}, field_b = 2}", "");
        t.send(&format!("variable_o{TAB}.field_a.d{TAB} + 41\r"));
        t.expect("\r\n42\r\n");
        t.prompt("> ");
        t.send(&format!("variable_of_mine.fi{TAB}{TAB}"));
        t.expect("field_a");
        t.expect("field_b");
        t.send(CTRL_C);
        t.prompt("> ");
        t.send(&format!("whi{TAB} false do end return ('x'):rep(2)\r"));
        t.expect("\r\nxx\r\n");
        t.prompt("> ");
        t.type_line(&format!("local m = require 'tabl{TAB}'"), "");
        t.send(&format!("m.conc{TAB}{{1, 2, 3}}\r"));
        t.expect("\r\n123\r\n");
        t.prompt("> ");
        t.leave();
    }

    #[test]
    fn completion_runs_nothing() {
        let mut t = Terminal::start(&[], "");
        t.prompt("> ");
        t.type_line("local class = {method = function() return 'called' end, value = 1}", "");
        t.type_line("class.__index = class", "");
        t.type_line("object = setmetatable({}, setmetatable(class, {__index = {inherited = print}}))", "");
        t.send(&format!("object:meth{TAB}()\r"));
        t.expect("\r\ncalled\r\n");
        t.prompt("> ");
        t.send(&format!("object.inh{TAB} == print\r"));
        t.expect("\r\ntrue\r\n");
        t.prompt("> ");
        t.type_line("trap = setmetatable({}, {__index = error, __pairs = error, __len = error})", "");
        t.send(&format!("trap.x{TAB}{TAB}y.z{TAB}"));
        t.send(CTRL_C);
        t.prompt("> ");
        t.leave();
    }

    #[test]
    fn the_history_keeps_statements_whole() {
        let history = history("whole");
        let mut t = Terminal::start(&[], &history);
        t.prompt("> ");
        t.send("for i = 1, 2 do\r");
        t.prompt(">> ");
        t.send("print('line ' .. i)\r");
        t.prompt(">> ");
        t.type_line("end", "line 1\r\nline 2\r\n");
        t.type_line("'some' .. 'thing else'", "something else");
        t.leave();
        let mut t = Terminal::start(&[], &history);
        t.prompt("> ");
        t.send(CTRL_R);
        t.send("i = 1");
        t.expect("for i = 1, 2 do");
        t.send("\r");
        t.expect("line 1\r\nline 2\r\n");
        t.prompt("> ");
        t.leave();
    }

    #[test]
    fn pasted_lines_are_statements() {
        let mut t = Terminal::start(&[], "");
        t.prompt("> ");
        t.send("\x1b[200~local q = 1\rq + 41\rfor i = 1, 2 do\r  print('i' .. i)\rend\r'en' .. 'd'\r\x1b[201~");
        t.send("\r");
        t.expect("\r\n42\r\n");
        t.expect("\r\ni1\r\ni2\r\n");
        t.expect("\r\nend\r\n");
        t.prompt("> ");
        t.send("\x1b[200~(1 +\r2) * 3\x1b[201~\r");
        t.expect("\r\n9\r\n");
        t.prompt("> ");
        t.leave();
    }
}
