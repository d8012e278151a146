//! The command line, as a user sees it: output, messages and exit status, good input and bad.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
    command.env_remove("LUA_INIT").env_remove("LUA_INIT_5_4").stdin(Stdio::null());
    command
}

/// A file of this test's own.
fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_string()
}

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

fn run_with_input(args: &[&str], input: &str) -> Output {
    let mut child =
        command().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn prints(output: &Output, expected: &str) {
    assert_eq!((text(&output.stdout), text(&output.stderr)), (expected.to_string(), String::new()));
    assert_eq!(output.status.code(), Some(0));
}

/// The message is the first line on stderr; the status is 1, and nothing has panicked.
#[track_caller]
fn fails(output: &Output, message: &str) {
    let errors = text(&output.stderr);
    assert_eq!(errors.lines().next().unwrap_or_default(), message, "all of it: {errors:.3000}");
    assert_eq!(output.status.code(), Some(1), "{errors:.3000}");
    assert!(!errors.contains("panicked"), "{errors:.3000}");
}

#[test]
fn a_script_gets_its_arguments() {
    let script = file("args.lua", "print((...), select('#', ...)) print(arg[0], arg[1], arg[2], arg[-1], #arg)");
    let program = env!("CARGO_BIN_EXE_perilune");
    prints(&run(&[&script, "a", "-e"]), &format!("a\t2\n{script}\ta\t-e\t{program}\t2\n"));
    let output = run(&["-W", "--", &script]);
    prints(&output, &format!("nil\t0\n{script}\tnil\tnil\t--\t0\n"));
}

#[test]
fn without_a_script_the_program_is_number_zero() {
    prints(&run(&["-e", "print(arg[1], #arg, arg[0] ~= nil)"]), "-e\t2\ttrue\n");
}

#[test]
fn what_runs_first_may_change_the_arguments() {
    let script = file("changed.lua", "print(...)");
    prints(&run(&["-e", "arg = {'z', 'y'}", &script, "a"]), "z\ty\n");
    prints(&run(&["-e", "arg = setmetatable({1, 2, 3}, {__len = function() return 2 end})", &script]), "1\t2\n");
    prints(&command().env("LUA_INIT", "arg[1] = 'init'").args([&script, "a"]).output().unwrap(), "init\n");
    fails(&run(&["-e", "arg = nil", &script, "a"]), "perilune: 'arg' is not a table");
}

#[test]
fn the_options_end_where_they_end() {
    let script = file("end.lua", "print(arg[0] == arg[-1], ...)");
    prints(&run(&[&script, "--help", "-v"]), "false\t--help\t-v\n");
    prints(&run(&["--", &script, "--"]), "false\t--\n");
    prints(&run_with_input(&["-", "--", "-"], "print(arg[0], ...)"), "-\t--\t-\n");
    // Behind `--`, a file is meant.
    fails(&run(&["--", "-"]), "perilune: cannot open -: No such file or directory");
    prints(&run_with_input(&["--"], "print('input')"), "input\n");
    prints(&run_with_input(&["-W"], "print(arg[1])"), "-W\n");
}

#[test]
fn code_runs_in_order() {
    let script = file("order.lua", "print('script', x)");
    prints(&run(&["-e", "x = 1", "-ex=x+1", &script]), "script\t2\n");
    fails(&run(&["-e", "error('first', 0)", &script]), "perilune: first");
}

#[test]
fn stdin_is_a_script() {
    prints(&run_with_input(&[], "#!/usr/bin/perilune\nprint(1)"), "1\n");
    prints(&run_with_input(&["-", "a"], "print(..., arg[0])"), "a\t-\n");
    fails(&run_with_input(&["-"], "\n\nx ="), "perilune: stdin:3: unexpected symbol near <eof>");
}

#[test]
fn the_standard_input_is_shared() {
    // The line that `io.read` takes is gone for the REPL, for `dofile` and for the script on stdin, and nothing else is.
    let lines = "print(io.read())\nhello\nio.read('n', 'l')\n42 rest\n'x'\n";
    prints(&run_with_input(&["-i"], lines), "hello\n42\t rest\nx\n");
    prints(&run_with_input(&["-i"], "io.read('a')\nrest\nof it\n"), "rest\nof it\n\n");
    prints(&run_with_input(&["-i"], "for l in io.lines() do print(#l) end\nab\n\nabc"), "2\n0\n3\n");
    let two = "one\nprint('two')\n";
    for args in
        [&["-e", "print(io.read())", "-i"][..], &["-e", "print(io.read())", "-"], &["-e", "print(io.read()) dofile()"]]
    {
        prints(&run_with_input(args, two), "one\ntwo\n");
    }
    prints(&run_with_input(&["-e", "print(io.read()) loadfile()()"], two), "one\ntwo\n");
    prints(&run_with_input(&["-"], "print(io.read())"), "nil\n");
}

#[test]
fn a_first_line_may_name_the_interpreter() {
    let script = file("hash.lua", "#!/usr/bin/env perilune\nprint(debug == nil or 'line')\nerror('here')");
    let output = run(&[&script]);
    fails(&output, &format!("perilune: {script}:3: here"));
}

#[test]
fn the_environment_may_prepare() {
    let init = |value: &str, args: &[&str]| command().env("LUA_INIT", value).args(args).output().unwrap();
    prints(&init("x = 5", &["-e", "print(x)"]), "5\n");
    prints(&init("x = 5", &["-E", "-e", "print(x)"]), "nil\n");
    let script = file("init.lua", "x = 'file'");
    prints(&init(&format!("@{script}"), &["-e", "print(x)"]), "file\n");
    fails(&init("error('no', 0)", &["-e", ""]), "perilune: no");
    let output = command().env("LUA_INIT", "x = 1").env("LUA_INIT_5_4", "x = 2").args(["-e", "print(x)"]).output();
    prints(&output.unwrap(), "2\n");
}

#[test]
fn modules_are_found_by_the_path() {
    let script = file("shelled.lua", "return { name = ... }");
    let path = script.replace("shelled.lua", "?.lua");
    let with_path = |args: &[&str]| command().env("LUA_PATH", format!("{path};;")).args(args).output().unwrap();
    prints(&with_path(&["-l", "shelled", "-e", "print(shelled.name)"]), "shelled\n");
    prints(&with_path(&["-l", "s=shelled", "-e", "print(s.name, shelled)"]), "shelled\tnil\n");
    prints(&with_path(&["-e", "print(package.path:find('./?.lua', 1, true) ~= nil)"]), "true\n");
    prints(&with_path(&["-E", "-e", "print((pcall(require, 'shelled')))"]), "false\n");
    prints(&with_path(&["-l=shelled", "-e", "print(_G[''].name)"]), "shelled\n");
    fails(&run(&["-l", "no.such"]), "perilune: module 'no.such' not found:");
    let broken = file("broken.lua", "x = = 1");
    let message = format!("perilune: error loading module 'broken' from file '{broken}':");
    fails(&with_path(&["-lbroken"]), &message);
}

#[test]
fn the_path_keeps_the_default_where_it_is_asked_for() {
    let path = |name: &str, value: &str, args: &[&str]| {
        text(&command().env(name, value).args(args).args(["-e", "io.write(package.path)"]).output().unwrap().stdout)
    };
    let default = path("LUA_PATH", "", &["-E"]);
    assert!(default.contains("./?.lua;") && !default.contains(";;"), "{default}");
    for name in ["LUA_PATH", "LUA_PATH_5_4"] {
        assert_eq!(path(name, "/x/?.lua", &[]), "/x/?.lua");
        assert_eq!(path(name, "/x/?.lua;;", &[]), format!("/x/?.lua;{default}"));
        assert_eq!(path(name, ";;/x/?.lua", &[]), format!("{default};/x/?.lua"));
        assert_eq!(path(name, "a;;b", &[]), format!("a;{default};b"));
        assert_eq!(path(name, "a;;b", &["-E"]), default);
    }
    let both = command().env("LUA_PATH", "no").env("LUA_PATH_5_4", "yes").args(["-e", "print(package.path)"]).output();
    prints(&both.unwrap(), "yes\n");
}

#[test]
fn version_and_help() {
    for option in ["-v", "--version"] {
        let output = run(&[option]);
        assert!(text(&output.stdout).starts_with("perilune ") && text(&output.stdout).contains("Lua 5.4"));
        assert_eq!(output.status.code(), Some(0));
    }
    let output = run(&["--help"]);
    assert!(text(&output.stdout).contains("usage: perilune"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn wrong_options_show_the_usage() {
    for (option, message) in [
        ("-x", "perilune: unrecognized option '-x'"),
        ("--what", "perilune: unrecognized option '--what'"),
        ("-e", "perilune: '-e' needs argument"),
    ] {
        let output = run(&[option]);
        fails(&output, message);
        assert!(text(&output.stderr).contains("usage: perilune"));
    }
}

#[test]
#[cfg(feature = "jit")]
fn wrong_options_of_the_compiler_are_named() {
    for option in ["-jnonsense", "-Ohotlop=3", "-Ohotloop=x", "-O-nopass"] {
        let output = run(&[option, "-e", "print(1)"]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{option}");
        assert!(text(&output.stderr).starts_with(&format!("perilune: {option}: ")), "{}", text(&output.stderr));
    }
}

#[test]
fn the_compilers_options_change_no_result() {
    let code = "local s = 0 for i = 1, 1000 do s = s + i end print(s)";
    prints(&run(&["-joff", "-e", code]), "500500\n");
    #[cfg(feature = "jit")]
    for option in ["-jon", "-Ohotloop=1", "-O-fold", "-Oeval", "-Oexitstress"] {
        let output = run(&[option, "-e", code]);
        assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("500500\n", Some(0)), "{option}");
    }
}

#[test]
#[cfg(feature = "jit")]
fn traces_can_be_seen() {
    let code = "local s = 0 for i = 1, 1000 do s = s + i end";
    let output = run(&["-jv", "-e", code]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("(command line):1"), "{}", text(&output.stderr));
    let path = file("traces.txt", "");
    prints(&run(&[&format!("-jv={path}"), "-e", code]), "");
    let (written, said) = (std::fs::read_to_string(&path).unwrap(), text(&output.stderr));
    let traces =
        |text: &str| text.lines().filter(|line| line.starts_with("trace ")).map(String::from).collect::<Vec<_>>();
    assert_eq!((traces(&written), traces(&said).len()), (traces(&said), 1));
    for text in [written, said] {
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("debuggers: 1 traces described in ") && last.ends_with(" ms of processor time"),
            "{text}"
        );
    }
    assert!(!text(&run(&["-jv", "--gdb=off", "-e", code]).stderr).contains("debuggers"));
    let output = run(&["-jdump", "-e", code]);
    for stage in ["bytecode", "IR", "machine code"] {
        assert!(text(&output.stderr).contains(stage), "{stage} is not in {}", text(&output.stderr));
    }
    let nowhere = file("a_file", "");
    fails(
        &run(&[&format!("-jv={nowhere}/x"), "-e", ""]),
        &format!("perilune: -jv={nowhere}/x: cannot write {nowhere}/x: Not a directory"),
    );
}

#[test]
#[cfg(feature = "jit")]
fn a_loop_of_many_branches_is_compiled_to_the_last_one() {
    // It is left by another exit each time for long, which says nothing against it.
    let branches: String = (2..=80).map(|n| format!(" elseif x == {n} then s = s + {n}")).collect();
    let code = format!(
        "local s = 0 for i = 1, 60000 do local x = i % 80 + 1 if x == 1 then s = s + 1{branches} end end print(s)"
    );
    let output = run(&["-jv", "-e", &code]);
    let report = text(&output.stderr);
    let (made, given_up) = (report.matches("trace ").count(), report.matches("retire ").count());
    assert_eq!(text(&output.stdout), "2430000\n");
    assert!(made >= 80 && given_up == 0, "{report}");
}

#[test]
fn less_or_equal_does_not_ask_less() {
    // No case: PUC Lua 5.4 does, where it is built with LUA_COMPAT_LT_LE.
    let code = "local t = setmetatable({}, { __lt = function() return false end }) \
                for i = 1, 200 do local ok, e = pcall(function() return t <= t end) if i == 200 then print(ok, e) end end";
    assert_eq!(text(&run(&["-e", code]).stdout), "false\t(command line):1: attempt to compare two table values\n");
}

#[test]
fn nothing_subtracted_from_minus_zero_leaves_it() {
    // No case: PUC Lua 5.4 adds the negated constant, and -0.0 + 0 is 0.0.
    let code = "local m = -0.0 print(-0.0 - 0, m - 0) for i = 1, 200 do local n = m - 0 if i == 200 then print(n, n + 0) end end";
    assert_eq!(text(&run(&["-e", code]).stdout), "-0.0\t-0.0\n-0.0\t0.0\n");
}

#[test]
#[cfg(feature = "jit")]
fn a_loop_is_compiled_where_it_goes_around() {
    // What is behind a loop is no part of it, though it gets hot in its last iteration, time and again.
    let code = "local s = 0\nfor n = 2, 60 do\nfor k = 1, 40 do\nfor i = 1, n do\ns = s + i end end end print(s)";
    let output = run(&["-jv", "-e", code]);
    let report = text(&output.stderr);
    let inner: Vec<&str> = report.lines().filter(|line| line.contains("(command line):5 loop")).collect();
    assert_eq!(text(&output.stdout), "1512760\n");
    assert!(inner.len() == 4 && inner[2].ends_with("left the loop"), "{report}");
    assert!(inner[3].starts_with("trace") && inner[3].ends_with(" bytes, loop"), "{report}");
    // One that never goes around twice is compiled as it is, in the end.
    let code =
        "local s = 0\nlocal function add()\nfor i = 1, 2 do\ns = s + i end end ('x'):rep(2000):gsub('.', add) print(s)";
    let output = run(&["-jv", "-e", code]);
    let report = text(&output.stderr);
    assert_eq!(text(&output.stdout), "6000\n");
    assert_eq!(report.matches("(command line):4 loop: left the loop\n").count(), 4, "{report}");
    assert!(report.contains("\ntrace 1 (command line):4 loop: "), "{report}");
}

#[test]
#[cfg(feature = "jit")]
fn short_loops_are_given_up_and_small_ones_of_many_rounds_are_not() {
    // Entered from the interpreter each time, since a native function calls back, and left by the loop's own end.
    let given_up = |of: &str, rounds: u32, times: u32| {
        let code = format!(
            "local t, u = {{}}, {{}} for i = 1, {rounds} do u[i] = i end \
             string.rep('x', {times}):gsub('.', function() {of} end) print(t[{rounds}])"
        );
        let output = run(&["-jv", "-e", &code]);
        assert_eq!(text(&output.stdout), format!("{rounds}\n"));
        text(&output.stderr).matches("retire ").count()
    };
    for of in [
        "for i = 1, #u do t[i] = i end",
        "for i = #u, 1, -1 do t[i] = i end",
        "for i, v in ipairs(u) do t[i] = v end",
        "for i, v in next, u do t[i] = v end",
    ] {
        assert_eq!((given_up(of, 12, 4000), given_up(of, 40, 4000)), (1, 0), "{of}");
        // Those that are far from paying are given up sooner.
        assert_eq!((given_up(of, 4, 500), given_up(of, 12, 500)), (1, 0), "{of}");
    }
}

#[test]
#[cfg(feature = "jit")]
fn functions_that_are_soon_forgotten_are_not_compiled() {
    // A long function, which is called so many times before another one takes its place.
    let report = |times: u32| {
        let code = format!(
            "local f, s = nil, 0 for i = 0, 999 do \
               if i % {times} == 0 then f = load(('local s = ... ' .. ('s = s + #tostring(s) '):rep(20) .. 'return s % 1000')) end \
               s = f(s) end print(s)"
        );
        let (compiled, interpreted) = (run(&["-jv", "-e", &code]), run(&["-joff", "-e", &code]));
        assert_eq!(text(&compiled.stdout), text(&interpreted.stdout));
        text(&compiled.stderr)
    };
    let (few, many) = (report(20), report(1000));
    assert!(few.contains("abort   (command line):1 loop: call of a new function"), "{few}");
    assert!(!few.contains("trace 1 (command line)"), "{few}");
    assert!(many.contains("trace 1 (command line)") && !many.contains("abort"), "{many}");
}

#[test]
fn errors_have_a_traceback() {
    let script =
        file("trace.lua", "local function inner() error('deep') end\nlocal function outer() inner() end\nouter()");
    let output = run(&[&script]);
    fails(&output, &format!("perilune: {script}:1: deep"));
    let errors = text(&output.stderr);
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines[1], "stack traceback:");
    assert_eq!(lines[2], "\t[C]: in function 'error'");
    assert!(lines.contains(&&*format!("\t{script}:3: in main chunk")), "{errors}");
    assert_eq!(lines.last(), Some(&"\t[C]: in ?"));
}

#[test]
fn error_objects_speak_for_themselves() {
    let speaking = run(&["-e", "error(setmetatable({}, {__tostring = function() return 'spoken' end}))"]);
    assert_eq!((text(&speaking.stderr).as_str(), speaking.status.code()), ("perilune: spoken\n", Some(1)));
    fails(&run(&["-e", "error({})"]), "perilune: (error object is a table value)");
    fails(&run(&["-e", "error()"]), "perilune: (error object is a nil value)");
    fails(&run(&["-e", "error(42)"]), "perilune: 42");
    // Only a string is a message, and an error while it is made is the error.
    let dumb = run(&["-e", "error(setmetatable({}, {__tostring = function() return 42 end}))"]);
    fails(&dumb, "perilune: (error object is a table value)");
    fails(
        &run(&["-e", "error(setmetatable({}, {__tostring = function() error('within') end}))"]),
        "perilune: (command line):1: within",
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    fails(&run(&["no/such/file.lua"]), "perilune: cannot open no/such/file.lua: No such file or directory");
    let folder = env!("CARGO_TARGET_TMPDIR");
    fails(&run(&[folder]), &format!("perilune: cannot read {folder}: Is a directory"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let secret = file("secret.lua", "print(1)");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
        // Root reads everything.
        if std::fs::read(&secret).is_err() {
            fails(&run(&[&secret]), &format!("perilune: cannot open {secret}: Permission denied"));
        }
        std::fs::remove_file(&secret).unwrap();
    }
}

#[test]
fn rubbish_is_refused() {
    let rubbish: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, content) in [
        ("rubbish.bin", rubbish),
        ("elf.bin", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0".to_vec()),
        ("chunk.luac", b"\x1bLua\x54\0\x19\x93\r\n\x1a\n".to_vec()),
    ] {
        let script = file(name, content);
        let output = run(&[&script]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.starts_with("perilune: ") && errors.contains(name), "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn depth_is_limited_everywhere() {
    let nested = |open: &str, close: &str| format!("x = {}1{}", open.repeat(20_000), close.repeat(20_000));
    for (i, code) in
        [nested("(", ")"), nested("{", "}"), nested("-", ""), nested("not ", ""), "a = a..".repeat(20_000) + "a"]
            .iter()
            .enumerate()
    {
        let script = file(&format!("nested{i}.lua"), code);
        let output = run(&[&script]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors:.500}");
        assert!(errors.starts_with(&format!("perilune: {script}:1: ")), "{errors:.500}");
    }
    for code in [
        "local function f() return 1 + f() end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end; local x = t.x",
        "local function f() return pcall(f) or error('x') end local ok = f(); error('end of it', 0)",
        "local s = string.rep('a', 100, ',') local function f() return (string.gsub(s, 'a', f)) end f()",
        "local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) tostring(t)",
    ] {
        let output = run(&["-e", code]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{code}: {errors:.500}");
        assert!(errors.starts_with("perilune: ") && errors.contains("stack traceback"), "{code}: {errors:.500}");
    }
}

#[test]
fn memory_that_nobody_has_is_an_error() {
    let output = run(&["-e", "local s = string.rep('x', 100 * 1000 * 1000 * 1000)"]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("perilune: ") && !errors.contains("panicked"), "{errors}");
}

#[test]
fn without_a_terminal_the_repl_is_silent() {
    prints(
        &run_with_input(&["-i"], "6 * 7\nlocal x =\n  1\n=2, 3\nfor i = 1, 2 do\nprint(i)\nend\n"),
        "42\n2\t3\n1\n2\n",
    );
    let output = run_with_input(&["-i"], "error('oh')\n'still' .. ' here'");
    assert_eq!(text(&output.stdout), "still here\n");
    assert!(text(&output.stderr).starts_with("stdin:1: oh\nstack traceback:"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    // As `lua -i`: no session, no commands, no contents.
    prints(&run_with_input(&["-i"], "local x = 1\nx, _\ntype(tostring({}):match('^table: 0x'))"), "nil\tnil\nstring\n");
    let output = run_with_input(&["-i"], ":help\n");
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("", "stdin:1: unexpected symbol near ':'\n")
    );
    let output = run_with_input(&["-i"], "print = nil\n1\n");
    assert_eq!(text(&output.stderr), "error calling 'print' (attempt to call a nil value)\n");
    let output = run_with_input(&["-i"], "x = (1 +");
    assert_eq!(text(&output.stderr), "stdin:1: unexpected symbol near <eof>\n");
}

#[test]
fn a_profile_is_written() {
    let script = file(
        "busy.lua",
        "local function busy() local s = 0 for i = 1, 1e7 do s = s + i % 7 end return s end print(busy() > 0)",
    );
    for (name, expected) in [("profile.svg", "busy ("), ("profile.txt", "main_chunk (")] {
        let path = file(name, "");
        let output = run(&[&format!("--profile={path}"), &script]);
        assert_eq!(text(&output.stdout), "true\n");
        let summary = text(&output.stderr);
        assert!(summary.contains(" samples: interpreter ") && summary.contains(", compiler "), "{summary}");
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.contains(expected), "{written}");
    }
    fails(&run(&["--profile="]), "perilune: unrecognized option '--profile='");
}

#[test]
fn a_finalizer_that_cannot_be_called_is_warned_of() {
    let output = run(&["-W", "-e", "setmetatable({}, {__gc = 5}) collectgarbage()"]);
    let warning = "Lua warning: error in __gc (attempt to call a number value (metamethod '__gc'))\n";
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), (warning, Some(0)));
}

#[test]
fn the_clock_is_finer_than_the_kernels_ticks() {
    let code = "local least = 1 for _ = 1, 50 do local a, b = os.clock() repeat b = os.clock() until b > a \
                if b - a < least then least = b - a end end print(least < 0.0002)";
    prints(&run(&["-e", code]), "true\n");
}

#[test]
#[cfg(feature = "jit")]
fn where_nothing_pays_less_and_less_is_compiled() {
    // Functions with a loop of four rounds each, called from a native function.
    let functions: String =
        (0..60).map(|f| format!("f[{f}] = function()\nfor i = 1, 4 do t[i] = i + {f} end end\n")).collect();
    let code = format!(
        "local t, f = {{}}, {{}} {functions} for i = 0, 59 do string.rep('x', 1000):gsub('.', f[i]) end print(t[4])"
    );
    let output = run(&["-jv", "-e", &code]);
    let report = text(&output.stderr);
    assert_eq!(text(&output.stdout), "63\n");
    let given_up = report.matches("retire ").count();
    assert!((4..30).contains(&given_up), "{report}");
}

#[test]
#[cfg(feature = "jit")]
fn a_function_that_calls_itself_late_is_compiled() {
    // For long it does not, in code that is too new to be compiled, and is looked at less often.
    let code = "function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end\n\
                for _ = 1, 600 do load(('f(0)'):rep(50, ';'))() end\nfor _ = 1, 400 do f(50) end print(f(50))";
    let output = run(&["-jv", "-e", code]);
    assert_eq!(text(&output.stdout), "50\n");
    let report = text(&output.stderr);
    assert!(report.contains("(command line):1 function at line 1: "), "{report}");
}
