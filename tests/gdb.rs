//! What gdb shows of a Lua program that runs compiled: its functions, files, lines and variables among those of the program that
//! runs it.

#![cfg(feature = "jit")]
#![forbid(unsafe_code)]

#[path = "../jit/tests/gdb/session.rs"]
mod session;
#[macro_use]
#[path = "gdb/builds.rs"]
mod builds;

use builds::{Build, FOLDER};
use session::{assert_frames, frames};

sessions! {
    a_backtrace_from_a_native_function_shows_compiled_lua_functions_and_reaches_main
    a_breakpoint_on_a_line_of_a_script_stops_in_compiled_code
    a_line_breakpoint_stops_once_in_each_iteration
    a_function_breakpoint_steps_and_finish_follow_the_script
    disassembly_is_mixed_with_the_script
    variables_are_what_the_interpreter_has_at_the_same_line
    variables_are_what_the_interpreter_has_in_the_same_run
    variables_of_recursive_functions_and_coroutines_are_what_the_interpreter_has
    variables_are_shown_whose_cells_were_not_made_and_what_else_was_not
    interpreted_lines_are_stopped_at_when_gdb_has_come_later
    a_compiled_loop_that_is_never_left_is_stopped_at_every_line
    gdb_attaches_to_a_running_script_and_reads_its_core
    nothing_is_told_where_nothing_is_wanted
    traces_of_functions_that_are_gone_are_forgotten
    the_script_merges_interpreted_and_compiled_frames_into_a_backtrace
    the_script_merges_frames_of_a_program_that_gdb_has_not_started
    the_script_shows_variables_tables_and_traces
    interpreted_lines_are_stopped_at_and_stepped_through
    steps_go_from_interpreted_to_compiled_lines_and_back
    interpreted_frames_of_all_kinds_are_shown
    conditions_name_variables_of_interpreted_and_compiled_lines
    interpreted_lines_can_be_stopped_at_without_a_compiler
    the_tutorial_tells_the_truth
}

/// The script that most sessions watch: line 4 is in a function that line 9, in a loop, calls.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/hot.lua");

/// The command that teaches gdb to tell calls of native functions apart.
const NATIVE: &str = concat!("source ", env!("CARGO_MANIFEST_DIR"), "/tests/gdb/native.py");

/// The command that stops where `os.getenv` is called with a name.
fn at_getenv(name: &str) -> String {
    format!("break -qualified getenv if $asked(\"{name}\")")
}

#[track_caller]
fn assert_has(transcript: &str, texts: &[&str]) {
    let mut rest = transcript;
    for text in texts {
        match rest.find(text) {
            Some(at) => rest = &rest[at + text.len()..],
            None => panic!("{text:?} is missing, or in the wrong place, in:\n{transcript}"),
        }
    }
}

fn a_backtrace_from_a_native_function_shows_compiled_lua_functions_and_reaches_main(build: Build) {
    let stop = at_getenv("PERILUNE_NOTHING");
    // The loop is compiled by then.
    let commands =
        [NATIVE, &stop, "ignore 1 149", "run", "bt", "frame function look", "info symbol $pc", "up", "down", "kill"];
    let Some(transcript) = build.gdb(SCRIPT, &commands) else { return };
    let inlined = format!("look (i=150) at {SCRIPT}:4");
    let traced = format!("main_chunk () at {SCRIPT}:9");
    let expected = [
        "getenv (",
        "lua/lib/os.rs:",
        "src/lua/helpers.rs:",
        &inlined,
        &traced,
        "lua/exec/mod.rs:",
        "src/cli/mod.rs:",
        " main (",
        "_start (",
    ];
    assert_frames(&transcript, &build.expected(&expected));
    let depth = |part: &str| frames(&transcript).iter().position(|frame| frame.contains(part));
    assert_eq!(depth(&inlined).map(|d| d + 1), depth(&traced), "neighbours:\n{transcript}");
    assert!(transcript.contains("  return os.getenv(name) or i"), "the line of the source is shown:\n{transcript}");
    assert!(transcript.contains("trace_1 + "), "the symbol is found by address:\n{transcript}");
}

