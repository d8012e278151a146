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
        let (master, slave) = terminal();
        let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
        command.args(args).env("TERM", "xterm").env("PERILUNE_HISTORY", history).env_remove("LUA_INIT");
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