fn a_breakpoint_on_a_line_of_a_script_stops_in_compiled_code(build: Build) {
    let stop = format!("break {SCRIPT}:9");
    let commands = [&stop, "run", "ignore 1 57", "continue", "continue", "bt", "info symbol $pc", "delete", "continue"];
    let Some(transcript) = build.gdb(SCRIPT, &commands) else { return };
    // In the interpreter, in the first iteration of the trace, which was peeled off, and in its loop.
    let stops: Vec<&str> = transcript.lines().filter(|line| line.starts_with("Breakpoint 1.")).collect();
    let here = format!(", main_chunk () at {SCRIPT}:9");
    assert!(stops.len() == 3 && stops.iter().all(|stop| stop.ends_with(&here)), "{transcript}");
    assert!(stops[0] != stops[1] && stops[1] != stops[2] && transcript.contains("trace_1 +"), "{transcript}");
    assert!(transcript.contains("  sum = sum + look(i)"), "{transcript}");
    assert_frames(&transcript, &build.expected(&["#0  main_chunk ()", "lua/exec/mod.rs:", " main ("]));
    assert!(transcript.contains("\n20100\n") && transcript.contains("exited normally"), "{transcript}");
}

fn a_line_breakpoint_stops_once_in_each_iteration(build: Build) {
    // Line 9 goes on behind the call of `look`: that is no new stop.
    let stop = format!("break {SCRIPT}:9");
    let Some(transcript) = build.gdb(SCRIPT, &[&stop, "ignore 1 100000", "run", "info breakpoints"]) else { return };
    // Whether it is interpreted, recorded or compiled.
    assert_has(&transcript, &["breakpoint already hit 200 times"]);
}

fn a_function_breakpoint_steps_and_finish_follow_the_script(build: Build) {
    let script = format!("{FOLDER}variables.lua");
    let commands = [
        "break Point.norm",
        "ignore 1 58",
        "run",
        "bt 2",
        "next",
        "next",
        "info locals",
        "finish",
        "next",
        "step",
        "step",
        "info args",
        "up",
        "info locals",
        "kill",
    ];
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    let at = |line: usize| format!("at {script}:{line}\n");
    assert_has(
        &transcript,
        &[
            "Point.norm (self=0x",
            &format!(", scale=177) {}", at(6)),
            "6\t  local square",
            "#0  Point.norm (self=0x",
            &format!("#1  main_chunk () {}", at(37)),
            "7\t  local half",
            "8\t  return square * half",
            "square = 6.25\nhalf = 88.5\n",
            // `finish`
            &format!("main_chunk () {}", at(38)),
            // `next`, `step`
            "39\t  last = mixed(i)",
            "mixed (v=59) ",
            "12\t  local kind",
            "13\t  if v % 3 == 0 then",
            "v = 59",
            &format!("#1  main_chunk () {}", at(39)),
            "even = false",
            "label = \"abc59\"",
        ],
    );
}

fn disassembly_is_mixed_with_the_script(build: Build) {
    let script = format!("{FOLDER}variables.lua");
    let stop = format!("break {script}:36");
    let Some(transcript) = build.gdb(&script, &[&stop, "ignore 1 100", "run", "disassemble /s", "kill"]) else {
        return;
    };
    assert_has(
        &transcript,
        &["Dump of assembler code for function main_chunk", "\n35\t  local y = x + 0.5\n", "addsd", "End of"],
    );
}

/// What gdb shows at some lines of a script.
fn watched(build: Build, script: &str, lines: &[&str]) -> Option<String> {
    let all = lines.join(" ");
    let commands =
        [format!("set $script = \"{script}\""), format!("set $lines = \"{all}\""), format!("source {FOLDER}watch.py")];
    let commands: Vec<&str> = commands.iter().map(String::as_str).chain(["run"]).collect();
    build.gdb_with(&["-Ohotexit=10", script], &commands)
}

/// Checks what gdb shows at some lines of a script against what the interpreter has at the same lines.
#[track_caller]
fn variables_agree(build: Build, script: &str, lines: &[&str], least: usize) {
    let script = format!("{FOLDER}{script}");
    let Some(transcript) = watched(build, &script, lines) else { return };
    let watch = format!("{FOLDER}watch.lua");
    let interpreted = build.run(&[&["-joff", &watch, &script], lines].concat()).unwrap();
    compare(&transcript, ("stop", &interpreted), lines, least);
}

/// Compares what gdb has shown at lines with what was `said` there otherwise.
#[track_caller]
fn compare(transcript: &str, (word, said): (&str, &str), lines: &[&str], least: usize) {
    for line in lines {
        let of = |text: &'_ str, word: &str| -> Vec<String> {
            let here = format!("{word} {line}: ");
            text.lines().filter_map(|stop| stop.strip_prefix(&here)).map(String::from).collect()
        };
        // All of them, in the same order: whether the interpreter or compiled code has run the line.
        let (found, expected) = (of(transcript, "stop"), of(said, word));
        assert!(expected.len() >= least, "{} stops in line {line}", expected.len());
        assert_eq!(found.len(), expected.len(), "stops in line {line}:\n{transcript}");
        // What is not needed any more may be gone, in code that was inlined, but not at most stops.
        let (gone, there): (Vec<_>, Vec<_>) =
            found.iter().zip(&expected).partition(|(found, _)| found.contains("<optimized out>"));
        assert!(gone.len() * 2 <= expected.len(), "{} of {}:\n{transcript}", gone.len(), expected.len());
        for (found, expected) in there {
            assert_eq!(found, expected, "\n{transcript}");
        }
    }
}

fn variables_are_what_the_interpreter_has_at_the_same_line(build: Build) {
    let lines = ["7", "8", "12", "13", "20", "21", "27", "28", "33", "34", "36", "38", "39", "40", "41", "42", "44"];
    variables_agree(build, "variables.lua", &lines, 40);
}

fn variables_are_what_the_interpreter_has_in_the_same_run(build: Build) {
    let lines = ["33", "46", "50", "54"];
    let Some(transcript) = watched(build, &format!("{FOLDER}same.lua"), &lines) else { return };
    // The program itself says what its frames hold when the line is executed.
    compare(&transcript, ("said", &transcript), &lines, 25);
    let compiled = transcript.lines().find_map(|line| line.strip_suffix(" stops in traces"));
    assert!(compiled.unwrap().parse::<usize>().unwrap() > 80, "{transcript}");
}

fn variables_of_recursive_functions_and_coroutines_are_what_the_interpreter_has(build: Build) {
    variables_agree(build, "calls.lua", &["3", "4", "6", "7", "8", "13", "14", "15", "25", "26", "27"], 50);
}

fn variables_are_shown_whose_cells_were_not_made_and_what_else_was_not(build: Build) {
    let script = format!("{FOLDER}unbuilt.lua");
    // As the program runs without gdb: at the moment when that comes, which may be one in which they are not declared.
    let shows = |transcript: &str| {
        let value = |name: &str| {
            let line = transcript.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap_or_default().to_owned()
        };
        let [i, n, half] = ["i", "n", "half"].map(|name| value(name).parse::<f64>().ok());
        let are_known = i.is_some() && n == i.map(|i| i + 3.0) && half == i.map(|i| i / 2.0);
        are_known && value("point") == "unbuilt table" && value("add") == "unbuilt function"
    };
    let mut seen = String::new();
    for _ in 0..20 {
        let Some(transcript) = build.attached(&[&script], &["shell sleep 0.3", "bt 1", "info locals", "kill"]) else {
            return;
        };
        if shows(&transcript) {
            return;
        }
        seen.push_str(&transcript);
    }
    panic!("never there:\n{seen}");
}

fn interpreted_lines_are_stopped_at_when_gdb_has_come_later(build: Build) {
    let script = format!("{FOLDER}attach.lua");
    // In the file there is a line with compiled code behind the one that has none.
    let (stop, compiled) = (format!("break {script}:3"), format!("break {script}:11"));
    let commands = [
        &stop,
        "info breakpoints",
        "continue",
        "bt",
        "next",
        "info locals",
        "finish",
        &compiled,
        "continue",
        "bt",
        "kill",
    ];
    let at = |line: usize| format!("at {script}:{line}\n");
    for arguments in [vec![script.as_str(), "200000"], vec!["-joff", &script, "300"]] {
        let Some(transcript) = build.attached(&arguments, &commands) else { return };
        assert_has(
            &transcript,
            &[
                "rare (k=",
                &at(3),
                &format!("main_chunk () {}", at(21)),
                "4\t  local copy",
                "name = \"k",
                &format!("main_chunk () {}", at(21)),
                "work (n=",
                &at(11),
                &format!("main_chunk () {}", at(16)),
            ],
        );
        assert!(!transcript.contains("Error in re-setting"), "{transcript}");
    }
}

fn a_compiled_loop_that_is_never_left_is_stopped_at_every_line(build: Build) {
    let script = format!("{FOLDER}forever.lua");
    let texts = ["    n = n + 1", "    local rest = n % 1000", "    local half = rest * 0.5", "    sum = sum + half"];
    // In compiled code a line in which nothing can go wrong counts to the line before.
    for first in [0, 2] {
        let stop = format!("break {script}:{}", first + 5);
        // The lines of the loop, and beyond its end.
        let commands = [&stop, "continue", "delete", "next", "next", "next", "next", "next", "info locals", "kill"];
        let Some(transcript) = build.attached(&[&script], &commands) else { return };
        let here = format!("turn (kind=...) at {script}:{}\n", first + 5);
        let lines: Vec<String> = (first..first + 6).map(|n| format!("{}\t{}\n", n % 4 + 5, texts[n % 4])).collect();
        let lines = lines.iter().map(String::as_str);
        let expected: Vec<&str> = std::iter::once(&here[..]).chain(lines).chain(["n = ", "sum = "]).collect();
        assert_has(&transcript, &expected);
        // One after the other.
        let stops = transcript.split_once("\nBreakpoint 1.").map_or("", |(_, rest)| rest);
        assert_eq!(
            stops.lines().filter(|line| texts.iter().any(|text| line.ends_with(text))).count(),
            6,
            "{transcript}"
        );
    }
}

fn gdb_attaches_to_a_running_script_and_reads_its_core(build: Build) {
    let script = format!("{FOLDER}endless.lua");
    let core = std::env::temp_dir().join(format!("perilune-core-{}-{build:?}", std::process::id()));
    let (stop, later) = (format!("break {script}:6"), format!("tbreak {script}:20"));
    let dump = format!("gcore {}", core.display());
    // Lines are known at once, all variables when the program has noticed gdb.
    let noticed = ["disable", &later, "ignore 2 3", "continue", "enable 1", "ignore 1 200", "continue"];
    let commands = [&[&stop, "continue", "bt"], &noticed[..], &["bt", "info locals", &dump, "kill"]].concat();
    let Some(transcript) = build.attached(&[&script], &commands) else { return };
    let before = transcript.split("Temporary breakpoint").next().unwrap();
    assert_frames(before, &build.expected(&[&format!(") at {script}:6"), "lua/exec/mod.rs:", " main (", "_start ("]));
    // The argument's type is known if the line is interpreted at that moment.
    let known = ["work (n=...)", "work (n=100)"].map(|frame| format!("{frame} at {script}:6"));
    let last = transcript.lines().rev().find(|line| line.starts_with("#0 ")).unwrap_or_default();
    let here = known.into_iter().find(|here| last.contains(here.as_str()));
    let here = here.unwrap_or_else(|| panic!("another frame in:\n{transcript}"));
    let outer = format!("main_chunk () at {script}:12");
    assert_frames(&transcript, &build.expected(&[&here, &outer, "lua/exec/mod.rs:", " main (", "_start ("]));
    let locals = ["acc = ", "i = ", "square = "].map(|local| {
        let line = transcript.lines().rev().find(|line| line.starts_with(local));
        line.unwrap_or_else(|| panic!("{local}is missing in:\n{transcript}"))
    });
    let value = |n: usize| locals[n].split(' ').next_back().unwrap().parse::<u64>().unwrap();
    assert_eq!(value(1) * value(1), value(2), "{transcript}");

    let commands = ["bt", "info locals"];
    let read = build.on_core(core.to_str().unwrap(), &commands).unwrap();
    std::fs::remove_file(&core).unwrap();
    assert_frames(&read, &build.expected(&[&here, "lua/exec/mod.rs:", " main (", "_start ("]));
    locals.iter().for_each(|local| assert_has(&read, &[local]));
}

fn nothing_is_told_where_nothing_is_wanted(build: Build) {
    let stop = format!("break {SCRIPT}:9");
    let Some(transcript) = build.gdb_with(&["--gdb=off", SCRIPT], &[&stop, "run"]) else { return };
    assert_has(&transcript, &["\n20100\n", "exited normally"]);
    assert!(!transcript.contains("Breakpoint 1,"), "{transcript}");
}

fn traces_of_functions_that_are_gone_are_forgotten(build: Build) {
    let script = format!("{FOLDER}gone.lua");
    // One breakpoint: gdb looks for its place anew whenever it is told something.
    let stop = format!("{} || $asked(\"AFTER\")", at_getenv("BEFORE"));
    let symbols = "info functions -n ^[wi][od][rl][ke]_";
    let commands = [NATIVE, &stop, "run", symbols, "echo \\nlater\\n", "continue", symbols, "kill"];
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    let (before, after) = transcript.split_once("\nlater\n").unwrap_or((&transcript, ""));
    assert!(before.matches("work_").count() >= 70, "{transcript}");
    assert!(after.matches("work_").count() < 70, "{transcript}");
    // Of functions that were never run there are only lines. Those that the program has had in hand last may be there still.
    assert!(before.matches("idle_").count() >= 20, "{transcript}");
    assert!(after.matches("idle_").count() < 3, "{transcript}");
}

fn the_script_merges_interpreted_and_compiled_frames_into_a_backtrace(build: Build) {
    let script = format!("{FOLDER}deep.lua");
    let Some(file) = build.gdb_script() else { return };
    let source = format!("source {}", file.display());
    let stop = at_getenv("SORT");
    let commands = [&source, NATIVE, &stop, "ignore 1 80", "run", "bt", "echo lua-bt\\n", "lua-bt", "kill"];
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    std::fs::remove_file(&file).unwrap();
    let (bt, lua_bt) = transcript.split_once("lua-bt\n").expect(&transcript);
    let here = |line: usize| format!("at {script}:{line}");
    // Interpreted functions below a native one, below a compiled one, below an interpreted one.
    let expected = [
        "getenv (",
        "lua/lib/os.rs:",
        "probe (level=0, label=\"SORT\")",
        &here(8),
        "function_16 (a=0, b=81)",
        "lua/exec/mod.rs:",
        "lua/lib/table.rs:",
        "hot (n=100, f=function probe (",
        "main_chunk () ",
        &here(26),
        "lua/exec/mod.rs:",
        " main (",
    ];
    assert_has(bt, &build.expected(&expected));
    assert_eq!(bt.matches("hot (n=").count(), 1, "a frame is shown once:\n{bt}");
    let expected = [
        format!("#0  probe (level=0, label=\"SORT\") {}", here(8)),
        format!("#1  function_16 (a=0, b=81) {}", here(16)),
        format!("#2  hot (n=100, f=function probe ({script}:5)) {}  [compiled]", here(16)),
        format!("#3  main_chunk () {}", here(26)),
    ];
    let found: Vec<&str> = lua_bt.lines().take(4).collect();
    assert_eq!(found, expected, "{transcript}");
}

fn the_script_merges_frames_of_a_program_that_gdb_has_not_started(build: Build) {
    let script = format!("{FOLDER}nested.lua");
    let Some(file) = build.gdb_script() else { return };
    let source = format!("source {}", file.display());
    let transcript = build.attached(&[&script], &[&source, "bt", "echo lua-bt\\n", "lua-bt", "kill"]);
    std::fs::remove_file(&file).unwrap();
    let Some(transcript) = transcript else { return };
    let (bt, lua_bt) = transcript.split_once("lua-bt\n").expect(&transcript);
    let here = |line: usize| format!("at {script}:{line}\n");
    let leaf = format!("leaf (n={}, text=\"some text\") at {script}:", i64::MAX);
    let middle = |depth: usize| format!("middle (depth={depth}, f=function leaf ({script}:2)) {}", here(13));
    let outer = [
        format!("function_17 (a=3) {}", here(18)),
        format!("function_22 (letter=\"x\") {}", here(22)),
        format!("main_chunk () {}", here(22)),
    ];
    // Natives stand where they have called back.
    let natives = ["lua/exec/mod.rs:", "lua/lib/string.rs:", "lua/exec/mod.rs:", " main ("];
    let expected = [
        &leaf,
        &middle(1),
        &middle(2),
        &middle(3),
        &outer[0],
        &outer[1],
        natives[0],
        natives[1],
        &outer[2],
        natives[2],
        natives[3],
    ];
    assert_has(bt, &build.expected(&expected));
    assert_has(lua_bt, &[&leaf, &middle(1), &middle(2), &middle(3), &outer[0], &outer[1], &outer[2]]);
    // The main chunk is not below all native frames.
    assert_has(bt, &[&outer[2], "__libc_start"]);
}

fn the_script_shows_variables_tables_and_traces(build: Build) {
    let script = format!("{FOLDER}deep.lua");
    let Some(file) = build.gdb_script() else { return };
    let source = format!("source {}", file.display());
    let stop = at_getenv("SORT");
    let commands = [
        &source,
        NATIVE,
        &stop,
        "ignore 1 80",
        "run",
        "lua-locals",
        "lua-locals 2",
        "lua-locals 3",
        "lua-globals title",
        "lua-globals math",
        "lua-traces",
        "lua-exits 1",
        "frame function hot",
        "info locals",
        "lua-exits 99",
        "kill",
    ];
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    std::fs::remove_file(&file).unwrap();
    assert_has(
        &transcript,
        &[
            "level = 0\nlabel = \"SORT\"\nkept = table 0x",
            " {0, \"SORT\"}\n",
            "n = 100\n",
            &format!("f = function probe ({script}:5)\n"),
            "sum = 160\n",
            "i = 81\n",
            " {81, 0}\n",
            "config = table 0x",
            " {\"first\", depth = 2, [10] = \"ten\"}\n",
            "title = \"deep\"\n",
            "math = table 0x",
            if build.has_symbols() { "abs = native abs" } else { "abs = native 0x" },
            &format!("trace 1  root  hot ({script}:11)  "),
            "exits were never taken\n",
            "sum = 160\n",
            "pair = table 0x",
            " {81, 0}\n",
        ],
    );
    assert!(transcript.contains("there is no trace 99"), "{transcript}");
}

fn interpreted_lines_are_stopped_at_and_stepped_through(build: Build) {
    let script = format!("{FOLDER}lines.lua");
    // Function and line 8 are run once, before anything of them is compiled.
    let commands = [
        "break outer",
        "run",
        "bt 2",
        "step",
        "bt 3",
        "info args",
        "next",
        "info locals",
        "finish",
        "next",
        "info locals",
        "up",
        "kill",
    ];
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    let at = |line: usize| format!("at {script}:{line}\n");
    assert_has(
        &transcript,
        &[
            &format!("outer (n=300) {}", at(8)),
            &format!("#0  outer (n=300) {}", at(8)),
            &format!("in main_chunk () {}", at(26)),
            // `step` goes into the function that is called.
            &format!("inner (a=..., b=300) {}", at(3)),
            "#1  0x",
            &format!("in outer (n=300) {}", at(8)),
            &format!("in main_chunk () {}", at(26)),
            "a = \"x\"\nb = 300\n",
            &format!("inner (a=..., b=300) {}", at(4)),
            "both = \"x300\"\n",
            // `finish`
            &format!("in outer (n=300) {}", at(8)),
            &format!("outer (n=300) {}", at(9)),
            "text = \"x300\"\n",
            &format!("in main_chunk () {}", at(26)),
        ],
    );
}

fn steps_go_from_interpreted_to_compiled_lines_and_back(build: Build) {
    let script = format!("{FOLDER}lines.lua");
    let line = |line: usize| format!("break {script}:{line}");
    let condition = format!("{} if i == 56", line(24));
    let mut commands = vec![condition.as_str(), "run", "info symbol $pc"];
    commands.extend(["next"; 12]);
    let later = format!("{} if i == 300", line(24));
    commands.extend(["info symbol $pc", "delete", &later, "continue", "info symbol $pc", "info locals"]);
    commands.extend(["next"; 3]);
    commands.extend(["info symbol $pc", "kill"]);
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    let texts = ["  total = total + rest", "for i = 1, 300 do", "  local rest = i % 3"];
    let mut expected = vec!["main_chunk () at", "line_24 "];
    for n in 0..12 {
        expected.push(texts[(n + 1) % 3]);
    }
    expected.extend(["trace_1 ", "main_chunk () at", "trace_1 ", "i = 300\n", "total = 300\n"]);
    // Out of the compiled loop into a line that is run once.
    expected.extend(["for i = 1, 300 do", "26\tlocal count, text = outer(total)", "print(count", "line_27 "]);
    assert_has(&transcript, &expected);
}

fn interpreted_frames_of_all_kinds_are_shown(build: Build) {
    let script = format!("{FOLDER}lines.lua");
    let stops: Vec<String> = [30, 34, 41, 49].iter().map(|line| format!("break {script}:{line}")).collect();
    let mut commands: Vec<&str> = stops.iter().map(String::as_str).collect();
    commands.extend(["break fact if n == 1", "run", "bt", "continue", "bt", "delete 1", "continue", "bt"]);
    commands.extend(["delete 2", "continue", "bt", "info locals", "continue", "bt", "next", "next", "info locals"]);
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    let at = |line: usize| format!("at {script}:{line}\n");
    let expected = [
        // A recursion.
        &format!("#0  fact (n=1) {}", at(14)),
        &format!(" in fact (n=2) {}", at(17)),
        &format!(" in fact (n=5) {}", at(17)),
        &format!(" in main_chunk () {}", at(27)),
        " main (",
        // What native functions call back.
        &format!("#0  function_29 (p=2, q=3) {}", at(30)),
        "lua/lib/table.rs:",
        &format!(" in main_chunk () {}", at(29)),
        " main (",
        &format!("#0  function_33 (letter=...) {}", at(34)),
        &format!(" in main_chunk () {}", at(33)),
        " main (",
        // A coroutine, above what has resumed it.
        &format!("#0  function_38 (k=1) {}", at(41)),
        &format!(" in main_chunk () {}", at(45)),
        " main (",
        "got = 10\n",
        // An error is caught two frames further down.
        &format!("#0  function_47 () {}", at(49)),
        &format!(" in main_chunk () {}", at(47)),
        &format!("main_chunk () {}", at(51)),
        &format!("main_chunk () {}", at(52)),
        "ok = false\n",
        "lines.lua:49: boom\"\n",
    ];
    assert_has(&transcript, &build.expected(&expected));
}

fn conditions_name_variables_of_interpreted_and_compiled_lines(build: Build) {
    let script = format!("{FOLDER}lines.lua");
    let stop = format!("break {script}:24 if i % 100 == 0 && rest < 2");
    let commands = [&stop, "run", "print total", "continue", "print total", "continue", "kill"];
    let Some(transcript) = build.gdb_with(&["-Ohotloop=150", &script], &commands) else { return };
    // 100 % 3 == 1, 200 % 3 == 2, 300 % 3 == 0
    assert_has(&transcript, &["main_chunk ()", "$1 = 99\n", "main_chunk ()", "$2 = 300\n"]);
    assert!(!transcript.contains("Error in testing"), "{transcript}");
}

fn interpreted_lines_can_be_stopped_at_without_a_compiler(build: Build) {
    let script = format!("{FOLDER}lines.lua");
    let stop = format!("break {script}:24 if i == 299");
    let Some(transcript) = build.gdb_with(&["-joff", &script], &[&stop, "run", "info locals", "info symbol $pc"])
    else {
        return;
    };
    assert_has(&transcript, &["main_chunk ()", "i = 299\n", "total = 298\n", "line_24 "]);
}

/// The commands of the tutorial, each with the lines that it shows of gdb's answer.
fn tutorial() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gdb.md")).unwrap();
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for block in text.split("```gdb\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match (line.strip_prefix("(gdb) "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_string(), Vec::new())),
                (None, Some((_, answer))) => answer.push(line.to_string()),
                (None, None) => panic!("an answer to no command: {line}"),
            }
        }
    }
    commands
}

fn the_tutorial_tells_the_truth(build: Build) {
    let script = format!("{FOLDER}variables.lua");
    let Some(file) = build.gdb_script() else { return };
    let tutorial = tutorial();
    assert!(tutorial.len() > 20);
    let mut commands = Vec::new();
    for (n, (command, _)) in tutorial.iter().enumerate() {
        commands.push(format!("echo \\ncommand {n}\\n"));
        commands.push(command.replace("perilune.py", file.to_str().unwrap()));
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let Some(transcript) = build.gdb(&script, &commands) else { return };
    std::fs::remove_file(&file).unwrap();
    for (n, (command, answer)) in tutorial.iter().enumerate() {
        let begin = format!("\ncommand {n}\n");
        let part = transcript.split_once(&begin).unwrap_or_else(|| panic!("{command}:\n{transcript}")).1;
        let mut part = part.split("\ncommand ").next().unwrap();
        for line in answer {
            // gdb says on standard error that a breakpoint waits.
            let place = if line.ends_with("pending.") { &transcript } else { part };
            let at = place
                .find(line.as_str())
                .unwrap_or_else(|| panic!("{command}: {line}\nis not in\n{part}\n{transcript}"));
            if !line.ends_with("pending.") {
                part = &part[at + line.len()..];
            }
        }
    }
}
